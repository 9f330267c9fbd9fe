//! Threads of another process, stopped or ended from outside (`ptrace.py`), as root. Dropping the value lets a stopped one go on.
use std::io::Read as _;
use std::path::PathBuf;
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
        let thread = wait_until(5, || Ok(threads(pid, comm)?.first().copied()))?;
        Self::thread(what, thread.with_context(|| format!("process {pid} has no thread {comm}"))?)
    }

    /// Stops all threads of this name.
    pub fn stop_all(pid: u32, comm: &str) -> Result<Vec<Self>> {
        threads(pid, comm)?.into_iter().map(|thread| Self::thread("stop", thread)).collect()
    }

    fn thread(what: &str, thread: u32) -> Result<Self> {
        let mut command: Command = need::as_root("python3");
        command.arg(workspace().join("tests/src/ptrace.py")).args([what, &thread.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = [0; 5];
        child.stdout.as_mut().context("no output")?.read_exact(&mut said).with_context(|| format!("thread {thread} is not traced"))?;
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

/// Ids of the threads of a process that have this name now.
pub fn threads(pid: u32, comm: &str) -> Result<Vec<u32>> {
    let is_meant = |task: &PathBuf| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == comm);
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten().map(|task| task.path()).filter(is_meant);
    Ok(tasks.filter_map(|task| task.file_name()?.to_str()?.parse().ok()).collect())
}
