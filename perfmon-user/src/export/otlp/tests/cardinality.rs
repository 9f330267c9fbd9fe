//! What many names and processes of one service leave to the others in an interval, and when names go.
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;

use super::*;
use crate::export::otlp::metrics::{HostState, IntervalMetrics};
use crate::export::otlp::resource::{Common, Resources};

const DURATION: &str = "http.server.request.duration";

struct Interval {
    metrics: IntervalMetrics,
    resources: Resources,
}

/// What a point is about, and its count: service, pid, name of its metric, attribute that names the place.
type Point = (String, Option<i64>, String, Option<String>, u64);

impl Interval {
    fn new() -> Self {
        let resources = Resources::new(Common { own_service: "perfmon".into(), ..Common::default() });
        Self { metrics: IntervalMetrics::new(WallTime(BEGIN), resources.host()), resources }
    }

    fn add(&mut self, record: Record) {
        self.metrics.add(&record);
    }

    /// Ends the interval: its points and the number of records without a series of their own.
    fn take(&mut self) -> (Vec<Point>, u64) {
        let (resources, overflowed) = self.metrics.take(
            WallTime(BEGIN + SECOND),
            &Gauges::default(),
            HostState { processes: Some(1), degraded: 2 },
            &mut self.resources,
        );
        (resources.iter().flat_map(points).collect(), overflowed)
    }
}

fn points(of_resource: &ResourceMetrics) -> Vec<Point> {
    let attributes = &of_resource.resource.as_ref().unwrap().attributes;
    let service = text(attributes, "service.name").unwrap();
    let pid = attributes.iter().find(|attribute| attribute.key == "process.pid").map(|pid| match pid.value.as_ref().unwrap().value {
        Some(Value::IntValue(pid)) => pid,
        _ => panic!("{pid:?}"),
    });
    let mut points = Vec::new();
    for metric in of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
        let mut add = |attributes: &[KeyValue], count| {
            let place =
                ["http.route", "server.address", "gen_ai.tool.name", "dns.question.name"].iter().find_map(|key| text(attributes, key));
            points.push((service.clone(), pid, metric.name.clone(), place, count));
        };
        match metric.data.as_ref().unwrap() {
            Data::ExponentialHistogram(histogram) => histogram.data_points.iter().for_each(|point| add(&point.attributes, point.count)),
            Data::Sum(sum) => sum.data_points.iter().for_each(|point| match point.value.unwrap() {
                number_data_point::Value::AsInt(count) => add(&point.attributes, count as u64),
                number_data_point::Value::AsDouble(_) => add(&point.attributes, 0),
            }),
            Data::Gauge(gauge) => gauge.data_points.iter().for_each(|point| add(&point.attributes, 0)),
            other => panic!("{other:?}"),
        }
    }
    points
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    attributes.iter().find(|attribute| attribute.key == key).map(|attribute| match &attribute.value.as_ref().unwrap().value {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    })
}

/// How often a place was counted; `None` without a point.
fn count(points: &[Point], service: &str, metric: &str, place: Option<&str>) -> Option<u64> {
    let of_place = points.iter().filter(|(own, _, name, at, _)| own == service && name == metric && at.as_deref() == place);
    of_place.map(|(.., count)| *count).reduce(|sum, count| sum + count)
}

fn word_paths(interval: &mut Interval) {
    for number in 0..90 * 60 {
        interval.add(server("shop", &format!("/{}/{}", number / 60, number % 60), 200, 1));
    }
}

#[test]
fn words_before_they_fold_leave_room_for_the_next_service_and_go_with_their_interval() {
    let mut interval = Interval::new();
    word_paths(&mut interval);
    interval.add(server("next", "/health", 200, 1));
    let (points, overflowed) = interval.take();
    assert_eq!(count(&points, "next", DURATION, Some("/health")), Some(1));
    let own = points.iter().filter(|(service, _, name, place, _)| service == "shop" && name == DURATION && place.is_some()).count() as u64;
    assert_eq!(own, limits::EXPORT_SERIES as u64 / 2, "half is left for others");
    assert_eq!((count(&points, "shop", DURATION, None), overflowed), (Some(5_400 - own), 5_400 - own));
    // Folded by now.
    interval.add(server("shop", "/{id}/{id}", 200, 1));
    let (points, overflowed) = interval.take();
    assert_eq!((count(&points, "shop", DURATION, Some("/{id}/{id}")), overflowed), (Some(1), 0));
    assert_eq!(count(&points, "shop", DURATION, Some("/0/0")), None);
}

