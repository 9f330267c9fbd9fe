//! What perfmon cannot see because it does not run for a while, has a small ring or too little CPU is told: completeness, and the estimate of
//! all requests, against the load generator's own count, at losses of about 1, 10, 50 and 90 %; and no loss makes an error. Records that
//! perfmon could not write in time are in no file: by its own account of them the truth is an interval.
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use perfmon_tests::client::{Sum, h2load, wrk};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::{Running, signal};
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};
use perfmon_tests::traced::Traced;
use perfmon_tests::wait_until;
use serde_json::Value;

const CONNECTIONS: u32 = 64;
/// Requests of the paced load, and how many a second: what perfmon takes with ease on two cores.
const PACED: (u32, u32) = (36_000, 12_000);

/// One way to lose events.
#[derive(Debug)]
struct LossCase {
    name: &'static str,
    /// nginx answers as fast as it can; else at the rate of `PACED`.
    full_speed: bool,
    ring_mib: &'static str,
    /// perfmon is stopped and continued: lengths of its pauses and of its work between them, in milliseconds.
    pauses: Option<(u64, u64)>,
    /// Processes that want the cores, too.
    busy: usize,
    /// Least and largest share of the exchanges that is lost, else the case shows nothing.
    band: (f64, f64),
}

/// A ring of 1 MiB is full about 30 ms after perfmon stopped under the paced load. Under full speed on few cores perfmon falls behind by itself.
const CASES: [LossCase; 7] = [
    LossCase { name: "1 %", full_speed: false, ring_mib: "1", pauses: Some((80, 1_600)), busy: 0, band: (0.002, 0.04) },
    LossCase { name: "10 %", full_speed: false, ring_mib: "1", pauses: Some((200, 1_000)), busy: 0, band: (0.04, 0.2) },
    LossCase { name: "50 %", full_speed: false, ring_mib: "1", pauses: Some((700, 560)), busy: 0, band: (0.35, 0.65) },
    LossCase { name: "90 %", full_speed: false, ring_mib: "1", pauses: Some((1_200, 100)), busy: 0, band: (0.75, 0.98) },
    LossCase {
        name: "a second's pause at full speed",
        full_speed: true,
        ring_mib: "8",
        pauses: Some((1_000, 700)),
        busy: 0,
        band: (0.05, 0.98),
    },
    LossCase { name: "a small ring at full speed", full_speed: true, ring_mib: "1", pauses: None, busy: 0, band: (0.002, 0.98) },
    LossCase { name: "busy cores at full speed", full_speed: true, ring_mib: "2", pauses: None, busy: 6, band: (0.002, 0.98) },
];

/// The load of nginx while a case takes effect on perfmon.
fn load(case: &LossCase, perfmon: &Perfmon, server: &Server) -> Result<Sum> {
    let folder = tempfile::tempdir()?;
    let spin = |number: usize| {
        let log = folder.path().join(number.to_string());
        Running::start(Command::new("sh").args(["-c", "while :; do :; done"]), &log)
    };
    let _busy = (0..case.busy).map(spin).collect::<Result<Vec<_>>>()?;
    let (pid, done) = (perfmon.pid(), AtomicBool::new(false));
    let url = format!("{}/bytes/1000", server.url());
    std::thread::scope(|scope| {
        let pauses = scope.spawn(|| case.pauses.map_or(Ok(()), |rhythm| pause_by_turns(pid, rhythm, &done)));
        let load = if case.full_speed { wrk(&url, 2, CONNECTIONS) } else { h2load(&url, PACED.0, CONNECTIONS, Some(PACED.1)) };
        done.store(true, Ordering::Relaxed);
        pauses.join().expect("the thread panicked").and(load)
    })
}

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

/// What is known of a case besides what perfmon's views say.
#[derive(Debug)]
struct Truth {
    /// Answers that the client counted.
    answers: u64,
    /// Records of both sides that did not get into the file, by perfmon's account: it writes on while the machine is short of CPU or disk.
    unwritten: usize,
}

impl Truth {
    fn of(perfmon: &Perfmon, answers: u64) -> Result<Self> {
        let unwritten = perfmon.figure("/api/v1/self", "/counters/jsonl_records_lost")? as usize;
        // With more the file is no truth.
        ensure!(unwritten as f64 <= 0.05 * 2.0 * answers as f64, "{unwritten} records of {answers} exchanges are not in the file");
        Ok(Self { answers, unwritten })
    }

    /// Compares what a view says with what the client did. At least `exact` exchanges were seen whole.
    fn compare(&self, case: &LossCase, what: &str, figures: &Figures, exact: usize) {
        let answers = self.answers as f64;
        let stated = figures.exact / figures.estimate;
        let (least, most) = (exact as f64 / answers, (exact + self.unwritten) as f64 / answers);
        println!("{} {what}: {self:?}, completeness {least:.4}..{most:.4}, stated {stated:.4} {figures:?}", case.name);
        // wrk does not count requests in flight when it stops: at most one answer a connection.
        let allowed = 0.01 + f64::from(CONNECTIONS) / answers;
        assert!((figures.estimate / answers - 1.0).abs() <= allowed, "{what}: {self:?}, {figures:?}");
        assert!((least - allowed..=most + allowed).contains(&stated), "{what}: completeness {least}..{most}, stated {stated}");
        let (least_lost, most_lost) = case.band;
        assert!(1.0 - most >= least_lost && 1.0 - least <= most_lost, "{what}: completeness {least}..{most} is not that of {case:?}");
        // The client closes with a request under way on each connection.
        assert!(figures.errors <= f64::from(CONNECTIONS), "{what}: {figures:?}");
    }
}

