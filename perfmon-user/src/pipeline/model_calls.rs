//! Model calls and agent runs of all connections. In: parts and ends of exchanges, exits of processes; out: `llm`, `agent` and `workflow`
//! records. Joins the trackers of `llm` and `agent`; parses nothing itself.
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::agent::{self, AgentTracker, Inbound, InboundKey, ProcessEnd};
use crate::budget::Budget;
use crate::counters::Counters;
use crate::limits;
use crate::llm::coding::work::WorkLimits;
use crate::llm::{self, CallContext, Calls, Ids, LlmOptions, LlmTracker};
use crate::proto::exchange::{Exchange, Part};
use crate::record::{Record, Request, Side, WallTime};
use crate::stream::Direction;

/// The exit event precedes the close of the sockets: agent runs of an exited process end this much later.
const AFTER_EXIT_NS: u64 = 500_000_000;

/// The trackers of model calls and agent runs.
pub(super) struct ModelCalls {
    /// Detection is switched off: messages are not inspected and no records are made.
    pub(super) off: bool,
    llm: LlmTracker,
    agents: AgentTracker,
    exits: Vec<ProcessEnd>,
    /// Processes that called models. Inbound requests are followed for these only.
    callers: FxHashSet<u32>,
    /// New callers whose requests under way have not been reported yet.
    new_callers: Vec<u32>,
    reported: (llm::LlmCounts, agent::AgentCounts),
    counters: Arc<Counters>,
}

impl std::fmt::Debug for ModelCalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelCalls").field("exits", &self.exits.len()).finish_non_exhaustive()
    }
}

/// The connection that carries a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct WireId {
    pub(super) pid: u32,
    /// Unique among the connections.
    pub(super) id: u64,
}

impl ModelCalls {
    /// `cpu_ns`: see [`LlmOptions::cpu_ns`].
    pub(super) fn new(counters: Arc<Counters>, cpu_ns: fn() -> u64) -> Self {
        let work = WorkLimits {
            free_bytes: limits::CODED_FREE_BYTES,
            ratio: limits::CODED_RATIO,
            free_ns: limits::CODED_FREE_NS,
            ns_a_byte: limits::CODED_NS_A_BYTE,
        };
        let llm = LlmOptions { calls: limits::LLM_CALLS, calls_per_connection: limits::LLM_CALLS_PER_CONNECTION, work, cpu_ns };
        let agents = agent::AgentOptions {
            processes: limits::AGENT_PROCESSES,
            conversations: limits::AGENT_CONVERSATIONS,
            inbound: limits::AGENT_INBOUND,
            idle_ns: limits::AGENT_IDLE_NS,
            retry_ns: limits::AGENT_RETRY_NS,
        };
        Self {
            off: false,
            llm: LlmTracker::new(llm),
            agents: AgentTracker::new(agents),
            exits: Vec::new(),
            callers: FxHashSet::default(),
            new_callers: Vec::new(),
            reported: Default::default(),
            counters,
        }
    }

    /// Handles a part of an exchange before its end.
    pub(super) fn part(&mut self, calls: &mut Calls, part: &Part<'_>, wire: WireId, budget: &Budget) {
        if self.off {
            return;
        }
        let of = || budget.of(wire.pid);
        let Part::Request(head) = part else { return self.llm.on_part(calls, part, None, of) };
        if head.direction == Direction::In {
            if self.callers.contains(&wire.pid) {
                let (key, kind) = (key(wire, head.exchange), agent::kind(head.method, head.target));
                let inbound = Inbound { key, thread: head.thread, start_ns: head.start_ns, read_ns: head.time_ns, kind };
                self.agents.on_inbound(wire.pid, inbound);
            }
            return self.llm.on_part(calls, part, None, of);
        }
        let before = calls.len();
        self.llm.on_part(calls, part, None, of);
        if calls.len() > before && !self.callers.contains(&wire.pid) {
            if self.callers.len() >= limits::PROCESSES {
                self.callers.clear();
            }
            self.callers.insert(wire.pid);
            self.new_callers.push(wire.pid);
        }
    }

    /// Takes the processes that began to call models since the last call; the caller reports their inbound requests with
    /// [`ModelCalls::under_way`].
    pub(super) fn take_new_callers(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.new_callers)
    }

    /// Whether [`ModelCalls::take_new_callers`] would return any.
    pub(super) fn has_new_callers(&self) -> bool {
        !self.new_callers.is_empty()
    }

    /// Reports the requests that a new caller is serving now.
    pub(super) fn under_way(&mut self, pid: u32, mut inbound: Vec<Inbound>) {
        inbound.sort_unstable_by_key(|inbound| inbound.read_ns);
        for inbound in inbound {
            self.agents.on_inbound(pid, inbound);
        }
    }

    /// Handles the end of an exchange and its record; pushes the records of the model call and the runs that end with it.
    pub(super) fn done(
        &mut self,
        calls: &mut Calls,
        exchange: &Exchange,
        request: &Request,
        wire: WireId,
        wall_at_boot_ns: u64,
        records: &mut Vec<Record>,
    ) {
        let wall = |ns: u64| WallTime(wall_at_boot_ns + ns);
        let ids = || Ids { trace_id: request.trace_id.clone(), span_id: request.span_id };
        let context = CallContext {
            origin: &request.origin,
            tls: request.tls,
            peer: &request.peer,
            destination: request.destination.as_ref(),
            request_bytes: request.request_bytes,
            response_bytes: request.response_bytes,
        };
        if let Some(mut finished) = self.llm.on_done(calls, exchange, &context, ids, wall) {
            records.extend(self.agents.on_call(&mut finished.record, &finished.detail, wall));
            records.push(Record::Llm(finished.record));
        }
        if request.side == Side::Server && self.callers.contains(&wire.pid) {
            self.agents.on_inbound_end(key(wire, exchange.id), request, exchange.end_ns.unwrap_or(exchange.start_ns));
        }
    }

    /// Notes the exit of a process.
    pub(super) fn left(&mut self, end: ProcessEnd) {
        self.exits.push(end);
    }

    /// Runs once a second: ends the runs of exited processes and idle runs.
    pub(super) fn tick(&mut self, now_ns: u64, wall_at_boot_ns: u64) -> Vec<Record> {
        let mut records = self.agents.tick(now_ns);
        let wall = |ns: u64| WallTime(wall_at_boot_ns + ns);
        let over = self.exits.extract_if(.., |end| now_ns.saturating_sub(end.end_ns) >= AFTER_EXIT_NS);
        for end in over {
            self.callers.remove(&end.pid);
            records.extend(self.agents.on_exit(&end, wall));
        }
        self.count();
        records
    }

    fn count(&mut self) {
        let (llm, agents) = (self.llm.counts(), self.agents.counts());
        let (llm_before, agents_before) = &self.reported;
        self.counters.llm_bodies_broken.add(llm.bodies_broken - llm_before.bodies_broken);
        self.counters.llm_calls_refused.add(llm.calls_refused - llm_before.calls_refused);
        self.counters.decoders_given_up.add(llm.decoders_given_up - llm_before.decoders_given_up);
        self.counters.agent_conversations_evicted.add(agents.conversations_evicted - agents_before.conversations_evicted);
        self.counters.agent_processes_evicted.add(agents.processes_evicted - agents_before.processes_evicted);
        self.counters.agent_inbound_evicted.add(agents.inbound_evicted - agents_before.inbound_evicted);
        self.reported = (llm, agents);
    }
}

fn key(wire: WireId, exchange: u64) -> InboundKey {
    (wire.id, exchange)
}
