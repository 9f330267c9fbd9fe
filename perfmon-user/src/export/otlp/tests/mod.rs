mod bench;
mod cardinality;
mod events;
mod receiver;
pub(crate) mod sample;
mod strict;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;

pub(crate) use self::bench::MetricsBench;
use self::receiver::{Answer, Receiver as Otlp};
use self::sample::{BEGIN, SECOND, attempt, call, lookup, origin, process, request, server, system, tool};
use super::*;
use crate::aggregate::tests::query::command;
use crate::config::{Signal, Sources, load};
use crate::record::{Db, Degradation, Gauges, InFlight, Pool, Record, Side};

fn wall() -> WallTime {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    WallTime(BEGIN + SECOND + CALLS.fetch_add(1, Ordering::Relaxed) * 1_000)
}

/// Runs a hundred times as fast as the world's, so that waits are short.
fn fast_ns() -> u64 {
    crate::clock::boot_now_ns() * 100
}

const CLOCKS: Clocks = Clocks { wall, steady_ns: crate::clock::boot_now_ns };

fn settings(env: &[(&str, String)]) -> Export {
    let env = env.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    load(&Sources { env, ..Sources::default() }).unwrap().config.export
}

struct Run {
    exporter: Exporter,
    counters: Arc<Counters>,
}

fn start(env: &[(&str, String)], clocks: Clocks, gauges: Gauges) -> Run {
    let settings = settings(env);
    let (_, snapshots) = watch::channel(Arc::new(Snapshot { gauges: Arc::new(gauges), ..Snapshot::default() }));
    let counters = Arc::new(Counters::default());
    let exporter = Exporter::start(
        &settings,
        &settings.targets().unwrap(),
        snapshots,
        clocks,
        counters.clone(),
        &crate::heartbeat::Heartbeats::default(),
        Arc::new(|| Arc::new([Degradation { part: "ring", reason: "loses".into() }])),
    )
    .unwrap();
    Run { exporter, counters }
}

fn to(otlp: &Otlp) -> Vec<(&'static str, String)> {
    vec![("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", otlp.address)), ("PERFMON_EXPORT__INTERVAL", "1s".into())]
}

impl Run {
    fn offer(&self, records: Vec<Record>) {
        self.exporter.offer(&Arc::new(records));
    }

    fn figures(&self, signal: Signal) -> DeliveryFigures {
        self.exporter.deliveries().figures().into_iter().find(|target| target.signal == signal).unwrap().figures
    }
}

/// All metrics of a service, from all deliveries.
fn metrics_of(otlp: &Otlp, service: &str) -> Vec<Metric> {
    let requests: Vec<ExportMetricsServiceRequest> = otlp.taken("/v1/metrics");
    let of_service = |attributes: &[KeyValue]| {
        attributes.iter().any(|a| a.key == "service.name" && a.value.as_ref().unwrap().value == Some(Value::StringValue(service.into())))
    };
    let resources = requests.into_iter().flat_map(|request| request.resource_metrics);
    let wanted = resources.filter(|of_resource| of_service(&of_resource.resource.as_ref().unwrap().attributes));
    wanted.flat_map(|of_resource| of_resource.scope_metrics).flat_map(|scope| scope.metrics).collect()
}

/// Counts and sums of histograms, by name.
fn counts(metrics: &[Metric]) -> BTreeMap<String, (u64, f64)> {
    let mut counts: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for metric in metrics {
        if let Some(Data::ExponentialHistogram(histogram)) = &metric.data {
            for point in &histogram.data_points {
                let (count, sum) = counts.entry(metric.name.clone()).or_default();
                (*count, *sum) = (*count + point.count, *sum + point.sum.unwrap());
            }
        }
    }
    counts
}

/// Sums of numbers, by name.
fn numbers(metrics: &[Metric]) -> BTreeMap<String, f64> {
    let mut numbers: BTreeMap<String, f64> = BTreeMap::new();
    for metric in metrics {
        let points = match &metric.data {
            Some(Data::Sum(sum)) => &sum.data_points,
            Some(Data::Gauge(gauge)) => &gauge.data_points,
            _ => continue,
        };
        for point in points {
            *numbers.entry(metric.name.clone()).or_default() += match point.value.unwrap() {
                number_data_point::Value::AsDouble(value) => value,
                number_data_point::Value::AsInt(value) => value as f64,
            };
        }
    }
    numbers
}

