//! The displayed data, from a snapshot of this perfmon or from the API of another. Field names are those of the API.
use std::sync::Arc;

use serde::Deserialize;

use crate::aggregate::snapshot::{DestinationRow, EndpointRow, Snapshot, Window};
use crate::record::{Finding, Process, Severity};

/// Everything on the screen.
#[derive(Clone, Debug, Default)]
pub(super) struct ScreenModel {
    pub totals: ShownTotals,
    pub host: Option<ShownHost>,
    pub endpoints: Vec<ShownEndpoint>,
    pub destinations: Vec<ShownDestination>,
    pub processes: Vec<ProcessRow>,
    pub findings: Vec<FindingRow>,
    /// Events that did not reach perfmon, over all targets.
    pub events_lost: u64,
}

/// The head of the screen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShownTotals {
    pub window_s: u64,
    pub uptime_s: f64,
    pub requests: u64,
    pub error_rate: Option<f64>,
    pub rate_now_per_second: f64,
    pub rate_peak_per_second: f64,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub completeness: Option<f64>,
    pub active_connections: Option<u64>,
    pub in_flight: u64,
}

/// The host.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShownHost {
    pub cpu_percent: Option<f64>,
    pub memory_percent: f64,
    pub load_1m: f64,
}

/// A row of the endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShownEndpoint {
    pub service: Arc<str>,
    pub method: Arc<str>,
    pub endpoint: Arc<str>,
    pub count: u64,
    pub requests_per_minute: f64,
    pub error_rate: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub queue_p95_ms: Option<f64>,
    pub share_of_time: f64,
    pub in_flight: u64,
}

/// A row of the destinations.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShownDestination {
    pub service: Arc<str>,
    pub destination: Arc<str>,
    pub count: u64,
    pub requests_per_minute: f64,
    pub error_rate: Option<f64>,
    pub availability: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// A row of the processes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProcessRow {
    pub service: Arc<str>,
    pub pid: u32,
    pub comm: Arc<str>,
    pub cpu_percent: Option<f64>,
    pub memory_rss_bytes: u64,
    pub threads: u64,
    pub open_files: Option<u64>,
    pub connections: Option<u64>,
}

/// A row of the findings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FindingRow {
    pub severity: ShownSeverity,
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    pub scope: Arc<str>,
    pub message: Arc<str>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ShownSeverity {
    #[default]
    Info,
    Warning,
    Critical,
}

impl ScreenModel {
    /// Of this perfmon's snapshot.
    pub fn of(snapshot: &Snapshot, window: Window) -> Self {
        let view = snapshot.window(window);
        let rows = |view: &crate::aggregate::snapshot::WindowView| -> (Vec<ShownEndpoint>, Vec<ShownDestination>) {
            (view.endpoints.iter().map(|row| endpoint(row)).collect(), view.destinations.iter().map(|row| destination(row)).collect())
        };
        let (endpoints, destinations) = view.map(rows).unwrap_or_default();
        Self {
            totals: totals(snapshot, window),
            host: snapshot.system.as_ref().map(|system| ShownHost {
                cpu_percent: system.cpu_percent,
                memory_percent: system.memory_percent,
                load_1m: system.load_1m,
            }),
            endpoints,
            destinations,
            processes: snapshot.processes.iter().map(|row| process(row)).collect(),
            findings: snapshot.findings.iter().map(|row| finding(row)).collect(),
            events_lost: snapshot.gauges.targets.iter().map(|target| target.events_lost).sum(),
        }
    }
}

fn totals(snapshot: &Snapshot, window: Window) -> ShownTotals {
    let totals = snapshot.window(window).map(|view| view.totals.clone()).unwrap_or_default();
    ShownTotals {
        window_s: window.seconds(),
        uptime_s: snapshot.uptime_s,
        requests: totals.requests,
        error_rate: totals.error_rate,
        rate_now_per_second: totals.rate_now_per_second,
        rate_peak_per_second: totals.rate_peak_per_second,
        p50_ms: totals.latency.p50_ms,
        p95_ms: totals.latency.p95_ms,
        p99_ms: totals.latency.p99_ms,
        completeness: totals.completeness,
        active_connections: snapshot.gauges.active_connections,
        in_flight: snapshot.gauges.in_flight.len() as u64,
    }
}

fn endpoint(row: &EndpointRow) -> ShownEndpoint {
    ShownEndpoint {
        service: row.service.clone(),
        method: row.method.clone(),
        endpoint: row.endpoint.clone(),
        count: row.count,
        requests_per_minute: row.requests_per_minute,
        error_rate: row.error_rate,
        p50_ms: row.latency.p50_ms,
        p95_ms: row.latency.p95_ms,
        p99_ms: row.latency.p99_ms,
        queue_p95_ms: row.queue_p95_ms,
        share_of_time: row.share_of_time,
        in_flight: row.in_flight,
    }
}

fn destination(row: &DestinationRow) -> ShownDestination {
    ShownDestination {
        service: row.service.clone(),
        destination: row.destination.clone(),
        count: row.count,
        requests_per_minute: row.requests_per_minute,
        error_rate: row.error_rate,
        availability: row.availability,
        p50_ms: row.latency.p50_ms,
        p95_ms: row.latency.p95_ms,
        p99_ms: row.latency.p99_ms,
    }
}

fn process(row: &Process) -> ProcessRow {
    ProcessRow {
        service: row.origin.service.clone(),
        pid: row.origin.pid,
        comm: row.origin.comm.clone(),
        cpu_percent: row.cpu_percent,
        memory_rss_bytes: row.memory_rss_bytes,
        threads: row.threads,
        open_files: row.open_files,
        connections: row.connections,
    }
}

fn finding(row: &Finding) -> FindingRow {
    let severity = match row.severity {
        Severity::Info => ShownSeverity::Info,
        Severity::Warning => ShownSeverity::Warning,
        Severity::Critical => ShownSeverity::Critical,
    };
    FindingRow { severity, kind: row.kind_name.into(), scope: row.scope.clone(), message: row.message.as_str().into() }
}
