//! The aggregate as its owner sees it: records in, snapshots out.
use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::snapshot::{EndpointRow, Window, WindowView};
use super::*;
use crate::record::{Failure, InFlight, Millis, Origin, Quality, SpanId};

mod load;
mod loss;
pub(crate) mod query;
mod work;

const NS: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
const START: u64 = 1_800_000_000 * NS;

/// A finished request of 10 ms with every figure known.
pub(super) fn request(side: Side, path: &str) -> Request {
    Request {
        time: WallTime(START),
        origin: Arc::new(Origin { service: "shop".into(), ..Origin::unknown(7) }),
        side,
        protocol: "http/1.1",
        tls: false,
        local: "127.0.0.1:80".into(),
        peer: "127.0.0.1:40000".into(),
        host: Some("shop.example".into()),
        destination: (side == Side::Client).then(|| "api.example".into()),
        method: Some("GET".into()),
        path: Some(path.into()),
        endpoint: None,
        user_agent: None,
        status_code: Some(200),
        error: None,
        request_size: Some(0),
        response_size: Some(1_024),
        request_bytes: 80,
        response_bytes: 1_200,
        response_time_ms: Some(Millis(10 * MS)),
        streaming: false,
        grpc_status: None,
        connect_time_ms: None,
        tls_time_ms: None,
        resend_count: None,
        queue_time_ms: (side == Side::Server).then_some(Millis(MS)),
        time_to_first_byte_ms: Some(Millis(9 * MS)),
        performance_category: None,
        trace_id: None,
        span_id: SpanId(0xaa),
        parent_span_id: None,
        link: None,
        downstream: None,
        quality: Quality::Exact,
        missing_bytes: 0,
        messages_sent: None,
        messages_received: None,
        close_code: None,
    }
}

fn at(second: u64) -> WallTime {
    WallTime(START + second * NS)
}

fn aggregate() -> Aggregate {
    Aggregate::new(AggregateOptions { endpoint_rules: Vec::new(), now: at(0) })
}

fn add(aggregate: &mut Aggregate, request: Request) -> Request {
    let mut record = Record::Request(request);
    aggregate.add(&mut record);
    match record {
        Record::Request(request) => request,
        _ => unreachable!("it was a request"),
    }
}

fn minute(aggregate: &mut Aggregate, second: u64) -> WindowView {
    aggregate.tick(at(second)).snapshot.window(Window::Minute).unwrap().clone()
}

fn row<'a>(view: &'a WindowView, endpoint: &str) -> &'a EndpointRow {
    view.endpoints.iter().find(|row| &*row.endpoint == endpoint).unwrap()
}

#[test]
fn a_connect_that_failed_counts_against_its_destination_alone() {
    let mut aggregate = aggregate();
    let asked = Request { destination: Some("pay".into()), ..request(Side::Client, "/charge") };
    add(&mut aggregate, asked.clone());
    for _ in 0..3 {
        let failed = Request { error: Some(Failure::ConnectRefused), status_code: None, response_time_ms: None, ..asked.clone() };
        add(&mut aggregate, Request { protocol: Request::TCP, method: None, path: None, time_to_first_byte_ms: None, ..failed });
    }
    let view = minute(&mut aggregate, 2);
    let row = &view.destinations[0];
    assert_eq!((row.count, row.errors, row.connect_errors, row.availability), (4, 3, 3, Some(0.25)));
    assert_eq!((row.latency.max_ms, row.latency.mean_ms), (Some(10.0), Some(10.0)), "the one that was answered");
    assert!(view.endpoints.is_empty());
}

