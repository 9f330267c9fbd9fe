//! The displayed data, from a snapshot of this perfmon or from the API of another. Field names are those of the API.
use std::sync::Arc;

use serde::Deserialize;

use super::samples::GraphSample;
use super::view::Tab;
use crate::aggregate::snapshot::{
    AgentRow, DestinationRow, EndpointRow, Latency, LlmRow, NameRow, QueryRow, Snapshot, ToolRow, Window, WorkflowRow,
};
use crate::record::{Alert, AlertState, Finding, Millis, Pool, Process, Severity, WallTime};

/// Everything on the screen.
#[derive(Clone, Debug, Default)]
pub(super) struct ScreenModel {
    pub totals: ShownTotals,
    pub host: Option<ShownHost>,
    pub endpoints: Vec<Arc<EndpointRow>>,
    pub destinations: Vec<Arc<DestinationRow>>,
    pub queries: Vec<Arc<QueryRow>>,
    pub pools: Vec<PoolRow>,
    pub names: Vec<Arc<NameRow>>,
    pub models: Vec<Arc<LlmRow>>,
    pub agents: Vec<Arc<AgentRow>>,
    pub tools: Vec<ShownTool>,
    pub workflows: Vec<Arc<WorkflowRow>>,
    pub processes: Vec<ProcessRow>,
    pub findings: Vec<FindingRow>,
    /// Open alerts and the last that are over.
    pub alerts: Vec<Alert>,
    /// Alerts that fire.
    pub firing: Vec<Alert>,
    /// Events that did not reach perfmon, over all targets.
    pub events_lost: u64,
    /// The only table that was read; all were read without.
    pub only: Option<Tab>,
    /// For the graphs: the last second, and the time before the first model.
    pub newest: Option<GraphSample>,
    pub earlier: Vec<GraphSample>,
}

/// The head of the screen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShownTotals {
    pub time: WallTime,
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
    pub llm_calls: u64,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cost_usd: Option<f64>,
    pub agent_runs: u64,
}

/// The host.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShownHost {
    pub cpu_percent: Option<f64>,
    pub memory_percent: f64,
    pub load_1m: f64,
}

/// A tool, in the detail of its agent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShownTool {
    pub service: Arc<str>,
    pub tool_name: Arc<str>,
    pub count: u64,
    pub error_rate: Option<f64>,
    #[serde(flatten)]
    pub latency: Latency,
}

/// A row of the connection pools.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct PoolRow {
    pub service: Arc<str>,
    pub pid: u32,
    pub destination: Arc<str>,
    pub peer: Arc<str>,
    pub system: Arc<str>,
    pub open: u64,
    pub in_use: u64,
    pub idle: u64,
    pub peak_in_use: u64,
    pub size: u64,
    pub opened: u64,
    pub closed: u64,
    pub uses: u64,
    pub use_time_p95_ms: Option<f64>,
    pub saturated: bool,
    pub silent_in_use_ms: Option<f64>,
    pub interval_ms: f64,
}

/// A row of the processes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProcessRow {
    pub service: Arc<str>,
    pub pid: u32,
    pub comm: Arc<str>,
    pub container: Option<Arc<str>>,
    pub runtime: Option<Arc<str>>,
    pub uptime_s: Option<f64>,
    pub cpu_percent: Option<f64>,
    pub run_queue_wait_ms: Option<f64>,
    pub blocked_io_ms: Option<f64>,
    pub memory_rss_bytes: u64,
    pub memory_percent: Option<f64>,
    pub memory_growth_bytes_per_hour: Option<f64>,
    pub heap_bytes: Option<u64>,
    pub leak: Option<Arc<str>>,
    pub threads: u64,
    pub threads_running: Option<u64>,
    pub open_files: Option<u64>,
    pub sockets: Option<u64>,
    pub connections: Option<u64>,
    pub read_bytes: Option<u64>,
    pub write_bytes: Option<u64>,
    pub context_switches: Option<u64>,
    pub page_faults: Option<u64>,
    pub interval_ms: Option<f64>,
}

/// A row of the findings.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FindingRow {
    pub severity: Severity,
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    pub scope: Arc<str>,
    pub message: Arc<str>,
    pub first_seen: Option<WallTime>,
    pub last_seen: Option<WallTime>,
    #[serde(default)]
    pub evidence: Vec<Arc<str>>,
}

