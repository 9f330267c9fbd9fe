//! Commands as scripts and people use them: pipes that close, disks that are full, several perfmons side by side, output without a terminal,
//! and an end that keeps nobody waiting.
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use perfmon_tests::client::{Call, Client};
use perfmon_tests::need::{self, Need, as_root, missing};
use perfmon_tests::perfmon::{Perfmon, binary_for_everybody, perfmon};
use perfmon_tests::process::signal;
use perfmon_tests::receiver::{Receiver, Reply};
use perfmon_tests::server::{self, Server};
use perfmon_tests::wire::get;
use perfmon_tests::{free_port, wait_until};

const NEEDS: [Need; 2] = [Need::Perfmon, Need::Program("nginx")];

/// Requests to a server, one after the other, until dropped.
struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    fn to(port: u16, path: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, path) = (stop.clone(), path.to_owned());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                get(port, &path).ok();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// `perfmon run` at a free port, without table and store, with further options; both outputs are pipes.
fn run(options: &[&str]) -> Result<Child> {
    let listen = format!("127.0.0.1:{}", free_port()?);
    let mut command = perfmon(&["run", "--no-store", "--listen", &listen]);
    Ok(command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// Its end within so many seconds; killed when it does not end.
fn ended(child: &mut Child, seconds: u64) -> Result<Option<ExitStatus>> {
    let status = wait_until(seconds, || Ok(child.try_wait()?))?;
    if status.is_none() {
        signal(child.id(), "KILL")?;
        child.wait()?;
    }
    Ok(status)
}

/// What it wrote to standard error, apart from information.
fn complaints(child: &mut Child) -> Result<String> {
    let mut text = String::new();
    child.stderr.take().context("no standard error")?.read_to_string(&mut text)?;
    Ok(text.lines().filter(|line| !line.contains(" INFO ")).collect::<Vec<_>>().join("\n"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_file_of_records_rotates_and_loses_none() -> Result<()> {
    const REQUESTS: usize = 240;
    if missing(&NEEDS) || missing(&[Need::Program("curl")]) {
        return Ok(());
    }
    let (server, folder) = (Server::start(server::NGINX)?, tempfile::tempdir()?);
    let file = folder.path().join("records.jsonl").display().to_string();
    let options = ["--ui", "none", "--jsonl", &file, "--jsonl-max", "64KiB", "--port", &server.port.to_string()];
    let mut child = run(&options)?;
    BufReader::new(child.stderr.take().context("no standard error")?).read_line(&mut String::new())?; // it is watching
    Client::Curl.run(server.port, "rotation", &vec![Call::get("/hello"); REQUESTS])?;
    let names = [".3", ".2", ".1", ""].map(|number| format!("{file}{number}"));
    let lines = || -> Result<Vec<String>> {
        let text = as_root("cat").args(&names).stderr(Stdio::null()).output()?.stdout;
        Ok(String::from_utf8(text)?.lines().map(str::to_owned).collect())
    };
    let is_request = |line: &&String| line.contains("\"kind\":\"request\"") && line.contains("\"user_agent\":\"rotation\"");
    wait_until(10, || Ok((lines()?.iter().filter(is_request).count() >= REQUESTS).then_some(())))?;
    signal(child.id(), "INT")?;
    assert_eq!(ended(&mut child, 10)?.context("it did not end")?.code(), Some(0));
    let lines = lines()?;
    assert_eq!(lines.iter().filter(is_request).count(), REQUESTS, "{} lines", lines.len());
    assert!(lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "a line is torn");
    let listed = as_root("stat").args(["--format", "%a %s %h"]).args(&names[1..]).output()?;
    for file in String::from_utf8(listed.stdout)?.lines() {
        let [mode, bytes, links] = file.split(' ').collect::<Vec<_>>()[..] else { anyhow::bail!("stat printed {file}") };
        assert!(mode == "600" && links == "1" && bytes.parse::<u64>()? <= 65_536, "{file}");
    }
    assert!(lines.iter().map(|line| line.len() + 1).sum::<usize>() > 2 * 65_536, "there was too little to rotate twice");
    Ok(())
}

#[test]
fn what_cannot_rotate_is_refused() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("pipe").display().to_string();
    anyhow::ensure!(Command::new("mkfifo").arg(&pipe).status()?.success(), "no FIFO was made");
    for (path, why) in [("-", "standard output cannot be rotated"), ("/dev/stdout", "cannot be rotated"), (&pipe, "cannot be rotated")] {
        let mut child = run(&["--ui", "none", "--jsonl", path, "--jsonl-max", "100MB"])?;
        let output = ended(&mut child, 5)?.map(|_| child.wait_with_output()).context("it runs")??;
        assert!(output.status.code() == Some(2) && said(&output).contains(why), "{path}: {output:?}");
    }
    Ok(())
}

#[test]
fn a_closed_pipe_ends_it_silently() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    for options in [&["--ui", "none", "--jsonl", "-"][..], &["--ui", "table"]] {
        let traffic = Traffic::to(server.port, "/hello");
        let mut child = run(options)?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        lines.next().context("no line came")??;
        drop(lines);
        let status = ended(&mut child, 5)?;
        assert_eq!(status.context("it did not end with its reader")?.code(), Some(0), "{options:?}");
        assert_eq!(complaints(&mut child)?, "", "{options:?}");
        drop(traffic);
    }
    Ok(())
}

#[test]
fn a_closed_pipe_ends_it_also_while_nothing_is_written() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let mut child = run(&["--ui", "none", "--jsonl", "-", "--port", &server.port.to_string()])?;
    let mut errors = BufReader::new(child.stderr.take().context("no standard error")?);
    errors.read_line(&mut String::new())?; // it is watching, and there is no traffic
    drop(child.stdout.take());
    assert_eq!(ended(&mut child, 5)?.context("it did not end with its reader")?.code(), Some(0));
    Ok(())
}

#[test]
fn a_closed_standard_error_stops_nothing() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let _traffic = Traffic::to(server.port, "/hello");
    let mut child = run(&["--ui", "none", "--jsonl", "-", "--log", "debug", "--duration", "3s"])?;
    drop(child.stderr.take());
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"kind\":\"request\""));
    for line in ["foo", "run --no-such-option", "replay /nonexistent"] {
        let mut child = perfmon(&line.split(' ').collect::<Vec<_>>()).stderr(Stdio::piped()).spawn()?;
        drop(child.stderr.take());
        assert_eq!(child.wait()?.code(), Some(2), "{line}");
    }
    Ok(())
}

