//! Data since the last transaction: cells of ten seconds, already summed, and records that are stored one by one. Bounded: the caller drops
//! everything when it is full.
use rustc_hash::FxHashMap;

use crate::limits;
use crate::record::{AuditEntry, Category, Record, SeriesKey};
use crate::series::{Cell, SeriesCell, SeriesDelta};

/// A record to store.
#[derive(Debug)]
pub struct StoredRecord {
    /// Nanoseconds since 1970, its start.
    pub time_ns: u64,
    /// Kind of record.
    pub kind: &'static str,
    /// The record as JSON.
    pub json: String,
}

/// The collection.
#[derive(Debug, Default)]
pub struct PendingWrites {
    /// By start of the cell, in seconds since 1970, and series.
    pub cells: FxHashMap<(u64, SeriesKey), Cell>,
    /// Records kept.
    pub kept: Vec<StoredRecord>,
    /// Records that all this was made from.
    pub records: u64,
    /// Slow or failed requests, database commands and questions for names beyond the limit.
    pub skipped: u64,
    requests: usize,
    /// An alert changed its state: its notification has gone out, and a restarted perfmon must not repeat it. Or somebody changed something.
    /// Both are written at once.
    pub urgent: bool,
}

impl PendingWrites {
    /// Takes records that are kept one by one.
    pub fn add(&mut self, records: &[Record]) {
        for record in records {
            self.records += 1;
            self.keep(record);
        }
    }

    /// Takes what the series counted.
    pub fn series(&mut self, delta: &SeriesDelta) {
        for SeriesCell { start_s, key, cell, .. } in &delta.cells {
            self.cells.entry((*start_s, key.clone())).or_default().merge(cell);
        }
    }

    /// Takes an entry of the audit trail.
    pub fn audit(&mut self, entry: &AuditEntry) {
        self.records += 1;
        self.urgent = true;
        if let Ok(json) = serde_json::to_string(entry) {
            self.kept.push(StoredRecord { time_ns: entry.time.0, kind: AuditEntry::KIND, json });
        }
    }

    fn keep(&mut self, record: &Record) {
        match record {
            Record::Process(_) | Record::System(_) | Record::Pool(_) | Record::Tcp(_) => return,
            Record::Request(_) | Record::Db(_) | Record::Dns(_) => {
                if !record.failed() && !is_slow(record) {
                    return;
                }
                if self.requests >= limits::STORE_REQUESTS {
                    self.skipped += 1;
                    return;
                }
                self.requests += 1;
            }
            Record::Alert(_) => self.urgent = true,
            _ => {}
        }
        if let Ok(json) = serde_json::to_string(record) {
            self.kept.push(StoredRecord { time_ns: record.time().0, kind: record.kind(), json });
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.kept.is_empty()
    }

    /// Whether it may not grow further.
    pub fn is_full(&self) -> bool {
        self.cells.len() > limits::STORE_PENDING || self.kept.len() > limits::STORE_PENDING
    }
}

/// Whether a request, a database command or a question for a name took long.
fn is_slow(record: &Record) -> bool {
    let took = match record {
        Record::Request(request) => return request.performance_category == Some(Category::Slow),
        Record::Db(command) if !command.is_blocking() => command.response_time_ms,
        Record::Dns(question) => question.response_time_ms,
        _ => None,
    };
    took.is_some_and(|took| Category::of(took) == Category::Slow)
}
