//! `GET /api/v1/self`: what perfmon itself costs, what it sees and what it loses.
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::HttpState;
use super::answer::{ApiError, json};
use super::params::Params;
use crate::aggregate::snapshot::Snapshot;
use crate::inspect::InspectorReport;
use crate::record::{Degradation, TargetCoverage};
use crate::store::{StoreReader, StoreReport};

/// How perfmon itself is, as far as `http` cannot know it. Unknown is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SelfReport {
    /// Of one core, 0..100 and more.
    pub cpu_percent: Option<f64>,
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// Memory of the kernel's maps.
    pub map_bytes: Option<u64>,
    /// Mean time that a kernel program takes; null unless the kernel keeps statistics.
    pub kernel_ns_per_event: Option<f64>,
    /// Events that reached perfmon.
    pub events_seen: u64,
    /// Events that did not.
    pub events_lost: EventsLost,
    /// How socket operations are seen; null without probes, as in a replay.
    pub capture_tier: Option<u8>,
    /// State of every probe.
    pub probes: Vec<ProbeStatus>,
    /// Kernel statistics of each program, empty unless the kernel keeps them.
    pub programs: Vec<ProgramStats>,
    /// Deliveries of telemetry; empty without a configured receiver.
    pub export: Vec<ExportState>,
    /// Parts of perfmon that do not work as they should.
    pub degraded: Vec<Degradation>,
    /// Its stages; empty in a replay.
    pub stages: Vec<StageStatus>,
    /// What perfmon may not do; null in a replay.
    pub hardening: Option<HardeningStatus>,
    /// What could not be learnt of other processes, and why.
    pub inspector: InspectorReport,
}

/// Privileges that were given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HardeningStatus {
    /// Capabilities that are left, by name.
    pub capabilities: Vec<String>,
    /// No program that it starts gains privileges.
    pub no_new_privs: bool,
    /// Core dumps are possible.
    pub dumpable: bool,
    /// System calls are filtered.
    pub seccomp: bool,
    /// `on (ABI …)`, or `off: ` with the reason: where files may be written.
    pub landlock: String,
}

/// State of the delivery of one signal to one receiver. Items are spans, points or log records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportState {
    /// `logfire` or `otlp`.
    pub target: String,
    /// `traces` | `metrics` | `logs`.
    pub signal: &'static str,
    /// Where.
    pub url: String,
    /// Items that wait.
    pub queued: u64,
    /// Bytes that wait.
    pub queued_bytes: u64,
    /// Items delivered.
    pub sent: u64,
    /// Items that the receiver refused for good.
    pub refused: u64,
    /// Items dropped because too many waited.
    pub dropped: u64,
    /// Repeated deliveries.
    pub retries: u64,
    /// What went wrong last; null when the last delivery was taken.
    pub last_error: Option<String>,
}

/// Lost events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventsLost {
    /// All.
    pub total: u64,
    /// By reason.
    pub by_reason: BTreeMap<String, u64>,
}

/// A probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeStatus {
    /// Its name.
    pub name: String,
    /// `attached` | `failed` | `skipped`.
    pub state: String,
    /// Why it is not attached.
    pub reason: Option<String>,
}

/// A stage of perfmon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageStatus {
    /// Its name.
    pub name: &'static str,
    /// `starting` | `running` | `stalled` | `ended` | `panicked`.
    pub state: &'static str,
    /// Time since its last sign of life, as far as the supervisor counts it.
    pub idle_ms: u32,
}

/// What a kernel program cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramStats {
    /// Its name.
    pub name: String,
    /// Times it ran.
    pub runs: u64,
    /// Total run time.
    pub run_time_ns: u64,
}

#[derive(Serialize)]
pub(super) struct SelfBody {
    version: &'static str,
    pid: u32,
    uptime_s: f64,
    #[serde(flatten)]
    report: SelfReport,
    targets: Vec<TargetCoverage>,
    /// Null without a history on disk.
    store: Option<StoreReport>,
    counters: BTreeMap<&'static str, u64>,
}

pub(super) async fn self_report(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    params.only(&[])?;
    let report = state.own_report().await?;
    Ok(json(&body(&state, &state.snapshot(), report)))
}

/// The answer.
pub(super) fn body(state: &HttpState, snapshot: &Snapshot, report: SelfReport) -> SelfBody {
    SelfBody {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        uptime_s: snapshot.uptime_s,
        report,
        targets: snapshot.gauges.targets.clone(),
        store: state.parts.history.as_ref().and_then(StoreReader::report),
        counters: state.parts.counters.all().into_iter().map(|(name, _, value)| (name, value)).collect(),
    }
}
