//! HTTP/1.0 and HTTP/1.1 (RFC 9112): chunks of a connection's two streams in, exchanges out. Which stream carries the requests, and so
//! whether the process is the server, is learned from the data. `stream` finds heads and bodies in one direction, `head` and `body`
//! know the grammar, `pairing` joins answers to requests; here is what concerns both streams: an answer that is seen before its
//! request waits for it, the end of the connection, and giving up. After a CONNECT or an upgrade it hands the connection over.
mod body;
mod head;
mod line;
mod open;
mod pairing;
mod stream;
mod target;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "fuzzing"))]
pub mod valid;
mod wait;

pub use head::forget as forget_lines;
pub use line::detect;

use super::{Demand, HandOver, Parser, PendingExchange, Sink, Stats, Successor};
use crate::stream::{Direction, Ending, Segment};
use open::ConnectionEnd;
use pairing::{Orphans, Pairing};
use stream::{MessageStream, StreamContext};

/// Bytes of a head that are buffered at most; a longer head is a protocol error of its exchange.
pub const HEAD_BYTES: usize = 64 * 1024 + 4_096;
/// Fields of a head that are parsed at most; a head with more is a protocol error of its exchange.
pub const HEADERS: usize = 1_024;
/// Exchanges under way on one connection; beyond it the oldest goes.
pub const PIPELINE: usize = 1_024;
/// How long an answer that was seen before its request waits for it.
const SWAP_NS: u64 = 1_000_000;
/// How long nothing follows an answer that may be over before it is taken for that.
const SETTLE_NS: u64 = 1_000_000_000;
/// Changes of direction without the beginning of a message after which a connection is given up.
const MISSES: u8 = 8;

/// Which of an exchange's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MessageSide {
    Request,
    Response,
}

/// A connection's state.
#[derive(Debug)]
pub struct Http1 {
    inbound: MessageStream,
    outbound: MessageStream,
    pairing: Pairing,
    /// Stream of the last segment.
    last: Option<Direction>,
    /// Stream of the last segment that began no message where one was looked for.
    missed: Option<Direction>,
    misses: u8,
    /// No HTTP is looked for any more.
    opaque: bool,
}

impl Default for Http1 {
    fn default() -> Self {
        Self::new()
    }
}

impl Http1 {
    /// Of a new connection, or one that was open before.
    pub fn new() -> Self {
        Self {
            inbound: MessageStream::new(Direction::In),
            outbound: MessageStream::new(Direction::Out),
            pairing: Pairing::default(),
            last: None,
            missed: None,
            misses: 0,
            opaque: false,
        }
    }

    /// The stream of this direction, the other one, and what both share.
    fn parts(&mut self, direction: Direction) -> (&mut MessageStream, &mut MessageStream, &mut Pairing) {
        match direction {
            Direction::In => (&mut self.inbound, &mut self.outbound, &mut self.pairing),
            Direction::Out => (&mut self.outbound, &mut self.inbound, &mut self.pairing),
        }
    }

    fn stream(&self, direction: Direction) -> &MessageStream {
        match direction {
            Direction::In => &self.inbound,
            Direction::Out => &self.outbound,
        }
    }

    /// An answer's head waits for its request.
    fn is_waiting(&self) -> bool {
        self.inbound.waits_since().is_some() || self.outbound.waits_since().is_some()
    }

    /// Lets answers go on that wait for their request, if that is there now.
    fn release(&mut self, sink: &mut dyn Sink) {
        for direction in [Direction::In, Direction::Out] {
            let (stream, _, pairing) = self.parts(direction);
            if stream.waits_since().is_some() && pairing.is_awaiting() {
                stream.resume(&mut StreamContext { pairing, sink });
            }
        }
    }

    /// Lets answers go on whose request did not come by `now_ns`; `None`: whatever the time.
    fn expire(&mut self, now_ns: Option<u64>, sink: &mut dyn Sink) {
        for direction in [Direction::In, Direction::Out] {
            loop {
                let (stream, requests, pairing) = self.parts(direction);
                let Some(since_ns) = stream.waits_since() else { break };
                // Unless each request of the connection is known, an answer without one is no sign of events that were swapped.
                let patience_ns = if pairing.in_step && !pairing.doubt { SWAP_NS } else { 0 };
                if !stream.holds_too_much() && now_ns.is_some_and(|now_ns| now_ns <= since_ns + patience_ns) {
                    break;
                }
                let mut context = StreamContext { pairing, sink };
                if requests.promote(&mut context) {
                    context.pairing.doubt_newest();
                } else {
                    let lost_at = requests.lost_at();
                    context.pairing.note_surplus(lost_at.is_some() || stream.lost_at().is_some());
                    let known = lost_at.is_some() || context.pairing.in_step || context.pairing.request_unseen;
                    // Requests that waited at a loss were told without their answers.
                    let known = known && !(context.pairing.torn && context.pairing.overlaps());
                    context.pairing.orphans = Some(if known { Orphans::Infer(lost_at.map(Box::new)) } else { Orphans::Drop });
                }
                stream.resume(&mut context);
                context.pairing.orphans = None;
            }
        }
    }