#[test]
fn a_full_disk_is_an_error() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let _traffic = Traffic::to(server.port, "/hello");
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full");
    let listen = format!("127.0.0.1:{}", free_port()?);
    let quiet = ["--ui", "none", "--no-store", "--listen", &listen, "--duration", "4s"];
    for (arguments, part) in [
        ([&["run", "--jsonl", "-"][..], &quiet].concat(), "--jsonl -"),
        ([&["run", "--jsonl", "/dev/full"][..], &quiet].concat(), "--jsonl /dev/full"),
        (vec!["run", "--ui", "table", "--no-store", "--listen", &listen, "--duration", "4s"], "summary"),
        (vec!["record", "-o", "/dev/full", "--duration", "4s"], "-o /dev/full"),
        (vec!["check"], "standard output"),
        (vec!["config", "print"], "standard output"),
    ] {
        let output = perfmon(&arguments).stdout(full()?).stderr(Stdio::piped()).output()?;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        let last = said(&output).lines().last().unwrap_or_default().to_owned();
        assert!(last.starts_with("perfmon: ") && last.contains(part) && last.contains("No space left"), "{arguments:?}: {last}");
    }
    Ok(())
}

#[test]
fn a_path_that_cannot_be_created_is_named() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let output = perfmon(&["run", "--ui", "none", "--no-store", "--listen", "127.0.0.1:0", "--jsonl", "/nonexistent/x"]).output()?;
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("/nonexistent/x"), "{}", said(&output));
    Ok(())
}

#[test]
fn a_recording_stands_beside_a_running_perfmon() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let running = Perfmon::start(&[])?;
    let folder = tempfile::tempdir()?;
    let (file, records) = (folder.path().join("session.perfmon"), folder.path().join("records.jsonl"));
    let config = folder.path().join("perfmon.toml");
    std::fs::write(&config, format!("listen = \"127.0.0.1:{}\"\njsonl = {records:?}\n", running.port()))?;
    let traffic = Traffic::to(server.port, "/hello");
    let (file, config) = (file.to_string_lossy(), config.to_string_lossy());
    let record = |more: &[&str]| perfmon(&["record", "-o", &file, "--config", &config, "--duration", "2s"]).args(more).output();
    let output = record(&[])?;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!said(&output).contains("http://"), "{}", said(&output));
    assert!(said(&output).contains("holds captured bytes as they are, with every secret in them"), "{}", said(&output));
    assert!(!records.exists(), "the recording wrote the other perfmon's records");
    let output = perfmon(&["replay", &file, "--jsonl", "-"]).output()?;
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"path\":\"/hello\""), "{}", said(&output));
    let output = record(&["--listen", "127.0.0.1:0"])?;
    assert!(said(&output).contains("http://127.0.0.1:") && !said(&output).contains("127.0.0.1:0/"), "{}", said(&output));
    drop(traffic);
    Ok(())
}

