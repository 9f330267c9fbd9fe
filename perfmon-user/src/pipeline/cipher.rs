//! The encrypted side of a TLS connection: what its socket moved, so that plaintext, which the library tells apart from it, gets the
//! socket's times and its records the encrypted sizes. Also what the handshake says in the clear. Never looks into ciphertext.
use std::collections::VecDeque;
use std::sync::Arc;

use crate::decode::Direction;
use crate::names::hello::{Hello, Said};
use crate::track::tls::{Plain, RECORD_PLAINTEXT, TlsObject};
use crate::track::{Content, Segment};

use super::Capture;

mod records;

use records::Records;

/// Receives that are remembered until their plaintext is read.
const RECEIPTS: usize = 64;
/// The least that a record adds to its plaintext: header, tag, and what every version has beside.
const LEAST_OVERHEAD: u64 = 21;
/// What it adds in TLS 1.3: header 5, tag 16, type 1.
const USUAL_OVERHEAD: u64 = 22;

/// A connection's encrypted side.
#[derive(Debug)]
pub(super) struct Cipher {
    /// The library's object, once it is known.
    pub(super) object: Option<TlsObject>,
    /// Name that the client asked for.
    pub(super) server_name: Option<Arc<str>>,
    /// Capture mode that was asked for the object.
    pub(super) wished: Option<Capture>,
    hellos: Option<Box<[Hello; 2]>>,
    overhead: u64,
    incoming: Way,
    outgoing: Way,
    receipts: VecDeque<Receipt>,
    sent_ns: u64,
    unsent: VecDeque<Plain<'static>>,
}

/// One direction: bytes on the wire and of plaintext, and how many of both were told in records. Wire bytes may come after what they
/// carry, so the difference may be negative for a moment.
#[derive(Debug)]
struct Way {
    wire: i64,
    plain: i64,
    told_wire: i64,
    told_plain: i64,
    /// Until the first plaintext.
    records: Option<Box<Records>>,
}

impl Way {
    fn new() -> Self {
        Self { wire: 0, plain: 0, told_wire: 0, told_plain: 0, records: Some(Box::default()) }
    }
}

/// A receive.
#[derive(Clone, Copy, Debug)]
struct Receipt {
    time_ns: u64,
    arrival_ns: Option<u64>,
    len: u64,
}

impl Cipher {
    pub(super) fn new() -> Self {
        Self {
            object: None,
            server_name: None,
            wished: None,
            hellos: Some(Box::default()),
            overhead: USUAL_OVERHEAD,
            incoming: Way::new(),
            outgoing: Way::new(),
            receipts: VecDeque::new(),
            sent_ns: 0,
            unsent: VecDeque::new(),
        }
    }

    /// Whether bytes begin like TLS: a record's type and version (RFC 8446, section 5.1).
    pub(super) fn begins(bytes: &[u8]) -> bool {
        matches!(bytes, [20..=23, 3, 0..=4, ..])
    }

