//! Alerts as configured: thresholds, rules, channels, escalation; contradictions among them; and the settings of the alert stage made from
//! them. The keys are in `alert_keys.rs`.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ConfigProblem;
use super::channels::ChannelEntry;
use super::duration;
use crate::alert::{
    self, AlertMetric, AlertSettings, Channel, Condition, DEGRADED, Escalation, FlapSettings, GroupBy, Grouping, HOLD, KEEP_FIRING, Rule,
    RuleFilter, STANDING, Thresholds,
};
use crate::limits;
use crate::record::Severity;
use crate::record::custom::CustomMetrics;
use crate::record::metric::{Measure, RecordKind};

/// What rules are about; the first is the default.
pub(super) const KINDS: [&str; 6] = ["performance", "reliability", "resource", "agent", "cost", "business"];

/// Conditions of a rule.
pub(super) const CONDITIONS: [&str; 5] = ["above", "below", "spike", "absent", "burn_rate"];
/// Share of good ones that `burn_rate` aims at.
const OBJECTIVE: f64 = 0.999;
const HOUR: Duration = Duration::from_secs(3_600);

/// Alert rules and notifications.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts {
    /// Limits of the standing rules.
    pub thresholds: Thresholds,
    /// The user's own rules.
    pub rules: Vec<AlertRule>,
    /// Notification channels.
    pub channels: Vec<ChannelEntry>,
    /// Channels to notify when nobody acknowledges.
    pub escalation: Vec<EscalationEntry>,
    /// Address of the page in notifications.
    pub page_url: Option<String>,
    /// How few notifications are made of many alerts.
    pub damping: Damping,
}

/// Grouping and flap damping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damping {
    /// Which alerts become one notification.
    pub group_by: GroupBy,
    /// How long a notification waits for others of its group.
    pub group_wait: Duration,
    /// Firings after which an alert flaps; 0: never.
    pub flap_after: u32,
    /// Within this time.
    pub flap_window: Duration,
}

impl Default for Damping {
    fn default() -> Self {
        Self { group_by: GroupBy::Rule, group_wait: Duration::from_secs(1), flap_after: 4, flap_window: Duration::from_secs(1_800) }
    }
}

/// An entry of `alerts.rules`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertRule {
    pub(super) name: String,
    pub(super) metric: Option<AlertMetric>,
    /// The name of a business metric, which may be defined further below.
    pub(super) custom: Option<String>,
    /// Patterns by label, as written.
    pub(super) wanted: BTreeMap<String, String>,
    pub(super) by: Vec<String>,
    pub(super) above: Option<f64>,
    pub(super) below: Option<f64>,
    pub(super) critical_above: Option<f64>,
    pub(super) critical_below: Option<f64>,
    pub(super) spike: Option<f64>,
    pub(super) absent: bool,
    pub(super) burn_rate: Option<f64>,
    pub(super) objective: Option<f64>,
    pub(super) forecast: Option<Duration>,
    pub(super) window: Option<Duration>,
    pub(super) hold: Option<Duration>,
    pub(super) keep_firing: Option<Duration>,
    pub(super) min_samples: Option<u64>,
    pub(super) severity: Option<Severity>,
    pub(super) kind: Option<&'static str>,
    pub(super) channels: Vec<String>,
}

/// An entry of `alerts.escalation`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EscalationEntry {
    pub(super) after: Duration,
    pub(super) severity: Option<Severity>,
    pub(super) channel: String,
}

impl Alerts {
    /// As the alert stage takes it: all rules; perfmon's log when no channel is named; the first channel when none is the default. Without
    /// the host.
    pub fn settings(&self) -> AlertSettings {
        let mut rules = self.thresholds.rules();
        rules.extend(self.rules.iter().filter_map(AlertRule::rule));
        rules.push(alert::degraded());
        let mut channels: Vec<Channel> = self.channels.iter().map(ChannelEntry::channel).collect();
        if channels.is_empty() {
            channels.push(Channel::log());
        }
        if !channels.iter().any(|channel| channel.default) {
            channels[0].default = true;
        }
        let step =
            |entry: &EscalationEntry| Escalation { after: entry.after, severity: entry.severity, channel: entry.channel.as_str().into() };
        let Damping { group_by, group_wait, flap_after, flap_window } = self.damping;
        AlertSettings {
            rules,
            channels,
            escalation: self.escalation.iter().map(step).collect(),
            critical: self.rules.iter().filter_map(|rule| Some((rule.name.as_str().into(), rule.critical()?))).collect(),
            flapping: FlapSettings { firings: flap_after, window: flap_window },
            grouping: Grouping { by: group_by, wait: group_wait },
            ..AlertSettings::default()
        }
    }
}

