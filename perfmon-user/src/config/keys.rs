//! The table of keys. The default of a key is the one in [`Config::default`]; its flag, if any, is defined in `cli`.
use std::path::PathBuf;
use std::time::Duration;

use super::duration;
use super::export_keys;
use super::http_keys;
use super::jsonl_keys;
use super::key::{About, Key, leaf, show_list, show_tables, show_text, tables};
use super::listen;
use super::node::{Checked, ConfigNode};
use super::report_keys;
use super::settings::{Config, EndpointRuleEntry, LogLevel, ServiceRuleEntry, TierSetting, Ui};
use super::{alert_keys, damping_keys, metric_keys};

const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(365 * 86_400);
const TIERS: [(&str, TierSetting); 4] =
    [("auto", TierSetting::Auto), ("1", TierSetting::One), ("2", TierSetting::Two), ("3", TierSetting::Three)];
const UIS: [(&str, Ui); 3] = [("auto", Ui::Auto), ("table", Ui::Table), ("none", Ui::None)];
const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

pub(super) const fn about(path: &'static str, flag: Option<&'static str>, takes: &'static str, text: &'static str) -> About {
    About { path, takes, text, flag, secret: false, inner: leaf }
}

/// Every key, those outside tables first.
pub(super) static KEYS: &[Key<Config>] = &[
    Key {
        about: about(
            "listen",
            Some("--listen"),
            "`address:port` or `unix:/path`, or a list of them",
            "Addresses of the HTTP server. One other than loopback requires `http.token`. Port 0 selects a free port. The file of a unix socket is its owner's alone (0600), or, when `http.allow_groups` names one group, that group's too (0660).",
        ),
        set: |config, node| listen::read(node).map(|value| config.listen = value),
        show: |config| listen::show(&config.listen),
    },
    jsonl_keys::JSONL,
    jsonl_keys::JSONL_MAX,
    Key {
        about: about(
            "db",
            Some("--db"),
            "path",
            "File of the history on disk. It and its folder are created if needed, readable only by you.",
        ),
        set: |config, node| node.text().map(|text| config.db = PathBuf::from(text)),
        show: |config| Some(show_text(&config.db.to_string_lossy())),
    },
    Key {
        about: about("no_store", Some("--no-store"), "`true` or `false`", "Keep no history on disk."),
        set: |config, node| node.bool().map(|value| config.no_store = value),
        show: |config| Some(config.no_store.to_string()),
    },
    Key {
        about: about(
            "ui",
            Some("--ui"),
            "`auto`, `table` or `none`",
            "The live table: `auto` shows it on a terminal, `table` prints plain lines elsewhere.",
        ),
        set: |config, node| node.choice(&UIS).map(|value| config.ui = value),
        show: |config| Some(name_of(&UIS, config.ui)),
    },
    Key {
        about: about(
            "duration",
            Some("--duration"),
            "duration from `1s`",
            "End after this time; without it perfmon runs until it is stopped.",
        ),
        set: |config, node| node.duration(SECOND, YEAR).map(|value| config.duration = Some(value)),
        show: |config| config.duration.map(|value| show_text(&duration::show(value))),
    },
    Key {
        about: about(
            "log",
            Some("--log"),
            "`error`, `warn`, `info`, `debug` or `trace`",
            "Least severe message written to standard error.",
        ),
        set: |config, node| node.choice(&LEVELS).map(|value| config.log = value),
        show: |config| Some(name_of(&LEVELS, config.log)),
    },
    Key {
        about: About {
            inner: || ENDPOINT_KEYS.iter().map(|key| key.about).collect(),
            ..about(
                "endpoints",
                None,
                "list of tables",
                "Your own endpoint templates. They win over the ones that perfmon finds; the first that matches counts.",
            )
        },
        set: |config, node| tables(node, ENDPOINT_KEYS, &["pattern"]).map(|rules| config.endpoints = rules),
        show: |config| show_tables(&config.endpoints, ENDPOINT_KEYS),
    },
    Key {
        about: About {
            inner: || SERVICE_KEYS.iter().map(|key| key.about).collect(),
            ..about(
                "services",
                None,
                "list of tables",
                "Your own service names; the first rule that matches a process counts. Each has exactly one of `exe` and `port`.",
            )
        },
        set: |config, node| tables(node, SERVICE_KEYS, &["name"]).map(|rules| config.services = rules),
        show: |config| show_tables(&config.services, SERVICE_KEYS),
    },
    metric_keys::METRICS,
    Key {
        about: about(
            "capture.tier",
            Some("--capture-tier"),
            "`auto`, `1`, `2` or `3`",
            "How socket operations are seen: `1` by the kernel's socket tracepoints (Linux 6.3), `2` by the exit of its socket functions (5.10), `3` by the one for all system calls, `auto` by the cheapest that works here.",
        ),
        set: |config, node| node.choice(&TIERS).map(|value| config.capture.tier = value),
        show: |config| Some(name_of(&TIERS, config.capture.tier)),
    },
    Key {
        about: about(
            "capture.ring_mib",
            None,
            "power of two from 1 to 512",
            "Size in MiB of the ring between the kernel and perfmon; else 4 for each core, from 8 to 64, at most 1/256 of the memory and 1/16 of the limit of perfmon's own cgroup. A larger one bridges longer bursts and costs that much memory. While half of it waits to be read, 4 KiB of a message and the head of each further operation are captured, while seven eighths do, 1 KiB of a message; sizes stay exact.",
        ),
        set: |config, node| power_of_two(node).map(|value| config.capture.ring_mib = Some(value)),
        show: |config| config.capture.ring_mib.map(|mib| mib.to_string()),
    },
    Key {
        about: about("capture.request_budget", None, "integer from 256 to 262144", "Bytes captured at the beginning of each request."),
        set: |config, node| bytes(node, 256).map(|value| config.capture.request_budget = value),
        show: |config| Some(config.capture.request_budget.to_string()),
    },
    Key {
        about: about("capture.response_budget", None, "integer from 256 to 262144", "Bytes captured at the beginning of each answer."),
        set: |config, node| bytes(node, 256).map(|value| config.capture.response_budget = value),
        show: |config| Some(config.capture.response_budget.to_string()),
    },
    Key {
        about: about(
            "capture.operation_head",
            None,
            "integer from 0 to 262144",
            "Bytes captured of each further operation of the same request or answer.",
        ),
        set: |config, node| bytes(node, 0).map(|value| config.capture.operation_head = value),
        show: |config| Some(config.capture.operation_head.to_string()),
    },
    Key {
        about: about(
            "capture.tls",
            None,
            "`true` or `false`",
            "Read the plaintext at TLS libraries. Without it only name, times and sizes of encrypted connections are known.",
        ),
        set: |config, node| node.bool().map(|value| config.capture.tls = value),
        show: |config| Some(config.capture.tls.to_string()),
    },
    Key {
        about: about(
            "capture.models",
            None,
            "`true` or `false`",
            "Recognise model calls and agents, for which the bodies of model calls are read as they pass; their content is never kept.",
        ),
        set: |config, node| node.bool().map(|value| config.capture.models = value),
        show: |config| Some(config.capture.models.to_string()),
    },
    Key {
        about: about(
            "records.raw_paths",
            None,
            "`true` or `false`",
            "Keep paths as they are: with `;parameters`, and with tokens in place of `{token}`. Records, history and telemetry then hold secrets.",
        ),
        set: |config, node| node.bool().map(|value| config.records.raw_paths = value),
        show: |config| Some(config.records.raw_paths.to_string()),
    },
    Key {
        about: about(
            "tls.return_probes",
            None,
            "`true` or `false`",
            "Also read TLS libraries whose code holds no instruction that is known to be safe to probe (LibreSSL, BoringSSL as `libssl.so`, every library on aarch64), by return probes. Danger: a return probe rewrites the return address on the stack, which kills every program that switches stacks within such a call (coroutines in C++), watched or not.",
        ),
        set: |config, node| node.bool().map(|value| config.capture.return_probes = value),
        show: |config| Some(config.capture.return_probes.to_string()),
    },
    Key {
        about: about(
            "resources.enabled",
            None,
            "`true` or `false`",
            "Sample the host and the watched processes once a second: CPU, memory, disks, network.",
        ),
        set: |config, node| node.bool().map(|value| config.resources = value),
        show: |config| Some(config.resources.to_string()),
    },
    Key {
        about: about(
            "privileges.hardening",
            None,
            "`true` or `false`",
            "Give up capabilities, new privileges, core dumps and system calls that are not needed, once the probes are attached. Switch it off only when it stands in the way.",
        ),
        set: |config, node| node.bool().map(|value| config.hardening = value),
        show: |config| Some(config.hardening.to_string()),
    },
    Key {
        about: about(
            "store.max_bytes",
            None,
            "integer from 1048576",
            "Maximum size of the history on disk in bytes; beyond it the oldest content is removed, figures of ten seconds and single records first.",
        ),
        set: |config, node| node.integer(1 << 20, i64::MAX).map(|value| config.store.max_bytes = value as u64),
        show: |config| Some(config.store.max_bytes.to_string()),
    },
    Key {
        about: about("store.keep_seconds", None, "duration from `1h`", "How long figures of ten seconds are kept."),
        set: |config, node| node.duration(HOUR, 10 * YEAR).map(|value| config.store.keep_seconds = value),
        show: |config| Some(show_text(&duration::show(config.store.keep_seconds))),
    },
    Key {
        about: about("store.keep_minutes", None, "duration from `1h`", "How long figures of a minute are kept."),
        set: |config, node| node.duration(HOUR, 10 * YEAR).map(|value| config.store.keep_minutes = value),
        show: |config| Some(show_text(&duration::show(config.store.keep_minutes))),
    },
    Key {
        about: about("store.keep_hours", None, "duration from `1h`", "How long figures of an hour are kept."),
        set: |config, node| node.duration(HOUR, 10 * YEAR).map(|value| config.store.keep_hours = value),
        show: |config| Some(show_text(&duration::show(config.store.keep_hours))),
    },
    Key {
        about: about(
            "store.keep_records",
            None,
            "duration from `1h`",
            "How long model calls, agent runs, tools, findings, alerts, and slow and failed requests and database commands, one by one, are kept.",
        ),
        set: |config, node| node.duration(HOUR, 10 * YEAR).map(|value| config.store.keep_records = value),
        show: |config| Some(show_text(&duration::show(config.store.keep_records))),
    },
    report_keys::DAILY,
    report_keys::WEEKLY,
    report_keys::TIMEZONE,
    report_keys::CHANNELS,
    Key {
        about: about(
            "targets.pid",
            Some("--pid"),
            "list of process ids",
            "Watch these processes, with their children unless `targets.follow` is false.",
        ),
        set: |config, node| node.list(pid).map(|pids| config.targets.pid = pids),
        show: |config| show_list(&config.targets.pid, u32::to_string),
    },
    Key {
        about: about(
            "targets.exe",
            Some("--exe"),
            "list of globs",
            "Watch processes whose executable or script matches, like `nginx` or `/opt/shop/*`.",
        ),
        set: |config, node| node.list(glob).map(|globs| config.targets.exe = globs),
        show: |config| show_list(&config.targets.exe, |glob| show_text(glob)),
    },
    Key {
        about: about("targets.port", Some("--port"), "list of TCP ports", "Watch the processes that listen on these ports."),
        set: |config, node| node.list(port).map(|ports| config.targets.port = ports),
        show: |config| show_list(&config.targets.port, u16::to_string),
    },
    Key {
        about: about(
            "targets.container",
            Some("--container"),
            "list of container ids or names",
            "Watch the processes of these containers.",
        ),
        set: |config, node| node.list(words).map(|names| config.targets.container = names),
        show: |config| show_list(&config.targets.container, |name| show_text(name)),
    },
    Key {
        about: about(
            "targets.cgroup",
            Some("--cgroup"),
            "list of paths",
            "Watch the processes of these control groups and those below them.",
        ),
        set: |config, node| node.list(words).map(|paths| config.targets.cgroup = paths),
        show: |config| show_list(&config.targets.cgroup, |path| show_text(path)),
    },
    Key {
        about: about(
            "targets.all",
            Some("--all"),
            "`true` or `false`",
            "Watch every process, whatever other targets are given. This is the default when there are none.",
        ),
        set: |config, node| node.bool().map(|value| config.targets.all = value),
        show: |config| Some(config.targets.all.to_string()),
    },
    Key {
        about: about("targets.follow", Some("--no-follow"), "`true` or `false`", "Watch the children of watched processes too."),
        set: |config, node| node.bool().map(|value| config.targets.follow = value),
        show: |config| Some(config.targets.follow.to_string()),
    },
    Key {
        about: about(
            "targets.wait",
            Some("--wait"),
            "`true` or `false`",
            "Wait for targets that do not exist yet instead of refusing to start.",
        ),
        set: |config, node| node.bool().map(|value| config.targets.wait = value),
        show: |config| Some(config.targets.wait.to_string()),
    },
    http_keys::HOSTS,
    http_keys::TOKEN,
    http_keys::TOKEN_FILE,
    http_keys::ALLOW_USERS,
    http_keys::ALLOW_GROUPS,
    http_keys::LOOPBACK,
    http_keys::TLS_CERT,
    http_keys::TLS_KEY,
    http_keys::TLS_CA,
    Key {
        about: about("alerts.enabled", None, "`true` or `false`", "Evaluate the alert rules. When false, no alert fires."),
        set: |config, node| node.bool().map(|value| config.alerting = value),
        show: |config| Some(config.alerting.to_string()),
    },
    alert_keys::RULES,
    alert_keys::CHANNELS,
    alert_keys::ESCALATION,
    alert_keys::PAGE_URL,
    damping_keys::GROUP_BY,
    damping_keys::GROUP_WAIT,
    damping_keys::FLAP_AFTER,
    damping_keys::FLAP_WINDOW,
    alert_keys::RESPONSE_TIME_P95,
    alert_keys::ERROR_RATE,
    alert_keys::MEMORY_USAGE,
    alert_keys::CPU_USAGE,
    alert_keys::DISK_USAGE,
    export_keys::INTERVAL,
    export_keys::SPAN_RATE,
    export_keys::METRICS_ONLY,
    export_keys::QUEUE,
    export_keys::ENVIRONMENT,
    export_keys::SERVICE_NAME,
    export_keys::RESOURCE_ATTRIBUTES,
    export_keys::LOGFIRE_TOKEN,
    export_keys::LOGFIRE_BASE_URL,
    export_keys::LOGFIRE_SEND,
    export_keys::OTLP_ENDPOINT,
    export_keys::OTLP_HEADERS,
    export_keys::OTLP_TIMEOUT,
    export_keys::OTLP_COMPRESSION,
];

