//! A perfmon with a history on disk that can be killed and restarted at its address, like after a short power failure.
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::perfmon::{binary, own_pid, wait_until_ready};
use crate::process::{Running, signal};
use crate::{free_port, need};

/// A running `perfmon run` with a store.
pub struct Kept {
    port: u16,
    options: Vec<String>,
    folder: TempDir,
    running: Running,
}

impl Kept {
    /// Starts it with more options and a configuration, and waits until it is ready.
    pub fn start(options: &[String], config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        std::fs::write(folder.path().join("perfmon.toml"), config)?;
        let running = launch(folder.path(), port, options)?;
        Ok(Self { port, options: options.to_vec(), folder, running })
    }

    /// Where its API and page are.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it printed since its last start.
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Kills it with SIGKILL, waits, and starts it again on the same store.
    pub fn restart(&mut self, away: Duration) -> Result<()> {
        signal(own_pid(&self.running)?, "KILL")?;
        self.running.wait(10)?.context("perfmon did not end on SIGKILL")?;
        std::thread::sleep(away);
        self.running = launch(self.folder.path(), self.port, &self.options)?;
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("perfmon said:\n{}", self.running.log());
        }
    }
}

fn launch(folder: &Path, port: u16, options: &[String]) -> Result<Running> {
    let mut command = need::as_root(binary());
    command.args(["run", "--ui", "none", "--listen", &format!("127.0.0.1:{port}"), "--config"]).arg(folder.join("perfmon.toml"));
    command.arg("--db").arg(folder.join("perfmon.db")).args(options);
    let mut running = Running::start(&mut command, &folder.join("perfmon.log"))?;
    wait_until_ready(&mut running, port)?;
    Ok(running)
}
