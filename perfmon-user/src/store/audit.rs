//! The way of the audit trail and of silences into the history. In: entries from any thread; out: messages to the writer, which writes them at once. It does not
//! keep the writer alive.
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};

use serde::Serialize;

use super::StoreMessage;
use super::pending::{PendingWrites, StoredRecord};
use crate::counters::Counters;
use crate::record::{AuditEntry, WallTime};

/// Takes entries of the audit trail.
#[derive(Clone, Debug)]
pub struct AuditTrail {
    pub(super) queue: Weak<SyncSender<StoreMessage>>,
    pub(super) counters: Arc<Counters>,
}

impl AuditTrail {
    /// Queues an entry without waiting; counts the one that does not fit.
    pub fn push(&self, entry: AuditEntry) {
        self.send(StoreMessage::Audit(Box::new(entry)));
    }

    /// Queues a record of another kind, found at this time, without waiting; counts the one that does not fit.
    pub fn keep(&self, kind: &'static str, time: WallTime, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(json) => self.send(StoreMessage::Kept(Box::new(StoredRecord { time_ns: time.0, kind, json }))),
            Err(_) => self.counters.store_dropped.inc(),
        }
    }

    fn send(&self, message: StoreMessage) {
        if self.queue.upgrade().is_none_or(|queue| queue.try_send(message).is_err()) {
            self.counters.store_dropped.inc();
        }
    }
}

impl PendingWrites {
    /// Takes a record that is written at once.
    pub(super) fn keep_at_once(&mut self, record: StoredRecord) {
        self.records += 1;
        self.urgent = true;
        self.kept.push(record);
    }
}
