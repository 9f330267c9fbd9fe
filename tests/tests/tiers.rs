//! All ways of capture give the same records for the same traffic.
use anyhow::{Context, Result, ensure};
use perfmon_tests::client::{Call, Client};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::{Perfmon, perfmon};
use perfmon_tests::record::substances;
use perfmon_tests::server::{self, Kind, Server};
use perfmon_tests::wire::Wire;
use serde_json::Value;

#[test]
fn all_tiers_see_the_same() -> Result<()> {
    if missing(&[&Client::NEEDS[..], &[Need::Perfmon, Need::Program("nginx")]].concat()) {
        return Ok(());
    }
    for kind in [server::NGINX, server::UVICORN_H11, server::NODE, server::GO] {
        let one = seen_by("1", kind)?;
        assert!(!one.is_empty());
        for tier in ["2", "3"] {
            // Tier 2 needs a kernel that has its functions traced, which the machines of `cargo xtask vmtest` have.
            if tier == "3" || can_do(tier)? {
                assert_eq!(one, seen_by(tier, kind)?, "{}, tier {tier}", kind.name);
            }
        }
    }
    Ok(())
}

/// Whether this kernel can do it; says why not.
fn can_do(tier: &str) -> Result<bool> {
    let output = perfmon(&["check", "--json", "--capture-tier", tier]).output()?;
    let report: Value = serde_json::from_slice(&output.stdout).context("perfmon check printed no JSON")?;
    let can = report["can_run"] == true;
    if !can {
        eprintln!("tier {tier} is not tested here: {}", report["problems"]);
    }
    Ok(can)
}

/// The substance of all records of some traffic on a fresh server, under a given tier.
fn seen_by(tier: &str, kind: Kind) -> Result<Vec<String>> {
    let server = Server::start(kind)?;
    let perfmon = Perfmon::start(&["--capture-tier", tier])?;
    let report = perfmon.api("/api/v1/self")?;
    let in_use = report.get("capture_tier").context("no capture_tier in /api/v1/self")?;
    ensure!(in_use.to_string().trim_matches('"') == tier, "tier {tier} was asked for, {in_use} is in use");

    let mut calls: Vec<Call> = (0..10).flat_map(|_| [Call::get("/hello?q=1"), Call::get("/bytes/1000"), Call::get("/missing")]).collect();
    calls.extend([Call::get("/bytes/100000"), Call::head("/hello")]);
    if kind.dynamic {
        calls.extend([Call::post("/echo", 50_000), Call::get("/stream/5"), Call::get("/status/204")]);
    }
    for client in Client::ALL {
        client.run(server.port, client.name(), &calls)?;
    }
    let mut wire = Wire::connect("127.0.0.1", server.port)?;
    wire.send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20).as_bytes())?;
    for _ in 0..20 {
        wire.answer(false)?;
    }
    let expected = 2 * (Client::ALL.len() * calls.len() + 20);
    let records = perfmon.wait_for(expected, |r| r.about(server.port))?;
    ensure!(records.len() == expected, "tier {tier}, {}: {} records, not {expected}", kind.name, records.len());
    // Headers such as Date keep their length, so wire sizes are the same in both runs; ports in `Host` have five digits.
    Ok(substances(&records))
}
