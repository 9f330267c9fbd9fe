//! Wires the OTLP exporter: settings and snapshots in, its state out to `/api/v1/self`.
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;

use crate::aggregate::snapshot::Snapshot;
use crate::clock;
use crate::config::Config;
use crate::counters::Counters;
use crate::export::otlp::{Clocks, Deliveries, Exporter};
use crate::heartbeat::Heartbeats;
use crate::http::ExportState;
use crate::record::DegradedNow;
use crate::redact;

/// Starts the exporter if a receiver is configured.
pub fn start(
    config: &Config,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    counters: &Arc<Counters>,
    stages: &Heartbeats,
    degraded: DegradedNow,
) -> anyhow::Result<Option<Exporter>> {
    let wrong = |faults: Vec<(&'static str, String)>| anyhow::anyhow!("{faults:?}");
    let targets = config.export.targets().map_err(wrong)?;
    if targets.is_empty() {
        return Ok(None);
    }
    if config.export.logfire.is_region_guessed() {
        tracing::warn!("A Logfire token names no known region; the US region is assumed. Set LOGFIRE_BASE_URL if that is wrong.");
    }
    for target in &targets {
        let url = redact::url(&target.url);
        tracing::debug!(target = target.name, signal = target.signal.name(), url, "Telemetry is sent.");
    }
    let clocks = Clocks { wall: clock::wall_now, steady_ns: clock::boot_now_ns };
    let exporter = Exporter::start(&config.export, &targets, snapshots, clocks, counters.clone(), stages, degraded);
    exporter.map(Some).context("the threads that send telemetry could not be started")
}

/// State of its deliveries.
pub fn state(deliveries: &Deliveries) -> Vec<ExportState> {
    let state = |target: crate::export::otlp::TargetFigures| ExportState {
        target: target.name,
        signal: target.signal.name(),
        url: target.url,
        queued: target.figures.queued,
        queued_bytes: target.figures.queued_bytes,
        sent: target.figures.sent,
        refused: target.figures.failed,
        dropped: target.figures.dropped,
        retries: target.figures.retries,
        last_error: target.figures.last_error,
    };
    deliveries.figures().into_iter().map(state).collect()
}