#[test]
fn a_replay_ends_with_its_reader() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("session.perfmon");
    let file = file.to_string_lossy();
    let config = folder.path().join("perfmon.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\n")?;
    let traffic = Traffic::to(server.port, "/hello");
    let output = perfmon(&["record", "-o", &file, "--config", &config.to_string_lossy(), "--duration", "2s"]).output()?;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    drop(traffic);
    let mut child = perfmon(&["replay", &file, "--jsonl", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    drop(child.stdout.take());
    assert_eq!(ended(&mut child, 5)?.context("it did not end")?.code(), Some(0));
    assert_eq!(complaints(&mut child)?, "");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let output = perfmon(&["replay", &file, "--jsonl", "-"]).stdout(full).stderr(Stdio::piped()).output()?;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("--jsonl -: "), "{}", said(&output));
    Ok(())
}

#[test]
fn top_says_that_it_starts_a_perfmon_of_its_own_and_ends_it() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let _traffic = Traffic::to(server.port, "/hello");
    let folder = tempfile::tempdir()?;
    let (config, db) = (folder.path().join("perfmon.toml"), folder.path().join("history.db"));
    let unused = format!("127.0.0.1:{}", free_port()?);
    std::fs::write(&config, format!("listen = \"{unused}\"\ndb = {db:?}\n"))?;
    let mut child = perfmon(&["top", "--config", &config.to_string_lossy()]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let status = ended(&mut child, 15)?.context("it did not end after its table")?;
    let output = child.wait_with_output()?;
    assert_eq!(status.code(), Some(0), "{}", said(&output));
    let first = said(&output).lines().next().unwrap_or_default().to_owned();
    assert!(first.contains(&unused) && first.contains("without history") && first.contains("free port"), "{first}");
    assert!(!said(&output).contains(&format!("{unused}/")), "it took the configured port:\n{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("GET /hello"), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!db.exists(), "it wrote a history");
    Ok(())
}

#[test]
fn top_without_privileges_says_one_sentence() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let (_folder, copy) = binary_for_everybody()?;
    let mut command = Command::new(copy);
    let unused = format!("127.0.0.1:{}", free_port()?);
    command.arg("top").env("PERFMON_LISTEN", &unused).current_dir("/");
    if need::is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output()?;
    let text = said(&output);
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert_eq!((text.matches("refused").count(), text.matches(&unused).count()), (1, 1), "{text}");
    assert!(text.contains("sudo perfmon run"), "{text}");
    Ok(())
}

#[test]
fn a_table_in_a_pipe_cuts_no_name() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let server = Receiver::start(|_| Reply::status(200))?;
    let path = format!("/catalogue{}/index", "/folder-with-a-name".repeat(9));
    let _traffic = Traffic::to(server.port(), &path);
    let port = server.port().to_string();
    let output =
        perfmon(&["run", "--ui", "table", "--no-store", "--listen", "127.0.0.1:0", "--port", &port, "--duration", "2s"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(&format!("GET {path} ")) && !text.contains('~'), "{text}\n{}", said(&output));
    Ok(())
}

#[test]
fn a_run_says_where_it_is_and_what_it_did() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let port = server.port.to_string();
    let mut command = perfmon(&["run", "--ui", "none", "--no-store", "--listen", "127.0.0.1:0", "--port", &port]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut errors = BufReader::new(child.stderr.take().context("no standard error")?).lines();
    let ready = errors.next().context("it said nothing")??;
    let url = ready.split_whitespace().find_map(|word| word.strip_prefix("url=http://127.0.0.1:")).with_context(|| ready.clone())?;
    let served: u16 = url.trim_end_matches('/').parse()?;
    assert_eq!(get(served, "/readyz")?.status, 200, "{ready}");
    for _ in 0..7 {
        get(server.port, "/hello")?;
    }
    wait_until(10, || {
        Ok(String::from_utf8_lossy(&get(served, "/api/v1/summary?window=5m")?.body).contains("\"requests\":7").then_some(()))
    })?;
    signal(child.id(), "INT")?;
    let last = errors.map_while(Result::ok).last().context("it did not say what it did")?;
    for part in ["time=", "requests=7 ", "events_lost=0"] {
        assert!(last.contains(part), "no {part} in {last}");
    }
    assert_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

/// Everything that perfmon writes to hangs: the receiver of telemetry, the webhook, the reader of the records.
#[test]
fn ctrl_c_waits_for_nobody() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let _traffic = Traffic::to(server.port, "/status/404");
    // It takes connections into its queue and never reads.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", silent.local_addr()?);
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("perfmon.toml");
    let rule = "name = \"any\"\nmetric = \"request.count\"\nabove = 0\nwindow = \"1m\"\nfor = \"1s\"\n";
    let channel = format!("name = \"hook\"\ntype = \"webhook\"\nurl = \"{url}\"\n");
    std::fs::write(&config, format!("[[alerts.rules]]\n{rule}[[alerts.channels]]\n{channel}"))?;
    let mut command = need::as_root("env");
    command.arg(format!("OTEL_EXPORTER_OTLP_ENDPOINT={url}")).arg(perfmon_tests::perfmon::binary());
    let listen = format!("127.0.0.1:{}", free_port()?);
    command.args(["run", "--ui", "none", "--no-store", "--listen", &listen, "--jsonl", "-", "--config"]).arg(&config);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    std::thread::sleep(std::time::Duration::from_secs(8)); // spans are on their way every two seconds, the alert fires
    signal(child.id(), "INT")?;
    let start = perfmon_user::clock::boot_now_ns();
    let status = ended(&mut child, 20)?.context("it did not end at all")?;
    let took_ms = (perfmon_user::clock::boot_now_ns() - start) / 1_000_000;
    assert_eq!(status.code(), Some(0));
    assert!(took_ms < 2_000, "it ended after {took_ms} ms:\n{}", complaints(&mut child)?);
    Ok(())
}