/// The shortest time that history may be kept.
const HOUR: Duration = Duration::from_secs(3_600);

/// Keys of an entry of `endpoints`.
static ENDPOINT_KEYS: &[Key<EndpointRuleEntry>] = &[
    Key {
        about: about(
            "pattern",
            None,
            "template, required",
            "The template, beginning with `/`: `{name}` and `*` stand for any text within a segment, a segment `**` for any number of segments.",
        ),
        set: |rule, node| pattern(node).map(|value| rule.pattern = value),
        show: |rule| Some(show_text(&rule.pattern)),
    },
    Key {
        about: about("method", None, "HTTP method", "Only requests with this method."),
        set: |rule, node| node.text().map(|text| rule.method = Some(text.to_uppercase())),
        show: |rule| rule.method.as_deref().map(show_text),
    },
    Key {
        about: about("service", None, "service name", "Only requests of this service."),
        set: |rule, node| node.text().map(|text| rule.service = Some(text.into())),
        show: |rule| rule.service.as_deref().map(show_text),
    },
];

/// Keys of an entry of `services`.
static SERVICE_KEYS: &[Key<ServiceRuleEntry>] = &[
    Key {
        about: about("name", None, "text, required", "The service name."),
        set: |rule, node| node.text().map(|text| rule.name = text.into()),
        show: |rule| Some(show_text(&rule.name)),
    },
    Key {
        about: about("exe", None, "glob", "Processes whose executable or script matches."),
        set: |rule, node| glob(node).map(|value| rule.exe = Some(value)),
        show: |rule| rule.exe.as_deref().map(show_text),
    },
    Key {
        about: about("port", None, "TCP port", "Processes that listen on this port."),
        set: |rule, node| port(node).map(|value| rule.port = Some(value)),
        show: |rule| rule.port.map(|port| port.to_string()),
    },
];

