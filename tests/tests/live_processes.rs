//! Who processes are: short ones, ones that become another program, ones that are no target, ones that set traps; and that the thread
//! that captures touches no file for it.
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{Need, as_root, find, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};
use perfmon_tests::wait_until;

const NEEDS: [Need; 4] = [Need::Perfmon, Need::Program("nginx"), Need::Program("curl"), Need::Program("python3")];

/// A folder that everybody may enter.
fn folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(folder)
}

/// curl under another name, which becomes its service.
fn curl_called(folder: &Path, name: &str) -> Result<PathBuf> {
    let link = folder.join(name);
    std::os::unix::fs::symlink(find("curl").context("curl is not installed")?, &link)?;
    Ok(link)
}

fn quiet(mut command: Command) -> std::io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

#[test]
fn sixty_processes_of_some_milliseconds_carry_their_names() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let folder = folder()?;
    let programs = (0..60).map(|number| curl_called(folder.path(), &format!("till-{number:02}"))).collect::<Result<Vec<_>>>()?;
    let perfmon = Perfmon::start(&[])?;
    for some in programs.chunks(6) {
        let started = some.iter().map(|program| {
            let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let mut command = Command::new(program);
            command.args(["-s", "-A", name, &format!("{}/hello", server.url())]).env("OTEL_SERVICE_NAME", name);
            quiet(command)
        });
        for child in started.collect::<std::io::Result<Vec<_>>>()? {
            ensure!({ child }.wait()?.success(), "a curl failed");
        }
    }
    let records = perfmon.wait_for(60, |r| r.sent_to(server.port))?;
    assert_eq!(records.len(), 60);
    for record in &records {
        assert_eq!(Some(&*record.service), record.user_agent.as_deref(), "{record:#?}");
        assert_eq!(record.comm, record.service);
    }
    Ok(())
}

/// Asks once with its own socket, then becomes curl.
const BECOMES_CURL: &str = r#"
import os, socket, sys
port, agent = int(sys.argv[1]), sys.argv[2]
s = socket.create_connection(("127.0.0.1", port))
s.sendall(f"GET /hello HTTP/1.1\r\nHost: x\r\nUser-Agent: before-{agent}\r\nConnection: close\r\n\r\n".encode())
while s.recv(65536): pass
s.close()
os.execvp("curl", ["curl", "-s", "-o", "/dev/null", "-A", f"after-{agent}", f"http://127.0.0.1:{port}/hello"])
"#;

#[test]
fn what_a_process_did_before_an_exec_keeps_its_name() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&[])?;
    for number in 0..20 {
        let mut command = Command::new("python3");
        command.args(["-c", BECOMES_CURL, &server.port.to_string(), &number.to_string()]);
        ensure!(quiet(command)?.wait()?.success(), "the program failed");
    }
    let records = perfmon.wait_for(40, |r| r.sent_to(server.port))?;
    assert_eq!(records.len(), 40);
    for record in &records {
        let agent = record.user_agent.as_deref().unwrap_or_default();
        let expected = if agent.starts_with("before") { "python3" } else { "curl" };
        assert!(record.comm.starts_with(expected), "{record:#?}");
    }
    let pids = |agent: &str| {
        let mut pids: Vec<u32> =
            records.iter().filter(|r| r.user_agent.as_deref().is_some_and(|known| known.starts_with(agent))).map(|r| r.pid).collect();
        pids.sort_unstable();
        pids
    };
    assert_eq!(pids("before"), pids("after"), "the same processes");
    Ok(())
}

#[test]
fn nothing_of_a_process_that_is_no_target_is_told() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&["--exe", "nginx"])?;
    let later = Server::start(server::NGINX)?;
    for _ in 0..40 {
        for port in [server.port, later.port] {
            let mut command = Command::new("curl");
            command.args(["-s", "-A", "stranger", &format!("http://127.0.0.1:{port}/hello")]);
            ensure!(quiet(command)?.wait()?.success(), "a curl failed");
        }
    }
    let records = perfmon.wait_for(80, |r| r.user_agent.as_deref() == Some("stranger"))?;
    let served = |port| records.iter().filter(|record| record.served_by(port)).count();
    assert_eq!((served(server.port), served(later.port)), (40, 40));
    let strangers: Vec<Request> = perfmon.matching(|record| record.comm != "nginx")?;
    assert!(strangers.is_empty(), "{strangers:#?}");
    Ok(())
}

/// Python under node's name, for a script with a trap beside it: perfmon looks for a package.json to name it by.
fn trapped(folder: &Path, name: &str, port: u16) -> Result<Child> {
    let here = folder.join(name);
    std::fs::create_dir(&here)?;
    let node = here.join("node");
    std::fs::copy(std::fs::canonicalize("/usr/bin/python3").context("the system's Python is not installed")?, &node)?;
    let script = here.join("app.js");
    let code = "import sys, time, urllib.request\nwhile True:\n  urllib.request.urlopen(sys.argv[1]).read(); time.sleep(0.2)\n";
    std::fs::write(&script, code)?;
    let mut command = Command::new(node);
    command.arg(script).arg(format!("http://127.0.0.1:{port}/hello"));
    Ok(quiet(command)?)
}

