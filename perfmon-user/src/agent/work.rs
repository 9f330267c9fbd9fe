//! Sums of end-to-end work and its `workflow` record, for an inbound request or for the process as a whole.
use std::sync::Arc;

use crate::record::{Llm, Millis, Origin, Request, WallTime, Workflow};

use super::run::RunTotals;

/// Sums of a piece of work.
#[derive(Default)]
pub(super) struct Work {
    pub(super) agents: u64,
    pub(super) llm_calls: u64,
    pub(super) tools: u64,
    sums: RunTotals,
}

impl Work {
    pub(super) fn call(&mut self, record: &Llm) {
        self.llm_calls += 1;
        self.sums.add(record);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.agents += other.agents;
        self.llm_calls += other.llm_calls;
        self.tools += other.tools;
        self.sums.add_sums(&other.sums);
    }
}

/// The record of an inbound request that ended.
pub(super) fn of_request(request: &Request, work: &Work, end_ns: u64, start_ns: u64) -> Workflow {
    let name = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("?").to_owned();
    Workflow {
        time: request.time,
        origin: Arc::clone(&request.origin),
        workflow_name: format!("{} {}", name(&request.method), name(&request.path)).into(),
        inbound: request.method.clone().zip(request.path.clone()),
        execution_time_ms: request.response_time_ms.unwrap_or(Millis(end_ns.saturating_sub(start_ns))),
        status: if request.is_error() { "error" } else { "success" },
        agents: work.agents,
        llm_calls: work.llm_calls,
        tools_called: work.tools,
        db_calls: request.downstream.as_ref().filter(|calls| calls.complete).map(|calls| calls.db_calls),
        tokens_used: work.sums.tokens(),
        cost_usd: work.sums.cost_usd,
        trace_id: request.trace_id.clone(),
    }
}

/// The record of a process that ended.
pub(super) fn of_process(origin: &Arc<Origin>, work: &Work, time: WallTime, whole_ns: u64, status: &'static str) -> Workflow {
    let name = if &*origin.service == "unknown" { &origin.comm } else { &origin.service };
    Workflow {
        time,
        origin: Arc::clone(origin),
        workflow_name: Arc::clone(name),
        inbound: None,
        execution_time_ms: Millis(whole_ns),
        status,
        agents: work.agents,
        llm_calls: work.llm_calls,
        tools_called: work.tools,
        db_calls: None,
        tokens_used: work.sums.tokens(),
        cost_usd: work.sums.cost_usd,
        trace_id: None,
    }
}