impl Alerts {
    /// Finds the business metrics that rules name.
    pub(super) fn resolve(&mut self, custom: &CustomMetrics) {
        for rule in &mut self.rules {
            if let Some(name) = &rule.custom {
                rule.metric = AlertMetric::among(name, custom).ok();
            }
        }
    }

    /// Names of environment variables that hold secrets of channels.
    pub fn secret_variables(&self) -> Vec<String> {
        self.channels.iter().flat_map(ChannelEntry::secret_variables).map(String::from).collect()
    }
}

impl AlertRule {
    /// The condition; the error says what is missing or too much.
    fn condition(&self) -> Result<Condition, (&'static str, String)> {
        let given = [self.above.is_some(), self.below.is_some(), self.spike.is_some(), self.absent, self.burn_rate.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(("above", format!("give exactly one of {}", CONDITIONS.join(", "))));
        }
        let burn = self.burn_rate.map(|rate| Condition::Burn { rate, objective: self.objective.unwrap_or(OBJECTIVE) });
        let limits = self.above.map(Condition::Above).or(self.below.map(Condition::Below)).or(self.spike.map(Condition::Spike));
        Ok(limits.or(burn).unwrap_or(Condition::Absent))
    }

    /// Beyond what it is critical.
    fn critical(&self) -> Option<Condition> {
        self.critical_above.map(Condition::Above).or(self.critical_below.map(Condition::Below))
    }

    fn rule(&self) -> Option<Rule> {
        let (metric, condition) = (self.metric?, self.condition().ok()?);
        let filter = metric.labels().map(|labels| RuleFilter::new(labels, &self.wanted, &self.by)).transpose().ok()?.unwrap_or_default();
        let window = self.window.unwrap_or(match (condition, self.forecast) {
            (Condition::Burn { .. }, _) | (_, Some(_)) => HOUR,
            _ => metric.default_window(),
        });
        let absent = condition == Condition::Absent;
        Some(Rule {
            name: self.name.as_str().into(),
            metric,
            filter,
            condition,
            window,
            forecast: self.forecast,
            hold: self.hold.unwrap_or(HOLD),
            keep_firing: self.keep_firing.unwrap_or(KEEP_FIRING),
            min_samples: self.min_samples.unwrap_or(if absent { 0 } else { metric.min_samples() }),
            severity: self.severity.unwrap_or(Severity::Warning),
            kind: self.kind.unwrap_or(KINDS[0]).into(),
            channels: self.channels.iter().map(|name| name.as_str().into()).collect(),
        })
    }

    /// A critical limit is beyond the limit, on the same side of it, and of a rule that is not critical already.
    fn critical_faults(&self) -> Vec<(&'static str, String)> {
        let pairs =
            [("critical_above", self.critical_above, self.above, "above"), ("critical_below", self.critical_below, self.below, "below")];
        let mut faults = Vec::new();
        for (key, critical, limit, side) in pairs {
            let Some(critical) = critical else { continue };
            match limit {
                None => faults.push((key, format!("needs {side}"))),
                Some(limit) if (side == "above") != (critical > limit) || critical == limit => {
                    faults.push((key, format!("must be {side} the limit of {limit}")));
                }
                Some(_) if self.severity == Some(Severity::Critical) => {
                    faults.push((key, "does not go with severity = \"critical\"; leave one of them out".into()));
                }
                Some(_) => {}
            }
        }
        faults
    }

    /// What does not fit together in an entry.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let condition = self.condition();
        faults.extend(condition.clone().err());
        faults.extend(self.critical_faults());
        let Some(metric) = self.metric else { return faults };
        let what = metric.name();
        let Some(kind) = metric.kind() else {
            faults.push(("metric", format!("{what} has a rule that always stands")));
            return faults;
        };
        let labels = metric.labels().unwrap_or_default();
        if let Err(unknown) = RuleFilter::new(labels, &self.wanted, &self.by) {
            let labels = Some(alert::label_names(labels).join(", ")).filter(|names| !names.is_empty()).unwrap_or_else(|| "none".into());
            faults.extend(unknown.into_iter().map(|name| ("where", format!("{name} does not go with {what}; its labels are {labels}"))));
        }
        if self.wanted.contains_key("destination") {
            let served = ["method", "endpoint"].into_iter().filter(|label| kind == RecordKind::Request && self.wanted.contains_key(*label));
            faults.extend(served.map(|label| ("where", format!("where.{label} does not go with a rule on a destination; leave it out"))));
        }
        if let (Ok(condition), AlertMetric::Observed(named)) = (condition, metric) {
            let key = if matches!(condition, Condition::Below(_)) { "below" } else { "above" };
            faults.extend(alert::impossible(&named, condition).map(|why| (key, why)));
            if matches!(condition, Condition::Burn { .. }) && named.measure != Measure::ErrorRate {
                faults.push(("burn_rate", format!("goes with an error rate, like {}.error_rate, not with {what}", kind.name())));
            }
        }
        let given = [
            ("objective", self.objective.is_some(), self.burn_rate.is_some(), "burn_rate"),
            ("forecast", self.forecast.is_some(), self.above.is_some() || self.below.is_some(), "above or below"),
        ];
        faults.extend(
            given
                .into_iter()
                .filter(|(_, given, fits, _)| *given && !fits)
                .map(|(key, .., other)| (key, format!("goes with {other} only"))),
        );
        if self.min_samples.is_some() && kind.is_sample() {
            faults.push(("min_samples", format!("does not go with {what}; leave it out")));
        }
        if STANDING.contains(&self.name.as_str()) {
            faults.push(("name", format!("{} is a rule that always stands; set its limit in alerts.thresholds", self.name)));
        }
        if self.name == DEGRADED {
            faults.push(("name", format!("{DEGRADED} is a rule that always stands")));
        }
        faults
    }
}

