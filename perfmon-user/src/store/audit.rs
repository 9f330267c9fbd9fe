//! The way of the audit trail into the history. In: entries from any thread; out: messages to the writer, which writes them at once. It does not
//! keep the writer alive.
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};

use super::StoreMessage;
use crate::counters::Counters;
use crate::record::AuditEntry;

/// Takes entries of the audit trail.
#[derive(Clone, Debug)]
pub struct AuditTrail {
    pub(super) queue: Weak<SyncSender<StoreMessage>>,
    pub(super) counters: Arc<Counters>,
}

impl AuditTrail {
    /// Queues an entry without waiting; counts the one that does not fit.
    pub fn push(&self, entry: AuditEntry) {
        let queued = self.queue.upgrade().is_some_and(|queue| queue.try_send(StoreMessage::Audit(Box::new(entry))).is_ok());
        if !queued {
            self.counters.store_dropped.inc();
        }
    }
}
