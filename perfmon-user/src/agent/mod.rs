//! Agent runs, tools and workflows. In: finished model calls (client side) in order of their ends; out: `agent`, `tool` and `workflow`
//! records (docs/records.md), and the run's ids on the call's record. A run lasts from the user's message to the answer that requests no
//! more tools, and is recognised per process by its growing history. A call is part of a run when tools are offered, requested or
//! answered, or the caller is a known agent. Tools outside the history (MCP, child processes) are not seen.
mod conversation;
mod name;
mod run;
mod serving;
mod work;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::llm::CallDetail;
use crate::record::{Llm, Origin, Record, Request, Side, WallTime};

use conversation::Conversation;
use run::{End, Run};
use serving::{Serving, Settled};
use work::Work;

pub use serving::{Inbound, InboundKey, kind};

/// Caps and times, from `limits`.
#[derive(Clone, Copy, Debug)]
pub struct AgentOptions {
    /// Processes that call models.
    pub processes: usize,
    /// Conversations of a process.
    pub conversations: usize,
    /// Inbound requests under way in a process.
    pub inbound: usize,
    /// Idle time after which a run is abandoned.
    pub idle_ns: u64,
    /// Time without a retry after which a run whose last call failed has failed.
    pub retry_ns: u64,
}

/// Losses, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentCounts {
    /// Conversations forgotten because there were too many.
    pub conversations_evicted: u64,
    /// Processes forgotten because there were too many.
    pub processes_evicted: u64,
    /// Inbound requests forgotten because there were too many.
    pub inbound_evicted: u64,
}

/// A process that ended.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnd {
    /// Its pid.
    pub pid: u32,
    /// When it began, if known.
    pub start_ns: Option<u64>,
    /// When it ended.
    pub end_ns: u64,
    /// Whether it exited with a failure.
    pub has_failed: bool,
}

struct AgentProcess {
    origin: Arc<Origin>,
    conversations: Vec<Conversation>,
    /// Work that is not an inbound request's.
    work: Work,
    /// Whether inbound requests led to model calls: it is a server.
    serves: bool,
    start_ns: u64,
    last_ns: u64,
}

/// The state of all processes.
pub struct AgentTracker {
    options: AgentOptions,
    processes: FxHashMap<u32, AgentProcess>,
    serving: FxHashMap<u32, Serving>,
    counts: AgentCounts,
}

impl AgentTracker {
    /// An empty tracker.
    pub fn new(options: AgentOptions) -> Self {
        Self { options, processes: FxHashMap::default(), serving: FxHashMap::default(), counts: AgentCounts::default() }
    }

    /// Losses so far.
    pub fn counts(&self) -> AgentCounts {
        self.counts
    }

    /// Handles a request that a process began to read.
    pub fn on_inbound(&mut self, pid: u32, inbound: Inbound) {
        let has_room = self.serving.entry(pid).or_default().begin(inbound, self.options.inbound);
        self.counts.inbound_evicted += u64::from(!has_room);
    }

    /// Handles the end of a served request, with its record. Its model work is reported by a later [`Self::tick`].
    pub fn on_inbound_end(&mut self, key: InboundKey, request: &Request, end_ns: u64) {
        let pid = request.origin.pid;
        let Some(serving) = self.serving.get_mut(&pid) else { return };
        let has_room = serving.end(key, request, end_ns, self.options.inbound);
        self.counts.inbound_evicted += u64::from(!has_room);
        if serving.inbound() == 0 && !self.processes.contains_key(&pid) {
            self.serving.remove(&pid);
        }
    }

