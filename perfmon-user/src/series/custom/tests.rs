//! Records through the feed of business metrics.
use crate::limits;
use crate::record::custom::{CustomDefinition, CustomMetric, CustomMetrics};
use crate::record::{Record, WallTime};
use crate::series::{Cell, SeriesDelta, SeriesFeed};
use crate::store::tests::{DAY, SECOND, request};

fn defined(name: &str, value: &str, status: &str, by: &[&str]) -> &'static CustomMetric {
    let written =
        |status: &str| vec![("endpoint".to_owned(), vec!["/orders*".to_owned()]), ("status_code".to_owned(), vec![status.to_owned()])];
    let definition = CustomDefinition {
        name: name.into(),
        from: "request".into(),
        wanted: written(status),
        of: (value == "ratio").then(|| written("*")),
        value: value.into(),
        by: by.iter().map(|label| (*label).to_owned()).collect(),
    };
    definition.check().unwrap()
}

fn feed(metrics: &[&'static CustomMetric]) -> SeriesFeed {
    let mut feed = SeriesFeed::default();
    feed.set_custom(&CustomMetrics::new(metrics.to_vec()));
    feed
}

fn orders() -> Vec<Record> {
    let order = |number: u64| request(DAY, "shop", "/orders", 1_000 * (number + 1), if number % 4 == 3 { 500 } else { 201 });
    (0..100).map(order).chain([request(DAY, "shop", "/", 9_000_000, 200)]).collect()
}

fn taken(feed: &mut SeriesFeed, records: &[Record]) -> std::sync::Arc<SeriesDelta> {
    records.iter().for_each(|record| feed.add(record));
    feed.take(WallTime(DAY * SECOND))
}

/// All series of a metric.
fn sum(delta: &SeriesDelta, metric: &'static CustomMetric) -> Cell {
    let mut sum = Cell::default();
    delta.cells.iter().filter(|cell| cell.key.custom() == Some(metric)).for_each(|cell| sum.merge(&cell.cell));
    sum
}

fn value(delta: &SeriesDelta, metric: &'static CustomMetric) -> Option<f64> {
    sum(delta, metric).value(&metric.metric(), 10.0)
}

#[test]
fn each_value_is_that_of_the_records_that_pass() {
    let values = ["count", "sum of response_time_ms", "mean of response_time_ms", "min of response_time_ms", "max of response_time_ms"];
    let metrics: Vec<_> = values.iter().enumerate().map(|(number, value)| defined(&format!("value_{number}"), value, "201", &[])).collect();
    let (p95, ratio) = (defined("value_p95", "p95 of response_time_ms", "*", &[]), defined("value_ratio", "ratio", ">= 500", &[]));
    let mut feed = feed(&[&metrics[..], &[p95, ratio]].concat());
    let delta = taken(&mut feed, &orders());
    let created: Vec<f64> = (0..100).filter(|number| number % 4 != 3).map(|number| f64::from(number + 1)).collect();
    let total: f64 = created.iter().sum();
    let wanted = [75.0, total, total / 75.0, 1.0, 99.0];
    for (metric, wanted) in metrics.into_iter().zip(wanted) {
        assert!((value(&delta, metric).unwrap() - wanted).abs() < 0.001, "{}", metric.summary());
    }
    let found = value(&delta, p95).unwrap();
    assert!((found - 95.0).abs() <= 1.0, "{found}");
    assert_eq!(value(&delta, ratio), Some(0.25));
    assert_eq!(sum(&delta, ratio).count, 100, "the whole is behind it");
}

#[test]
fn nothing_counted_is_0_while_a_metric_is_configured_and_unknown_else() {
    let (first, second) = (defined("zero_first", "count", "404", &[]), defined("zero_second", "count", "404", &["service"]));
    let mut feed = feed(&[first]);
    let delta = taken(&mut feed, &[]);
    assert_eq!((delta.cells.len(), value(&delta, first)), (1, Some(0.0)));
    assert_eq!(taken(&mut feed, &[]).cells, [], "once in each cell of time");
    feed.set_custom(&CustomMetrics::new(vec![second]));
    let delta = taken(&mut feed, &[]);
    assert!(delta.cells.len() == 1 && delta.cells[0].key.custom() == Some(second));
    assert_eq!(SeriesFeed::default().take(WallTime(DAY * SECOND)).cells, []);
}

#[test]
fn labels_make_series_and_too_many_go_into_one_and_are_counted() {
    let metric = defined("by_endpoint", "count", "201", &["service", "endpoint", "status_code"]);
    let mut feed = feed(&[metric]);
    let most = limits::CUSTOM_SERIES;
    let records: Vec<Record> = (0..most + 50).map(|number| request(DAY, "shop", &format!("/orders/{number}"), 5, 201)).collect();
    let delta = taken(&mut feed, &records);
    let of = |endpoint: &str| {
        let is_it = |cell: &&crate::series::SeriesCell| {
            cell.key.custom() == Some(metric) && cell.key.value("endpoint").is_some_and(|value| &**value == endpoint)
        };
        delta.cells.iter().filter(is_it).map(|cell| cell.cell.count).sum::<u64>()
    };
    assert_eq!((of("/orders/0"), of("(other)")), (1, 50));
    assert_eq!((feed.take_custom_overflowed(), feed.take_custom_overflowed()), (50, 0));
    assert_eq!(sum(&delta, metric).count, records.len() as u64, "none is lost");
    // An hour later those have gone.
    let late = request(DAY + 4_000, "shop", "/orders/late", 5, 201);
    let delta = taken(&mut feed, &[late]);
    assert!(delta.cells.iter().any(|cell| cell.key.value("endpoint").is_some_and(|value| &**value == "/orders/late")));
}

#[test]
fn another_definition_under_a_name_has_series_of_its_own() {
    let (former, latter) = (defined("redefined", "count", "201", &[]), defined("redefined", "count", "500", &[]));
    let mut feed = feed(&[former]);
    let before = taken(&mut feed, &orders());
    feed.set_custom(&CustomMetrics::new(vec![latter]));
    let after = taken(&mut feed, &orders());
    assert_eq!((value(&before, former), value(&after, latter)), (Some(75.0), Some(25.0)));
    assert_eq!((sum(&before, latter).count, sum(&after, former).count), (0, 0));
    let keys = [&before, &after].map(|delta| delta.cells.iter().find(|cell| cell.key.custom().is_some()).unwrap().key.to_json());
    assert_ne!(keys[0], keys[1], "on disk too");
}

/// Run with `--nocapture` it says what CPU time a record costs; the limit is far above, for builds without optimisation.
#[test]
fn a_record_costs_little() {
    let metrics: Vec<_> = (0..20).map(|number| defined(&format!("cost_{number}"), "sum of response_bytes", "201", &["service"])).collect();
    let records = orders();
    let time = |feed: &mut SeriesFeed| {
        let begin = crate::clock::thread_cpu_ns();
        for _ in 0..50 {
            records.iter().for_each(|record| feed.add(record));
            feed.take(WallTime(DAY * SECOND));
        }
        (crate::clock::thread_cpu_ns() - begin) as f64 / (50 * records.len()) as f64
    };
    let (without, with) = (time(&mut SeriesFeed::default()), time(&mut feed(&metrics)));
    let each = (with - without) / metrics.len() as f64;
    println!("{without:.0} ns a record without metrics, {with:.0} ns with {}: {each:.0} ns each", metrics.len());
    assert!(each < 20_000.0, "{each} ns");
}
