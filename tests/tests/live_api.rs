//! The API under live traffic: the same numbers as the clients', in every view.
use std::net::TcpStream;

use anyhow::{Context, Result};
use perfmon_tests::client::{Call, Client};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::server::{self, Server};
use perfmon_tests::wait_until;
use serde_json::Value;

/// 60 good requests on numbered paths, 20 that fail.
fn calls() -> Vec<Call> {
    let mut calls: Vec<Call> = (100..160).map(|n| Call::get(format!("/bytes/{n}"))).collect();
    calls.extend((0..20).map(|_| Call::get("/status/503")));
    calls
}

fn items(list: &Value) -> Result<&Vec<Value>> {
    list.get("items").and_then(Value::as_array).with_context(|| format!("no items in {list}"))
}

fn number(value: &Value, pointer: &str) -> Result<f64> {
    value.pointer(pointer).and_then(Value::as_f64).with_context(|| format!("no number {pointer} in {value}"))
}

#[test]
fn every_view_shows_what_the_client_did() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("node"), Need::Program("curl")]) {
        return Ok(());
    }
    let server = Server::start(server::NODE)?;
    let perfmon = Perfmon::start(&["--port", &server.port.to_string()])?;
    Client::Curl.run(server.port, "curl", &calls())?;
    let summary =
        wait_until(10, || Ok(Some(perfmon.api("/api/v1/summary?window=5m")?).filter(|s| number(s, "/requests").is_ok_and(|n| n >= 80.0))))?;
    let summary = summary.context("80 requests never arrived in the summary")?;
    assert_eq!((number(&summary, "/requests")?, number(&summary, "/errors")?, number(&summary, "/error_rate")?), (80.0, 20.0, 0.25));

    let endpoints = perfmon.api("/api/v1/endpoints?window=5m")?;
    let rows = items(&endpoints)?;
    let counts: Vec<(Option<&str>, f64, f64)> = rows
        .iter()
        .map(|row| Ok((row.get("endpoint").and_then(Value::as_str), number(row, "/count")?, number(row, "/errors")?)))
        .collect::<Result<_>>()?;
    assert_eq!(counts.iter().map(|row| row.1).sum::<f64>(), 80.0, "{counts:?}");
    assert!(counts.contains(&(Some("/bytes/{id}"), 60.0, 0.0)), "{counts:?}");
    for row in rows {
        assert!(number(row, "/p50_ms")? <= number(row, "/p95_ms")? && number(row, "/p95_ms")? <= number(row, "/p99_ms")?, "{row}");
        assert_eq!(number(row, "/completeness")?, 1.0, "{row}");
    }

    let records = perfmon.api("/api/v1/records?kind=request&limit=5")?;
    let newest: Vec<&str> = items(&records)?.iter().filter_map(|record| record.get("time")?.as_str()).collect();
    assert!(newest.len() == 5 && newest.is_sorted_by(|a, b| a >= b), "{newest:?}");

    let health = perfmon.api("/health/performance")?;
    assert_eq!(number(&health, "/performance_metrics/error_rate")?, 0.25);
    assert!(
        number(&health, "/performance_metrics/avg_response_time")? > 0.0
            && number(&health, "/performance_metrics/requests_per_minute")? > 0.0
    );
    assert_eq!(health.get("status").and_then(Value::as_str), Some("unhealthy"), "a quarter of the requests failed: {health}");
    Ok(())
}

#[test]
fn silent_connections_count_from_before_the_start_until_they_end() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let connect = |count: usize| (0..count).map(|_| TcpStream::connect(("127.0.0.1", server.port))).collect::<std::io::Result<Vec<_>>>();
    let mut clients = connect(5)?;
    let perfmon = Perfmon::start(&["--port", &server.port.to_string()])?;
    let shows = |wanted: f64| {
        let health = perfmon.api("/health/performance")?;
        Ok((number(&health, "/performance_metrics/active_connections").ok() == Some(wanted)).then_some(()))
    };
    // The kernel's socket table is read every 5 s, the state is told every second.
    assert!(wait_until(8, || shows(5.0))?.is_some(), "{}", perfmon.api("/health/performance")?);
    clients.extend(connect(3)?);
    assert!(wait_until(8, || shows(8.0))?.is_some(), "{}", perfmon.api("/health/performance")?);
    clients.truncate(4);
    assert!(wait_until(8, || shows(4.0))?.is_some(), "{}", perfmon.api("/health/performance")?);
    Ok(())
}
