//! End-to-end work: the inbound request that a process serves while it calls a model, else the process as a whole.
use std::sync::Arc;

use crate::record::{Llm, Millis, Origin, Request, WallTime, Workflow};

use super::run::Sums;

/// Names an inbound exchange: its connection and its number there.
pub type InboundKey = (u64, u64);

/// What a piece of work contains.
#[derive(Default)]
pub(super) struct Work {
    pub(super) agents: u64,
    pub(super) llm_calls: u64,
    pub(super) tools: u64,
    sums: Sums,
}

impl Work {
    pub(super) fn call(&mut self, record: &Llm) {
        self.llm_calls += 1;
        self.sums.add(record);
    }
}

/// An inbound request under way.
pub(super) struct Inbound {
    pub(super) key: InboundKey,
    pub(super) thread: u32,
    pub(super) start_ns: u64,
    pub(super) work: Work,
}

/// The inbound request that a call is made for: the one of its thread, else the only one of the process. A thread that serves several
/// at once (an event loop) usually calls for the one it began last that no other run is bound to.
pub(super) fn serving(inbound: &[Inbound], thread: u32, start_ns: u64, is_bound: impl Fn(InboundKey) -> bool) -> Option<InboundKey> {
    let before = || inbound.iter().filter(|request| request.start_ns <= start_ns);
    let of_thread = || before().filter(|request| request.thread == thread);
    let last_free = of_thread().filter(|request| !is_bound(request.key)).max_by_key(|request| request.start_ns);
    let only_one = || Some(inbound).filter(|all| all.len() == 1).and_then(|_| before().next());
    last_free.or_else(|| of_thread().max_by_key(|request| request.start_ns)).or_else(only_one).map(|request| request.key)
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
        db_calls: None,
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
