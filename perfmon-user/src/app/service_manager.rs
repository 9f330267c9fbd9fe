//! Tells the log and the service manager (systemd, `Type=notify`) how far a run is. In: that it watches and serves, or ends. Out: a line of
//! the log, and a datagram to the socket that NOTIFY_SOCKET names; nothing without one. Specification: sd_notify(3).
use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::probe::Tier;

use super::capture::WatchedTargets;

/// Says once that capture runs, and where the dashboard is.
pub fn say_when_ready(mut watched: watch::Receiver<WatchedTargets>, tier: Tier, url: Option<String>) {
    tokio::spawn(async move {
        if watched.wait_for(|targets| targets.begun).await.is_err() {
            return;
        }
        watching(url.as_deref());
        match url {
            Some(url) => tracing::info!(url = %url, tier = tier.number(), "perfmon is watching."),
            None => tracing::info!(tier = tier.number(), "perfmon is watching."),
        }
    });
}

/// It watches, and its page is at this address.
fn watching(url: Option<&str>) {
    let status = url.map_or_else(|| "Watching.".to_owned(), |url| format!("Watching; the page is at {url}"));
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// It ends in order.
pub fn ending() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Ending.")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "The service manager cannot be told; a service of `Type=notify` is ended when its start takes too long.");
    }
}