#[test]
fn one_request_everywhere() {
    let mut aggregate = aggregate();
    let added = add(&mut aggregate, request(Side::Server, "/users/42"));
    assert_eq!(added.endpoint.as_deref(), Some("/users/{id}"));
    let view = minute(&mut aggregate, 2);
    let row = row(&view, "/users/{id}");
    assert_eq!((&*row.service, &*row.method, row.count, row.errors, row.error_rate), ("shop", "GET", 1, 0, Some(0.0)));
    assert_eq!((row.latency.mean_ms, row.latency.max_ms, row.queue_mean_ms), (Some(10.0), Some(10.0), Some(1.0)));
    assert_eq!((row.categories.fast, row.share_of_time, row.completeness), (1, 1.0, Some(1.0)));
    assert_eq!((row.request_size_mean_bytes, row.response_size_mean_bytes), (Some(0.0), Some(1_024.0)));
    assert_eq!((row.requests_per_minute, row.rate_now_per_second, row.rate_peak_per_second), (30.0, 0.5, 0.5));
    assert_eq!(row.slowest_span_ids.iter().map(ToString::to_string).collect::<Vec<_>>(), ["00000000000000aa"]);
    for percentile in [row.latency.p50_ms, row.latency.p99_ms] {
        assert!((percentile.unwrap() - 10.0).abs() <= 0.1, "{percentile:?}");
    }
    assert_eq!((view.totals.requests, view.totals.requests_per_minute), (1, 30.0));
    assert_eq!((view.services[0].count, view.services[0].origin.as_ref().unwrap().pid), (1, 7));
    assert!(view.destinations.is_empty());
}

#[test]
fn nothing_is_null_and_not_zero() {
    let snapshot = aggregate().tick(at(1)).snapshot;
    for view in &snapshot.windows {
        let totals = &view.totals;
        assert_eq!((totals.requests, totals.error_rate, totals.completeness, totals.latency.p50_ms), (0, None, None, None));
        assert_eq!(view.work.avg_agent_time_ms, None);
        assert!(view.endpoints.is_empty() && view.services.is_empty());
    }
}

#[test]
fn both_ends_of_an_exchange_count_once_each() {
    let mut aggregate = aggregate();
    add(&mut aggregate, request(Side::Server, "/a"));
    let mut client = request(Side::Client, "/users/9");
    client.status_code = Some(503);
    let client = add(&mut aggregate, client);
    assert_eq!(client.endpoint.as_deref(), Some("/users/{id}"));
    let view = minute(&mut aggregate, 1);
    assert_eq!((view.totals.requests, view.totals.errors, view.endpoints.len()), (1, 0, 1));
    let destination = &view.destinations[0];
    assert_eq!((&*destination.destination, destination.count, destination.availability), ("api.example", 1, Some(0.0)));
}

#[test]
fn errors_by_class_and_what_was_not_seen_is_none() {
    let mut aggregate = aggregate();
    let mut with = |change: fn(&mut Request)| {
        let mut request = request(Side::Server, "/a");
        change(&mut request);
        add(&mut aggregate, request);
    };
    with(|r| r.status_code = Some(200));
    with(|r| r.status_code = Some(404));
    with(|r| r.status_code = Some(500));
    with(|r| r.error = Some(Failure::ClientClosed));
    with(|r| (r.error, r.status_code, r.response_time_ms) = (Some(Failure::Reset), None, None));
    with(|r| r.grpc_status = Some(13));
    with(|r| (r.status_code, r.response_time_ms, r.quality) = (None, None, Quality::Inferred));
    let view = minute(&mut aggregate, 1);
    let classes = view.totals.error_classes;
    assert_eq!((view.totals.requests, view.totals.errors), (7, 4));
    assert_eq!((classes.status_4xx, classes.status_5xx, classes.client_closed, classes.reset, classes.grpc), (1, 1, 1, 1, 1));
    assert_eq!(view.totals.categories.fast, 5, "unknown latencies enter no percentile");
    assert_eq!(view.totals.completeness, Some(6.0 / 7.0));
}