#[test]
fn request_counts_equal_the_records_over_many_intervals() {
    let otlp = Otlp::start(|_, _| Answer::ok());
    let run = start(&to(&otlp), Clocks { steady_ns: fast_ns, ..CLOCKS }, Gauges::default());
    let mut sum_ms = 0;
    for round in 0..50 {
        let records: Vec<Record> = (0..40)
            .map(|n| {
                sum_ms += n + round;
                server("shop", if n % 2 == 0 { "/users/{id}" } else { "/items" }, if n % 7 == 0 { 500 } else { 200 }, n + round)
            })
            .collect();
        run.offer(records);
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut lost = request(&origin("shop", 7), Side::Server, "/items", 200, 1);
    (lost.status_code, lost.response_time_ms, lost.request_size, lost.response_size) = (None, None, None, None);
    run.offer(vec![Record::Request(lost)]);
    run.exporter.finish(GRACE);
    otlp.assert_strict();
    assert!(otlp.seen().iter().filter(|seen| seen.path == "/v1/metrics").count() > 1, "only one interval");
    let metrics = metrics_of(&otlp, "shop");
    let (count, sum) = counts(&metrics)["http.server.request.duration"];
    assert_eq!((count, numbers(&metrics)["perfmon.http.unmeasured_requests"]), (2_000, 1.0));
    assert!((sum - sum_ms as f64 / 1e3).abs() < 1e-6, "{sum} s, not {sum_ms} ms");
    assert_eq!(counts(&metrics)["http.server.response.body.size"], (2_000, 2_000.0 * 1_234.0));
    assert_eq!(run.counters.export_records_lost.get(), 0);
}

#[test]
fn every_metric_of_the_table_is_sent_as_the_conventions_say() {
    let otlp = Otlp::start(|_, _| Answer::ok());
    let shop = origin("shop", 7);
    let in_flight = InFlight { origin: shop.clone(), method: "POST".into(), path: "/slow".into(), since: WallTime(BEGIN) };
    let gauges = Gauges { in_flight: vec![in_flight.clone(), in_flight], ..Gauges::default() };
    let run = start(&to(&otlp), CLOCKS, gauges);
    let mut unmeasured = request(&shop, Side::Client, "/x", 200, 1);
    unmeasured.response_time_ms = None;
    run.offer(vec![
        server("shop", "/users/{id}", 200, 5),
        Record::Request(request(&shop, Side::Client, "/x", 503, 1_500)),
        Record::Request(unmeasured),
        attempt(&shop, "api.example:8443"),
        Record::Llm(Box::new(call(&shop, Side::Client))),
        Record::Llm(Box::new(call(&shop, Side::Server))),
        Record::Tool(Box::new(tool(&shop, "mcp"))),
        Record::Db(Box::new(Db { origin: shop.clone(), ..command(Side::Client, "SELECT ?", 3) })),
        Record::Db(Box::new(Db { origin: shop.clone(), ..command(Side::Server, "SELECT ?", 3) })),
        lookup(&shop, "db.example", "NOERROR", Some(2)),
        lookup(&shop, "db.example", "NXDOMAIN", Some(5)),
        lookup(&shop, "db.example", "TIMEOUT", None),
        Record::Pool(Box::new(Pool { origin: shop.clone(), ..Pool::made_up("postgresql", "db:5432") })),
        Record::Pool(Box::new(Pool { origin: shop.clone(), ..Pool::made_up("http", "api.example") })),
        process(&shop, 50.0),
        process(&shop, 100.0),
        system(),
    ]);
    run.exporter.finish(GRACE);
    otlp.assert_strict();
    let (shop, host) = (metrics_of(&otlp, "shop"), metrics_of(&otlp, "perfmon"));
    let mut names: Vec<&str> = shop.iter().chain(&host).map(|metric| metric.name.as_str()).collect();
    names.sort_unstable();
    let mut table: Vec<&str> = strict::TABLE.iter().map(|row| row.0).collect();
    table.sort_unstable();
    assert_eq!(names, table);
    assert_eq!(instrument::ALL.len(), table.len());

    let (counts, numbers_of_shop) = (counts(&shop), numbers(&shop));
    assert_eq!(counts["gen_ai.client.token.usage"], (2, 1_200.0));
    assert!((counts["operation.cost"].1 - 0.0045).abs() < 1e-12);
    assert_eq!(counts["gen_ai.client.operation.duration"], (1, 2.0));
    assert_eq!(counts["db.client.operation.duration"], (1, 0.003), "the server's side is no second command");
    assert_eq!((counts["dns.lookup.duration"], numbers_of_shop["perfmon.dns.unanswered_lookups"]), ((2, 0.007), 1.0));
    assert_eq!((numbers_of_shop["db.client.connection.count"], numbers_of_shop["http.client.open_connections"]), (5.0, 5.0));
    assert_eq!(numbers_of_shop["http.server.active_requests"], 2.0);
    assert_eq!((numbers_of_shop["perfmon.connect.failures"], numbers_of_shop["perfmon.http.unmeasured_requests"]), (1.0, 1.0));
    assert_eq!(numbers_of_shop["process.cpu.utilization"], 0.75);
    assert_eq!(numbers_of_shop["process.cpu.time"], 1.5);
    assert_eq!(numbers_of_shop["process.context_switches"], 20.0);
    assert_eq!(numbers_of_shop["process.disk.io"], 600.0);
    let host = numbers(&host);
    assert_eq!((host["system.cpu.simple_utilization"], host["system.swap.utilization"]), (0.25, 0.1));
    assert_eq!((host["system.disk.io"], host["system.network.io"]), (3_000.0, 30.0));
    assert!((host["system.memory.utilization"] - 1.0).abs() < 1e-9);
    assert!(host["system.process.count"] >= 1.0);
    assert_eq!(host["perfmon.degraded"], 1.0);
}

#[test]
fn refused_connections_lose_nothing() {
    // A free port: nothing listens on it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")), ("PERFMON_EXPORT__INTERVAL", "1s".into())];
    let run = start(&env, Clocks { steady_ns: fast_ns, ..CLOCKS }, Gauges::default());
    for _ in 0..60 {
        run.offer((0..10).map(|n| server("shop", "/", 200, n)).collect());
        std::thread::sleep(Duration::from_millis(10));
    }
    let figures = run.figures(Signal::Metrics);
    assert!(figures.retries > 1 && figures.queued > 30 && figures.last_error.is_some(), "{figures:?}");
    assert_eq!((figures.sent, figures.dropped, figures.failed), (0, 0, 0));
    let otlp = Otlp::on(TcpListener::bind(address).unwrap(), |_, _| Answer::ok());
    run.exporter.finish(GRACE);
    otlp.assert_strict();
    assert_eq!(counts(&metrics_of(&otlp, "shop"))["http.server.request.duration"].0, 600);
    assert_eq!(run.counters.export_items_dropped.get(), 0);
}

#[test]
fn a_busy_receiver_gets_the_same_delivery_after_the_time_it_asked_for() {
    let otlp = Otlp::start(|number, _| match number {
        0 => Answer { headers: vec![("Retry-After".into(), "40".into())], ..Answer::status(429) },
        1 => Answer::status(503),
        _ => Answer::ok(),
    });
    let run = start(&to(&otlp), Clocks { steady_ns: fast_ns, ..CLOCKS }, Gauges::default());
    run.offer(vec![server("shop", "/", 200, 1)]);
    while otlp.taken::<ExportMetricsServiceRequest>("/v1/metrics").is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(run.figures(Signal::Metrics).retries >= 2);
    run.exporter.finish(GRACE);
    otlp.assert_strict();
    let seen = otlp.seen();
    assert_eq!((&seen[0].body, &seen[1].body), (&seen[1].body, &seen[2].body));
    assert_eq!(counts(&metrics_of(&otlp, "shop"))["http.server.request.duration"].0, 1);
}

#[test]
fn an_unknown_token_is_not_tried_again_and_not_shown() {
    let body = br#"{"detail":"unknown token pylf_v1_us_hunter2"}"#.to_vec();
    let otlp = Otlp::start(move |_, _| Answer {
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: body.clone(),
        ..Answer::status(401)
    });
    let env = [("LOGFIRE_TOKEN", "pylf_v1_us_hunter2".into()), ("LOGFIRE_BASE_URL", format!("http://{}", otlp.address))];
    let run = start(&env, CLOCKS, Gauges::default());
    run.offer(vec![server("shop", "/", 200, 1)]);
    let deliveries = run.exporter.deliveries();
    run.exporter.finish(GRACE);
    let seen = otlp.seen();
    assert!(seen.iter().all(|seen| seen.headers["authorization"] == "pylf_v1_us_hunter2"));
    assert_eq!(seen.iter().filter(|seen| seen.path == "/v1/metrics").count(), 1);
    assert_eq!(seen.iter().filter(|seen| seen.path == "/v1/info").count(), 1);
    let metrics = deliveries.figures().into_iter().find(|target| target.signal == Signal::Metrics).unwrap();
    let error = metrics.figures.last_error.unwrap();
    assert!(error.contains("401") && error.contains("unknown token …"), "{error}");
    assert!(metrics.figures.failed > 0 && run.counters.export_items_refused.get() == metrics.figures.failed);
    assert!(!format!("{deliveries:?}").contains("hunter2"));
}

#[test]
fn a_delivery_that_is_too_large_is_cut() {
    let otlp = Otlp::start(|_, seen| if seen.body.len() > 2_000 { Answer::status(413) } else { Answer::ok() });
    let run = start(&to(&otlp), CLOCKS, Gauges::default());
    run.offer((0..100).map(|n| server("shop", &format!("/page{n}"), 200, n)).collect());
    run.exporter.finish(GRACE);
    otlp.assert_strict();
    assert_eq!(counts(&metrics_of(&otlp, "shop"))["http.server.request.duration"].0, 100);
    assert_eq!(run.counters.export_items_refused.get(), 0);
}

#[test]
fn a_receiver_that_hangs_keeps_nobody_waiting() {
    let otlp = Otlp::start(|_, _| Answer { hang: Some(Duration::from_secs(3_600)), ..Answer::ok() });
    let mut env = to(&otlp);
    env.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "200".into()));
    let run = start(&env, Clocks { steady_ns: fast_ns, ..CLOCKS }, Gauges::default());
    for _ in 0..limits::CONSUMER_QUEUE * 4 {
        run.offer(vec![server("shop", "/", 200, 1)]);
        std::thread::sleep(Duration::from_millis(1));
    }
    while run.figures(Signal::Metrics).last_error.is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(run.figures(Signal::Metrics).last_error.unwrap().contains("in time"));
    assert_eq!(run.counters.export_records_lost.get(), 0);
    run.exporter.finish(GRACE);
    assert!(run.counters.export_items_dropped.get() > 0);
}

