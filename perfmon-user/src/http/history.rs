//! `GET /api/v1/history`: one metric over time, from the history on disk. Parameters: `metric` (required; names in docs/http-api.md),
//! `from` and `to` (RFC 3339; default: the last hour), `step` (`10s`, `1m`, …; default: a step that gives some hundred points), labels
//! of the metric's kind, like `service`, and `format` (`json`, `csv`; default: what the client accepts). Each point has the start of its
//! step; the value is null (empty in CSV) when unknown. A step that is finer than what is stored gives what is stored, and says so.
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::HttpState;
use super::accept;
use super::answer::{ApiError, json};
use super::params::Params;
use crate::alert::AlertMetric;
use crate::limits;
use crate::record::WallTime;
use crate::record::custom::{CustomMetrics, PREFIX};
use crate::store::{HistoryPoint, HistoryQuery, SeriesLabels, StoreReader};

const NS: u64 = 1_000_000_000;
/// The range without `from`.
const HOUR_S: u64 = 3_600;
/// Steps to choose from, in seconds.
const STEPS_S: [u64; 12] = [10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400];
/// Number of points when no step is given.
const POINTS: u64 = 400;
/// Longest step.
const LONGEST_S: u64 = 366 * 86_400;

#[derive(Serialize)]
struct HistoryAnswer {
    metric: String,
    from: WallTime,
    to: WallTime,
    step_s: u64,
    /// Why the step is not the wanted one.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    points: Vec<HistoryPoint>,
}

/// What is asked.
struct HistoryQuestion {
    name: String,
    query: HistoryQuery,
    note: Option<String>,
}

pub(super) async fn history(State(state): State<Arc<HttpState>>, headers: HeaderMap, params: Params) -> Result<Response, ApiError> {
    let Some(reader) = state.parts.history.clone() else {
        return Err(no_store());
    };
    let csv = params.choice("format", &[("json", false), ("csv", true)])?;
    let csv = csv.unwrap_or_else(|| accept::preferred(&headers, &["application/json", "text/csv"]) == 1);
    let HistoryQuestion { name, query, note } = question(params, (state.parts.now)(), &reader, &state.parts.custom.borrow())?;
    let (from, to) = (WallTime(query.from.saturating_mul(NS)), WallTime(query.to.saturating_mul(NS)));
    let read = tokio::task::spawn_blocking(move || reader.history(&query)).await;
    let history = read.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
    let answer = HistoryAnswer { metric: name, from, to, step_s: history.step_s, note, points: history.points };
    let mut response = if csv { as_csv(&answer) } else { json(&answer) };
    response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept"));
    Ok(response)
}

/// RFC 4180 with a heading. What is to be said of the step is in a field of the answer's head.
fn as_csv(answer: &HistoryAnswer) -> Response {
    let mut text = format!("time,{},step_s\r\n", answer.metric);
    for HistoryPoint { time, value } in &answer.points {
        let value = value.map(|value| value.to_string()).unwrap_or_default();
        // Writing into a String does not fail.
        write!(text, "{time},{value},{}\r\n", answer.step_s).ok();
    }
    let fixed = [(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"), (header::CACHE_CONTROL, "no-store")];
    let mut response = (fixed, text).into_response();
    if let Some(note) = answer.note.as_deref().and_then(|note| note.parse().ok()) {
        response.headers_mut().insert("perfmon-note", note);
    }
    response
}

pub(super) fn no_store() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_store", "this perfmon keeps no history (no_store is set)")
}

pub(super) fn unreadable(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "store_unreadable", format!("the history cannot be read: {error}"))
}

fn question(params: Params, now: WallTime, reader: &StoreReader, custom: &CustomMetrics) -> Result<HistoryQuestion, ApiError> {
    let metric = params.text("metric").and_then(|name| Some((name.to_string(), custom.parse(name)?)));
    let Some((name, metric)) = metric else {
        let given = params.text("metric").map_or("is required".into(), |name| format!("{name:?} is not a metric"));
        if let Some(name) = params.text("metric").filter(|name| name.starts_with(PREFIX)) {
            let why = AlertMetric::among(name, custom).err().unwrap_or_default();
            return Err(ApiError::parameter("metric", why));
        }
        return Err(ApiError::parameter("metric", format!("{given}; metrics are {}", custom.names().join(", "))));
    };
    let names: Vec<&str> = metric.labels().iter().map(|label| label.name).collect();
    let params = params.only(&[&["metric", "from", "to", "step", "format"], &*names].concat())?;
    let labels: SeriesLabels = names.iter().filter_map(|name| Some(((*name).to_string(), params.text(name)?.to_string()))).collect();
    let to = params.time("to")?.unwrap_or(now).0.div_ceil(NS);
    let from = params.time("from")?.map_or(to.saturating_sub(HOUR_S), |from| from.0 / NS);
    if from >= to {
        return Err(ApiError::parameter("from", "must be before to"));
    }
    let now = now.0 / NS;
    let wanted = step(params.text("step"), to - from)?;
    let stored = reader.stored_step(from, wanted, now);
    if (to - from) / stored > limits::HISTORY_POINTS {
        return Err(ApiError::parameter("step", format!("would give more than {} points; use a longer step", limits::HISTORY_POINTS)));
    }
    let changed = stored != wanted && params.text("step").is_some();
    let note = changed.then(|| format!("the step is {stored} s: steps of {wanted} s are not stored for this time"));
    Ok(HistoryQuestion { name, query: HistoryQuery { metric, from, to, step: stored, now, labels }, note })
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
        Some(seconds) if (1..=LONGEST_S).contains(&seconds) => Ok(seconds),
        _ => Err(ApiError::parameter("step", format!("{text:?} is not a time from 1s to 366d; use for example 10s, 1m or 1h"))),
    }
}
