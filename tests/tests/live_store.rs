//! History on disk of live traffic: reports agree with the API, and an unusable disk or file is logged and counted while everything else
//! continues.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use perfmon_tests::client::{Call, Client};
use perfmon_tests::need::{Need, as_root, missing};
use perfmon_tests::perfmon::{Perfmon, perfmon as command};
use perfmon_tests::server::{self, Server};
use perfmon_tests::wait_until;
use perfmon_tests::wire::get;
use serde_json::Value;

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Program("node"), Need::Program("curl")];
/// Where SQLite keeps `user_version`, big-endian (https://sqlite.org/fileformat2.html, 1.3).
const USER_VERSION: usize = 60;

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn start(server: &Server, db: &Path) -> Result<Perfmon> {
    Perfmon::start_in(&[], &["--port", &server.port.to_string(), "--db", &shown(db)])
}

/// Waits until `/api/v1/self` reports this state of the store; returns the report.
fn store_is(perfmon: &Perfmon, state: &str, seconds: u64) -> Result<Value> {
    let store = || -> Result<Value> { Ok(perfmon.api("/api/v1/self")?["store"].clone()) };
    let there = wait_until(seconds, || Ok(Some(store()?).filter(|store| store["state"] == state)))?;
    there.with_context(|| format!("the store is not {state}: {:?}\n{}", store(), perfmon.log()))
}

/// Traffic is seen and the API answers, whatever the store does.
fn the_rest_goes_on(perfmon: &Perfmon, server: &Server) -> Result<()> {
    let calls: Vec<Call> = (0..20).map(|_| Call::get("/hello")).chain([Call::get("/status/500")]).collect();
    Client::Curl.run(server.port, "the-rest", &calls)?;
    assert_eq!(perfmon.wait_for(calls.len(), |request| request.user_agent.as_deref() == Some("the-rest"))?.len(), calls.len());
    for path in ["/health/performance", "/api/v1/summary", "/api/v1/endpoints", "/metrics", "/readyz"] {
        assert_eq!(get(perfmon.port(), path)?.status, 200, "{path}");
    }
    Ok(())
}

fn report(db: &Path, format: &str) -> Result<String> {
    let output = command(&["report", "--period", "day", "--format", format, "--db", &shown(db)]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_report_tells_what_the_api_tells() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NODE)?;
    let folder = tempfile::tempdir()?;
    let db = folder.path().join("new/perfmon.db");
    let perfmon = start(&server, &db)?;
    let mut calls: Vec<Call> = (0..150).map(|n| Call::get(format!("/bytes/{}", 100 + n))).collect();
    calls.extend((0..12).map(|_| Call::get("/status/503")).chain((0..9).map(|_| Call::get("/status/404"))));
    calls.extend((0..3).map(|_| Call::get("/sleep/1100")).chain((0..6).map(|_| Call::post("/echo", 5_000))));
    Client::Curl.run(server.port, "report", &calls)?;
    perfmon.wait_for(calls.len(), |_| true)?;
    let written = || -> Result<Option<Value>> {
        let report: Value = serde_json::from_str(&report(&db, "json")?)?;
        Ok((report["traffic"]["count"] == calls.len()).then_some(report))
    };
    store_is(&perfmon, "ok", 5)?;
    let report_json = wait_until(5, written)?.context("the requests are not in the report")?;
    let (summary, endpoints) = (perfmon.api("/api/v1/summary?window=5m")?, perfmon.api("/api/v1/endpoints?window=5m")?);
    let traffic = &report_json["traffic"];
    assert_eq!((&traffic["count"], &traffic["errors"]), (&summary["requests"], &summary["errors"]));
    assert_eq!((traffic["status_5xx"].as_u64(), traffic["status_4xx"].as_u64(), traffic["slow"].as_u64()), (Some(12), Some(9), Some(3)));
    // Both are read from buckets that are at most 1.6 % wide.
    let near = |a: &Value, b: &Value| a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= 0.016 * b);
    for name in ["p50_ms", "p95_ms", "p99_ms"] {
        assert!(near(&traffic[name], &summary[name]), "{name}: {traffic} {summary}");
    }
    let rows = endpoints["items"].as_array().context("no items")?;
    let reported = report_json["endpoints"].as_array().context("no endpoints")?;
    assert_eq!(rows.len(), reported.len());
    for row in rows {
        let same = |other: &&Value| ["service", "method", "endpoint"].iter().all(|name| other[name] == row[name]);
        let other = reported.iter().find(same).with_context(|| format!("{row} is not in the report"))?;
        assert_eq!((&other["count"], &other["errors"]), (&row["count"], &row["errors"]), "{row}");
        assert!(near(&other["p95_ms"], &row["p95_ms"]) && near(&other["max_ms"], &row["max_ms"]), "{row} {other}");
    }
    assert_eq!(report_json["slowest"].as_array().map(Vec::len), Some(3));
    for format in ["html", "md"] {
        // Places where a long name may be broken.
        let text = report(&db, format)?.replace("<wbr>", "");
        let count = calls.len().to_string();
        assert!(["/bytes/{id}", "/sleep/{id}", "/status/{id}", &count].iter().all(|part| text.contains(part)), "{format}:\n{text}");
        assert!(!text.contains("src=\"http") && !text.contains("<script"), "{format} loads something");
    }
    perfmon.stop().map(drop)
}

