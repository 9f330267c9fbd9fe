//! `GET /api/v1/history`: one metric over time, from the history on disk. Parameters: `metric` (required; names in docs/http-api.md),
//! `from` and `to` (RFC 3339; default: the last hour), `step` (`10s`, `1m`, …; default: a step that gives some hundred points), and labels
//! of the metric's kind, like `service`. Each point has the start of its step; the value is null when unknown.
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::HttpState;
use super::answer::{ApiError, json};
use super::params::Params;
use crate::limits;
use crate::record::WallTime;
use crate::record::metric::Metric;
use crate::store::{HistoryPoint, HistoryQuery, SeriesLabels};

const NS: u64 = 1_000_000_000;
/// The range without `from`.
const HOUR_S: u64 = 3_600;
/// Steps to choose from, in seconds.
const STEPS_S: [u64; 12] = [10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400];
/// Number of points when no step is given.
const POINTS: u64 = 400;

#[derive(Serialize)]
struct HistoryAnswer {
    metric: String,
    from: WallTime,
    to: WallTime,
    step_s: u64,
    points: Vec<HistoryPoint>,
}

pub(super) async fn history(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let Some(reader) = state.parts.history.clone() else {
        return Err(no_store());
    };
    let (name, query) = query(params, (state.parts.now)())?;
    let (from, to) = (WallTime(query.from * NS), WallTime(query.to * NS));
    let read = tokio::task::spawn_blocking(move || reader.history(&query)).await;
    match read {
        Ok(Ok(history)) => Ok(json(&HistoryAnswer { metric: name, from, to, step_s: history.step_s, points: history.points })),
        Ok(Err(error)) => Err(unreadable(&error)),
        Err(error) => Err(unreadable(&error)),
    }
}

pub(super) fn no_store() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_store", "this perfmon keeps no history (no_store is set)")
}

pub(super) fn unreadable(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "store_unreadable", format!("the history cannot be read: {error}"))
}

fn query(params: Params, now: WallTime) -> Result<(String, HistoryQuery), ApiError> {
    let metric = params.text("metric").and_then(|name| Some((name.to_string(), Metric::parse(name)?)));
    let Some((name, metric)) = metric else {
        let given = params.text("metric").map_or("is required".into(), |name| format!("{name:?} is not a metric"));
        return Err(ApiError::parameter("metric", format!("{given}; metrics are {}", Metric::names().join(", "))));
    };
    let names: Vec<&str> = metric.kind.labels().iter().map(|label| label.name).collect();
    let params = params.only(&[&["metric", "from", "to", "step"], &*names].concat())?;
    let labels: SeriesLabels = names.iter().filter_map(|name| Some(((*name).to_string(), params.text(name)?.to_string()))).collect();
    let to = params.time("to")?.unwrap_or(now).0.div_ceil(NS);
    let from = params.time("from")?.map_or(to.saturating_sub(HOUR_S), |from| from.0 / NS);
    if from >= to {
        return Err(ApiError::parameter("from", "must be before to"));
    }
    let step = step(params.text("step"), to - from)?;
    if (to - from) / step > limits::HISTORY_POINTS {
        return Err(ApiError::parameter("step", format!("would give more than {} points; use a longer step", limits::HISTORY_POINTS)));
    }
    Ok((name, HistoryQuery { metric, from, to, step, now: now.0 / NS, labels }))
}

/// Seconds of a step.
fn step(given: Option<&str>, range_s: u64) -> Result<u64, ApiError> {
    let Some(text) = given else {
        return Ok(STEPS_S.into_iter().find(|step| range_s / step <= POINTS).unwrap_or(STEPS_S[STEPS_S.len() - 1]));
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = text[..digits].parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    match seconds {
        Some(seconds) if seconds >= 10 && seconds % 10 == 0 && seconds <= 366 * 86_400 => Ok(seconds),
        _ => Err(ApiError::parameter("step", format!("{text:?} is not a multiple of 10 seconds; use for example 10s, 1m or 1h"))),
    }
}
