//! Notification channels and escalation steps.
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::record::Severity;

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub kind: ChannelKind,
    /// Takes what no rule sends elsewhere.
    pub default: bool,
    /// Used when this one fails.
    pub fallback: Option<Arc<str>>,
    /// Whether the end of an alert is notified too.
    pub send_resolved: bool,
}

/// What a channel is.
#[derive(Clone, PartialEq, Eq)]
pub enum ChannelKind {
    /// perfmon's own log.
    Log,
    /// The record as JSON, by POST.
    Webhook {
        /// URL of the webhook; may contain a secret, so it is never shown.
        url: String,
    },
}

impl fmt::Debug for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::Webhook { .. } => "webhook",
        })
    }
}

impl Channel {
    /// The channel when none is configured: perfmon's own log.
    pub fn log() -> Self {
        Self { name: "log".into(), kind: ChannelKind::Log, default: true, fallback: None, send_resolved: true }
    }
}

/// One step of the escalation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// How long the alert has been firing without anybody taking it.
    pub after: Duration,
    /// Only for alerts of at least this severity.
    pub severity: Option<Severity>,
    /// Channel to notify.
    pub channel: Arc<str>,
}
