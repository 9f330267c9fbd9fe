//! A hostile neighbour, no target of anybody's: perfmon neither stalls nor swells, loses nothing of its targets, reads nothing that the
//! neighbour may not, changes no code of another's process, and ends in time. Once beside named targets, once as one of all.
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use perfmon_tests::client::{curl_once, h2load};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::neighbour::{Neighbour, SECRET};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::Usage;
use perfmon_tests::programs::COMPILERS;
use perfmon_tests::server::{self, Server, libssl};
use perfmon_tests::{wait_until, wire};
use perfmon_user::clock::boot_now_ns;

const NEEDS: [Need; 7] = [
    Need::Perfmon,
    Need::Python,
    Need::Program("nginx"),
    Need::Program("h2load"),
    Need::Program("curl"),
    Need::Program("openssl"),
    Need::Program("setpriv"),
];
const REQUESTS: u32 = 6_000;
/// Longest answer of `/healthz` beyond what an idle server of this process takes on the same machine at the same time.
const HEALTH_MS: f64 = 100.0;
/// How often it may be too late at most before that is a problem.
const MEASUREMENTS: usize = 3;
const RSS_BYTES: u64 = 100_000_000;
/// One neighbour at a time: two of them at once are what no test is about.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn beside_named_targets() -> Result<()> {
    beside(&["--exe", "*nginx*"])
}

#[test]
fn among_all_processes() -> Result<()> {
    beside(&["--all"])
}

