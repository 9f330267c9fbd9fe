//! Gathers the samples of every family from the cumulative series, the newest snapshot and perfmon's report on itself.
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use serde::Serialize;

use super::custom;
use super::family::*;
use super::kinds;
use super::pools;
use super::text::{Exposition, HistogramValues, Label};
use crate::aggregate::snapshot::Snapshot;
use crate::http::HttpState;
use crate::http::bounded::Cumulative;
use crate::http::sample_series::{Moved, SampleTotals};
use crate::http::self_report::SelfReport;
use crate::http::series::{BOUNDS_S, LatencyLabels, LatencyTable, LatencyTables};
use crate::record::{Alert, AlertState, Failure, Process, address};

pub(super) fn collect(state: &HttpState, report: &SelfReport, mut out: Exposition) -> String {
    let snapshot = state.snapshot();
    requests(&mut out, &state.series.tables());
    kinds::write(&mut out, &state.kinds.table());
    custom::write(&mut out, &state.custom);
    gauges(&mut out, &snapshot);
    pools::write(&mut out, &snapshot.pools);
    alerts(&mut out, &state.parts.alerts.alerts());
    let totals = state.samples.totals();
    host(&mut out, &snapshot, &totals);
    processes(&mut out, &snapshot, &totals);
    self_report(&mut out, &snapshot, report);
    single(&mut out, &DEGRADED, Some((state.parts.degraded)().len()));
    for (name, meaning, value) in state.parts.counters.all() {
        let family = MetricFamily::of_counter(name, meaning);
        out.family(&family);
        out.sample(&family, &[], value);
    }
    out.finish()
}

