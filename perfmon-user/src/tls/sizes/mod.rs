//! The encrypted side of a TLS connection: what its socket moved, so that plaintext, which the library tells apart from it, gets the
//! socket's times and its records the encrypted sizes. Also what the handshake says in the clear. Never looks into ciphertext.
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::handshake::HandshakeClock;
use super::hello::HelloInfo;
use super::plain::{Plain, TlsObject};
use super::record::{HEADER, RECORD_PLAINTEXT};
use crate::budget::Allowance;
use crate::stream::{Content, Direction, Segment};

mod start;
mod unsent;

use start::DirectionStart;
use unsent::UnsentWrites;

/// Receives that are remembered until their plaintext is read.
const RECEIPTS: usize = 64;
/// The least that a record adds to its plaintext: header, tag, and what every version has beside.
const LEAST_OVERHEAD: u64 = 21;
/// What it adds in TLS 1.3: header 5, tag 16, type 1.
const USUAL_OVERHEAD: u64 = 22;

/// A connection's encrypted side.
#[derive(Debug, Default)]
pub struct EncryptedSide {
    /// The library's object, once it is known.
    pub object: Option<TlsObject>,
    /// Name that the client asked for.
    pub server_name: Option<Arc<str>>,
    /// Plaintext that was wanted and cut since the last record.
    pub cut: u64,
    /// What each record adds, once the server's hello told.
    overhead: Option<u64>,
    incoming: WireDirection,
    outgoing: WireDirection,
    receipts: VecDeque<Receipt>,
    sent_ns: u64,
    moves: u32,
    unsent: UnsentWrites,
    handshake: HandshakeClock,
}

/// One direction: bytes on the wire and of plaintext, and how many of both were told in records.
#[derive(Debug)]
struct WireDirection {
    wire: i64,
    plain: i64,
    told_wire: i64,
    told_plain: i64,
    /// Until the first plaintext.
    start: Option<Box<DirectionStart>>,
}

impl Default for WireDirection {
    fn default() -> Self {
        Self { wire: 0, plain: 0, told_wire: 0, told_plain: 0, start: Some(Box::default()) }
    }
}

/// A receive.
#[derive(Clone, Copy, Debug)]
struct Receipt {
    time_ns: u64,
    arrival_ns: Option<u64>,
    len: u64,
}

impl EncryptedSide {
    /// The socket moved bytes; tells how often it did.
    pub fn moved(&mut self, segment: &Segment<'_>) -> u32 {
        self.moves = self.moves.saturating_add(1);
        if segment.content == Content::Unknown {
            return self.moves;
        }
        self.handshake.push(segment);
        let len = segment.content.len();
        let direction = self.direction(segment.direction);
        direction.wire += len as i64;
        match direction.start.as_mut().and_then(|start| start.push(segment.content)) {
            Some(HelloInfo::Client { server_name }) => self.server_name = server_name.map(Arc::from),
            Some(HelloInfo::Server { overhead }) => self.overhead = Some(overhead.into()),
            None => {}
        }
        if segment.direction == Direction::Out {
            self.sent_ns = segment.stamp.time_ns;
            return self.moves;
        }
        match self.receipts.back_mut() {
            Some(last) if last.time_ns == segment.stamp.time_ns => last.len += len,
            _ => {
                if self.receipts.len() >= RECEIPTS {
                    self.receipts.pop_front();
                }
                self.receipts.push_back(Receipt { time_ns: segment.stamp.time_ns, arrival_ns: segment.stamp.arrival_ns, len });
            }
        }
        self.moves
    }

    /// What a client's handshake took, once.
    pub fn take_handshake(&mut self) -> Option<NonZeroU64> {
        self.handshake.take()
    }

    /// How much longer than its plaintext the content of a record is, once that is known.
    pub fn expansion(&self) -> Option<u32> {
        self.overhead.map(|overhead| overhead as u32 - HEADER as u32)
    }

