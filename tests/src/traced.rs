//! Threads of another process, stopped or ended from outside (`ptrace.py`), as root. Dropping the value lets a stopped one go on.
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::{need, wait_until, workspace};

/// Holds a thread, or has ended one.
#[derive(Debug)]
pub struct Traced(Child);

impl Traced {
    /// Stops (`stop`) or ends (`exit`) the first thread of this name.
    pub fn first(what: &str, pid: u32, comm: &str) -> Result<Self> {
        // A thread has its name a little after its start.
        let task = wait_until(5, || Ok(tasks(pid, comm)?.into_iter().next()))?;
        Self::task(what, &task.with_context(|| format!("process {pid} has no thread {comm}"))?)
    }

    /// Stops all threads of this name.
    pub fn stop_all(pid: u32, comm: &str) -> Result<Vec<Self>> {
        tasks(pid, comm)?.iter().map(|task| Self::task("stop", task)).collect()
    }

    fn task(what: &str, task: &Path) -> Result<Self> {
        let mut command: Command = need::as_root("python3");
        command.arg(workspace().join("tests/src/ptrace.py")).arg(what).arg(task.file_name().context("no thread id")?);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = [0; 5];
        child.stdout.as_mut().context("no output")?.read_exact(&mut said).with_context(|| format!("{} is not traced", task.display()))?;
        Ok(Self(child))
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // Its standard input ends.
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

/// Threads of a process that have this name now.
fn tasks(pid: u32, comm: &str) -> Result<Vec<PathBuf>> {
    let is_meant = |task: &PathBuf| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == comm);
    Ok(std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten().map(|task| task.path()).filter(is_meant).collect())
}
