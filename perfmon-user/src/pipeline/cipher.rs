//! The encrypted side of a TLS connection: what its socket moved, so that plaintext, which the library tells apart from it, gets the
//! socket's times and its records the encrypted sizes. Also what the handshake says in the clear. Never looks into ciphertext.
use std::collections::VecDeque;
use std::sync::Arc;

use crate::names::hello::{Hello, Said};
use crate::stream::{Content, Direction, Segment};
use crate::track::tls::{Plain, RECORD_PLAINTEXT, TlsObject};

use super::Capture;

mod records;

use records::Records;

/// Receives that are remembered until their plaintext is read.
const RECEIPTS: usize = 64;
/// The least that a record adds to its plaintext: header, tag, and what every version has beside.
const LEAST_OVERHEAD: u64 = 21;
/// A record's header.
const HEADER: u64 = 5;
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
    /// What each record adds, once the server's hello told.
    overhead: Option<u64>,
    incoming: Way,
    outgoing: Way,
    receipts: VecDeque<Receipt>,
    sent_ns: u64,
    moves: u32,
    unsent: VecDeque<Unsent>,
}

/// A write, and the least number of bytes on the wire that carry what is left of it.
#[derive(Debug)]
struct Unsent {
    plain: Plain<'static>,
    cost: u64,
}

/// One direction: bytes on the wire and of plaintext, and how many of both were told in records.
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
            overhead: None,
            incoming: Way::new(),
            outgoing: Way::new(),
            receipts: VecDeque::new(),
            sent_ns: 0,
            moves: 0,
            unsent: VecDeque::new(),
        }
    }

    /// Whether bytes begin like TLS: a record's type and version (RFC 8446, section 5.1).
    pub(super) fn begins(bytes: &[u8]) -> bool {
        matches!(bytes, [20..=23, 3, 0..=4, ..])
    }

    /// The socket moved bytes; tells how often it did.
    pub(super) fn moved(&mut self, segment: &Segment<'_>) -> u32 {
        self.moves = self.moves.saturating_add(1);
        if segment.content == Content::Unknown {
            return self.moves;
        }
        let len = segment.content.len();
        let way = self.way(segment.direction);
        if let Some(records) = &mut way.records {
            records.push(way.wire, segment.content);
        }
        way.wire += len as i64;
        self.listen(segment);
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

    fn listen(&mut self, segment: &Segment<'_>) {
        let Some(hellos) = &mut self.hellos else { return };
        let hello = &mut hellos[usize::from(segment.direction == Direction::Out)];
        match segment.content {
            Content::Bytes(bytes) => hello.push(bytes),
            Content::Gap(_) | Content::Lost(_) | Content::Unknown | Content::Datagram(_) => hello.give_up(),
        }
        match hello.take() {
            Some(Said::Client { server_name }) => self.server_name = server_name.map(Arc::from),
            Some(Said::Server { overhead }) => self.overhead = Some(overhead.into()),
            None => {}
        }
        if hellos.iter().all(Hello::is_over) {
            self.hellos = None;
        }
    }

    /// How much longer than its plaintext the content of a record is, once that is known.
    pub(super) fn expansion(&self) -> Option<u32> {
        self.overhead.map(|overhead| (overhead - HEADER) as u32)
    }

    /// Keeps a write until the socket sends it.
    pub(super) fn will_send(&mut self, plain: Plain<'static>) {
        if self.outgoing.records.take().is_some() {
            self.outgoing.told_wire = self.outgoing.wire;
        }
        let cost = wire_len(plain.len(), LEAST_OVERHEAD);
        self.unsent.push_back(Unsent { plain, cost });
    }

    /// The writes, or parts of them, that `len` sent bytes carried.
    pub(super) fn sent(&mut self, len: u64) -> Vec<Plain<'static>> {
        let (mut credit, mut carried) = (len, Vec::new());
        while let Some(first) = self.unsent.front_mut().filter(|_| credit > 0) {
            if credit >= first.cost {
                credit -= first.cost;
                carried.extend(self.unsent.pop_front().map(|whole| whole.plain));
            } else {
                // In proportion; what is left of the write follows with the next sends.
                let len = first.plain.len() * credit / first.cost;
                carried.extend(split(&mut first.plain, len));
                first.cost -= credit;
                credit = 0;
            }
        }
        carried
    }

    /// Everything that was written and not seen sent: the connection ends.
    pub(super) fn all_unsent(&mut self) -> Vec<Plain<'static>> {
        self.unsent.drain(..).map(|whole| whole.plain).collect()
    }

    /// Plaintext of so many calls' lengths passes: bytes on the wire before it, which the handshake needed, belong to no request.
    pub(super) fn begin(&mut self, direction: Direction, calls: impl Iterator<Item = u32> + Clone) {
        let overhead = self.overhead.unwrap_or(USUAL_OVERHEAD);
        let way = self.way(direction);
        let Some(records) = way.records.take() else { return };
        let first = calls.clone().find(|len| *len > 0).map(|len| wire_len(len.min(RECORD_PLAINTEXT).into(), overhead));
        way.told_wire = first
            .and_then(|len| records.find(len, way.wire))
            .unwrap_or_else(|| way.wire - calls.map(|len| wire_len(len.into(), overhead) as i64).sum::<i64>())
            .max(0);
    }

    /// Nothing of the ciphertext but its sizes matters any more.
    pub(super) fn is_settled(&self) -> bool {
        self.incoming.records.is_none() && self.outgoing.records.is_none()
    }

    /// The time of plaintext and, for reads, when it arrived: that of the socket's operations that carried it.
    pub(super) fn times(&mut self, plain: &Plain<'_>) -> (u64, Option<u64>) {
        self.way(plain.direction).plain += plain.len() as i64;
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
