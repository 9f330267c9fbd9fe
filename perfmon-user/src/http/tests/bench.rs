//! The series of `/metrics` as a piece of the benchmark of `app::record_cost`.
use crate::counters::Counters;
use crate::http::custom_series::CustomSeries;
use crate::http::kind_series::KindSeries;
use crate::http::sample_series::SampleSeries;
use crate::http::series::LatencySeries;
use crate::record::custom::CustomMetrics;
use crate::record::{Record, RecordBatch};
use crate::series::SeriesDelta;

/// The series.
#[derive(Default)]
pub(crate) struct SeriesBench {
    series: LatencySeries,
    kinds: KindSeries,
    custom: CustomSeries,
    samples: SampleSeries,
    counters: Counters,
}

impl SeriesBench {
    /// As `HttpState::push`.
    pub fn push(&self, batch: &RecordBatch) {
        if batch.iter().any(|record| !matches!(record, Record::Request(_))) {
            self.samples.count(batch);
        }
    }

    /// As `HttpState::series`.
    pub fn series(&self, delta: &SeriesDelta) {
        self.series.count(delta, &self.counters);
        self.kinds.count(delta, &self.counters);
        self.custom.add(delta, &CustomMetrics::default(), &self.counters);
    }
}
