//! The task that owns the aggregate: takes batches of records from its bounded channel, publishes a snapshot each second, and passes the
//! records to all consumers. It never waits for a consumer, which takes a batch at once or counts it as lost.
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::aggregate::Aggregate;
use crate::aggregate::snapshot::Snapshot;
use crate::clock;
use crate::counters::Counters;
use crate::export::{jsonl, otlp};
use crate::heap::HeapKeeper;
use crate::heartbeat::{BEAT, Heartbeat, Heartbeats, Patience};
use crate::http::HttpState;
use crate::record::custom::CustomMetrics;
use crate::record::{Gauges, Record, RecordBatch, Seats, Side, SpareBatches};
use crate::series::{SeriesDelta, SeriesFeed};
use crate::store::Store;

use super::ending::EndBudget;
use super::supervisor::SupervisorCheck;

/// Grace of consumers when nobody set one.
const UNLIMITED: Duration = Duration::from_secs(60);
/// A consumer that keeps within its grace has ended by then.
const MARGIN: Duration = Duration::from_millis(100);

/// What producers send: capture, the host sampler.
#[derive(Debug, Default)]
pub struct Batch {
    /// Finished records.
    pub records: Vec<Record>,
    /// Requests in flight, once a second.
    pub gauges: Option<Gauges>,
    /// Its seats in the queue, when it is of the capture thread.
    pub seats: Option<Seats>,
}

/// A receiver of records.
pub trait Consumer: Send {
    /// Takes records without waiting; has a bounded queue of its own and counts what it refuses.
    fn take(&mut self, records: &RecordBatch);
    /// Takes what the series counted, once a second, without waiting.
    fn series(&mut self, _: &Arc<SeriesDelta>) {}
    /// Called at the end: writes out what is queued, within the grace as far as it can. May block.
    fn finish(self: Box<Self>, _grace: Duration) {}
}

impl Consumer for Arc<HttpState> {
    fn take(&mut self, records: &RecordBatch) {
        self.push(records);
    }

    fn series(&mut self, delta: &Arc<SeriesDelta>) {
        HttpState::series(self, delta);
    }
}

impl Consumer for Store {
    fn take(&mut self, records: &RecordBatch) {
        self.offer(records);
    }

    fn series(&mut self, delta: &Arc<SeriesDelta>) {
        Store::series(self, delta);
    }

    fn finish(self: Box<Self>, _grace: Duration) {
        (*self).finish();
    }
}

impl Consumer for jsonl::JsonlWriter {
    fn take(&mut self, records: &RecordBatch) {
        self.offer(records);
    }

    fn finish(self: Box<Self>, grace: Duration) {
        (*self).finish(grace);
    }
}

impl Consumer for otlp::Exporter {
    fn take(&mut self, records: &RecordBatch) {
        self.offer(records);
    }

    fn series(&mut self, delta: &Arc<SeriesDelta>) {
        otlp::Exporter::series(self, delta);
    }

    fn finish(self: Box<Self>, grace: Duration) {
        (*self).finish(grace);
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
    /// How long consumers may take at the end; set before the producers end.
    pub budget: Arc<OnceLock<EndBudget>>,
    /// Requests so far.
    pub requests: RequestCount,
    /// Where each record is taken apart into its series.
    pub feed: SeriesFeed,
    /// The configured business metrics, as they change.
    pub custom: watch::Receiver<CustomMetrics>,
    /// What the supervisor looks at.
    pub pulse: HubPulse,
    /// The supervisor, which the hub looks at.
    pub check: SupervisorCheck,
}

/// Heartbeats of the hub.
#[derive(Debug)]
pub struct HubPulse {
    /// Of the task.
    pub hub: Heartbeat,
    /// Gauges arrive from the capture thread.
    pub hand_over: Heartbeat,
    /// Snapshots are published.
    pub snapshot: Heartbeat,
}

impl HubPulse {
    /// Stages of a run.
    pub fn new(stages: &Heartbeats) -> Self {
        Self {
            hub: stages.add("hub", Patience::STEADY),
            hand_over: stages.add("hand-over", Patience::FLOW),
            snapshot: stages.add("snapshot", Patience::FLOW),
        }
    }
}

/// Requests of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCount {
    /// Answered by programs on this host.
    pub served: u64,
    /// Made by programs on this host.
    pub made: u64,
}

