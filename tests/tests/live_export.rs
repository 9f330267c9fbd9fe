//! Telemetry of live traffic at a strict receiver: names, types and units as in the conventions, counts equal to the records and to the
//! client's log, whatever the receiver answers.
use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use perfmon_tests::chat::{self, ChatAgent};
use perfmon_tests::client::{Call, Client};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::otlp::{Otlp, text};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::receiver::{Receiver, Reply, Seen};
use perfmon_tests::server::{self, Server};
use perfmon_tests::wire::get;
use perfmon_tests::{free_port, wait_until};
use serde_json::Value;

const NEEDS: [Need; 4] = [Need::Perfmon, Need::Python, Need::Program("node"), Need::Program("curl")];
/// Metrics each second; no span of an ordinary request.
const OFTEN: [(&str, &str); 2] = [("PERFMON_EXPORT__INTERVAL", "1s"), ("PERFMON_EXPORT__SPAN_RATE", "0")];

/// How many records of a kind each service has.
fn recorded(perfmon: &Perfmon, kind: &str, side: &str) -> Result<BTreeMap<String, u64>> {
    let mut counted = BTreeMap::new();
    for record in perfmon.records(kind)?.iter().filter(|record| record["side"] == side) {
        *counted.entry(record["service"].as_str().context("a record without service")?.to_owned()).or_default() += 1;
    }
    Ok(counted)
}

/// A figure of the deliveries of a signal to a target.
fn delivery(perfmon: &Perfmon, target: &str, signal: &str) -> Result<Value> {
    let own = perfmon.api("/api/v1/self")?;
    let all = own["export"].as_array().context("no export in /api/v1/self")?;
    let found = all.iter().find(|state| state["target"] == target && state["signal"] == signal);
    found.cloned().with_context(|| format!("no {signal} for {target} in {all:#?}"))
}

