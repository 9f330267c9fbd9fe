//! Records out of perfmon: an exporter a file. Each has its own bounded queue and thread, never makes another stage wait, and counts
//! what it could not pass on.
pub mod jsonl;