#[test]
fn traps_in_the_files_of_a_process_are_reasons_and_nothing_more() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let folder = folder()?;
    let perfmon = Perfmon::start(&[])?;
    let mut programs = Vec::new();
    let started = ["fifo", "sparse", "loop"].map(|name| trapped(folder.path(), name, server.port));
    // The traps stand before the first request of a program that takes a moment to start.
    let trap = |name: &str| folder.path().join(name).join("package.json");
    let made = Command::new("mkfifo").arg(trap("fifo")).status()?.success();
    std::fs::File::create(trap("sparse"))?.set_len(4 << 30)?;
    std::os::unix::fs::symlink("package.json", trap("loop"))?;
    for program in started {
        programs.push(program?);
    }
    let reasons = || {
        let report = perfmon.api("/api/v1/self")?;
        let refusals = report.pointer("/inspector/refusals").context("no inspector.refusals in /api/v1/self")?.clone();
        let has = |reason: &str| refusals.get(reason).and_then(serde_json::Value::as_u64).is_some_and(|count| count > 0);
        Ok(["irregular", "too_large", "unresolvable"].iter().all(|reason| has(reason)).then_some(()))
    };
    let found = wait_until(10, reasons)?;
    let report = perfmon.api("/api/v1/self")?;
    // A record waits for the description of its process, which may come after the refusals.
    let named = wait_until(10, || {
        let records = perfmon.matching(|record| record.sent_to(server.port))?;
        Ok(records.iter().any(|record| record.service == "app").then_some(()))
    })?;
    let records = perfmon.matching(|record| record.sent_to(server.port))?;
    for mut program in programs {
        program.kill()?;
        program.wait()?;
    }
    assert!(made && found.is_some(), "{:#}", report["inspector"]);
    assert!(named.is_some(), "they are named by their scripts: {records:#?}");
    assert!(perfmon.end("TERM")?.success());
    Ok(())
}

/// The thread of a process that has this name.
fn thread_called(pid: u32, name: &str) -> Result<u32> {
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?;
        if std::fs::read_to_string(task.path().join("comm"))?.trim() == name {
            return task.file_name().to_str().and_then(|id| id.parse().ok()).context("an odd thread id");
        }
    }
    anyhow::bail!("perfmon has no thread {name}")
}

#[test]
fn the_capture_thread_touches_no_file() -> Result<()> {
    let more = [Need::Program("strace"), Need::Program("openssl")];
    if missing(&[&NEEDS[..], &more].concat()) {
        return Ok(());
    }
    let (server, encrypted) = (Server::start(server::NGINX)?, Server::start(server::NGINX_TLS)?);
    for options in [&[][..], &["--exe", "{curl,nginx}"]] {
        let perfmon = Perfmon::start(&[&["--wait"], options].concat())?;
        let thread = thread_called(perfmon.pid(), "capture")?;
        let folder = folder()?;
        let log = folder.path().join("calls");
        let mut strace = as_root("strace");
        // With `-e trace=%file` all calls that take a path; the others read what is open. clock_nanosleep shows that it traced at all.
        strace.args(["-qq", "-e", "trace=%file,openat2,read,pread64,readv,getdents64,fstat,clock_nanosleep", "-o"]).arg(&log);
        let mut tracing = strace.args(["-p", &thread.to_string()]).spawn()?;
        wait_until(5, || Ok(std::fs::metadata(&log).is_ok_and(|meta| meta.len() > 0).then_some(())))?.context("strace sees nothing")?;
        for _ in 0..40 {
            for url in [server.url(), format!("https://127.0.0.1:{}", encrypted.port)] {
                let mut command = Command::new("curl");
                command.args(["-s", "-k", &format!("{url}/hello")]);
                ensure!(quiet(command)?.wait()?.success(), "a curl failed");
            }
        }
        std::thread::sleep(Duration::from_millis(5_500)); // a sweep
        perfmon_tests::process::signal(tracing.id(), "INT")?;
        tracing.wait()?;
        let calls = std::fs::read_to_string(&log)?;
        let (slept, others): (Vec<&str>, Vec<&str>) = calls.lines().partition(|line| line.contains("clock_nanosleep"));
        assert!(slept.len() > 100, "it polls every 5 ms:\n{calls}");
        let calls: Vec<&&str> = others.iter().filter(|line| line.contains('(')).collect();
        assert!(calls.is_empty(), "the capture thread used files: {calls:#?}");
        let records = perfmon.wait_for(80, |record| record.side == "client" && record.comm == "curl")?;
        assert_eq!(records.len(), 80);
        assert!(perfmon.stop().is_ok());
    }
    Ok(())
}
