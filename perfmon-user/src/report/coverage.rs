//! How much of the period the data covers: the time that perfmon watched, its longest gap, and how many requests were seen whole. Figures of
//! the host are there for each second that was watched, so their intervals add up to it.
use serde::{Deserialize, Serialize};

use super::collect::{field, whole};
use crate::record::metric::{RecordKind, Statistic};
use crate::store::Cell;

/// Coverage of a period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataCoverage {
    /// Seconds that perfmon observed the host.
    pub watched_s: f64,
    /// Of the period, 0..1.
    pub watched_share: f64,
    /// Longest time without any data in seconds, to a step of the charts.
    pub longest_gap_s: u64,
    /// Requests that were seen whole, 0..1.
    pub exact_share: Option<f64>,
    /// Requests that came and were not seen, as the kernel side counted them.
    #[serde(default)]
    pub lost_requests: u64,
    /// Model calls without a known price.
    pub unpriced_calls: u64,
}

impl DataCoverage {
    /// Share of all requests that were not seen, 0..1; `seen` were.
    pub fn lost_share(&self, seen: u64) -> f64 {
        self.lost_requests as f64 / (self.lost_requests + seen).max(1) as f64
    }
}

/// The coverage. `host` are the host's samples, `cpu` their course, `requests` all requests and `unpriced` model calls without a price.
pub fn coverage(seconds: u64, host: &Cell, requests: &Cell, unpriced: u64, cpu: &[Option<f64>], step_s: u64) -> DataCoverage {
    let watched = field(host, RecordKind::System, "interval_ms", Statistic::Sum).unwrap_or(0.0) / 1_000.0;
    let gap = cpu.split(Option::is_some).map(<[_]>::len).max().unwrap_or(0) as u64;
    let exact = whole(requests, RecordKind::Request, "exact") as f64 / requests.count as f64;
    DataCoverage {
        watched_s: watched.round(),
        watched_share: (watched / seconds as f64).min(1.0),
        longest_gap_s: gap * step_s,
        lost_requests: whole(requests, RecordKind::Request, "lost"),
        exact_share: (requests.count > 0).then(|| exact.min(1.0)),
        unpriced_calls: unpriced,
    }
}
