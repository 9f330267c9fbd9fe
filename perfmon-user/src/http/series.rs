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

    fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(mine, its)| *mine += its);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
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

/// The labels of a request within a batch: addresses of the texts in `LatencyLabels`, which the batch keeps alive, and the other labels.
type Alike = (Side, [usize; 3], Option<u16>, Option<Failure>);

/// The cumulative tables.
#[derive(Clone, Debug, Default)]
pub(super) struct LatencyTables {
    pub server: LatencyTable,
    pub client: LatencyTable,
    /// Exchanges by side and quality, those without a latency too.
    pub exchanges: FxHashMap<(Side, Quality), u64>,
    /// Connections that could not be opened.
    pub attempts: FxHashMap<LatencyLabels, u64>,
}

impl LatencySeries {
    /// Counts the requests of a batch.
    pub fn count(&self, batch: &[Record], counters: &Counters) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Most requests of a batch are alike: they are added up first, so that a series is looked up once a batch.
        let mut alike: FxHashMap<Alike, (&Request, LatencyBuckets)> = FxHashMap::default();
        let mut exchanges = [[0; 3]; 2];
        let requests = batch.iter().filter_map(|record| match record {
            Record::Request(request) if request.counts() => Some(request),
            _ => None,
        });
        for request in requests {
            if request.is_attempt() {
                tables.attempt(request, counters);
                continue;
            }
            exchanges[request.side as usize][request.quality as usize] += 1;
            if let Some(latency) = request.latency() {
                alike.entry(alike_as(request)).or_insert_with(|| (request, LatencyBuckets::default())).1.add(latency.0);
            }
        }
        for side in [Side::Server, Side::Client] {
            for quality in [Quality::Exact, Quality::Inferred, Quality::Estimated] {
                let count: u64 = exchanges[side as usize][quality as usize];
                if count > 0 {
                    *tables.exchanges.entry((side, quality)).or_default() += count;
                }
            }
        }
        for (request, latencies) in alike.values() {
            let table = match request.side {
                Side::Server => &mut tables.server,
                Side::Client => &mut tables.client,
            };
            let mut labels = labels(request);
            if table.len() >= limits::METRIC_SERIES && !table.contains_key(&labels) {
                labels = overflow();
                counters.metric_series_overflowed.add(latencies.count());
            }
            table.entry(labels).or_default().merge(latencies);
        }
    }

    /// A copy to write from.
    pub fn tables(&self) -> LatencyTables {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl LatencyTables {
    /// Counts a connect() that failed.
    fn attempt(&mut self, request: &Request, counters: &Counters) {
        let mut labels = labels(request);
        if self.attempts.len() >= limits::METRIC_SERIES && !self.attempts.contains_key(&labels) {
            labels = overflow();
            counters.metric_series_overflowed.inc();
        }
        *self.attempts.entry(labels).or_default() += 1;
    }
}

fn overflow() -> LatencyLabels {
    LatencyLabels { service: OVERFLOW.into(), target: None, method: None, status: None, error: None }
}

fn alike_as(request: &Request) -> Alike {
    let address = |text: Option<&Arc<str>>| text.map_or(0, |text| Arc::as_ptr(text).addr());
    let texts = [address(Some(&request.origin.service)), address(target(request)), address(request.method.as_ref())];
    (request.side, texts, request.status_code, request.error)
}

fn target(request: &Request) -> Option<&Arc<str>> {
    match request.side {
        Side::Server => request.endpoint.as_ref(),
        Side::Client => request.destination.as_ref(),
    }
}

fn labels(request: &Request) -> LatencyLabels {
    LatencyLabels {
        service: request.origin.service.clone(),
        target: target(request).cloned(),
        method: request.method.as_deref().map(|method| METHODS.into_iter().find(|known| *known == method).unwrap_or("_OTHER")),
        status: request.status_code,
        error: request.error,
    }
}