/// What is wrong with rules on business metrics, which can be known only when those are.
pub(super) fn custom_problems(alerts: &Alerts, custom: &CustomMetrics, place: impl Fn(&str) -> String) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let mut say = |message: String| problems.push(ConfigProblem::new(place("alerts.rules"), message));
    for rule in &alerts.rules {
        let Some(name) = &rule.custom else { continue };
        match AlertMetric::among(name, custom) {
            Ok(_) => rule.faults().into_iter().for_each(|(key, why)| say(format!("{}: {key}: {why}", rule.name))),
            Err(why) => say(format!("{}: {why}", rule.name)),
        }
    }
    problems
}

/// Names that do not fit together.
pub(super) fn contradictions(alerts: &Alerts, place: impl Fn(&str) -> String) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let mut say = |key: &str, message: String| problems.push(ConfigProblem::new(place(key), message));
    let names: Vec<&str> = alerts.channels.iter().map(|channel| channel.name.as_str()).collect();
    // Without any channel there is the log, by that name.
    let known = |name: &str| names.contains(&name) || (names.is_empty() && name == "log");
    for (index, name) in names.iter().enumerate().filter(|(index, name)| names[..*index].contains(name)) {
        say("alerts.channels", format!("entry {} uses the name {name} again; names must be unique", index + 1));
    }
    if alerts.rules.len() > limits::ALERT_RULES {
        say("alerts.rules", format!("has {} entries; at most {} are judged", alerts.rules.len(), limits::ALERT_RULES));
    }
    let rules = alerts.settings().rules;
    let windows: BTreeSet<_> = rules.iter().flat_map(alert::shares).map(|share| (share.kind, share.length_s)).collect();
    if windows.len() > limits::RULE_WINDOWS {
        let message = format!(
            "look at {} different windows; at most {} are kept: give several rules the same window",
            windows.len(),
            limits::RULE_WINDOWS
        );
        say("alerts.rules", message);
    }
    let mut earlier = BTreeSet::new();
    for (index, rule) in alerts.rules.iter().enumerate() {
        if !earlier.insert(&rule.name) {
            say("alerts.rules", format!("entry {} uses the name {} again; names must be unique", index + 1, rule.name));
        }
        for channel in rule.channels.iter().filter(|channel| !known(channel)) {
            say("alerts.rules", format!("{}: no channel is named {channel}", rule.name));
        }
    }
    for step in alerts.escalation.iter().filter(|step| !known(&step.channel)) {
        say("alerts.escalation", format!("no channel is named {}", step.channel));
    }
    for pair in alerts.escalation.windows(2).filter(|pair| pair[1].after < pair[0].after) {
        let (late, early) = (duration::show(pair[0].after), duration::show(pair[1].after));
        say(
            "alerts.escalation",
            format!("the step after {early} comes later in the list than the step after {late}; sort the steps by time"),
        );
    }
    for channel in &alerts.channels {
        if let Some(message) = fallback_problem(alerts, channel) {
            say("alerts.channels", message);
        }
    }
    problems
}

/// Checks a channel's fallback, and its fallback's, and so on.
fn fallback_problem(alerts: &Alerts, channel: &ChannelEntry) -> Option<String> {
    let mut next = channel;
    for _ in &alerts.channels {
        let name = next.fallback.as_deref()?;
        match alerts.channels.iter().find(|known| known.name == name) {
            Some(found) => next = found,
            None if std::ptr::eq(next, channel) => {
                return Some(format!("{}: its fallback {name} is not the name of a channel", channel.name));
            }
            None => return None,
        }
    }
    Some(format!("{}: its fallbacks form a loop", channel.name))
}
