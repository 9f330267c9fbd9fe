//! What is not seen is said, with the reason and before there is an exchange: protocols that are recognised and not read, programs of another
//! kind, names that a process overwrote, processes that perfmon may not look into. None of it becomes a record or an error.
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{Need, as_root, missing};
use perfmon_tests::perfmon::{Perfmon, binary, perfmon};
use perfmon_tests::process::Running;
use perfmon_tests::programs::{URING, built};
use perfmon_tests::server::{self, Server};
use perfmon_tests::{free_port, wait_until};
use serde_json::Value;

/// The parts of a process that perfmon says are not seen, once there are any: of a target in `/api/v1/self`.
fn said_of(perfmon: &Perfmon, pid: u32) -> Result<Option<Value>> {
    wait_until(10, || {
        let own = perfmon.api("/api/v1/self")?;
        let is_it = |target: &&Value| target["pid"] == pid && target["not_seen"].as_array().is_some_and(|spots| !spots.is_empty());
        Ok(own["targets"].as_array().into_iter().flatten().find(is_it).cloned())
    })
}

fn has_part(target: &Value, part: &str) -> bool {
    target["not_seen"].as_array().into_iter().flatten().any(|spot| spot["part"] == part)
}

/// perfmon, without arguments.
fn binary_command() -> Command {
    as_root(binary())
}

/// What `perfmon check` says of a process, as JSON and as text.
fn checked(command: &mut Command, pid: u32) -> Result<(Value, String)> {
    let output = command.args(["check", "--pid", &pid.to_string()]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let output = command.arg("--json").output()?;
    let json: Value = serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let target = json["targets"].as_array().into_iter().flatten().find(|target| target["pid"] == pid).cloned();
    Ok((target.with_context(|| format!("process {pid} is not listed in {json:#}"))?, text))
}

#[test]
fn http2_is_said_to_be_unread() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx"), Need::Program("curl")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX_H2)?;
    let perfmon = Perfmon::start(&[])?;
    let curl = |version: &str, url: &str| -> Result<String> {
        let answer =
            Command::new("curl").args(["--silent", "--write-out", "%{http_version}", "--output", "/dev/null", version, url]).output()?;
        ensure!(answer.status.success(), "curl failed");
        Ok(String::from_utf8(answer.stdout)?)
    };
    assert_eq!(curl("--http2-prior-knowledge", &format!("{}/hello", server.url()))?, "2", "the connection speaks HTTP/2");
    // The same processes go on to be read where they speak HTTP/1.
    let plain = Server::start(server::NGINX)?;
    assert_eq!(curl("--http1.1", &format!("{}/hello", plain.url()))?, "1.1");
    perfmon.wait_for(2, |r| r.served_by(plain.port) || r.sent_to(plain.port))?;

    assert!(perfmon.matching(|r| r.served_by(server.port) || r.sent_to(server.port))?.is_empty(), "an exchange of what is not read");
    let speaks = |target: &Value| target["unread"].as_array().is_some_and(|protocols| protocols.contains(&"h2".into()));
    // What is known of targets is published once a second.
    let own = wait_until(5, || {
        let own = perfmon.api("/api/v1/self")?;
        let is_said = own["targets"].as_array().into_iter().flatten().any(|target| target["service"] == "nginx" && speaks(target));
        Ok(is_said.then_some(own))
    })?;
    let own = own.context("nginx is not said to speak h2")?;
    assert_eq!(own["counters"]["connections_unread"], 2, "both ends of one connection");
    Ok(())
}

#[test]
fn check_says_what_is_read() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let told: Value = serde_json::from_slice(&perfmon(&["check", "--json"]).output()?.stdout)?;
    let names = |list: &str| -> Vec<String> { serde_json::from_value(told["protocols"][list].clone()).unwrap_or_default() };
    for name in ["http/1.0", "http/1.1", "websocket"] {
        assert!(names("read").contains(&name.to_owned()), "{told:#}");
    }
    assert_eq!(names("unread"), ["h2", "memcached-binary"]);
    let words = String::from_utf8(perfmon(&["check"]).output()?.stdout)?;
    assert!(words.lines().any(|line| line.trim() == "recognised and not read yet: h2, memcached-binary"), "{words}");
    Ok(())
}

#[test]
fn a_program_of_32_bits_is_said_not_to_be_read() -> Result<()> {
    // Another kind of CPU has other system calls.
    if cfg!(not(target_arch = "x86_64")) || missing(&[Need::Perfmon, Need::Program("gcc"), Need::Program("curl")]) {
        return Ok(());
    }
    let (port, folder) = (free_port()?, tempfile::tempdir()?);
    let mut command = Command::new(built("compat32_http.c")?);
    let mut server = Running::start(command.arg(port.to_string()), &folder.path().join("server.log"))?;
    server.listens(port)?;
    let perfmon = Perfmon::start(&[])?;
    for _ in 0..3 {
        let answer = Command::new("curl").args(["--silent", &format!("http://127.0.0.1:{port}/")]).output()?;
        assert_eq!(answer.stdout, b"abc");
    }
    let target = said_of(&perfmon, server.pid())?.context("nothing is said of a 32-bit program")?;
    assert!(has_part(&target, "requests") && target["exchanges"] == 0, "{target:#}");
    // Its clients are seen as ever.
    assert_eq!(perfmon.wait_for(3, |r| r.sent_to(port))?.iter().filter(|r| r.error.is_none() && r.status_code == Some(200)).count(), 3);
    assert!(perfmon.matching(|r| r.served_by(port))?.is_empty(), "an exchange of what is not read");
    let (target, text) = checked(&mut binary_command(), server.pid())?;
    assert!(has_part(&target, "requests") && text.contains("it is a 32-bit program"), "{target:#}\n{text}");
    Ok(())
}

