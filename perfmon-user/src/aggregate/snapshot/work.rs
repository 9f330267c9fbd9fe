//! Rows of model calls, agents, tools and workflows.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Latency;
use crate::record::Side;

/// Model calls of one service to one model at one destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlmRow {
    /// Who asks (or, `side` server, who answers).
    pub service: Arc<str>,
    /// Which end was seen.
    pub side: Side,
    /// Id as in the price table.
    pub provider: Arc<str>,
    /// Requested model.
    pub request_model: Option<Arc<str>>,
    /// Service that was called.
    pub destination: Option<Arc<str>>,
    /// Calls, retries included.
    pub calls: u64,
    /// Failed ones.
    pub errors: u64,
    /// Those of the failed ones that the provider's rate limit refused (429).
    #[serde(default)]
    pub rate_limited: u64,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// Over the window.
    pub requests_per_minute: f64,
    /// Prompt tokens of the calls that report them; null when no call does.
    pub input_tokens: Option<u64>,
    /// Output tokens; null when no call reports them.
    pub output_tokens: Option<u64>,
    /// Prompt tokens read from the cache; null when no call reports them.
    pub cache_read_tokens: Option<u64>,
    /// Cost of the calls that have one; null when none has.
    pub cost_usd: Option<f64>,
    /// Calls of unknown cost; those that a rate limit refused cost nothing.
    pub unpriced_calls: u64,
    /// Duration of calls.
    #[serde(flatten)]
    pub latency: Latency,
    /// Time to the first byte.
    pub ttfb_p50_ms: Option<f64>,
    /// 95th percentile.
    pub ttfb_p95_ms: Option<f64>,
    /// Time to the first generated content.
    pub ttft_p50_ms: Option<f64>,
    /// 95th percentile.
    pub ttft_p95_ms: Option<f64>,
}

/// Runs of one agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentRow {
    /// Service of the process.
    pub service: Arc<str>,
    /// Name of the agent.
    pub agent_type: Option<Arc<str>>,
    /// Runs.
    pub count: u64,
    /// Failed ones.
    pub errors: u64,
    /// Given up without an answer.
    pub abandoned: u64,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// Model calls, retries included.
    pub llm_calls: u64,
    /// Tools executed.
    pub tools_called: u64,
    /// Input and output tokens together; null when unknown for every run.
    pub tokens_used: Option<u64>,
    /// Cost of the runs that have one; null when none has.
    pub cost_usd: Option<f64>,
    /// Duration of runs.
    #[serde(flatten)]
    pub latency: Latency,
}

/// Executions of one tool.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ToolRow {
    /// Service of the agent.
    pub service: Arc<str>,
    /// Name.
    pub tool_name: Arc<str>,
    /// `mcp` | `process` | `conversation`.
    pub source: &'static str,
    /// MCP server's own name.
    pub server: Option<Arc<str>>,
    /// Executions.
    pub count: u64,
    /// Executions whose result reports an error.
    pub errors: u64,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// Duration.
    #[serde(flatten)]
    pub latency: Latency,
}

/// Runs of one workflow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkflowRow {
    /// Service of the process.
    pub service: Arc<str>,
    /// Endpoint of the inbound request, or name of the process.
    pub workflow_name: Arc<str>,
    /// Runs.
    pub count: u64,
    /// Failed ones.
    pub errors: u64,
    /// Given up.
    pub abandoned: u64,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// Agent runs.
    pub agents: u64,
    /// Model calls.
    pub llm_calls: u64,
    /// Tools executed.
    pub tools_called: u64,
    /// Input and output tokens together; null when unknown for every run.
    pub tokens_used: Option<u64>,
    /// Cost of the runs that have one; null when none has.
    pub cost_usd: Option<f64>,
    /// Duration.
    #[serde(flatten)]
    pub latency: Latency,
}

/// Totals of model calls, agents, tools and workflows in a window. When both ends of the calls to a model were seen, the end with more
/// calls counts, so that no call counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WorkTotals {
    /// Model calls.
    pub llm_calls: u64,
    /// Failed ones.
    pub llm_errors: u64,
    /// Those of the failed ones that a rate limit refused (429).
    pub llm_rate_limited: u64,
    /// Prompt tokens; null when no call reports them.
    pub input_tokens: Option<u64>,
    /// Output tokens; null when no call reports them.
    pub output_tokens: Option<u64>,
    /// Cost of model calls that have one; null when none has.
    pub cost_usd: Option<f64>,
    /// Agent runs.
    pub agent_runs: u64,
    /// Failed ones.
    pub agent_errors: u64,
    /// Mean duration of agent runs; null without one.
    pub avg_agent_time_ms: Option<f64>,
    /// Tool executions.
    pub tool_calls: u64,
    /// Failed ones.
    pub tool_errors: u64,
    /// Workflows.
    pub workflows: u64,
}
