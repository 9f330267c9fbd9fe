//! Keys of alerts: thresholds, rules, channels, escalation. Names of channels and rules that must fit together are checked across keys.
use std::time::Duration;

use super::Problem;
use super::duration;
use super::key::{About, Key, show_list, show_tables, show_text, tables};
use super::keys::{about, name_of, words};
use super::node::{Checked, Fault, Node};
use super::settings::Config;
use crate::aggregate::snapshot::Window;
use crate::alert::{
    Channel, ChannelKind, Condition, Escalation, HOLD, KEEP_FIRING, MIN_SAMPLES, Metric, Rule, STANDING, Settings, Source, Thresholds,
    Where,
};
use crate::record::Severity;

const WINDOWS: [(&str, Window); 3] = [("1m", Window::Minute), ("5m", Window::FiveMinutes), ("1h", Window::Hour)];
const SEVERITIES: [(&str, Severity); 3] = [("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)];
const KINDS: [&str; 6] = ["performance", "reliability", "resource", "agent", "cost", "business"];
const CHANNELS_TO_COME: [&str; 6] = ["slack", "teams", "pagerduty", "email", "alertmanager", "command"];
const DAY: Duration = Duration::from_secs(86_400);
const LARGEST: f64 = 1e15;

/// When alerts fire, and who is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts {
    /// Limits of the rules that always stand.
    pub thresholds: Thresholds,
    /// The user's own rules.
    pub rules: Vec<AlertRule>,
    /// Where news goes.
    pub channels: Vec<ChannelEntry>,
    /// Who is told when nobody reacts.
    pub escalation: Vec<EscalationEntry>,
}

/// An entry of `alerts.rules`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertRule {
    name: String,
    metric: Option<Metric>,
    filter: Where,
    above: Option<f64>,
    below: Option<f64>,
    window: Option<Window>,
    hold: Option<Duration>,
    keep_firing: Option<Duration>,
    min_samples: Option<u64>,
    severity: Option<Severity>,
    kind: Option<&'static str>,
    channels: Vec<String>,
}

/// An entry of `alerts.channels`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelEntry {
    name: String,
    webhook: Option<bool>,
    url: Option<String>,
    default: bool,
    fallback: Option<String>,
    quiet_end: bool,
}

impl std::fmt::Debug for ChannelEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "channel {}", self.name)
    }
}

/// An entry of `alerts.escalation`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EscalationEntry {
    after: Duration,
    severity: Option<Severity>,
    channel: String,
}

impl Alerts {
    /// As the alert stage takes it: all rules; perfmon's log when no channel is named; the first channel when none is the default.
    pub fn settings(&self) -> Settings {
        let mut rules = self.thresholds.rules();
        rules.extend(self.rules.iter().filter_map(AlertRule::rule));
        let mut channels: Vec<Channel> = self.channels.iter().map(ChannelEntry::channel).collect();
        if channels.is_empty() {
            channels.push(Channel::log());
        }
        if !channels.iter().any(|channel| channel.default) {
            channels[0].default = true;
        }
        let step =
            |entry: &EscalationEntry| Escalation { after: entry.after, severity: entry.severity, channel: entry.channel.as_str().into() };
        Settings { rules, channels, escalation: self.escalation.iter().map(step).collect() }
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

    fn rule(&self) -> Option<Rule> {
        let metric = self.metric?;
        let counts = matches!(metric.name, "request.count" | "request.errors" | "request.requests_per_minute");
        let min_samples = if metric.source() == Source::Requests && !counts { MIN_SAMPLES } else { 0 };
        Some(Rule {
            name: self.name.as_str().into(),
            metric,
            filter: self.filter.clone(),
            condition: self.condition()?,
            window: self.window.unwrap_or(Window::FiveMinutes),
            hold: self.hold.unwrap_or(HOLD),
            keep_firing: self.keep_firing.unwrap_or(KEEP_FIRING),
            min_samples: self.min_samples.unwrap_or(min_samples),
            severity: self.severity.unwrap_or(Severity::Warning),
            kind: self.kind.unwrap_or(KINDS[0]).into(),
            channels: self.channels.iter().map(|name| name.as_str().into()).collect(),
        })
    }

    /// What does not fit together in an entry.
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.condition().is_none() {
            faults.push(("above", "give exactly one of above and below".into()));
        }
        let Some(metric) = self.metric else { return faults };
        let narrowed = [
            ("where.service", self.filter.service.is_some(), matches!(metric.source(), Source::Requests | Source::Processes)),
            ("where.method", self.filter.method.is_some(), metric.source() == Source::Requests && self.filter.destination.is_none()),
            ("where.endpoint", self.filter.endpoint.is_some(), metric.source() == Source::Requests && self.filter.destination.is_none()),
            ("where.destination", self.filter.destination.is_some(), metric.source() == Source::Requests),
            ("window", self.window.is_some(), metric.source() == Source::Requests),
            ("min_samples", self.min_samples.is_some(), metric.source() == Source::Requests),
        ];
        let what = if self.filter.destination.is_some() { "a rule on a destination" } else { metric.name };
        let unfit = narrowed.into_iter().filter(|(_, given, fits)| *given && !fits);
        faults.extend(unfit.map(|(key, ..)| (key, format!("does not go with {what}; leave it out"))));
        if STANDING.contains(&self.name.as_str()) {
            faults.push(("name", format!("{} is a rule that always stands; set its limit in alerts.thresholds", self.name)));
        }
        faults
    }
}

