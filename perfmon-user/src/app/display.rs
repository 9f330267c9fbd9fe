//! Output of a run: starts the screen or the lines, watches for a key that requests the end, and stops them.
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::aggregate::snapshot::Snapshot;
use crate::config::Display;
use crate::ui::{self, AlertReader, LocalSource, Look, Messages};

/// Width of plain tables without a terminal.
const PLAIN_WIDTH: u16 = 160;

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
            Display::Lines => Some(tokio::spawn(ui::lines(snapshots, asking, PLAIN_WIDTH))),
            Display::Screen => {
                let (asked, messages) = (asked.clone(), messages.clone());
                let source = LocalSource::new(snapshots, alerts);
                Some(tokio::task::spawn_blocking(move || ui::screen(source, &asked, &messages, look())))
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
            Some(task) => task.await?.or_else(gone).context("the display"),
        }
    }
}

/// A closed reader is not an error.
fn gone(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// What the environment says about the terminal.
pub fn look() -> Look {
    let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(value);
    Look::new(value("NO_COLOR").as_deref(), locale.as_deref(), value("TERM").as_deref())
}

/// The summary of a run on standard output.
pub fn summary(snapshot: &Snapshot) -> std::io::Result<()> {
    use std::io::Write;
    let width = ratatui::crossterm::terminal::size().map_or(PLAIN_WIDTH, |(width, _)| width.max(80));
    std::io::stdout().write_all(ui::summary(snapshot, width).as_bytes()).or_else(gone)
}
