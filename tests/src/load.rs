//! Load that runs beside a test and counts its own requests: programs that make TLS requests until they are ended, and what they say then.
//! None of them may die or fail because perfmon comes and goes.
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;

use crate::process::signal;
use crate::{need, wait_until, workspace};

/// Requests that a load made, and those that failed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct LoadCount {
    /// With the right answer.
    pub done: u64,
    /// Without.
    pub failed: u64,
}

/// A program that makes requests until SIGTERM and prints a [`LoadCount`] then.
pub struct LoadProgram {
    name: &'static str,
    child: Option<Child>,
}

impl LoadProgram {
    /// Starts it.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Ok(Self { name, child: Some(child.with_context(|| format!("cannot start {name}"))?) })
    }

    /// A Python client of `library` (`requests`, `gevent`) that asks a TLS server.
    pub fn python(library: &'static str, port: u16, certificate: &Path, pause_ms: u32) -> Result<Self> {
        let mut command = Command::new(need::python());
        command.arg(workspace().join("tests/clients/tls_load.py")).args([library, &port.to_string()]).arg(certificate);
        Self::start(library, command.arg(pause_ms.to_string()))
    }

    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Fails when it has ended.
    pub fn assert_alive(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        if child.try_wait()?.is_some() {
            let output = self.child.take().context("no child")?.wait_with_output()?;
            return Err(anyhow!("{} died: {}: {}", self.name, output.status, String::from_utf8_lossy(&output.stderr)));
        }
        Ok(())
    }

    /// Ends it and gives what it counted.
    pub fn end(mut self) -> Result<LoadCount> {
        self.assert_alive()?;
        let child = self.child.take().context("no child")?;
        signal(child.id(), "TERM")?;
        let output = child.wait_with_output()?;
        let said = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
        ensure!(output.status.success(), "{} ended with {}: {said:?}", self.name, output.status);
        serde_json::from_str(said.0.trim()).with_context(|| format!("{} printed {said:?}", self.name))
    }
}

impl Drop for LoadProgram {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok(); // fails when it has ended
            child.wait().ok();
        }
    }
}

/// Short processes one after another, each with requests of its own, until it is dropped or ended.
pub struct ShortProcesses {
    ending: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: Option<JoinHandle<LoadCount>>,
}

impl ShortProcesses {
    /// Starts `curl` of two URLs again and again.
    pub fn curl(url: &str, certificate: Option<&Path>) -> Self {
        let mut arguments: Vec<String> =
            ["--silent", "--fail", "--http1.1", "--output", "/dev/null", "--output", "/dev/null"].map(Into::into).into();
        if let Some(certificate) = certificate {
            arguments.extend(["--cacert".to_owned(), certificate.display().to_string()]);
        }
        arguments.extend([format!("{url}/hello"), format!("{url}/bytes/1000")]);
        let (ending, done): (Arc<AtomicBool>, Arc<AtomicU64>) = Default::default();
        let (end, count_done) = (ending.clone(), done.clone());
        let thread = std::thread::spawn(move || {
            let mut count = LoadCount::default();
            while !end.load(Ordering::Relaxed) {
                let good = Command::new("curl").args(&arguments).status().is_ok_and(|status| status.success());
                if good {
                    count.done += 2;
                    count_done.store(count.done, Ordering::Relaxed);
                } else {
                    count.failed += 1;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            count
        });
        Self { ending, done, thread: Some(thread) }
    }

    /// Waits until it made some requests.
    pub fn warm(&self) -> Result<()> {
        wait_until(20, || Ok((self.done.load(Ordering::Relaxed) > 0).then_some(())))?.context("curl never got an answer")
    }

    /// Ends it and gives what it counted.
    pub fn end(mut self) -> Result<LoadCount> {
        self.ending.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("no thread")?;
        thread.join().map_err(|_| anyhow!("the thread of short processes panicked"))
    }
}

impl Drop for ShortProcesses {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok(); // a panic there is in the output already
        }
    }
}
