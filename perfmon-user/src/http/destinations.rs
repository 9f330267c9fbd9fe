//! `GET /api/v1/destinations`: the client side of a window, one row for each calling service and called destination.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::answer::ApiError;
use super::params::Params;
use super::rows::{self, Orders, largest};
use crate::aggregate::snapshot::DestinationRow;

/// Availability is sorted worst first.
const ORDERS: &Orders<DestinationRow> = &[
    ("count", |a, b| b.count.cmp(&a.count)),
    ("errors", |a, b| b.errors.cmp(&a.errors)),
    ("error_rate", |a, b| largest(a.error_rate, b.error_rate)),
    ("availability", |a, b| a.availability.unwrap_or(f64::INFINITY).total_cmp(&b.availability.unwrap_or(f64::INFINITY))),
    ("requests_per_minute", |a, b| b.requests_per_minute.total_cmp(&a.requests_per_minute)),
    ("mean_ms", |a, b| largest(a.latency.mean_ms, b.latency.mean_ms)),
    ("p50_ms", |a, b| largest(a.latency.p50_ms, b.latency.p50_ms)),
    ("p95_ms", |a, b| largest(a.latency.p95_ms, b.latency.p95_ms)),
    ("p99_ms", |a, b| largest(a.latency.p99_ms, b.latency.p99_ms)),
    ("ttfb_p95_ms", |a, b| largest(a.ttfb_p95_ms, b.ttfb_p95_ms)),
    ("connects", |a, b| b.connects.cmp(&a.connects)),
    ("tls_p95_ms", |a, b| largest(a.tls_p95_ms, b.tls_p95_ms)),
    ("connect_p95_ms", |a, b| largest(a.connect_p95_ms, b.connect_p95_ms)),
    ("max_ms", |a, b| largest(a.latency.max_ms, b.latency.max_ms)),
    ("destination", |a, b| (&a.destination, &a.service).cmp(&(&b.destination, &b.service))),
];

pub(super) async fn destinations(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    rows::answer(&state, params, ORDERS, |view| &view.destinations, &[("service", |row| Some(&row.service))])
}
