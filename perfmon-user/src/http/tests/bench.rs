//! The series of `/metrics` as a piece of the benchmark of `app::record_cost`.
use crate::counters::Counters;
use crate::http::kind_series::KindSeries;
use crate::http::sample_series::SampleSeries;
use crate::http::series::LatencySeries;
use crate::record::RecordBatch;
use crate::series::SeriesDelta;

/// The series.
#[derive(Default)]
pub(crate) struct SeriesBench {
    series: LatencySeries,
    kinds: KindSeries,
    samples: SampleSeries,
    counters: Counters,
}

impl SeriesBench {
    /// Counts some seconds.
    pub fn count(&self, seconds: &[Vec<RecordBatch>], deltas: &[std::sync::Arc<SeriesDelta>]) {
        seconds.iter().flatten().for_each(|batch| self.samples.count(batch));
        for delta in deltas {
            self.series.count(delta, &self.counters);
            self.kinds.count(delta, &self.counters);
        }
    }
}