fn requests(out: &mut Exposition, tables: &LatencyTables) {
    side(out, &SERVER, &tables.server);
    side(out, &CLIENT, &tables.client);
    out.family(&EXCHANGES);
    let sorted: BTreeMap<_, _> = tables.exchanges.iter().collect();
    for ((side, quality), count) in sorted {
        out.sample(&EXCHANGES, &[("side", &word(side)), ("quality", &word(quality))], count);
    }
    out.family(&CONNECT_FAILURES);
    let sorted: BTreeMap<&LatencyLabels, _> = tables.attempts.iter().collect();
    for (labels, connects) in sorted {
        let (host, port) = place(labels);
        let error = labels.error.map_or("", Failure::name);
        let labels: [Label<'_>; 4] =
            [("service_name", &labels.service), ("server_address", &host), ("server_port", &port), ("error_type", &error)];
        out.sample(&CONNECT_FAILURES, &labels, connects.count());
    }
}

/// Name and port of a destination.
fn place(labels: &LatencyLabels) -> (&str, String) {
    let (host, port) = address(labels.target.as_deref().unwrap_or(""));
    (host, text(port))
}

fn side(out: &mut Exposition, family: &MetricFamily, table: &LatencyTable) {
    out.family(family);
    let sorted: BTreeMap<&LatencyLabels, _> = table.iter().collect();
    for (labels, histogram) in sorted {
        let status = text(labels.status);
        let error = match labels.status {
            Some(status) if status >= 500 && labels.error.is_none() => status.to_string(),
            _ => labels.error.map_or(String::new(), |error| error.name().into()),
        };
        let (route, (host, port)) = match family.name == SERVER.name {
            true => (labels.target.as_deref().unwrap_or(""), ("", String::new())),
            false => ("", place(labels)),
        };
        let labels: [Label<'_>; 7] = [
            ("service_name", &labels.service),
            ("http_route", &route),
            ("server_address", &host),
            ("server_port", &port),
            ("http_request_method", &labels.method.unwrap_or("")),
            ("http_response_status_code", &status),
            ("error_type", &error),
        ];
        let sum = histogram.sum_ns as f64 / 1e9;
        out.histogram(
            family,
            &labels,
            &HistogramValues { bounds: &BOUNDS_S, buckets: &histogram.buckets, sum, exemplar: histogram.exemplar.as_deref() },
        );
    }
}

fn gauges(out: &mut Exposition, snapshot: &Snapshot) {
    let gauges = &snapshot.gauges;
    let mut active: BTreeMap<&str, u64> = BTreeMap::new();
    for request in &gauges.in_flight {
        *active.entry(&request.origin.service).or_default() += 1;
    }
    out.family(&ACTIVE);
    for (service, count) in active {
        out.sample(&ACTIVE, &[("service_name", &service)], count);
    }
    out.family(&CONNECTIONS);
    if let Some(count) = gauges.active_connections {
        out.sample(&CONNECTIONS, &[], count);
    }
    let mut open: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for finding in &snapshot.findings {
        *open.entry((finding.kind_name, word(&finding.severity))).or_default() += 1;
    }
    out.family(&FINDINGS);
    for ((kind, severity), count) in open {
        out.sample(&FINDINGS, &[("type", &kind), ("severity", &severity)], count);
    }
    out.family(&COMPLETENESS);
    for target in &gauges.targets {
        if let Some(completeness) = target.completeness {
            out.sample(&COMPLETENESS, &[("service_name", &target.service), ("process_pid", &target.pid)], completeness);
        }
    }
    out.family(&LOST_EXCHANGES);
    for target in &gauges.targets {
        out.sample(&LOST_EXCHANGES, &[("service_name", &target.service), ("process_pid", &target.pid)], target.exchanges_lost);
    }
}

fn alerts(out: &mut Exposition, alerts: &[Alert]) {
    out.family(&ALERTS);
    for alert in alerts.iter().filter(|alert| matches!(alert.state, AlertState::Firing | AlertState::Acknowledged)) {
        let (severity, state) = (word(&alert.severity), word(&alert.state));
        let labels: [Label<'_>; 4] =
            [("alertname", &alert.rule), ("severity", &severity), ("perfmon_alert_scope", &alert.scope), ("state", &state)];
        out.sample(&ALERTS, &labels, 1);
    }
}

fn host(out: &mut Exposition, snapshot: &Snapshot, totals: &SampleTotals) {
    let system = snapshot.system.as_deref();
    single(out, &SYSTEM_CPU, system.and_then(|system| system.cpu_percent).map(|percent| percent / 100.0));
    single(out, &SYSTEM_MEMORY, system.map(|system| system.memory_percent / 100.0));
    single(out, &SYSTEM_LOAD, system.map(|system| system.load_1m));
    let disks = || system.iter().flat_map(|system| &system.disks);
    out.family(&DISK_USE);
    disks().for_each(|disk| out.sample(&DISK_USE, &[("system_filesystem_mountpoint", &disk.mount)], disk.used_percent / 100.0));
    out.family(&DISK_FREE);
    disks().for_each(|disk| out.sample(&DISK_FREE, &[("system_filesystem_mountpoint", &disk.mount)], disk.free_bytes));
    moved(out, &DISK_IO, "system_filesystem_mountpoint", ("disk_io_direction", ["read", "write"]), &totals.disks);
    moved(out, &NETWORK_IO, "network_interface_name", ("network_io_direction", ["receive", "transmit"]), &totals.network);
}

fn moved(out: &mut Exposition, family: &MetricFamily, name: &str, (direction, words): (&str, [&str; 2]), all: &BTreeMap<Arc<str>, Moved>) {
    out.family(family);
    for (of, moved) in all {
        for (word, bytes) in words.iter().zip([moved.inward, moved.outward]) {
            out.sample(family, &[(name, of), (direction, word)], bytes);
        }
    }
}

type Figure = fn(&Process) -> Option<f64>;

fn processes(out: &mut Exposition, snapshot: &Snapshot, totals: &SampleTotals) {
    out.family(&PROCESS_CPU_TIME);
    for ((service, pid), (spent_ns, _)) in &totals.cpu {
        out.sample(&PROCESS_CPU_TIME, &[("service_name", service), ("process_pid", pid)], *spent_ns as f64 / 1e9);
    }
    let figures: [(&MetricFamily, Figure); 4] = [
        (&PROCESS_CPU, |process| process.cpu_percent.map(|percent| percent / 100.0)),
        (&PROCESS_MEMORY, |process| Some(process.memory_rss_bytes as f64)),
        (&PROCESS_THREADS, |process| Some(process.threads as f64)),
        (&PROCESS_FILES, |process| process.open_files.map(|files| files as f64)),
    ];
    for (family, figure) in figures {
        out.family(family);
        for process in &snapshot.processes {
            if let Some(value) = figure(process) {
                out.sample(family, &[("service_name", &process.origin.service), ("process_pid", &process.origin.pid)], value);
            }
        }
    }
}

fn self_report(out: &mut Exposition, snapshot: &Snapshot, report: &SelfReport) {
    single(out, &UPTIME, Some(snapshot.uptime_s));
    out.family(&BUILD);
    out.sample(&BUILD, &[("version", &env!("CARGO_PKG_VERSION")), ("capture_tier", &text(report.capture_tier))], 1);
    single(out, &OWN_CPU, report.cpu_percent.map(|percent| percent / 100.0));
    single(out, &OWN_MEMORY, report.rss_bytes);
    single(out, &OWN_MAPS, report.map_bytes);
    single(out, &OWN_KERNEL, report.kernel_ns_per_event.map(|nanoseconds| nanoseconds / 1e9));
    out.family(&LOST);
    for (reason, count) in &report.events_lost.by_reason {
        out.sample(&LOST, &[("reason", reason)], count);
    }
    out.family(&PROBE);
    for probe in &report.probes {
        out.sample(&PROBE, &[("probe", &probe.name)], u8::from(probe.state == "attached"));
    }
}

fn single(out: &mut Exposition, family: &MetricFamily, value: Option<impl Display>) {
    out.family(family);
    if let Some(value) = value {
        out.sample(family, &[], value);
    }
}

fn text(value: Option<impl Display>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// The word that an enum of the records is written as in JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(String::from)).unwrap_or_default()
}