#[test]
fn everything_arrives_by_the_conventions_and_adds_up() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let (shop, desk) = (Server::start(server::UVICORN_H11)?, Server::start(server::NODE)?);
    let model = Receiver::start(chat::answer)?;
    let folder = tempfile::tempdir()?;
    let agent = ChatAgent::start(model.port(), folder.path(), "agent")?;
    let config = folder.path().join("perfmon.toml");
    std::fs::write(&config, "[[alerts.rules]]\nname = \"own\"\nmetric = \"request.errors\"\nabove = 1\nwindow = \"1m\"\nfor = \"0s\"\n")?;
    let otlp = Otlp::start(|_| Reply::status(200))?;
    let url = otlp.url();
    let environment = [&OFTEN[..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_SERVICE_NAME", "watcher")]].concat();
    let (ports, pid) = ([shop.port.to_string(), desk.port.to_string()], agent.pid().to_string());
    let config = config.to_string_lossy();
    let options = ["--no-store", "--config", &config, "--port", &ports[0], "--port", &ports[1], "--pid", &pid];
    let perfmon = Perfmon::start_in(&environment, &options)?;

    let fast: Vec<Call> = (0..50).map(|n| Call::get(format!("/bytes/{}", 100 + n))).collect();
    for _ in 0..4 {
        for server in [&shop, &desk] {
            Client::Curl.run(server.port, "fast", &fast)?;
            Client::Curl.run(server.port, "failing", &[Call::get("/status/500"), Call::post("/echo", 1_000)])?;
        }
        Client::Curl.run(shop.port, "slow", &[Call::get("/sleep/1050")])?;
    }
    agent.go()?;
    // A request in flight when metrics are sent.
    Client::Curl.run(desk.port, "long", &[Call::get("/sleep/2200")])?;
    let run_over = wait_until(15, || Ok((!perfmon.records("agent")?.is_empty()).then_some(())))?;
    run_over.context("no agent run was recorded")?;
    perfmon.wait_for(4 * 52 * 2 + 5, |request| request.side == "server")?;
    let servers = recorded(&perfmon, "request", "server")?;
    let clients = recorded(&perfmon, "request", "client")?;
    let calls = recorded(&perfmon, "llm", "client")?;
    perfmon.stop()?;

    otlp.assert_strict()?;
    assert_eq!(otlp.lacking()?, [""; 0], "metrics that did not come");
    assert_eq!(
        servers.values().copied().collect::<Vec<_>>(),
        [4 * 52 + 4, 4 * 52 + 1],
        "{servers:?}: the records are not what the client did"
    );
    assert_eq!(otlp.counted("http.server.request.duration")?, servers);
    assert_eq!(otlp.counted("http.client.request.duration")?, clients);
    assert_eq!(otlp.counted("gen_ai.client.operation.duration")?, calls);
    assert_eq!(calls.values().sum::<u64>(), 3);

    // One resource a service, since each has one process here, and one for the host.
    let mut instances: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for metric in otlp.metrics()? {
        let known = instances.entry(metric.service).or_default();
        if !known.contains(&metric.instance) {
            known.push(metric.instance);
        }
    }
    let mut expected: Vec<&String> = servers.keys().chain(clients.keys()).collect();
    let host = "watcher".to_owned();
    expected.push(&host);
    expected.sort();
    assert_eq!(instances.keys().collect::<Vec<_>>(), expected);
    assert!(instances.values().all(|instances| instances.len() == 1), "{instances:?}");

    let spans = otlp.spans()?;
    let named = |part: &str| spans.iter().filter(|span| span.item.name.starts_with(part)).count();
    let failed = spans.iter().filter(|span| span.item.status.as_ref().is_some_and(|status| status.code == 2)).count();
    assert_eq!((named("GET /sleep"), named("GET /status"), failed), (5, 8, 8), "slow and failed requests");
    assert_eq!((named("chat gpt-4o-mini"), named("invoke_agent"), named("execute_tool add")), (3, 1, 1));
    assert_eq!(spans.len(), 5 + 8 + 3 + 1 + 1, "ordinary requests were sent as spans");
    let logs = otlp.logs()?;
    let mine = logs.iter().filter(|log| text(&log.item.attributes, "perfmon.alert.rule").as_deref() == Some("own"));
    let states: Vec<_> = mine.map(|log| (log.scope.as_str(), text(&log.item.attributes, "perfmon.alert.state"))).collect();
    assert_eq!(states, [("perfmon.alerts", Some("firing".into()))]);
    Ok(())
}

#[test]
fn an_outage_loses_nothing() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    // A minute of it is a matter of patience: TESTED_OUTAGE_S=60.
    let seconds: u64 = std::env::var("TESTED_OUTAGE_S").map_or(Ok(5), |text| text.parse())?;
    let server = Server::start(server::NODE)?;
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}");
    let environment = [&OFTEN[..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())]].concat();
    let perfmon = Perfmon::start_in(&environment, &["--no-store", "--port", &server.port.to_string()])?;
    let calls: Vec<Call> = (0..20).map(|_| Call::get("/hello")).chain([Call::get("/status/500")]).collect();
    let mut made = 0;
    let until = perfmon_user::clock::boot_now_ns() + seconds * 1_000_000_000;
    while perfmon_user::clock::boot_now_ns() < until {
        made += Client::Curl.run(server.port, "during", &calls)?.len();
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    let waiting = delivery(&perfmon, "otlp", "metrics")?;
    ensure!(waiting["retries"].as_u64() > Some(0) && waiting["last_error"].is_string(), "no trouble was noted: {waiting}");
    println!("after {seconds} s: {waiting}");
    let otlp = Otlp::on(std::net::TcpListener::bind(("127.0.0.1", port))?)?;
    made += Client::Curl.run(server.port, "after", &calls)?.len();
    perfmon.wait_for(made, |request| request.served_by(server.port))?;
    // The pause before the next attempt doubles with each failure, up to a minute and a half.
    let sum = || -> Result<u64> { Ok(otlp.counted("http.server.request.duration")?.values().sum()) };
    wait_until(95, || Ok((sum()? >= made as u64).then_some(())))?;
    let after = delivery(&perfmon, "otlp", "metrics")?;
    perfmon.stop()?;
    otlp.assert_strict()?;
    assert_eq!(sum()?, made as u64, "{after}");
    assert_eq!((after["dropped"].as_u64(), after["refused"].as_u64(), after["last_error"].as_str()), (Some(0), Some(0), None), "{after}");
    let failed = otlp.spans()?.iter().filter(|span| span.item.name.starts_with("GET /status")).count();
    assert_eq!(failed, made / calls.len(), "spans");
    Ok(())
}

