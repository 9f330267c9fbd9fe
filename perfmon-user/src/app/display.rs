//! Output of a run: starts the screen or the lines, watches for a key that requests the end, and stops them.
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::aggregate::snapshot::Snapshot;
use crate::config::Display;
use crate::ui::{self, AlertReader, LocalSource, Look, Messages};

/// A running display.
pub struct RunningDisplay {
    /// True: a key requested the end, or the run has ended.
    asked: watch::Sender<bool>,
    task: Option<JoinHandle<std::io::Result<()>>>,
}

impl RunningDisplay {
    /// Starts the configured output; `alerts` are for the screen.
    pub fn start(display: Display, snapshots: watch::Receiver<Arc<Snapshot>>, alerts: AlertReader, messages: &Messages) -> Self {
        let (asked, asking) = watch::channel(false);
        let task = match display {
            Display::Nothing => None,
            Display::Lines => {
                let asked = asked.clone();
                Some(tokio::spawn(async move {
                    let ended = ui::lines(snapshots, asking).await;
                    // A reader that is gone ends the run by itself, silently.
                    if ended.as_ref().is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
                        asked.send_replace(true);
                    }
                    ended
                }))
            }
            Display::Screen => {
                let (asked, messages) = (asked.clone(), messages.clone());
                let source = LocalSource::new(snapshots, alerts);
                Some(tokio::task::spawn_blocking(move || {
                    let ended = ui::screen(source, &asked, &messages, look());
                    if ended.as_ref().is_err_and(is_gone) {
                        asked.send_replace(true);
                    }
                    ended
                }))
            }
        };
        Self { asked, task }
    }

    /// Returns when a key requests the end.
    pub async fn asked(&self) {
        // The sender is ours, so this cannot fail.
        self.asked.subscribe().wait_for(|asked| *asked).await.ok();
    }

    /// Ends it and gives the terminal back.
    pub async fn end(self) -> anyhow::Result<()> {
        self.asked.send_replace(true);
        match self.task {
            None => Ok(()),
            Some(task) => task.await?.or_else(gone).context("the table cannot be written"),
        }
    }
}

/// A closed reader is not an error, nor is a lost terminal.
fn gone(error: std::io::Error) -> std::io::Result<()> {
    if is_gone(&error) { Ok(()) } else { Err(error) }
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe || error.raw_os_error() == Some(libc::EIO)
}

/// What the environment says about the terminal.
pub fn look() -> Look {
    let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(value);
    Look::new(value("NO_COLOR").as_deref(), locale.as_deref(), value("TERM").as_deref())
}

/// The summary of a run on standard output.
pub fn summary(snapshot: &Snapshot) -> std::io::Result<()> {
    let size = std::io::stdout().is_terminal().then(ratatui::crossterm::terminal::size);
    let width = size.and_then(Result::ok).map_or(ui::UNCUT, |(width, _)| width.max(80));
    std::io::stdout().write_all(ui::summary(snapshot, width).as_bytes()).or_else(gone)
}
