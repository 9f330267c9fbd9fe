//! What a running perfmon may still do: capabilities, new privileges and system calls of each of its threads and processes, as /proc/PID/status
//! shows them. The program behind `--` has none of these limits, and in another PID namespace perfmon refuses to run.
use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{self, Need, missing};
use perfmon_tests::perfmon::{Perfmon, binary, perfmon};
use perfmon_tests::{free_port, wait_until};

/// Bits of linux/capability.h.
const BPF: u64 = 1 << 39;
const PERFMON: u64 = 1 << 38;
const SYS_ADMIN: u64 = 1 << 21;
const SYS_PTRACE: u64 = 1 << 19;
const SETUID: u64 = 1 << 7;
const SETGID: u64 = 1 << 6;
const DAC_READ_SEARCH: u64 = 1 << 2;
const READS_FILES: u64 = SYS_PTRACE | SETUID | SETGID | DAC_READ_SEARCH;
const LEAST: u64 = BPF | PERFMON | READS_FILES;

/// A status file's limits.
#[derive(Debug, PartialEq, Eq)]
struct Limits {
    permitted: u64,
    effective: u64,
    bounding: u64,
    no_new_privs: u64,
    seccomp: u64,
}

impl Limits {
    fn parse(status: &str) -> Result<Self> {
        let text =
            |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).with_context(|| format!("no {name}"));
        let mask = |name| Ok::<u64, anyhow::Error>(u64::from_str_radix(text(name)?, 16)?);
        Ok(Self {
            permitted: mask("CapPrm:")?,
            effective: mask("CapEff:")?,
            bounding: mask("CapBnd:")?,
            no_new_privs: mask("NoNewPrivs:")?,
            seccomp: mask("Seccomp:")?,
        })
    }

    fn confined_to(capabilities: u64) -> Self {
        Self { permitted: capabilities, effective: capabilities, bounding: capabilities, no_new_privs: 1, seccomp: 2 }
    }
}

/// Name and limits of each thread of a process.
fn threads(pid: u32) -> Result<Vec<(String, Limits)>> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten();
    let of_task = |task: std::fs::DirEntry| {
        let read = |file| std::fs::read_to_string(task.path().join(file)).ok();
        // A thread that ended meanwhile.
        Some(Limits::parse(&read("status")?).map(|limits| (read("comm").unwrap_or_default().trim().to_owned(), limits)))
    };
    tasks.filter_map(of_task).collect()
}

fn children(pid: u32) -> Result<Vec<u32>> {
    let mut found = BTreeSet::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(found.into_iter().collect())
}

fn assert_confined(pid: u32, capabilities: u64) -> Result<()> {
    let threads = threads(pid)?;
    ensure!(threads.len() > 4, "only these threads: {threads:?}");
    for (name, limits) in threads {
        assert_eq!(limits, Limits::confined_to(capabilities), "thread {name}");
    }
    Ok(())
}

#[test]
fn every_thread_keeps_only_what_is_listed() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    assert_confined(perfmon.pid(), LEAST | SYS_ADMIN)?;
    let hardening = perfmon.api("/api/v1/self")?["hardening"].clone();
    let count = hardening["capabilities"].as_array().map(Vec::len);
    assert_eq!(count, Some((LEAST | SYS_ADMIN).count_ones() as usize), "{hardening}");
    assert_eq!(["no_new_privs", "dumpable", "seccomp"].map(|name| hardening[name].as_bool()), [Some(true), Some(false), Some(true)]);
    let active = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    let landlock = hardening["landlock"].as_str().unwrap_or_default().to_owned();
    // Without securityfs the kernel alone knows; it must be said then too.
    assert!(landlock.starts_with("on (") || (landlock.starts_with("off: ") && !active.contains("landlock")), "{landlock}");
    let checked = perfmon_tests::perfmon::perfmon(&["check", "--json"]).output()?;
    let checked: serde_json::Value = serde_json::from_slice(&checked.stdout)?;
    assert_eq!(checked["hardening"], hardening, "what check says is what a run gives up");
    let reader = wait_until(10, || Ok(children(perfmon.pid())?.first().copied()))?.context("no process reads files")?;
    for (name, limits) in threads(reader)? {
        assert_eq!(limits, Limits::confined_to(READS_FILES), "{name} of the process that reads files");
    }
    perfmon.stop()?;

    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__TLS", "false")], &["--no-store"])?;
    assert_confined(perfmon.pid(), LEAST)?;
    perfmon.stop()?;

    let perfmon = Perfmon::start_in(&[("PERFMON_PRIVILEGES__HARDENING", "false")], &["--no-store"])?;
    assert!(threads(perfmon.pid())?.iter().all(|(_, limits)| limits.seccomp == 0), "the switch is off");
    assert!(perfmon.log().contains("privileges.hardening is off"), "{}", perfmon.log());
    perfmon.stop().map(drop)
}

#[test]
fn the_program_behind_the_dashes_has_no_limits() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let own = Limits::parse(&std::fs::read_to_string("/proc/self/status")?)?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let script = "sleep 1; cat /proc/self/status";
    let output = perfmon(&["run", "--ui", "none", "--no-store", "--listen", &listen, "--", "sh", "-c", script]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let its = Limits::parse(&text).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    assert_eq!((its.no_new_privs, its.seccomp, its.bounding), (own.no_new_privs, own.seccomp, own.bounding), "{text}");
    Ok(())
}

#[test]
fn another_pid_namespace_is_refused_with_the_mend() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("unshare")]) {
        return Ok(());
    }
    let listen = format!("127.0.0.1:{}", free_port()?);
    let inside = |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let mut command: Command = need::as_root("timeout");
        command.args(["20", "unshare", "--pid", "--fork", "--mount-proc"]).arg(binary()).args(arguments);
        let output = command.output()?;
        Ok((output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))))
    };
    for arguments in [&["run", "--duration", "3s", "--ui", "none", "--no-store", "--listen", &listen][..], &["check"]] {
        let (code, said) = inside(arguments)?;
        assert!(code == Some(3) && said.contains("--pid=host"), "{arguments:?} ended with {code:?}:\n{said}");
    }
    Ok(())
}
