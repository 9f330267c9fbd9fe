//! Cumulative series of requests for `/metrics`: Prometheus needs counters that only grow, unlike the sliding windows of the snapshot.
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::bounded::{BoundedSeries, Cumulative, CumulativeLabels};
use crate::counters::Counters;
use crate::record::{Failure, Quality, Record, Request, Side, WallTime};

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
    /// Time of the newest one.
    last: WallTime,
}

impl LatencyBuckets {
    fn add(&mut self, nanoseconds: u64, time: WallTime) {
        self.last = self.last.max(time);
        self.buckets[BOUNDS_NS.partition_point(|bound| *bound < nanoseconds)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(nanoseconds);
    }
}

impl Cumulative for LatencyBuckets {
    fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(mine, its)| *mine += its);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.last = self.last.max(other.last);
    }

    fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    fn last(&self) -> WallTime {
        self.last
    }
}

/// One side's series.
pub(super) type LatencyTable = BoundedSeries<LatencyLabels, LatencyBuckets>;

impl CumulativeLabels for LatencyLabels {
    type Owner = Arc<str>;

    fn owner(&self) -> Arc<str> {
        self.service.clone()
    }

    fn other(&self) -> Self {
        Self { service: self.service.clone(), target: Some(OVERFLOW.into()), method: None, status: None, error: None }
    }

    fn other_owners(&self) -> Self {
        Self { service: OVERFLOW.into(), target: None, method: None, status: None, error: None }
    }
}

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
    /// Connections that could not be opened, by the time until they failed.
    pub attempts: LatencyTable,
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
                let mut connects = LatencyBuckets::default();
                connects.add(request.connect_time_ms.unwrap_or_default().0, request.time);
                tables.attempts.add(labels(request), &connects, counters);
                continue;
            }
            exchanges[request.side as usize][request.quality as usize] += 1;
            if let Some(latency) = request.latency() {
                alike.entry(alike_as(request)).or_insert_with(|| (request, LatencyBuckets::default())).1.add(latency.0, request.time);
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
            table.add(labels(request), latencies, counters);
        }
    }

    /// A copy to write from.
    pub fn tables(&self) -> LatencyTables {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    const HOUR: u64 = 3_600 * 1_000_000_000;

    fn add(table: &mut LatencyTable, service: &str, target: &str, time_ns: u64, counters: &Counters) {
        let labels =
            LatencyLabels { service: service.into(), target: Some(target.into()), method: Some("GET"), status: Some(200), error: None };
        let mut latencies = LatencyBuckets::default();
        latencies.add(1_000, WallTime(time_ns));
        table.add(labels, &latencies, counters);
    }

    fn has(table: &LatencyTable, service: &str, target: &str) -> bool {
        table.iter().any(|(labels, _)| &*labels.service == service && labels.target.as_deref() == Some(target))
    }

    #[test]
    fn words_before_they_fold_leave_room_for_the_next_service_and_go() {
        let (mut table, counters) = (LatencyTable::default(), Counters::default());
        for number in 0..90 * 60 {
            add(&mut table, "shop", &format!("/{}/{}", number / 60, number % 60), HOUR, &counters);
        }
        assert!(has(&table, "shop", OVERFLOW) && counters.metric_series_overflowed.get() > 0);
        add(&mut table, "next", "/health", HOUR, &counters);
        assert!(has(&table, "next", "/health"), "the next service has its own series");
        // Folded by now; the former names are silent.
        add(&mut table, "shop", "/{id}/{id}", HOUR + 1, &counters);
        assert!(!has(&table, "shop", "/{id}/{id}"), "no room yet");
        add(&mut table, "next", "/health", 2 * HOUR, &counters);
        add(&mut table, "shop", "/{id}/{id}", 2 * HOUR + 2, &counters);
        assert!(has(&table, "shop", "/{id}/{id}") && has(&table, "next", "/health"));
        assert!(!has(&table, "shop", "/0/0") && table.iter().count() == 2, "{}", table.iter().count());
    }

    #[test]
    fn the_table_is_bounded_whatever_comes() {
        let (mut table, counters) = (LatencyTable::default(), Counters::default());
        for number in 0..3 * limits::METRIC_SERIES {
            add(&mut table, &format!("service {}", number / 3), &format!("/{number}"), HOUR, &counters);
        }
        assert!(table.iter().count() <= limits::METRIC_SERIES + 1, "{}", table.iter().count());
        assert!(has(&table, "service 1", "/3") && counters.metric_series_overflowed.get() > 0);
    }
}
