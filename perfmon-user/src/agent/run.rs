//! One agent run: its calls and tools added up, and its record at the end.
use std::sync::Arc;

use crate::llm::price::round;
use crate::llm::{CallDetail, ToolResult};
use crate::record::{Agent, Llm, Millis, Origin, Tool, WallTime};

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The last answer requested no more tools.
    Success,
    /// It failed, with this kind of failure.
    Error(Arc<str>),
    /// It was not continued; the failure of its last call, if any.
    Abandoned(Option<Arc<str>>),
}

/// A requested tool without a result so far.
struct AwaitedTool {
    id: Option<Arc<str>>,
    name: Arc<str>,
}

/// Sums of optional figures; unknown until one is known.
#[derive(Default)]
pub(super) struct RunTotals {
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) cost_usd: Option<f64>,
}

impl RunTotals {
    pub(super) fn add(&mut self, record: &Llm) {
        let Llm { input_tokens, output_tokens, cost_usd, .. } = *record;
        self.add_sums(&Self { input_tokens, output_tokens, cost_usd });
    }

    pub(super) fn add_sums(&mut self, other: &Self) {
        let sum = |into: &mut Option<u64>, value: Option<u64>| *into = value.map(|value| into.unwrap_or(0) + value).or(*into);
        sum(&mut self.input_tokens, other.input_tokens);
        sum(&mut self.output_tokens, other.output_tokens);
        self.cost_usd = other.cost_usd.map(|cost| round(self.cost_usd.unwrap_or(0.0) + cost)).or(self.cost_usd);
    }

    pub(super) fn tokens(&self) -> Option<u64> {
        match (self.input_tokens, self.output_tokens) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or(0) + output.unwrap_or(0)),
        }
    }
}

/// A run under way.
pub(super) struct Run {
    pub(super) id: Arc<str>,
    pub(super) agent_type: Option<Arc<str>>,
    origin: Arc<Origin>,
    time: WallTime,
    start_ns: u64,
    end_ns: u64,
    calls: u64,
    tools: u64,
    model_ns: u64,
    tool_ns: u64,
    sums: RunTotals,
    pending: Vec<AwaitedTool>,
    /// Why the last call failed.
    failure: Option<Arc<str>>,
    /// Whether such a failure is worth another attempt.
    is_retryable: bool,
}

impl Run {
    pub(super) fn new(id: Arc<str>, agent_type: Option<Arc<str>>, record: &Llm, detail: &CallDetail) -> Self {
        Self {
            id,
            agent_type,
            origin: Arc::clone(&record.origin),
            time: record.time,
            start_ns: detail.start_ns,
            end_ns: detail.start_ns,
            calls: 0,
            tools: 0,
            model_ns: 0,
            tool_ns: 0,
            sums: RunTotals::default(),
            pending: Vec::new(),
            failure: None,
            is_retryable: false,
        }
    }

    /// Whether one of these results answers an awaited tool, by id, or by name where there is no id.
    pub(super) fn awaits(&self, results: &[ToolResult]) -> bool {
        results.iter().any(|result| self.pending.iter().any(|pending| answers(result, pending)))
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether its last call failed for good: a retry cannot succeed.
    pub(super) fn is_lost(&self) -> bool {
        self.failure.is_some() && !self.is_retryable
    }

    pub(super) fn end_ns(&self) -> u64 {
        self.end_ns
    }

    /// Makes a record for each tool result in a call of this run. Tools without a result were not executed.
    pub(super) fn tool_results(&mut self, detail: &CallDetail, asked: WallTime) -> Vec<Tool> {
        if self.pending.is_empty() {
            return Vec::new();
        }
        let pending = std::mem::take(&mut self.pending);
        let mut results: Vec<Option<&ToolResult>> = detail.tool_results.iter().map(Some).collect();
        let time_ns = detail.start_ns.saturating_sub(self.end_ns);
        let mut tools = Vec::new();
        for pending in pending {
            let Some(result) = results.iter_mut().find(|result| result.is_some_and(|result| answers(result, &pending))) else { continue };
            let is_error = result.take().is_some_and(|result| result.is_error);
            tools.push(Tool {
                time: asked,
                origin: Arc::clone(&self.origin),
                tool_name: pending.name,
                tool_call_id: pending.id,
                source: "conversation",
                transport: None,
                server: None,
                execution_time_ms: Some(Millis(time_ns)),
                success: Some(!is_error),
                error_type: is_error.then(|| "tool_error".into()),
                agent_type: self.agent_type.clone(),
                agent_run_id: Some(Arc::clone(&self.id)),
            });
        }
        self.tools += tools.len() as u64;
        self.tool_ns += if tools.is_empty() { 0 } else { time_ns };
        tools
    }

    /// Adds a call; the run's end, if this was its last.
    pub(super) fn call(&mut self, record: &Llm, detail: &CallDetail) -> Option<End> {
        self.calls += 1;
        self.model_ns += detail.end_ns.saturating_sub(detail.start_ns);
        self.end_ns = self.end_ns.max(detail.end_ns);
        self.sums.add(record);
        self.failure = record.error_type.clone();
        if let Some(failure) = &self.failure {
            self.is_retryable = record.status_code.is_none_or(|status| status < 400 || matches!(status, 408 | 409 | 429 | 500..));
            return self.is_lost().then(|| End::Error(Arc::clone(failure)));
        }
        self.pending = record.tool_calls.iter().map(|tool| AwaitedTool { id: tool.id.clone(), name: Arc::clone(&tool.name) }).collect();
        // Anthropic's `pause_turn`: the client sends the answer back and the model continues.
        let is_paused = record.finish_reason.as_deref() == Some("pause_turn");
        (self.pending.is_empty() && !is_paused).then_some(End::Success)
    }

    /// The outcome when the run is not continued.
    pub(super) fn left(&self) -> End {
        match &self.failure {
            Some(failure) if &**failure != "client_closed" => End::Error(Arc::clone(failure)),
            failure => End::Abandoned(failure.clone()),
        }
    }

    /// Its record.
    pub(super) fn record(self, end: End, conversation_id: Option<Arc<str>>) -> Agent {
        let (status, error_type) = match end {
            End::Success => ("success", None),
            End::Error(kind) => ("error", Some(kind)),
            End::Abandoned(kind) => ("abandoned", kind),
        };
        let whole_ns = self.end_ns.saturating_sub(self.start_ns);
        Agent {
            time: self.time,
            origin: self.origin,
            agent_type: self.agent_type,
            agent_run_id: self.id,
            conversation_id,
            execution_time_ms: Millis(whole_ns),
            status,
            error_type,
            llm_calls: self.calls,
            tools_called: self.tools,
            tokens_used: self.sums.tokens(),
            input_tokens: self.sums.input_tokens,
            output_tokens: self.sums.output_tokens,
            cost_usd: self.sums.cost_usd,
            model_time_ms: Millis(self.model_ns),
            tool_time_ms: Millis(self.tool_ns),
            local_time_ms: Millis(whole_ns.saturating_sub(self.model_ns + self.tool_ns)),
        }
    }
}

fn answers(result: &ToolResult, pending: &AwaitedTool) -> bool {
    match (&result.tool_call_id, &pending.id) {
        (Some(result), Some(pending)) => result == pending,
        _ => result.tool_name.as_ref().is_none_or(|name| *name == pending.name),
    }
}
