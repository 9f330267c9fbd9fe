//! Which inbound request an outgoing call serves. In: requests that a process begins and ends to serve, calls that it made; out: the request
//! of a call, and the sum of a request's calls. Calls are told at their ends, and judged by what was under way when they began. Rules, the
//! first that applies:
//! 1. the call carries the trace of one of the requests: exact;
//! 2. its thread read one of the requests, and never had two at once (an event loop has): exact;
//! 3. one request alone was under way in the process: inferred;
//! 4. none was under way: the process called for itself. More than one: the call is not linked, is counted, and each of them is told as
//!    incomplete. A wrong link would be worse than none.
mod process_links;
mod tally;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::limits;
use crate::record::{Downstream, Quality, SpanId};

use process_links::ProcessLinks;

/// A connection and the number of an exchange on it.
pub type ServedKey = (u64, u64);

/// A request that a process serves.
#[derive(Clone, Debug)]
pub struct ServedRequest {
    /// Which one.
    pub key: ServedKey,
    /// The id of its record.
    pub span_id: SpanId,
    /// The trace that it carries.
    pub trace_id: Option<Arc<str>>,
    /// The thread that read it.
    pub thread: u32,
    /// When its head had been read.
    pub read_ns: u64,
}

/// Kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// A database command.
    Db,
    /// An HTTP request.
    Http,
    /// A model call.
    Llm,
}

/// A call that ended.
#[derive(Clone, Debug)]
pub struct OutgoingCall<'a> {
    /// What it was.
    pub kind: CallKind,
    /// The thread that wrote its first byte.
    pub thread: u32,
    /// When it did.
    pub start_ns: u64,
    /// When the answer was complete, if it was.
    pub end_ns: Option<u64>,
    /// The trace that it carries.
    pub trace_id: Option<&'a str>,
    /// Id and text of a command.
    pub query: Option<(&'a Arc<str>, &'a Arc<str>)>,
    /// Of an HTTP request: what may be tried again.
    pub attempt: Option<Attempt>,
}

/// An attempt to get something done by a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Equal for calls that ask the same of the same: a hash of destination, method and path.
    pub what: u64,
    /// It failed.
    pub failed: bool,
}

/// The request of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The id of the request's record.
    pub parent: SpanId,
    /// The trace that the request carries.
    pub trace_id: Option<Arc<str>>,
    /// `Exact` or `Inferred`.
    pub quality: Quality,
    /// Attempts of the same that failed before within the request.
    pub resend_count: u32,
}

/// What is known of a call's request.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkVerdict {
    /// It serves this request.
    Linked(Link),
    /// No request was under way.
    Own,
    /// It may be any of some requests.
    Unsure,
}

/// Requests under way of all processes that call others.
#[derive(Debug, Default)]
pub struct Linker {
    processes: FxHashMap<u32, ProcessLinks>,
    evicted: u64,
}

impl Linker {
    /// Whether the requests of a process are followed: it called somebody.
    pub fn follows(&self, pid: u32) -> bool {
        self.processes.contains_key(&pid)
    }

    /// Follows a process from now on. Returns false when it was followed before.
    pub fn follow(&mut self, pid: u32, now_ns: u64) -> bool {
        if self.follows(pid) {
            return false;
        }
        if self.processes.len() >= limits::PROCESSES {
            let idle = self.processes.iter().min_by_key(|(pid, process)| (process.last_ns(), **pid)).map(|(pid, _)| *pid);
            self.evicted += idle.and_then(|pid| self.processes.remove(&pid)).map_or(0, |process| process.under_way() as u64);
        }
        self.processes.insert(pid, ProcessLinks::new(now_ns));
        true
    }

    /// A followed process has read a request's head.
    pub fn begin(&mut self, pid: u32, request: ServedRequest) {
        if let Some(process) = self.processes.get_mut(&pid) {
            self.evicted += u64::from(!process.begin(request));
        }
    }

    /// A request has been answered, or failed; returns the sum of its calls if it was followed.
    pub fn end(&mut self, pid: u32, key: ServedKey, end_ns: u64) -> Option<Downstream> {
        self.processes.get_mut(&pid)?.end(key, end_ns)
    }

    /// A call of a followed process ended.
    pub fn call(&mut self, pid: u32, call: &OutgoingCall<'_>) -> LinkVerdict {
        self.processes.get_mut(&pid).map_or(LinkVerdict::Own, |process| process.call(call))
    }

    /// Requests that a process is serving, as far as they are followed.
    pub fn under_way(&self, pid: u32) -> usize {
        self.processes.get(&pid).map_or(0, ProcessLinks::under_way)
    }

    /// A process ended.
    pub fn left(&mut self, pid: u32) {
        self.processes.remove(&pid);
    }

    /// Forgets requests of which the end was never seen.
    pub fn expire(&mut self, now_ns: u64) {
        for process in self.processes.values_mut() {
            self.evicted += process.expire(now_ns.saturating_sub(limits::LINK_IDLE_NS));
        }
    }

    /// Requests that were forgotten since the last call, because there were too many or because they never ended.
    pub fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }
}
