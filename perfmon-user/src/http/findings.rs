//! `GET /api/v1/findings`: the open findings, most costly first.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::answer::{ApiError, List, json};
use super::params::Params;

pub(super) async fn findings(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let params = params.only(&["service"])?;
    let snapshot = state.snapshot();
    let wanted = |service: &str| params.text("service").is_none_or(|name| name == service);
    let items: Vec<_> = snapshot.findings.iter().filter(|finding| wanted(&finding.origin.service)).cloned().collect();
    Ok(json(&List { window_s: None, total: items.len(), items }))
}
