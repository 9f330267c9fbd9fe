//! `GET /api/v1/endpoints`: the server side of a window, one row an endpoint, by default those first that take most of the time.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::answer::ApiError;
use super::params::Params;
use super::rows::{self, Orders, RowNames, largest};
use crate::aggregate::snapshot::EndpointRow;

const ORDERS: &Orders<EndpointRow> = &[
    ("share_of_time", |a, b| b.share_of_time.total_cmp(&a.share_of_time)),
    ("count", |a, b| b.count.cmp(&a.count)),
    ("errors", |a, b| b.errors.cmp(&a.errors)),
    ("error_rate", |a, b| largest(a.error_rate, b.error_rate)),
    ("requests_per_minute", |a, b| b.requests_per_minute.total_cmp(&a.requests_per_minute)),
    ("mean_ms", |a, b| largest(a.latency.mean_ms, b.latency.mean_ms)),
    ("p50_ms", |a, b| largest(a.latency.p50_ms, b.latency.p50_ms)),
    ("p95_ms", |a, b| largest(a.latency.p95_ms, b.latency.p95_ms)),
    ("p99_ms", |a, b| largest(a.latency.p99_ms, b.latency.p99_ms)),
    ("max_ms", |a, b| largest(a.latency.max_ms, b.latency.max_ms)),
    ("queue_p95_ms", |a, b| largest(a.queue_p95_ms, b.queue_p95_ms)),
    ("in_flight", |a, b| b.in_flight.cmp(&a.in_flight)),
    ("service", |a, b| (&a.service, &a.endpoint, &a.method).cmp(&(&b.service, &b.endpoint, &b.method))),
    ("endpoint", |a, b| (&a.endpoint, &a.method, &a.service).cmp(&(&b.endpoint, &b.method, &b.service))),
];

const NAMES: &RowNames<EndpointRow> =
    &[("service", |row| Some(&row.service)), ("method", |row| Some(&row.method)), ("endpoint", |row| Some(&row.endpoint))];

pub(super) async fn endpoints(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    rows::answer(&state, params, ORDERS, |view| &view.endpoints, NAMES)
}