#[test]
fn what_the_receiver_refuses_of_a_delivery_is_counted() {
    use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse};
    use prost::Message;
    let partial = ExportMetricsPartialSuccess { rejected_data_points: 2, error_message: "too old".into() };
    let body = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let otlp = Otlp::start(move |_, _| Answer { body: body.clone(), ..Answer::ok() });
    let run = start(&to(&otlp), CLOCKS, Gauges::default());
    run.offer(vec![server("shop", "/", 200, 1)]);
    run.exporter.finish(GRACE);
    assert_eq!(run.counters.export_items_refused.get(), 2);
}

#[test]
fn a_remark_with_nothing_rejected_is_no_loss() {
    let body = [&[0x0a, 0x16, 0x12, 0x14][..], b"stored as batch 4711"].concat();
    let otlp = Otlp::start(move |_, _| Answer { body: body.clone(), ..Answer::ok() });
    let run = start(&to(&otlp), CLOCKS, Gauges::default());
    run.offer(vec![server("shop", "/", 200, 1)]);
    while run.figures(Signal::Metrics).sent == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(run.figures(Signal::Metrics).last_error, None);
    run.exporter.finish(GRACE);
    assert_eq!((run.counters.export_items_refused.get(), run.counters.export_items_dropped.get()), (0, 0));
}

