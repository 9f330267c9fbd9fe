//! `GET /api/v1/summary`: the totals of a window and the current state.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::HttpState;
use super::answer::{ApiError, json};
use super::params::Params;
use crate::aggregate::snapshot::{Snapshot, Totals, Window, WindowView, WorkTotals};
use crate::record::WallTime;

/// The answer, also an event of the stream. What nothing measures yet is null.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    time: WallTime,
    uptime_s: f64,
    window_s: u64,
    covered_s: f64,
    #[serde(flatten)]
    totals: Arc<Totals>,
    active_connections: Option<u64>,
    in_flight: usize,
    findings_open: usize,
    #[serde(flatten)]
    work: Arc<WorkTotals>,
    db_calls: Option<u64>,
    alerts_firing: u64,
}

impl Summary {
    /// Of a window.
    pub fn of(snapshot: &Snapshot, window: Window, alerts_firing: u64) -> Self {
        let view = snapshot.window(window);
        Self {
            time: snapshot.time,
            uptime_s: snapshot.uptime_s,
            window_s: window.seconds(),
            covered_s: view.map_or(0.0, |view| view.covered_s),
            totals: view.map(|view| view.totals.clone()).unwrap_or_default(),
            active_connections: snapshot.gauges.active_connections,
            in_flight: snapshot.gauges.in_flight.len(),
            findings_open: snapshot.findings.len(),
            work: view.map(|view| view.work.clone()).unwrap_or_default(),
            db_calls: view.and_then(WindowView::db_calls),
            alerts_firing,
        }
    }
}

pub(super) async fn summary(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let window = params.only(&["window"])?.window()?;
    Ok(json(&Summary::of(&state.snapshot(), window, state.parts.alerts.firing())))
}
