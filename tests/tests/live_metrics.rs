//! Business metrics from live traffic: a shop takes orders, and what perfmon counts, adds up and measures of them is compared with what the
//! client saw: in the list of metrics, in the history, in `/metrics`, over OTLP, in alerts and in assertions; SIGHUP adds and removes them.
use std::path::Path;

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::otlp::Otlp;
use perfmon_tests::perfmon::{Perfmon, perfmon as command};
use perfmon_tests::receiver::{Receiver, Reply};
use perfmon_tests::server::{self, Server};
use perfmon_tests::wait_until;
use perfmon_tests::wire::{Answer, Wire, get};
use serde_json::Value;

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Python, Need::Program("curl")];

const METRICS: &str = r#"
[[metrics]]
name = "orders_created"
from = "request"
where = { method = "POST", endpoint = "/orders", status_code = 201 }
value = "count"

[[metrics]]
name = "order_bytes"
from = "request"
where = { method = "POST", endpoint = "/orders", status_code = "2*" }
value = "sum of response_bytes"

[[metrics]]
name = "order_time"
from = "request"
where = { method = "POST", endpoint = "/orders" }
value = "p95 of response_time_ms"

[[metrics]]
name = "order_failures"
from = "request"
where = { method = "POST", endpoint = "/orders", status_code = ">= 500" }
of = { method = "POST", endpoint = "/orders" }
value = "ratio"

[[metrics]]
name = "orders_by_status"
from = "request"
where = { endpoint = "/orders" }
value = "count"
by = ["method", "status_code"]
"#;

const RULES: &str = r#"
[[alerts.rules]]
name = "orders fail"
metric = "custom.order_failures"
above = 0.2
window = "1m"
for = "1s"
type = "business"

[[alerts.rules]]
name = "many failed orders"
metric = "custom.orders_by_status"
where = { status_code = 500 }
by = ["method"]
above = 3
window = "1m"
for = "1s"
type = "business"

[[alerts.rules]]
name = "no refunds"
metric = "custom.orders_created"
above = 1000
window = "1m"
"#;

fn configured(folder: &Path, text: &str) -> Result<String> {
    let file = folder.join("perfmon.toml");
    std::fs::write(&file, text)?;
    Ok(file.to_string_lossy().into_owned())
}

/// Orders on one connection: 30 that are taken, every fifth of them slow, and 10 that fail.
fn orders(port: u16) -> Result<Vec<Answer>> {
    let mut wire = Wire::connect("127.0.0.1", port)?;
    wire.call("GET", "/", "visitor", b"")?;
    let order = |number: usize| {
        format!("/orders?size={}&wait={}&fail={}", 100 + number, if number.is_multiple_of(5) { 60 } else { 1 }, u8::from(number % 4 == 3))
    };
    (0..40).map(|number| wire.call("POST", &order(number), "buyer", b"{}")).collect()
}

/// What the client saw.
struct Ordered {
    created: f64,
    failed: f64,
    bytes: f64,
    p95_ms: f64,
}

fn seen(answers: &[Answer]) -> Ordered {
    let with = |status: u16| answers.iter().filter(move |answer| answer.status == status);
    let mut times: Vec<f64> = answers.iter().map(|answer| answer.ms).collect();
    times.sort_by(f64::total_cmp);
    Ordered {
        created: with(201).count() as f64,
        failed: with(500).count() as f64,
        bytes: with(201).map(|answer| answer.bytes as f64).sum(),
        p95_ms: times[(times.len() as f64 * 0.95).ceil() as usize - 1],
    }
}

/// The value of a metric without labels in `/api/v1/metrics`.
fn value(perfmon: &Perfmon, name: &str) -> Result<Option<f64>> {
    let list = perfmon.api("/api/v1/metrics")?;
    let items = list.get("items").and_then(Value::as_array).context("no items")?;
    let metric = items.iter().find(|item| item["metric"] == format!("custom.{name}"));
    Ok(metric.and_then(|metric| metric.pointer("/series/0/value")).and_then(Value::as_f64))
}

/// Points of a metric's history that are known.
fn history(perfmon: &Perfmon, query: &str) -> Result<Vec<f64>> {
    let history = perfmon.api(&format!("/api/v1/history?metric={query}"))?;
    let points = history.get("points").and_then(Value::as_array).context("no points")?;
    Ok(points.iter().filter_map(|point| point["value"].as_f64()).collect())
}

fn scraped(port: u16, line: &str) -> Result<Option<f64>> {
    let text = String::from_utf8(get(port, "/metrics")?.body)?;
    let found = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    Ok(found)
}