#[test]
fn an_environment_that_a_title_took_is_said_not_to_be_known() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx"), Need::Program("curl")]) {
        return Ok(());
    }
    let before = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&["--exe", "nginx"])?;
    let target = said_of(&perfmon, before.pid())?.context("nothing is said of nginx")?;
    assert!(has_part(&target, "service_name") && target["exchanges"] == 0, "{target:#}");
    // What perfmon saw being executed had its environment then.
    let after = Server::start(server::NGINX)?;
    ensure!(Command::new("curl").args(["--silent", "--output", "/dev/null", &format!("{}/hello", after.url())]).status()?.success());
    let records = perfmon.wait_for(1, |r| r.served_by(after.port))?;
    let worker = records.first().context("the request is not seen")?.pid;
    let seen = wait_until(5, || {
        let own = perfmon.api("/api/v1/self")?;
        Ok(own["targets"].as_array().into_iter().flatten().find(|target| target["pid"] == worker).cloned())
    })?;
    let seen = seen.context("its worker is no target")?;
    assert!(!has_part(&seen, "service_name"), "{seen:#}");
    let (target, text) = checked(&mut binary_command(), before.pid())?;
    assert!(has_part(&target, "service_name") && text.contains("overwrote its environment"), "{target:#}\n{text}");
    Ok(())
}

#[test]
fn io_uring_without_its_hook_is_said_not_to_be_read() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("gcc"), Need::Program("curl"), URING]) {
        return Ok(());
    }
    let (port, folder) = (free_port()?, tempfile::tempdir()?);
    let mut command = Command::new(built("uring_http.c")?);
    let mut server = Running::start(command.args(["server", &port.to_string(), "send"]), &folder.path().join("server.log"))?;
    server.listens(port)?;
    let tier = |tier| Perfmon::start(&["--pid", &server.pid().to_string(), "--capture-tier", tier]);
    let perfmon = tier("3")?;
    let target = said_of(&perfmon, server.pid())?.context("nothing is said of io_uring in tier 3")?;
    assert!(has_part(&target, "io_uring"), "{target:#}");
    perfmon.stop()?;
    let perfmon = tier("auto")?;
    let own = perfmon.api("/api/v1/self")?;
    let is_hook = |probe: &Value| probe["name"] == "uring_submit" && probe["state"] == "attached";
    if own["probes"].as_array().into_iter().flatten().any(is_hook) {
        ensure!(
            Command::new("curl").args(["--silent", "--output", "/dev/null", &format!("http://127.0.0.1:{port}/5")]).status()?.success()
        );
        assert_eq!(perfmon.wait_for(1, |r| r.served_by(port))?.len(), 1);
        let own = perfmon.api("/api/v1/self")?;
        assert!(!own["targets"].as_array().into_iter().flatten().any(|target| has_part(target, "io_uring")), "{own:#}");
    }
    Ok(())
}

#[test]
fn a_process_that_perfmon_may_not_look_into_is_said_to_be_unknown() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("setpriv")]) {
        return Ok(());
    }
    // Of another user, as in a container that perfmon has no rights in.
    let mut sleeper = Sleeper::start()?;
    let mut command = as_root("setpriv");
    command.args(["--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]).arg(binary());
    let (target, text) = checked(&mut command, sleeper.0.id())?;
    assert!(has_part(&target, "process") && text.contains("perfmon may not look into it"), "{target:#}\n{text}");
    assert!(sleeper.0.try_wait()?.is_none());
    Ok(())
}

/// A process of the user nobody; killed when dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Result<Self> {
        let mut command = as_root("setpriv");
        let child = command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sleep", "60"]).stdin(Stdio::null()).spawn()?;
        // It is another user's once it has executed sleep.
        let is_sleep =
            || Ok(std::fs::read_to_string(format!("/proc/{}/comm", child.id())).is_ok_and(|comm| comm.trim() == "sleep").then_some(()));
        let sleeps = wait_until(5, is_sleep)?;
        let sleeper = Self(child);
        sleeps.context("sleep does not run")?;
        Ok(sleeper)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn tls_that_is_linked_into_a_program_is_said_not_to_be_read() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("node"), Need::Program("nginx"), Need::Program("openssl")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX_TLS)?;
    let perfmon = Perfmon::start(&[])?;
    let folder = tempfile::tempdir()?;
    let ask = format!(
        "const https = require('https'); setInterval(() => https.get({{port: {}, path: '/hello', rejectUnauthorized: false}}, a => a.resume()), 200)",
        server.port
    );
    let node = Running::start(Command::new("node").args(["-e", &ask]), &folder.path().join("node.log"))?;
    let said = wait_until(10, || {
        let own = perfmon.api("/api/v1/self")?;
        let is_it = |target: &&Value| target["pid"] == node.pid() && target["tls"].as_str().is_some_and(|tls| tls.contains("no plaintext"));
        Ok(own["targets"].as_array().into_iter().flatten().find(is_it).cloned())
    })?;
    let target = said.with_context(|| format!("nothing is said of node's own TLS:\n{}", node.log()))?;
    assert!(target["exchanges"] == 0, "{target:#}");
    Ok(())
}
