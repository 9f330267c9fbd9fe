//! `GET /api/v1/records`: the newest records, those first that ended last.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::answer::{ApiError, List, json};
use super::params::Params;
use super::recent::RecordFilter;
use crate::limits;

const KINDS: [&str; 10] = ["request", "llm", "agent", "tool", "workflow", "process", "system", "finding", "alert", "db"];
/// Fields by which records are selected; a record without the field is not.
const FIELDS: [&str; 13] = [
    "agent_run_id",
    "agent_type",
    "destination",
    "endpoint",
    "method",
    "operation",
    "query_id",
    "request_model",
    "span_id",
    "system",
    "tool_name",
    "trace_id",
    "workflow_name",
];
const DEFAULT_LIMIT: usize = 100;

pub(super) async fn records(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let params = params.only(&[&["kind", "since", "limit", "slow", "service"][..], &FIELDS].concat())?;
    let kind = params.choice("kind", &KINDS.map(|kind| (kind, kind)))?;
    let slow = params.switch("slow")?;
    if slow && kind.is_some_and(|kind| kind != "request") {
        return Err(ApiError::parameter("slow", "applies to requests only; use kind=request or leave kind out"));
    }
    let fields = FIELDS.iter().filter_map(|name| Some((*name, params.text(name)?))).collect();
    let wanted = RecordFilter { kind, service: params.text("service"), since: params.time("since")?, slow, fields };
    let (total, items) = state.recent.select(&wanted, params.limit(DEFAULT_LIMIT, limits::RECENT_RECORDS)?);
    Ok(json(&List { window_s: None, total, items }))
}