#[test]
fn files_that_cannot_be_used_are_said() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NODE)?;
    let folder = tempfile::tempdir()?;
    // A file at the folder's path: creating the folder fails for root too.
    let blocker = folder.path().join("blocker");
    std::fs::write(&blocker, "")?;
    let perfmon = start(&server, &blocker.join("perfmon.db"))?;
    let degraded = store_is(&perfmon, "degraded", 5)?;
    assert!(degraded["reason"].as_str().is_some_and(|reason| reason.contains("perfmon.db")), "{degraded}");
    the_rest_goes_on(&perfmon, &server)?;
    assert_eq!(get(perfmon.port(), "/api/v1/history?metric=request.count")?.status, 503);
    assert!(perfmon.log().contains("History cannot be written"), "{}", perfmon.log());
    perfmon.stop()?;

    // A file that is not a database is moved aside, and a new history created.
    let damaged = folder.path().join("damaged.db");
    std::fs::write(&damaged, "no database at all ".repeat(1_000))?;
    let perfmon = start(&server, &damaged)?;
    let anew = store_is(&perfmon, "ok", 5)?;
    let aside = PathBuf::from(anew["set_aside"].as_str().context("it does not say where the damaged file is")?);
    assert!(std::fs::read(&aside)?.starts_with(b"no database at all"));
    the_rest_goes_on(&perfmon, &server)?;
    assert!(perfmon.log().contains("damaged"), "{}", perfmon.log());
    perfmon.stop()?;
    report(&damaged, "json")?;

    // One of a later perfmon is left as it is.
    let output = as_root("cat").arg(&damaged).output()?;
    let mut bytes = output.stdout;
    bytes[USER_VERSION..USER_VERSION + 4].copy_from_slice(&99_u32.to_be_bytes());
    let newer = folder.path().join("newer.db");
    std::fs::write(&newer, &bytes)?;
    let perfmon = start(&server, &newer)?;
    let refused = store_is(&perfmon, "degraded", 5)?;
    assert!(refused["reason"].as_str().is_some_and(|reason| reason.contains("newer perfmon") && reason.contains("99")), "{refused}");
    the_rest_goes_on(&perfmon, &server)?;
    perfmon.stop()?;
    assert!(std::fs::read(&newer)? == bytes, "the newer file was changed");
    let output = command(&["report", "--db", &shown(&newer)]).output()?;
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("newer perfmon"));
    Ok(())
}

/// A file system of eight megabytes.
struct Small(tempfile::TempDir);

impl Small {
    /// None where this is not allowed, as in some containers.
    fn mount() -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let mounted = as_root("mount").args(["-t", "tmpfs", "-o", "size=8m,mode=0755", "tmpfs"]).arg(folder.path()).output()?;
        if !mounted.status.success() {
            eprintln!("skipped: a small file system cannot be mounted: {}", String::from_utf8_lossy(&mounted.stderr));
        }
        Ok(mounted.status.success().then_some(Self(folder)))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Where it fails the folder is busy, and the test has failed before.
        as_root("umount").arg("--lazy").arg(self.0.path()).status().ok();
    }
}

fn run(mut command: Command) -> Result<()> {
    command.output().map(drop).with_context(|| format!("cannot run {command:?}"))
}

#[test]
fn a_full_disk_is_said_and_got_over() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let Some(small) = Small::mount()? else { return Ok(()) };
    let server = Server::start(server::NODE)?;
    let db = small.0.path().join("perfmon.db");
    let perfmon = start(&server, &db)?;
    store_is(&perfmon, "ok", 5)?;
    let ballast = small.0.path().join("ballast");
    let mut fill = as_root("dd");
    fill.arg("if=/dev/zero").arg(format!("of={}", ballast.display())).args(["bs=4096", "count=4096"]);
    run(fill)?;
    let calls: Vec<Call> = (0..60).map(|n| Call::get(format!("/status/{}", 500 + n))).collect();
    let full = wait_until(20, || {
        Client::Curl.run(server.port, "filling", &calls)?;
        Ok(Some(perfmon.api("/api/v1/self")?["store"].clone()).filter(|store| store["state"] == "degraded"))
    })?;
    let full = full.context("a full disk is not said")?;
    assert!(full["reason"].as_str().is_some_and(|reason| reason.contains("full")), "{full}");
    the_rest_goes_on(&perfmon, &server)?;
    let mut clear = as_root("rm");
    clear.arg(&ballast);
    run(clear)?;
    // The store retries every 30 s and then writes what was queued.
    store_is(&perfmon, "ok", 45)?;
    assert_eq!(perfmon.figure("/api/v1/self", "/counters/store_dropped")?, 0.0);
    let seen = perfmon.requests()?.len();
    let written = wait_until(5, || {
        let report: Value = serde_json::from_str(&report(&db, "json")?)?;
        Ok((report["traffic"]["count"] == seen).then_some(()))
    })?;
    written.with_context(|| format!("not all of {seen} requests are in the store"))?;
    perfmon.stop().map(drop)
}