#[test]
fn check_groups_processes_of_the_same_coverage() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let sleeper = || Command::new("sleep").arg("60").spawn();
    let mut sleepers: Vec<Child> = (0..20).map(|_| sleeper()).collect::<std::io::Result<_>>()?;
    let output = |arguments: &[&str]| -> Result<String> {
        let output = perfmon(arguments).output()?;
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (short, long) = (output(&["check"])?, output(&["check", "--all-processes"])?);
    let json: serde_json::Value = serde_json::from_str(&output(&["check", "--json"])?)?;
    for child in &mut sleepers {
        child.kill()?;
        child.wait()?;
    }
    assert!(short.starts_with("perfmon can run on Linux "), "{short}");
    let lines: Vec<&str> = short.lines().map(str::trim).collect();
    let repeated =
        lines.iter().find(|line| line.contains("no shared TLS library") && lines.iter().filter(|other| other == line).count() > 1);
    assert_eq!(repeated, None, "{short}");
    assert_eq!(short.matches("no shared TLS library").count(), 1, "{short}");
    assert!(short.contains("sleep (2") && short.contains("--all-processes"), "{short}");
    let of_sleepers = long.lines().filter(|line| line.contains(" sleep ")).count();
    assert!(of_sleepers >= 20 && long.contains("sock_recv"), "{long}");
    let of_sleepers = json["targets"].as_array().context("no targets")?.iter().filter(|target| target["service"] == "sleep").count();
    assert!(of_sleepers >= 20, "{json:#}");
    Ok(())
}

#[test]
fn wrong_usage_says_what_is_right() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (config, no_history) = (folder.path().join("perfmon.toml"), folder.path().join("README"));
    std::fs::write(&config, "lisen = \"127.0.0.1:1\"\nduration = \"soon\"\n[captur]\ntier = 1\n")?;
    std::fs::write(&no_history, "text")?;
    let (config, no_history) = (config.to_string_lossy(), no_history.to_string_lossy());
    for (arguments, code, parts) in [
        (&["foo"][..], 2, &["\n    check ", "\n    replay "][..]),
        (
            &["config", "check", &config],
            2,
            &[":1: lisen: unknown; did you mean listen?", ":2: duration", ":3: captur: unknown; did you mean capture?"],
        ),
        (&["report", "--db", "/nonexistent/history"], 2, &["/nonexistent/history", "--db"]),
        (&["report", "--db", "/"], 2, &["is a folder"]),
        (&["report", "--db", &no_history], 1, &["not a database"]),
    ] {
        let output = perfmon(arguments).output()?;
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        let places: Vec<_> = parts.iter().map(|part| text.find(part)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{arguments:?}: {places:?} in {text}");
        assert!(!text.contains("docs/"), "{text}");
        assert!(text.matches("not a database").count() < 2, "{text}");
    }
    let help = perfmon(&["alerts", "ack", "--help"]).output()?;
    assert!(!String::from_utf8_lossy(&help.stdout).contains("alerts silence"));
    let manual = perfmon(&["man"]).output()?;
    let manual = String::from_utf8_lossy(&manual.stdout).into_owned();
    for heading in ["FILES", "ENVIRONMENT", "EXIT STATUS"] {
        assert!(manual.contains(&format!(".SH \"{heading}\"")), "{heading}");
    }
    Ok(())
}