    /// Keeps a write until the socket sends it; tells how many of its bytes found no room.
    pub fn will_send(&mut self, plain: Plain<'_>, of: impl FnOnce() -> Allowance) -> u64 {
        if self.outgoing.start.take().is_some() {
            self.outgoing.told_wire = self.outgoing.wire;
        }
        self.unsent.push(plain, of)
    }

    /// Whether writes are kept that were not seen sent.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The writes, or parts of them, that `len` sent bytes carried.
    pub fn sent(&mut self, len: u64) -> Vec<Plain<'static>> {
        self.unsent.sent(len)
    }

    /// The last `calls` writes: they turned out to be another connection's.
    pub fn take_back(&mut self, calls: usize) -> Vec<Plain<'static>> {
        self.unsent.take_last(calls)
    }

    /// Everything that was written and not seen sent: the connection ends.
    pub fn all_unsent(&mut self) -> Vec<Plain<'static>> {
        self.unsent.take_all()
    }

    /// Start of application data, with the lengths of its first calls. Earlier bytes on the wire are handshake and are charged to no request.
    pub fn begin(&mut self, direction: Direction, calls: impl Iterator<Item = u32> + Clone) {
        let overhead = self.overhead.unwrap_or(USUAL_OVERHEAD);
        let wire_direction = self.direction(direction);
        let Some(start) = wire_direction.start.take() else { return };
        let wire = wire_direction.wire;
        let first = calls.clone().find(|len| *len > 0).map(|len| wire_len(len.min(RECORD_PLAINTEXT).into(), overhead));
        wire_direction.told_wire = first
            .and_then(|len| start.find(len, wire))
            .unwrap_or_else(|| wire - calls.map(|len| wire_len(len.into(), overhead) as i64).sum::<i64>())
            .max(0);
    }

    /// Nothing of the ciphertext but its sizes matters any more.
    pub fn is_settled(&self) -> bool {
        self.incoming.start.is_none() && self.outgoing.start.is_none()
    }

    /// The time of plaintext and, for reads, when it arrived: that of the socket's operations that carried it.
    pub fn times(&mut self, plain: &Plain<'_>) -> (u64, Option<u64>) {
        self.direction(plain.direction).plain += plain.len() as i64;
        if plain.direction == Direction::Out {
            return (if self.sent_ns == 0 { plain.stamp.time_ns } else { self.sent_ns }, None);
        }
        let wanted = plain.len() + LEAST_OVERHEAD;
        let (mut sum, mut times) = (0, None);
        for receipt in self.receipts.iter().rev().filter(|receipt| receipt.time_ns <= plain.stamp.time_ns) {
            let last_ns = times.map_or(receipt.time_ns, |(time_ns, _)| time_ns);
            times = Some((last_ns, receipt.arrival_ns));
            sum += receipt.len;
            if sum >= wanted {
                break;
            }
        }
        times.unwrap_or((plain.stamp.time_ns, None))
    }

    /// How many bytes on the wire carried the next `plain` bytes of a direction's messages.
    pub fn tell(&mut self, direction: Direction, plain: u64) -> u64 {
        let told = self.direction(direction);
        let (open_wire, open_plain) = ((told.wire - told.told_wire).max(0), told.plain - told.told_plain);
        let wire = if open_plain <= 0 { 0 } else { (i128::from(open_wire) * i128::from(plain) / i128::from(open_plain)) as i64 };
        let wire = wire.min(open_wire);
        told.told_wire += wire;
        told.told_plain += plain as i64;
        wire as u64
    }

    fn direction(&mut self, direction: Direction) -> &mut WireDirection {
        match direction {
            Direction::In => &mut self.incoming,
            Direction::Out => &mut self.outgoing,
        }
    }
}

/// Bytes on the wire for a call of `len` bytes.
fn wire_len(len: u64, overhead: u64) -> u64 {
    len + len.div_ceil(RECORD_PLAINTEXT.into()) * overhead
}

#[cfg(test)]
mod tests;
