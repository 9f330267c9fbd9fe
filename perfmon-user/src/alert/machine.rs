//! The state machine of alerts. In: what rules read each second, decisions of users, results of deliveries; out: [`Change`]s, each a record and
//! the channels to notify. Pure: time is an argument, nothing is sent from here.
//!
//! A true condition opens an alert (pending). It fires when the condition was true without a break for `hold`, and is resolved when the
//! condition was false for `keep_firing`, so a value that swings around its limit neither fires nor resolves with each swing. An unknown
//! value (a window that is not covered long enough) changes nothing. There is one alert for each rule and scope.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::counters::Counters;
use crate::limits;
use crate::record::{Alert, AlertState, Degradation, WallTime};

use super::baseline::Baselines;
use super::channel::{Channel, Escalation, Sender};
use super::clock_watch::ClockWatch;
use super::delivery::ChannelHealth;
use super::figures::MetricView;
use super::flap::{FlapHistory, FlapSettings};
use super::group::Grouping;
use super::judgement::{Judgement, ended, is_hidden, judgement, new_alert, sentence};
use super::metric::{DEGRADED, MetricReading, OwnState};
use super::rule::{Condition, HOLD, Rule};
use super::silence::Silence;
use super::turns::Turns;
use super::worse::unanswered;

/// What the machine is made from.
#[derive(Clone, Debug, Default)]
pub struct AlertSettings {
    /// All rules, including the standing ones; names are unique.
    pub rules: Vec<Rule>,
    /// All channels.
    pub channels: Vec<Channel>,
    /// Steps, in order.
    pub escalation: Vec<Escalation>,
    /// Who notifies.
    pub sender: Arc<Sender>,
    /// Limits beyond which alerts of a rule, by its name, are critical.
    pub critical: BTreeMap<Arc<str>, Condition>,
    /// When an alert flaps.
    pub flapping: FlapSettings,
    /// Which notifications for people become one.
    pub grouping: Grouping,
}

/// A record, and the channels to notify of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The record.
    pub alert: Alert,
    /// Names of channels.
    pub tell: Vec<Arc<str>>,
}

/// Why a wish is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing of that id or name.
    #[error("no alert or silence has this id")]
    Unknown,
    /// Not in this state.
    #[error("not possible in its present state")]
    State(AlertState),
    /// Too many of them.
    #[error("the limit is reached")]
    TooMany,
}

/// Rule and scope.
pub(super) type AlertKey = (Arc<str>, Arc<str>);

/// An open alert.
#[derive(Debug)]
pub(super) struct OpenAlert {
    pub(super) alert: Alert,
    /// The condition has been true without a break since this time.
    pub(super) bad_since: Option<WallTime>,
    /// Does not hold since.
    pub(super) well_since: Option<WallTime>,
    /// When it was judged last.
    pub(super) judged_at: WallTime,
    /// A notification of the firing alert was sent.
    pub(super) told: bool,
    /// The value has been beyond the critical limit without a break since this time.
    pub(super) critical_since: Option<WallTime>,
    /// Its escalation counts since this time.
    pub(super) escalating_since: Option<WallTime>,
    /// An earlier run opened it, and this one has no reading of it yet.
    pub(super) is_restored: bool,
}

/// All alerts.
#[derive(Debug)]
pub struct Machine {
    pub(super) rules: Arc<[Rule]>,
    turns: Turns,
    /// Name of this host, for messages.
    pub(super) host: Arc<str>,
    pub(super) critical: BTreeMap<Arc<str>, Condition>,
    pub(super) flapping: FlapSettings,
    pub(super) flaps: FlapHistory,
    pub(super) clock: ClockWatch,
    pub(super) default_channels: Vec<Arc<str>>,
    /// Channels that are notified of acknowledgements too.
    pub(super) acknowledging: Vec<Arc<str>>,
    all_channels: Vec<Arc<str>>,
    /// Whether each channel accepts notifications, as last known.
    health: BTreeMap<Arc<str>, ChannelHealth>,
    pub(super) escalation: Vec<Escalation>,
    pub(super) open: BTreeMap<AlertKey, OpenAlert>,
    /// Newest first.
    pub(super) over: VecDeque<Alert>,
    /// Resolved by a user while the condition was true: no new alert until it is false.
    pub(super) quiet: BTreeSet<AlertKey>,
    pub(super) silences: Vec<Silence>,
    pub(super) counters: Arc<Counters>,
    /// What is usual.
    pub(super) baselines: Baselines,
}

