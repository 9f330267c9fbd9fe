//! What perfmon cannot see because it does not run for a while is told: completeness, and the estimate of all requests, against the load
//! generator's own count, at small losses and large ones; and no loss makes an error.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use perfmon_tests::client::{h2load, wrk};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::signal;
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};
use perfmon_tests::wait_until;
use serde_json::Value;

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Program("nginx"), Need::Program("wrk")];
const CONNECTIONS: u32 = 64;
/// Lengths of the pauses of perfmon and of its work between them, in milliseconds.
const RHYTHMS: [(u64, u64); 4] = [(400, 3_000), (700, 800), (1_000, 300), (1_400, 60)];

/// Stops and continues a process by turns until `done`; it runs at the end.
fn pause_by_turns(pid: u32, (pause_ms, work_ms): (u64, u64), done: &AtomicBool) -> Result<()> {
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(work_ms));
        signal(pid, "STOP")?;
        std::thread::sleep(Duration::from_millis(pause_ms));
        signal(pid, "CONT")?;
    }
    Ok(())
}

/// Figures of the rows of one service, added up.
#[derive(Debug, Default)]
struct Figures {
    count: f64,
    lost: f64,
    estimate: f64,
    exact: f64,
    errors: f64,
}

impl Figures {
    fn of(perfmon: &Perfmon, path: &str, service: &str) -> Result<Self> {
        let list = perfmon.api(path)?;
        let mut sum = Self::default();
        for row in list.get("items").and_then(Value::as_array).context("no items")? {
            if row.get("service").and_then(Value::as_str) == Some(service) {
                let number = |name: &str| row.get(name).and_then(Value::as_f64).with_context(|| format!("no number {name} in {row}"));
                sum.count += number("count")?;
                sum.lost += number("lost")?;
                sum.estimate += number("estimated_count")?;
                sum.exact += number("completeness")? * number("estimated_count")?;
                sum.errors += number("errors")?;
            }
        }
        Ok(sum)
    }
}

/// Compares what a view says with what the client did; `exact` exchanges were seen whole.
fn compare(what: &str, figures: &Figures, answers: u64, exact: usize) {
    let answers = answers as f64;
    let (stated, truth) = (figures.exact / figures.estimate, exact as f64 / answers);
    println!("{what}: {answers} answers, completeness {truth:.4}, stated {stated:.4} {figures:?}");
    // wrk does not count requests in flight when it stops: at most one answer a connection.
    let allowed = 0.01 + f64::from(CONNECTIONS) / answers;
    assert!((figures.estimate / answers - 1.0).abs() <= allowed, "{what}: {answers} answers, {figures:?}");
    assert!((stated - truth).abs() <= allowed, "{what}: completeness {truth}, stated {stated}");
    // The client closes with a request under way on each connection.
    assert!(figures.errors <= f64::from(CONNECTIONS), "{what}: {figures:?}");
}

/// The percentiles of the busiest endpoint are those of the records behind it: within a bucket of the histogram (1 %), and two thousandths of
/// the requests, which other views of the same second may have or not.
fn percentiles_are_of_what_was_seen(perfmon: &Perfmon) -> Result<()> {
    let list = perfmon.api("/api/v1/endpoints?window=5m")?;
    let rows = list.get("items").and_then(Value::as_array).context("no items")?;
    let row = rows.iter().max_by_key(|row| row["count"].as_u64()).context("no endpoint")?;
    let seen = perfmon.matching(|r| r.side == "server" && r.path.as_deref() == Some("/bytes/1000"))?;
    let mut times: Vec<f64> = seen.iter().filter_map(|r| r.response_time_ms).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((share.clamp(0.0, 1.0) * times.len() as f64) as usize).min(times.len() - 1)];
    for (name, share) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
        let stated = row[name].as_f64().with_context(|| format!("no {name} in {row}"))?;
        let (least, most) = (at(share - 0.002) * 0.99 - 0.01, at(share + 0.002) * 1.01 + 0.01);
        println!("{name}: stated {stated}, of {} records {:.3}", times.len(), at(share));
        ensure!((least..=most).contains(&stated), "{name}: {stated} is not within {least} and {most} of {} records", times.len());
    }
    Ok(())
}

#[test]
fn completeness_is_true_at_any_loss() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    for rhythm in RHYTHMS {
        let perfmon = Perfmon::start(&["--all"])?;
        let (pid, done) = (perfmon.pid(), AtomicBool::new(false));
        let load = std::thread::scope(|scope| {
            let pauses = scope.spawn(|| pause_by_turns(pid, rhythm, &done));
            let load = wrk(&format!("{}/bytes/1000", server.url()), 4, CONNECTIONS);
            done.store(true, Ordering::Relaxed);
            pauses.join().expect("the thread panicked").and(load)
        })?;
        // What the ring holds is counted, then it is quiet.
        let mut before = -1.0;
        let quiet = wait_until(20, || {
            std::thread::sleep(Duration::from_millis(1_500));
            let now = perfmon.figure("/api/v1/self", "/events_seen")?;
            Ok((now - std::mem::replace(&mut before, now) < 100.0).then_some(()))
        })?;
        quiet.context("events do not end")?;
        let exact = |side: &str| {
            let is =
                |request: &Request| request.side == side && request.quality == "exact" && request.path.as_deref() == Some("/bytes/1000");
            Ok::<_, anyhow::Error>(perfmon.matching(is)?.len())
        };
        compare(
            &format!("{rhythm:?} server"),
            &Figures::of(&perfmon, "/api/v1/endpoints?window=5m", "nginx")?,
            load.answers,
            exact("server")?,
        );
        compare(
            &format!("{rhythm:?} client"),
            &Figures::of(&perfmon, "/api/v1/destinations?window=5m", "wrk")?,
            load.answers,
            exact("client")?,
        );
        percentiles_are_of_what_was_seen(&perfmon)?;
        let is_wrong = |request: &Request| {
            let failed = request.error.as_deref().is_some_and(|error| error != "client_closed");
            failed || request.status_code.is_some_and(|status| status != 200)
        };
        let invented = perfmon.matching(is_wrong)?;
        ensure!(invented.is_empty(), "{} invented errors, such as {:?}", invented.len(), invented[0]);
    }
    Ok(())
}