    /// Gives the connection up, if it does not speak HTTP or does so no more.
    fn judge(&mut self, direction: Direction, heads_before: u64, now_ns: u64, sink: &mut dyn Sink) {
        let (stream, _, pairing) = self.parts(direction);
        let (missed, heads, tunnel) = (stream.take_missed(), pairing.heads, pairing.tunnel);
        let foreign = stream.is_foreign();
        if heads != heads_before {
            (self.misses, self.missed) = (0, None);
        } else if missed && self.missed != Some(direction) {
            self.missed = Some(direction);
            self.misses += 1;
        }
        if tunnel || foreign || self.misses >= MISSES {
            self.opaque = true;
            self.pairing.end(ConnectionEnd::Forgotten, false, now_ns, sink);
            (self.inbound, self.outbound) = (MessageStream::new(Direction::In), MessageStream::new(Direction::Out));
        }
    }

    fn ending(ending: Ending, server: bool) -> ConnectionEnd {
        match (ending, server) {
            (Ending::PeerReset, true) | (Ending::LocalReset, false) => ConnectionEnd::ClientReset,
            (Ending::PeerReset, false) | (Ending::LocalReset, true) => ConnectionEnd::ServerReset,
            (Ending::Forgotten, _) => ConnectionEnd::Forgotten,
            (Ending::PeerClosed | Ending::LocalClosed | Ending::Closed, _) => ConnectionEnd::Closed,
        }
    }
}

impl Parser for Http1 {
    fn push(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) -> Demand {
        let Segment { direction, stamp, content } = segment;
        if self.opaque {
            return Demand::Count;
        }
        if let Some(run) = stamp.run {
            self.pairing.runs[direction.index()] = Some(run.number);
        }
        let turned = self.last.replace(direction) != Some(direction);
        if self.is_waiting() {
            self.expire(Some(stamp.time_ns), sink);
        }
        let heads_before = self.pairing.heads;
        let (stream, _, pairing) = self.parts(direction);
        stream.push(stamp, content, turned, &mut StreamContext { pairing, sink });
        if self.is_waiting() {
            self.release(sink);
        }
        self.judge(direction, heads_before, stamp.time_ns, sink);
        match (self.pairing.tunnel, self.opaque, self.pairing.wants_full) {
            (true, ..) => Demand::HandOver,
            (_, true, _) => Demand::Count,
            (_, false, true) => Demand::Full,
            (_, false, false) => Demand::Head,
        }
    }

    fn hand_over(&mut self) -> Option<HandOver> {
        if !std::mem::take(&mut self.pairing.tunnel) {
            return None;
        }
        let successor = self.pairing.websocket.take().map_or(Successor::Detected, Successor::WebSocket);
        Some(HandOver { successor, unread: std::mem::take(&mut self.pairing.unread) })
    }

    fn end(&mut self, ending: Ending, time_ns: u64, sink: &mut dyn Sink) {
        self.expire(None, sink);
        let Some(server) = self.pairing.server else { return };
        let closing = &mut self.pairing.closing;
        match (ending, server) {
            (Ending::PeerClosed, true) | (Ending::LocalClosed, false) => {
                // Maybe only the client's direction: the answer can still come.
                closing.client_ns.get_or_insert(time_ns);
                return;
            }
            (Ending::PeerClosed, false) => {
                // The kernel tells of it before the process has read what came before.
                closing.server_ns.get_or_insert(time_ns);
                return;
            }
            (Ending::LocalClosed, true) => {
                closing.server_ns.get_or_insert(time_ns);
            }
            _ => {}
        }
        let ended = Self::ending(ending, server);
        for direction in [Direction::In, Direction::Out] {
            let (stream, _, pairing) = self.parts(direction);
            stream.settle(ended != ConnectionEnd::Forgotten, &mut StreamContext { pairing, sink });
            if ended != ConnectionEnd::Forgotten {
                stream.promote(&mut StreamContext { pairing, sink });
            }
        }
        let answers = if server { &self.outbound } else { &self.inbound };
        self.pairing.end(ended, answers.lost_at().is_some(), time_ns, sink);
        (self.inbound, self.outbound) = (MessageStream::new(Direction::In), MessageStream::new(Direction::Out));
    }

    fn pending(&self, visit: &mut dyn FnMut(PendingExchange<'_>)) {
        self.pairing.pending(visit);
    }

    fn is_unsettled(&self) -> bool {
        Direction::BOTH.iter().any(|direction| self.stream(*direction).may_be_over(u64::MAX))
    }

    fn settle(&mut self, now_ns: u64, sink: &mut dyn Sink) {
        for direction in Direction::BOTH {
            let (stream, _, pairing) = self.parts(direction);
            if stream.may_be_over(now_ns.saturating_sub(SETTLE_NS)) {
                stream.settle(false, &mut StreamContext { pairing, sink });
            }
        }
    }

    fn serves(&self) -> Option<bool> {
        self.pairing.server
    }

    fn rest(&mut self) {
        self.pairing.rest();
    }

    fn heap_bytes(&self) -> usize {
        self.inbound.heap_bytes() + self.outbound.heap_bytes() + self.pairing.heap_bytes()
    }

    fn take_stats(&mut self) -> Stats {
        self.pairing.take_stats()
    }
}
