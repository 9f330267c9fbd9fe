//! What the requests of an endpoint had their process call.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::{RepeatedQuery, SpanId};

/// Calls of an endpoint's requests. Means are over the requests of which all calls are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DownstreamRow {
    /// Requests of which all calls are known.
    pub requests: u64,
    /// Requests beside which a call passed that may be theirs or another request's; they are in no mean.
    pub requests_unsure: u64,
    /// Database commands per request.
    pub db_calls_per_request: Option<f64>,
    /// Their time per request, added up.
    pub db_ms_per_request: Option<f64>,
    /// HTTP requests to others per request.
    pub http_calls_per_request: Option<f64>,
    /// Their time.
    pub http_ms_per_request: Option<f64>,
    /// Model calls per request.
    pub llm_calls_per_request: Option<f64>,
    /// Their time.
    pub llm_ms_per_request: Option<f64>,
    /// The command that came again and again within one request.
    pub repeated: Option<RepeatedRow>,
}

/// A command that came again and again within one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepeatedRow {
    /// Requests with such a command.
    pub requests: u64,
    /// Its stable hash, of the last such request.
    pub query_id: Arc<str>,
    /// Its text.
    pub query: Arc<str>,
    /// How often it came in that request.
    pub calls: u32,
    /// That request.
    pub span_id: SpanId,
}

impl RepeatedRow {
    /// Of the last request with such a command.
    pub fn new(requests: u64, query: &RepeatedQuery, span_id: SpanId) -> Self {
        Self { requests, query_id: query.query_id.clone(), query: query.query.clone(), calls: query.calls, span_id }
    }
}
