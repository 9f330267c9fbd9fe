//! The thread that collects: records become metrics of an interval, spans and log records, and these become envelopes.
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::sync::watch;

use super::Clocks;
use super::custom::{CustomIntervals, CustomSums};
use super::delivery::Deliveries;
use super::envelope::{SignalRequest, pack};
use super::logs::Logs;
use super::metrics::{HostState, IntervalMetrics};
use super::resource::{Common, Resources};
use super::spans::Spans;
use crate::aggregate::snapshot::Snapshot;
use crate::config::Export;
use crate::counters::Counters;
use crate::heartbeat::{self, BEAT};
use crate::record::{DegradedNow, Record, RecordBatch, Seats};

/// How often spans and log records are sent.
const EVENTS_INTERVAL: Duration = Duration::from_secs(2);

/// What the thread owns.
pub struct Collector {
    resources: Resources,
    metrics: IntervalMetrics,
    custom: CustomIntervals,
    /// `None` when only metrics are exported.
    spans: Option<Spans>,
    logs: Logs,
    deliveries: Deliveries,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    degraded: DegradedNow,
    interval: Duration,
    clocks: Clocks,
    counters: Arc<Counters>,
}

impl Collector {
    /// Nothing collected yet.
    pub fn new(
        settings: &Export,
        deliveries: Deliveries,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        clocks: Clocks,
        counters: Arc<Counters>,
        degraded: DegradedNow,
        custom: CustomSums,
    ) -> Self {
        let resources = Resources::new(Common {
            host: host_name(),
            environment: settings.environment.clone(),
            own_service: settings.service_name.as_str().into(),
            attributes: settings.resource_attributes.clone(),
        });
        let metrics = IntervalMetrics::new((clocks.wall)(), resources.host());
        let custom = CustomIntervals::new(custom, (clocks.wall)());
        let spans = (!settings.metrics_only).then(|| Spans::new(settings.span_rate));
        Self {
            resources,
            metrics,
            custom,
            spans,
            logs: Logs::default(),
            deliveries,
            snapshots,
            degraded,
            interval: settings.interval,
            clocks,
            counters,
        }
    }

    /// Collects until the sender of the batches is dropped, then sends the rest.
    pub fn run(mut self, batches: &Receiver<(RecordBatch, Seats)>) {
        let (mut metrics_due, mut events_due) = (self.steady() + self.interval, self.steady() + EVENTS_INTERVAL);
        loop {
            heartbeat::beat();
            match batches.recv_timeout(metrics_due.min(events_due).saturating_sub(self.steady()).min(BEAT)) {
                Ok((batch, _seats)) => self.take(&batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = self.steady();
            if now >= events_due {
                self.send_events();
                events_due = now + EVENTS_INTERVAL;
            }
            if now >= metrics_due {
                self.send_metrics();
                metrics_due = now.max(metrics_due + self.interval);
            }
        }
        self.send_events();
        self.send_metrics();
        self.deliveries.close();
    }

    fn steady(&self) -> Duration {
        Duration::from_nanos((self.clocks.steady_ns)())
    }

    fn take(&mut self, batch: &[Record]) {
        for record in batch {
            if let Record::Process(process) = record {
                self.resources.learn(process);
            }
            self.metrics.add(record);
        }
        if let Some(spans) = &mut self.spans {
            spans.add(batch);
        }
        self.logs.add(batch, (self.clocks.wall)());
    }

    fn send_events(&mut self) {
        if let Some(spans) = &mut self.spans {
            let (resource_spans, left_out) = spans.take(&mut self.resources);
            self.counters.export_spans_left_out.add(left_out);
            self.send(ExportTraceServiceRequest { resource_spans });
        }
        let resource_logs = self.logs.take(&mut self.resources);
        self.send(ExportLogsServiceRequest { resource_logs });
    }

    fn send_metrics(&mut self) {
        let gauges = self.snapshots.borrow().gauges.clone();
        let state = HostState { processes: processes(), degraded: (self.degraded)().len() as u64 };
        let (mut resource_metrics, overflowed) = self.metrics.take((self.clocks.wall)(), &gauges, state, &mut self.resources);
        resource_metrics.extend(self.custom.end((self.clocks.wall)(), &mut self.resources));
        self.counters.export_series_overflowed.add(overflowed);
        self.send(ExportMetricsServiceRequest { resource_metrics });
    }

    fn send<R: SignalRequest>(&self, request: R) {
        pack(request).iter().for_each(|envelope| self.deliveries.push(envelope));
    }
}

/// The host's name, as the kernel has it.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_string()).unwrap_or_default()
}

/// How many processes the host has.
fn processes() -> Option<u64> {
    let names = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok).map(|entry| entry.file_name());
    Some(names.filter(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit)).count() as u64)
}