    /// Handles the end of a model call. Sets conversation, run and agent on its record, which is to be published after the records returned here.
    /// `wall` maps times of the exchange to wall-clock time.
    pub fn on_call(&mut self, record: &mut Llm, detail: &CallDetail, wall: impl Fn(u64) -> WallTime) -> Vec<Record> {
        let mut records = Vec::new();
        if record.side != Side::Client {
            return records;
        }
        self.make_room(record.origin.pid, &mut records);
        let pid = record.origin.pid;
        let process = self.processes.entry(pid).or_insert_with(|| AgentProcess::new(record, detail));
        process.last_ns = process.last_ns.max(detail.end_ns);
        let serving = self.serving.entry(pid).or_default();
        if record.api == "embeddings" {
            serving.call(record, detail, false);
        } else {
            let at = process.conversation(record, detail, &self.options, &mut self.counts, &mut records);
            let step = process.step(at, record, detail, wall, &mut records);
            let work = serving.call(record, detail, step.is_open);
            work.agents += u64::from(step.began);
            work.tools += step.tools;
        }
        if let Some(work) = serving.overflow(self.options.conversations) {
            process.work.add(work);
        }
        records
    }

    /// Ends idle runs. Call it about once a second.
    pub fn tick(&mut self, now_ns: u64) -> Vec<Record> {
        let mut records = Vec::new();
        let options = self.options;
        for process in self.processes.values_mut() {
            process.end_runs(&mut records, |run| {
                let idle_ns = now_ns.saturating_sub(run.end_ns());
                let most = if run.has_failed() { options.retry_ns } else { options.idle_ns };
                (idle_ns > most).then(|| run.left())
            });
        }
        for (pid, serving) in &mut self.serving {
            let Some(process) = self.processes.get_mut(pid) else { continue };
            process.settled(serving.settle(Some(now_ns)), &mut records);
            process.work.add(serving.left(Some(now_ns), options.idle_ns));
        }
        records
    }

    /// Handles an exit, after the exchanges of the process: ends its runs. Work that no inbound request claimed becomes a workflow.
    pub fn on_exit(&mut self, exit: &ProcessEnd, wall: impl Fn(u64) -> WallTime) -> Vec<Record> {
        let mut records = Vec::new();
        let serving = self.serving.remove(&exit.pid);
        let Some(mut process) = self.processes.remove(&exit.pid) else { return records };
        if let Some(mut serving) = serving {
            process.settled(serving.settle(None), &mut records);
            process.work.add(serving.left(None, 0));
        }
        process.end_runs(&mut records, |run| {
            Some(match run.left() {
                End::Abandoned(None) if exit.has_failed => End::Error("exit".into()),
                end => end,
            })
        });
        if process.work.llm_calls > 0 && !process.serves {
            let start_ns = exit.start_ns.unwrap_or(process.start_ns);
            let status = if exit.has_failed { "error" } else { "success" };
            let whole_ns = exit.end_ns.saturating_sub(start_ns);
            let workflow = work::of_process(&process.origin, &process.work, wall(start_ns), whole_ns, status);
            records.push(Record::Workflow(Box::new(workflow)));
        }
        records
    }

    /// Evicts the longest idle process when the table is full.
    fn make_room(&mut self, pid: u32, records: &mut Vec<Record>) {
        if self.processes.contains_key(&pid) || self.processes.len() < self.options.processes {
            return;
        }
        let Some((&idle, _)) = self.processes.iter().min_by_key(|(pid, process)| (process.last_ns, **pid)) else { return };
        if let Some(mut process) = self.processes.remove(&idle) {
            if let Some(mut serving) = self.serving.remove(&idle) {
                process.settled(serving.settle(None), records);
            }
            process.end_runs(records, |run| Some(run.left()));
            self.counts.processes_evicted += 1;
        }
    }
}

/// The effect of a call on its run.
struct RunStep {
    is_open: bool,
    began: bool,
    tools: u64,
}

impl AgentProcess {
    fn new(record: &Llm, detail: &CallDetail) -> Self {
        Self {
            origin: Arc::clone(&record.origin),
            conversations: Vec::new(),
            work: Work::default(),
            serves: false,
            start_ns: detail.start_ns,
            last_ns: detail.end_ns,
        }
    }

