//! SIGHUP. In: the signal, and how perfmon was started. Out: the configuration is read again; or, when perfmon was started at a terminal,
//! the run ends, because the terminal is gone. Started by nohup(1), which has the signal ignored, perfmon ignores it too.
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::alert::AlertService;
use crate::cli::{self, Invocation};
use crate::config::{self, Config};
use crate::http::ServerCertificate;
use crate::record::custom::CustomMetrics;

use super::alerts::settings;

/// Settings that a running perfmon takes over.
const LIVE: [&str; 2] = ["alerts.", METRICS];
/// Business metrics; rules on them change with them.
const METRICS: &str = "metrics";
/// One of them that it does not.
const NOT_LIVE: &str = "alerts.enabled";

/// What the signal means for this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HangupMeaning {
    Nothing,
    TerminalLost,
    Reload,
}

impl HangupMeaning {
    /// By how this process was started.
    fn here() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let has_terminal = std::fs::File::open("/dev/tty").is_ok();
        Self::of(&status, has_terminal)
    }

    fn of(status: &str, has_terminal: bool) -> Self {
        let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok()).unwrap_or(0);
        match has_terminal {
            _ if ignored & (1 << (libc::SIGHUP - 1)) != 0 => Self::Nothing,
            true => Self::TerminalLost,
            false => Self::Reload,
        }
    }
}

/// Takes the signal from now on.
pub struct Hangups {
    meaning: HangupMeaning,
    /// None: the signal is left alone.
    hangups: Option<Signal>,
}

impl Hangups {
    /// Looks at how this process was started.
    pub fn take() -> std::io::Result<Self> {
        let meaning = HangupMeaning::here();
        let hangups = (meaning != HangupMeaning::Nothing).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self { meaning, hangups })
    }

    /// Obeys the signal; returns when the terminal is lost.
    pub async fn terminal_lost(
        self,
        running: &Config,
        alerts: &AlertService,
        custom: &watch::Sender<CustomMetrics>,
        certificate: Option<&ServerCertificate>,
    ) {
        let Some(mut hangups) = self.hangups else { return std::future::pending().await };
        let mut config = running.clone();
        loop {
            hangups.recv().await;
            if self.meaning == HangupMeaning::TerminalLost {
                tracing::info!("The terminal is gone.");
                return;
            }
            reload(&mut config, alerts, custom);
            if let Some(certificate) = certificate {
                renew(certificate);
            }
        }
    }
}

/// Reads the configuration as at the start: the same file, environment and flags. A wrong one changes nothing.
fn reload(config: &mut Config, alerts: &AlertService, custom: &watch::Sender<CustomMetrics>) {
    let read = match cli::read(std::env::args_os(), std::env::vars_os()) {
        Ok(Invocation::Run { config, .. } | Invocation::Record { config, .. }) => config,
        Ok(_) => return,
        Err(problems) => {
            tracing::error!(%problems, "The configuration was not read again; the former one stays in force.");
            return;
        }
    };
    let changed = config::changed(config, &read);
    let (live, later): (Vec<&str>, Vec<&str>) =
        changed.into_iter().partition(|path| LIVE.iter().any(|live| path.starts_with(live)) && *path != NOT_LIVE);
    if !live.is_empty() {
        if live.contains(&METRICS) {
            custom.send_replace(read.metrics.compiled.clone());
        }
        (config.alerts, config.metrics) = (read.alerts, read.metrics);
        alerts.replace(&settings(config));
    }
    tracing::info!(changed = live.join(", "), "The configuration was read again.");
    if !later.is_empty() {
        tracing::warn!(changed = later.join(", "), "These settings take effect with the next start of perfmon.");
    }
}

/// Reads the certificate again, also when the configuration is wrong.
fn renew(certificate: &ServerCertificate) {
    match certificate.renew() {
        Ok(true) => tracing::info!("New connections get the new TLS certificate."),
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "The TLS certificate was not read again; the former one stays in use."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_means_what_the_start_was_like() {
        let plain = "Name:\tperfmon\nSigIgn:\t0000000000001000\n";
        assert_eq!(HangupMeaning::of(plain, true), HangupMeaning::TerminalLost);
        assert_eq!(HangupMeaning::of(plain, false), HangupMeaning::Reload);
        let nohup = "SigIgn:\t0000000000001001\n";
        assert_eq!(HangupMeaning::of(nohup, true), HangupMeaning::Nothing);
        assert_eq!(HangupMeaning::of(nohup, false), HangupMeaning::Nothing);
        assert_eq!(HangupMeaning::of("", false), HangupMeaning::Reload);
    }
}
