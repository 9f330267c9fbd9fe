//! `perfmon top`: the screen of a running perfmon; without one, and as root, of one that it starts itself.
use std::io::IsTerminal;

use anyhow::Context;
use tokio::sync::watch;

use crate::aggregate::snapshot::Window;
use crate::cli::Url;
use crate::config::{Config, Secret, Ui};
use crate::ui::{self, Messages, RemoteError, RemoteSource, ScreenSource};

use super::{CommandFailure, display, logging, run};

/// How long plain output waits for the first figures.
const FIRST_ANSWER: std::time::Duration = std::time::Duration::from_secs(5);

/// Shows the screen until a key requests the end.
pub fn top(config: &Config, url: &Url, named: bool) -> Result<u8, CommandFailure> {
    match RemoteSource::connect(&url.to_string(), config.http.token.as_ref().map(Secret::expose)) {
        Ok(remote) if std::io::stdout().is_terminal() => {
            let messages = logging::begin(config.log, true);
            show(remote, &messages)?;
            logging::tell(&messages);
            Ok(0)
        }
        Ok(remote) => once(remote),
        Err(RemoteError::Unreachable { .. })
            if !named && procfs::process::Process::myself().is_ok_and(|own| own.uid().is_ok_and(|uid| uid == 0)) =>
        {
            run::run(&Config { ui: Ui::Table, ..config.clone() }, &[], None)
        }
        Err(error) => Err(CommandFailure::Failed(error.into())),
    }
}

fn show(remote: RemoteSource, messages: &Messages) -> anyhow::Result<()> {
    let (asked, _asking) = watch::channel(false);
    ui::screen(remote, &asked, messages, display::look()).context("the screen")
}

/// One plain table, for an output that is not a terminal.
fn once(mut remote: RemoteSource) -> Result<u8, CommandFailure> {
    let mut waited = std::time::Duration::ZERO;
    let pause = std::time::Duration::from_millis(50);
    while waited < FIRST_ANSWER {
        if let Some(shown) = remote.poll(Window::Minute) {
            return match shown.plain(160) {
                Ok(text) => super::print(&text),
                Err(why) => Err(CommandFailure::Failed(anyhow::anyhow!("{why}"))),
            };
        }
        std::thread::sleep(pause);
        waited += pause;
    }
    Err(CommandFailure::Failed(anyhow::anyhow!("no figures came within {} s", FIRST_ANSWER.as_secs())))
}
