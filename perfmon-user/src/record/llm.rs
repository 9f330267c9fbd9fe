//! One model call.
use std::sync::Arc;

use serde::Serialize;

use super::{Millis, Origin, Side, SpanId, WallTime};

/// A tool call requested by the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToolCall {
    /// The provider's id of the call.
    pub id: Option<Arc<str>>,
    /// Name of the tool.
    pub name: Arc<str>,
}

/// One model call; units and meaning as in docs/records.md, `llm`. `span_id` is that of the request on the same connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Llm {
    /// First request byte sent (client) or arrived (server).
    pub time: WallTime,
    /// Its process.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// Server or client.
    pub side: Side,
    /// Id as in the price table.
    pub provider: Arc<str>,
    /// `chat` `responses` `messages` …
    pub api: &'static str,
    /// Called service.
    pub destination: Option<Arc<str>>,
    /// The other end's address.
    pub peer: Arc<str>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Requested model.
    pub request_model: Option<Arc<str>>,
    /// Model that answered.
    pub response_model: Option<Arc<str>>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// HTTP status.
    pub status_code: Option<u16>,
    /// Error type of the provider, else the status, else `timeout` `reset` `client_closed` `truncated`.
    pub error_type: Option<Arc<str>>,
    /// The provider's own word.
    pub finish_reason: Option<Arc<str>>,
    /// All prompt tokens, cached ones included.
    pub input_tokens: Option<u64>,
    /// Reasoning included.
    pub output_tokens: Option<u64>,
    /// Prompt tokens read from the cache.
    pub cache_read_tokens: Option<u64>,
    /// Prompt tokens written to the cache.
    pub cache_write_tokens: Option<u64>,
    /// Output tokens spent on reasoning.
    pub reasoning_tokens: Option<u64>,
    /// `reported` | `estimated`.
    pub token_source: Option<&'static str>,
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// `prices` | `provider`.
    pub cost_source: Option<&'static str>,
    /// As in `request`.
    pub response_time_ms: Option<Millis>,
    /// As in `request`.
    pub time_to_first_byte_ms: Option<Millis>,
    /// First generated content; null when not streamed.
    pub time_to_first_token_ms: Option<Millis>,
    /// Output tokens over the time after the first token (streamed) or the whole call.
    pub output_tokens_per_second: Option<f64>,
    /// Longest time between two content events; null when not streamed.
    pub chunk_gap_max_ms: Option<Millis>,
    /// Tool calls requested by the model.
    pub tool_calls: Vec<ToolCall>,
    /// Id of the provider or the agent, else a hash.
    pub conversation_id: Option<Arc<str>>,
    /// Name of the agent.
    pub agent_type: Option<Arc<str>>,
    /// Id of the agent run.
    pub agent_run_id: Option<Arc<str>>,
    /// Request-id header of the provider, else the id in the body.
    pub request_id: Option<Arc<str>>,
    /// `plaintext` | `encrypted`.
    pub visibility: &'static str,
    /// All bytes of the request.
    pub request_bytes: u64,
    /// All bytes of the response.
    pub response_bytes: u64,
    /// Content events of the stream.
    pub chunks: u64,
    /// Trace of the exchange.
    pub trace_id: Option<Arc<str>>,
    /// Same as in the request record of the exchange.
    pub span_id: SpanId,
}
