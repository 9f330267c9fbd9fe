//! Death of stages: threads of a real perfmon are stopped or ended from outside by ptrace. A stopped one makes `/readyz` 503 within three
//! seconds, a dead one ends perfmon with status 1 within five (a second more each on a busy machine), and a pause of the whole process
//! does neither.
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::receiver::{Receiver, Reply};
use perfmon_tests::traced::Traced;
use perfmon_tests::{free_port, wait_until, wire};
use perfmon_user::clock::boot_now_ns;
use serde_json::Value;

/// Threads that are stages by themselves.
const STAGES: [&str; 10] =
    ["capture", "inspector", "libraries", "sampler", "store", "jsonl", "export", "export traces", "supervisor", "perfmon"];
/// Of these, stages that may stand still for longer than five seconds.
const PATIENT: [&str; 6] = ["inspector", "libraries", "sampler", "store", "jsonl", "export"];

fn start(folder: &Path) -> Result<Perfmon> {
    // A receiver that refuses.
    let receiver = format!("http://127.0.0.1:{}", free_port()?);
    Perfmon::start_in(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver)], &["--db", &folder.join("perfmon.db").to_string_lossy()])
}

fn seconds_since(start_ns: u64) -> f64 {
    (boot_now_ns() - start_ns) as f64 / 1e9
}

/// The body of a 503.
fn unready(perfmon: &Perfmon) -> Result<Option<String>> {
    let answer = wire::get(perfmon.port(), "/readyz").ok().filter(|answer| answer.status == 503);
    Ok(answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned()))
}

/// The gauge of degraded parts in `/metrics`.
fn gauge(perfmon: &Perfmon) -> Result<String> {
    let text = String::from_utf8_lossy(&wire::get(perfmon.port(), "/metrics")?.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("perfmon_degraded "));
    line.map(String::from).context("no perfmon_degraded in /metrics")
}

/// The alert and the finding `perfmon_degraded` about a part, as far as they are there; the alert with its state.
fn told(perfmon: &Perfmon, part: &str) -> Result<(Option<Value>, Option<Value>)> {
    let item = |path: &str, kind: &str| -> Result<Option<Value>> {
        let list = perfmon.api(path)?;
        let items = list["items"].as_array().context("no items")?;
        Ok(items.iter().find(|one| one[kind] == "perfmon_degraded" && one["scope"] == part).cloned())
    };
    Ok((item("/api/v1/alerts", "rule")?, item("/api/v1/findings", "type")?))
}

#[test]
fn a_stopped_thread_makes_it_unready_and_one_that_goes_on_ready() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("python3")]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let perfmon = start(folder.path())?;
    for comm in STAGES {
        let start_ns = boot_now_ns();
        let traced = Traced::first("stop", perfmon.pid(), comm)?;
        let told = wait_until(4, || unready(&perfmon))?.with_context(|| format!("{comm} is stopped, and /readyz does not say so"))?;
        let took = seconds_since(start_ns);
        let health = perfmon.api("/health/performance")?;
        let degraded = gauge(&perfmon)?;
        let name = if comm == "perfmon" { "main" } else { comm };
        ensure!(degraded == "1", "{comm} is stopped, and perfmon_degraded is {degraded}");
        if PATIENT.contains(&comm) {
            tells(&perfmon, name)?;
        }
        drop(traced);
        ensure!(told.contains(name) && health["perfmon"]["status"] == "degraded", "{comm}: {told}\n{health}");
        ensure!(took < 4.0, "{comm}: known after {took:.1} s");
        let ready = wait_until(5, || Ok(unready(&perfmon)?.is_none().then_some(())))?;
        ensure!(ready.is_some(), "{comm} goes on, and /readyz does not say so:\n{}", perfmon.log());
    }
    for part in PATIENT {
        let is_over = |(alert, finding): &(Option<Value>, Option<Value>)| {
            finding.is_none() && alert.as_ref().is_some_and(|alert| alert["state"] == "resolved")
        };
        let over = wait_until(12, || Ok(Some(told(&perfmon, part)?).filter(is_over)))?;
        ensure!(over.is_some(), "{part} goes on, and alert or finding do not end: {:?}", told(&perfmon, part)?);
    }
    assert_eq!(gauge(&perfmon)?, "0");
    assert_eq!(perfmon.end("INT")?.code(), Some(0));
    Ok(())
}

