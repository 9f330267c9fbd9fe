//! Cumulative series for `/metrics`, counted from request records: Prometheus needs counters that only grow, unlike the sliding windows of
//! the snapshot. The number of label sets is bounded; the rest is counted in one overflow series for each side.
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::counters::Counters;
use crate::limits;
use crate::record::{Failure, Quality, Record, Request, Side};

/// Upper bounds of the buckets in seconds, as the semantic conventions for HTTP advise.
pub(super) const BOUNDS_S: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const BOUNDS_NS: [u64; 14] = [
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];
const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];
const OVERFLOW: &str = "(other)";

/// What a series is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LatencyLabels {
    pub service: Arc<str>,
    /// Server: endpoint; client: destination.
    pub target: Option<Arc<str>>,
    pub method: Option<&'static str>,
    pub status: Option<u16>,
    pub error: Option<Failure>,
}

/// Latencies in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct LatencyBuckets {
    /// In each bucket, not cumulative; the last is above all bounds.
    pub buckets: [u64; 15],
    /// Of all values.
    pub sum_ns: u64,
}

impl LatencyBuckets {
    fn add(&mut self, nanoseconds: u64) {
        self.buckets[BOUNDS_NS.partition_point(|bound| *bound < nanoseconds)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(nanoseconds);
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// One side's series.
pub(super) type LatencyTable = FxHashMap<LatencyLabels, LatencyBuckets>;

/// All series.
#[derive(Default)]
pub(super) struct LatencySeries(Mutex<LatencyTables>);

/// The cumulative tables.
#[derive(Clone, Debug, Default)]
pub(super) struct LatencyTables {
    pub server: LatencyTable,
    pub client: LatencyTable,
    /// Exchanges by side and quality, those without a latency too.
    pub exchanges: FxHashMap<(Side, Quality), u64>,
}

impl LatencySeries {
    /// Counts the requests of a batch.
    pub fn count(&self, batch: &[Record], counters: &Counters) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = batch.iter().filter_map(|record| match record {
            Record::Request(request) if request.counts() => Some(request),
            _ => None,
        });
        for request in requests {
            *tables.exchanges.entry((request.side, request.quality)).or_default() += 1;
            let table = match request.side {
                Side::Server => &mut tables.server,
                Side::Client => &mut tables.client,
            };
            let Some(latency) = request.latency() else { continue };
            let mut labels = labels(request);
            if table.len() >= limits::METRIC_SERIES && !table.contains_key(&labels) {
                labels = LatencyLabels { service: OVERFLOW.into(), target: None, method: None, status: None, error: None };
                counters.metric_series_overflowed.inc();
            }
            table.entry(labels).or_default().add(latency.0);
        }
    }

    /// A copy to write from.
    pub fn tables(&self) -> LatencyTables {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn labels(request: &Request) -> LatencyLabels {
    LatencyLabels {
        service: request.origin.service.clone(),
        target: match request.side {
            Side::Server => request.endpoint.clone(),
            Side::Client => request.destination.clone(),
        },
        method: request.method.as_deref().map(|method| METHODS.into_iter().find(|known| *known == method).unwrap_or("_OTHER")),
        status: request.status_code,
        error: request.error,
    }
}