/// Requests of answers of 100 KB, and how many a second.
const LARGE: (u32, u32) = (2_000, 400);

#[test]
fn bodies_make_room_for_heads_while_perfmon_does_not_run() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("node"), Need::Program("h2load")]) {
        return Ok(());
    }
    let server = Server::start(server::NODE)?;
    let perfmon = Perfmon::start(&["--port", &server.port.to_string()])?;
    let (pid, done) = (perfmon.pid(), AtomicBool::new(false));
    let load = std::thread::scope(|scope| {
        // 28 MB of bodies pass in a pause; the ring has 8 MiB.
        let pauses = scope.spawn(|| pause_by_turns(pid, (700, 500), &done));
        let load = h2load(&format!("{}/bytes/100000", server.url()), LARGE.0, 8, Some(LARGE.1));
        done.store(true, Ordering::Relaxed);
        pauses.join().expect("the thread panicked").and(load)
    })?;
    let whole =
        |request: &Request| request.status_code == Some(200) && request.response_size == Some(100_000) && request.quality == "exact";
    let told = wait_until(20, || Ok(Some(perfmon.matching(whole)?.len()).filter(|told| *told == LARGE.0 as usize)))?;
    let lost = perfmon.figure("/api/v1/self", "/events_lost/total")?;
    ensure!(told.is_some() && lost == 0.0, "{load:?}; {} whole exchanges, {lost} events lost", perfmon.matching(whole)?.len());
    Ok(())
}

/// The ring that lost much is told as degraded by an alert and a finding, both of which end.
fn the_ring_is_told(perfmon: &Perfmon) -> Result<()> {
    let of_ring = |record: &Value, kind: &str| record[kind] == "perfmon_degraded" && record["scope"] == "ring";
    let state = |states: &[&str], finding_is_open: bool| -> Result<Option<()>> {
        let alerts = perfmon.records("alert")?;
        let is_state = |record: &Value| states.iter().any(|state| record["state"] == *state);
        let findings = perfmon.records("finding")?;
        let alert = alerts.iter().any(|record| of_ring(record, "rule") && is_state(record));
        let finding = findings.iter().any(|record| of_ring(record, "type") && record["open"] == finding_is_open);
        Ok((alert && finding).then_some(()))
    };
    let begun = wait_until(5, || state(&["firing"], true))?;
    ensure!(begun.is_some(), "no alert and finding about the ring:\n{}", perfmon.log());
    let message = perfmon.records("finding")?.iter().find(|record| of_ring(record, "type")).map(|record| record["message"].to_string());
    ensure!(message.as_ref().is_some_and(|message| message.contains("found the ring full and are lost")), "{message:?}");
    let over = wait_until(25, || state(&["resolved"], false))?;
    ensure!(over.is_some(), "the alert or the finding about the ring does not end:\n{}", perfmon.log());
    Ok(())
}

/// Requests of the service that does not flood, and how many a second.
const MODEST: (u32, u32) = (500, 100);

#[test]
fn the_loss_of_one_service_is_not_anothers() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx"), Need::Program("wrk"), Need::Program("node"), Need::Program("h2load")]) {
        return Ok(());
    }
    let (flooded, modest) = (Server::start(server::NGINX)?, Server::start(server::NODE)?);
    let perfmon = Perfmon::start(&["--port", &flooded.port.to_string(), "--port", &modest.port.to_string()])?;
    let (pid, done) = (perfmon.pid(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        // 18 MB of events come in a pause; the ring has 8 MiB.
        let pauses = scope.spawn(|| pause_by_turns(pid, (800, 400), &done));
        let flood = scope.spawn(|| wrk(&format!("{}/bytes/1000", flooded.url()), 6, CONNECTIONS));
        let asked = h2load(&format!("{}/bytes/1000", modest.url()), MODEST.0, 8, Some(MODEST.1));
        let flood = flood.join().expect("the thread panicked");
        done.store(true, Ordering::Relaxed);
        pauses.join().expect("the thread panicked").and(flood).and(asked)
    })?;
    let whole = |request: &Request| request.about(modest.port) && request.status_code == Some(200) && request.quality == "exact";
    let told = wait_until(20, || Ok(Some(perfmon.matching(whole)?.len()).filter(|told| *told == MODEST.0 as usize)))?;
    let lost = perfmon.figure("/api/v1/self", "/events_lost/by_reason/ring_full")?;
    ensure!(lost > 0.0, "nothing was lost: the test shows nothing");
    ensure!(told.is_some(), "{} of {} whole exchanges, {lost} events lost", perfmon.matching(whole)?.len(), MODEST.0);
    the_ring_is_told(&perfmon)
}
