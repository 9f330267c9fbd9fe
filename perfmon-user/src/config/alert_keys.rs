//! Keys of alerts: thresholds, rules, channels, escalation.
use std::time::Duration;

use super::alerts::{AlertRule, EscalationEntry, KINDS};
use super::channel_keys::CHANNEL_KEYS;
use super::channels::ChannelEntry;
use super::duration;
use super::export::is_web;
use super::key::{About, Key, show_list, show_tables, show_text, tables, tables_from};
use super::keys::{about, name_of, words};
use super::metric_keys::pattern;
use super::node::{Checked, ConfigNode, Fault};
use super::settings::Config;
use crate::alert::AlertMetric;
use crate::record::Severity;
use crate::record::custom::PREFIX;

const SEVERITIES: [(&str, Severity); 3] = [("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)];
const DAY: Duration = Duration::from_secs(86_400);
const LARGEST: f64 = 1e15;

/// A list of tables, then what does not fit together in each entry, at its line.
fn checked<T: Default>(
    node: &ConfigNode,
    keys: &'static [Key<T>],
    required: &[&str],
    faults_of: fn(&T) -> Vec<(&'static str, String)>,
) -> Checked<Vec<T>> {
    fitting(node, tables(node, keys, required)?, faults_of)
}

fn fitting<T>(node: &ConfigNode, entries: Vec<T>, faults_of: fn(&T) -> Vec<(&'static str, String)>) -> Checked<Vec<T>> {
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
            "Your own alert rules, in addition to `alerts.thresholds`. With `where`, each matching service, endpoint, destination or process is evaluated separately.",
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
            "Notification channels. Without one, notifications go to perfmon's log, as channel `log`.",
        )
    },
    set: |config, node| {
        let new = || ChannelEntry { asks_only: config.asks_only, ..ChannelEntry::default() };
        let channels = tables_from(node, CHANNEL_KEYS, &["name", "type"], new)?;
        fitting(node, channels, ChannelEntry::faults).map(|channels| config.alerts.channels = channels)
    },
    show: |config| show_tables(&config.alerts.channels, CHANNEL_KEYS),
};

pub(super) const ESCALATION: Key<Config> = Key {
    about: About {
        inner: || ESCALATION_KEYS.iter().map(|key| key.about).collect(),
        ..about(
            "alerts.escalation",
            None,
            "list of tables",
            "Further channels to notify while a firing alert is not acknowledged, in order.",
        )
    },
    set: |config, node| tables(node, ESCALATION_KEYS, &["after", "channel"]).map(|steps| config.alerts.escalation = steps),
    show: |config| show_tables(&config.alerts.escalation, ESCALATION_KEYS),
};

pub(super) const PAGE_URL: Key<Config> = Key {
    about: about(
        "alerts.page_url",
        None,
        "URL",
        "Address at which people reach perfmon's page, for the links in notifications; by default the first address of `listen`.",
    ),
    set: |config, node| {
        let text = node.text()?;
        if is_web(text) {
            config.alerts.page_url = Some(text.trim_end_matches('/').into());
            Ok(())
        } else {
            node.fault("is not a URL that begins with http:// or https://")
        }
    },
    show: |config| config.alerts.page_url.as_deref().map(show_text),
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
        "Above this share of a file system, for 20 s, `disk_usage` fires; one alert for each file system.",
    ),
    set: |config, node| node.number(0.01, 1.0).map(|value| config.alerts.thresholds.disk_usage = value),
    show: |config| Some(config.alerts.thresholds.disk_usage.to_string()),
};

/// A label of `where`.
macro_rules! label {
    ($path:literal, $name:literal, $kind:literal, $what:literal) => {
        Key {
            about: about($path, None, $kind, $what),
            set: |rule, node| words(node).map(|text| drop(rule.wanted.insert($name.into(), text))),
            show: |rule| rule.wanted.get($name).map(|text| show_text(text)),
        }
    };
}

/// The same for labels that business metrics may have.
macro_rules! custom_label {
    ($path:literal, $name:literal) => {
        Key {
            about: about($path, None, "value or pattern", "Only this, of business metrics that have it in their `by`."),
            set: |rule, node| pattern(node).map(|text| drop(rule.wanted.insert($name.into(), text))),
            show: |rule| rule.wanted.get($name).map(|text| show_text(text)),
        }
    };
}

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
            "What the rule evaluates, like `request.response_time_ms.p95`, `request.error_rate`, `llm.cost_usd.sum`, `system.cpu_percent`, `process.memory_rss_bytes`.",
        ),
        set: |rule, node| match AlertMetric::named(node.text()?) {
            // Looked for when the whole configuration is known.
            _ if node.text()?.starts_with(PREFIX) => {
                rule.custom = Some(node.text()?.into());
                Ok(())
            }
            Ok(metric) => {
                rule.metric = Some(metric);
                Ok(())
            }
            Err(why) => node.fault(why),
        },
        show: |rule| rule.custom.as_deref().map(show_text).or_else(|| rule.metric.map(|metric| show_text(&metric.name()))),
    },
    label!(
        "where.service",
        "service",
        "name or pattern",
        "Only this service. In each `where`, `*` stands for any text, and each match is judged by itself."
    ),
    label!(
        "where.side",
        "side",
        "`server` or `client`",
        "Only this end of requests or model calls; requests are those served here, unless `where.destination` is given."
    ),
    label!("where.method", "method", "HTTP method", "Only requests with this method."),
    label!("where.endpoint", "endpoint", "template or pattern", "Only this endpoint, written as in `/api/v1/endpoints`."),
    label!(
        "where.destination",
        "destination",
        "name or pattern",
        "Only requests to this external service, seen from the clients on this host, or model calls to it."
    ),
    label!("where.provider", "provider", "name or pattern", "Only model calls of this provider."),
    label!("where.model", "model", "name or pattern", "Only calls of this model, as requested."),
    label!("where.agent", "agent", "name or pattern", "Only runs of this type of agent."),
    label!("where.tool", "tool", "name or pattern", "Only calls of this tool."),
    label!("where.source", "source", "name or pattern", "Only tools from this source."),
    label!("where.server", "server", "name or pattern", "Only tools of this MCP server."),
    label!("where.workflow", "workflow", "name or pattern", "Only this workflow."),
    label!("where.pid", "pid", "number or pattern", "Only this process."),
    label!("where.mount", "mount", "path or pattern", "Only this file system, of metrics that begin with `disk.`."),
    label!("where.type", "type", "name or pattern", "Only findings of this type."),
    label!("where.severity", "severity", "name or pattern", "Only findings of this severity."),
    label!("where.scope", "scope", "text or pattern", "Only findings about this."),
    custom_label!("where.api", "api"),
    custom_label!("where.comm", "comm"),
    custom_label!("where.container", "container"),
    custom_label!("where.database", "database"),
    custom_label!("where.error", "error"),
    custom_label!("where.error_type", "error_type"),
    custom_label!("where.finish_reason", "finish_reason"),
    custom_label!("where.grpc_status", "grpc_status"),
    custom_label!("where.host", "host"),
    custom_label!("where.name", "name"),
    custom_label!("where.operation", "operation"),
    custom_label!("where.path", "path"),
    custom_label!("where.performance_category", "performance_category"),
    custom_label!("where.protocol", "protocol"),
    custom_label!("where.rcode", "rcode"),
    custom_label!("where.response_model", "response_model"),
    custom_label!("where.rule", "rule"),
    custom_label!("where.runtime", "runtime"),
    custom_label!("where.state", "state"),
    custom_label!("where.status", "status"),
    custom_label!("where.status_code", "status_code"),
    custom_label!("where.success", "success"),
    custom_label!("where.system", "system"),
    custom_label!("where.target", "target"),
    custom_label!("where.transport", "transport"),
    Key {
        about: about(
            "by",
            None,
            "list of labels",
            "Judges each value of these labels by itself, like `by = [\"endpoint\"]`; all together by default.",
        ),
        set: |rule, node| node.list(words).map(|labels| rule.by = labels),
        show: |rule| show_list(&rule.by, |label| show_text(label)),
    },
    Key {
        about: about(
            "above",
            None,
            "number",
            "The alert fires above this. Exactly one of `above`, `below`, `spike`, `absent` and `burn_rate` is needed.",
        ),
        set: |rule, node| node.number(-LARGEST, LARGEST).map(|value| rule.above = Some(value)),
        show: |rule| rule.above.map(|value| value.to_string()),
    },
    Key {
        about: about("below", None, "number", "The alert fires below this."),
        set: |rule, node| node.number(-LARGEST, LARGEST).map(|value| rule.below = Some(value)),
        show: |rule| rule.below.map(|value| value.to_string()),
    },
    Key {
        about: about(
            "critical_above",
            None,
            "number",
            "Above this, for as long as `for` says, the alert becomes critical: it is notified again, and its escalation starts anew.",
        ),
        set: |rule, node| node.number(-LARGEST, LARGEST).map(|value| rule.critical_above = Some(value)),
        show: |rule| rule.critical_above.map(|value| value.to_string()),
    },
    Key {
        about: about("critical_below", None, "number", "The same below this, for rules with `below`."),
        set: |rule, node| node.number(-LARGEST, LARGEST).map(|value| rule.critical_below = Some(value)),
        show: |rule| rule.critical_below.map(|value| value.to_string()),
    },
    Key {
        about: about(
            "spike",
            None,
            "number above 1",
            "The alert fires above so many times what is usual: the median of the same hour of earlier days or, until two are known, of the last values. The value must stand out of their spread too.",
        ),
        set: |rule, node| node.number(1.01, 1_000.0).map(|value| rule.spike = Some(value)),
        show: |rule| rule.spike.map(|value| value.to_string()),
    },
    Key {
        about: about(
            "absent",
            None,
            "`true`",
            "The alert fires when nothing came in the window: of what `where` names, or of any group of it that came in the last day.",
        ),
        set: |rule, node| node.bool().map(|value| rule.absent = value),
        show: |rule| rule.absent.then(|| "true".into()),
    },
    Key {
        about: about(
            "burn_rate",
            None,
            "number from 1",
            "For error rates: the alert fires when the error budget of `objective` is spent so many times as fast as it may be, over the window (1 h by default) and over a twelfth of it.",
        ),
        set: |rule, node| node.number(1.0, 1_000_000.0).map(|value| rule.burn_rate = Some(value)),
        show: |rule| rule.burn_rate.map(|value| value.to_string()),
    },
    Key {
        about: about(
            "objective",
            None,
            "number from 0 to 1",
            "Share of good requests, calls or runs that `burn_rate` aims at; 0.999 by default.",
        ),
        set: |rule, node| node.number(0.0, 0.999_999_9).map(|value| rule.objective = Some(value)),
        show: |rule| rule.objective.map(|value| value.to_string()),
    },
    Key {
        about: about(
            "forecast",
            None,
            "duration up to `31d`",
            "Judges the value that the metric has after this time if it goes on as in the window (1 h by default), like `above = 0.9` and `forecast = \"24h\"` on `disk_usage`.",
        ),
        set: |rule, node| node.duration(Duration::from_secs(60), 31 * DAY).map(|value| rule.forecast = Some(value)),
        show: |rule| rule.forecast.map(|value| show_text(&duration::show(value))),
    },
    Key {
        about: about(
            "window",
            None,
            "duration from `10s` to `31d`",
            "What the metric is taken over; five minutes by default, and the newest sample of metrics of samples (`system.…`, `process.…`, `disk.…`).",
        ),
        set: |rule, node| node.duration(Duration::from_secs(10), 31 * DAY).map(|value| rule.window = Some(value)),
        show: |rule| rule.window.map(|value| show_text(&duration::show(value))),
    },
    Key {
        about: about("for", None, "duration up to `1d`", "How long the condition must hold before the alert fires; `10s` by default."),
        set: |rule, node| node.duration(Duration::ZERO, DAY).map(|value| rule.hold = Some(value)),
        show: |rule| rule.hold.map(|value| show_text(&duration::show(value))),
    },
    Key {
        about: about(
            "keep_firing_for",
            None,
            "duration up to `1d`",
            "How long the condition must be false before the alert is resolved; `1m` by default.",
        ),
        set: |rule, node| node.duration(Duration::ZERO, DAY).map(|value| rule.keep_firing = Some(value)),
        show: |rule| rule.keep_firing.map(|value| show_text(&duration::show(value))),
    },
    Key {
        about: about(
            "min_samples",
            None,
            "integer from 0",
            "Least number of requests, calls or runs in a window for the rule to be evaluated; 10 by default, 0 for counts and sums.",
        ),
        set: |rule, node| node.integer(0, i64::from(u32::MAX)).map(|value| rule.min_samples = Some(value as u64)),
        show: |rule| rule.min_samples.map(|value| value.to_string()),
    },
    Key {
        about: about("severity", None, "`info`, `warning` or `critical`", "Severity of the alert; `warning` by default."),
        set: |rule, node| node.choice(&SEVERITIES).map(|value| rule.severity = Some(value)),
        show: |rule| rule.severity.map(|value| name_of(&SEVERITIES, value)),
    },
    Key {
        about: about(
            "type",
            None,
            "`performance`, `reliability`, `resource`, `agent`, `cost` or `business`",
            "Category of the alert; `performance` by default.",
        ),
        set: |rule, node| node.choice(&KINDS.map(|kind| (kind, kind))).map(|value| rule.kind = Some(value)),
        show: |rule| rule.kind.map(show_text),
    },
    Key {
        about: about("channels", None, "list of names", "Channels to notify, instead of the default ones."),
        set: |rule, node| node.list(words).map(|names| rule.channels = names),
        show: |rule| show_list(&rule.channels, |name| show_text(name)),
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
        about: about("severity", None, "`info`, `warning` or `critical`", "Only for alerts of at least this severity."),
        set: |step, node| node.choice(&SEVERITIES).map(|value| step.severity = Some(value)),
        show: |step| step.severity.map(|value| name_of(&SEVERITIES, value)),
    },
    Key {
        about: about("channel", None, "name of a channel, required", "Channel to notify."),
        set: |step, node| words(node).map(|name| step.channel = name),
        show: |step| Some(show_text(&step.channel)),
    },
];
