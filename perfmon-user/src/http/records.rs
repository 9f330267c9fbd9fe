//! `GET /api/v1/records`: the newest records, those first that ended last.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::answer::{ApiError, List, json};
use super::params::Params;
use super::recent::RecordFilter;
use crate::limits;

const KINDS: [&str; 9] = ["request", "llm", "agent", "tool", "workflow", "process", "system", "finding", "alert"];
const DEFAULT_LIMIT: usize = 100;

pub(super) async fn records(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let params = params.only(&["kind", "since", "limit", "slow", "service"])?;
    let kind = params.choice("kind", &KINDS.map(|kind| (kind, kind)))?;
    let slow = params.switch("slow")?;
    if slow && kind.is_some_and(|kind| kind != "request") {
        return Err(ApiError::parameter("slow", "only requests have a speed; use kind=request or no kind"));
    }
    let wanted = RecordFilter { kind, service: params.text("service"), since: params.time("since")?, slow };
    let (total, items) = state.recent.select(wanted, params.limit(DEFAULT_LIMIT, limits::RECENT_RECORDS)?);
    Ok(json(&List { window_s: None, total, items }))
}
