//! Commands that wait for their answers, in order. Bounded by their number and by the budget of the process; those for which there is no room
//! are only counted, so that the answers of the others still find their commands.
use std::collections::VecDeque;

use super::command::Command;
use super::{Message, Sink, Stats};
use crate::budget::Charge;

/// Commands of one connection that are kept at most.
pub const COMMANDS: usize = 8_192;
/// By how much events of both directions are swapped at most.
const SWAP_NS: u64 = 1_000_000;
/// Room is charged in steps of so many commands.
const STEP: usize = 64;

/// A command under way, with what its protocol keeps of it.
#[derive(Debug)]
pub struct PendingCommand<T> {
    /// What is known so far.
    pub command: Command,
    /// The protocol's own.
    pub tag: T,
}

/// The commands of one connection.
#[derive(Debug)]
pub struct PendingCommands<T> {
    waiting: VecDeque<PendingCommand<T>>,
    /// Commands behind those that wait, of which only this number is kept.
    uncounted: u64,
    charge: Charge,
    /// Commands that were not kept, until counted.
    evicted: u64,
}

impl<T> Default for PendingCommands<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), uncounted: 0, charge: Charge::default(), evicted: 0 }
    }
}

/// What the next answer belongs to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is returned")]
pub enum Answered<T> {
    /// This command.
    Known(PendingCommand<T>),
    /// A command that was not kept.
    Uncounted,
    /// None.
    Orphan,
}

impl<T> PendingCommands<T> {
    /// Adds a command; whether there was room.
    pub fn push(&mut self, pending: PendingCommand<T>, sink: &mut dyn Sink) -> bool {
        if self.uncounted > 0 || self.waiting.len() >= COMMANDS || !self.has_room(sink) {
            self.uncounted += 1;
            self.evicted += 1;
            return false;
        }
        self.waiting.push_back(pending);
        true
    }

    fn has_room(&mut self, sink: &mut dyn Sink) -> bool {
        if self.waiting.len() < self.waiting.capacity() {
            return true;
        }
        // It grows to twice its size.
        let room = (2 * self.waiting.len()).max(STEP);
        let is_granted = self.charge.resize(room * size_of::<PendingCommand<T>>(), || sink.allowance()).is_ok();
        if is_granted {
            self.waiting.reserve_exact(room - self.waiting.len());
        }
        is_granted
    }

    /// The command that is answered next.
    pub fn front(&mut self) -> Option<&mut PendingCommand<T>> {
        self.waiting.front_mut()
    }

    /// Whether an answer that began then may be that to the command that is answered next. A frame that was held back until another one
    /// confirmed it may be older than the commands that came meanwhile.
    pub fn may_answer(&self, began_ns: u64) -> bool {
        self.waiting.front().is_none_or(|front| front.command.start_ns <= began_ns.saturating_add(SWAP_NS))
    }

    /// Those that are kept, in order.
    pub fn iter(&self) -> std::collections::vec_deque::Iter<'_, PendingCommand<T>> {
        self.waiting.iter()
    }

    /// The newest one.
    pub fn back(&mut self) -> Option<&mut PendingCommand<T>> {
        if self.uncounted > 0 { None } else { self.waiting.back_mut() }
    }

    /// Takes the command that an answer belongs to.
    pub fn take(&mut self) -> Answered<T> {
        match self.waiting.pop_front() {
            Some(pending) => Answered::Known(pending),
            None if self.uncounted > 0 => {
                self.uncounted -= 1;
                Answered::Uncounted
            }
            None => Answered::Orphan,
        }
    }

    /// Tells the commands that wait as far as they are known, and forgets those that were not kept. `is_unknown`: what became of them is not
    /// known; `missing`: bytes that no command has told of; not all that waits `is_command`.
    pub fn tell(&mut self, is_unknown: bool, missing: &mut u64, is_command: impl Fn(&PendingCommand<T>) -> bool, sink: &mut dyn Sink) {
        self.uncounted = 0;
        for mut pending in self.waiting.drain(..).filter(is_command) {
            pending.command.inferred |= is_unknown;
            pending.command.missing_bytes += std::mem::take(missing);
            sink.message(Message::Command(&pending.command));
        }
    }

    /// Adds the commands that were not kept to what is counted.
    pub fn count(&mut self, stats: Stats) -> Stats {
        Stats { evicted: stats.evicted + std::mem::take(&mut self.evicted), ..stats }
    }

    /// None waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.uncounted == 0
    }

    /// Gives memory back.
    pub fn rest(&mut self) {
        if self.is_empty() {
            self.waiting = VecDeque::new();
            self.charge.shrink(0);
        }
    }

    /// Heap bytes.
    pub fn heap_bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<PendingCommand<T>>()
    }
}
