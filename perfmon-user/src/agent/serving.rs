//! Which inbound request a piece of model work was done for. In: requests that a process began to read and finished, and its work as it
//! grows; out: requests that are settled, with their work. A request is settled a moment after its end, when what was told late (the
//! first request of an encrypted connection may be) is known too.
//!
//! Work lies inside its request in time and is usually done by its thread. Where several requests fit, as on an event loop, those whose
//! kind was never seen to lead to model calls are left out, and of what ended at about the same time the request that ends first takes
//! what ended first. What no request takes is the process's own.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::llm::CallDetail;
use crate::record::{Llm, Request};

use super::work::Work;

/// Names an inbound exchange: its connection and its number there.
pub type InboundKey = (u64, u64);

/// Time after its end until a request is settled.
const SETTLE_NS: u64 = 500_000_000;
/// Pieces that ended so long before another are steps on the way of some request, not what it answers with.
const FRESH_NS: u64 = 50_000_000;
/// Kinds of requests remembered.
const KINDS: usize = 512;
/// Counts of a habit go no further, so that it can change.
const HABIT_MOST: u32 = 1_000;
/// A kind of which not one in so many requests called a model is one that calls none.
const RARELY: u32 = 16;
/// So many requests of a kind must have ended without work before it is trusted that it has none.
const TRUSTED: u32 = 8;

/// An inbound request under way.
#[derive(Clone, Copy, Debug)]
pub struct Inbound {
    /// Which.
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

/// A run, or a call outside runs, as far as no request has taken it.
pub(super) struct Piece {
    /// The run's id.
    run: Option<Arc<str>>,
    thread: u32,
    start_ns: u64,
    end_ns: u64,
    is_open: bool,
    pub(super) work: Work,
}

/// What is known of a kind of requests.
#[derive(Clone, Copy, Default)]
struct Habit {
    with: u32,
    without: u32,
    /// Times that work fitted which another kind was likelier to have done.
    refused: u32,
}

impl Habit {
    fn is_caller(self) -> bool {
        (self.with > 0 || self.refused > 1) && !self.is_other()
    }

    /// Whether such requests do not call models, as far as was seen.
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
    /// Runs that were taken while they went on.
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

    /// A request began; false when the oldest had to go for it.
    pub(super) fn begin(&mut self, inbound: Inbound, most: usize) -> bool {
        let has_room = self.open.len() < most;
        if !has_room {
            self.open.remove(0);
        }
        self.open.push(inbound);
        has_room
    }

    /// A request ended. It waits to be settled when any work lies inside it; false when the oldest that waits had to go for it.
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

    /// A call ended; `is_open`: its run goes on.
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

    /// Work that no request can take any more (`None`: all of it).
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

    /// The pieces that this request takes, in their order.
    fn taken(&mut self, inbound: &Inbound, end_ns: u64, has_failed: bool) -> Vec<usize> {
        let fits = |piece: &Piece| piece.start_ns >= inbound.read_ns && piece.end_ns <= end_ns && self.is_thread(piece, inbound);
        let fitting: Vec<usize> = (0..self.pieces.len()).filter(|&at| fits(&self.pieces[at])).collect();
        let (contested, sole): (Vec<usize>, Vec<usize>) = fitting.iter().partition(|&&at| self.rivals(at).next().is_some());
        let habit = self.habit(inbound.kind);
        let is_rival_likelier = contested.iter().any(|&at| self.rivals(at).any(|rival| self.habit(rival.kind).is_caller()));
        let may_take_contested = habit.is_caller() || (!habit.is_other() && !is_rival_likelier);
        let mut taken = if habit.is_caller() || habit.without < TRUSTED { sole } else { Vec::new() };
        // What it answers with is over, unless it failed. Of several that ended at about the same time it is the first.
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

    /// Other requests in whose time the piece lies.
    fn others<'a>(&'a self, piece: &'a Piece) -> impl Iterator<Item = &'a Inbound> {
        let ended = self.ended.iter().filter(|ended| ended.end_ns >= piece.end_ns).map(|ended| &ended.inbound);
        self.open.iter().chain(ended).filter(|other| other.read_ns <= piece.start_ns)
    }

    /// Those of them that may have led to it.
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
