//! `/healthz`: the process answers. `/readyz`: probes are attached and data flows, or 503 with the reasons.
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::HttpState;
use super::answer::{ApiError, json, json_with};
use super::params::Params;

/// Whether every requested target is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Data flows from every configured target.
    pub ready: bool,
    /// Why it does not, a sentence each.
    pub reasons: Vec<String>,
}

#[derive(Serialize)]
struct Alive {
    status: &'static str,
}

pub(super) async fn healthz(params: Params) -> Result<Response, ApiError> {
    params.only(&[])?;
    Ok(json(&Alive { status: "alive" }))
}

pub(super) async fn readyz(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    params.only(&[])?;
    let readiness = (state.parts.readiness)();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(json_with(status, &readiness))
}
