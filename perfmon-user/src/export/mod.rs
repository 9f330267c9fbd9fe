//! Exporters of records, one file or folder each. Each has its own bounded queue and thread, never makes another stage wait, and counts
//! what it could not deliver.
pub mod jsonl;
mod logfire;
pub mod otlp;
mod rotating_file;