pub(super) fn name_of<T: Copy + PartialEq>(choices: &[(&str, T)], value: T) -> String {
    choices.iter().find(|(_, choice)| *choice == value).map_or(String::new(), |(name, _)| show_text(name))
}

fn power_of_two(node: &ConfigNode) -> Checked<u32> {
    let value = node.integer(1, 512)? as u32;
    if value.is_power_of_two() {
        Ok(value)
    } else {
        node.fault(format!("{value} is not a power of two; the next one is {}", value.next_power_of_two()))
    }
}

fn bytes(node: &ConfigNode, least: i64) -> Checked<u32> {
    node.integer(least, 262_144).map(|value| value as u32)
}

fn pid(node: &ConfigNode) -> Checked<u32> {
    node.integer(1, i64::from(i32::MAX)).map(|value| value as u32)
}

fn port(node: &ConfigNode) -> Checked<u16> {
    node.integer(1, 65_535).map(|value| value as u16)
}

pub(super) fn words(node: &ConfigNode) -> Checked<String> {
    node.text().map(String::from)
}

fn glob(node: &ConfigNode) -> Checked<String> {
    let text = node.text()?;
    match globset::Glob::new(text) {
        Ok(_) => Ok(text.into()),
        Err(error) => node.fault(format!("{text:?} is not a glob: {}", error.kind())),
    }
}

fn pattern(node: &ConfigNode) -> Checked<String> {
    let text = node.text()?;
    if !text.starts_with('/') || text.contains(['?', '#']) {
        return node.fault(format!("{text:?} must begin with / and hold no query, like /users/{{id}}"));
    }
    let parameters = |segment: &str| segment.split('{').skip(1).all(|rest| rest.find('}').is_some_and(|end| end > 0));
    let braces = |segment: &str| segment.matches('{').count() == segment.matches('}').count();
    if text.split('/').all(|segment| braces(segment) && parameters(segment)) {
        Ok(text.into())
    } else {
        node.fault(format!("{text:?}: a parameter is a name in braces within a segment, like /users/{{id}}"))
    }
}
