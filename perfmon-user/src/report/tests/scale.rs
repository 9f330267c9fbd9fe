//! Thirty simulated days of 200 endpoints and 20 models, time as an argument: size of the store, time of every history query and of reports,
//! growth of the memory. Takes minutes, so it is ignored; run it in a release build:
//! `cargo test --release -p perfmon-user --lib -- --ignored --nocapture thirty_days`. `PERFMON_SCALE_DAYS` sets another length.
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::record::metric::Metric;
use crate::store::tests::{Simulation, used_bytes};
use crate::store::{HistoryQuery, SeriesLabels, StoreReader};

const ENDPOINTS: usize = 200;
const MODELS: usize = 20;
/// Requests a minute on average, all endpoints together.
const PER_MINUTE: f64 = 600.0;
const MIB: u64 = 1 << 20;

/// A small generator with a fixed seed: the same data each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Log-normal around a median: the sum of twelve is nearly normal.
    fn latency_us(&mut self, median_us: f64) -> u64 {
        let normal: f64 = (0..12).map(|_| self.next()).sum::<f64>() - 6.0;
        (median_us * (0.6 * normal).exp()) as u64 + 1
    }
}

struct Templates {
    requests: Vec<Request>,
    /// Share of all requests up to each endpoint.
    shares: Vec<f64>,
    calls: Vec<Llm>,
}

impl Templates {
    fn new() -> Self {
        let name = |index: usize| format!("/api/v1/resource{index}/{{id}}/items");
        let requests = (0..ENDPOINTS).map(|index| {
            let Record::Request(served) = request(DAY, &format!("service-{}", index % 8), &name(index), 1_000, 200) else { unreachable!() };
            served
        });
        let weights: Vec<f64> = (0..ENDPOINTS).map(|index| 1.0 / (index as f64 + 3.0)).collect();
        let all: f64 = weights.iter().sum();
        let shares = weights.iter().scan(0.0, |sum, weight| {
            *sum += weight / all;
            Some(*sum)
        });
        let calls = (0..MODELS).map(|index| {
            let Record::Llm(asked) = call(DAY, Side::Client, 0.01) else { unreachable!() };
            Llm { request_model: Some(format!("model-{index}").into()), output_tokens: Some(250), ..*asked }
        });
        Self { requests: requests.collect(), shares: shares.collect(), calls: calls.collect() }
    }

