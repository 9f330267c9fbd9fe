//! Findings with their evidence, and alerts.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Origin, WallTime};

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look soon.
    Warning,
    /// Needs attention at once.
    Critical,
}

impl Severity {
    /// Its name in records and on the outside.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A condition that needs attention. One record when it opens, is updated or closes (`open` false).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// When this state was reached.
    pub time: WallTime,
    /// Process or host that it is about.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// Stays the same while the finding is open.
    pub finding_id: Arc<str>,
    /// `event_loop_blocked` …
    #[serde(rename = "type")]
    pub kind_name: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What it is about: service, endpoint, process.
    pub scope: Arc<str>,
    /// A sentence with the figures.
    pub message: String,
    /// Ids (`span_id`) of records that show it.
    pub evidence: Vec<Arc<str>>,
    /// Start.
    pub first_seen: WallTime,
    /// Last time it held.
    pub last_seen: WallTime,
    /// False on the record of its end.
    pub open: bool,
}

/// State of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The condition is true, but not yet for long enough.
    Pending,
    /// It fires.
    Firing,
    /// A user has acknowledged it.
    Acknowledged,
    /// Over.
    Resolved,
    /// It would fire, but is silenced.
    Silenced,
}

impl AlertState {
    /// Its name in records and on the outside.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Silenced => "silenced",
        }
    }
}

/// One delivery to a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// Name of the channel.
    pub channel: Arc<str>,
    /// Whether the channel accepted it.
    pub ok: bool,
    /// Why not.
    pub error: Option<String>,
    /// The alert's state that it told; null in records of earlier versions.
    #[serde(default)]
    pub state: Option<AlertState>,
    /// The severity that it told; null in records of earlier versions.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// The step of the escalation that it told; null in records of earlier versions.
    #[serde(default)]
    pub level: Option<u32>,
}

/// An alert's change of state, or the delivery of a notification. Read back from the store at the start of perfmon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// When.
    pub time: WallTime,
    /// Process or host that it is about.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// Stays the same from pending to resolved.
    pub alert_id: Arc<str>,
    /// Name of the rule.
    pub rule: Arc<str>,
    /// `performance` `reliability` `resource` `agent` `cost` `business`.
    #[serde(rename = "type")]
    pub kind_name: Arc<str>,
    /// How bad.
    pub severity: Severity,
    /// Its state.
    pub state: AlertState,
    /// A sentence with the figures.
    pub message: String,
    /// Metric judged.
    pub metric: Arc<str>,
    /// What it is about.
    pub scope: Arc<str>,
    /// Value that was judged.
    pub value: Option<f64>,
    /// Limit.
    pub threshold: f64,
    /// 0 before the first escalation.
    pub escalation_level: u32,
    /// Results of the notifications.
    pub notified: Vec<Notified>,
    /// Time since which the condition is true.
    pub started_at: WallTime,
    /// When it fired; null before.
    pub fired_at: Option<WallTime>,
    /// Since when it fires with this severity; null before. The escalation counts from here.
    #[serde(default)]
    pub severity_since: Option<WallTime>,
    /// It fired so often that it stays open until its condition was false for longer.
    #[serde(default)]
    pub flapping: bool,
    /// Who has it.
    pub acknowledged_by: Option<Arc<str>>,
    /// The user who resolved it; null while it is open and when it resolved by itself.
    pub resolved_by: Option<Arc<str>>,
    /// Note of the last user.
    pub note: Option<Arc<str>>,
}
