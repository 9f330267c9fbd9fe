//! Assigns model work to inbound requests. In: starts and ends of the requests that a process serves, and its model work; out: settled
//! requests with their work. A request is settled half a second after its end, because some starts are reported late (such as the first
//! request of an encrypted connection).
//!
//! Work lies within the time of its request and usually on its thread. When several requests fit, as on an event loop, kinds of requests
//! that never led to model calls are excluded. Among overlapping requests, the first to finish claims the work that finished first. Work
//! that no request claims belongs to the process.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::llm::CallDetail;
use crate::record::{Llm, Request};

use super::work::Work;

/// Names an inbound exchange: its connection and its number there.
pub type InboundKey = (u64, u64);

/// Time after its end until a request is settled.
const SETTLE_NS: u64 = 500_000_000;
/// Work that ended this long before other work of the request is an intermediate step, not its last one.
const FRESH_NS: u64 = 50_000_000;
/// Kinds of requests remembered.
const KINDS: usize = 512;
/// Cap of the counts of a kind, so that a changed behaviour shows.
const HABIT_MOST: u32 = 1_000;
/// A kind with fewer than one model call in this many requests counts as one that makes none.
const RARELY: u32 = 16;
/// Requests of a kind that must have ended without work before it counts as one that makes none.
const TRUSTED: u32 = 8;

/// An inbound request under way.
#[derive(Clone, Copy, Debug)]
pub struct Inbound {
    /// Its key.
    pub key: InboundKey,
    /// Thread that read it.
    pub thread: u32,
    /// Its first byte's arrival.
    pub start_ns: u64,
    /// When its head was read.
    pub read_ns: u64,
    /// Method and shape of its path, see [`kind`].
    pub kind: u64,
}

/// A request that ended.
struct Ended {
    inbound: Inbound,
    request: Box<Request>,
    end_ns: u64,
}

/// A run, or a call outside runs, that no request has claimed yet.
pub(super) struct Piece {
    /// The run's id.
    run: Option<Arc<str>>,
    thread: u32,
    start_ns: u64,
    end_ns: u64,
    is_open: bool,
    pub(super) work: Work,
}

/// Statistics of a kind of requests.
#[derive(Clone, Copy, Default)]
struct Habit {
    with: u32,
    without: u32,
    /// How often work fitted this kind and another kind was likelier.
    refused: u32,
}

impl Habit {
    fn is_caller(self) -> bool {
        (self.with > 0 || self.refused > 1) && !self.is_other()
    }

    /// Whether requests of this kind were seen to make no model calls.
    fn is_other(self) -> bool {
        self.without > (self.with + self.refused) * RARELY
    }
}

/// A request with its work.
pub(super) struct Settled {
    pub(super) request: Box<Request>,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) work: Work,
    /// Runs that were claimed while under way.
    pub(super) open_runs: Vec<Arc<str>>,
}

/// Requests and work of one process.
#[derive(Default)]
pub(super) struct Serving {
    open: Vec<Inbound>,
    ended: Vec<Ended>,
    pieces: Vec<Piece>,
    habits: FxHashMap<u64, Habit>,
}

impl Serving {
    /// Requests under way or not yet settled.
    pub(super) fn inbound(&self) -> usize {
        self.open.len() + self.ended.len()
    }

    /// Adds a request; false when the oldest was evicted for it.
    pub(super) fn begin(&mut self, inbound: Inbound, most: usize) -> bool {
        let has_room = self.open.len() < most;
        if !has_room {
            self.open.remove(0);
        }
        self.open.push(inbound);
        has_room
    }

    /// Ends a request. It waits to be settled when any work lies within its time; false when the oldest waiting one was evicted for it.
    pub(super) fn end(&mut self, key: InboundKey, request: &Request, end_ns: u64, most: usize) -> bool {
        let Some(at) = self.open.iter().position(|inbound| inbound.key == key) else { return true };
        let has_room = self.ended.len() < most;
        if !has_room {
            self.ended.remove(0);
        }
        let inbound = self.open.remove(at);
        if self.pieces.iter().any(|piece| piece.start_ns >= inbound.read_ns && piece.end_ns <= end_ns) {
            self.ended.push(Ended { inbound, request: Box::new(request.clone()), end_ns });
        } else if !self.habits.is_empty() || !self.pieces.is_empty() {
            self.learn(inbound.kind, |habit| &mut habit.without);
        }
        has_room
    }

    /// Adds a finished call; `is_open`: its run continues.
    pub(super) fn call(&mut self, record: &Llm, detail: &CallDetail, is_open: bool) -> &mut Work {
        let known = self.pieces.iter().position(|piece| record.agent_run_id.is_some() && piece.run == record.agent_run_id);
        let at = known.unwrap_or_else(|| {
            let (run, thread) = (record.agent_run_id.clone(), detail.thread);
            let (start_ns, end_ns) = (detail.start_ns, detail.end_ns);
            self.pieces.push(Piece { run, thread, start_ns, end_ns, is_open, work: Work::default() });
            self.pieces.len() - 1
        });
        let piece = &mut self.pieces[at];
        piece.start_ns = piece.start_ns.min(detail.start_ns);
        piece.end_ns = piece.end_ns.max(detail.end_ns);
        piece.is_open = is_open;
        piece.work.call(record);
        &mut piece.work
    }

    /// Settles the requests that ended long enough ago (`None`: all of them), in the order of their ends.
    pub(super) fn settle(&mut self, now_ns: Option<u64>) -> Vec<Settled> {
        self.ended.sort_by_key(|ended| ended.end_ns);
        let is_due = |ended: &Ended| now_ns.is_none_or(|now_ns| now_ns.saturating_sub(ended.end_ns) >= SETTLE_NS);
        let mut settled = Vec::new();
        while self.ended.first().is_some_and(is_due) {
            let ended = self.ended.remove(0);
            settled.extend(self.settle_one(ended));
        }
        settled
    }