fn close(found: Option<f64>, wanted: f64, tolerance: f64, what: &str) {
    let found = found.unwrap_or_else(|| panic!("{what} is not there"));
    println!("{what}: {found} for {wanted} of the client");
    assert!((found - wanted).abs() <= tolerance, "{what}: {found}, not {wanted}");
}

#[test]
fn figures_are_those_of_the_client_everywhere() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::ORDERS)?;
    let folder = tempfile::tempdir()?;
    let (hook, otlp) = (Receiver::start(|_| Reply::status(200))?, Otlp::start(|_| Reply::status(200))?);
    let channel = format!("[[alerts.channels]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n", hook.url("/hook"));
    let config = configured(folder.path(), &format!("{METRICS}{RULES}{channel}[export]\ninterval = \"2s\"\n"))?;
    let db = folder.path().join("data/perfmon.db").to_string_lossy().into_owned();
    let port = server.port.to_string();
    let endpoint = otlp.url();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let perfmon = Perfmon::start_in(&environment, &["--port", &port, "--config", &config, "--db", &db])?;
    // Before any order nothing is not unknown.
    wait_until(5, || Ok(value(&perfmon, "orders_created")?.filter(|value| *value == 0.0).map(drop)))?.context("no 0 before the first")?;

    let answers = orders(server.port)?;
    let client = seen(&answers);
    assert_eq!((client.created, client.failed), (30.0, 10.0));
    let counted = |perfmon: &Perfmon| Ok(value(perfmon, "orders_created")?.filter(|value| *value >= client.created));
    wait_until(10, || counted(&perfmon))?.context("not all orders were counted")?;

    close(value(&perfmon, "orders_created")?, client.created, 0.0, "orders_created");
    close(value(&perfmon, "order_bytes")?, client.bytes, 0.0, "order_bytes");
    close(value(&perfmon, "order_failures")?, 0.25, 0.0, "order_failures");
    close(value(&perfmon, "order_time")?, client.p95_ms, client.p95_ms * 0.02 + 3.0, "order_time");

    close(scraped(perfmon.port(), "perfmon_custom_orders_created_total")?, client.created, 0.0, "/metrics: orders_created");
    close(scraped(perfmon.port(), "perfmon_custom_order_bytes_total")?, client.bytes, 0.0, "/metrics: order_bytes");
    close(scraped(perfmon.port(), "perfmon_custom_order_failures_ratio")?, 0.25, 0.0, "/metrics: order_failures");
    close(scraped(perfmon.port(), "perfmon_custom_order_time_seconds_count")?, 40.0, 0.0, "/metrics: order_time");
    let of_status = "perfmon_custom_orders_by_status_total{http_request_method=\"POST\",http_response_status_code=\"500\"}";
    close(scraped(perfmon.port(), of_status)?, client.failed, 0.0, "/metrics: orders_by_status 500");

    let stored = wait_until(20, || {
        let sum: f64 = history(&perfmon, "custom.orders_created&step=10s")?.iter().sum();
        Ok((sum >= client.created).then_some(sum))
    })?;
    close(stored, client.created, 0.0, "history: orders_created");
    close(Some(history(&perfmon, "custom.order_bytes&step=1h")?.iter().sum()), client.bytes, 0.0, "history: order_bytes");
    close(history(&perfmon, "custom.order_failures&step=1d")?.first().copied(), 0.25, 1e-9, "history: order_failures");
    let failed = history(&perfmon, "custom.orders_by_status&status_code=500&step=1d")?;
    close(failed.first().copied(), client.failed, 0.0, "history: orders_by_status 500");
    let unknown = get(perfmon.port(), "/api/v1/history?metric=custom.order_create")?;
    let said = String::from_utf8(unknown.body)?;
    assert!(unknown.status == 400 && said.contains("the nearest names are custom.orders_created"), "{said}");

    let told = wait_until(20, || {
        let told: Vec<Value> = hook.seen().iter().map(|seen| seen.json()).collect::<Result<_>>()?;
        let of = |rule: &str| told.iter().find(|news| news["rule"] == rule && news["state"] == "firing").cloned();
        Ok(of("orders fail").zip(of("many failed orders")))
    })?;
    let (ratio, by_status) = told.context("the rules did not fire")?;
    println!("{}\n{}", ratio["message"], by_status["message"]);
    close(ratio["value"].as_f64(), 0.25, 1e-9, "alert: order_failures");
    close(by_status["value"].as_f64(), client.failed, 0.0, "alert: orders_by_status");
    assert_eq!((ratio["metric"].as_str(), by_status["scope"].as_str()), (Some("custom.order_failures"), Some("POST 500")));

    wait_until(15, || Ok(sent(&otlp, "perfmon.custom.orders_created")?.filter(|sum| *sum >= client.created)))?.context("not over OTLP")?;
    close(sent(&otlp, "perfmon.custom.orders_created")?, client.created, 0.0, "OTLP: orders_created");
    close(sent(&otlp, "perfmon.custom.order_bytes")?, client.bytes, 0.0, "OTLP: order_bytes");

    reloaded(&perfmon, &config, server.port)?;
    perfmon.stop()?;
    let output = command(&["report", "--period", "day", "--format", "json", "--db", &db, "--config", &configured(folder.path(), METRICS)?])
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let rows = report["custom"].as_array().context("no business metrics in the report")?;
    let row = rows.iter().find(|row| row["metric"] == "custom.order_bytes").context("no row")?;
    close(row["value"].as_f64(), client.bytes, 0.0, "report: order_bytes");
    Ok(())
}