impl ChannelEntry {
    fn channel(&self) -> Channel {
        let kind = match &self.url {
            Some(url) => ChannelKind::Webhook { url: url.clone() },
            None => ChannelKind::Log,
        };
        Channel {
            name: self.name.as_str().into(),
            kind,
            default: self.default,
            fallback: self.fallback.as_deref().map(Into::into),
            send_resolved: !self.quiet_end,
        }
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        match (self.webhook, &self.url) {
            (Some(true), None) => vec![("url", "is missing; a webhook needs one".into())],
            (Some(false), Some(_)) => vec![("url", "does not go with type log; leave it out".into())],
            _ => vec![],
        }
    }

    /// Scheme and host; the rest may be a secret.
    fn shown_url(&self) -> Option<String> {
        let url = reqwest::Url::parse(self.url.as_deref()?).ok()?;
        Some(show_text(&format!("{}://{}/(not-shown)", url.scheme(), url.host_str()?)))
    }
}

/// Names that do not fit together.
pub(super) fn contradictions(alerts: &Alerts, place: impl Fn(&str) -> String) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |key: &str, message: String| problems.push(Problem::new(place(key), message));
    let names: Vec<&str> = alerts.channels.iter().map(|channel| channel.name.as_str()).collect();
    // Without any channel there is the log, by that name.
    let known = |name: &str| names.contains(&name) || (names.is_empty() && name == "log");
    for (index, name) in names.iter().enumerate().filter(|(index, name)| names[..*index].contains(name)) {
        say("alerts.channels", format!("entry {} has the name {name} of an earlier one", index + 1));
    }
    for (index, rule) in alerts.rules.iter().enumerate() {
        if alerts.rules[..index].iter().any(|earlier| earlier.name == rule.name) {
            say("alerts.rules", format!("entry {} has the name {} of an earlier one", index + 1, rule.name));
        }
        for channel in rule.channels.iter().filter(|channel| !known(channel)) {
            say("alerts.rules", format!("{}: there is no channel {channel}", rule.name));
        }
    }
    for step in alerts.escalation.iter().filter(|step| !known(&step.channel)) {
        say("alerts.escalation", format!("there is no channel {}", step.channel));
    }
    for pair in alerts.escalation.windows(2).filter(|pair| pair[1].after < pair[0].after) {
        let (late, early) = (duration::show(pair[0].after), duration::show(pair[1].after));
        say("alerts.escalation", format!("the step after {early} stands behind the one after {late}; put them in order"));
    }
    for channel in &alerts.channels {
        if let Some(message) = fallback_problem(alerts, channel) {
            say("alerts.channels", message);
        }
    }
    problems
}

/// What is wrong with a channel's fallback, and its fallback's, and so on.
fn fallback_problem(alerts: &Alerts, channel: &ChannelEntry) -> Option<String> {
    let mut next = channel;
    for _ in &alerts.channels {
        let name = next.fallback.as_deref()?;
        match alerts.channels.iter().find(|known| known.name == name) {
            Some(found) => next = found,
            None if std::ptr::eq(next, channel) => return Some(format!("{}: there is no channel {name} to fall back to", channel.name)),
            None => return None,
        }
    }
    Some(format!("{}: its fallbacks go round in a circle", channel.name))
}

