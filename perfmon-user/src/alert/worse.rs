//! Alerts that become worse. In: readings of open alerts; out: a higher severity when the value passes the rule's critical limit for as long as
//! the rule holds, or when the rule itself became more severe. A firing or acknowledged alert then fires anew and its escalation starts
//! again. A severity does not fall while the alert is open.
use std::time::Duration;

use crate::record::{Alert, AlertState, Severity, WallTime};

use super::judgement::sentence;
use super::machine::{AlertKey, Change, Machine, passed};
use super::metric::MetricReading;
use super::rule::Rule;

impl Machine {
    /// Raises the severity of an open alert with a bad reading, where it is due.
    pub(super) fn worsen(&mut self, now: WallTime, key: &AlertKey, rule: &Rule, reading: &MetricReading, changes: &mut Vec<Change>) {
        let Some(open) = self.open.get_mut(key) else { return };
        let limit = self.critical.get(&key.0).filter(|limit| reading.value.is_some_and(|value| limit.holds(value)));
        match limit {
            Some(_) => open.critical_since = open.critical_since.or(Some(now)),
            None => open.critical_since = None,
        }
        let is_critical = open.critical_since.is_some_and(|since| passed(since, now) >= rule.hold);
        if let Some(limit) = limit.filter(|_| is_critical || open.alert.severity > rule.severity) {
            open.alert.threshold = limit.limit();
            open.alert.message = sentence(&Rule { condition: *limit, ..rule.clone() }, reading, &self.host);
        }
        let severity = if is_critical { Severity::Critical } else { rule.severity };
        if severity > open.alert.severity {
            self.raise(now, key, severity, changes);
        }
    }

    fn raise(&mut self, now: WallTime, key: &AlertKey, severity: Severity, changes: &mut Vec<Change>) {
        let channels = self.channels_of(&key.0, &key.1);
        let Some(open) = self.open.get_mut(key) else { return };
        open.alert.severity = severity;
        if open.alert.state == AlertState::Silenced {
            open.told = false;
        }
        if !matches!(open.alert.state, AlertState::Firing | AlertState::Acknowledged) {
            return;
        }
        let alert = &mut open.alert;
        (alert.time, alert.severity_since, alert.escalation_level, alert.acknowledged_by) = (now, Some(now), 0, None);
        open.escalating_since = Some(now);
        let silenced = self.silences.iter().any(|silence| silence.covers(alert));
        alert.state = if silenced { AlertState::Silenced } else { AlertState::Firing };
        // What is silenced now is told when the silence ends.
        open.told = !silenced;
        changes.push(Change { alert: alert.clone(), tell: if silenced { Vec::new() } else { channels } });
    }
}

/// Time since which the escalation of a stored alert counts.
pub(super) fn escalating_since(alert: &Alert) -> Option<WallTime> {
    alert.severity_since.or(alert.fired_at)
}

/// How long an alert has been firing for its escalation.
pub(super) fn unanswered(since: Option<WallTime>, now: WallTime) -> Duration {
    since.map_or(Duration::ZERO, |since| passed(since, now))
}
