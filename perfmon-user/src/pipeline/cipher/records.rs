//! Where the records of a direction begin, until its first plaintext is told: bytes before the record that carries it were the
//! handshake's. Follows the records' lengths (RFC 8446, section 5.1); a hole that hides a header ends it at the next operation.
use std::collections::VecDeque;

use crate::stream::Content;

/// Records that are remembered: a handshake and what came with it.
const REMEMBERED: usize = 32;
const HEADER: usize = 5;
/// The type of records that carry plaintext and, in TLS 1.3, most of the handshake.
const APPLICATION_DATA: u8 = 23;
/// The end of the handshake in TLS 1.3, with each of its two hashes: what has this length too comes after it.
const FINISHED: [u64; 2] = [4 + 32 + 22, 4 + 48 + 22];

/// A direction's records.
#[derive(Debug, Default)]
pub(super) struct Records {
    seen: VecDeque<Record>,
    header: Vec<u8>,
    /// Bytes until the next header.
    left: u64,
    /// Where a header stood that was not captured.
    hidden: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    begins: i64,
    /// With its header.
    len: u64,
}

impl Records {
    /// The next bytes of the direction, of which the first is number `position`.
    pub(super) fn push(&mut self, mut position: i64, content: Content<'_>) {
        let mut bytes = match content {
            Content::Bytes(bytes) => bytes,
            Content::Gap(len) | Content::Lost(len) if len <= self.left && self.header.is_empty() => {
                self.left -= len;
                return;
            }
            Content::Gap(_) | Content::Lost(_) => {
                self.hidden = Some(position + self.left as i64 - self.header.len() as i64);
                return self.lose();
            }
            Content::Unknown | Content::Datagram(_) => return self.lose(),
        };
        loop {
            let passed = self.left.min(bytes.len() as u64);
            self.left -= passed;
            position += passed as i64;
            bytes = bytes.get(passed as usize..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            let taken = bytes.len().min(HEADER - self.header.len());
            self.header.extend_from_slice(&bytes[..taken]);
            position += taken as i64;
            bytes = &bytes[taken..];
            match *self.header {
                [kind @ 20..=23, 3, _, high, low] => {
                    self.left = u16::from_be_bytes([high, low]).into();
                    self.header.clear();
                    if kind == APPLICATION_DATA {
                        self.remember(Record { begins: position - HEADER as i64, len: self.left + HEADER as u64 });
                    }
                }
                [_, _, _, _, _] => return self.lose(),
                _ => return,
            }
        }
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

    fn remember(&mut self, record: Record) {
        if self.seen.len() >= REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(record);
    }

    /// The next operation probably begins with a record.
    fn lose(&mut self) {
        self.left = 0;
        self.header.clear();
    }
}
