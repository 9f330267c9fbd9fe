//! Changes of alerts other than by evaluation: acknowledgement, resolution and silence by users, results of deliveries, and the state of an
//! earlier run.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::record::{Alert, AlertState, Notified, WallTime};

use super::judgement;
use super::machine::{AlertKey, Change, Machine, OpenAlert, Refused};
use super::silence::{NewSilence, Silence};
use super::worse::escalating_since;

impl OpenAlert {
    /// A pending alert with a bad reading.
    pub(super) fn new(alert: Alert, now: WallTime) -> Self {
        Self {
            alert,
            bad_since: Some(now),
            well_since: None,
            judged_at: now,
            told: false,
            critical_since: None,
            escalating_since: None,
            is_restored: false,
        }
    }

    /// Whether a channel knows of it, also when it is silenced now.
    pub(super) fn was_told(&self) -> bool {
        self.told || self.alert.notified.iter().any(|told| told.ok && told.state == Some(AlertState::Firing))
    }
}

/// Ends of alerts are told this long after a restart.
const OWED: Duration = Duration::from_secs(3_600);

impl Machine {
    /// Restores the alert records of an earlier run, in any order, without notifying again.
    pub fn restore(&mut self, stored: Vec<Alert>) {
        let mut newest: BTreeMap<Arc<str>, Alert> = BTreeMap::new();
        for alert in stored {
            let known = newest.get(&alert.alert_id);
            if known.is_none_or(|known| known.time <= alert.time) {
                newest.insert(alert.alert_id.clone(), alert);
            }
        }
        let mut alerts: Vec<Alert> = newest.into_values().collect();
        alerts.sort_by_key(|alert| alert.started_at);
        for alert in alerts {
            let key = (alert.rule.clone(), alert.scope.clone());
            self.open.remove(&key);
            self.quiet.remove(&key);
            if let Some(fired_at) = alert.fired_at {
                self.flaps.fired(&self.flapping, &key, fired_at);
            }
            if alert.state == AlertState::Resolved {
                if alert.resolved_by.is_some() {
                    self.quiet.insert(key);
                }
                self.keep(alert);
            } else {
                let told = matches!(alert.state, AlertState::Firing | AlertState::Acknowledged) || !alert.notified.is_empty();
                let (since, time) = (escalating_since(&alert), alert.time);
                let open = OpenAlert::new(alert, time);
                self.open.insert(key, OpenAlert { told, bad_since: None, escalating_since: since, is_restored: true, ..open });
            }
        }
    }

    /// What an earlier run told its channels no more: alerts that fire, and ends of the last hour.
    pub(super) fn owed(&self, now: WallTime) -> Vec<Change> {
        let accepted = |alert: &Alert, channel: &str, state| {
            // Records of earlier versions do not say what they told.
            let is_same = |told: &Notified| {
                let severity = state == AlertState::Resolved || told.severity.is_none_or(|told| told == alert.severity);
                severity && told.state.is_none_or(|told| told == state)
            };
            alert.notified.iter().any(|told| told.ok && *told.channel == *channel && is_same(told))
        };
        let is_told = |open: &&OpenAlert| open.told && matches!(open.alert.state, AlertState::Firing | AlertState::Acknowledged);
        let firing = self.open.values().filter(is_told).map(|open| {
            // An acknowledgement stops the escalation, not the first page of a channel that failed until now.
            let is_taken = open.alert.state == AlertState::Acknowledged;
            let mut tell = if is_taken { self.channels_of(&open.alert.rule, &open.alert.scope) } else { self.all_told(&open.alert) };
            tell.retain(|channel| !accepted(&open.alert, channel, AlertState::Firing));
            Change { alert: Alert { state: AlertState::Firing, ..open.alert.clone() }, tell }
        });
        let recent = self.over.iter().filter(|alert| now.0.saturating_sub(alert.time.0) < nanoseconds(OWED));
        let over = recent.map(|alert| {
            let mut tell = self.all_told(alert);
            tell.retain(|channel| !accepted(alert, channel, AlertState::Resolved));
            Change { alert: alert.clone(), tell }
        });
        firing.chain(over).filter(|change| !change.tell.is_empty()).collect()
    }

