//! Records out of perfmon: an exporter a file or folder. Each has its own bounded queue and thread, never makes another stage wait, and
//! counts what it could not pass on.
pub mod jsonl;
mod logfire;
pub mod otlp;
