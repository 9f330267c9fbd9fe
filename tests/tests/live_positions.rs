//! Bytes that pass no receive hook or have no user buffer: splice out of a socket, zero-copy receives and sends, a proxy that splices, and
//! io_uring. Counts, sizes and quality of each side equal what the client itself counted, and no answer lasts longer than its client ran.
use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use perfmon_tests::need::{Need, find, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::Running;
use perfmon_tests::programs::{URING, built};
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};
use perfmon_tests::wire::Wire;
use perfmon_tests::{free_port, rounds, wait_until, workspace};
use perfmon_user::clock::boot_now_ns;

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Program("gcc"), URING];

/// Answers and bytes of their bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Answers {
    count: u64,
    bytes: u64,
}

impl Answers {
    /// What records say.
    fn told(records: &[Request]) -> Self {
        Self { count: records.len() as u64, bytes: records.iter().filter_map(|r| r.response_size).sum() }
    }
}

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

/// Fails unless each record is exact and complete, and they are what the client counted.
fn assert_exact(records: &[Request], expected: Answers, whose: &str) {
    let odd: Vec<_> = records.iter().filter(|r| r.quality != "exact" || r.error.is_some() || r.missing_bytes > 0).take(3).collect();
    assert!(odd.is_empty(), "{whose}: {odd:#?}");
    assert_eq!(Answers::told(records), expected, "{whose}");
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

/// Asks through the proxy on a connection of its own; a small body, a large one, an upload in turns.
fn load(port: u16, count: usize) -> JoinHandle<Result<Answers>> {
    std::thread::spawn(move || {
        let mut wire = Wire::connect("127.0.0.1", port)?;
        let mut answers = Answers::default();
        for n in 0..count {
            let answer = match n % 16 {
                0 => wire.call("GET", "/bytes/100000", "load", b"")?,
                8 => wire.call("POST", "/bytes/1000", "load", &[b'y'; 20_000])?,
                _ => wire.call("GET", "/bytes/1000", "load", b"")?,
            };
            answers.count += 1;
            answers.bytes += answer.body.len() as u64;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(answers)
    })
}

#[test]
fn a_proxy_that_splices_is_exact_on_both_its_sides() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx"), Need::Program("haproxy")]) {
        return Ok(());
    }
    let nginx = Server::start(server::NGINX)?;
    let (port, folder) = (free_port()?, tempfile::tempdir()?);
    let template = std::fs::read_to_string(workspace().join("tests/servers/haproxy.cfg"))?;
    let configuration = folder.path().join("haproxy.cfg");
    let upstream = format!("127.0.0.1:{}", nginx.port);
    std::fs::write(&configuration, template.replace("{port}", &port.to_string()).replace("{upstream}", &upstream))?;
    let mut command = Command::new(find("haproxy").context("haproxy is not installed")?);
    command.arg("-db").arg("-f").arg(&configuration).stdin(Stdio::null());
    let mut haproxy = Running::start(&mut command, &folder.path().join("haproxy.log"))?;
    haproxy.listens(port)?;

    let perfmon =
        Perfmon::start(&["--port", &port.to_string(), "--port", &nginx.port.to_string(), "--pid", &std::process::id().to_string()])?;
    let each = rounds(10_000) / 4;
    let loads: Vec<_> = (0..4).map(|_| load(port, each)).collect();
    let mut expected = Answers::default();
    for load in loads {
        let answers = load.join().map_err(|_| anyhow!("a client panicked"))??;
        expected.count += answers.count;
        expected.bytes += answers.bytes;
    }
    let all = each * 4;
    wait_until(10, || Ok((perfmon.matching(|r| r.about(port) || r.about(nginx.port))?.len() >= all * 4).then_some(())))?;
    assert_eq!(perfmon.lost()?, 0, "events lost");
    let records = perfmon.stop()?;
    let side = |keep: &dyn Fn(&Request) -> bool| records.iter().filter(|r| keep(r)).cloned().collect::<Vec<_>>();
    assert_exact(&side(&|r| r.sent_to(port)), expected, "the client");
    assert_exact(&side(&|r| r.served_by(port)), expected, "haproxy as server");
    assert_exact(&side(&|r| r.sent_to(nginx.port)), expected, "haproxy as client");
    assert_exact(&side(&|r| r.served_by(nginx.port)), expected, "nginx");
    let uploads = |records: &[Request]| records.iter().filter_map(|r| r.request_size).sum::<u64>();
    let sent = 20_000 * 4 * (0..each).filter(|n| n % 16 == 8).count() as u64;
    for records in [side(&|r| r.served_by(port)), side(&|r| r.sent_to(nginx.port)), side(&|r| r.served_by(nginx.port))] {
        assert_eq!(uploads(&records), sent, "bytes of uploads");
    }
    Ok(())
}