#[test]
fn slow_requests_that_fail_show_in_the_correlation() {
    let mut aggregate = aggregate();
    for number in 0..10_u64 {
        let mut slow = request(Side::Server, "/a");
        slow.response_time_ms = Some(Millis(2_000 * MS));
        slow.status_code = Some(if number < 5 { 500 } else { 200 });
        add(&mut aggregate, slow);
        add(&mut aggregate, request(Side::Server, "/a"));
    }
    let view = minute(&mut aggregate, 1);
    let correlation = view.totals.correlation;
    assert_eq!((correlation.slow_error_rate, correlation.fast_error_rate), (Some(0.5), Some(0.0)));
    assert_eq!((correlation.error_mean_ms, correlation.ok_mean_ms), (Some(2_000.0), Some(round((5.0 * 2_000.0 + 100.0) / 15.0))));
}

fn round(ms: f64) -> f64 {
    (ms * 1_000.0).floor() / 1_000.0
}

#[test]
fn a_stream_is_no_latency() {
    let mut aggregate = aggregate();
    let mut stream = request(Side::Server, "/events");
    (stream.streaming, stream.response_time_ms) = (true, Some(Millis(90_000 * MS)));
    add(&mut aggregate, stream);
    let mut upgrade = request(Side::Server, "/ws");
    (upgrade.streaming, upgrade.status_code) = (true, Some(101));
    add(&mut aggregate, upgrade);
    let mut end = request(Side::Server, "/ws");
    (end.protocol, end.status_code, end.response_time_ms) = ("websocket", Some(101), Some(Millis(60_000 * MS)));
    (end.streaming, end.error) = (true, Some(Failure::Reset));
    add(&mut aggregate, Request { side: Side::Client, destination: Some("chat".into()), ..end.clone() });
    add(&mut aggregate, end);
    let view = minute(&mut aggregate, 1);
    let events = row(&view, "/events");
    assert_eq!((events.latency.max_ms, events.stream_max_ms, events.categories.slow), (Some(9.0), Some(90_000.0), 0));
    let socket = row(&view, "/ws");
    assert_eq!((socket.count, socket.latency.max_ms, socket.stream_max_ms), (1, Some(9.0), Some(60_000.0)));
    // Percentiles are within 1 %.
    let is_a_minute = |ms: Option<f64>| ms.is_some_and(|ms| (59_400.0..=60_600.0).contains(&ms));
    assert!(is_a_minute(socket.stream_p50_ms) && is_a_minute(socket.stream_p95_ms), "{socket:?}");
    assert_eq!((socket.errors, socket.error_rate, socket.error_classes.reset), (0, Some(0.0), 0));
    assert_eq!((view.totals.requests, view.totals.error_rate, view.destinations.len()), (2, Some(0.0), 0));
}

#[test]
fn an_endpoint_learned_late_merges_what_was_counted() {
    let mut aggregate = aggregate();
    let names: Vec<String> =
        (0..200).map(|number| format!("/people/{}-{}", ["ann", "bob", "cy", "dee"][number % 4], word(number))).collect();
    let first = add(&mut aggregate, request(Side::Server, &names[0]));
    assert_eq!(first.endpoint.as_deref(), Some(&*names[0]));
    for (second, name) in names.iter().enumerate().skip(1) {
        add(&mut aggregate, request(Side::Server, name));
        if second % 10 == 0 {
            aggregate.tick(at(second as u64));
        }
    }
    let snapshot = aggregate.tick(at(201)).snapshot;
    let view = snapshot.window(Window::Hour).unwrap();
    assert_eq!(view.endpoints.iter().map(|row| (&*row.endpoint, row.count)).collect::<Vec<_>>(), [("/people/{id}", 200)]);
    assert_eq!((view.totals.requests, view.endpoints[0].latency.mean_ms), (200, Some(10.0)));
}

fn word(number: usize) -> String {
    [number / 26 % 26, number % 26].iter().map(|&letter| char::from(b'a' + letter as u8)).collect()
}