#[test]
fn receivers_that_misbehave_hold_nothing_up() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NODE)?;
    let (hanging, strange) = (Receiver::start(|_| Reply::never())?, Receiver::start(|_| Reply::status(401))?);
    let failing = Receiver::start(|_| Reply::status(500))?;
    let first = std::sync::atomic::AtomicBool::new(true);
    let busy = Otlp::start(move |_| match first.swap(false, std::sync::atomic::Ordering::Relaxed) {
        true => Reply { headers: "Retry-After: 3\r\n".into(), ..Reply::status(429) },
        false => Reply::status(200),
    })?;
    let urls = [hanging.url("/v1/traces"), busy.url() + "/v1/metrics", strange.url("/v1/logs"), failing.url("")];
    let names = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"];
    let mut environment = OFTEN.to_vec();
    environment.extend(names.into_iter().zip(urls.iter().map(String::as_str)));
    environment.extend([("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"), ("LOGFIRE_TOKEN", "pylf_v1_us_abc"), ("LOGFIRE_BASE_URL", &urls[3])]);
    environment.push(("PERFMON_ALERT_MEMORY_USAGE", "0.01")); // a host has more in use, so there is an alert to log
    let perfmon = Perfmon::start_in(&environment, &["--no-store", "--port", &server.port.to_string()])?;
    let calls: Vec<Call> = (0..20).map(|_| Call::get("/hello")).chain([Call::get("/status/500")]).collect();
    let mut made = 0;
    let troubles = wait_until(45, || {
        made += Client::Curl.run(server.port, "steady", &calls)?.len();
        let health = get(perfmon.port(), "/health/performance")?;
        ensure!(health.status == 200 && health.ms < 1_000.0, "health took {} ms", health.ms);
        let seen = [
            delivery(&perfmon, "otlp", "traces")?["retries"].as_u64() > Some(1),
            delivery(&perfmon, "otlp", "metrics")?["sent"].as_u64() > Some(0),
            delivery(&perfmon, "otlp", "logs")?["refused"].as_u64() > Some(0),
            delivery(&perfmon, "logfire", "metrics")?["retries"].as_u64() > Some(1),
        ];
        std::thread::sleep(std::time::Duration::from_millis(200));
        Ok(seen.iter().all(|seen| *seen).then_some(()))
    })?;
    let own = perfmon.api("/api/v1/self")?;
    troubles.with_context(|| format!("not all trouble shows in /api/v1/self: {:#}", own["export"]))?;
    let error = |target: &str, signal: &str| Ok::<_, anyhow::Error>(delivery(&perfmon, target, signal)?["last_error"].to_string());
    assert!(error("otlp", "traces")?.contains("in time"), "{}", error("otlp", "traces")?);
    assert!(error("otlp", "logs")?.contains("401") && error("logfire", "metrics")?.contains("500"));
    assert!(own["counters"]["export_items_refused"].as_u64() > Some(0), "{}", own["counters"]);
    let asked: Vec<Seen> = busy.seen();
    let pause_ms = (asked[1].at_ns - asked[0].at_ns) / 1_000_000;
    assert!(pause_ms >= 2_990, "Retry-After said 3 s, the next attempt came after {pause_ms} ms");

    assert_eq!(perfmon.wait_for(made, |request| request.served_by(server.port))?.len(), made);
    perfmon.stop()?;
    busy.assert_strict()?;
    assert_eq!(busy.counted("http.server.request.duration")?.values().sum::<u64>(), made as u64, "429 lost something");
    let authorized = failing.seen().iter().all(|seen| seen.headers.get("authorization").map(String::as_str) == Some("pylf_v1_us_abc"));
    assert!(authorized, "a delivery to Logfire came without its token");
    Ok(())
}

#[test]
fn a_logfire_token_alone_is_enough() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NODE)?;
    let logfire = Otlp::start(|_| Reply::status(200))?;
    let url = logfire.url();
    let environment = [("LOGFIRE_TOKEN", "pylf_v1_eu_abcdef"), ("LOGFIRE_BASE_URL", url.as_str())];
    let perfmon = Perfmon::start_in(&environment, &["--no-store", "--port", &server.port.to_string()])?;
    Client::Curl.run(server.port, "few", &[Call::get("/hello"), Call::get("/status/500"), Call::get("/hello")])?;
    perfmon.wait_for(3, |request| request.served_by(server.port))?;
    let log = perfmon.log();
    perfmon.stop()?;
    logfire.assert_strict()?;
    assert_eq!(logfire.counted("http.server.request.duration")?.values().sum::<u64>(), 3);
    assert_eq!(logfire.spans()?.iter().filter(|span| span.item.name.starts_with("GET /status")).count(), 1);
    let seen = logfire.seen();
    assert!(seen.iter().any(|seen| seen.path == "/v1/info"), "the token was not checked");
    assert!(seen.iter().all(|seen| seen.headers.get("authorization").map(String::as_str) == Some("pylf_v1_eu_abcdef")));
    assert!(!log.contains("abcdef"), "the token stands in the log:\n{log}");
    Ok(())
}
