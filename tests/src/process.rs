//! A program under test or observation: its output goes to a file; dropping the value ends the program by its process id.
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{need, wait_until};

/// A running program.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a command with its output going into `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end, at most for `seconds`.
    pub fn wait(&mut self, seconds: u64) -> Result<Option<ExitStatus>> {
        wait_until(seconds, || self.ended())
    }

    /// Waits until a TCP port of 127.0.0.1 accepts connections.
    pub fn listens(&mut self, port: u16) -> Result<()> {
        let up = wait_until(20, || {
            anyhow::ensure!(self.ended()?.is_none(), "the server ended:\n{}", self.log());
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok())
        })?;
        up.map(drop).with_context(|| format!("nothing listens on port {port}:\n{}", self.log()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for name in ["TERM", "KILL"] {
            if !matches!(self.child.try_wait(), Ok(None)) || signal(self.pid(), name).is_err() {
                return;
            }
            if matches!(self.wait(5), Ok(Some(_))) {
                return;
            }
        }
    }
}

/// Resource usage from /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all its threads, user and system (ticks of 10 ms).
    pub cpu_ms: u64,
    /// Resident memory.
    pub rss_bytes: u64,
}

impl Usage {
    /// Of this process now.
    pub fn of(pid: u32) -> Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
        let (_, rest) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).context("/proc/PID/stat is short")?.parse::<u64>().context("no ticks");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.split_whitespace().next());
        Ok(Self { cpu_ms: (ticks(11)? + ticks(12)?) * 10, rss_bytes: rss.context("no VmRSS in /proc/PID/status")?.parse::<u64>()? * 1_024 })
    }
}

/// Runs a command to its end without input; what it printed. An error when it failed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sends a signal (`INT`, `KILL`, …) to a process, as root if needed.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let own = std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| {
        std::os::unix::fs::MetadataExt::uid(&process) != 0 // a process of ours: no need for root
    });
    let mut command = if own { Command::new("kill") } else { need::as_root("kill") };
    let status = command.arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status()?;
    anyhow::ensure!(status.success(), "cannot send SIG{name} to process {pid}");
    Ok(())
}