#[test]
fn a_hanging_request_shows_before_it_ends() {
    let mut aggregate = aggregate();
    add(&mut aggregate, request(Side::Server, "/users/1"));
    let under_way = |path: &str, since: u64| InFlight {
        origin: request(Side::Server, "/").origin,
        method: "GET".into(),
        path: path.into(),
        since: at(since),
    };
    let in_flight = vec![under_way("/hang/5", 1), under_way("/users/7", 8), under_way("/hang/6", 9), under_way("/new", 10)];
    aggregate.gauges(Gauges { time: at(10), active_connections: Some(4), in_flight, targets: Vec::new() });
    let view = minute(&mut aggregate, 10);
    let users = row(&view, "/users/{id}");
    assert_eq!((users.in_flight, users.oldest_in_flight_ms, users.count, users.concurrency_peak), (1, Some(2_000.0), 1, 1));
    let hanging = row(&view, "/hang/{id}");
    assert_eq!((hanging.in_flight, hanging.oldest_in_flight_ms, hanging.count, hanging.error_rate), (2, Some(9_000.0), 0, None));
    assert!(view.endpoints.iter().all(|row| &*row.endpoint != "/new"), "too young to hang");
    assert_eq!((view.services[0].in_flight, view.totals.concurrency_peak), (4, 3));
    aggregate.gauges(Gauges { time: at(11), ..Gauges::default() });
    assert_eq!(minute(&mut aggregate, 11).endpoints.len(), 1);
}

#[test]
fn concurrency_is_the_overlap() {
    let mut aggregate = aggregate();
    for (path, start, length) in [("/a", 0, 300), ("/a", 100, 300), ("/b", 200, 50), ("/b", 600, 50)] {
        let mut request = request(Side::Server, path);
        (request.time, request.response_time_ms) = (WallTime(START + start * MS), Some(Millis(length * MS)));
        add(&mut aggregate, request);
    }
    let view = minute(&mut aggregate, 1);
    assert_eq!((view.totals.concurrency_peak, row(&view, "/a").concurrency_peak, row(&view, "/b").concurrency_peak), (3, 2, 1));
}

#[test]
fn rates_now_and_peak() {
    let mut aggregate = aggregate();
    let mut last = None;
    for second in 0..10 {
        (0..if second == 4 { 30 } else { 10 }).for_each(|_| drop(add(&mut aggregate, request(Side::Server, "/a"))));
        last = Some(minute(&mut aggregate, second + 1));
    }
    let totals = last.unwrap().totals;
    assert_eq!((totals.rate_now_per_second, totals.rate_peak_per_second, totals.requests_per_minute), (10.0, 30.0, 720.0));
    assert_eq!(minute(&mut aggregate, 11).totals.rate_now_per_second, 0.0);
}

#[test]
fn everything_leaves_after_an_hour_and_nothing_remains() {
    let mut aggregate = aggregate();
    for number in 0..20 {
        add(&mut aggregate, request(Side::Server, &format!("/x/{}", word(number))));
        add(&mut aggregate, request(Side::Client, "/y"));
    }
    let seen: Vec<(u64, [usize; 3])> = (1..=4_000)
        .step_by(7)
        .map(|second| (second, [0, 1, 2].map(|window| aggregate.tick(at(second)).snapshot.windows[window].endpoints.len())))
        .collect();
    for (second, rows) in seen {
        for (window, length) in Window::ALL.iter().zip([60, 300, 3_600]) {
            let rows = rows[*window as usize];
            assert!(second > length || rows > 0, "{window:?} lost its rows after {second} s");
            assert!(second <= length + length / 10 || rows == 0, "{window:?} has rows after {second} s");
        }
    }
    assert_eq!((aggregate.endpoints.rows().count(), aggregate.destinations.rows().count()), (0, 0));
    assert_eq!(aggregate.services.rows().count(), 0);
}

