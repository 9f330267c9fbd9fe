//! Tables of models and agents.
use std::sync::Arc;

use super::super::column::{Column, count, figure, known, largest, millis, money, percent, plain};
use super::super::detail::{agent_detail, model_detail};
use super::{RowTable, error_tone, more, number, text};
use crate::aggregate::snapshot::{AgentRow, LlmRow};
use crate::record::Side;

fn model_name(row: &LlmRow) -> String {
    row.request_model.as_ref().map_or("-".into(), ToString::to_string)
}

fn agent_name(row: &AgentRow) -> String {
    row.agent_type.as_ref().map_or("-".into(), ToString::to_string)
}

static MODEL_COLUMNS: [Column<Arc<LlmRow>>; 15] = [
    Column { flexible: true, ..text("MODEL", 16, 0, |row| model_name(row), |a, b| a.request_model.cmp(&b.request_model)) },
    text("PROVIDER", 9, 7, |row| row.provider.to_string(), |a, b| a.provider.cmp(&b.provider)),
    text("SERVICE", 9, 8, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)),
    number("CALLS", 0, |row| count(row.calls), |a, b| b.calls.cmp(&a.calls), plain),
    number("ERR%", 0, |row| percent(row.error_rate), |a, b| largest(a.error_rate, b.error_rate), |row| error_tone(row.error_rate)),
    Column { width: 7, ..number("COST", 0, |row| money(row.cost_usd), |a, b| largest(a.cost_usd, b.cost_usd), plain) },
    number("IN", 3, |row| known(row.input_tokens), |a, b| b.input_tokens.cmp(&a.input_tokens), plain),
    number("OUT", 4, |row| known(row.output_tokens), |a, b| b.output_tokens.cmp(&a.output_tokens), plain),
    number("TTFT95", 6, |row| millis(row.ttft_p95_ms), |a, b| largest(a.ttft_p95_ms, b.ttft_p95_ms), plain),
    number("P95", 0, |row| millis(row.latency.p95_ms), |a, b| largest(a.latency.p95_ms, b.latency.p95_ms), plain),
    more("CACHED", |row| known(row.cache_read_tokens), |a, b| b.cache_read_tokens.cmp(&a.cache_read_tokens)),
    more("P50", |row| millis(row.latency.p50_ms), |a, b| largest(a.latency.p50_ms, b.latency.p50_ms)),
    more("MAX", |row| millis(row.latency.max_ms), |a, b| largest(a.latency.max_ms, b.latency.max_ms)),
    Column {
        width: 7,
        ..more("CALLS/M", |row| figure(row.requests_per_minute), |a, b| b.requests_per_minute.total_cmp(&a.requests_per_minute))
    },
    Column { width: 8, ..more("NO PRICE", |row| count(row.unpriced_calls), |a, b| b.unpriced_calls.cmp(&a.unpriced_calls)) },
];

pub(in super::super) static MODELS: RowTable<Arc<LlmRow>> = RowTable {
    columns: &MODEL_COLUMNS,
    name: |row| {
        let end = if row.side == Side::Server { " (server)" } else { "" };
        let at = row.destination.as_ref().map_or(String::new(), |destination| format!(" at {destination}"));
        format!("{} called by {}{at}{end}", model_name(row), row.service)
    },
    detail: model_detail,
    empty: "No model calls in this window. Calls to language models appear here with tokens and cost.",
};

static AGENT_COLUMNS: [Column<Arc<AgentRow>>; 13] = [
    Column { flexible: true, ..text("AGENT", 14, 0, |row| agent_name(row), |a, b| a.agent_type.cmp(&b.agent_type)) },
    text("SERVICE", 10, 7, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)),
    number("RUNS", 0, |row| count(row.count), |a, b| b.count.cmp(&a.count), plain),
    number("ERR%", 0, |row| percent(row.error_rate), |a, b| largest(a.error_rate, b.error_rate), |row| error_tone(row.error_rate)),
    Column { width: 7, ..number("COST", 0, |row| money(row.cost_usd), |a, b| largest(a.cost_usd, b.cost_usd), plain) },
    number("TOKENS", 3, |row| known(row.tokens_used), |a, b| b.tokens_used.cmp(&a.tokens_used), plain),
    number("CALLS", 4, |row| count(row.llm_calls), |a, b| b.llm_calls.cmp(&a.llm_calls), plain),
    number("TOOLS", 5, |row| count(row.tools_called), |a, b| b.tools_called.cmp(&a.tools_called), plain),
    number("MEAN", 6, |row| millis(row.latency.mean_ms), |a, b| largest(a.latency.mean_ms, b.latency.mean_ms), plain),
    number("P95", 0, |row| millis(row.latency.p95_ms), |a, b| largest(a.latency.p95_ms, b.latency.p95_ms), plain),
    more("P50", |row| millis(row.latency.p50_ms), |a, b| largest(a.latency.p50_ms, b.latency.p50_ms)),
    more("MAX", |row| millis(row.latency.max_ms), |a, b| largest(a.latency.max_ms, b.latency.max_ms)),
    Column { width: 9, ..more("ABANDONED", |row| count(row.abandoned), |a, b| b.abandoned.cmp(&a.abandoned)) },
];

pub(in super::super) static AGENTS: RowTable<Arc<AgentRow>> = RowTable {
    columns: &AGENT_COLUMNS,
    name: |row| format!("{} of {}", agent_name(row), row.service),
    detail: agent_detail,
    empty: "No agent runs in this window. A run ends with the answer that calls no more tools.",
};
