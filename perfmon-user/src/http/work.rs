//! `GET /api/v1/llm`, `/agents`, `/tools` and `/workflows`: what the services do with models, a row for each model, agent, tool and
//! workflow of a window.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::answer::ApiError;
use super::params::Params;
use super::rows::{self, Orders, largest};
use crate::aggregate::snapshot::{AgentRow, LlmRow, ToolRow, WorkflowRow};

const LLM: &Orders<LlmRow> = &[
    ("calls", |a, b| b.calls.cmp(&a.calls)),
    ("errors", |a, b| b.errors.cmp(&a.errors)),
    ("error_rate", |a, b| largest(a.error_rate, b.error_rate)),
    ("cost_usd", |a, b| largest(a.cost_usd, b.cost_usd)),
    ("input_tokens", |a, b| b.input_tokens.cmp(&a.input_tokens)),
    ("output_tokens", |a, b| b.output_tokens.cmp(&a.output_tokens)),
    ("p95_ms", |a, b| largest(a.latency.p95_ms, b.latency.p95_ms)),
    ("ttft_p95_ms", |a, b| largest(a.ttft_p95_ms, b.ttft_p95_ms)),
];

const AGENTS: &Orders<AgentRow> = &[
    ("count", |a, b| b.count.cmp(&a.count)),
    ("errors", |a, b| b.errors.cmp(&a.errors)),
    ("cost_usd", |a, b| largest(a.cost_usd, b.cost_usd)),
    ("tokens_used", |a, b| b.tokens_used.cmp(&a.tokens_used)),
    ("p95_ms", |a, b| largest(a.latency.p95_ms, b.latency.p95_ms)),
];

const TOOLS: &Orders<ToolRow> = &[
    ("count", |a, b| b.count.cmp(&a.count)),
    ("errors", |a, b| b.errors.cmp(&a.errors)),
    ("p95_ms", |a, b| largest(a.latency.p95_ms, b.latency.p95_ms)),
];

const WORKFLOWS: &Orders<WorkflowRow> = &[
    ("count", |a, b| b.count.cmp(&a.count)),
    ("errors", |a, b| b.errors.cmp(&a.errors)),
    ("cost_usd", |a, b| largest(a.cost_usd, b.cost_usd)),
    ("tokens_used", |a, b| b.tokens_used.cmp(&a.tokens_used)),
    ("p95_ms", |a, b| largest(a.latency.p95_ms, b.latency.p95_ms)),
];

pub(super) async fn llm(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    rows::answer(&state, params, LLM, |view| &view.llm, &[("service", |row| Some(&row.service))])
}

pub(super) async fn agents(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    rows::answer(&state, params, AGENTS, |view| &view.agents, &[("service", |row| Some(&row.service))])
}

pub(super) async fn tools(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    rows::answer(&state, params, TOOLS, |view| &view.tools, &[("service", |row| Some(&row.service))])
}

pub(super) async fn workflows(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    rows::answer(&state, params, WORKFLOWS, |view| &view.workflows, &[("service", |row| Some(&row.service))])
}
