//! What perfmon cannot see because it does not run for a while is told: completeness, and the estimate of all requests, against the load
//! generator's own count, at small losses and large ones; and no loss makes an error.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use perfmon_tests::client::wrk;
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
        let is_wrong = |request: &Request| {
            let failed = request.error.as_deref().is_some_and(|error| error != "client_closed");
            failed || request.status_code.is_some_and(|status| status != 200)
        };
        let invented = perfmon.matching(is_wrong)?;
        ensure!(invented.is_empty(), "{} invented errors, such as {:?}", invented.len(), invented[0]);
    }
    Ok(())
}
