//! `GET /api/v1/dns`: questions for names, a row for each name and type that a service asks for.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::answer::ApiError;
use super::params::Params;
use super::rows::{self, Orders, largest};
use crate::aggregate::snapshot::NameRow;

const ORDERS: &Orders<NameRow> = &[
    ("count", |a, b| b.count.cmp(&a.count)),
    ("errors", |a, b| b.errors.cmp(&a.errors)),
    ("error_rate", |a, b| largest(a.error_rate, b.error_rate)),
    ("attempts", |a, b| b.attempts.cmp(&a.attempts)),
    ("search_misses", |a, b| b.search_misses.cmp(&a.search_misses)),
    ("mean_ms", |a, b| largest(a.latency.mean_ms, b.latency.mean_ms)),
    ("p50_ms", |a, b| largest(a.latency.p50_ms, b.latency.p50_ms)),
    ("p95_ms", |a, b| largest(a.latency.p95_ms, b.latency.p95_ms)),
    ("p99_ms", |a, b| largest(a.latency.p99_ms, b.latency.p99_ms)),
    ("max_ms", |a, b| largest(a.latency.max_ms, b.latency.max_ms)),
];

pub(super) async fn names(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let filters: &[(&str, fn(&NameRow) -> Option<&str>)] =
        &[("service", |row| Some(&row.service)), ("name", |row| Some(&row.name)), ("qtype", |row| Some(&row.qtype))];
    rows::answer(&state, params, ORDERS, |view| &view.names, filters)
}
