//! Bytes that pass no receive hook or have no user buffer: splice out of a socket, zero-copy receives and sends, and io_uring.
//! Counts, sizes and quality of each side equal what the client itself counted, and no answer lasts longer than its client ran.
use std::collections::HashSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use perfmon_tests::answers::{Answers, assert_exact};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::Running;
use perfmon_tests::programs::{URING, built};
use perfmon_tests::{free_port, rounds};
use perfmon_user::clock::boot_now_ns;

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Program("gcc"), URING];

/// A server of `uring_http` that ends when dropped.
fn serve(mode: &str, environment: &[(&str, &str)]) -> Result<(Running, u16, tempfile::TempDir)> {
    let (port, folder) = (free_port()?, tempfile::tempdir()?);
    let mut command = Command::new(built("uring_http.c")?);
    command.args(["server", &port.to_string(), mode]).envs(environment.iter().copied());
    let mut running = Running::start(&mut command, &folder.path().join("server.log"))?;
    running.listens(port)?;
    Ok((running, port, folder))
}

/// Asks `count` times on one connection; what came, and for how many milliseconds.
fn ask(port: u16, mode: &str, environment: &[(&str, &str)], count: usize) -> Result<(Answers, f64)> {
    let start = boot_now_ns();
    let mut command = Command::new(built("uring_http.c")?);
    command.args(["client", &port.to_string(), mode, &count.to_string()]).envs(environment.iter().copied());
    let output = command.output()?;
    ensure!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (count, bytes) = said.trim().split_once(' ').with_context(|| format!("{mode} said {said:?}"))?;
    Ok((Answers { count: count.parse()?, bytes: bytes.parse()? }, (boot_now_ns() - start) as f64 / 1e6))
}

/// One client of this kind asks a server of that kind.
fn both_sides_are_exact(server: &str, client: &str, count: usize) -> Result<()> {
    both_sides_are_exact_with(&[], server, client, count)
}

/// The same with environment variables for both.
fn both_sides_are_exact_with(environment: &[(&str, &str)], server: &str, client: &str, count: usize) -> Result<()> {
    let (_server, port, _folder) = serve(server, environment)?;
    let perfmon = Perfmon::start(&["--exe", "uring_http"])?;
    let (expected, took_ms) = ask(port, client, environment, count)?;
    perfmon.wait_for(count * 2, |r| r.about(port))?;
    assert_eq!(perfmon.lost()?, 0, "events lost");
    let records = perfmon.stop()?;
    let side = |side: &str| records.iter().filter(|r| r.about(port) && r.side == side).cloned().collect::<Vec<_>>();
    for name in ["server", "client"] {
        let records = side(name);
        assert_exact(&records, expected, &format!("{name} of {server} asked by {client}"));
        // The requests of a connection follow each other, so their durations cannot be more than the client's life.
        let sum_ms: f64 = records.iter().filter_map(|r| r.response_time_ms).sum();
        assert!(sum_ms <= took_ms, "{name} of {server} asked by {client}: {sum_ms} ms in {took_ms} ms");
        let agents: HashSet<_> = records.iter().map(|r| r.user_agent.clone()).collect();
        assert_eq!(agents.len(), count, "each request once");
    }
    Ok(())
}

#[test]
fn bodies_that_pass_no_hook_are_counted() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    for client in ["splice", "mapped", "zerocopy"] {
        both_sides_are_exact("send", client, 500)?;
    }
    Ok(())
}

#[test]
fn io_uring_is_exact() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    both_sides_are_exact("send", "send", rounds(10_000))?;
    for mode in ["message", "write", "multishot"] {
        both_sides_are_exact(mode, mode, 1_000)?;
    }
    Ok(())
}

#[test]
fn io_uring_is_exact_whoever_carries_its_requests_out() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    // IORING_SETUP_SQPOLL; IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN; IOSQE_ASYNC.
    for setting in [("URING_SETUP", "0x2"), ("URING_SETUP", "0x3000"), ("URING_WORKER", "1")] {
        both_sides_are_exact_with(&[setting], "send", "send", 500)?;
    }
    Ok(())
}