#[test]
fn a_blocked_loop_is_found_and_closed() {
    let mut aggregate = aggregate();
    let mut told = Vec::new();
    for second in 0..200 {
        for _ in 0..if second < 30 { 5 } else { 40 } {
            let mut request = request(Side::Server, "/a");
            let blocked = second < 30;
            (request.queue_time_ms, request.response_time_ms) =
                if blocked { (Some(Millis(95 * MS)), Some(Millis(100 * MS))) } else { (Some(Millis(MS)), Some(Millis(6 * MS))) };
            add(&mut aggregate, request);
        }
        let ticked = aggregate.tick(at(second + 1));
        told.extend(ticked.findings.iter().map(|finding| (finding.open, finding.scope.to_string())));
        assert!(ticked.snapshot.findings.len() <= 1);
    }
    assert_eq!(told.first(), Some(&(true, "shop".into())));
    assert_eq!(told.last(), Some(&(false, "shop".into())));
    assert!(told.len() <= 5, "{told:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn rows_add_up_to_totals(requests in prop::collection::vec(("(/[a-d0-9]{1,2}){1,3}", 0_u8..6, 0_u64..3_000, 0_u8..2), 1..600)) {
        let mut aggregate = aggregate();
        let statuses = [200, 201, 302, 404, 500, 503];
        let (mut expected, mut errors) = (BTreeMap::<String, u64>::new(), 0);
        for (number, (path, status, latency, service)) in requests.iter().enumerate() {
            let mut request = request(Side::Server, path);
            request.status_code = Some(statuses[usize::from(*status)]);
            request.response_time_ms = Some(Millis(latency * MS));
            request.origin = Arc::new(Origin { service: service.to_string().into(), ..Origin::unknown(1) });
            *expected.entry(service.to_string()).or_default() += 1;
            errors += u64::from(*status >= 4);
            add(&mut aggregate, request);
            if number % 100 == 0 {
                aggregate.tick(at(number as u64 / 100));
            }
        }
        let snapshot = aggregate.tick(at(20)).snapshot;
        for view in &snapshot.windows {
            prop_assert_eq!((view.totals.requests, view.totals.errors), (requests.len() as u64, errors));
            prop_assert_eq!(view.endpoints.iter().map(|row| row.count).sum::<u64>(), requests.len() as u64);
            prop_assert_eq!(view.endpoints.iter().map(|row| row.errors).sum::<u64>(), errors);
            prop_assert_eq!(view.services.iter().map(|row| (row.service.to_string(), row.count)).collect::<BTreeMap<_, _>>(), expected.clone());
            let time = view.endpoints.iter().map(|row| row.share_of_time).sum::<f64>();
            prop_assert!((time - 1.0).abs() < 1e-9 || view.totals.latency.max_ms == Some(0.0), "{}", time);
            prop_assert!(view.endpoints.is_sorted_by(|a, b| a.share_of_time >= b.share_of_time));
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies(latencies in prop::collection::vec(1_000_u64..20_000_000_000, 1..500)) {
        let mut aggregate = aggregate();
        for latency in &latencies {
            let mut request = request(Side::Server, "/a");
            request.response_time_ms = Some(Millis(*latency));
            add(&mut aggregate, request);
        }
        let latency = minute(&mut aggregate, 1).totals.latency;
        let mut sorted = latencies.clone();
        sorted.sort_unstable();
        for (quantile, reported) in [(0.5, latency.p50_ms), (0.95, latency.p95_ms), (0.99, latency.p99_ms)] {
            let exact = sorted[(sorted.len() as f64 * quantile).ceil() as usize - 1] as f64 / 1e6;
            prop_assert!((reported.unwrap() - exact).abs() <= exact * 0.01 + 0.000_5, "{reported:?} for {exact}");
        }
        prop_assert_eq!(latency.max_ms, sorted.last().map(|&ns| Millis(ns).as_f64()));
    }
}