impl Machine {
    /// A machine without alerts.
    pub fn new(settings: &AlertSettings, counters: Arc<Counters>) -> Self {
        let named = |wanted: fn(&Channel) -> bool| {
            settings.channels.iter().filter(|channel| wanted(channel)).map(|channel| channel.name.clone()).collect()
        };
        Self {
            rules: settings.rules.clone().into(),
            turns: Turns::of(&settings.rules),
            host: settings.sender.host.clone(),
            critical: settings.critical.clone(),
            flapping: settings.flapping,
            flaps: FlapHistory::default(),
            clock: ClockWatch::default(),
            default_channels: named(|channel| channel.default),
            acknowledging: named(|channel| channel.kind.takes_acknowledgements),
            all_channels: named(|_| true),
            health: BTreeMap::new(),
            escalation: settings.escalation.clone(),
            open: BTreeMap::new(),
            over: VecDeque::new(),
            quiet: BTreeSet::new(),
            silences: Vec::new(),
            counters,
            baselines: Baselines::default(),
        }
    }

    /// Takes other rules, channels and steps. Alerts and silences stay; an open alert of a rule that is gone ends with the next snapshot.
    pub fn replace(&mut self, settings: &AlertSettings) {
        let Self { rules, turns, default_channels, acknowledging, all_channels, escalation, critical, flapping, .. } =
            Self::new(settings, self.counters.clone());
        (self.critical, self.flapping) = (critical, flapping);
        (self.rules, self.turns, self.default_channels, self.escalation) = (rules, turns, default_channels, escalation);
        (self.acknowledging, self.all_channels) = (acknowledging, all_channels);
    }

    /// Judges what the series say of the observed programs and the host.
    pub fn judge(&mut self, now: WallTime, view: &impl MetricView) -> Vec<Change> {
        let turn = self.turns.next();
        self.judge_rules(now, view, |place, rule| !rule.metric.is_own() && turn.has(place))
    }

    /// Name of this host.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Its rules.
    pub fn rules(&self) -> Arc<[Rule]> {
        self.rules.clone()
    }

    /// Takes whether each channel accepts notifications, which [`Machine::judge_own`] judges.
    pub(super) fn note_health(&mut self, health: BTreeMap<Arc<str>, ChannelHealth>) {
        self.health = health;
    }

    /// Judges perfmon itself. Needs no figures: the part that makes them may be the one that does not work.
    pub fn judge_own(&mut self, now: WallTime, degraded: &[Degradation]) -> Vec<Change> {
        self.judge_rules(now, &OwnState(degraded), |_, rule| rule.metric.is_own())
    }

    fn judge_rules(&mut self, now: WallTime, view: &impl MetricView, is_meant: impl Fn(usize, &Rule) -> bool) -> Vec<Change> {
        let mut changes = Vec::new();
        self.silences.retain(|silence| silence.until > now);
        let rules = self.rules.clone();
        for (_, rule) in rules.iter().enumerate().filter(|(place, rule)| is_meant(*place, rule)) {
            let mut readings = view.read(rule, rule.window_s());
            if rule.metric.is_own() {
                readings.extend(self.health.iter().filter_map(|(name, health)| dead_channel(name, health)));
            }
            let covered = view.is_covered(rule);
            self.assess(now, rule, &mut readings, view);
            for reading in readings {
                self.step(now, rule, &reading, judgement(rule, &reading, covered), &mut changes);
            }
        }
        self.step_unread(now, view, is_meant, &mut changes);
        self.heed_silences(now, &mut changes);
        self.escalate(now, &mut changes);
        changes
    }

    fn step(&mut self, now: WallTime, rule: &Rule, reading: &MetricReading, judgement: Judgement, changes: &mut Vec<Change>) {
        let key = (rule.name.clone(), reading.scope.clone());
        if !self.open.contains_key(&key) {
            match judgement {
                Judgement::Bad if self.quiet.contains(&key) => return,
                Judgement::Bad if self.open.len() >= limits::ALERTS_OPEN => return self.counters.alerts_refused.inc(),
                Judgement::Bad => {
                    let alert = new_alert(now, rule, reading, &self.host);
                    if rule.hold > Duration::ZERO {
                        changes.push(Change { alert: alert.clone(), tell: Vec::new() });
                    }
                    self.open.insert(key.clone(), OpenAlert::new(alert, now));
                }
                Judgement::Well => {
                    self.quiet.remove(&key);
                    return;
                }
                Judgement::Unknown => return,
            }
        }
        let Some(open) = self.open.get_mut(&key) else { return };
        open.judged_at = now;
        open.is_restored &= reading.value.is_none();
        match judgement {
            Judgement::Unknown => {}
            Judgement::Bad => {
                open.well_since = None;
                open.alert.value = reading.value;
                open.alert.threshold = reading.limit.unwrap_or(rule.condition.limit());
                open.alert.message = sentence(rule, reading, &self.host);
                if open.alert.flapping {
                    open.alert.message += &self.flapping.words();
                }
                let bad_since = *open.bad_since.get_or_insert(now);
                let is_due = open.alert.state == AlertState::Pending && passed(bad_since, now) >= rule.hold;
                self.worsen(now, &key, rule, reading, changes);
                if is_due {
                    self.fire(&key, now, changes);
                }
            }
            Judgement::Well => self.is_well(&key, Some((rule, reading)), now, changes),
        }
    }