    /// The socket moved bytes.
    pub(super) fn moved(&mut self, segment: &Segment<'_>) {
        let len = match segment.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Gap(len) => len,
            Content::Unknown => return,
        };
        let way = self.way(segment.direction);
        if let Some(records) = &mut way.records {
            records.push(way.wire, segment.content);
        }
        way.wire += len as i64;
        self.listen(segment);
        if segment.direction == Direction::Out {
            self.sent_ns = segment.time_ns;
            return;
        }
        match self.receipts.back_mut() {
            Some(last) if last.time_ns == segment.time_ns => last.len += len,
            _ => {
                if self.receipts.len() >= RECEIPTS {
                    self.receipts.pop_front();
                }
                self.receipts.push_back(Receipt { time_ns: segment.time_ns, arrival_ns: segment.arrival_ns, len });
            }
        }
    }

    fn listen(&mut self, segment: &Segment<'_>) {
        let Some(hellos) = &mut self.hellos else { return };
        let hello = &mut hellos[usize::from(segment.direction == Direction::Out)];
        match segment.content {
            Content::Bytes(bytes) => hello.push(bytes),
            Content::Gap(_) | Content::Unknown => hello.give_up(),
        }
        match hello.take() {
            Some(Said::Client { server_name }) => self.server_name = server_name.map(Arc::from),
            Some(Said::Server { overhead }) => self.overhead = overhead.into(),
            None => {}
        }
        if hellos.iter().all(Hello::is_over) {
            self.hellos = None;
        }
    }

    /// Keeps a write until the socket sends it.
    pub(super) fn will_send(&mut self, plain: Plain<'static>) {
        self.unsent.push_back(plain);
    }

    /// The writes, or parts of them, that `len` sent bytes carried.
    pub(super) fn sent(&mut self, len: u64) -> Vec<Plain<'static>> {
        let (mut credit, mut carried) = (len, Vec::new());
        while let Some(first) = self.unsent.front_mut().filter(|_| credit > 0) {
            let cost = wire_len(first.len(), LEAST_OVERHEAD);
            if credit >= cost {
                credit -= cost;
                carried.extend(self.unsent.pop_front());
            } else {
                // In proportion; what is left of the write follows with the next sends.
                carried.extend(split(first, first.len() * credit / cost));
                credit = 0;
            }
        }
        carried
    }

    /// Everything that was written and not seen sent: the connection ends.
    pub(super) fn all_unsent(&mut self) -> Vec<Plain<'static>> {
        self.unsent.drain(..).collect()
    }

    /// Plaintext of so many calls' lengths passes: bytes on the wire before it, which the handshake needed, belong to no request.
    pub(super) fn begin(&mut self, direction: Direction, calls: impl Iterator<Item = u32> + Clone) {
        let overhead = self.overhead;
        let way = self.way(direction);
        let Some(records) = way.records.take() else { return };
        let first = calls.clone().find(|len| *len > 0).map(|len| wire_len(len.min(RECORD_PLAINTEXT).into(), overhead));
        way.told_wire = first
            .and_then(|len| records.find(len, way.wire))
            .unwrap_or_else(|| way.wire - calls.map(|len| wire_len(len.into(), overhead) as i64).sum::<i64>());
    }

    /// Nothing of the ciphertext but its sizes matters any more.
    pub(super) fn is_settled(&self) -> bool {
        self.incoming.records.is_none() && self.outgoing.records.is_none()
    }

    /// The time of plaintext and, for reads, when it arrived: that of the socket's operations that carried it.
    pub(super) fn times(&mut self, plain: &Plain<'_>) -> (u64, Option<u64>) {
        self.way(plain.direction).plain += plain.len() as i64;
        if plain.direction == Direction::Out {
            return (if self.sent_ns == 0 { plain.time_ns } else { self.sent_ns }, None);
        }
        let wanted = plain.len() + LEAST_OVERHEAD;
        let (mut sum, mut times) = (0, None);
        for receipt in self.receipts.iter().rev().filter(|receipt| receipt.time_ns <= plain.time_ns) {
            let last_ns = times.map_or(receipt.time_ns, |(time_ns, _)| time_ns);
            times = Some((last_ns, receipt.arrival_ns));
            sum += receipt.len;
            if sum >= wanted {
                break;
            }
        }
        times.unwrap_or((plain.time_ns, None))
    }

    /// How many bytes on the wire carried the next `plain` bytes of a direction's messages.
    pub(super) fn tell(&mut self, direction: Direction, plain: u64) -> u64 {
        let way = self.way(direction);
        let (open_wire, open_plain) = ((way.wire - way.told_wire).max(0), way.plain - way.told_plain);
        let wire = if open_plain <= 0 { 0 } else { (i128::from(open_wire) * i128::from(plain) / i128::from(open_plain)) as i64 };
        let wire = wire.min(open_wire);
        way.told_wire += wire;
        way.told_plain += plain as i64;
        wire as u64
    }

    fn way(&mut self, direction: Direction) -> &mut Way {
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

/// Takes the first `len` bytes off.
fn split(plain: &mut Plain<'static>, len: u64) -> Option<Plain<'static>> {
    if len == 0 {
        return None;
    }
    let captured = plain.bytes.len().min(len as usize);
    let rest = plain.bytes[captured..].to_vec();
    let mut head = std::mem::take(plain.bytes.to_mut());
    head.truncate(captured);
    plain.bytes = rest.into();
    let missing = len - captured as u64;
    plain.missing -= missing;
    let call_len = std::mem::take(&mut plain.call_len);
    Some(Plain { bytes: head.into(), missing, call_len, ..plain.bare() })
}

#[cfg(test)]
mod tests;