#[test]
fn bodies_are_plain_when_compression_is_off_and_headers_are_those_of_the_signal() {
    let otlp = Otlp::start(|_, _| Answer::ok());
    let mut env = to(&otlp);
    env.push(("OTEL_EXPORTER_OTLP_COMPRESSION", "none".into()));
    env.push(("OTEL_EXPORTER_OTLP_HEADERS", "x-a=1,x-b=two%20words".into()));
    env.push(("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-a=3".into()));
    let run = start(&env, CLOCKS, Gauges::default());
    run.offer(vec![server("shop", "/", 200, 1)]);
    run.exporter.finish(GRACE);
    otlp.assert_strict();
    let seen = otlp.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].headers["x-a"].as_str(), seen[0].headers["x-b"].as_str()), ("1", "two words"));
    assert!(!seen[0].headers.contains_key("content-encoding"));
    assert_eq!(counts(&metrics_of(&otlp, "shop"))["http.server.request.duration"].0, 1);
}

#[test]
fn too_many_different_series_go_to_one_and_totals_stay_right() {
    let otlp = Otlp::start(|_, _| Answer::ok());
    let run = start(&to(&otlp), CLOCKS, Gauges::default());
    let records = (0..limits::EXPORT_SERIES + 500).map(|n| server("shop", &format!("/page{n}"), 200, 1)).collect();
    run.offer(records);
    run.exporter.finish(GRACE);
    otlp.assert_strict();
    let (count, _) = counts(&metrics_of(&otlp, "shop"))["http.server.request.duration"];
    assert_eq!(count, limits::EXPORT_SERIES as u64 + 500);
    assert_eq!(run.counters.export_series_overflowed.get(), limits::EXPORT_SERIES as u64 / 2 + 500, "half is left for others");
}
