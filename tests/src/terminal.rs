//! A program on a terminal (tmux, on a server of its own): keys in, the lines on the screen out. Ended when dropped.
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

use crate::wait_until;

/// Terminals of this process so far.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A terminal with one program on it.
pub struct Terminal {
    socket: String,
}

impl Terminal {
    /// Starts a program on a terminal of `width` by `height` characters that shows UTF-8.
    pub fn start(width: u16, height: u16, program: &[&str]) -> Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { socket: format!("perfmon-tests-{}-{number}", std::process::id()) };
        let (width, height) = (width.to_string(), height.to_string());
        terminal.tmux(&[&["-u", "-f", "/dev/null", "new-session", "-d", "-x", &width, "-y", &height], program].concat())?;
        // The status line took the lowest line of the window.
        terminal.tmux(&["set", "-g", "status", "off"])?;
        terminal.resize(&width, &height)?;
        Ok(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("tmux");
        command.env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR").env_remove("TMUX").args(["-L", &self.socket]).args(arguments);
        let output = command.output().context("cannot start tmux")?;
        ensure!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Changes its size.
    pub fn resize(&self, width: &str, height: &str) -> Result<()> {
        self.tmux(&["resize-window", "-x", width, "-y", height]).map(drop)
    }

    /// Presses keys, named as tmux does: `q`, `Tab`, `Enter`, `Escape`, `Down`.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        self.tmux(&[&["send-keys"], keys].concat()).map(drop)
    }

    /// The lines on the screen, without blanks at their ends.
    pub fn lines(&self) -> Result<Vec<String>> {
        Ok(self.tmux(&["capture-pane", "-p"])?.lines().map(|line| line.trim_end().to_owned()).collect())
    }

    /// Waits up to `seconds` for a screen on which `shown` finds what it looks for; the error has the last screen.
    pub fn wait_for<T>(&self, seconds: u64, what: &str, shown: impl Fn(&[String]) -> Option<T>) -> Result<T> {
        let found = wait_until(seconds, || Ok(shown(&self.lines()?)))?;
        let last = || self.lines().map_or_else(|error| error.to_string(), |lines| lines.join("\n"));
        found.with_context(|| format!("{what} did not come within {seconds} s:\n{}", last()))
    }

    /// Whether the program has ended.
    pub fn has_ended(&self) -> bool {
        self.tmux(&["list-panes"]).is_err()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails when the program has ended, and tmux with it.
        let _ended = self.tmux(&["kill-server"]);
    }
}
