//! Start and end: nothing remains however perfmon ends, and impossible or wrong requests are reported with the documented exit code (2
//! wrong usage, 3 not possible for this user) before any probe is loaded.
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use perfmon_tests::need::{self, Need, missing};
use perfmon_tests::perfmon::{Perfmon, binary, binary_for_everybody, kernel_programs, perfmon, programs_of_the_host};
use perfmon_tests::server::{self, Server};
use perfmon_tests::terminal::Terminal;
use perfmon_tests::wire::{Wire, get};
use perfmon_tests::{free_port, wait_until};
use perfmon_user::clock::boot_now_ns;

/// Ends perfmon by a signal; its kernel programs must be gone.
fn nothing_stays_after(signal: &str) -> Result<Option<i32>> {
    let perfmon = Perfmon::start(&[])?;
    let port = perfmon.port();
    let own = kernel_programs(perfmon.pid())?;
    assert!(!own.is_empty(), "perfmon holds no kernel program");
    let status = perfmon.end(signal)?;
    let gone = wait_until(5, || {
        let left = programs_of_the_host()?;
        Ok((!own.iter().any(|id| left.contains(id))).then_some(()))
    })?;
    assert!(gone.is_some(), "kernel programs are left after SIG{signal}: some of {own:?}");
    assert!(get(port, "/healthz").is_err(), "something still listens");
    Ok(status.code())
}

const NEEDS: [Need; 2] = [Need::Perfmon, Need::Program("bpftool")];

#[test]
fn ctrl_c_and_sigterm_end_it_in_order() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    assert_eq!(nothing_stays_after("INT")?, Some(0));
    assert_eq!(nothing_stays_after("TERM")?, Some(0));
    Ok(())
}

#[test]
fn sigkill_leaves_nothing_in_the_kernel() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    nothing_stays_after("KILL").map(drop)
}

#[test]
fn the_first_request_is_seen_soon_after_the_start() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let start = boot_now_ns();
    let perfmon = Perfmon::start(&[])?;
    let ready = boot_now_ns();
    Wire::connect("127.0.0.1", server.port)?.call("GET", "/hello", "first", b"")?;
    let seen = wait_until(10, || Ok(perfmon.requests()?.iter().any(|r| r.served_by(server.port)).then(boot_now_ns)))?;
    let seen = seen.context("the first request was not seen")?;
    let ms = |from: u64, to: u64| (to - from) / 1_000_000;
    println!("start to ready {} ms, request to record {} ms", ms(start, ready), ms(ready, seen));
    assert!(ms(start, seen) < 10_000, "start to first record took {} ms", ms(start, seen));
    Ok(())
}

#[test]
fn a_duration_ends_it_by_itself() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let listen = format!("127.0.0.1:{}", free_port()?);
    let output = perfmon(&["run", "--ui", "none", "--no-store", "--listen", &listen, "--duration", "2s"]).output()?;
    assert_code(&output, 0, &[]);
    Ok(())
}

#[test]
fn a_command_is_watched_and_its_status_is_passed_on() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx"), Need::Program("curl")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let script = format!("curl --silent --output /dev/null {}/hello; exit 7", server.url());
    let options = ["run", "--ui", "none", "--no-store", "--listen", &listen, "--jsonl", "-", "--", "sh", "-c", &script];
    let output = perfmon(&options).output()?;
    assert_code(&output, 7, &[]);
    let records = perfmon_tests::record::requests(&String::from_utf8_lossy(&output.stdout))?;
    assert_eq!(records.iter().filter(|record| record.sent_to(server.port) && record.comm == "curl").count(), 1, "{records:#?}");
    Ok(())
}

#[test]
fn assertions_judge_a_run_and_tell_servers() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx"), Need::Program("curl")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let folder = tempfile::tempdir()?;
    let junit = folder.path().join("results.xml").display().to_string();
    let run = |assertions: &[&str]| -> Result<Output> {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let script = format!("for i in 1 2 3; do curl --silent --output /dev/null {}/hello; done", server.url());
        let mut options = vec!["run", "--ui", "none", "--no-store", "--listen", &listen, "--junit", &junit];
        options.extend(assertions.iter().flat_map(|assertion| ["--assert", assertion]));
        options.extend(["--", "sh", "-c", &script]);
        Ok(perfmon(&options).output()?)
    };
    // The clients are the targets: nginx is none of their children.
    let destination = format!("destination \"127.0.0.1:{}\" count >= 3", server.port);
    let held = run(&[&destination, "destination \"*\" p95 < 5s"])?;
    assert_code(&held, 0, &[]);
    let table = String::from_utf8_lossy(&held.stdout).into_owned();
    assert!(table.contains("2 assertions, 0 do not hold"), "{table}");
    assert!(std::fs::read_to_string(&junit)?.contains("tests=\"2\" failures=\"0\""));
    let failed = run(&[&destination, "destination \"*\" max < 0.000001ms", "model \"none\" count > 0"])?;
    assert_code(&failed, 4, &[]);
    let page = std::fs::read_to_string(&junit)?;
    assert!(page.contains("tests=\"3\" failures=\"2\"") && page.matches("<failure").count() == 2, "{page}");
    Ok(())
}

