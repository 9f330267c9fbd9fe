//! `perfmon top`: the screen of a running perfmon; without one, and as root, of one that it starts itself.
use std::io::{ErrorKind, IsTerminal};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::sync::watch;

use crate::aggregate::snapshot::Window;
use crate::cli::Url;
use crate::config::{Config, Http, ListenAddress, Secret, Ui};
use crate::ui::{self, Messages, RemoteError, RemoteSource, ScreenSource};

use super::ask::trusted_roots;
use super::run::{self, RunJob};
use super::{CommandFailure, display, logging};

/// How long plain output waits for the first figures.
const FIRST_ANSWER: std::time::Duration = std::time::Duration::from_secs(5);

/// Shows the screen until a key requests the end.
pub fn top(config: &Config, url: &Url, named: bool) -> Result<u8, CommandFailure> {
    match RemoteSource::connect(&url.to_string(), &trusted_roots(config), config.http.token.as_ref().map(Secret::expose)) {
        Ok(remote) if std::io::stdout().is_terminal() => {
            let messages = logging::begin(config.log, true);
            show(remote, &messages)?;
            logging::tell(&messages);
            Ok(0)
        }
        Ok(remote) => once(remote),
        Err(RemoteError::Unreachable { source, .. }) if !named && is_absent(&source) && rustix::process::geteuid().is_root() => {
            own(config, url)
        }
        Err(RemoteError::Unreachable { url, source }) => {
            let hint = if named { "name another with --url" } else { "start one with `sudo perfmon run`, or name another with --url" };
            Err(CommandFailure::Failed(anyhow::anyhow!("no perfmon answers at {url} ({source}); {hint}")))
        }
        Err(error) => Err(CommandFailure::Failed(anyhow::Error::msg(error.to_string()))),
    }
}

/// Nothing listens there.
fn is_absent(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound))
}

/// A perfmon for this screen alone. Without a terminal it watches for a moment and prints one table.
fn own(config: &Config, url: &Url) -> Result<u8, CommandFailure> {
    let http = Http { tls_cert: None, tls_key: None, ..config.http.clone() };
    let watching = Config {
        listen: vec![ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))],
        http,
        ui: Ui::Auto,
        ..config.beside_another()
    };
    let is_terminal = std::io::stdout().is_terminal();
    let how = if is_terminal { "it ends with this screen" } else { "it ends after one table" };
    super::complain(&format!("perfmon: no perfmon answers at {url}, so one is started on a free port, without history; {how}.\n"));
    let duration = if is_terminal { config.duration } else { Some(config.duration.unwrap_or(FIRST_ANSWER)) };
    run::run(&Config { duration, alerting: config.alerting, ..watching }, RunJob::default())
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
            return match shown.plain(ui::UNCUT) {
                Ok(text) => super::print(&text),
                Err(why) => Err(CommandFailure::Failed(anyhow::anyhow!("{why}"))),
            };
        }
        std::thread::sleep(pause);
        waited += pause;
    }
    Err(CommandFailure::Failed(anyhow::anyhow!("no data arrived within {} s", FIRST_ANSWER.as_secs())))
}
