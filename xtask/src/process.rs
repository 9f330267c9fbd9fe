//! A program that a task started: in a process group of its own, so that Ctrl-C reaches it only through the task, its output in a file,
//! ended by its process id.
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::clock::Stopwatch;
use crate::shell::{self, as_root, command};

/// How long an end may take.
const GRACE: Duration = Duration::from_secs(8);

/// A running program; ended when dropped.
pub struct Program {
    name: &'static str,
    child: Child,
    /// Through sudo: the program is its child.
    by_sudo: bool,
    log: PathBuf,
}

impl Program {
    /// Starts it with its output going into a file of `folder`.
    pub fn start(name: &'static str, run: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{}.log", name.replace(' ', "-")));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let by_sudo = run.get_program() == "sudo";
        if by_sudo {
            // Asks for the password while the terminal is free.
            shell::execute(command("sudo").arg("--validate"))?;
        }
        run.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = run.spawn().with_context(|| format!("cannot start {}", shell::line(run)))?;
        Ok(Self { name, child, by_sudo, log })
    }

    /// Its process id, or sudo's.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails, with what it printed, when it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the {} ended with {status}:\n{}", self.name, self.log()),
        }
    }

    /// Ends it; fails when it does not end, or had ended with an error.
    pub fn end(mut self) -> Result<()> {
        self.check()?;
        self.signal("TERM")?;
        let watch = Stopwatch::start();
        while self.child.try_wait()?.is_none() {
            if watch.elapsed() > GRACE {
                self.signal("KILL")?;
                self.child.wait()?;
                bail!("the {} did not end within {} s and was killed", self.name, GRACE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let own = self.child.id();
        if !self.by_sudo {
            return shell::execute(command("kill").args([&format!("-{signal}"), &own.to_string()]));
        }
        let Some(child) = shell::behind_sudo(own)? else { return Ok(()) };
        shell::execute(as_root("kill").args([&format!("-{signal}"), &child.to_string()]))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _best_effort = self.signal("KILL");
            let _status_is_of_no_use = self.child.wait();
        }
    }
}