    /// Takes the work that no request can claim any more (`None`: all of it).
    pub(super) fn left(&mut self, now_ns: Option<u64>, idle_ns: u64) -> Work {
        let mut all = Work::default();
        let is_over = |piece: &mut Piece| now_ns.is_none_or(|now_ns| now_ns.saturating_sub(piece.end_ns) > idle_ns);
        self.pieces.extract_if(.., is_over).for_each(|piece| all.add(piece.work));
        all
    }

    /// The oldest piece, when there are more than `most`.
    pub(super) fn overflow(&mut self, most: usize) -> Option<Work> {
        (self.pieces.len() > most).then(|| self.pieces.remove(0).work)
    }

    fn learn(&mut self, kind: u64, count: impl Fn(&mut Habit) -> &mut u32) {
        if self.habits.len() < KINDS || self.habits.contains_key(&kind) {
            let count = count(self.habits.entry(kind).or_default());
            *count = (*count + 1).min(HABIT_MOST);
        }
    }

    fn habit(&self, kind: u64) -> Habit {
        self.habits.get(&kind).copied().unwrap_or_default()
    }

    fn settle_one(&mut self, ended: Ended) -> Option<Settled> {
        let Ended { inbound, request, end_ns } = ended;
        let taken = self.taken(&inbound, end_ns, request.is_error());
        let mut settled = Settled { request, start_ns: inbound.start_ns, end_ns, work: Work::default(), open_runs: Vec::new() };
        for &at in taken.iter().rev() {
            let piece = self.pieces.remove(at);
            settled.open_runs.extend(piece.run.filter(|_| piece.is_open));
            settled.work.add(piece.work);
        }
        (!taken.is_empty()).then_some(settled)
    }

    /// The pieces that this request claims, in order.
    fn taken(&mut self, inbound: &Inbound, end_ns: u64, has_failed: bool) -> Vec<usize> {
        let fits = |piece: &Piece| piece.start_ns >= inbound.read_ns && piece.end_ns <= end_ns && self.is_thread(piece, inbound);
        let fitting: Vec<usize> = (0..self.pieces.len()).filter(|&at| fits(&self.pieces[at])).collect();
        let (contested, sole): (Vec<usize>, Vec<usize>) = fitting.iter().partition(|&&at| self.rivals(at).next().is_some());
        let habit = self.habit(inbound.kind);
        let is_rival_likelier = contested.iter().any(|&at| self.rivals(at).any(|rival| self.habit(rival.kind).is_caller()));
        let may_take_contested = habit.is_caller() || (!habit.is_other() && !is_rival_likelier);
        let mut taken = if habit.is_caller() || habit.without < TRUSTED { sole } else { Vec::new() };
        // The last step of a request is over when it ends, unless it failed. Among pieces that ended at about the same time the first counts.
        let is_over = |at: &&usize| !self.pieces[**at].is_open || has_failed;
        let last_ns = fitting.iter().filter(is_over).map(|&at| self.pieces[at].end_ns).max();
        let is_fresh = |at: &&usize| last_ns.is_some_and(|last_ns| self.pieces[**at].end_ns + FRESH_NS >= last_ns);
        let answer = fitting.iter().filter(is_over).filter(is_fresh).min_by_key(|at| self.pieces[**at].end_ns).copied();
        taken.extend(answer.filter(|at| may_take_contested && contested.contains(at)));
        taken.sort_unstable();
        let was_refused = !fitting.is_empty() && !may_take_contested;
        match taken.is_empty() {
            false => self.learn(inbound.kind, |habit| &mut habit.with),
            true if was_refused && !habit.is_other() => self.learn(inbound.kind, |habit| &mut habit.refused),
            true => self.learn(inbound.kind, |habit| &mut habit.without),
        }
        taken
    }

    /// Whether the request may have been served by the piece's thread: its own, or one that serves no request that fits.
    fn is_thread(&self, piece: &Piece, inbound: &Inbound) -> bool {
        piece.thread == inbound.thread || !self.others(piece).any(|other| other.thread == piece.thread)
    }

    /// Other requests whose time contains the piece.
    fn others<'a>(&'a self, piece: &'a Piece) -> impl Iterator<Item = &'a Inbound> {
        let ended = self.ended.iter().filter(|ended| ended.end_ns >= piece.end_ns).map(|ended| &ended.inbound);
        self.open.iter().chain(ended).filter(|other| other.read_ns <= piece.start_ns)
    }

    /// Those among them that may have caused it.
    fn rivals(&self, at: usize) -> impl Iterator<Item = &Inbound> {
        let piece = &self.pieces[at];
        self.others(piece).filter(move |other| self.is_thread(piece, other) && !self.habit(other.kind).is_other())
    }
}

/// A request's kind: its method and its path, with segments that look like ids left out.
pub fn kind(method: &str, target: &str) -> u64 {
    let path = target.split(['?', '#']).next().unwrap_or(target);
    let is_word = |segment: &&str| segment.len() <= 32 && !segment.bytes().any(|byte| byte.is_ascii_digit());
    let words = path.split('/').map(|segment| Some(segment).filter(is_word).unwrap_or("*"));
    let parts = std::iter::once(method).chain(words).take(8);
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    parts.fold(0xcbf2_9ce4_8422_2325, |hash, part| part.bytes().chain([b'/']).fold(hash, mix))
}
