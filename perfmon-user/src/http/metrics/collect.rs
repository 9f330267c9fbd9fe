//! Gathers the samples of every family from the cumulative series, the newest snapshot and perfmon's report on itself.
use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Serialize;

use super::family::*;
use super::text::{Exposition, Format};
use crate::aggregate::snapshot::Snapshot;
use crate::http::self_report::SelfReport;
use crate::http::series::{LatencyTable, LatencyTables};
use crate::http::{HttpState, series};
use crate::record::{Failure, Process};

pub(super) fn collect(state: &HttpState, report: &SelfReport, format: Format) -> String {
    let mut out = Exposition::new(format);
    let snapshot = state.snapshot();
    requests(&mut out, &state.series.tables());
    gauges(&mut out, &snapshot);
    host(&mut out, &snapshot);
    processes(&mut out, &snapshot);
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
    side(out, &SERVER, "http_route", &tables.server);
    side(out, &CLIENT, "server_address", &tables.client);
    out.family(&EXCHANGES);
    let sorted: BTreeMap<_, _> = tables.exchanges.iter().collect();
    for ((side, quality), count) in sorted {
        out.sample(&EXCHANGES, &[("side", &word(side)), ("quality", &word(quality))], count);
    }
    out.family(&CONNECT_FAILURES);
    let sorted: BTreeMap<&series::LatencyLabels, _> = tables.attempts.iter().collect();
    for (labels, connects) in sorted {
        let (address, error) = (labels.target.as_deref().unwrap_or(""), labels.error.map_or("", Failure::name));
        let labels: [(&str, &dyn Display); 3] = [("service_name", &labels.service), ("server_address", &address), ("error_type", &error)];
        out.sample(&CONNECT_FAILURES, &labels, connects.count());
    }
}

fn side(out: &mut Exposition, family: &MetricFamily, target: &str, table: &LatencyTable) {
    out.family(family);
    let sorted: BTreeMap<&series::LatencyLabels, _> = table.iter().collect();
    for (labels, histogram) in sorted {
        let status = text(labels.status);
        let error = match labels.status {
            Some(status) if status >= 500 && labels.error.is_none() => status.to_string(),
            _ => labels.error.map_or(String::new(), |error| error.name().into()),
        };
        let labels: [(&str, &dyn Display); 5] = [
            ("service_name", &labels.service),
            (target, &labels.target.as_deref().unwrap_or("")),
            ("http_request_method", &labels.method.unwrap_or("")),
            ("http_response_status_code", &status),
            ("error_type", &error),
        ];
        out.histogram(family, &labels, histogram);
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

fn host(out: &mut Exposition, snapshot: &Snapshot) {
    let system = snapshot.system.as_deref();
    single(out, &SYSTEM_CPU, system.and_then(|system| system.cpu_percent).map(|percent| percent / 100.0));
    single(out, &SYSTEM_MEMORY, system.map(|system| system.memory_percent / 100.0));
    single(out, &SYSTEM_LOAD, system.map(|system| system.load_1m));
}

type Figure = fn(&Process) -> Option<f64>;

fn processes(out: &mut Exposition, snapshot: &Snapshot) {
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
