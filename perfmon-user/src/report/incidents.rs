//! Alerts of a period: what each told first and last, and how long it took until somebody acknowledged it and until it was resolved. In: the
//! stored changes of state, newest first; out: one row an alert. Times count from when it fired, which is what people were told.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::{Alert, AlertState, Severity, WallTime};

/// Rows of the list.
const ROWS: usize = 20;
const SECOND_NS: f64 = 1e9;

/// An alert's last state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertSummary {
    /// When it came into this state.
    pub time: String,
    /// Its id.
    pub alert_id: String,
    /// Name of the rule.
    pub rule: String,
    /// How bad.
    pub severity: String,
    /// `firing`, `resolved` …
    pub state: String,
    /// A sentence.
    pub message: String,
    /// Seconds from firing to the acknowledgement.
    pub acknowledged_after_s: Option<f64>,
    /// Seconds from firing to the end.
    pub resolved_after_s: Option<f64>,
}

/// All alerts of a period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertTotals {
    /// That fired.
    pub fired: u64,
    /// Of these, critical.
    pub critical: u64,
    /// Still firing at the end.
    pub open: u64,
    /// Mean time to the acknowledgement, of those that were.
    pub mean_acknowledged_s: Option<f64>,
    /// Mean time to the end, of those that have ended.
    pub mean_resolved_s: Option<f64>,
}

/// What is known of one alert.
#[derive(Default)]
struct AlertLife {
    newest: Option<Alert>,
    fired: Option<WallTime>,
    acknowledged: Option<WallTime>,
    resolved: Option<WallTime>,
}

/// Rows, newest first, and what they add up to. Alerts that never fired are left out.
pub fn incidents(records: Vec<Alert>) -> (Vec<AlertSummary>, AlertTotals) {
    let mut lives: BTreeMap<std::sync::Arc<str>, AlertLife> = BTreeMap::new();
    // Oldest first: an earlier time of each step stays.
    for alert in records.into_iter().rev() {
        let life = lives.entry(alert.alert_id.clone()).or_default();
        life.fired = life.fired.or(alert.fired_at).or((alert.state == AlertState::Firing).then_some(alert.time));
        match alert.state {
            AlertState::Acknowledged => life.acknowledged = life.acknowledged.or(Some(alert.time)),
            AlertState::Resolved => life.resolved = life.resolved.or(Some(alert.time)),
            _ => {}
        }
        life.newest = Some(alert);
    }
    let mut rows: Vec<(WallTime, AlertSummary)> = lives.into_values().filter_map(row).collect();
    rows.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let rows: Vec<AlertSummary> = rows.into_iter().map(|(_, row)| row).collect();
    let totals = totals(&rows);
    (rows.into_iter().take(ROWS).collect(), totals)
}

fn row(life: AlertLife) -> Option<(WallTime, AlertSummary)> {
    let (fired, alert) = (life.fired?, life.newest?);
    let since = |time: Option<WallTime>| time.map(|time| time.0.saturating_sub(fired.0) as f64 / SECOND_NS).map(f64::round);
    let summary = AlertSummary {
        time: alert.time.to_string(),
        alert_id: alert.alert_id.to_string(),
        rule: alert.rule.to_string(),
        severity: severity(alert.severity).into(),
        state: alert.state.name().into(),
        message: alert.message.to_string(),
        acknowledged_after_s: since(life.acknowledged),
        resolved_after_s: since(life.resolved),
    };
    Some((alert.time, summary))
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn totals(rows: &[AlertSummary]) -> AlertTotals {
    let mean = |pick: fn(&AlertSummary) -> Option<f64>| {
        let known: Vec<f64> = rows.iter().filter_map(pick).collect();
        (!known.is_empty()).then(|| (known.iter().sum::<f64>() / known.len() as f64).round())
    };
    AlertTotals {
        fired: rows.len() as u64,
        critical: rows.iter().filter(|row| row.severity == "critical").count() as u64,
        open: rows.iter().filter(|row| row.state != "resolved").count() as u64,
        mean_acknowledged_s: mean(|row| row.acknowledged_after_s),
        mean_resolved_s: mean(|row| row.resolved_after_s),
    }
}
