//! The families of `/metrics`: name, type, unit, labels and meaning of each; docs/metrics.md is written from them.
use std::borrow::Cow;

use crate::counters::Counters;

/// Type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FamilyKind {
    Counter,
    Gauge,
    Histogram,
}

impl FamilyKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A family.
#[derive(Clone, Debug)]
pub(super) struct MetricFamily {
    /// Without `_total`.
    pub name: Cow<'static, str>,
    pub kind: FamilyKind,
    /// As in OpenMetrics, also the end of the name.
    pub unit: Option<&'static str>,
    pub help: Cow<'static, str>,
    /// Names of the labels.
    pub labels: Cow<'static, str>,
}

impl MetricFamily {
    pub const fn new(name: &'static str, kind: FamilyKind, unit: Option<&'static str>, help: &'static str, labels: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), kind, unit, help: Cow::Borrowed(help), labels: Cow::Borrowed(labels) }
    }

    /// The family of one of perfmon's counters.
    pub fn of_counter(name: &str, meaning: &str) -> Self {
        Self {
            name: format!("perfmon_{name}").into(),
            kind: FamilyKind::Counter,
            unit: None,
            help: meaning.trim().to_string().into(),
            labels: "".into(),
        }
    }
}

macro_rules! families {
    ($($name:ident = $text:literal, $kind:ident, $unit:expr, $labels:literal, $help:literal;)+) => {
        $(pub(super) const $name: MetricFamily = MetricFamily::new($text, FamilyKind::$kind, $unit, $help, $labels);)+
        /// All families except the counters.
        const ALL: &[MetricFamily] = &[$($name),+];
    };
}

families! {
    SERVER = "http_server_request_duration_seconds", Histogram, Some("seconds"),
        "service_name, http_route, http_request_method, http_response_status_code, error_type",
        "Latency of requests to the targets; of streaming ones, the time to the first byte.";
    CLIENT = "http_client_request_duration_seconds", Histogram, Some("seconds"),
        "service_name, server_address, server_port, http_request_method, http_response_status_code, error_type",
        "Latency of requests that the targets make.";
    ACTIVE = "http_server_active_requests", Gauge, None, "service_name", "Requests under way.";
    EXCHANGES = "perfmon_exchanges", Counter, None, "side, quality", "HTTP exchanges seen, those without a known latency too.";
    CONNECT_FAILURES = "perfmon_connect_failures", Counter, None, "service_name, server_address, server_port, error_type",
        "Connections of the targets that could not be opened: refused, unreachable or without an answer.";
    CONNECTIONS = "perfmon_active_connections", Gauge, None, "", "Open connections that the targets accepted.";
    POOL = "db_client_connection_count", Gauge, None,
        "service_name, process_pid, db_system_name, server_address, server_port, db_client_connection_state (idle, used)",
        "Open connections of the connection pools to databases.";
    POOL_HTTP = "http_client_open_connections", Gauge, None,
        "service_name, process_pid, server_address, server_port, http_connection_state (idle, active)",
        "Open connections of the pools of HTTP clients.";
    POOL_SATURATED = "perfmon_pool_saturated", Gauge, None, "service_name, process_pid, system, server_address, server_port",
        "Whether all connections of a pool were in use for nearly the whole interval, with more to do than connections.";
    FINDINGS = "perfmon_findings_open", Gauge, None, "type, severity", "Open findings.";
    COMPLETENESS = "perfmon_target_completeness_ratio", Gauge, Some("ratio"), "service_name, process_pid", "Exchanges fully seen of those known to exist.";
    LOST_EXCHANGES = "perfmon_target_exchanges_lost", Counter, None, "service_name, process_pid",
        "Exchanges of which nothing is known but that they were: they passed while the ring was full, or their records were dropped.";
    ALERTS = "perfmon_alerts", Gauge, None, "alertname, severity, perfmon_alert_scope, state",
        "Alerts that fire or are acknowledged, 1 each.";
    SYSTEM_CPU = "system_cpu_utilization_ratio", Gauge, Some("ratio"), "", "CPU use of the host over all cores.";
    SYSTEM_MEMORY = "system_memory_utilization_ratio", Gauge, Some("ratio"), "", "Memory use of the host.";
    SYSTEM_LOAD = "system_cpu_load_average_1m", Gauge, None, "", "Load average of one minute.";
    DISK_USE = "system_filesystem_utilization_ratio", Gauge, Some("ratio"), "system_filesystem_mountpoint", "Share of a file system in use.";
    DISK_FREE = "perfmon_filesystem_free_bytes", Gauge, Some("bytes"), "system_filesystem_mountpoint", "Bytes of a file system that users may still take.";
    DISK_IO = "system_disk_io_bytes", Counter, Some("bytes"), "system_filesystem_mountpoint, disk_io_direction",
        "Bytes read from and written to the disk of a file system since the start of perfmon.";
    NETWORK_IO = "system_network_io_bytes", Counter, Some("bytes"), "network_interface_name, network_io_direction",
        "Bytes received and sent since the start of perfmon.";
    PROCESS_CPU_TIME = "process_cpu_time_seconds", Counter, Some("seconds"), "service_name, process_pid",
        "CPU time of a target since perfmon watches it.";
    PROCESS_CPU = "perfmon_target_cpu_ratio", Gauge, Some("ratio"), "service_name, process_pid", "CPU use of a target; 1 is one core.";
    PROCESS_MEMORY = "perfmon_target_memory_bytes", Gauge, Some("bytes"), "service_name, process_pid", "Resident memory of a target.";
    PROCESS_THREADS = "perfmon_target_threads", Gauge, None, "service_name, process_pid", "Threads of a target.";
    PROCESS_FILES = "perfmon_target_open_files", Gauge, None, "service_name, process_pid", "Open descriptors of a target.";
    UPTIME = "perfmon_uptime_seconds", Gauge, Some("seconds"), "", "Time since capture began.";
    BUILD = "perfmon_build_info", Gauge, None, "version, capture_tier", "Always 1.";
    OWN_CPU = "perfmon_cpu_ratio", Gauge, Some("ratio"), "", "CPU use of perfmon itself; 1 is one core.";
    OWN_MEMORY = "perfmon_memory_bytes", Gauge, Some("bytes"), "", "Resident memory of perfmon itself.";
    OWN_MAPS = "perfmon_kernel_map_bytes", Gauge, Some("bytes"), "", "Memory of perfmon's maps in the kernel.";
    OWN_KERNEL = "perfmon_kernel_event_seconds", Gauge, Some("seconds"), "", "Mean time of a kernel program, when the kernel keeps statistics.";
    DEGRADED = "perfmon_degraded", Gauge, None, "",
        "Parts of perfmon that do not work as they should; 0 is well. `/health/performance` and the finding `perfmon_degraded` name them.";
    LOST = "perfmon_events_lost", Counter, None, "reason", "Events that did not reach perfmon.";
    PROBE = "perfmon_probe_attached", Gauge, None, "probe", "1 when the probe is attached.";
}

