//! Business metrics from the feed to every view.
use futures_util::StreamExt as _;

use super::history::{NOW, get};
use super::*;
use crate::record::custom::{CustomDefinition, CustomMetric, CustomMetrics};
use crate::series::SeriesFeed;
use crate::store::{Retention, Store, StoreOptions};

fn defined(name: &str, value: &str, by: &[&str]) -> &'static CustomMetric {
    let definition = CustomDefinition {
        name: name.into(),
        from: "request".into(),
        value: value.into(),
        of: (value == "ratio").then(|| vec![("service".into(), vec!["*".into()])]),
        wanted: vec![("service".into(), vec!["shop".into()])],
        by: by.iter().map(|label| (*label).to_owned()).collect(),
    };
    definition.check().unwrap()
}

fn metrics() -> CustomMetrics {
    CustomMetrics::new(vec![
        defined("http_orders", "count", &[]),
        defined("http_time_ms", "p95 of response_time_ms", &[]),
        defined("http_bytes", "sum of response_bytes", &["service", "status_code"]),
        defined("http_share", "ratio", &[]),
        defined("http_size", "mean of response_bytes", &[]),
    ])
}

/// A server whose feed counted three requests, of them one of another service.
fn counted(folder: &std::path::Path) -> Server {
    let options = StoreOptions {
        path: folder.join("perfmon.db"),
        max_bytes: 1 << 30,
        retention: Retention::default(),
        now: || WallTime(NOW * SECOND),
    };
    let store = Store::start(options, Arc::default(), crate::heartbeat::Heartbeat::unwatched()).unwrap();
    let mut feed = SeriesFeed::default();
    feed.set_custom(&metrics());
    for (service, ms) in [("shop", 100), ("shop", 300), ("other", 500)] {
        feed.add(&Record::Request(request(NOW - 30, service, ms)));
    }
    let delta = feed.take(WallTime((NOW - 20) * SECOND));
    store.series(&delta);
    let reader = store.reader();
    store.finish();
    let mut server = server();
    let parts = &mut Arc::get_mut(&mut server.state).unwrap().parts;
    (parts.history, parts.custom) = (Some(reader), watch::channel(metrics()).1);
    server.state.series(&delta);
    server
}

#[tokio::test]
async fn they_are_in_history_by_name_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let server = counted(folder.path());
    let range = "from=2026-11-22T09:59:20Z&to=2026-11-22T10:00:00Z&step=10s";
    let values = async |query: &str| {
        let (status, answer) = get(&server, &format!("/api/v1/history?metric={query}&{range}")).await;
        assert_eq!(status, 200, "{answer}");
        answer["points"].as_array().unwrap().iter().map(|point| point["value"].as_f64()).collect::<Vec<_>>()
    };
    // Counted in one cell, configured in the next, and not known before and after.
    assert_eq!(values("custom.http_orders").await, [Some(2.0), Some(0.0), None, None]);
    assert_eq!(values("custom.http_share").await[0], Some(0.666_666_666_667));
    // Percentiles are as exact as their histogram.
    assert!(values("custom.http_time_ms").await[0].is_some_and(|value| (297.0..=300.0).contains(&value)));
    let one = request(NOW, "shop", 1).response_bytes as f64;
    assert_eq!(values("custom.http_bytes&service=shop").await[0], Some(2.0 * one));
    assert_eq!(values("custom.http_bytes&service=other").await, [Some(0.0), Some(0.0), None, None]);
    for (query, message) in
        [("custom.http_order", "the nearest names are custom.http_orders"), ("custom.http_orders&service=shop", "unknown parameter")]
    {
        let (status, answer) = get(&server, &format!("/api/v1/history?metric={query}")).await;
        let told = answer["error"]["message"].as_str().unwrap();
        assert!(status == 400 && told.contains(message), "{told}");
    }
}

#[tokio::test]
async fn they_are_in_metrics_with_units_and_in_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let server = counted(folder.path());
    let body = text(ask(&server, HttpRequest::get("/metrics").header("host", "localhost")).await).await;
    let bytes = 2 * request(NOW, "shop", 1).response_bytes;
    for line in [
        "# TYPE perfmon_custom_http_orders_total counter".to_owned(),
        "perfmon_custom_http_orders_total 2".into(),
        "perfmon_custom_http_time_seconds_bucket{le=\"0.25\"} 1".into(),
        "perfmon_custom_http_time_seconds_count 2".into(),
        "perfmon_custom_http_time_seconds_sum 0.4".into(),
        format!("perfmon_custom_http_bytes_total{{service_name=\"shop\",http_response_status_code=\"200\"}} {bytes}"),
        "perfmon_custom_http_share_ratio 0.666666667".into(),
        format!("perfmon_custom_http_size_bytes {}", bytes / 2),
    ] {
        assert!(
            body.lines().any(|known| known == line),
            "{line}\nis not in\n{}",
            body.lines().filter(|l| l.contains("custom")).collect::<Vec<_>>().join("\n")
        );
    }
    let (status, list) = get(&server, "/api/v1/metrics").await;
    assert_eq!((status, list["total"].as_u64()), (200, Some(5)));
    assert_eq!(list["items"][0]["metric"], "custom.http_orders");
    assert_eq!(list["items"][0]["definition"], "count of request records where service shop");
    let units: Vec<_> = list["items"].as_array().unwrap().iter().map(|metric| metric["unit"].as_str()).collect();
    assert_eq!(units, [None, Some("ms"), Some("bytes"), Some("ratio"), Some("bytes")]);
    assert_eq!(list["items"][2]["series"][0]["labels"]["service"], "shop");
    assert_eq!((list["items"][0]["series"][0]["value"].as_f64(), list["items"][0]["series"][0]["count"].as_u64()), (Some(2.0), Some(2)));
    let response = ask(&server, HttpRequest::get("/api/v1/stream?follow=metrics").header("host", "localhost")).await;
    let first = response.into_body().into_data_stream().next().await.unwrap().unwrap();
    let told = std::str::from_utf8(&first).unwrap().lines().rfind(|line| line.contains("\"route\":\"metrics\"")).unwrap();
    let followed: Value = serde_json::from_str(told.trim_start_matches("data: ")).unwrap();
    assert_eq!((&followed["total"], &followed["rows"][0][1]), (&list["total"], &list["items"][0]));
}

#[tokio::test]
async fn a_metric_that_goes_takes_its_series_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = counted(folder.path());
    Arc::get_mut(&mut server.state).unwrap().parts.custom = watch::channel(CustomMetrics::default()).1;
    server.state.series(&SeriesFeed::default().take(WallTime(NOW * SECOND)));
    let body = text(ask(&server, HttpRequest::get("/metrics").header("host", "localhost")).await).await;
    assert!(!body.contains("perfmon_custom_http"), "{body}");
}
