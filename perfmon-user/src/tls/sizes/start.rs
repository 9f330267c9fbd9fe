//! A direction until its first plaintext is told: what its hello says, and where its records begin, since bytes before the record that
//! carries the first plaintext were the handshake's. A hole that hides a header ends the search at the next operation.
use std::collections::VecDeque;

use super::super::hello::{Hello, HelloInfo};
use super::super::record::{HEADER, RecordType, RecordWalk, Walked};
use crate::stream::Content;

/// Records that are remembered: a handshake and what came with it.
const REMEMBERED: usize = 32;
/// The end of the handshake in TLS 1.3, with each of its two hashes: what has this length too comes after it.
const FINISHED: [u64; 2] = [4 + 32 + 22, 4 + 48 + 22];

/// A direction's beginning.
#[derive(Debug, Default)]
pub(super) struct DirectionStart {
    walk: RecordWalk,
    hello: Hello,
    /// Records of application data.
    seen: VecDeque<WireRecord>,
    /// Where a header stood that was not captured.
    hidden: Option<i64>,
}

/// A record on the wire.
#[derive(Clone, Copy, Debug)]
struct WireRecord {
    begins: i64,
    /// With its header.
    len: u64,
}

impl DirectionStart {
    /// The next bytes of the direction; what its hello says, once.
    pub(super) fn push(&mut self, content: Content<'_>) -> Option<HelloInfo> {
        let Self { walk, hello, seen, hidden } = self;
        walk.push(content, &mut |walked| {
            hello.push(walked);
            match walked {
                Walked::Record { header, begins } if header.kind == RecordType::ApplicationData => {
                    if seen.len() >= REMEMBERED {
                        seen.pop_front();
                    }
                    seen.push_back(WireRecord { begins: begins as i64, len: u64::from(header.len) + HEADER as u64 });
                }
                Walked::Hidden(due) => *hidden = Some(due as i64),
                _ => {}
            }
        });
        hello.take()
    }

    /// Where the record begins whose plaintext needs `len` bytes on the wire, of a direction that moved `total` bytes so far: the first of
    /// that length, else (a read may take a part of it) one whose header was not captured, else the last that is longer.
    pub(super) fn find(&self, len: u64, total: i64) -> Option<i64> {
        let mut exact = self.seen.iter().filter(|record| record.len == len);
        let exact = if FINISHED.contains(&len) { exact.next_back() } else { exact.next() };
        let hidden = || self.hidden.filter(|begins| total - begins >= len as i64);
        let longer = || self.seen.iter().rfind(|record| record.len > len).map(|record| record.begins);
        exact.map(|record| record.begins).or_else(hidden).or_else(longer)
    }
}