    /// Handles alerts whose row, sample or rule is gone.
    fn step_unread(&mut self, now: WallTime, view: &impl MetricView, is_meant: impl Fn(usize, &Rule) -> bool, changes: &mut Vec<Change>) {
        let unread: Vec<AlertKey> = self.open.iter().filter(|(_, open)| open.judged_at != now).map(|(key, _)| key.clone()).collect();
        let rules = self.rules.clone();
        for key in unread {
            match self.turns.place(&key.0).and_then(|place| Some((place, rules.get(place)?))) {
                Some((place, rule)) if !is_meant(place, rule) || self.is_untried(&key) => {}
                Some((_, rule)) => {
                    let reading = MetricReading::unread(key.1.clone());
                    let is_restored = self.open.get(&key).is_some_and(|open| open.is_restored);
                    let judged = if is_hidden(rule, is_restored, view) {
                        Judgement::Unknown
                    } else {
                        judgement(rule, &reading, view.is_covered(rule))
                    };
                    self.step(now, rule, &reading, judged, changes);
                }
                None => self.end(&key, None, now, changes),
            }
        }
    }

    fn is_well(&mut self, key: &AlertKey, read: Option<(&Rule, &MetricReading)>, now: WallTime, changes: &mut Vec<Change>) {
        let Some(open) = self.open.get_mut(key) else { return };
        open.bad_since = None;
        let well_since = *open.well_since.get_or_insert(now);
        let retry = match (read, open.alert.state) {
            (Some((rule, _)), AlertState::Pending) => rule.hold.max(HOLD),
            (Some((rule, _)), _) if open.alert.flapping => rule.keep_firing.max(self.flapping.hold()),
            (Some((rule, _)), _) => rule.keep_firing,
            (None, _) => Duration::ZERO,
        };
        if passed(well_since, now) >= retry {
            self.end(key, read, now, changes);
        }
    }

    /// It fires, or would.
    fn fire(&mut self, key: &AlertKey, now: WallTime, changes: &mut Vec<Change>) {
        let channels = self.channels_of(&key.0, &key.1);
        let Some(open) = self.open.get_mut(key) else { return };
        let silenced = self.silences.iter().any(|silence| silence.covers(&open.alert));
        open.alert.time = now;
        open.alert.state = if silenced { AlertState::Silenced } else { AlertState::Firing };
        let tell = if silenced || open.told { Vec::new() } else { channels };
        if !silenced && !open.told {
            open.told = true;
            let first = *open.alert.fired_at.get_or_insert(now);
            (open.alert.fired_at, open.alert.severity_since) =
                (Some(if open.alert.severity_since.is_some() { first } else { now }), Some(now));
            open.escalating_since = Some(now);
            self.flaps.fired(&self.flapping, key, now);
            if !open.alert.flapping && self.flaps.flaps(&self.flapping, key, now) {
                open.alert.flapping = true;
                open.alert.message += &self.flapping.words();
            }
        }
        open.alert.fired_at.get_or_insert(now);
        changes.push(Change { alert: open.alert.clone(), tell });
    }

    fn end(&mut self, key: &AlertKey, read: Option<(&Rule, &MetricReading)>, now: WallTime, changes: &mut Vec<Change>) {
        let Some(open) = self.open.remove(key) else { return };
        let tell = if open.was_told() { self.all_told(&open.alert) } else { Vec::new() };
        let mut alert = open.alert;
        alert.message = ended(read, &alert, &self.host);
        alert.value = read.and_then(|(_, reading)| reading.value);
        (alert.time, alert.state) = (now, AlertState::Resolved);
        self.keep(alert.clone());
        changes.push(Change { alert, tell });
    }

    /// Keeps a resolved alert in the list, if it ever fired.
    pub(super) fn keep(&mut self, alert: Alert) {
        if alert.fired_at.is_some() {
            self.over.push_front(alert);
            self.over.truncate(limits::ALERTS_RESOLVED);
        }
    }

