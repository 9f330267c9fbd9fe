//! Cumulative series of requests for `/metrics`, made of the deltas of the series: Prometheus needs counters that only grow, unlike the
//! sliding windows of the snapshot. A latency within a bucket of the delta's histogram counts as that bucket's smallest value.
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::bounded::{BoundedSeries, Cumulative, CumulativeLabels};
use crate::aggregate::Histogram;
use crate::counters::Counters;
use crate::record::metric::{Field, RecordKind, Statistic};
use crate::record::{Failure, Quality, RequestDetail, SeriesDetail, SeriesKey, Side, WallTime};
use crate::series::{Cell, Exemplar, SeriesCell, SeriesDelta};

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
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LatencyBuckets {
    /// In each bucket, not cumulative; the last is above all bounds.
    pub buckets: [u64; 15],
    /// Of all values.
    pub sum_ns: u64,
    /// A slow one that carries a trace.
    pub exemplar: Option<Box<Exemplar>>,
    /// Time of the newest one.
    last: WallTime,
}

impl LatencyBuckets {
    /// Of the latencies of a cell.
    fn of(latencies: &Histogram, sum_ms: f64, exemplar: Option<Box<Exemplar>>, last: WallTime) -> Self {
        let mut buckets = [0; 15];
        // All values of a bucket count as its first one, so that a value that equals a bound lies below it, as `le` says.
        latencies.buckets().for_each(|bucket| buckets[BOUNDS_NS.partition_point(|bound| *bound < bucket.low_ns)] += bucket.count);
        Self { buckets, sum_ns: (sum_ms * 1e6).round() as u64, exemplar, last }
    }

    /// Of attempts to connect, which have no latency.
    fn counted(count: u64, last: WallTime) -> Self {
        let mut buckets = [0; 15];
        buckets[0] = count;
        Self { buckets, sum_ns: 0, exemplar: None, last }
    }
}

impl Cumulative for LatencyBuckets {
    fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(mine, its)| *mine += its);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        Exemplar::follow(&mut self.exemplar, other.exemplar.as_deref());
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
    /// Counts the requests of a delta.
    pub fn count(&self, delta: &SeriesDelta, counters: &Counters) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = delta.cells.iter().filter(|cell| cell.key.kind == RecordKind::Request && cell.cell.count > 0);
        requests.for_each(|cell| tables.add(cell, delta.until, counters));
    }

    /// A copy to write from.
    pub fn tables(&self) -> LatencyTables {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl LatencyTables {
    fn add(&mut self, SeriesCell { key, detail, cell, exemplar, .. }: &SeriesCell, until: WallTime, counters: &Counters) {
        let detail = if let SeriesDetail::Request(detail) = detail { Some(detail) } else { None };
        let labels = labels(key, detail);
        if detail.is_some_and(|detail| detail.is_attempt) {
            return self.attempts.add(labels, &LatencyBuckets::counted(cell.count, until), counters);
        }
        let side = if key.value("side").is_some_and(|side| **side == *Side::Server.name()) { Side::Server } else { Side::Client };
        self.exchanges(side, detail, cell);
        let latencies = Field::named(RecordKind::Request, "response_time_ms").and_then(|field| cell.values(field));
        if let Some((_, sum_ms, latencies)) = latencies {
            let table = if side == Side::Server { &mut self.server } else { &mut self.client };
            table.add(labels, &LatencyBuckets::of(latencies, sum_ms, exemplar.clone(), until), counters);
        }
    }

    fn exchanges(&mut self, side: Side, detail: Option<&RequestDetail>, cell: &Cell) {
        let mut add = |quality, count| {
            if count > 0 {
                *self.exchanges.entry((side, quality)).or_default() += count;
            }
        };
        match detail {
            Some(detail) => add(detail.quality, cell.count),
            // Of mixed ones, only the number of exact ones is known.
            None => {
                let exact = Field::named(RecordKind::Request, "exact").and_then(|field| cell.field(field, Statistic::Sum));
                let exact = (exact.unwrap_or_default() as u64).min(cell.count);
                add(Quality::Exact, exact);
                add(Quality::Inferred, cell.count - exact);
            }
        }
    }
}

/// Mixed ones have only a service and a target.
fn labels(key: &SeriesKey, detail: Option<&RequestDetail>) -> LatencyLabels {
    let destination = || key.value("destination").filter(|_| detail.is_none_or(|detail| detail.has_destination));
    LatencyLabels {
        service: key.service().unwrap_or_default(),
        target: key.value("endpoint").or_else(destination).cloned(),
        method: detail.and_then(RequestDetail::method),
        status: detail.and_then(|detail| detail.status),
        error: detail.and_then(|detail| detail.error),
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
        table.add(labels, &LatencyBuckets::counted(1, WallTime(time_ns)), counters);
    }

    fn has(table: &LatencyTable, service: &str, target: &str) -> bool {
        table.iter().any(|(labels, _)| &*labels.service == service && labels.target.as_deref() == Some(target))
    }

    #[test]
    fn a_latency_counts_below_its_bound_or_at_most_a_step_of_the_histogram_above_it() {
        let bucket_of = |ns: u64| {
            let mut latencies = Histogram::default();
            latencies.record(ns);
            let counted = LatencyBuckets::of(&latencies, ns as f64 / 1e6, None, WallTime(1));
            assert_eq!((counted.sum_ns, counted.count()), (ns, 1));
            counted.buckets.iter().position(|count| *count == 1).unwrap()
        };
        for (index, bound) in BOUNDS_NS.into_iter().enumerate() {
            assert_eq!(bucket_of(bound), index, "`le` includes the bound {bound}");
            assert_eq!((bucket_of(bound - 1), bucket_of(bound - bound / 20)), (index, index), "{bound}");
            assert_eq!(bucket_of(bound + bound / 60), index + 1, "1.7 % above {bound}");
        }
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