/// What the points of a counter add up to.
fn sent(otlp: &Otlp, name: &str) -> Result<Option<f64>> {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
    let metrics = otlp.metrics()?;
    let points = metrics.iter().filter(|metric| metric.item.name == name).filter_map(|metric| match &metric.item.data {
        Some(Data::Sum(sum)) => Some(&sum.data_points),
        _ => None,
    });
    let values = points.flatten().filter_map(|point| match point.value {
        Some(Number::AsInt(whole)) => Some(whole as f64),
        Some(Number::AsDouble(number)) => Some(number),
        None => None,
    });
    Ok(values.reduce(|sum, value| sum + value))
}

/// SIGHUP: one metric goes, one comes, one has another definition and begins anew.
fn reloaded(perfmon: &Perfmon, config: &str, port: u16) -> Result<()> {
    let (_, others) = METRICS.split_once("[[metrics]]\nname = \"order_time\"").context("no order_time")?;
    ensure!(others.contains("order_failures"));
    let text = r#"
[[metrics]]
name = "orders_created"
from = "request"
where = { method = "POST", endpoint = "/orders", status_code = 201, response_bytes = ">= 1" }
value = "count"

[[metrics]]
name = "visits"
from = "request"
where = { method = "GET" }
value = "count"

[[alerts.rules]]
name = "a visit"
metric = "custom.visits"
above = 0
for = "1s"
"#;
    std::fs::write(config, text)?;
    perfmon.signal("HUP")?;
    let gone = || Ok((value(perfmon, "order_bytes")?.is_none() && value(perfmon, "visits")? == Some(0.0)).then_some(()));
    wait_until(10, gone)?.context("the metrics did not change")?;
    assert_eq!(value(perfmon, "orders_created")?, Some(0.0), "another definition begins anew");
    assert!(scraped(perfmon.port(), "perfmon_custom_order_bytes_total")?.is_none());
    let client = seen(&orders(port)?);
    wait_until(10, || Ok((value(perfmon, "orders_created")? == Some(client.created)).then_some(())))?.context("not counted anew")?;
    close(value(perfmon, "visits")?, 1.0, 0.0, "visits");
    let fires = || {
        let alerts = perfmon.api("/api/v1/alerts")?;
        let items = alerts["items"].as_array().context("no items")?.clone();
        Ok(items.iter().any(|alert| alert["rule"] == "a visit" && alert["state"] == "firing").then_some(()))
    };
    wait_until(30, fires)?.context("the new rule did not fire")
}

#[test]
fn assertions_take_business_metrics() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::ORDERS)?;
    let folder = tempfile::tempdir()?;
    let config = configured(folder.path(), METRICS)?;
    let port = server.port.to_string();
    let script = format!(
        "for n in 1 2 3 4 5 6; do curl -s -o /dev/null -X POST -d x 'http://127.0.0.1:{port}/orders?size=5&wait=20'; done; sleep 2"
    );
    let mut asked = command(&["run", "--ui", "none", "--no-store", "--listen", "127.0.0.1:0", "--port", &port, "--config", &config]);
    asked.args(["--assert", "custom.orders_created >= 6", "--assert", "custom.order_failures < 1%", "--assert", "custom.order_time < 1ms"]);
    let output = asked.args(["--", "sh", "-c", &script]).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("ok     custom.orders_created >= 6") && said.contains("ok     custom.order_failures < 1%"), "{said}");
    assert!(said.contains("FAILED custom.order_time < 1ms"), "{said}");
    Ok(())
}