/// The same traffic without the neighbour and with it.
fn beside(options: &[&str]) -> Result<()> {
    if missing(&[&NEEDS[..], &COMPILERS].concat()) {
        return Ok(());
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let nginx = Server::start(server::NGINX)?;
    let control = control()?;
    let perfmon = Perfmon::start(options)?;
    let without = measure(&perfmon, &nginx, control, || Ok(0))?;
    println!("{options:?} without the neighbour: {without:?}");
    perfmon.end("TERM")?;

    let library = libssl()?;
    let mut neighbour = Neighbour::start(&library)?;
    let perfmon = Perfmon::start(options).with_context(|| format!("beside the neighbour:\n{}", neighbour.log()))?;
    let mut with = measure(&perfmon, &nginx, control, || neighbour.changed_bytes())?;
    println!("{options:?} beside the neighbour: {with:?}");
    // One answer may be late because the scheduler, under this load, was; a fault of perfmon shows each time.
    for _ in 1..MEASUREMENTS {
        if with.is_answered_in_time() {
            break;
        }
        with = measure(&perfmon, &nginx, control, || neighbour.changed_bytes())?;
        println!("{options:?} beside the neighbour, again: {with:?}");
    }
    let mut problems = with.problems(&without);
    let plaintext = own_library_is_seen(&perfmon)?;
    if !plaintext {
        problems.push("the plaintext of a target that started after a thousand fakes was not seen".into());
    }
    for (what, text) in
        [("the records", perfmon.output()?), ("/api/v1/self", perfmon.api("/api/v1/self")?.to_string()), ("the log", perfmon.log())]
    {
        if text.contains(SECRET) {
            problems.push(format!("{what} hold what only root may read"));
        }
    }
    let changed = neighbour.changed_bytes()?;
    let rss = Usage::of(perfmon.pid())?.rss_bytes;
    if changed > 0 || rss > RSS_BYTES {
        problems.push(format!("at the end {changed} bytes of the victim's code are changed, {rss} bytes resident"));
    }
    neighbour.assert_alive()?;
    match perfmon.end_within("TERM", 2) {
        Ok((status, ms)) => println!("{options:?}: ended with {status} after {ms:.0} ms"),
        Err(error) => problems.push(format!("{error:#}")),
    }
    assert!(problems.is_empty(), "{options:?}:\n{}", problems.join("\n"));
    Ok(())
}

/// What was seen while nginx served its requests.
#[derive(Debug)]
struct Measured {
    records: usize,
    lost: u64,
    health_ms: f64,
    control_ms: f64,
    rss_bytes: u64,
    changed_bytes: usize,
}

impl Measured {
    fn is_answered_in_time(&self) -> bool {
        self.health_ms < HEALTH_MS + self.control_ms
    }

    fn problems(&self, without: &Self) -> Vec<String> {
        let checks = [
            (self.records == REQUESTS as usize, format!("{} records of {REQUESTS} requests", self.records)),
            (self.lost <= without.lost, format!("{} events lost, {} without the neighbour", self.lost, without.lost)),
            (self.is_answered_in_time(), format!("/healthz took {:.1} ms when an idle server took {:.1}", self.health_ms, self.control_ms)),
            (self.rss_bytes < RSS_BYTES, format!("{} bytes resident", self.rss_bytes)),
            (self.changed_bytes == 0, format!("{} bytes of the victim's code were changed", self.changed_bytes)),
        ];
        checks.into_iter().filter(|(good, _)| !good).map(|(_, problem)| problem).collect()
    }
}

fn measure(perfmon: &Perfmon, nginx: &Server, control: u16, mut changed: impl FnMut() -> Result<usize>) -> Result<Measured> {
    let before = perfmon.matching(|r| r.served_by(nginx.port))?.len();
    let url = format!("{}/bytes/1000", nginx.url());
    let mut seen = Measured { records: 0, lost: 0, health_ms: 0.0, control_ms: 0.0, rss_bytes: 0, changed_bytes: 0 };
    std::thread::scope(|scope| -> Result<()> {
        let load = scope.spawn(|| h2load(&url, REQUESTS, 20, Some(750)));
        for turn in 0.. {
            seen.health_ms = seen.health_ms.max(timed(perfmon.port())?);
            seen.control_ms = seen.control_ms.max(timed(control)?);
            seen.rss_bytes = seen.rss_bytes.max(Usage::of(perfmon.pid())?.rss_bytes);
            if turn % 20 == 0 {
                seen.changed_bytes = seen.changed_bytes.max(changed()?);
            }
            if load.is_finished() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let load = load.join().map_err(|_| anyhow::anyhow!("h2load's thread panicked"))??;
        anyhow::ensure!(load.answers == u64::from(REQUESTS), "nginx answered {} of {REQUESTS}", load.answers);
        Ok(())
    })?;
    let records = perfmon.wait_for(before + REQUESTS as usize, |r| r.served_by(nginx.port))?;
    seen.records = records.len() - before;
    seen.lost = perfmon.lost()?;
    Ok(seen)
}

/// Milliseconds of a GET of `/healthz`.
fn timed(port: u16) -> Result<f64> {
    let start = boot_now_ns();
    let answer = wire::get(port, "/healthz")?;
    anyhow::ensure!(answer.status == 200, "/healthz answered {}", answer.status);
    Ok((boot_now_ns() - start) as f64 / 1e6)
}

/// A server that does nothing else: how long an answer takes on this machine now. Its thread ends with the test.
fn control() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            // A request that does not come, or an answer that cannot be sent, is one that the test misses.
            if socket.read(&mut [0; 1_024]).is_ok_and(|read| read > 0) {
                socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").ok();
            }
        }
    });
    Ok(port)
}

/// Whether the plaintext of a server that starts now, with a TLS library of its own, is seen within ten seconds.
fn own_library_is_seen(perfmon: &Perfmon) -> Result<bool> {
    let server = Server::start(server::NGINX_OWN_TLS)?;
    let folder = tempfile::tempdir()?;
    let url = format!("https://127.0.0.1:{}/hello", server.port);
    let seen = wait_until(10, || {
        curl_once(&url, &folder.path().join("answer"), Some(&server.certificate()))?;
        Ok(perfmon.matching(|r| r.tls && r.served_by(server.port) && r.path.as_deref() == Some("/hello"))?.first().map(drop))
    })?;
    Ok(seen.is_some())
}
