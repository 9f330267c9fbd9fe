//! The writer thread: collects records, writes them about once a second and alerts at once, and maintains the file. A file that cannot be
//! written is logged once and retried; a damaged one is moved aside and a new one created. Capture never waits for this thread.
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use super::pending::PendingWrites;
use super::rollup::Rollup;
use super::schema::{self, StoreError};
use super::{SharedReport, StoreMessage, StoreOptions, StoreState, retention};
use crate::counters::Counters;
use crate::heartbeat::{self, BEAT};

/// Time between two transactions when no delta of the series comes, which is written at once.
const FLUSH_NS: u64 = 2_000_000_000;
/// Interval of the checks of age and size.
const TIDY_S: u64 = 60;
/// Interval of moves into blocks when there was nothing to move.
const PACK_S: u64 = 60;
/// Every n-th check also removes series without cells.
const SWEEP_EVERY: u64 = 60;
/// Delay before a file that could not be written is tried again.
const RETRY_S: u64 = 30;

pub struct StoreWriter {
    pub options: StoreOptions,
    pub shared: Arc<SharedReport>,
    pub counters: Arc<Counters>,
    pub pending: PendingWrites,
    /// None: it could not be opened, or failed.
    pub file: Option<Rollup>,
    pub times: WriterTimes,
}

/// Wall time of the last run of each periodic task.
#[derive(Debug, Default)]
pub struct WriterTimes {
    flushed_ns: u64,
    tidied_s: u64,
    tidied: u64,
    packed_s: u64,
    failed_s: Option<u64>,
}

impl StoreWriter {
    pub fn run(mut self, queue: &Receiver<StoreMessage>) {
        self.open();
        loop {
            heartbeat::beat();
            match queue.recv_timeout(BEAT) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now_ns = (self.options.now)().0;
            if self.pending.urgent || now_ns.abs_diff(self.times.flushed_ns) >= FLUSH_NS {
                self.times.flushed_ns = now_ns;
                self.flush(now_ns / 1_000_000_000);
            }
        }
        self.times.failed_s = None;
        self.flush((self.options.now)().0 / 1_000_000_000);
        self.drop_pending();
    }

    fn take(&mut self, message: StoreMessage) {
        match message {
            StoreMessage::Records(records, _seats) => self.pending.add(&records),
            StoreMessage::Series(delta) => {
                self.pending.series(&delta);
                // It comes once a second, after its records: both are written together.
                self.times.flushed_ns = 0;
            }
            StoreMessage::Audit(entry) => self.pending.audit(&entry),
            StoreMessage::Kept(record) => self.pending.keep_at_once(*record),
        }
        if self.pending.is_full() {
            self.drop_pending();
        }
    }

    /// Drops the pending data and counts it as lost.
    fn drop_pending(&mut self) {
        let dropped = std::mem::take(&mut self.pending);
        self.counters.store_dropped.add(dropped.records);
    }

    fn open(&mut self) {
        let opened = match schema::open(&self.options.path) {
            Err(error) if error.is_damage() => self.begin_anew(&error),
            opened => opened,
        };
        match opened {
            Ok(db) => self.file = Some(Rollup::new(db)),
            Err(error) => self.failed(&error),
        }
    }

    fn begin_anew(&mut self, error: &StoreError) -> Result<rusqlite::Connection, StoreError> {
        self.file = None;
        let path = &self.options.path;
        let aside = schema::set_aside(path).map_err(|source| StoreError::File { path: path.clone(), source })?;
        tracing::warn!(%error, path = %path.display(), aside = %aside.display(), "The history on disk is damaged; it was moved aside and a new one was started.");
        self.shared.set_aside(&aside);
        schema::open(path)
    }

    fn flush(&mut self, now_s: u64) {
        if self.file.is_none() {
            if self.times.failed_s.is_some_and(|failed| now_s.abs_diff(failed) < RETRY_S) {
                return;
            }
            self.open();
        }
        let Some(file) = &mut self.file else { return };
        let result = write(file, &mut self.pending, &self.counters, now_s).and_then(|()| self.tidy(now_s)).and_then(|()| self.pack(now_s));
        match result {
            Ok(()) => self.succeeded(),
            Err(error) => {
                self.file = None;
                if error.is_damage() {
                    match self.begin_anew(&error) {
                        Ok(db) => self.file = Some(Rollup::new(db)),
                        Err(error) => self.failed(&error),
                    }
                } else {
                    self.times.failed_s = Some(now_s);
                    self.failed(&error);
                }
            }
        }
    }

    /// Now and then: age, size, and whether the file is still where it was.
    fn tidy(&mut self, now_s: u64) -> Result<(), StoreError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if now_s.abs_diff(self.times.tidied_s) < TIDY_S {
            return Ok(());
        }
        self.times.tidied_s = now_s;
        self.times.tidied += 1;
        if !self.options.path.exists() {
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, "the file is gone; a new one was started");
            return Err(StoreError::File { path: self.options.path.clone(), source });
        }
        retention::expire(file.connection(), now_s, &self.options.retention)?;
        self.counters.store_pruned.add(retention::shrink(file.connection(), self.options.max_bytes)?);
        if self.times.tidied % SWEEP_EVERY == 1 {
            retention::sweep(file.connection())?;
            file.forget();
        }
        self.shared.set_bytes(retention::used_bytes(file.connection())?);
        Ok(())
    }

    /// Moves settled cells and records into blocks, a transaction each time, so that the queue does not wait long.
    fn pack(&mut self, now_s: u64) -> Result<(), StoreError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if now_s.abs_diff(self.times.packed_s) < PACK_S {
            return Ok(());
        }
        let moved = file.pack(now_s)?;
        self.counters.store_cells_damaged.add(moved.damaged);
        // There may be more to move.
        self.times.packed_s = if moved.is_nothing() { now_s } else { 0 };
        Ok(())
    }

    fn succeeded(&mut self) {
        self.times.failed_s = None;
        if self.shared.set_state(StoreState::Ok) {
            tracing::info!(path = %self.options.path.display(), lost = self.counters.store_dropped.get(), "History is written to disk.");
        }
    }

    fn failed(&mut self, error: &StoreError) {
        self.times.failed_s.get_or_insert((self.options.now)().0 / 1_000_000_000);
        if self.shared.set_state(StoreState::Degraded { reason: error.to_string() }) {
            tracing::warn!(%error, path = %self.options.path.display(), "History cannot be written to disk; perfmon retries every 30 s and keeps working otherwise.");
        }
    }
}

fn write(file: &mut Rollup, pending: &mut PendingWrites, counters: &Counters, now_s: u64) -> Result<(), StoreError> {
    if !pending.is_empty() {
        let wrote = file.write(pending)?;
        counters.store_cells_damaged.add(wrote.damaged);
        counters.rows_overflowed.add(wrote.overflowed);
        counters.store_requests_skipped.add(pending.skipped);
    }
    *pending = PendingWrites::default();
    file.complete(now_s)
}
