//! `GET /api/v1/databases`: database commands, a row for each query of a service to a database, each side apart.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::answer::ApiError;
use super::params::Params;
use super::rows::{self, Orders, largest};
use crate::aggregate::snapshot::QueryRow;

const ORDERS: &Orders<QueryRow> = &[
    ("time_total_ms", |a, b| largest(a.time_total_ms, b.time_total_ms)),
    ("count", |a, b| b.count.cmp(&a.count)),
    ("errors", |a, b| b.errors.cmp(&a.errors)),
    ("error_rate", |a, b| largest(a.error_rate, b.error_rate)),
    ("rows", |a, b| b.rows.cmp(&a.rows)),
    ("mean_ms", |a, b| largest(a.latency.mean_ms, b.latency.mean_ms)),
    ("p50_ms", |a, b| largest(a.latency.p50_ms, b.latency.p50_ms)),
    ("p95_ms", |a, b| largest(a.latency.p95_ms, b.latency.p95_ms)),
    ("p99_ms", |a, b| largest(a.latency.p99_ms, b.latency.p99_ms)),
    ("max_ms", |a, b| largest(a.latency.max_ms, b.latency.max_ms)),
];

pub(super) async fn databases(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    rows::answer(
        &state,
        params,
        ORDERS,
        |view| &view.queries,
        &[
            ("service", |row| Some(&row.service)),
            ("side", |row| Some(row.side.name())),
            ("system", |row| Some(&row.system)),
            ("destination", |row| row.destination.as_deref()),
            ("database", |row| row.database.as_deref()),
            ("operation", |row| row.operation.as_deref()),
            ("target", |row| row.target.as_deref()),
            ("query_id", |row| row.query_id.as_deref()),
        ],
    )
}