impl FindingRow {
    /// The severity as the API names it.
    pub fn severity_name(&self) -> &'static str {
        match self.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl ScreenModel {
    /// Of this perfmon's snapshot, without its alerts.
    pub fn of(snapshot: &Snapshot, window: Window) -> Self {
        let view = snapshot.window(window);
        Self {
            totals: totals(snapshot, window),
            host: snapshot.system.as_ref().map(|system| ShownHost {
                cpu_percent: system.cpu_percent,
                memory_percent: system.memory_percent,
                load_1m: system.load_1m,
            }),
            endpoints: view.map(|view| view.endpoints.clone()).unwrap_or_default(),
            destinations: view.map(|view| view.destinations.clone()).unwrap_or_default(),
            queries: view.map(|view| view.queries.clone()).unwrap_or_default(),
            pools: snapshot.pools.iter().map(|row| pool(row)).collect(),
            names: view.map(|view| view.names.clone()).unwrap_or_default(),
            models: view.map(|view| view.llm.clone()).unwrap_or_default(),
            agents: view.map(|view| view.agents.clone()).unwrap_or_default(),
            tools: view.map(|view| view.tools.iter().map(|row| tool(row)).collect()).unwrap_or_default(),
            workflows: view.map(|view| view.workflows.clone()).unwrap_or_default(),
            processes: snapshot.processes.iter().map(|row| process(row)).collect(),
            findings: snapshot.findings.iter().map(|row| finding(row)).collect(),
            events_lost: snapshot.gauges.targets.iter().map(|target| target.events_lost).sum(),
            newest: newest(snapshot),
            ..Self::default()
        }
    }

    /// The same with alerts.
    pub fn with_alerts(self, alerts: Vec<Alert>) -> Self {
        let firing = alerts.iter().filter(|alert| alert.state == AlertState::Firing).cloned().collect();
        Self { alerts, firing, ..self }
    }

    /// Whether the table of a tab was read.
    pub fn has_read(&self, tab: Tab) -> bool {
        self.only.is_none_or(|only| only == tab)
    }
}

/// The graphs' sample of a snapshot; none before the first tick.
fn newest(snapshot: &Snapshot) -> Option<GraphSample> {
    let minute = snapshot.window(Window::Minute)?;
    Some(GraphSample {
        second: snapshot.time.0 / 1_000_000_000,
        rate: Some(minute.totals.rate_now_per_second),
        p95_ms: minute.totals.latency.p95_ms,
        cpu_percent: snapshot.system.as_ref().and_then(|system| system.cpu_percent),
    })
}

fn totals(snapshot: &Snapshot, window: Window) -> ShownTotals {
    let view = snapshot.window(window);
    let totals = view.map(|view| view.totals.clone()).unwrap_or_default();
    let work = view.map(|view| view.work.clone()).unwrap_or_default();
    ShownTotals {
        time: snapshot.time,
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
        llm_calls: work.llm_calls,
        input_tokens: work.input_tokens,
        output_tokens: work.output_tokens,
        cost_usd: work.cost_usd,
        agent_runs: work.agent_runs,
    }
}

fn tool(row: &ToolRow) -> ShownTool {
    ShownTool {
        service: row.service.clone(),
        tool_name: row.tool_name.clone(),
        count: row.count,
        error_rate: row.error_rate,
        latency: row.latency,
    }
}

fn pool(row: &Pool) -> PoolRow {
    PoolRow {
        service: row.origin.service.clone(),
        pid: row.origin.pid,
        destination: row.destination.clone(),
        peer: row.peer.clone(),
        system: row.system.into(),
        open: row.open,
        in_use: row.in_use,
        idle: row.idle,
        peak_in_use: row.peak_in_use,
        size: row.size,
        opened: row.opened,
        closed: row.closed,
        uses: row.uses,
        use_time_p95_ms: row.use_time_p95_ms.map(Millis::as_f64),
        saturated: row.saturated,
        silent_in_use_ms: row.silent_in_use_ms.map(Millis::as_f64),
        interval_ms: row.interval_ms.as_f64(),
    }
}

fn process(row: &Process) -> ProcessRow {
    ProcessRow {
        service: row.origin.service.clone(),
        pid: row.origin.pid,
        comm: row.origin.comm.clone(),
        container: row.origin.container.clone(),
        runtime: row.runtime.clone(),
        uptime_s: Some(row.uptime_s),
        cpu_percent: row.cpu_percent,
        run_queue_wait_ms: row.run_queue_wait_ms.map(Millis::as_f64),
        blocked_io_ms: row.blocked_io_ms.map(Millis::as_f64),
        memory_rss_bytes: row.memory_rss_bytes,
        memory_percent: Some(row.memory_percent),
        memory_growth_bytes_per_hour: row.memory_growth_bytes_per_hour,
        heap_bytes: row.heap_bytes,
        leak: row.leak.map(Into::into),
        threads: row.threads,
        threads_running: Some(row.threads_running),
        open_files: row.open_files,
        sockets: row.sockets,
        connections: row.connections,
        read_bytes: row.read_bytes,
        write_bytes: row.write_bytes,
        context_switches: row.context_switches,
        page_faults: row.page_faults,
        interval_ms: Some(row.interval_ms.as_f64()),
    }
}

fn finding(row: &Finding) -> FindingRow {
    FindingRow {
        severity: row.severity,
        kind: row.kind_name.into(),
        scope: row.scope.clone(),
        message: row.message.as_str().into(),
        first_seen: Some(row.first_seen),
        last_seen: Some(row.last_seen),
        evidence: row.evidence.clone(),
    }
}
