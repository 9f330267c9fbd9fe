//! Budgets on a real perfmon: bodies and pipelines that want more memory or time than they are worth cost neither perfmon nor another program.
//! What comes, and how: `programs/hostile_bodies.py`; the server is a thread of the test, which nobody watches.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::{Running, Usage, signal};
use perfmon_tests::{wait_until, workspace};
use perfmon_user::clock::boot_now_ns;
use serde_json::Value;
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Perfmon, Need::Program("python3")];
/// What a hundred bombs of 8 MiB may add, the list of prices that the first model call brings included.
const BOMBS_BYTES: u64 = 20_000_000;
/// What a hundred pipelines of 1,024 requests may add: perfmon's budget for unfinished traffic (32 MiB), of which one program gets half; the rest
/// are records of what found no room.
const PIPELINES_BYTES: u64 = 32 << 20;
/// An answer that says how many tokens it took.
const ANSWER: &str = "{\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":77,\"completion_tokens\":5}}\n";

/// A program that waits for the signal to begin.
struct Hostile {
    running: Running,
    _folder: TempDir,
}

impl Hostile {
    fn start(mode: &str, port: u16) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let script = workspace().join("tests/programs/hostile_bodies.py");
        let mut command = Command::new("python3");
        command.arg(script).args([mode, &port.to_string()]);
        let hostile = Self { running: Running::start(&mut command, &folder.path().join("hostile.log"))?, _folder: folder };
        hostile.wait_for("ready")?;
        Ok(hostile)
    }

    fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Lets it send everything.
    fn send(&self) -> Result<()> {
        signal(self.pid(), "USR1")?;
        self.wait_for("sent")
    }

    fn wait_for(&self, word: &str) -> Result<()> {
        let said = wait_until(40, || Ok(self.running.log().lines().any(|line| line == word).then_some(())))?;
        said.with_context(|| format!("the program did not say {word}:\n{}", self.running.log()))
    }
}

/// A server that takes everything and answers what asks for it.
fn server() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            // A connection that breaks is one that the test misses.
            std::thread::spawn(move || serve(socket).ok());
        }
    });
    Ok(port)
}

fn serve(mut socket: TcpStream) -> Result<()> {
    let (mut request, mut buffer) = (Vec::new(), vec![0; 1 << 18]);
    loop {
        let read = socket.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request[..request.len().min(1_024)]);
        let Some((head, _)) = text.split_once("\r\n\r\n").filter(|(head, _)| head.contains("X-Answer")) else {
            request.clear();
            continue;
        };
        let length: usize = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).context("no length")?.parse()?;
        if request.len() >= head.len() + 4 + length {
            write!(socket, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{ANSWER}", ANSWER.len())?;
            request.clear();
        }
    }
}

/// A counter; one that perfmon does not have counts nothing.
fn counter(perfmon: &Perfmon, name: &str) -> Result<f64> {
    Ok(perfmon.api("/api/v1/self")?["counters"][name].as_f64().unwrap_or(0.0))
}

/// Waits until perfmon has taken hardly any events for a second and a half; other programs may have some.
fn settle(perfmon: &Perfmon) -> Result<()> {
    let (mut before, mut rounds) = (-20.0, 0);
    let quiet = wait_until(20, || {
        let now = counter(perfmon, "events_seen")?;
        rounds = if now < before + 20.0 { rounds + 1 } else { 0 };
        before = now;
        std::thread::sleep(Duration::from_millis(250));
        Ok((rounds >= 6).then_some(()))
    })?;
    quiet.context("events do not end")
}

/// Nanoseconds of CPU that all threads of a process took.
fn cpu_ns(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += schedstat.split_whitespace().next().context("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(sum)
}

fn watched(hostiles: &[&Hostile]) -> Result<Perfmon> {
    let pids: Vec<String> = hostiles.iter().map(|hostile| hostile.pid().to_string()).collect();
    let options: Vec<&str> = pids.iter().flat_map(|pid| ["--pid", pid.as_str()]).collect();
    Perfmon::start(&options)
}

#[test]
fn a_hundred_bombs_cost_little_memory() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let port = server()?;
    let hostile = Hostile::start("bombs", port)?;
    let perfmon = watched(&[&hostile])?;
    settle(&perfmon)?;
    let before = Usage::of(perfmon.pid())?.rss_bytes;
    hostile.send()?;
    settle(&perfmon)?;
    let after = Usage::of(perfmon.pid())?.rss_bytes;
    let refused = counter(&perfmon, "budget_refusals")? + counter(&perfmon, "decoders_given_up")?;
    println!("{before} bytes before, {after} after; {refused} refused or given up");
    ensure!(after < before + BOMBS_BYTES, "{before} bytes before the bombs, {after} after");
    ensure!(refused > 0.0, "the bombs were not read");
    Ok(())
}

/// CPU time of perfmon for what a program sends, beyond that of as long a time without.
fn cost(mode: &str, port: u16) -> Result<u64> {
    let hostile = Hostile::start(mode, port)?;
    let perfmon = watched(&[&hostile])?;
    settle(&perfmon)?;
    let (begin, at_begin) = (boot_now_ns(), cpu_ns(perfmon.pid())?);
    hostile.send()?;
    settle(&perfmon)?;
    let (took, at_end) = (Duration::from_nanos(boot_now_ns() - begin), cpu_ns(perfmon.pid())?);
    ensure!(perfmon.lost()? == 0, "{mode}: perfmon lost events");
    std::thread::sleep(took);
    let idle = cpu_ns(perfmon.pid())? - at_end;
    println!("{mode}: {} ns in {} ms, {idle} ns without", at_end - at_begin, took.as_millis());
    Ok((at_end - at_begin).saturating_sub(idle))
}

#[test]
fn gzip_members_cost_time_like_plain_bytes() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let port = server()?;
    let (plain, members) = (cost("plain", port)?, cost("members", port)?);
    ensure!(members < 2 * plain, "gzip members cost {members} ns, as many plain bytes {plain}");
    Ok(())
}

#[test]
fn a_program_that_takes_all_starves_no_other() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let port = server()?;
    let (hog, other) = (Hostile::start("pipeline", port)?, Hostile::start("calls", port)?);
    let perfmon = watched(&[&hog, &other])?;
    settle(&perfmon)?;
    let before = Usage::of(perfmon.pid())?.rss_bytes;
    hog.send()?;
    settle(&perfmon)?;
    let after = Usage::of(perfmon.pid())?.rss_bytes;
    let refused = counter(&perfmon, "budget_refusals")?;
    println!("{before} bytes before the pipelines, {after} after; {refused} refused");
    ensure!(after < before + PIPELINES_BYTES, "{before} bytes before the pipelines, {after} after");
    ensure!(refused > 0.0, "the pipelines found room");
    other.send()?;
    let calls = wait_until(10, || {
        let calls = perfmon.records("llm")?;
        Ok((calls.len() >= 100).then_some(calls))
    })?;
    let calls = calls.with_context(|| format!("{} of 100 calls were recorded", perfmon.records("llm").map_or(0, |calls| calls.len())))?;
    let is_whole = |call: &&Value| call["output_tokens"] == 5 && call["request_model"] == "m" && call["status_code"] == 200;
    ensure!(calls.len() == 100 && calls.iter().filter(is_whole).count() == 100, "not all of them are whole: {calls:?}");
    Ok(())
}
