//! `GET /api/v1/system`, `/api/v1/processes` and `/api/v1/pools`: newest samples of the host, of each target process and of each connection
//! pool, and the host's recent samples.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::HttpState;
use super::answer::{ApiError, List, json};
use super::params::Params;
use crate::record::{Pool, Record, System, WallTime};

#[derive(Serialize)]
struct SystemAnswer {
    window_s: u64,
    /// Null before the first sample.
    latest: Option<Arc<System>>,
    /// Oldest first.
    trend: Vec<TrendPoint>,
}

#[derive(Serialize)]
struct TrendPoint {
    time: WallTime,
    cpu_percent: Option<f64>,
    memory_percent: f64,
    load_1m: f64,
}

pub(super) async fn system(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let params = params.only(&["window", "step"])?;
    let (window, step_s) = (params.window()?, params.seconds("step")?);
    let snapshot = state.snapshot();
    let since = WallTime(snapshot.time.0.saturating_sub(window.seconds() * 1_000_000_000));
    let samples = state.recent.of_kind("system");
    let points = samples.iter().filter(|record| record.time() >= since).filter_map(|record| trend_point(record));
    let trend = match step_s {
        Some(step_s) => thinned(points, step_s * 1_000_000_000),
        None => points.collect(),
    };
    Ok(json(&SystemAnswer { window_s: window.seconds(), latest: snapshot.system.clone(), trend }))
}

/// The last point of each step.
fn thinned(points: impl Iterator<Item = TrendPoint>, step_ns: u64) -> Vec<TrendPoint> {
    let mut kept: Vec<TrendPoint> = Vec::new();
    for point in points {
        if kept.last().is_some_and(|last| last.time.0 / step_ns == point.time.0 / step_ns) {
            kept.pop();
        }
        kept.push(point);
    }
    kept
}

fn trend_point(record: &Record) -> Option<TrendPoint> {
    match record {
        Record::System(s) => {
            Some(TrendPoint { time: s.time, cpu_percent: s.cpu_percent, memory_percent: s.memory_percent, load_1m: s.load_1m })
        }
        _ => None,
    }
}

/// `GET /api/v1/pools`: the latest interval of each connection pool.
pub(super) async fn pools(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let params = params.only(&["service", "system", "destination"])?;
    let snapshot = state.snapshot();
    let wanted = |name: &str, value: &str| params.text(name).is_none_or(|wanted| wanted == value);
    let named = |pool: &&Arc<Pool>| {
        wanted("service", &pool.origin.service) && wanted("system", pool.system) && wanted("destination", &pool.destination)
    };
    let items: Vec<_> = snapshot.pools.iter().filter(named).cloned().collect();
    Ok(json(&List { window_s: None, total: items.len(), items }))
}

pub(super) async fn processes(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let params = params.only(&["service"])?;
    let snapshot = state.snapshot();
    let wanted = |service: &str| params.text("service").is_none_or(|name| name == service);
    let items: Vec<_> = snapshot.processes.iter().filter(|process| wanted(&process.origin.service)).cloned().collect();
    Ok(json(&List { window_s: None, total: items.len(), items }))
}
