//! perfmon under load ends within two seconds of SIGINT, each time. `PERFMON_TEST_ROUNDS` sets how many times; the proof of a release is 200.
use anyhow::{Context, Result};
use perfmon_tests::client::wrk;
use perfmon_tests::load::{LoadProgram, ShortProcesses};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
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
    let url = format!("{}/bytes/1000", nginx.url());
    let short = ShortProcesses::curl(&nginx.url(), None);
    let requests = LoadProgram::python("requests", secured.port, &secured.certificate(), 1)?;
    let (rounds, mut times) = (rounds(10), Vec::new());
    for round in 0..rounds {
        let load = std::thread::scope(|scope| -> Result<f64> {
            let load = scope.spawn(|| wrk(&url, 3, 32));
            let perfmon = Perfmon::start(&[])?;
            // Both kinds of traffic pass it when the signal comes.
            let flows = |tls: bool| move |r: &perfmon_tests::record::Request| r.tls == tls && r.side == "server";
            wait_until(10, || Ok((perfmon.matching(flows(false))?.len() > 100 && !perfmon.matching(flows(true))?.is_empty()).then_some(())))?
                .with_context(|| format!("round {round}: perfmon saw no load"))?;
            let (status, ms) = perfmon.end_within("INT", 2).with_context(|| format!("round {round} of {rounds}"))?;
            assert!(status.success(), "round {round}: perfmon ended with {status}");
            load.join().map_err(|_| anyhow::anyhow!("wrk's thread panicked"))??;
            Ok(ms)
        })?;
        times.push(load);
    }
    times.sort_by(f64::total_cmp);
    println!("{rounds} of {rounds} ended in time: median {:.0} ms, longest {:.0} ms", times[times.len() / 2], times[times.len() - 1]);
    assert_eq!((requests.end()?.failed, short.end()?.failed), (0, 0), "requests failed");
    Ok(())
}