/// A list of tables, then what does not fit together in each entry, at its line.
fn checked<T: Default>(
    node: &Node,
    keys: &'static [Key<T>],
    required: &[&str],
    faults_of: fn(&T) -> Vec<(&'static str, String)>,
) -> Checked<Vec<T>> {
    let entries = tables(node, keys, required)?;
    let lines = node.list(|item| Ok(item.line))?;
    let faults: Vec<Fault> = entries
        .iter()
        .zip(lines)
        .flat_map(|(entry, line)| faults_of(entry).into_iter().map(move |(key, message)| Fault { line, key: key.into(), message }))
        .collect();
    if faults.is_empty() { Ok(entries) } else { Err(faults) }
}

pub(super) const RULES: Key<Config> = Key {
    about: About {
        inner: || RULE_KEYS.iter().map(|key| key.about).collect(),
        ..about(
            "alerts.rules",
            None,
            "list of tables",
            "Your own alert rules, beside those of `alerts.thresholds`. With `where`, each endpoint, destination or process that matches is judged by itself.",
        )
    },
    set: |config, node| checked(node, RULE_KEYS, &["name", "metric"], AlertRule::faults).map(|rules| config.alerts.rules = rules),
    show: |config| show_tables(&config.alerts.rules, RULE_KEYS),
};

pub(super) const CHANNELS: Key<Config> = Key {
    about: About {
        inner: || CHANNEL_KEYS.iter().map(|key| key.about).collect(),
        ..about(
            "alerts.channels",
            None,
            "list of tables",
            "Where news of alerts goes. Without any it goes to perfmon's log, as channel `log`.",
        )
    },
    set: |config, node| {
        checked(node, CHANNEL_KEYS, &["name", "type"], ChannelEntry::faults).map(|channels| config.alerts.channels = channels)
    },
    show: |config| show_tables(&config.alerts.channels, CHANNEL_KEYS),
};

pub(super) const ESCALATION: Key<Config> = Key {
    about: About {
        inner: || ESCALATION_KEYS.iter().map(|key| key.about).collect(),
        ..about("alerts.escalation", None, "list of tables", "Who else is told when an alert fires and nobody acknowledges it, in order.")
    },
    set: |config, node| tables(node, ESCALATION_KEYS, &["after", "channel"]).map(|steps| config.alerts.escalation = steps),
    show: |config| show_tables(&config.alerts.escalation, ESCALATION_KEYS),
};

pub(super) const RESPONSE_TIME_P95: Key<Config> = Key {
    about: about(
        "alerts.thresholds.response_time_p95_ms",
        None,
        "number from 0.001 to 3600000",
        "Above this 95th percentile of response time, in ms over five minutes and at least 10 requests, `response_time_p95` fires.",
    ),
    set: |config, node| node.number(0.001, 3_600_000.0).map(|value| config.alerts.thresholds.response_time_p95_ms = value),
    show: |config| Some(config.alerts.thresholds.response_time_p95_ms.to_string()),
};

pub(super) const ERROR_RATE: Key<Config> = Key {
    about: about(
        "alerts.thresholds.error_rate_5min",
        None,
        "number from 0 to 1",
        "Above this share of failed requests, over five minutes and at least 10 requests, `error_rate_5min` fires.",
    ),
    set: |config, node| node.number(0.0, 1.0).map(|value| config.alerts.thresholds.error_rate_5min = value),
    show: |config| Some(config.alerts.thresholds.error_rate_5min.to_string()),
};

pub(super) const MEMORY_USAGE: Key<Config> = Key {
    about: about(
        "alerts.thresholds.memory_usage",
        None,
        "number from 0.01 to 1",
        "Above this share of the host's memory, for 20 s, `memory_usage` fires.",
    ),
    set: |config, node| node.number(0.01, 1.0).map(|value| config.alerts.thresholds.memory_usage = value),
    show: |config| Some(config.alerts.thresholds.memory_usage.to_string()),
};

pub(super) const CPU_USAGE: Key<Config> = Key {
    about: about(
        "alerts.thresholds.cpu_usage",
        None,
        "number from 0.01 to 1",
        "Above this share of the host's CPU time, for 20 s, `cpu_usage` fires.",
    ),
    set: |config, node| node.number(0.01, 1.0).map(|value| config.alerts.thresholds.cpu_usage = value),
    show: |config| Some(config.alerts.thresholds.cpu_usage.to_string()),
};

pub(super) const DISK_USAGE: Key<Config> = Key {
    about: about(
        "alerts.thresholds.disk_usage",
        None,
        "number from 0.01 to 1",
        "Above this share of a file system, for 20 s, `disk_usage` fires; one alert a file system.",
    ),
    set: |config, node| node.number(0.01, 1.0).map(|value| config.alerts.thresholds.disk_usage = value),
    show: |config| Some(config.alerts.thresholds.disk_usage.to_string()),
};

/// Keys of an entry of `alerts.rules`.
static RULE_KEYS: &[Key<AlertRule>] = &[
    Key {
        about: about("name", None, "text, required", "The rule's name."),
        set: |rule, node| node.text().map(|text| rule.name = text.into()),
        show: |rule| Some(show_text(&rule.name)),
    },
    Key {
        about: about(
            "metric",
            None,
            "name of a metric, required",
            "What is judged, like `request.response_time_ms.p95`, `request.error_rate`, `system.cpu_percent`, `process.memory_rss_bytes`.",
        ),
        set: |rule, node| match Metric::named(node.text()?) {
            Ok(metric) => {
                rule.metric = Some(metric);
                Ok(())
            }
            Err(why) => node.fault(why),
        },
        show: |rule| rule.metric.map(|metric| show_text(metric.name)),
    },
    Key {
        about: about("where.service", None, "service name", "Only this service."),
        set: |rule, node| words(node).map(|text| rule.filter.service = Some(text)),
        show: |rule| rule.filter.service.as_deref().map(show_text),
    },
    Key {
        about: about("where.method", None, "HTTP method", "Only requests with this method."),
        set: |rule, node| node.text().map(|text| rule.filter.method = Some(text.to_uppercase())),
        show: |rule| rule.filter.method.as_deref().map(show_text),
    },
    Key {
        about: about("where.endpoint", None, "template", "Only this endpoint, written as in `/api/v1/endpoints`."),
        set: |rule, node| words(node).map(|text| rule.filter.endpoint = Some(text)),
        show: |rule| rule.filter.endpoint.as_deref().map(show_text),
    },
    Key {
        about: about("where.destination", None, "name", "Only requests to this external service, seen from the clients on this host."),
        set: |rule, node| words(node).map(|text| rule.filter.destination = Some(text)),
        show: |rule| rule.filter.destination.as_deref().map(show_text),
    },
    Key {
        about: about("above", None, "number", "The alert fires above this. Exactly one of `above` and `below` is needed."),
        set: |rule, node| node.number(-LARGEST, LARGEST).map(|value| rule.above = Some(value)),
        show: |rule| rule.above.map(|value| value.to_string()),
    },
    Key {
        about: about("below", None, "number", "The alert fires below this."),
        set: |rule, node| node.number(-LARGEST, LARGEST).map(|value| rule.below = Some(value)),
        show: |rule| rule.below.map(|value| value.to_string()),
    },
    Key {
        about: about("spike", None, "nothing yet", "Not supported yet: refused."),
        set: |_, node| node.fault("rules on spikes are not supported yet; use above or below"),
        show: |_| None,
    },
    Key {
        about: about("absent", None, "nothing yet", "Not supported yet: refused."),
        set: |_, node| node.fault("rules on absence are not supported yet; request.count with below comes near"),
        show: |_| None,
    },
    Key {
        about: about("window", None, "`1m`, `5m` or `1h`", "Window of metrics of requests; five minutes by default."),
        set: |rule, node| node.choice(&WINDOWS).map(|value| rule.window = Some(value)),
        show: |rule| rule.window.map(|value| name_of(&WINDOWS, value)),
    },
    Key {
        about: about("for", None, "duration up to `1d`", "How long it must be so before the alert fires; `10s` by default."),
        set: |rule, node| node.duration(Duration::ZERO, DAY).map(|value| rule.hold = Some(value)),
        show: |rule| rule.hold.map(|value| show_text(&duration::show(value))),
    },
    Key {
        about: about("keep_firing_for", None, "duration up to `1d`", "How long it must be over before the alert is; `1m` by default."),
        set: |rule, node| node.duration(Duration::ZERO, DAY).map(|value| rule.keep_firing = Some(value)),
        show: |rule| rule.keep_firing.map(|value| show_text(&duration::show(value))),
    },
    Key {
        about: about(
            "min_samples",
            None,
            "integer from 0",
            "Requests that a window needs to be judged; 10 by default, 0 for counts and rates.",
        ),
        set: |rule, node| node.integer(0, i64::from(u32::MAX)).map(|value| rule.min_samples = Some(value as u64)),
        show: |rule| rule.min_samples.map(|value| value.to_string()),
    },
    Key {
        about: about("severity", None, "`info`, `warning` or `critical`", "How bad it is; `warning` by default."),
        set: |rule, node| node.choice(&SEVERITIES).map(|value| rule.severity = Some(value)),
        show: |rule| rule.severity.map(|value| name_of(&SEVERITIES, value)),
    },
    Key {
        about: about(
            "type",
            None,
            "`performance`, `reliability`, `resource`, `agent`, `cost` or `business`",
            "What it is about; `performance` by default.",
        ),
        set: |rule, node| node.choice(&KINDS.map(|kind| (kind, kind))).map(|value| rule.kind = Some(value)),
        show: |rule| rule.kind.map(show_text),
    },
    Key {
        about: about("channels", None, "list of names", "Channels that are told, instead of the default ones."),
        set: |rule, node| node.list(words).map(|names| rule.channels = names),
        show: |rule| show_list(&rule.channels, |name| show_text(name)),
    },
];

/// Keys of an entry of `alerts.channels`.
static CHANNEL_KEYS: &[Key<ChannelEntry>] = &[
    Key {
        about: about("name", None, "text, required", "The channel's name."),
        set: |channel, node| node.text().map(|text| channel.name = text.into()),
        show: |channel| Some(show_text(&channel.name)),
    },
    Key {
        about: about("type", None, "`log` or `webhook`, required", "`webhook` sends the alert's record as JSON by POST."),
        set: |channel, node| match node.text() {
            Ok(name) if CHANNELS_TO_COME.contains(&name) => node.fault(format!("{name} is not supported yet; use log or webhook")),
            _ => node.choice(&[("log", false), ("webhook", true)]).map(|value| channel.webhook = Some(value)),
        },
        show: |channel| channel.webhook.map(|webhook| show_text(if webhook { "webhook" } else { "log" })),
    },
    Key {
        about: About { secret: true, ..about("url", None, "URL", "Where a webhook is; only its host is ever shown.") },
        set: |channel, node| url(node).map(|url| channel.url = Some(url)),
        show: ChannelEntry::shown_url,
    },
    Key {
        about: about("default", None, "`true` or `false`", "Takes what no rule sends elsewhere; the first channel, when none says so."),
        set: |channel, node| node.bool().map(|value| channel.default = value),
        show: |channel| Some(channel.default.to_string()),
    },
    Key {
        about: about("fallback", None, "name of a channel", "Told instead when this one fails."),
        set: |channel, node| words(node).map(|name| channel.fallback = Some(name)),
        show: |channel| channel.fallback.as_deref().map(show_text),
    },
    Key {
        about: about("send_resolved", None, "`true` or `false`", "Whether the end of an alert is told too; so by default."),
        set: |channel, node| node.bool().map(|value| channel.quiet_end = !value),
        show: |channel| Some((!channel.quiet_end).to_string()),
    },
];

/// Keys of an entry of `alerts.escalation`.
static ESCALATION_KEYS: &[Key<EscalationEntry>] = &[
    Key {
        about: about("after", None, "duration from `1s`, required", "How long the alert has been firing."),
        set: |step, node| node.duration(Duration::from_secs(1), 7 * DAY).map(|value| step.after = value),
        show: |step| Some(show_text(&duration::show(step.after))),
    },
    Key {
        about: about("severity", None, "`info`, `warning` or `critical`", "Only for alerts at least as bad."),
        set: |step, node| node.choice(&SEVERITIES).map(|value| step.severity = Some(value)),
        show: |step| step.severity.map(|value| name_of(&SEVERITIES, value)),
    },
    Key {
        about: about("channel", None, "name of a channel, required", "Who is told."),
        set: |step, node| words(node).map(|name| step.channel = name),
        show: |step| Some(show_text(&step.channel)),
    },
];

fn url(node: &Node) -> Checked<String> {
    let text = node.text()?;
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(text.into()),
        // The text itself may hold a secret.
        _ => node.fault("is not a URL that begins with http:// or https://"),
    }
}
