//! Compares one reading with its rule: bad, well or unknown; and writes the alert's message.
use std::sync::Arc;

use crate::record::metric::RecordKind;
use crate::record::{Alert, AlertState, Origin, Severity, WallTime};

use super::figures::MetricView;
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

pub(super) fn judgement(rule: &Rule, reading: &MetricReading, covered: bool) -> Judgement {
    // Too little may only mean that there was no time for more.
    if !covered && matches!(rule.condition, Condition::Below(_) | Condition::Absent) && rule.metric.of_window() {
        return Judgement::Unknown;
    }
    let bad = |holds: bool| if holds { Judgement::Bad } else { Judgement::Well };
    match (reading.value, reading.verdict) {
        (_, Some(verdict)) => bad(verdict),
        (Some(value), None) if reading.samples >= rule.min_samples => bad(rule.condition.holds(value)),
        _ if !covered && rule.metric.of_window() => Judgement::Unknown,
        // A sample without this figure. A process that is gone has no samples either.
        (None, None) if !rule.metric.of_window() && reading.samples > 0 => Judgement::Unknown,
        _ => Judgement::Well,
    }
}

/// After a restart, a process that is not there yet was perhaps not found yet.
const FOUND_AFTER_S: f64 = 60.0;

/// Whether there is no reading because nothing was looked at, and not because nothing is there: the host without a sample, and a process of
/// an alert of an earlier run while processes are still searched.
pub(super) fn is_hidden(rule: &Rule, is_restored: bool, view: &impl MetricView) -> bool {
    match rule.metric.kind() {
        Some(RecordKind::System | RecordKind::Disk) => view.is_empty(rule),
        Some(RecordKind::Process) => is_restored && view.watched_s(rule) < FOUND_AFTER_S,
        _ => false,
    }
}

pub(super) fn new_alert(now: WallTime, rule: &Rule, reading: &MetricReading, host: &str) -> Alert {
    let origin = reading.origin.clone().unwrap_or_else(|| {
        let service = rule.filter.pattern("service").unwrap_or("all").into();
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
        message: sentence(rule, reading, host),
        metric: rule.metric.name().into(),
        scope: reading.scope.clone(),
        value: reading.value,
        threshold: reading.limit.unwrap_or(rule.condition.limit()),
        escalation_level: 0,
        notified: Vec::new(),
        started_at: now,
        fired_at: None,
        severity_since: None,
        flapping: false,
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
        severity_since: Some(now),
        flapping: false,
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

/// The message, with the figures, as people say it: "CPU of web-1 is 99.5 %, limit 80 %."
pub(super) fn sentence(rule: &Rule, reading: &MetricReading, host: &str) -> String {
    if let Some(reason) = &reading.reason {
        return reason.clone();
    }
    let subject = subject(rule, &reading.scope, host);
    let (value, limit) = figures(rule, reading);
    let about = if reading.estimated { "about " } else { "" };
    match rule.condition {
        Condition::Absent => format!("{subject}: nothing came{}.", window(rule)),
        Condition::Spike(factor) => {
            let usual = reading.limit.map(|limit| one_figure(rule, limit / factor)).unwrap_or_default();
            format!("{subject} is {about}{value}, usually {usual}, limit {limit}{}.", window(rule))
        }
        Condition::Burn { rate, objective } => {
            let burn = reading.value.map_or(0.0, |value| value / (1.0 - objective));
            let (burn, rate, goal) = (trimmed(burn, 1), trimmed(rate, 1), trimmed(objective * 100.0, 3));
            format!(
                "{subject} is {about}{value}{}: the error budget of {goal} % is spent {burn} times as fast as it may be, limit {rate} times.",
                window(rule)
            )
        }
        Condition::Above(_) | Condition::Below(_) => format!("{subject} is {about}{value}, {} {limit}{}.", limit_word(rule), window(rule)),
    }
}

/// Why an alert is over.
pub(super) fn ended(read: Option<(&Rule, &MetricReading)>, alert: &Alert, host: &str) -> String {
    match read {
        None => format!("Resolved: the rule {} no longer exists.", alert.rule),
        Some((rule, _)) if rule.metric == AlertMetric::Degraded => format!("{} of perfmon works again.", capital(&alert.scope)),
        Some((rule, _)) if rule.condition == Condition::Absent => {
            format!("{}: data comes again.", subject(rule, &alert.scope, host))
        }
        Some((rule, reading)) if reading.value.is_none() => {
            format!("{}: resolved, there is no more data.", subject(rule, &alert.scope, host))
        }
        Some((rule, reading)) => {
            let (value, limit) = figures(rule, reading);
            format!("{} is {value} again, {} {limit}{}.", subject(rule, &alert.scope, host), limit_word(rule), window(rule))
        }
    }
}

/// What the alert is about, with the host.
pub(super) fn subject(rule: &Rule, scope: &str, host: &str) -> String {
    let words = capital(&rule.metric.words());
    match (scope, host) {
        ("host", "") => format!("{words} of this host"),
        ("host", host) => format!("{words} of {host}"),
        // A business metric without labels is about nothing else.
        ("all", "") => words,
        ("all", host) => format!("{words} on {host}"),
        (scope, "") => format!("{words} of {scope}"),
        (scope, host) => format!("{words} of {scope} on {host}"),
    }
}

fn limit_word(rule: &Rule) -> &'static str {
    match rule.condition {
        Condition::Below(_) => "minimum",
        _ => "limit",
    }
}

fn window(rule: &Rule) -> String {
    match rule.window_s() {
        _ if rule.window == rule.metric.default_window() && !rule.metric.of_window() => String::new(),
        seconds if seconds % 3_600 == 0 => format!(", over {} h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!(", over {} min", seconds / 60),
        seconds => format!(", over {seconds} s"),
    }
}

/// Decimals that a figure has at most.
const DECIMALS: usize = 6;

/// Value and limit with their unit. The value has the digits that tell it from the limit.
fn figures(rule: &Rule, reading: &MetricReading) -> (String, String) {
    let (value, limit) = (reading.value, reading.limit.unwrap_or(rule.condition.limit()));
    let (factor, unit) = rule.metric.shown_as(limit.abs().max(value.unwrap_or(0.0).abs()));
    let shown_limit = trimmed(limit * factor, DECIMALS);
    let with_unit = |digits: &str| format!("{digits}{unit}");
    let Some(value) = value else { return ("unknown".into(), with_unit(&shown_limit)) };
    let first = match (value * factor).abs() {
        large if large >= 1_000.0 => 0,
        small if small < 1.0 => 3,
        _ => 1,
    };
    let mut shown = trimmed(value * factor, first);
    for decimals in first + 1..=DECIMALS {
        if value == limit || shown != shown_limit {
            break;
        }
        shown = trimmed(value * factor, decimals);
    }
    (with_unit(&shown), with_unit(&shown_limit))
}

/// A figure with its unit.
pub(super) fn one_figure(rule: &Rule, value: f64) -> String {
    let (factor, unit) = rule.metric.shown_as(value.abs());
    let shown = value * factor;
    format!("{}{unit}", trimmed(shown, if shown.abs() < 1.0 { 3 } else { usize::from(shown.abs() < 1_000.0) }))
}

fn trimmed(value: f64, decimals: usize) -> String {
    let digits = format!("{value:.decimals$}");
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.').into() } else { digits }
}

fn capital(words: &str) -> String {
    let (first, rest) = words.split_at(words.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}
