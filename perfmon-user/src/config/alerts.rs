//! Alerts as configured: thresholds, rules, channels, escalation; contradictions among them; and the settings of the alert stage made from
//! them. The keys are in `alert_keys.rs`.
use std::time::Duration;

use super::ConfigProblem;
use super::channels::ChannelEntry;
use super::duration;
use crate::aggregate::snapshot::Window;
use crate::alert::{
    self, AlertMetric, AlertSettings, Channel, Condition, DEGRADED, Escalation, FlapSettings, GroupBy, Grouping, HOLD, KEEP_FIRING,
    MetricSource, Rule, RuleFilter, STANDING, Thresholds,
};
use crate::record::Severity;

/// What rules are about; the first is the default.
pub(super) const KINDS: [&str; 6] = ["performance", "reliability", "resource", "agent", "cost", "business"];

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
    pub(super) filter: RuleFilter,
    pub(super) above: Option<f64>,
    pub(super) below: Option<f64>,
    pub(super) critical_above: Option<f64>,
    pub(super) critical_below: Option<f64>,
    pub(super) window: Option<Window>,
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
    /// Names of environment variables that hold secrets of channels.
    pub fn secret_variables(&self) -> Vec<String> {
        self.channels.iter().flat_map(ChannelEntry::secret_variables).map(String::from).collect()
    }
}

impl AlertRule {
    fn condition(&self) -> Option<Condition> {
        match (self.above, self.below) {
            (Some(limit), None) => Some(Condition::Above(limit)),
            (None, Some(limit)) => Some(Condition::Below(limit)),
            _ => None,
        }
    }

    /// Beyond what it is critical.
    fn critical(&self) -> Option<Condition> {
        self.critical_above.map(Condition::Above).or(self.critical_below.map(Condition::Below))
    }

    fn rule(&self) -> Option<Rule> {
        let metric = self.metric?;
        Some(Rule {
            name: self.name.as_str().into(),
            metric,
            filter: self.filter.clone(),
            condition: self.condition()?,
            window: self.window.unwrap_or(Window::FiveMinutes),
            hold: self.hold.unwrap_or(HOLD),
            keep_firing: self.keep_firing.unwrap_or(KEEP_FIRING),
            min_samples: self.min_samples.unwrap_or(metric.min_samples()),
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
        if self.condition().is_none() {
            faults.push(("above", "give exactly one of above and below".into()));
        }
        faults.extend(self.critical_faults());
        let Some(metric) = self.metric else { return faults };
        let narrowed = [
            ("where.service", self.filter.service.is_some(), matches!(metric.source(), MetricSource::Requests | MetricSource::Processes)),
            ("where.method", self.filter.method.is_some(), metric.source() == MetricSource::Requests && self.filter.destination.is_none()),
            (
                "where.endpoint",
                self.filter.endpoint.is_some(),
                metric.source() == MetricSource::Requests && self.filter.destination.is_none(),
            ),
            ("where.destination", self.filter.destination.is_some(), metric.source() == MetricSource::Requests),
            ("window", self.window.is_some(), metric.of_window()),
            ("min_samples", self.min_samples.is_some(), metric.of_window()),
        ];
        let what = if self.filter.destination.is_some() { "a rule on a destination".into() } else { metric.name() };
        let unfit = narrowed.into_iter().filter(|(_, given, fits)| *given && !fits);
        faults.extend(unfit.map(|(key, ..)| (key, format!("does not go with {what}; leave it out"))));
        if STANDING.contains(&self.name.as_str()) {
            faults.push(("name", format!("{} is a rule that always stands; set its limit in alerts.thresholds", self.name)));
        }
        if self.name == DEGRADED {
            faults.push(("name", format!("{DEGRADED} is a rule that always stands")));
        }
        faults
    }
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
    for (index, rule) in alerts.rules.iter().enumerate() {
        if alerts.rules[..index].iter().any(|earlier| earlier.name == rule.name) {
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
