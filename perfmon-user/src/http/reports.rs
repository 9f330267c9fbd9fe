//! `GET /api/v1/reports`: scheduled reports, newest first, with `type`, `from`, `to` and `limit`. `GET /api/v1/reports/{id}`: one of them as JSON,
//! HTML or Markdown, by `format` (`json`, `html`, `md`) or by what the client accepts. A page carries the policy that it may load nothing.
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::HttpState;
use super::accept;
use super::answer::{ApiError, List, json};
use super::history::{no_store, unreadable};
use super::params::Params;
use crate::limits;
use crate::record::WallTime;
use crate::report::{self, KeptReport, ReportHeading};

const DEFAULT_LIMIT: usize = 100;
/// Media types of the formats, the first is the default.
const FORMATS: [(&str, &str); 3] = [("json", "application/json"), ("html", "text/html"), ("md", "text/markdown")];
/// What a page may do: show itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An item of the list.
#[derive(Serialize)]
struct ReportItem {
    #[serde(flatten)]
    heading: ReportHeading,
    title: String,
    link: String,
}

pub(super) async fn reports(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let params = params.only(&["type", "from", "to", "limit"])?;
    let rhythm = params.text("type").map(String::from);
    if let Some(other) = rhythm.as_deref().filter(|rhythm| !["daily", "weekly"].contains(rhythm)) {
        return Err(ApiError::parameter("type", format!("{other:?} is not one of daily, weekly")));
    }
    let (from, to) = (params.time("from")?.unwrap_or(WallTime(0)), params.time("to")?.unwrap_or(WallTime(u64::MAX)));
    let limit = params.limit(DEFAULT_LIMIT, limits::LIST_ITEMS)?;
    let reader = state.parts.history.clone().ok_or_else(no_store)?;
    let read = tokio::task::spawn_blocking(move || report::headings(&reader)).await;
    let mut headings = read.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
    headings
        .retain(|heading| heading.to >= from && heading.to < to && rhythm.as_deref().is_none_or(|rhythm| heading.rhythm.name() == rhythm));
    let total = headings.len();
    let item = |heading: ReportHeading| ReportItem { title: heading.title(), link: format!("/api/v1/reports/{}", heading.id), heading };
    Ok(json(&List { window_s: None, total, items: headings.into_iter().take(limit).map(item).collect() }))
}

pub(super) async fn report(
    State(state): State<Arc<HttpState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let params = params.only(&["format"])?;
    let format = match params.text("format") {
        None => accept::preferred(&headers, &FORMATS.map(|(_, media_type)| media_type)),
        Some(name) => FORMATS
            .iter()
            .position(|(known, _)| *known == name)
            .ok_or_else(|| ApiError::parameter("format", format!("{name:?} is not one of json, html, md")))?,
    };
    let reader = state.parts.history.clone().ok_or_else(no_store)?;
    let wanted = id.clone();
    let read = tokio::task::spawn_blocking(move || {
        // Rendering takes some milliseconds.
        KeptReport::read(&reader, &wanted).map(|kept| kept.map(|kept| answer(&kept, FORMATS[format].0)))
    });
    let found = read.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "unknown_report", format!("there is no report {id}; /api/v1/reports lists them"));
    let mut response = found.ok_or_else(unknown)?;
    response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept"));
    Ok(response)
}

fn answer(kept: &KeptReport, format: &str) -> Response {
    let zone = kept.heading.zone();
    let no_store = (header::CACHE_CONTROL, "no-store");
    match format {
        "html" => {
            let fixed = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY), no_store];
            (fixed, kept.report.html(&zone)).into_response()
        }
        "md" => ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8"), no_store], kept.report.markdown(&zone)).into_response(),
        _ => json(kept),
    }
}