    /// Acknowledges a firing alert, which stops its escalation; channels that follow the life of an incident are notified.
    pub fn acknowledge(&mut self, now: WallTime, id: &str, by: Option<Arc<str>>, note: Option<Arc<str>>) -> Result<Change, Refused> {
        let key = self.key_of(id)?;
        let open = self.open.get_mut(&key).ok_or(Refused::Unknown)?;
        if open.alert.state != AlertState::Firing {
            return Err(Refused::State(open.alert.state));
        }
        let alert = &mut open.alert;
        (alert.time, alert.state, alert.acknowledged_by) = (now, AlertState::Acknowledged, by);
        alert.note = note.or(alert.note.take());
        let alert = alert.clone();
        let tell = self.all_told(&alert).into_iter().filter(|channel| self.acknowledging.contains(channel)).collect();
        Ok(Change { alert, tell })
    }

    /// Resolves an alert. While its condition remains true, no new alert opens.
    pub fn resolve(&mut self, now: WallTime, id: &str, by: Option<Arc<str>>, note: Option<Arc<str>>) -> Result<Change, Refused> {
        let key = self.key_of(id)?;
        let open = self.open.remove(&key).ok_or(Refused::Unknown)?;
        let tell = if open.was_told() { self.all_told(&open.alert) } else { Vec::new() };
        let mut alert = open.alert;
        (alert.time, alert.state) = (now, AlertState::Resolved);
        alert.resolved_by = Some(by.unwrap_or_else(|| "unknown".into()));
        alert.note = note.or(alert.note);
        self.flaps.forget(&key);
        self.quiet.insert(key);
        self.keep(alert.clone());
        Ok(Change { alert, tell })
    }

    /// Notes how a delivery went; nothing when the alert is forgotten already.
    pub fn delivered(&mut self, now: WallTime, id: &str, notified: Notified) -> Option<Change> {
        let open = self.open.values_mut().map(|open| &mut open.alert);
        let alert = open.chain(self.over.iter_mut()).find(|alert| *alert.alert_id == *id)?;
        alert.notified.push(notified);
        alert.time = now;
        Some(Change { alert: alert.clone(), tell: Vec::new() })
    }

    /// Silences that are in force.
    pub fn silences(&self, now: WallTime) -> Vec<Silence> {
        self.silences.iter().filter(|silence| silence.until > now).cloned().collect()
    }

    /// Adds a silence; alerts follow at the next snapshot.
    pub fn silence(&mut self, now: WallTime, new: NewSilence) -> Result<Silence, Refused> {
        self.silences.retain(|silence| silence.until > now);
        if self.silences.len() >= limits::SILENCES {
            return Err(Refused::TooMany);
        }
        let NewSilence { rule, scope, matchers, duration, by, note } = new;
        let number = (0..=self.silences.len()).map(|number| judgement::id(&["silence", &number.to_string()], now));
        let is_new = |id: &Arc<str>| self.silences.iter().all(|known| known.silence_id != *id);
        let silence_id = number.into_iter().find(is_new).ok_or(Refused::TooMany)?;
        let silence = Silence {
            id: silence_id.clone(),
            silence_id,
            time: now,
            until: WallTime(now.0.saturating_add(nanoseconds(duration))),
            rule,
            scope,
            matchers,
            by,
            note,
            ended_at: None,
        };
        self.silences.push(silence.clone());
        Ok(silence)
    }

    /// Ends a silence.
    pub fn unsilence(&mut self, now: WallTime, id: &str) -> Result<Silence, Refused> {
        let index = self.silences.iter().position(|silence| *silence.silence_id == *id).ok_or(Refused::Unknown)?;
        Ok(Silence { ended_at: Some(now), ..self.silences.remove(index) })
    }

    /// Restores the silences of an earlier run.
    pub fn restore_silences(&mut self, now: WallTime, stored: Vec<Silence>) {
        self.silences = Silence::in_force(stored, now);
    }

    fn key_of(&self, id: &str) -> Result<AlertKey, Refused> {
        match self.open.iter().find(|(_, open)| *open.alert.alert_id == *id) {
            Some((key, _)) => Ok(key.clone()),
            None if self.over.iter().any(|alert| *alert.alert_id == *id) => Err(Refused::State(AlertState::Resolved)),
            None => Err(Refused::Unknown),
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