impl RequestCount {
    fn add(&mut self, records: &[Record]) {
        for record in records {
            match record {
                // The whole life of a connection whose handshake counted.
                Record::Request(request) if request.protocol == "websocket" => {}
                Record::Request(request) if request.side == Side::Server => self.served += 1,
                Record::Request(_) => self.made += 1,
                _ => {}
            }
        }
    }
}

impl Hub {
    /// Runs until all producers are gone and everything they sent is passed on.
    pub async fn run(mut self, mut aggregate: Aggregate) -> RequestCount {
        let HubPulse { hub, hand_over, snapshot } = &self.pulse;
        let _runs = (hub.run_as_task(), hand_over.run_as_task(), snapshot.run_as_task());
        self.feed.set_custom(&self.custom.borrow_and_update());
        let mut heap = HeapKeeper::default();
        let mut pulse = tokio::time::interval(BEAT);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The host's first sample, where it is sampled: the first snapshot has it.
        if let Ok(batch) = self.batches.try_recv() {
            self.take(&mut aggregate, batch);
        }
        loop {
            self.pulse.hub.beat();
            tokio::select! {
                _ = pulse.tick() => self.check.look(),
                batch = self.batches.recv() => match batch {
                    // Thousands of batches may wait after an overload; the end does not wait for them.
                    Some(_) if self.budget.get().is_some_and(EndBudget::is_nearly_over) => self.counters.batches_dropped.inc(),
                    Some(batch) => self.take(&mut aggregate, batch),
                    None => break,
                },
                _ = second.tick() => {
                    self.tick(&mut aggregate);
                    heap.tick();
                }
            }
        }
        self.tick(&mut aggregate);
        let grace = self.budget.get().map_or(UNLIMITED, EndBudget::left);
        let ends = self.consumers.into_iter().map(|consumer| tokio::task::spawn_blocking(move || consumer.finish(grace)));
        if tokio::time::timeout(grace + MARGIN, join_all(ends)).await.is_err() {
            tracing::error!("An output could not write everything in time; its last records are lost.");
        }
        self.requests
    }

    fn take(&mut self, aggregate: &mut Aggregate, mut batch: Batch) {
        let _seats = batch.seats.take();
        for record in &mut batch.records {
            aggregate.add(record);
        }
        if let Some(gauges) = batch.gauges {
            self.pulse.hand_over.beat();
            self.feed.gauges(&gauges);
            aggregate.gauges(gauges);
        }
        self.requests.add(&batch.records);
        self.publish(batch.records);
    }

    fn tick(&mut self, aggregate: &mut Aggregate) {
        aggregate.degraded(self.check.degraded());
        let ticked = aggregate.tick(clock::wall_now());
        self.counters.endpoints_overflowed.add(ticked.endpoints_overflowed);
        self.counters.rows_overflowed.add(ticked.rows_overflowed);
        self.publish(ticked.findings.into_iter().map(|finding| Record::Finding(Box::new(finding))).collect());
        self.feed.lost(ticked.snapshot.time, ticked.lost);
        if self.custom.has_changed().unwrap_or(false) {
            self.feed.set_custom(&self.custom.borrow_and_update());
        }
        let delta = self.feed.take(ticked.snapshot.time);
        self.counters.custom_series_overflowed.add(self.feed.take_custom_overflowed());
        self.consumers.iter_mut().for_each(|consumer| consumer.series(&delta));
        self.snapshots.send_replace(ticked.snapshot);
        self.pulse.snapshot.beat();
    }

    fn publish(&mut self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        records.iter().for_each(|record| self.feed.add(record));
        let published = Arc::new(self.spare.fitted(records));
        for consumer in &mut self.consumers {
            consumer.take(&published);
        }
    }
}