/// Waits for the alert and the finding about a part, which say what health says.
fn tells(perfmon: &Perfmon, part: &str) -> Result<()> {
    let both = wait_until(4, || {
        let (alert, finding) = told(perfmon, part)?;
        Ok(alert.filter(|alert| alert["state"] == "firing").zip(finding))
    })?;
    let (alert, finding) = both.with_context(|| format!("{part} is stopped, and no alert and finding: {:?}", told(perfmon, part)))?;
    for message in [&alert["message"], &finding["message"]] {
        let words = format!("A part of perfmon does not work as it should: {part}: shows no sign of life for ");
        ensure!(message.as_str().is_some_and(|message| message.starts_with(&words)), "{part}: {message}");
    }
    ensure!(alert["severity"] == "warning" && alert["type"] == "reliability", "{alert}");
    Ok(())
}

#[test]
fn a_dead_thread_ends_it_with_an_error() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("python3")]) || !cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    for comm in ["capture", "store", "jsonl", "export traces"] {
        let folder = tempfile::tempdir()?;
        let perfmon = start(folder.path())?;
        let start_ns = boot_now_ns();
        let _traced = Traced::first("exit", perfmon.pid(), comm)?;
        let gone = wait_until(8, || Ok(wire::get(perfmon.port(), "/healthz").is_err().then_some(())))?;
        let took = seconds_since(start_ns);
        ensure!(gone.is_some(), "{comm} is dead, and perfmon goes on:\n{}", perfmon.log());
        let log = perfmon.log();
        ensure!(log.contains(&format!("{comm} is dead")), "{comm}: {log}");
        ensure!(took < 6.0, "{comm}: it took {took:.1} s:\n{log}");
        assert_eq!(perfmon.status_within(5)?.code(), Some(1), "{comm}");
    }
    Ok(())
}

#[test]
fn a_stopped_delivery_of_an_alert_makes_it_unready() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("python3")]) {
        return Ok(());
    }
    let hook = Receiver::start(|_| Reply::never())?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("perfmon.toml");
    std::fs::write(&config, format!("[[alerts.channels]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n", hook.url("/")))?;
    let perfmon = Perfmon::start(&["--config", &config.to_string_lossy()])?;
    let port = perfmon.port();
    std::thread::scope(|scope| {
        let trial = scope.spawn(move || wire::Wire::connect("127.0.0.1", port)?.call("POST", "/api/v1/alerts/test", "test", b"{}"));
        let traced = Traced::first("stop", perfmon.pid(), "webhook")?;
        let told = wait_until(4, || unready(&perfmon))?.context("the thread is stopped, and /readyz does not say so")?;
        ensure!(told.contains("webhook: shows no sign of life"), "{told}");
        drop(traced);
        ensure!(trial.join().expect("the trial panicked")?.status == 200, "the trial was not answered");
        let ready = wait_until(5, || Ok(unready(&perfmon)?.is_none().then_some(())))?;
        ensure!(ready.is_some(), "the thread goes on, and /readyz does not say so:\n{}", perfmon.log());
        Ok::<_, anyhow::Error>(())
    })?;
    assert_eq!(perfmon.end("INT")?.code(), Some(0));
    Ok(())
}

#[test]
fn a_pause_of_the_whole_process_is_no_failure() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    perfmon.signal("STOP")?;
    std::thread::sleep(Duration::from_secs(7));
    perfmon.signal("CONT")?;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(unready(&perfmon)?.is_none(), "{:?}\n{}", unready(&perfmon)?, perfmon.log());
    ensure!(!perfmon.log().contains("does not work as it should"), "{}", perfmon.log());
    assert_eq!(perfmon.end("INT")?.code(), Some(0));
    Ok(())
}
