//! Agent runs, their tools, and the work that contains them.
use std::sync::Arc;

use serde::Serialize;

use super::{Millis, Origin, WallTime};

/// One tool execution of an agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tool {
    /// When the model's request for it was complete.
    pub time: WallTime,
    /// Its process.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// Name.
    pub tool_name: Arc<str>,
    /// The provider's id of the call.
    pub tool_call_id: Option<Arc<str>>,
    /// `mcp` | `process` | `conversation`.
    pub source: &'static str,
    /// `http` | `stdio`.
    pub transport: Option<&'static str>,
    /// MCP server's own name.
    pub server: Option<Arc<str>>,
    /// From the request for it to its result.
    pub execution_time_ms: Option<Millis>,
    /// Result of the tool; null when unknown.
    pub success: Option<bool>,
    /// Kind of failure.
    pub error_type: Option<Arc<str>>,
    /// Name of the agent.
    pub agent_type: Option<Arc<str>>,
    /// Id of the run.
    pub agent_run_id: Option<Arc<str>>,
}

/// One agent run: from the user's message to the answer without further tool calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agent {
    /// Start of its first model call.
    pub time: WallTime,
    /// Its process.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// Name of the agent.
    pub agent_type: Option<Arc<str>>,
    /// Id of the run.
    pub agent_run_id: Arc<str>,
    /// Id of the provider or the agent, else a hash.
    pub conversation_id: Option<Arc<str>>,
    /// First request byte to last answer byte.
    pub execution_time_ms: Millis,
    /// `success` | `error` | `abandoned`.
    pub status: &'static str,
    /// Kind of failure.
    pub error_type: Option<Arc<str>>,
    /// Attempts, retries included.
    pub llm_calls: u64,
    /// Tools executed.
    pub tools_called: u64,
    /// Input and output together.
    pub tokens_used: Option<u64>,
    /// All prompt tokens.
    pub input_tokens: Option<u64>,
    /// All output tokens.
    pub output_tokens: Option<u64>,
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// Time in model calls.
    pub model_time_ms: Millis,
    /// Time in tools.
    pub tool_time_ms: Millis,
    /// The rest.
    pub local_time_ms: Millis,
}

/// One end-to-end piece of work that contains agent runs or model calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Workflow {
    /// Start.
    pub time: WallTime,
    /// Its process.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// Endpoint of the inbound request, or name of the process.
    pub workflow_name: Arc<str>,
    /// Method and path of the inbound request: the aggregate, which knows endpoints, makes the name of them.
    #[serde(skip)]
    pub inbound: Option<(Arc<str>, Arc<str>)>,
    /// Start to end.
    pub execution_time_ms: Millis,
    /// `success` | `error` | `abandoned`.
    pub status: &'static str,
    /// Agent runs in it.
    pub agents: u64,
    /// Model calls in it.
    pub llm_calls: u64,
    /// Tools executed.
    pub tools_called: u64,
    /// Database commands in it; null while perfmon does not see them.
    pub db_calls: Option<u64>,
    /// Input and output together.
    pub tokens_used: Option<u64>,
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// Trace of the inbound request.
    pub trace_id: Option<Arc<str>>,
}
