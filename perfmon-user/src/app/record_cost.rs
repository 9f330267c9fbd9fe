//! Benchmark of what counts records, in nanoseconds of CPU time a record: `cargo xtask bench records` runs it, in this and in a former tree.
//! In: some seconds of records as a busy host has them, with texts that are kept and shared; out: one line for each piece. What happens
//! once a second (a delta and who takes it) is part of a piece's cost. Pieces run one after the other on one thread.
use std::sync::Arc;

use crate::aggregate::{Aggregate, AggregateOptions};
use crate::alert::shares;
use crate::clock::thread_cpu_ns;
use crate::config::{Sources, load};
use crate::export::otlp::tests::MetricsBench;
use crate::export::otlp::tests::sample::{self, BEGIN, SECOND};
use crate::http::tests::SeriesBench;
use crate::record::{Category, Millis, Origin, Record, RecordBatch, Request, Side, WallTime};
use crate::series::{RecentSeries, SeriesDelta, SeriesFeed};
use crate::store::tests::PendingWrites;

const BATCH: usize = 100;
const SERVICES: u64 = 3;
const PROCESSES: u64 = 2;
const ENDPOINTS: usize = 200;
const DESTINATIONS: usize = 12;

/// What a host does: texts that its records share, and chance.
struct BusyHost {
    origins: Vec<Arc<Origin>>,
    endpoints: Vec<Arc<str>>,
    destinations: Vec<Arc<str>>,
    methods: [Arc<str>; 4],
    state: u64,
}

impl BusyHost {
    fn new() -> Self {
        let pids = (0..SERVICES).flat_map(|service| (0..PROCESSES).map(move |process| (service, 100 * service + process + 1)));
        Self {
            origins: pids.map(|(service, pid)| sample::origin(&format!("service-{service}"), pid as u32)).collect(),
            endpoints: (0..ENDPOINTS).map(|number| format!("/api/v1/things{number}/{{id}}").into()).collect(),
            destinations: (0..DESTINATIONS).map(|number| format!("backend-{number}.example:8443").into()).collect(),
            methods: ["GET", "POST", "PUT", "DELETE"].map(Into::into),
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// A number below `limit` (xorshift).
    fn chance(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 20) as usize % limit
    }

    /// A latency between a half and some hundred milliseconds; short ones are more.
    fn latency(&mut self) -> Millis {
        let octave = self.chance(9).min(self.chance(9));
        Millis((500_000_u64 << octave) + self.chance(500_000 << octave) as u64)
    }

    fn request(&mut self, time: WallTime, side: Side) -> Record {
        let endpoint = self.chance(ENDPOINTS).min(self.chance(ENDPOINTS));
        let status = match self.chance(100) {
            0..92 => 200,
            92..96 => 404,
            96..98 => 302,
            _ => 500,
        };
        let (origin, latency) = (self.origins[endpoint % self.origins.len()].clone(), self.latency());
        let to = self.destinations[endpoint % DESTINATIONS].clone();
        let name = self.endpoints[endpoint].clone();
        Record::Request(Request {
            time,
            method: Some(self.methods[endpoint % 4].clone()),
            endpoint: (side == Side::Server).then_some(name),
            destination: (side == Side::Client).then_some(to),
            response_time_ms: Some(latency),
            time_to_first_byte_ms: Some(Millis(latency.0 / 2)),
            queue_time_ms: (side == Side::Server).then_some(Millis(latency.0 / 50)),
            performance_category: Some(Category::of(latency)),
            request_size: Some(self.chance(2_000) as u64),
            response_size: Some(self.chance(20_000) as u64),
            ..sample::request(&self.origins[0], side, "/", status, 1)
        })
        .with_origin(origin)
    }

    fn other(&mut self, time: WallTime) -> Record {
        let process = self.chance(2);
        let origin = self.origins[process].clone();
        match self.chance(10) {
            0..6 => {
                let (tokens, latency) = (self.chance(3_000) as u64, self.latency());
                let call = sample::call(&origin, Side::Client);
                Record::Llm(Box::new(crate::record::Llm { time, input_tokens: Some(tokens), response_time_ms: Some(latency), ..call }))
            }
            6..9 => Record::Tool(Box::new(crate::record::Tool { time, ..sample::tool(&origin, "mcp") })),
            _ => Record::Agent(Box::new(crate::record::Agent { time, ..sample::run(&origin, "success") })),
        }
    }

    /// The records of one second in batches.
    fn second(&mut self, number: u64, rate: usize) -> Vec<Vec<Record>> {
        let begin = BEGIN + number * SECOND;
        let mut records: Vec<Record> = (0..rate)
            .map(|at| {
                let time = WallTime(begin + at as u64 * SECOND / rate as u64);
                match self.chance(100) {
                    0..80 => self.request(time, Side::Server),
                    80..95 => self.request(time, Side::Client),
                    _ => self.other(time),
                }
            })
            .collect();
        records.extend(self.origins.iter().map(|origin| sample::process(origin, 12.5)));
        records.push(sample::system());
        records.chunks(BATCH).map(<[Record]>::to_vec).collect()
    }
}

impl Record {
    /// The same of another process.
    fn with_origin(self, origin: Arc<Origin>) -> Self {
        match self {
            Self::Request(request) => Self::Request(Request { origin, ..request }),
            other => other,
        }
    }
}

fn shared(seconds: &[Vec<Vec<Record>>]) -> Vec<Vec<RecordBatch>> {
    seconds.iter().map(|batches| batches.iter().map(|batch| Arc::new(batch.clone())).collect()).collect()
}

fn end(second: usize) -> WallTime {
    WallTime(BEGIN + (second as u64 + 1) * SECOND)
}

/// CPU time of `work`, and what it made.
fn timed<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let began = thread_cpu_ns();
    let made = work();
    (thread_cpu_ns() - began, made)
}

