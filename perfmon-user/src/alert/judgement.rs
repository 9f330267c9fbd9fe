//! Compares one reading with its rule: bad, well or unknown; and writes the alert's message.
use std::sync::Arc;

use crate::aggregate::snapshot::Snapshot;
use crate::record::{Alert, AlertState, Origin, Severity, WallTime};

use super::metric::{AlertMetric, MetricReading};
use super::rule::{Condition, Rule};

/// Result of comparing a reading with its rule's condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The condition is true.
    Bad,
    /// It does not hold, or there is nothing that could be bad.
    Well,
    /// The window is not covered long enough, or there is no sample.
    Unknown,
}

pub(super) fn judgement(rule: &Rule, reading: &MetricReading, snapshot: &Snapshot) -> Judgement {
    let of_window = rule.metric.of_window();
    let watched_short = of_window && snapshot.uptime_s < rule.window.seconds() as f64;
    match reading.value {
        // Too little may only mean that there was no time for more.
        _ if watched_short && matches!(rule.condition, Condition::Below(_)) => Judgement::Unknown,
        Some(value) if reading.samples >= rule.min_samples => {
            if rule.condition.holds(value) {
                Judgement::Bad
            } else {
                Judgement::Well
            }
        }
        _ if watched_short => Judgement::Unknown,
        // A sample without this figure. A process that is gone has no samples either.
        None if !of_window && reading.samples > 0 => Judgement::Unknown,
        _ => Judgement::Well,
    }
}

pub(super) fn new_alert(now: WallTime, rule: &Rule, reading: &MetricReading) -> Alert {
    let origin = reading.origin.clone().unwrap_or_else(|| {
        let service = rule.filter.service.as_deref().unwrap_or("all").into();
        Arc::new(Origin { pid: 0, comm: "".into(), service, container: None })
    });
    Alert {
        time: now,
        origin,
        alert_id: id(&[&rule.name, &reading.scope], now),
        rule: rule.name.clone(),
        kind_name: rule.kind.clone(),
        severity: rule.severity,
        state: AlertState::Pending,
        message: sentence(rule, reading),
        metric: rule.metric.name().into(),
        scope: reading.scope.clone(),
        value: reading.value,
        threshold: rule.condition.limit(),
        escalation_level: 0,
        notified: Vec::new(),
        started_at: now,
        fired_at: None,
        acknowledged_by: None,
        resolved_by: None,
        note: None,
    }
}

/// What a trial of a channel sends.
pub(super) fn test_alert(now: WallTime) -> Alert {
    Alert {
        time: now,
        origin: Arc::new(Origin { pid: 0, comm: "".into(), service: "perfmon".into(), container: None }),
        alert_id: id(&["test"], now),
        rule: "test".into(),
        kind_name: "performance".into(),
        severity: Severity::Info,
        state: AlertState::Firing,
        message: "This is a test alert; nothing is wrong.".into(),
        metric: "test".into(),
        scope: "test".into(),
        value: None,
        threshold: 0.0,
        escalation_level: 0,
        notified: Vec::new(),
        started_at: now,
        fired_at: Some(now),
        acknowledged_by: None,
        resolved_by: None,
        note: None,
    }
}

/// Alerts that a summary names.
const NAMED: usize = 10;

/// One notification of several alerts that waited for a channel.
pub(super) fn summary(held: &[&Alert]) -> Alert {
    let newest = held.iter().map(|alert| alert.time).max().unwrap_or_default();
    let name = |alert: &&Alert| format!("{} of {} is {}", alert.rule, alert.scope, alert.state.name());
    let mut names: Vec<String> = held.iter().take(NAMED).map(name).collect();
    if held.len() > NAMED {
        names.push(format!("and {} more", held.len() - NAMED));
    }
    let state = if held.iter().all(|alert| alert.state == AlertState::Resolved) { AlertState::Resolved } else { AlertState::Firing };
    Alert {
        rule: "summary".into(),
        scope: format!("{} alerts", held.len()).into(),
        alert_id: id(&["summary"], newest),
        severity: held.iter().map(|alert| alert.severity).max().unwrap_or(Severity::Info),
        state,
        message: format!("{} notifications came faster than this channel takes them: {}.", held.len(), names.join("; ")),
        ..test_alert(newest)
    }
}

/// An id that depends on the start only (FNV-1a, 64 bits).
pub(super) fn id(parts: &[&str], now: WallTime) -> Arc<str> {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0])).chain(now.0.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}").into()
}

/// The message, with the figures.
pub(super) fn sentence(rule: &Rule, reading: &MetricReading) -> String {
    if let Some(reason) = &reading.reason {
        return reason.clone();
    }
    let (value, limit) = (shown(rule, reading.value), limit(rule));
    format!("{} of {} is {value}, {limit}{}.", capital(&rule.metric.words()), reading.scope, window(rule))
}

/// Why an alert is over.
pub(super) fn ended(read: Option<(&Rule, &MetricReading)>, alert: &Alert) -> String {
    match read {
        None => format!("Resolved: the rule {} no longer exists.", alert.rule),
        Some((rule, _)) if rule.metric == AlertMetric::Degraded => format!("{} of perfmon works again.", capital(&alert.scope)),
        Some((rule, reading)) if reading.value.is_none() => {
            format!("{} of {}: resolved, there is no more data.", capital(&rule.metric.words()), alert.scope)
        }
        Some((rule, reading)) => {
            let value = shown(rule, reading.value);
            format!("{} of {} is {value}, no longer {}{}.", capital(&rule.metric.words()), alert.scope, limit(rule), window(rule))
        }
    }
}

fn limit(rule: &Rule) -> String {
    let word = match rule.condition {
        Condition::Above(_) => "above",
        Condition::Below(_) => "below",
    };
    format!("{word} {}", shown(rule, Some(rule.condition.limit())))
}

fn window(rule: &Rule) -> String {
    if rule.metric.of_window() { format!(" over {} min", rule.window.seconds() / 60) } else { String::new() }
}

fn shown(rule: &Rule, value: Option<f64>) -> String {
    let Some(value) = value else { return "unknown".into() };
    let digits = format!("{value:.3}");
    format!("{}{}", digits.trim_end_matches('0').trim_end_matches('.'), rule.metric.unit())
}

fn capital(words: &str) -> String {
    let (first, rest) = words.split_at(words.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}
