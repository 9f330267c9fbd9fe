//! Details of models and agents; an agent's tools and workflows are those of its service.
use std::sync::Arc;

use super::super::column::cut;
use super::super::model::{ScreenModel, ShownTool};
use super::super::tables::error_tone;
use super::{RowDetail, Tone, count, each, figure, known, millis, money, share, text_or_dash};
use crate::aggregate::snapshot::{AgentRow, LlmRow, WorkflowRow};
use crate::record::Side;

pub(in super::super) fn model_detail(row: &Arc<LlmRow>, _: &ScreenModel) -> RowDetail {
    let tone = error_tone(row.error_rate);
    let side = match row.side {
        Side::Client => "the caller",
        Side::Server => "the model server",
    };
    RowDetail::default()
        .toned(
            "Calls",
            [
                ("calls", count(row.calls), Tone::Plain),
                ("per minute", figure(row.requests_per_minute), Tone::Plain),
                ("errors", count(row.errors), tone),
                ("error rate", share(row.error_rate), tone),
            ],
        )
        .values(
            "Cost and tokens",
            [
                ("cost", money(row.cost_usd)),
                ("cost per call", money(each(row.cost_usd, row.calls - row.unpriced_calls.min(row.calls)))),
                ("calls without a price", count(row.unpriced_calls)),
                ("input tokens", known(row.input_tokens)),
                ("from a cache", known(row.cache_read_tokens)),
                ("output tokens", known(row.output_tokens)),
            ],
        )
        .latency("Response time, ms", &row.latency)
        .values(
            "First byte and first token, ms",
            [
                ("first byte, median", millis(row.ttfb_p50_ms)),
                ("first byte, 95th pct.", millis(row.ttfb_p95_ms)),
                ("first token, median", millis(row.ttft_p50_ms)),
                ("first token, 95th pct.", millis(row.ttft_p95_ms)),
            ],
        )
        .values(
            "Where",
            [
                ("service", row.service.to_string()),
                ("provider", row.provider.to_string()),
                ("destination", text_or_dash(row.destination.as_ref())),
                ("seen at", side.into()),
            ],
        )
}

pub(in super::super) fn agent_detail(row: &Arc<AgentRow>, model: &ScreenModel) -> RowDetail {
    let tone = error_tone(row.error_rate);
    let per_run = |sum: u64| each(Some(sum as f64), row.count).map_or("-".into(), figure);
    RowDetail::default()
        .toned(
            "Runs",
            [
                ("runs", count(row.count), Tone::Plain),
                ("errors", count(row.errors), tone),
                ("abandoned", count(row.abandoned), Tone::Plain),
                ("error rate", share(row.error_rate), tone),
            ],
        )
        .latency("Duration of a run, ms", &row.latency)
        .values(
            "Model calls, tools, tokens, cost",
            [
                ("model calls", count(row.llm_calls)),
                ("model calls per run", per_run(row.llm_calls)),
                ("tools called", count(row.tools_called)),
                ("tools per run", per_run(row.tools_called)),
                ("tokens", known(row.tokens_used)),
                ("cost", money(row.cost_usd)),
                ("cost per run", money(each(row.cost_usd, row.count))),
            ],
        )
        .lines(
            "Tools of this service",
            with_title(TOOL_TITLE, model.tools.iter().filter(|tool| tool.service == row.service).map(tool_line)),
        )
        .lines(
            "Workflows of this service",
            with_title(WORKFLOW_TITLE, model.workflows.iter().filter(|flow| flow.service == row.service).map(|flow| workflow_line(flow))),
        )
}

const TOOL_TITLE: &str = "TOOL                  CALLS  ERR%    P50    P95";
const WORKFLOW_TITLE: &str = "WORKFLOW               RUNS  ERR%    P95   COST";

fn with_title(title: &str, lines: impl Iterator<Item = String>) -> Vec<String> {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { lines } else { std::iter::once(title.to_string()).chain(lines).collect() }
}

fn tool_line(tool: &ShownTool) -> String {
    let (errors, latency) = (super::percent(tool.error_rate), &tool.latency);
    format!(
        "{:<20} {:>6} {errors:>5} {:>6} {:>6}",
        cut(&tool.tool_name, 20),
        count(tool.count),
        millis(latency.p50_ms),
        millis(latency.p95_ms)
    )
}

fn workflow_line(flow: &WorkflowRow) -> String {
    let (errors, p95) = (super::percent(flow.error_rate), millis(flow.latency.p95_ms));
    format!("{:<20} {:>6} {errors:>5} {p95:>6} {:>7}", cut(&flow.workflow_name, 20), count(flow.count), money(flow.cost_usd))
}