/// docs/metrics.md.
pub fn document() -> String {
    let mut text = "# Metrics
`GET /metrics` answers in Prometheus text, or in OpenMetrics when the `Accept` header prefers it. Label values that are not known are
left out. Requests are counted since the start of perfmon; buckets end at 5, 10, 25, 50, 75, 100, 250, 500, 750 ms and 1, 2.5, 5, 7.5,
10 s; those of model calls, agents and tools as the conventions for generative AI advise. Counts and sums are exact; buckets are made of
histograms with steps of at most 1.6 %, so a value that is up to 1.6 % above a bound may be counted below it. A record is in the
figures within about a second of its end. `GET /metrics?buckets=none` leaves all
buckets but the last out: with 400 endpoints the answer is a sixth of its size. For exact percentiles ask `/api/v1/endpoints`. Business metrics are
`perfmon_custom_` with their name and unit ([how-to/business-metrics.md](how-to/business-metrics.md)).

In OpenMetrics the latencies of requests have exemplars: the slowest request of a series in about a minute, of those that carried a trace
(`traceparent`), with `trace_id` and the `span_id` under which perfmon exports it, so that a slow bucket leads to its trace. Prometheus keeps them with
`--enable-feature=exemplar-storage`.

| name | type | labels | meaning |
|---|---|---|---|
"
    .to_string();
    let counters = Counters::default().all();
    let own = counters.iter().map(|(name, meaning, _)| MetricFamily::of_counter(name, meaning));
    for family in ALL.iter().cloned().chain(super::kinds::described()).chain(own) {
        let total = if family.kind == FamilyKind::Counter { "_total" } else { "" };
        text.push_str(&format!("| `{}{total}` | {} | {} | {} |\n", family.name, family.kind.name(), family.labels, family.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_end_in_their_unit() {
        let mut names: Vec<_> = ALL.iter().map(|family| family.name.to_string()).collect();
        names.extend(Counters::default().all().iter().map(|(name, meaning, _)| MetricFamily::of_counter(name, meaning).name.to_string()));
        names.extend(super::super::kinds::described().iter().map(|family| family.name.to_string()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        for family in ALL {
            assert!(family.unit.is_none_or(|unit| family.name.ends_with(unit)), "{}", family.name);
            assert!(!family.name.ends_with("_total"), "{}", family.name);
        }
    }

    #[test]
    fn the_documentation_is_up_to_date() {
        // Without the kind that only tests have.
        let document: String = document().split_inclusive('\n').filter(|line| !line.contains("perfmon_made_up_")).collect();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &document).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap_or_default() == document,
            "docs/metrics.md is stale: run the tests with UPDATE_DOCS=1"
        );
    }
}
