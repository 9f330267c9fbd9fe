//! TLS libraries that only some processes have: each is probed when it is mapped, so that the first request is seen, and its probes are
//! given back when its last process is gone. A process that was too short for its library to be opened spoils nothing for later ones.
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{self, Need, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};
use perfmon_tests::{rounds, wait_until};
use tempfile::TempDir;

const NEEDS: [Need; 5] = [Need::Perfmon, Need::Python, Need::Program("nginx"), Need::Program("curl"), Need::Program("openssl")];
/// One connection: waits, then asks `count` times, by turns for 777 bytes at once and for a few after 60 ms.
const CLIENT: &str = r#"
import http.client, ssl, sys, time
port, agent, count, delay = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
time.sleep(delay)
connection = http.client.HTTPSConnection("127.0.0.1", port, context=ssl._create_unverified_context())
for number in range(count):
    connection.request("GET", ("/bytes/777", "/sleep/60")[number % 2], headers={"User-Agent": agent})
    connection.getresponse().read()
"#;

/// A copy of libssl that is deleted when dropped.
struct OwnLibrary(TempDir);

impl OwnLibrary {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::copy(server::libssl()?, folder.path().join("libssl.so.3"))?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn python(&self, server: &Server, agent: &str, count: usize, delay_s: f64) -> Result<Child> {
        let mut command = Command::new(python());
        command.args(["-c", CLIENT, &server.port.to_string(), agent, &count.to_string(), &delay_s.to_string()]);
        command.env("LD_LIBRARY_PATH", self.path()).spawn().context("cannot start python")
    }

    fn curl(&self, server: &Server) -> Result<Child> {
        let mut command = Command::new("curl");
        command.args(["-sk", "--noproxy", "*", "-A", "short", &format!("https://127.0.0.1:{}/hello", server.port)]);
        command.env("LD_LIBRARY_PATH", self.path()).stdout(Stdio::null()).spawn().context("cannot start curl")
    }
}

fn succeeds(mut child: Child) -> Result<()> {
    let status = child.wait()?;
    ensure!(status.success(), "a client ended with {status}");
    Ok(())
}

/// Client-side records of an agent with their plaintext.
fn of<'a>(server: &Server, agent: &'a str) -> impl Fn(&Request) -> bool + 'a {
    let port = server.port;
    move |r| r.about(port) && r.side == "client" && r.tls && r.user_agent.as_deref() == Some(agent)
}

/// Descriptors that perfmon holds.
fn descriptors(perfmon: &Perfmon) -> Result<usize> {
    let listed = need::as_root("ls").arg(PathBuf::from(format!("/proc/{}/fd", perfmon.pid()))).output()?;
    ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    Ok(String::from_utf8_lossy(&listed.stdout).lines().count())
}

fn resident_kib(perfmon: &Perfmon) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", perfmon.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}

#[test]
fn probes_of_libraries_that_come_and_go_are_given_back() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11_TLS)?;
    let perfmon = Perfmon::start(&[])?;
    let come_and_go = |count: usize| -> Result<()> {
        for _ in 0..count {
            let library = OwnLibrary::new()?;
            succeeds(library.curl(&server)?)?;
        }
        Ok(())
    };
    // What is allocated once.
    come_and_go(3)?;
    let before = (descriptors(&perfmon)?, resident_kib(&perfmon)?);
    let rounds = rounds(60);
    come_and_go(rounds)?;
    let given_back = wait_until(30, || Ok((descriptors(&perfmon)? <= before.0).then_some(())))?;
    let after = (descriptors(&perfmon)?, resident_kib(&perfmon)?);
    assert!(given_back.is_some(), "descriptors and KiB: {before:?} before, {after:?} after {rounds} libraries");
    assert!(after.1 < before.1 + 16 * 1_024, "descriptors and KiB: {before:?} before, {after:?} after {rounds} libraries");
    let last = OwnLibrary::new()?;
    succeeds(last.python(&server, "last", 3, 0.05)?)?;
    let seen = perfmon.wait_for(3, of(&server, "last"))?;
    assert!(seen.len() == 3 && seen.iter().all(|r| r.path.is_some() && r.status_code == Some(200)), "{seen:?}");
    perfmon.stop().map(drop)
}

#[test]
fn the_first_request_through_a_library_of_its_own_is_seen() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11_TLS)?;
    let perfmon = Perfmon::start(&[])?;
    let rounds = rounds(10);
    for _ in 0..rounds {
        let library = OwnLibrary::new()?;
        succeeds(library.python(&server, "first", 1, 0.05)?)?;
    }
    let seen = perfmon.wait_for(rounds, of(&server, "first"))?;
    assert_eq!(seen.len(), rounds, "first requests seen");
    perfmon.stop().map(drop)
}

#[test]
fn a_connection_older_than_perfmon_gives_from_the_next_request_on() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11_TLS)?;
    let library = OwnLibrary::new()?;
    let client = library.python(&server, "older", 150, 0.0)?;
    let perfmon = Perfmon::start(&[])?;
    for side in ["client", "server"] {
        let is_of = |r: &Request| r.side == side && r.tls && r.user_agent.as_deref() == Some("older");
        let records = perfmon.wait_for(20, is_of)?;
        assert!(records.len() >= 20, "{side}: {} requests seen", records.len());
        // An answer that was given to the next request.
        let is_whole = |r: &Request| (r.path.as_deref() == Some("/bytes/777")) == (r.response_size == Some(777));
        let odd: Vec<_> = records.iter().filter(|r| r.quality == "exact" && !is_whole(r)).collect();
        assert!(odd.is_empty(), "{side}: {odd:?}");
    }
    succeeds(client)?;
    perfmon.stop().map(drop)
}

#[test]
fn short_processes_do_not_blind_a_later_server() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11_TLS)?;
    let perfmon = Perfmon::start(&[])?;
    for round in 0..rounds(5) {
        let library = OwnLibrary::new()?;
        for mut child in [library.curl(&server)?, library.curl(&server)?] {
            // At different times of its start.
            std::thread::sleep(std::time::Duration::from_millis(3 * round as u64));
            child.kill()?;
            child.wait()?;
        }
        let agent = format!("after-{round}");
        succeeds(library.python(&server, &agent, 3, 0.05)?)?;
        let seen = perfmon.wait_for(3, of(&server, &agent))?;
        assert_eq!(seen.len(), 3, "round {round}");
    }
    perfmon.stop().map(drop)
}