#[test]
fn paths_of_a_service_leave_room_for_its_tools_and_failed_connects() {
    let mut interval = Interval::new();
    word_paths(&mut interval);
    let shop = origin("shop", 7);
    interval.add(Record::Tool(Box::new(tool(&shop, "mcp"))));
    interval.add(attempt(&shop, "db:5432"));
    let (points, _) = interval.take();
    assert!(points.iter().any(|(_, _, name, place, _)| name == "mcp.client.operation.duration" && place.is_some()), "no tool");
    assert_eq!(count(&points, "shop", "perfmon.connect.failures", Some("db")), Some(1));
}

#[test]
fn names_that_a_service_asks_for_have_a_bound_and_their_codes_are_apart() {
    const LOOKUPS: &str = "dns.lookup.duration";
    let (mut interval, shop, next) = (Interval::new(), origin("shop", 7), origin("next", 8));
    let names = limits::EXPORT_SERIES as u64;
    for number in 0..names {
        interval.add(lookup(&shop, &format!("n{number}.example"), "NOERROR", Some(1)));
    }
    for (rcode, ms) in [("NOERROR", Some(1)), ("NOERROR", Some(2)), ("SERVFAIL", Some(3)), ("TIMEOUT", None)] {
        interval.add(lookup(&next, "api.example", rcode, ms));
    }
    let (points, overflowed) = interval.take();
    let mut of_next: Vec<(&str, u64)> =
        points.iter().filter(|point| point.0 == "next").map(|(_, _, name, _, count)| (name.as_str(), *count)).collect();
    of_next.sort_unstable();
    assert_eq!(of_next, [(LOOKUPS, 1), (LOOKUPS, 2), ("perfmon.dns.unanswered_lookups", 1)], "a series a code");
    let named = points.iter().filter(|(service, _, name, place, _)| service == "shop" && name == LOOKUPS && place.is_some()).count() as u64;
    assert_eq!((named, count(&points, "shop", LOOKUPS, None), overflowed), (names / 2, Some(names / 2), names / 2));
}

#[test]
fn short_processes_of_a_service_leave_room_for_the_next_one_and_for_the_host() {
    let mut interval = Interval::new();
    for pid in 0..5_000 {
        interval.add(Record::Request(request(&origin("batch", 10 + pid), Side::Server, "/", 200, 1)));
    }
    interval.add(process(&origin("batch", 9_000), 50.0));
    interval.add(server("next", "/health", 200, 1));
    interval.add(system());
    let (points, _) = interval.take();
    assert_eq!(count(&points, "next", DURATION, Some("/health")), Some(1));
    assert!(points.iter().any(|(service, _, name, ..)| service == "perfmon" && name.starts_with("system.")), "the host has its figures");
    let batch = |point: &&Point| point.0 == "batch" && point.2 == DURATION;
    let processes = points.iter().filter(batch).filter(|(_, pid, ..)| pid.is_some()).count();
    assert_eq!(processes, limits::EXPORT_PROCESSES / 2, "half is left for others");
    let all: u64 = points.iter().filter(batch).map(|(.., count)| count).sum();
    assert_eq!(all, 5_000, "what found no room counts for the service as a whole");
    assert!(
        points.iter().all(|(_, pid, name, ..)| pid.is_some() || !name.starts_with("process.")),
        "a process's sample is not a service's"
    );
}

#[test]
fn an_interval_tells_what_it_counted_itself_with_the_series_of_the_last_one_or_new_ones() {
    let mut interval = Interval::new();
    // Most go on, then none does, then others do.
    for (paths, times) in [(0..8, 1), (2..8, 3), (20..21, 2), (20..24, 1), (0..4, 2)] {
        let records = || paths.clone().map(|number| server("shop", &format!("/{number}"), 200, 1));
        (0..times).flat_map(|_| records()).for_each(|record| interval.add(record));
        interval.add(Record::Llm(Box::new(call(&origin("shop", 1), Side::Client))));
        let (points, overflowed) = interval.take();
        assert_eq!(overflowed, 0);
        let told = |number: u64| count(&points, "shop", DURATION, Some(&format!("/{number}")));
        for number in 0..30 {
            assert_eq!(told(number), paths.contains(&number).then_some(times), "{number} of {paths:?}");
        }
        assert_eq!(points.iter().filter(|(.., name, _, count)| name == "gen_ai.client.operation.duration" && *count == 1).count(), 1);
    }
    let (points, _) = interval.take();
    assert!(points.iter().all(|(service, ..)| service != "shop"), "{points:?}");
}