    /// Everything of a minute. Only the last two days need cells of ten seconds.
    fn minute(&mut self, begin: u64, fine: bool, random: &mut Random, mut each: impl FnMut(&Record)) {
        let hour = (begin % 86_400) as f64 / 3_600.0;
        let load = 1.0 + 0.6 * ((hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
        for _ in 0..(PER_MINUTE * load) as usize {
            let at = random.next();
            let index = self.shares.partition_point(|share| *share < at).min(ENDPOINTS - 1);
            let mut served = self.requests[index].clone();
            let us = random.latency_us(2_000.0 + 400.0 * index as f64);
            let status = if random.next() < 0.002 { 503 } else { 200 };
            let second = begin + if fine { (random.next() * 60.0) as u64 } else { 0 };
            let latency = record::Millis(us * 1_000);
            served.time = record::WallTime(second * SECOND);
            (served.response_time_ms, served.status_code) = (Some(latency), Some(status));
            served.performance_category = Some(record::Category::of(latency));
            each(&Record::Request(served));
        }
        for index in 0..MODELS {
            if random.next() < 0.1 {
                let mut asked = self.calls[index].clone();
                asked.time = record::WallTime(begin * SECOND);
                asked.response_time_ms = Some(record::Millis(random.latency_us(900_000.0) * 1_000));
                asked.cost_usd = Some(random.next() * 0.02);
                each(&Record::Llm(Box::new(asked)));
            }
        }
        for slot in 0..if fine { 6 } else { 1 } {
            each(&system(begin + slot * 10, 20.0 * load + random.next()));
        }
    }
}

fn rss() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

/// The allocator of the tests keeps free pages; perfmon's own gives them back every few seconds (`heap`).
#[expect(unsafe_code, reason = "the allocator's function is C")]
fn rss_after_giving_back() -> u64 {
    // SAFETY: it takes a number and changes nothing that is in use.
    unsafe { libc::malloc_trim(0) };
    rss()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

/// The best of three: other programs run here too.
fn timed(mut work: impl FnMut()) -> Duration {
    let once = || {
        #[expect(clippy::disallowed_methods, reason = "the test measures time that passes")]
        let start = Instant::now();
        work();
        start.elapsed()
    };
    std::iter::repeat_with(once).take(3).min().unwrap()
}

/// The slowest history queries.
fn slow_queries(reader: &StoreReader, now: u64) -> Vec<(Duration, String)> {
    let endpoint: SeriesLabels = [("endpoint".into(), "/api/v1/resource7/{id}/items".into())].into();
    let service: SeriesLabels = [("service".into(), "service-3".into())].into();
    let method: SeriesLabels = [("method".into(), "GET".into())].into();
    let mut found = Vec::new();
    for metric in ["request.count", "request.error_rate", "request.response_time_ms.p95", "llm.cost_usd.sum", "cpu_percent"] {
        for (range, step) in [
            (3_600, 10),
            (86_400, 300),
            (86_400, 10),
            (7 * 86_400, 1_800),
            (14 * 86_400, 3_600),
            (30 * 86_400, 7_200),
            (30 * 86_400, 3_600),
        ] {
            let none = SeriesLabels::new();
            let labels = if metric.starts_with("request") { vec![&none, &endpoint, &service, &method] } else { vec![&none] };
            for labels in labels {
                let query =
                    HistoryQuery { metric: Metric::parse(metric).unwrap(), from: now - range, to: now, step, now, labels: labels.clone() };
                let took = timed(|| assert!(reader.history(&query).unwrap().points.iter().any(|point| point.value.is_some())));
                found.push((took, format!("{metric} of {} h, step {step} s, {labels:?}", range / 3_600)));
            }
        }
    }
    found.sort_by_key(|one| std::cmp::Reverse(one.0));
    found
}

#[test]
#[ignore = "takes minutes; in a release build"]
fn thirty_days_of_200_endpoints_and_20_models() {
    let days: u64 = std::env::var("PERFMON_SCALE_DAYS").ok().and_then(|days| days.parse().ok()).unwrap_or(30);
    // A history of its own that later runs read again.
    let kept = std::env::var_os("PERFMON_SCALE_FILE");
    let file = file();
    let path = kept.as_deref().map_or(file.path.as_path(), Path::new);
    let end = DAY + days * 86_400;
    if !path.exists() {
        let (mut simulation, mut templates, mut random) = (Simulation::new(path), Templates::new(), Random(7));
        let mut first = 0;
        for minute in 0..days * 1_440 {
            let begin = DAY + minute * 60;
            templates.minute(begin, minute + 2 * 1_440 >= days * 1_440, &mut random, |record| simulation.add(record));
            simulation.write(begin + 60);
            if minute == 1_440 {
                first = rss();
            }
        }
        let grown = rss().saturating_sub(first);
        println!("memory grew by {:.1} MiB after the first day", mib(grown));
        assert!(grown <= 20 * MIB, "{grown} bytes");
    }
    let size = used_bytes(path);
    println!("store: {:.1} MiB", mib(size));
    let (reader, before) = (StoreReader::of_file(path.into(), crate::store::Retention::default()), rss());
    let queries = slow_queries(&reader, end);
    queries.iter().take(12).for_each(|(took, what)| println!("{took:?}: {what}"));
    let mut reports = Vec::new();
    for length in [1, 7, days / 2] {
        let period = ReportPeriod::between(end - length * 86_400, end);
        let took = timed(|| drop(collect(&reader, &period, end).unwrap().html(&TimeZone::UTC)));
        println!("{took:?}: a report on {length} days");
        reports.push(took);
    }
    let peak = rss().saturating_sub(before);
    let grown = rss_after_giving_back().saturating_sub(before);
    println!("memory grew by {:.1} MiB by the queries and reports, {:.1} MiB before the free pages were given back", mib(grown), mib(peak));
    assert!(grown <= 20 * MIB, "{grown} bytes");
    assert!(size <= 200 * 1_000_000, "{size} bytes");
    assert!(queries[0].0 <= Duration::from_millis(50), "{:?}", queries[0]);
    assert!(reports.iter().all(|took| *took <= Duration::from_secs(2)), "{reports:?}");
}
