//! Writes of a library that keeps apart from its socket, until the socket sends what carries them. In: writes in order, numbers of bytes
//! sent; out: the writes, or parts of them, that those bytes carried. What exceeds its room stays as a number of missing bytes.
use std::collections::VecDeque;

use super::super::plain::Plain;
use super::{LEAST_OVERHEAD, wire_len};
use crate::budget::{Allowance, Charge};
use crate::limits::{TLS_HELD_BYTES, TLS_WRITES_UNSENT};

/// Writes under way, oldest first.
#[derive(Debug, Default)]
pub(super) struct UnsentWrites {
    queue: VecDeque<UnsentWrite>,
    bytes: usize,
    charge: Charge,
    /// Plaintext of the last call that was added so far: its pieces share records.
    call_bytes: u64,
}

/// A write, and the least number of bytes on the wire that carry what is left of it.
#[derive(Debug)]
struct UnsentWrite {
    plain: Plain<'static>,
    cost: u64,
}

impl UnsentWrites {
    /// Adds a write, or the next piece of one; tells how many of its bytes found no room.
    pub(super) fn push(&mut self, plain: Plain<'_>, of: impl FnOnce() -> Allowance) -> u64 {
        if plain.call_len > 0 {
            self.call_bytes = 0;
        }
        let before = wire_len(self.call_bytes, LEAST_OVERHEAD);
        self.call_bytes += plain.len();
        let cost = wire_len(self.call_bytes, LEAST_OVERHEAD) - before;
        let len = plain.bytes.len();
        let has_room = self.bytes + len <= TLS_HELD_BYTES && self.queue.len() < TLS_WRITES_UNSENT;
        if has_room && self.charge.resize(self.room(len, 1), of).is_ok() {
            self.bytes += len;
            self.queue.push_back(UnsentWrite { plain: plain.into_owned(), cost });
            return 0;
        }
        let hole = plain.uncaptured();
        let merged = self.queue.back_mut().and_then(|last| last.plain.extend_missing(&hole).then_some(last));
        match merged {
            Some(last) => last.cost += cost,
            None => self.queue.push_back(UnsentWrite { plain: hole, cost }),
        }
        len as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The writes, or parts of them, that `len` sent bytes carried.
    pub(super) fn sent(&mut self, len: u64) -> Vec<Plain<'static>> {
        let (mut credit, mut carried) = (len, Vec::new());
        while let Some(first) = self.queue.front_mut().filter(|_| credit > 0) {
            if credit >= first.cost {
                credit -= first.cost;
                carried.extend(self.queue.pop_front().map(|whole| whole.plain));
            } else {
                // In proportion; what is left of the write follows with the next sends.
                let len = first.plain.len() * credit / first.cost;
                carried.extend(first.plain.split(len));
                first.cost -= credit;
                credit = 0;
            }
        }
        self.took(&carried);
        carried
    }

    fn took(&mut self, taken: &[Plain<'static>]) {
        self.bytes -= taken.iter().map(|plain| plain.bytes.len()).sum::<usize>();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        self.charge.shrink(self.room(0, 0));
    }

    /// What the writes take with so many more bytes and writes. The queue grows to twice its size.
    fn room(&self, bytes: usize, writes: usize) -> usize {
        self.bytes + bytes + 2 * (self.queue.len() + writes) * size_of::<UnsentWrite>()
    }

    /// Takes everything from the last `calls` calls on.
    pub(super) fn take_last(&mut self, calls: usize) -> Vec<Plain<'static>> {
        let begins = |(n, write): (usize, &UnsentWrite)| (write.plain.call_len > 0).then_some(n);
        let Some(from) = self.queue.iter().enumerate().filter_map(begins).rev().take(calls).last() else { return Vec::new() };
        let taken: Vec<_> = self.queue.drain(from..).map(|write| write.plain).collect();
        self.took(&taken);
        taken
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Vec<Plain<'static>> {
        self.bytes = 0;
        self.charge.shrink(0);
        std::mem::take(&mut self.queue).into_iter().map(|write| write.plain).collect()
    }
}