#[test]
fn wrong_usage_is_exit_2_with_every_problem() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    assert_code(&perfmon(&["run", "--no-such-option"]).output()?, 2, &["--no-such-option"]);
    let several = ["run", "--ui", "none", "--listen", "nonsense", "--duration", "soon", "--capture-tier", "9"];
    assert_code(&perfmon(&several).output()?, 2, &["nonsense", "soon", "capture-tier"]);
    assert_code(&perfmon(&["run", "--ui", "none", "--no-store", "--pid", "999999999"]).output()?, 2, &["999999999", "--wait"]);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("perfmon.toml");
    std::fs::write(&file, "listen = 5\nlitsen = \"x\"\n[capture]\nring_mib = \"big\"\n")?;
    let file = file.to_string_lossy().into_owned();
    assert_code(&perfmon(&["run", "--config", &file]).output()?, 2, &["listen", "litsen", "ring_mib"]);
    Ok(())
}

#[test]
fn a_port_in_use_is_exit_2() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let listen = taken.local_addr()?.to_string();
    let output = perfmon(&["run", "--ui", "none", "--no-store", "--listen", &listen]).output()?;
    assert_code(&output, 2, &[&listen, "--listen"]);
    Ok(())
}

#[test]
fn without_privileges_it_is_exit_3_with_what_is_missing() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let (_folder, copy) = binary_for_everybody()?;
    let mut command = Command::new(copy);
    command.args(["run", "--ui", "none", "--no-store", "--listen", &format!("127.0.0.1:{}", free_port()?)]).current_dir("/");
    if need::is_root() {
        command.uid(65_534).gid(65_534);
    }
    assert_code(&command.output()?, 3, &["CAP_BPF", "root"]);
    Ok(())
}

/// The exit code, and that standard error names all of `words`.
fn assert_code(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not named:\n{said}");
    }
}

#[test]
fn sighup_reads_the_configuration_again_and_a_wrong_one_changes_nothing() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("perfmon.toml");
    let above = |percent: u32| {
        let rule = "[[alerts.rules]]\nname = \"any memory\"\nmetric = \"system.memory_percent\"\nfor = \"0s\"\nabove = ";
        std::fs::write(&file, format!("{rule}{percent}\n"))
    };
    above(99)?;
    let perfmon = Perfmon::start(&["--config", &file.to_string_lossy()])?;
    let says = |words: &'static str| wait_until(10, || Ok(perfmon.log().contains(words).then_some(())));
    std::fs::write(&file, "listen = 5\n")?;
    perfmon.signal("HUP")?;
    assert!(says("ERROR The configuration was not read again")?.is_some(), "{}", perfmon.log());
    above(0)?;
    perfmon.signal("HUP")?;
    assert!(says("The configuration was read again. changed=\"alerts.rules\"")?.is_some(), "{}", perfmon.log());
    let fires = || Ok(perfmon.api("/api/v1/alerts")?.to_string().contains("any memory").then_some(()));
    assert!(wait_until(20, fires)?.is_some(), "the new rule is not judged:\n{}", perfmon.log());
    assert_eq!(perfmon.end("INT")?.code(), Some(0));
    Ok(())
}

#[test]
fn a_lost_terminal_ends_it_in_order() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("tmux")]) {
        return Ok(());
    }
    for ui in ["table", "none"] {
        let folder = tempfile::tempdir()?;
        let (log, listen) = (folder.path().join("log"), format!("127.0.0.1:{}", free_port()?));
        let as_root = if need::is_root() { "" } else { "sudo --non-interactive " };
        let start = format!(
            "exec {as_root}env --default-signal=HUP {} run --ui {ui} --no-store --listen {listen} 2>{}",
            binary().display(),
            log.display()
        );
        let terminal = Terminal::start(100, 30, &["sh", "-c", &start])?;
        let port = listen.rsplit(':').next().context("no port")?.parse()?;
        let ready = wait_until(15, || Ok(get(port, "/readyz").is_ok_and(|answer| answer.status == 200).then_some(())))?;
        assert!(ready.is_some(), "perfmon did not start");
        drop(terminal);
        let ended = wait_until(10, || Ok(std::fs::read_to_string(&log)?.contains("perfmon has ended.").then_some(())))?;
        assert!(ended.is_some(), "--ui {ui}: {}", std::fs::read_to_string(&log)?);
        assert!(get(port, "/healthz").is_err(), "--ui {ui}: something still listens");
    }
    Ok(())
}
