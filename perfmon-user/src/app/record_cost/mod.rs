//! Benchmark of what counts records, in nanoseconds of CPU time a record: `cargo xtask bench records` runs it, in this and in a former tree.
//! In: some minutes of records as a busy host has them; out: one line for each piece. What happens once a second (a delta and those who take
//! it) is part of a piece's cost. All pieces run on one thread, by turns, some hundred records each time. Lines `cost` are of what counts,
//! lines `also` of what a record costs beside it: the snapshot, records that are kept singly, the file.
mod busy_host;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::busy_host::BusyHost;
use crate::aggregate::{Aggregate, AggregateOptions};
use crate::alert::shares;
use crate::clock::thread_cpu_ns;
use crate::config::{Sources, load};
use crate::export::otlp::tests::MetricsBench;
use crate::export::otlp::tests::sample::{BEGIN, SECOND};
use crate::http::tests::SeriesBench;
use crate::record::{Record, RecordBatch, Request, Side, WallTime};
use crate::series::{RecentSeries, SeriesFeed};
use crate::store::tests::{File, PendingWrites, Rollup, file};

/// Records that a piece counts before the next one has its turn; on a real host other threads count other records meanwhile.
const TURN: usize = 500;
/// Seconds of an export's interval.
const INTERVAL: u64 = 15;
/// Name, records a second, whether half of them are database commands, seconds.
const LOADS: [(&str, usize, bool, u64); 3] =
    [("requests-1000", 1_000, false, 100), ("requests-5000", 5_000, false, 100), ("databases-5000", 5_000, true, 50)];

/// Everything that counts.
struct Counting {
    aggregate: Aggregate,
    feed: SeriesFeed,
    pending: PendingWrites,
    rules: RecentSeries,
    metrics: SeriesBench,
    otlp: MetricsBench,
    rollup: Rollup,
    _file: File,
    /// Nanoseconds by word and piece.
    spent: BTreeMap<(&'static str, &'static str), u64>,
}

impl Counting {
    fn new() -> Self {
        let mut rules = RecentSeries::default();
        let settings = load(&Sources::default()).unwrap().config.alerts.settings();
        rules.keep(settings.rules.iter().flat_map(shares), WallTime(BEGIN));
        let file = file();
        Self {
            aggregate: Aggregate::new(AggregateOptions { now: WallTime(BEGIN), ..AggregateOptions::default() }),
            feed: SeriesFeed::default(),
            pending: PendingWrites::default(),
            rules,
            metrics: SeriesBench::default(),
            otlp: MetricsBench::default(),
            rollup: file.rollup(),
            _file: file,
            spent: BTreeMap::new(),
        }
    }

    /// Does a piece's work.
    fn piece<T>(&mut self, word: &'static str, piece: &'static str, work: impl FnOnce(&mut Self) -> T) -> T {
        let began = thread_cpu_ns();
        let made = work(self);
        *self.spent.entry((word, piece)).or_default() += thread_cpu_ns() - began;
        made
    }

    /// Counts some batches as the hub and its consumers do.
    fn count(&mut self, mut batches: Vec<Vec<Record>>) {
        self.piece("cost", "aggregate", |all| batches.iter_mut().flatten().for_each(|record| all.aggregate.add(record)));
        self.piece("cost", "feed", |all| batches.iter().flatten().for_each(|record| all.feed.add(record)));
        let batches: Vec<RecordBatch> = batches.into_iter().map(Arc::new).collect();
        self.piece("cost", "metrics", |all| batches.iter().for_each(|batch| all.metrics.push(batch)));
        self.piece("also", "kept", |all| batches.iter().for_each(|batch| all.pending.add(batch)));
        self.piece("cost", "otlp", |all| batches.iter().for_each(|batch| all.otlp.push(batch)));
    }

    fn end_second(&mut self, number: u64) {
        let now = WallTime(BEGIN + (number + 1) * SECOND);
        self.piece("also", "snapshot", |all| all.aggregate.tick(now));
        let delta = self.piece("cost", "feed", |all| all.feed.take(now));
        self.piece("cost", "metrics", |all| all.metrics.series(&delta));
        self.piece("cost", "store", |all| all.pending.series(&delta));
        self.piece("cost", "rules", |all| all.rules.add(&delta));
        self.piece("cost", "feed", |_| drop(delta));
        if (number + 1).is_multiple_of(INTERVAL) {
            self.piece("cost", "otlp", |all| all.otlp.take(now));
        }
        self.piece("also", "file", |all| {
            all.rollup.write(&std::mem::take(&mut all.pending)).unwrap();
            all.rollup.complete(now.0 / SECOND).unwrap();
        });
    }
}

#[test]
#[ignore = "a benchmark"]
fn cost_per_record() {
    for (load, rate, databases, seconds) in LOADS {
        let (mut host, mut counting, mut records) = (BusyHost::new(rate, databases), Counting::new(), 0);
        for number in 0..seconds {
            let mut turn = Vec::new();
            for batch in host.second(number) {
                records += batch.len();
                turn.push(batch);
                if turn.iter().map(Vec::len).sum::<usize>() >= TURN {
                    counting.count(std::mem::take(&mut turn));
                }
            }
            counting.count(turn);
            counting.end_second(number);
        }
        for ((word, piece), ns) in counting.spent {
            println!("{word} {load} {piece} {:.1}", ns as f64 / records as f64);
        }
    }
}

#[test]
fn the_host_has_as_many_endpoints_as_the_page_says() {
    let mut aggregate = Aggregate::new(AggregateOptions { now: WallTime(BEGIN), ..AggregateOptions::default() });
    let mut endpoints = BTreeSet::new();
    for mut record in BusyHost::new(5_000, false).second(0).into_iter().flatten() {
        aggregate.add(&mut record);
        if let Record::Request(Request { side: Side::Server, endpoint, .. }) = record {
            endpoints.insert(endpoint.unwrap());
        }
    }
    assert!((185..=200).contains(&endpoints.len()), "{}: {endpoints:?}", endpoints.len());
}
