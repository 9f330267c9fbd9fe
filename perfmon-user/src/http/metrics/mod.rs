//! `GET /metrics`: all figures as Prometheus text or, if the client accepts it, OpenMetrics. Requests are counted since the start; gauges
//! show the newest snapshot. Names follow the OpenTelemetry conventions where one exists. docs/metrics.md is generated from the table of
//! families.
mod collect;
mod custom;
mod family;
mod kinds;
mod pools;
mod text;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::answer::ApiError;
use super::params::Params;
pub use family::document;
use text::{Buckets, Exposition, Format};

pub(super) async fn metrics(State(state): State<Arc<HttpState>>, params: Params, headers: HeaderMap) -> Result<Response, ApiError> {
    let params = params.only(&["buckets"])?;
    let buckets = params.choice("buckets", &[("all", Buckets::All), ("none", Buckets::None)])?.unwrap_or(Buckets::All);
    let format = Format::accepted(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or(""));
    let body = collect::collect(&state, &state.own_report().await?, Exposition::new(format, buckets));
    Ok(([(header::CONTENT_TYPE, format.content_type()), (header::CACHE_CONTROL, "no-store")], body).into_response())
}