    /// The conversation that the call continues, else a new one.
    fn conversation(
        &mut self,
        record: &Llm,
        detail: &CallDetail,
        options: &AgentOptions,
        counts: &mut AgentCounts,
        records: &mut Vec<Record>,
    ) -> usize {
        let matches = self.conversations.iter().enumerate().filter_map(|(at, c)| Some((c.matches(detail)?, at)));
        if let Some((_, at)) = matches.max() {
            return at;
        }
        if self.conversations.len() >= options.conversations {
            let idle = self.conversations.iter().enumerate().min_by_key(|(_, c)| c.end_ns).map(|(at, _)| at);
            let forgotten = idle.map(|at| self.conversations.swap_remove(at));
            counts.conversations_evicted += u64::from(forgotten.is_some());
            if let Some((run, id)) = forgotten.and_then(|c| Some((c.run?, c.id))) {
                let end = run.left();
                records.push(Record::Agent(Box::new(run.record(end, Some(id)))));
            }
        }
        let id = detail.conversation.clone().unwrap_or_else(|| made_id("conversation", record));
        self.conversations.push(Conversation::new(id, detail));
        self.conversations.len() - 1
    }

    /// Adds the call to its conversation and run; starts and ends runs.
    fn step(
        &mut self,
        at: usize,
        record: &mut Llm,
        detail: &CallDetail,
        wall: impl Fn(u64) -> WallTime,
        records: &mut Vec<Record>,
    ) -> RunStep {
        let conversation = &mut self.conversations[at];
        record.conversation_id = Some(Arc::clone(&conversation.id));
        if !conversation.goes_on(detail)
            && let Some(run) = conversation.run.take()
        {
            let end = run.left();
            records.push(Record::Agent(Box::new(run.record(end, Some(Arc::clone(&conversation.id))))));
        }
        let began = conversation.run.is_none() && is_agents(record, detail);
        if began {
            let agent_type = name::agent_type(detail.user_agent.as_deref(), &record.origin);
            conversation.run = Some(Run::new(made_id("run", record), agent_type, record, detail));
        }
        conversation.update(detail, record.error_type.is_some());
        let Some(run) = &mut conversation.run else { return RunStep { is_open: false, began, tools: 0 } };
        (record.agent_type, record.agent_run_id) = (run.agent_type.clone(), Some(Arc::clone(&run.id)));
        let tools = run.tool_results(detail, wall(run.end_ns()));
        let mut step = RunStep { is_open: true, began, tools: tools.len() as u64 };
        records.extend(tools.into_iter().map(|tool| Record::Tool(Box::new(tool))));
        if let Some(end) = run.call(record, detail)
            && let Some(run) = conversation.run.take()
        {
            step.is_open = false;
            records.push(Record::Agent(Box::new(run.record(end, Some(Arc::clone(&conversation.id))))));
        }
        step
    }

    /// Reports settled requests with their work. A run that still waits when its request has failed ends too.
    fn settled(&mut self, settled: Vec<Settled>, records: &mut Vec<Record>) {
        for Settled { request, start_ns, end_ns, work, open_runs } in settled {
            self.serves = true;
            if request.is_error() {
                let kind: Arc<str> = request.status_code.map_or_else(|| "request_failed".into(), |status| status.to_string().into());
                self.end_runs(records, |run| open_runs.contains(&run.id).then(|| End::Error(Arc::clone(&kind))));
            }
            records.push(Record::Workflow(Box::new(work::of_request(&request, &work, end_ns, start_ns))));
        }
    }

    /// Ends the runs for which `ends` gives an end.
    fn end_runs(&mut self, records: &mut Vec<Record>, ends: impl Fn(&Run) -> Option<End>) {
        for conversation in &mut self.conversations {
            if let Some(end) = conversation.run.as_ref().and_then(&ends)
                && let Some(run) = conversation.run.take()
            {
                records.push(Record::Agent(Box::new(run.record(end, Some(Arc::clone(&conversation.id))))));
            }
        }
    }
}

/// Whether the call is an agent's.
fn is_agents(record: &Llm, detail: &CallDetail) -> bool {
    let uses_tools = detail.tools_offered || !record.tool_calls.is_empty() || !detail.tool_results.is_empty();
    uses_tools || name::known(detail.user_agent.as_deref()).is_some()
}

/// A generated id: 16 hexadecimal digits derived from the first call, so that a replay gives the same.
fn made_id(what: &str, record: &Llm) -> Arc<str> {
    let text = format!("{what} {} {} {}", record.origin.pid, record.time.0, record.span_id);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}").into()
}

#[cfg(test)]
mod tests;
