//! The metrics of an interval as a piece of the benchmark of `app::record_cost`.
use super::sample::BEGIN;
use crate::export::otlp::metrics::{HostState, IntervalMetrics};
use crate::export::otlp::resource::{Common, Resources};
use crate::record::{Gauges, RecordBatch, WallTime};

/// The metrics.
pub(crate) struct MetricsBench {
    metrics: IntervalMetrics,
    resources: Resources,
}

impl Default for MetricsBench {
    fn default() -> Self {
        let resources = Resources::new(Common { own_service: "perfmon".into(), ..Common::default() });
        Self { metrics: IntervalMetrics::new(WallTime(BEGIN), resources.host()), resources }
    }
}

impl MetricsBench {
    /// Counts a batch.
    pub fn push(&mut self, batch: &RecordBatch) {
        batch.iter().for_each(|record| self.metrics.add(record));
    }

    /// Ends an interval.
    pub fn take(&mut self, now: WallTime) {
        let state = HostState { processes: None, degraded: 0 };
        drop(self.metrics.take(now, &Gauges::default(), state, &mut self.resources));
    }
}
