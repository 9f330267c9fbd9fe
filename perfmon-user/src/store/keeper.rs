//! The way of finished documents into the history, like reports: entries from any thread; out: messages to the writer, which writes them at
//! once. It does not keep the writer alive.
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};

use super::StoreMessage;
use super::pending::StoredRecord;
use crate::counters::Counters;
use crate::record::WallTime;

/// Takes documents.
#[derive(Clone, Debug)]
pub struct DocumentKeeper {
    pub(super) queue: Weak<SyncSender<StoreMessage>>,
    pub(super) counters: Arc<Counters>,
}

impl DocumentKeeper {
    /// Queues a document as a record of a kind at a time, without waiting; counts the one that does not fit. Returns whether it fitted.
    pub fn keep(&self, kind: &'static str, time: WallTime, json: String) -> bool {
        let record = Box::new(StoredRecord { time_ns: time.0, kind, json });
        let queued = self.queue.upgrade().is_some_and(|queue| queue.try_send(StoreMessage::Kept(record)).is_ok());
        if !queued {
            self.counters.store_dropped.inc();
        }
        queued
    }
}