    fn heed_silences(&mut self, now: WallTime, changes: &mut Vec<Change>) {
        let covered = |open: &OpenAlert| self.silences.iter().any(|silence| silence.covers(&open.alert));
        let turned: Vec<AlertKey> = self
            .open
            .iter()
            .filter(|(_, open)| match open.alert.state {
                AlertState::Firing => covered(open),
                AlertState::Silenced => !covered(open),
                _ => false,
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in turned {
            self.fire(&key, now, changes);
        }
    }

    fn escalate(&mut self, now: WallTime, changes: &mut Vec<Change>) {
        for open in self.open.values_mut().filter(|open| open.alert.state == AlertState::Firing) {
            let firing = unanswered(open.escalating_since, now);
            let alert = &mut open.alert;
            let mut tell = Vec::new();
            let steps = self.escalation.iter().zip(1_u32..).skip(alert.escalation_level as usize);
            for (step, level) in steps.take_while(|(step, _)| step.after <= firing) {
                if step.severity.is_none_or(|least| alert.severity >= least) {
                    alert.escalation_level = level;
                    tell.push(step.channel.clone());
                }
            }
            if !tell.is_empty() {
                alert.time = now;
                changes.push(Change { alert: alert.clone(), tell });
            }
        }
    }

    /// Open alerts, then those that are over; newest first each.
    pub fn alerts(&self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.open.values().map(|open| open.alert.clone()).collect();
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.time));
        alerts.extend(self.over.iter().cloned());
        alerts
    }

    /// Number of firing alerts that are not acknowledged.
    pub fn firing(&self) -> u64 {
        self.open.values().filter(|open| open.alert.state == AlertState::Firing).count() as u64
    }

    /// Channels that are told when an alert of this rule and scope fires. That a channel is dead is told to the others.
    pub(super) fn channels_of(&self, rule: &str, scope: &str) -> Vec<Arc<str>> {
        let own = self.turns.place(rule).and_then(|place| Some(&self.rules.get(place)?.channels)).filter(|channels| !channels.is_empty());
        let channels = own.unwrap_or(&self.default_channels);
        let Some(dead) = channel_of(rule, scope) else { return channels.clone() };
        let others = |channels: &[Arc<str>]| channels.iter().filter(|name| ***name != *dead).cloned().collect::<Vec<_>>();
        Some(others(channels)).filter(|channels| !channels.is_empty()).unwrap_or_else(|| others(&self.all_channels))
    }

    /// All channels that were notified of the firing alert, fallbacks that accepted it included.
    pub(super) fn all_told(&self, alert: &Alert) -> Vec<Arc<str>> {
        let mut channels = self.channels_of(&alert.rule, &alert.scope);
        let steps = self.escalation.iter().take(alert.escalation_level as usize);
        let steps = steps.filter(|step| step.severity.is_none_or(|least| alert.severity >= least)).map(|step| &step.channel);
        let accepted = alert.notified.iter().filter(|told| told.ok && told.state == Some(AlertState::Firing)).map(|told| &told.channel);
        for channel in steps.chain(accepted) {
            if !channels.contains(channel) {
                channels.push(channel.clone());
            }
        }
        channels
    }

    /// An alert about a channel of which this run knows nothing yet.
    fn is_untried(&self, (rule, scope): &AlertKey) -> bool {
        channel_of(rule, scope).is_some_and(|channel| {
            let health = self.health.get(channel);
            self.all_channels.iter().any(|known| **known == *channel) && matches!(health, None | Some(ChannelHealth::Unknown))
        })
    }
}

/// Beginning of the scope of an alert about a channel.
const CHANNEL_SCOPE: &str = "channel ";

/// The channel that an alert is about.
fn channel_of<'a>(rule: &str, scope: &'a str) -> Option<&'a str> {
    (rule == DEGRADED).then(|| scope.strip_prefix(CHANNEL_SCOPE)).flatten()
}

fn dead_channel(name: &str, health: &ChannelHealth) -> Option<MetricReading> {
    let ChannelHealth::Down(error) = health else { return None };
    let reason =
        format!("The alert channel {name} accepts no notifications: {error}. They are tried again; a fallback gets them meanwhile.");
    let scope = format!("{CHANNEL_SCOPE}{name}").into();
    Some(MetricReading { value: Some(1.0), samples: u64::MAX, reason: Some(reason), ..MetricReading::unread(scope) })
}

pub(super) fn passed(since: WallTime, now: WallTime) -> Duration {
    Duration::from_nanos(now.0.saturating_sub(since.0))
}
