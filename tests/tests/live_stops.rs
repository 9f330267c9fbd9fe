//! perfmon under load ends within two seconds of SIGINT, each time. `TESTED_ROUNDS` sets how many times; the proof of a release is 200.
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use perfmon_tests::load::{LoadProgram, ShortProcesses};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::Running;
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};
use perfmon_tests::{rounds, wait_until};

const NEEDS: [Need; 6] =
    [Need::Perfmon, Need::Python, Need::Program("nginx"), Need::Program("wrk"), Need::Program("curl"), Need::Program("openssl")];

#[test]
fn perfmon_under_load_ends_within_two_seconds_of_sigint() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let (nginx, secured) = (Server::start(server::NGINX)?, Server::start(server::NGINX_TLS)?);
    let short = ShortProcesses::curl(&nginx.url(), None);
    let requests = LoadProgram::python("requests", secured.port, &secured.certificate(), 1)?;
    let folder = tempfile::tempdir()?;
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c32", "-d7200s", &format!("{}/bytes/1000", nginx.url())]);
    let _wrk = Running::start(&mut wrk, &folder.path().join("wrk.log"))?;
    let (rounds, mut times) = (rounds(10), Vec::new());
    for round in 0..rounds {
        let perfmon = Perfmon::start(&[]).with_context(|| format!("round {round}"))?;
        if round == 0 {
            both_loads_are_seen(&perfmon)?;
        }
        // The signal comes at different times of perfmon's first second.
        std::thread::sleep(Duration::from_millis([0, 100, 300, 900][round % 4]));
        let (status, ms) = perfmon.end_within("INT", 2).with_context(|| format!("round {round} of {rounds}"))?;
        assert!(status.success(), "round {round}: perfmon ended with {status}");
        times.push(ms);
    }
    times.sort_by(f64::total_cmp);
    println!("{rounds} of {rounds} ended in time: median {:.0} ms, longest {:.0} ms", times[times.len() / 2], times[times.len() - 1]);
    assert_eq!((requests.end()?.failed, short.end()?.failed), (0, 0), "requests failed");
    Ok(())
}

fn both_loads_are_seen(perfmon: &Perfmon) -> Result<()> {
    let served = |tls: bool| move |r: &Request| r.tls == tls && r.side == "server";
    let seen = || Ok((perfmon.matching(served(false))?.len() > 100 && !perfmon.matching(served(true))?.is_empty()).then_some(()));
    wait_until(10, seen)?.context("perfmon saw no load")
}
