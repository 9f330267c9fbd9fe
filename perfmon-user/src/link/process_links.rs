//! The requests that one process serves, and those that it served last: a call may end after the request that was under way with it.
use std::collections::VecDeque;
use std::sync::Arc;

use crate::limits;
use crate::record::{Downstream, Quality, SpanId};

use super::tally::Tally;
use super::{Link, LinkVerdict, OutgoingCall, ServedKey, ServedRequest};

/// Requests that ended and are still looked at.
const ENDED: usize = 64;
/// Threads that are known to be event loops.
const LOOPS: usize = 64;

#[derive(Debug)]
struct OpenServed {
    request: ServedRequest,
    tally: Tally,
}

#[derive(Debug)]
struct ServedBefore {
    span_id: SpanId,
    trace_id: Option<Arc<str>>,
    thread: u32,
    read_ns: u64,
    end_ns: u64,
}

/// State of a process.
#[derive(Debug)]
pub(super) struct ProcessLinks {
    open: Vec<OpenServed>,
    ended: VecDeque<ServedBefore>,
    /// What was under way before is not known: a call that began then has no request.
    known_from_ns: u64,
    /// Threads that had two requests at once.
    loops: Vec<u32>,
    last_ns: u64,
    /// The latest beginning of a call that has been judged.
    judged_ns: u64,
}

/// Requests among which a call's may be.
#[derive(Default)]
struct Candidates {
    count: usize,
    /// The last one.
    place: Option<Place>,
}

#[derive(Clone, Copy)]
enum Place {
    Open(usize),
    Before(usize),
}

impl Candidates {
    fn add(&mut self, place: Place) {
        self.count += 1;
        self.place = Some(place);
    }

    fn only(&self) -> Option<Place> {
        self.place.filter(|_| self.count == 1)
    }
}

impl ProcessLinks {
    pub(super) fn new(now_ns: u64) -> Self {
        Self { open: Vec::new(), ended: VecDeque::new(), known_from_ns: 0, loops: Vec::new(), last_ns: now_ns, judged_ns: 0 }
    }

    /// The last request's beginning.
    pub(super) fn last_ns(&self) -> u64 {
        self.last_ns
    }

    pub(super) fn under_way(&self) -> usize {
        self.open.len()
    }

    /// Returns false when another request was forgotten for it. A request may be known late: the first one of a TLS connection whose library
    /// has no socket of its own (asyncio, uvloop) is known by the first bytes of its answer. Calls that were judged without it make it and
    /// those beside it incomplete.
    pub(super) fn begin(&mut self, request: ServedRequest) -> bool {
        self.last_ns = self.last_ns.max(request.read_ns);
        let thread = request.thread;
        let beside = self.ended.iter().any(|ended| ended.thread == thread && request.read_ns < ended.end_ns);
        if (beside || self.open.iter().any(|other| other.request.thread == thread)) && !self.is_loop(thread) {
            if self.loops.len() >= LOOPS {
                self.loops.remove(0);
            }
            self.loops.push(thread);
        }
        let has_room = self.open.len() < limits::LINK_INBOUND;
        if !has_room {
            self.open.remove(0); // the oldest: most likely one whose end was not seen
        }
        let is_late = request.read_ns <= self.judged_ns;
        self.open.push(OpenServed { request, tally: Tally::default() });
        if is_late {
            self.open.iter_mut().for_each(|one| one.tally.doubt());
        }
        has_room
    }

    fn is_loop(&self, thread: u32) -> bool {
        self.loops.contains(&thread)
    }

    pub(super) fn end(&mut self, key: ServedKey, end_ns: u64) -> Option<Downstream> {
        let at = self.open.iter().position(|under_way| under_way.request.key == key)?;
        let OpenServed { request, tally } = self.open.remove(at);
        let ServedRequest { span_id, trace_id, thread, read_ns, .. } = request;
        if self.ended.len() >= ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.known_from_ns = self.known_from_ns.max(oldest.end_ns);
        }
        self.ended.push_back(ServedBefore { span_id, trace_id, thread, read_ns, end_ns });
        Some(tally.downstream())
    }

    pub(super) fn call(&mut self, call: &OutgoingCall<'_>) -> LinkVerdict {
        self.judged_ns = self.judged_ns.max(call.start_ns);
        let (mut all, mut of_thread, mut of_trace) = (Candidates::default(), Candidates::default(), Candidates::default());
        let mut judge = |place, thread: u32, trace: Option<&Arc<str>>| {
            all.add(place);
            if thread == call.thread && thread != 0 {
                of_thread.add(place);
            }
            if call.trace_id.is_some() && trace.map(|trace| &**trace) == call.trace_id {
                of_trace.add(place);
            }
        };
        for (at, OpenServed { request, .. }) in self.open.iter().enumerate() {
            if request.read_ns <= call.start_ns {
                judge(Place::Open(at), request.thread, request.trace_id.as_ref());
            }
        }
        for (at, ended) in self.ended.iter().enumerate() {
            if ended.read_ns <= call.start_ns && call.start_ns <= ended.end_ns {
                judge(Place::Before(at), ended.thread, ended.trace_id.as_ref());
            }
        }
        let by_thread = of_thread.only().filter(|_| !self.is_loop(call.thread));
        let exact = of_trace.only().or_else(|| by_thread.filter(|_| of_trace.count == 0));
        let is_known = call.start_ns >= self.known_from_ns;
        let (place, quality) = match (exact, all.only()) {
            (Some(place), _) => (place, Quality::Exact),
            (None, Some(place)) if is_known => (place, Quality::Inferred),
            (None, _) if all.count == 0 && is_known => return LinkVerdict::Own,
            _ => {
                let under_way = self.open.iter_mut().filter(|one| one.request.read_ns <= call.start_ns);
                under_way.for_each(|one| one.tally.doubt());
                return LinkVerdict::Unsure;
            }
        };
        LinkVerdict::Linked(self.link(place, quality, call))
    }

    fn link(&mut self, place: Place, quality: Quality, call: &OutgoingCall<'_>) -> Link {
        match place {
            Place::Open(at) => {
                let OpenServed { request, tally } = &mut self.open[at];
                tally.add(call);
                let resend_count = call.attempt.map_or(0, |attempt| tally.resent(attempt));
                Link { parent: request.span_id, trace_id: request.trace_id.clone(), quality, resend_count }
            }
            // Its record is told already.
            Place::Before(at) => {
                let ended = &self.ended[at];
                Link { parent: ended.span_id, trace_id: ended.trace_id.clone(), quality, resend_count: 0 }
            }
        }
    }

    /// Forgets requests that began before; returns how many.
    pub(super) fn expire(&mut self, before_ns: u64) -> u64 {
        let count = self.open.len();
        self.open.retain(|under_way| under_way.request.read_ns >= before_ns);
        (count - self.open.len()) as u64
    }
}
