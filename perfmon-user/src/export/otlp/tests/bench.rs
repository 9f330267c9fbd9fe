//! The metrics of an interval as a piece of the benchmark of `app::record_cost`.
use std::sync::Arc;

use super::sample::BEGIN;
use crate::export::otlp::metrics::IntervalMetrics;
use crate::export::otlp::resource::{Common, Resources};
use crate::record::{RecordBatch, WallTime};
use crate::series::SeriesDelta;

/// The metrics.
pub(crate) struct MetricsBench(IntervalMetrics);

impl Default for MetricsBench {
    fn default() -> Self {
        let resources = Resources::new(Common { own_service: "perfmon".into(), ..Common::default() });
        Self(IntervalMetrics::new(WallTime(BEGIN), resources.host()))
    }
}

impl MetricsBench {
    /// Counts some seconds.
    pub fn count(&mut self, seconds: &[Vec<RecordBatch>], _: &[Arc<SeriesDelta>]) {
        seconds.iter().flatten().flat_map(|batch| batch.iter()).for_each(|record| self.0.add(record));
    }
}