/// The percentiles of the busiest endpoint are those of the records behind it: within a bucket of the histogram (1 %), and two thousandths of
/// the requests, which other views of the same second may have or not, besides those that are not in the file.
fn percentiles_are_of_what_was_seen(perfmon: &Perfmon, unwritten: usize) -> Result<()> {
    let list = perfmon.api("/api/v1/endpoints?window=5m")?;
    let rows = list.get("items").and_then(Value::as_array).context("no items")?;
    let row = rows.iter().max_by_key(|row| row["count"].as_u64()).context("no endpoint")?;
    let seen = perfmon.matching(|r| r.side == "server" && r.path.as_deref() == Some("/bytes/1000"))?;
    let mut times: Vec<f64> = seen.iter().filter_map(|r| r.response_time_ms).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((share.clamp(0.0, 1.0) * times.len() as f64) as usize).min(times.len() - 1)];
    let other = 0.002 + unwritten as f64 / times.len() as f64;
    for (name, share) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
        let stated = row[name].as_f64().with_context(|| format!("no {name} in {row}"))?;
        let (least, most) = (at(share - other) * 0.99 - 0.01, at(share + other) * 1.01 + 0.01);
        println!("{name}: stated {stated}, of {} records {:.3}", times.len(), at(share));
        ensure!((least..=most).contains(&stated), "{name}: {stated} is not within {least} and {most} of {} records", times.len());
    }
    Ok(())
}

/// Waits until perfmon has counted what the ring held.
fn wait_until_quiet(perfmon: &Perfmon) -> Result<()> {
    let mut before = -1.0;
    let quiet = wait_until(20, || {
        std::thread::sleep(Duration::from_millis(1_100));
        let now = perfmon.figure("/api/v1/self", "/events_seen")?;
        Ok((now - std::mem::replace(&mut before, now) < 100.0).then_some(()))
    })?;
    quiet.context("events do not end")
}

fn completeness_is_true(case: &LossCase, server: &Server) -> Result<()> {
    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__RING_MIB", case.ring_mib)], &["--no-store", "--all"])?;
    let load = load(case, &perfmon, server)?;
    wait_until_quiet(&perfmon)?;
    let truth = Truth::of(&perfmon, load.answers)?;
    let exact = |side: &str| {
        let is = |request: &Request| request.side == side && request.quality == "exact" && request.path.as_deref() == Some("/bytes/1000");
        Ok::<_, anyhow::Error>(perfmon.matching(is)?.len())
    };
    let client = if case.full_speed { "wrk" } else { "h2load" };
    truth.compare(case, "server", &Figures::of(&perfmon, "/api/v1/endpoints?window=5m", "nginx")?, exact("server")?);
    truth.compare(case, "client", &Figures::of(&perfmon, "/api/v1/destinations?window=5m", client)?, exact("client")?);
    percentiles_are_of_what_was_seen(&perfmon, truth.unwritten)?;
    let is_wrong = |request: &Request| {
        let failed = request.error.as_deref().is_some_and(|error| error != "client_closed");
        request.about(server.port) && (failed || request.status_code.is_some_and(|status| status != 200))
    };
    let invented = perfmon.matching(is_wrong)?;
    ensure!(invented.is_empty(), "{} invented errors, such as {:?}", invented.len(), invented[0]);
    Ok(())
}

#[test]
fn completeness_is_true_at_any_loss() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx"), Need::Program("wrk"), Need::Program("h2load")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    CASES.iter().try_for_each(|case| completeness_is_true(case, &server).with_context(|| case.name))
}

/// Threads that make the views out of records.
const VIEWS: &str = "tokio-rt-worker";

#[test]
fn records_that_the_views_could_not_take_are_lost_exchanges() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("python3"), Need::Program("nginx"), Need::Program("h2load")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&["--all"])?;
    let load = std::thread::scope(|scope| {
        let load = scope.spawn(|| h2load(&format!("{}/bytes/1000", server.url()), PACED.0, CONNECTIONS, Some(PACED.1)));
        std::thread::sleep(Duration::from_millis(400));
        // 50,000 records come in this time, the queue has 32,768.
        let stopped = Traced::stop_all(perfmon.pid(), VIEWS)?;
        ensure!(!stopped.is_empty(), "perfmon has no thread {VIEWS}");
        std::thread::sleep(Duration::from_millis(2_100));
        drop(stopped);
        load.join().expect("the thread panicked")
    })?;
    wait_until_quiet(&perfmon)?;
    let own = perfmon.api("/api/v1/self")?;
    let dropped = own["counters"]["batches_dropped"].as_u64().context("no batches_dropped")?;
    ensure!(dropped > 0, "no batch was dropped: the test shows nothing");
    for (path, service) in [("/api/v1/endpoints?window=5m", "nginx"), ("/api/v1/destinations?window=5m", "h2load")] {
        let figures = Figures::of(&perfmon, path, service)?;
        let stated = figures.exact / figures.estimate;
        println!("{service}: {load:?}, {dropped} batches dropped, stated {stated:.4} {figures:?}");
        ensure!(
            (figures.estimate / load.answers as f64 - 1.0).abs() <= 0.01,
            "{service}: {load:?}, {dropped} batches dropped, {figures:?}"
        );
        ensure!(stated <= figures.count / load.answers as f64 + 0.01, "{service}: stated {stated}, {load:?}, {figures:?}");
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
