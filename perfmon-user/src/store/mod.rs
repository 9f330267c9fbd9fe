//! History on disk. In: batches of finished records from the hub; offering them never blocks. Out: figures over time and stored records,
//! read through [`StoreReader`] while perfmon runs and afterwards. Rollups of 10 s, a minute and an hour with mergeable histograms; model
//! calls, agent runs, tools, workflows, findings, alerts and slow or failed requests also as records. A killed process loses at most the
//! records since the last transaction, about one second. Time is an argument (`StoreOptions::now`).
mod audit;
mod cell_blocks;
mod cell_reader;
mod cells;
mod compressed;
mod keeper;
mod merged;
mod pending;
mod reader;
mod record_blocks;
mod resolution;
mod retention;
mod rollup;
mod schema;
mod step_sums;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde::Serialize;

pub use self::audit::AuditTrail;
pub use self::keeper::DocumentKeeper;
use self::pending::PendingWrites;
pub use self::reader::{History, HistoryPoint, HistoryQuery, SeriesLabels, StoreReader};
pub use self::resolution::Retention;
pub use self::schema::{StoreError, refusal};
use self::writer::{StoreWriter, WriterTimes};
use crate::counters::Counters;
use crate::heartbeat::Heartbeat;
use crate::limits;
use crate::record::{AuditEntry, QueueRoom, RecordBatch, Seats, WallTime};
pub use crate::series::Cell;
use crate::series::SeriesDelta;

/// What a store is made from.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The file.
    pub path: PathBuf,
    /// How large it may become.
    pub max_bytes: u64,
    /// How long each resolution is kept.
    pub retention: Retention,
    /// The wall clock.
    pub now: fn() -> WallTime,
}

/// How the file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum StoreState {
    /// Nothing was written yet.
    Starting,
    /// It is written.
    Ok,
    /// It is not.
    Degraded {
        /// Why.
        reason: String,
    },
}

/// For `/api/v1/self`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreReport {
    /// The file.
    pub path: PathBuf,
    /// How it is.
    #[serde(flatten)]
    pub state: StoreState,
    /// Bytes in use, once known.
    pub bytes: Option<u64>,
    /// Where a damaged file was moved since the start.
    pub set_aside: Option<PathBuf>,
}

/// What writer and readers share.
#[derive(Debug)]
pub(crate) struct SharedReport(Mutex<StoreReport>);

impl SharedReport {
    fn with<T>(&self, change: impl FnOnce(&mut StoreReport) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the state is another kind of state than before.
    fn set_state(&self, state: StoreState) -> bool {
        self.with(|report| {
            let changed = std::mem::discriminant(&report.state) != std::mem::discriminant(&state);
            report.state = state;
            changed
        })
    }

    fn set_bytes(&self, bytes: u64) {
        self.with(|report| report.bytes = Some(bytes));
    }

    fn set_aside(&self, aside: &Path) {
        self.with(|report| report.set_aside = Some(aside.into()));
    }
}

/// Messages to the writer thread.
#[derive(Debug)]
enum StoreMessage {
    Records(RecordBatch, Seats),
    Series(Arc<SeriesDelta>),
    Audit(Box<AuditEntry>),
    Kept(Box<pending::StoredRecord>),
}

/// The thread that writes, and the queue to it.
#[derive(Debug)]
pub struct Store {
    queue: Arc<SyncSender<StoreMessage>>,
    room: QueueRoom,
    thread: JoinHandle<()>,
    counters: Arc<Counters>,
    reader: StoreReader,
}

impl Store {
    /// Starts the writer thread. Problems with the file are logged by the thread and do not end it.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(options: StoreOptions, counters: Arc<Counters>, heartbeat: Heartbeat) -> io::Result<Self> {
        let report = StoreReport { path: options.path.clone(), state: StoreState::Starting, bytes: None, set_aside: None };
        let shared = Arc::new(SharedReport(Mutex::new(report)));
        let reader = StoreReader::of_running(options.path.clone(), options.retention, shared.clone());
        let (queue, messages) = sync_channel(limits::CONSUMER_QUEUE);
        let writer = StoreWriter {
            options,
            shared,
            counters: counters.clone(),
            pending: PendingWrites::default(),
            file: None,
            times: WriterTimes::default(),
        };
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || {
            let _run = heartbeat.run_here();
            writer.run(&messages);
        })?;
        Ok(Self { queue: Arc::new(queue), room: QueueRoom::new(limits::QUEUED_RECORDS), thread, counters, reader })
    }

    /// Queues records without waiting; counts those that do not fit.
    pub fn offer(&self, records: &RecordBatch) {
        let message = self.room.take(records.len()).map(|seats| StoreMessage::Records(records.clone(), seats));
        if message.is_none_or(|message| self.queue.try_send(message).is_err()) {
            self.counters.store_dropped.add(records.len() as u64);
        }
    }

    /// Queues what the series counted, without waiting.
    pub fn series(&self, delta: &Arc<SeriesDelta>) {
        if self.queue.try_send(StoreMessage::Series(delta.clone())).is_err() {
            self.counters.store_series_lost.add(delta.records);
        }
    }

    /// The audit trail, for those who note changes.
    pub fn audit_trail(&self) -> AuditTrail {
        AuditTrail { queue: Arc::downgrade(&self.queue), counters: self.counters.clone() }
    }

    /// The way for documents like reports.
    pub fn keeper(&self) -> DocumentKeeper {
        DocumentKeeper { queue: Arc::downgrade(&self.queue), counters: self.counters.clone() }
    }

    /// The reading side.
    pub fn reader(&self) -> StoreReader {
        self.reader.clone()
    }

    /// Writes what waits and ends.
    pub fn finish(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("The thread that writes the history panicked; its message is above.");
        }
    }
}
