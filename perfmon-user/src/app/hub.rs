//! The task that owns the aggregate: takes batches of records from its bounded channel, publishes a snapshot each second, and passes the
//! records to all consumers. It never waits for a consumer, which takes a batch at once or counts it as lost.
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::aggregate::Aggregate;
use crate::aggregate::snapshot::Snapshot;
use crate::clock;
use crate::counters::Counters;
use crate::export::{jsonl, otlp};
use crate::http::HttpState;
use crate::record::{Gauges, Record, RecordBatch, SpareBatches};
use crate::store::Store;

/// What producers send: capture, the host sampler.
#[derive(Debug, Default)]
pub struct Batch {
    /// Finished records.
    pub records: Vec<Record>,
    /// Requests in flight, once a second.
    pub gauges: Option<Gauges>,
}

/// A receiver of records.
pub trait Consumer: Send {
    /// Takes records without waiting; has a bounded queue of its own and counts what it refuses.
    fn take(&mut self, records: &RecordBatch);
    /// Takes the requests in flight, once a second, without waiting.
    fn gauges(&mut self, _: &Gauges) {}
    /// Called at the end: writes out what is queued. May block.
    fn finish(self: Box<Self>) {}
}

impl Consumer for Arc<HttpState> {
    fn take(&mut self, records: &RecordBatch) {
        self.push(records);
    }
}

impl Consumer for Store {
    fn take(&mut self, records: &RecordBatch) {
        self.offer(records);
    }

    fn gauges(&mut self, gauges: &Gauges) {
        Store::gauges(self, gauges);
    }

    fn finish(self: Box<Self>) {
        (*self).finish();
    }
}

impl Consumer for jsonl::JsonlWriter {
    fn take(&mut self, records: &RecordBatch) {
        self.offer(records);
    }

    fn finish(self: Box<Self>) {
        (*self).finish();
    }
}

impl Consumer for otlp::Exporter {
    fn take(&mut self, records: &RecordBatch) {
        self.offer(records);
    }

    fn finish(self: Box<Self>) {
        (*self).finish();
    }
}

/// The hub's ends.
pub struct Hub {
    /// What producers send.
    pub batches: mpsc::Receiver<Batch>,
    /// Where snapshots are published.
    pub snapshots: watch::Sender<Arc<Snapshot>>,
    /// Receivers of records.
    pub consumers: Vec<Box<dyn Consumer>>,
    /// Where memory of batches goes that hold little.
    pub spare: Arc<SpareBatches>,
    /// Where losses are counted.
    pub counters: Arc<Counters>,
}

impl Hub {
    /// Runs until all producers are gone and everything they sent is passed on.
    pub async fn run(mut self, mut aggregate: Aggregate) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                batch = self.batches.recv() => match batch {
                    Some(batch) => self.take(&mut aggregate, batch),
                    None => break,
                },
                _ = second.tick() => self.tick(&mut aggregate),
            }
        }
        self.tick(&mut aggregate);
        for consumer in self.consumers {
            // Fails only when the runtime is already shutting down.
            tokio::task::spawn_blocking(|| consumer.finish()).await.ok();
        }
    }

    fn take(&mut self, aggregate: &mut Aggregate, mut batch: Batch) {
        for record in &mut batch.records {
            aggregate.add(record);
        }
        if let Some(gauges) = batch.gauges {
            self.consumers.iter_mut().for_each(|consumer| consumer.gauges(&gauges));
            aggregate.gauges(gauges);
        }
        self.publish(batch.records);
    }

    fn tick(&mut self, aggregate: &mut Aggregate) {
        let ticked = aggregate.tick(clock::wall_now());
        self.counters.endpoints_overflowed.add(ticked.endpoints_overflowed);
        self.counters.rows_overflowed.add(ticked.rows_overflowed);
        self.publish(ticked.findings.into_iter().map(|finding| Record::Finding(Box::new(finding))).collect());
        self.snapshots.send_replace(ticked.snapshot);
    }

    fn publish(&mut self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        let published = Arc::new(self.spare.fitted(records));
        for consumer in &mut self.consumers {
            consumer.take(&published);
        }
    }
}
