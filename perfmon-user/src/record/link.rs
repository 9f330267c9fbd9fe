//! Calls of a request: what a served request had its process call, told on its own record, and by it on the row of its endpoint.
use std::sync::Arc;

use serde::Serialize;

use super::Millis;

/// From so many equal commands within one request on they are told as repeated.
pub const REPEATED_CALLS: u32 = 10;

/// What a process called while it served a request. Times are added up: of calls side by side, they may exceed the request's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Downstream {
    /// Database commands.
    pub db_calls: u64,
    /// Their time.
    pub db_time_ms: Millis,
    /// HTTP requests that are no model calls.
    pub http_calls: u64,
    /// Their time.
    pub http_time_ms: Millis,
    /// Model calls.
    pub llm_calls: u64,
    /// Their time.
    pub llm_time_ms: Millis,
    /// Whether these are all: false when a call passed that may be this request's or another's.
    pub complete: bool,
    /// The command that came most often, if it came `REPEATED_CALLS` times or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<RepeatedQuery>,
}

/// A command that came again and again within one request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepeatedQuery {
    /// Its stable hash, as in `db` records.
    pub query_id: Arc<str>,
    /// Its text.
    pub query: Arc<str>,
    /// How often it came.
    pub calls: u32,
}