#[test]
#[ignore = "a benchmark"]
fn cost_per_record() {
    for rate in [1_000, 10_000] {
        let mut host = BusyHost::new();
        let mut seconds: Vec<_> = (0..20_000 / rate as u64 + 10).map(|number| host.second(number, rate)).collect();
        let records: usize = seconds.iter().flatten().map(Vec::len).sum();
        let report = |piece: &str, ns: u64| println!("cost {rate} {piece} {:.1}", ns as f64 / records as f64);
        let batches = shared(&seconds);
        report("aggregate", aggregate(&mut seconds));
        for (piece, ns) in pieces(&batches) {
            report(piece, ns);
        }
    }
}

fn aggregate(seconds: &mut [Vec<Vec<Record>>]) -> u64 {
    let mut aggregate = Aggregate::new(AggregateOptions { now: WallTime(BEGIN), ..AggregateOptions::default() });
    // Ticks make the snapshot, which is no counting.
    let count = |aggregate: &mut Aggregate, batches: &mut Vec<Vec<Record>>| {
        timed(|| batches.iter_mut().flatten().for_each(|record| aggregate.add(record))).0
    };
    let mut spent = 0;
    for (number, second) in seconds.iter_mut().enumerate() {
        spent += count(&mut aggregate, second);
        aggregate.tick(end(number));
    }
    spent
}

fn pieces(seconds: &[Vec<RecordBatch>]) -> Vec<(&'static str, u64)> {
    let (feed_ns, deltas) = timed(|| deltas(seconds));
    let (store_ns, pending) = timed(|| {
        let mut pending = PendingWrites::default();
        deltas.iter().for_each(|delta| pending.series(delta));
        pending
    });
    drop(pending);
    vec![
        ("feed", feed_ns),
        ("store", store_ns),
        ("rules", rules(&deltas)),
        ("metrics", timed(|| SeriesBench::default().count(seconds, &deltas)).0),
        ("otlp", timed(|| MetricsBench::default().count(seconds, &deltas)).0),
    ]
}

fn deltas(seconds: &[Vec<RecordBatch>]) -> Vec<Arc<SeriesDelta>> {
    let mut feed = SeriesFeed::default();
    let counted = |(number, batches): (usize, &Vec<RecordBatch>)| {
        batches.iter().flat_map(|batch| batch.iter()).for_each(|record| feed.add(record));
        feed.take(end(number))
    };
    seconds.iter().enumerate().map(counted).collect()
}

/// The windows that the default rules look at.
fn rules(deltas: &[Arc<SeriesDelta>]) -> u64 {
    let settings = load(&Sources::default()).unwrap().config.alerts.settings();
    let mut recent = RecentSeries::default();
    recent.keep(settings.rules.iter().flat_map(shares), WallTime(BEGIN));
    timed(|| deltas.iter().for_each(|delta| recent.add(delta))).0
}
