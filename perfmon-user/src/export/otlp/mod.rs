//! Telemetry over OTLP/HTTP: metrics, spans and log records. One thread collects records into envelopes; one thread for each receiver and
//! signal delivers them, so that a receiver that hangs delays nothing else. All queues are bounded, and losses are counted.
mod attribute;
mod collector;
mod custom;
mod delivery;
mod envelope;
mod exponential;
mod failure;
mod identity;
mod instrument;
mod logs;
mod metrics;
pub(super) mod post;
mod provider;
mod queue;
mod resource;
mod spans;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::watch;

use self::collector::Collector;
pub use self::delivery::{Deliveries, TargetFigures};
pub use self::queue::DeliveryFigures;
use crate::aggregate::snapshot::Snapshot;
use crate::config::{Export, ExportTarget};
use crate::counters::Counters;
use crate::heartbeat::{Heartbeats, Patience};
use crate::limits;
use crate::record::{DegradedNow, QueueRoom, RecordBatch, Seats, WallTime};
use crate::series::SeriesDelta;

/// The end waits no longer for receivers.
const GRACE: Duration = Duration::from_secs(5);

/// The clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Wall time.
    pub wall: fn() -> WallTime,
    /// Nanoseconds of a monotonic clock.
    pub steady_ns: fn() -> u64,
}

/// The threads, and the queue to them.
#[derive(Debug)]
pub struct Exporter {
    queue: SyncSender<(RecordBatch, Seats)>,
    room: QueueRoom,
    /// Closed when everything is delivered.
    ended: Receiver<()>,
    deliveries: Deliveries,
    counters: Arc<Counters>,
    custom: custom::CustomSums,
}

impl Exporter {
    /// Starts the threads that send to `targets`.
    pub fn start(
        settings: &Export,
        targets: &[ExportTarget],
        snapshots: watch::Receiver<Arc<Snapshot>>,
        clocks: Clocks,
        counters: Arc<Counters>,
        stages: &Heartbeats,
        degraded: DegradedNow,
    ) -> io::Result<Self> {
        let (queue, batches) = sync_channel(limits::CONSUMER_QUEUE);
        let (running, ended) = sync_channel(0);
        let deliveries = Deliveries::start(targets, settings.queue_bytes, clocks, &counters, stages, running)?;
        let custom = custom::CustomSums::default();
        let collector = Collector::new(settings, deliveries.clone(), snapshots, clocks, counters.clone(), degraded, custom.clone());
        let heartbeat = stages.add("export", Patience::OUTSIDE);
        Builder::new().name("export".into()).spawn(move || {
            let _run = heartbeat.run_here();
            collector.run(&batches);
        })?;
        Ok(Self { queue, room: QueueRoom::new(limits::QUEUED_RECORDS), ended, deliveries, counters, custom })
    }

    /// Takes what the series counted: the business metrics in it.
    pub fn series(&self, delta: &SeriesDelta) {
        self.custom.add(delta);
    }

    /// Takes a batch without waiting; what does not fit into the queue is counted.
    pub fn offer(&self, batch: &RecordBatch) {
        let taken = self.room.take(batch.len()).is_some_and(|seats| self.queue.try_send((batch.clone(), seats)).is_ok());
        if !taken {
            self.counters.export_records_lost.add(batch.len() as u64);
        }
    }

    /// The deliveries, to report their state.
    pub fn deliveries(&self) -> Deliveries {
        self.deliveries.clone()
    }

    /// Sends what there is and ends; receivers that do not answer get this much time, at most five seconds.
    pub fn finish(self, grace: Duration) {
        drop(self.queue);
        if self.ended.recv_timeout(grace.min(GRACE)) == Err(RecvTimeoutError::Timeout) {
            let lost: u64 = self.deliveries.figures().iter().map(|target| target.figures.queued).sum();
            tracing::error!(lost, "A telemetry receiver does not answer; what is queued for it is lost.");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
