//! HTTP/1.0 and HTTP/1.1 (RFC 9112): chunks of a connection's two streams in, exchanges out. Which stream carries the requests, and so
//! whether the process is the server, is learned from the data. `stream` finds heads and bodies in one direction, `head` and `body`
//! know the grammar, `pairing` joins answers to requests; here is what concerns both streams: an answer that is seen before its
//! request waits for it, the end of the connection, and giving up. No TLS, no HTTP/2, no WebSocket frames.
mod body;
mod head;
mod line;
mod open;
mod pairing;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod wait;

pub use line::detect;

use super::{Chunk, Demand, End, Flow, Parser, Pending, Sink, Stats};
use open::Ending;
use pairing::{Orphans, Pairing};
use stream::{Context, Stream};

/// Bytes of a head that are buffered at most; a longer head is a protocol error of its exchange.
pub const HEAD_BYTES: usize = 64 * 1024 + 4_096;
/// Fields of a head that are parsed at most; a head with more is a protocol error of its exchange.
pub const HEADERS: usize = 1_024;
/// Exchanges under way on one connection; beyond it the oldest goes.
pub const PIPELINE: usize = 1_024;
/// How long an answer that was seen before its request waits for it.
const SWAP_NS: u64 = 1_000_000;
/// Changes of direction without the beginning of a message after which a connection is given up.
const MISSES: u8 = 8;

/// Which of an exchange's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

/// A chunk without its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moment {
    time_ns: u64,
    arrival_ns: Option<u64>,
    thread: u32,
}

/// A connection's state.
#[derive(Debug)]
pub struct Http1 {
    inbound: Stream,
    outbound: Stream,
    pairing: Pairing,
    /// Stream of the last chunk that began no message where one was looked for.
    missed: Option<Flow>,
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
            inbound: Stream::new(Flow::In),
            outbound: Stream::new(Flow::Out),
            pairing: Pairing::default(),
            missed: None,
            misses: 0,
            opaque: false,
        }
    }

    /// The stream of this flow, the other one, and what both share.
    fn parts(&mut self, flow: Flow) -> (&mut Stream, &mut Stream, &mut Pairing) {
        match flow {
            Flow::In => (&mut self.inbound, &mut self.outbound, &mut self.pairing),
            Flow::Out => (&mut self.outbound, &mut self.inbound, &mut self.pairing),
        }
    }

    /// Lets answers go on that wait for their request, if that is there now.
    fn release(&mut self, sink: &mut dyn Sink) {
        for flow in [Flow::In, Flow::Out] {
            let (stream, _, pairing) = self.parts(flow);
            if stream.waits_since().is_some() && pairing.is_awaiting() {
                stream.resume(&mut Context { pairing, sink });
            }
        }
    }

    /// Lets answers go on whose request did not come by `now_ns`; `None`: whatever the time.
    fn expire(&mut self, now_ns: Option<u64>, sink: &mut dyn Sink) {
        for flow in [Flow::In, Flow::Out] {
            loop {
                let (stream, requests, pairing) = self.parts(flow);
                let Some(since_ns) = stream.waits_since() else { break };
                // Unless each request of the connection is known, an answer without one is no sign of events that were swapped.
                let patience_ns = if pairing.in_step && !pairing.doubt { SWAP_NS } else { 0 };
                if !stream.holds_too_much() && now_ns.is_some_and(|now_ns| now_ns <= since_ns + patience_ns) {
                    break;
                }
                let mut context = Context { pairing, sink };
                if requests.promote(&mut context) {
                    context.pairing.doubt_newest();
                } else {
                    let lost_at = requests.lost_at();
                    let known = lost_at.is_some() || context.pairing.in_step;
                    context.pairing.orphans = Some(if known { Orphans::Infer(lost_at) } else { Orphans::Drop });
                }
                stream.resume(&mut context);
                context.pairing.orphans = None;
            }
        }
    }

    /// Gives the connection up, if it does not speak HTTP or does so no more.
    fn judge(&mut self, flow: Flow, heads_before: u64, now_ns: u64, sink: &mut dyn Sink) {
        let (stream, _, pairing) = self.parts(flow);
        let (missed, heads, tunnel) = (stream.take_missed(), pairing.heads, pairing.tunnel);
        let foreign = stream.is_foreign();
        if heads != heads_before {
            (self.misses, self.missed) = (0, None);
        } else if missed && self.missed != Some(flow) {
            self.missed = Some(flow);
            self.misses += 1;
        }
        if tunnel || foreign || self.misses >= MISSES {
            // Where a parser of WebSocket frames takes over, it does so at the `Done` of the exchange with status 101.
            self.opaque = true;
            self.pairing.end(Ending::Forgotten, false, now_ns, sink);
            (self.inbound, self.outbound) = (Stream::new(Flow::In), Stream::new(Flow::Out));
        }
    }

    fn ending(&self, end: End, server: bool) -> Ending {
        match (end, server) {
            (End::PeerReset, true) | (End::LocalReset, false) => Ending::ClientReset,
            (End::PeerReset, false) | (End::LocalReset, true) => Ending::ServerReset,
            (End::Forgotten, _) => Ending::Forgotten,
            (End::PeerClosed | End::LocalClosed | End::Closed, _) => Ending::Closed,
        }
    }
}

impl Parser for Http1 {
    fn push(&mut self, flow: Flow, chunk: Chunk<'_>, sink: &mut dyn Sink) -> Demand {
        if self.opaque {
            return Demand::Count;
        }
        self.expire(Some(chunk.time_ns), sink);
        let heads_before = self.pairing.heads;
        let now = Moment { time_ns: chunk.time_ns, arrival_ns: chunk.arrival_ns, thread: chunk.thread };
        let (stream, _, pairing) = self.parts(flow);
        stream.push(now, chunk.content, &mut Context { pairing, sink });
        self.release(sink);
        self.judge(flow, heads_before, chunk.time_ns, sink);
        match (self.opaque, self.pairing.wants_full) {
            (true, _) => Demand::Count,
            (false, true) => Demand::Full,
            (false, false) => Demand::Head,
        }
    }

    fn end(&mut self, end: End, time_ns: u64, sink: &mut dyn Sink) {
        self.expire(None, sink);
        let Some(server) = self.pairing.server else { return };
        let closing = &mut self.pairing.closing;
        match (end, server) {
            (End::PeerClosed, true) | (End::LocalClosed, false) => {
                // Maybe only the client's direction: the answer can still come.
                closing.client_ns.get_or_insert(time_ns);
                return;
            }
            (End::PeerClosed, false) => {
                // The kernel tells of it before the process has read what came before.
                closing.server_ns.get_or_insert(time_ns);
                return;
            }
            (End::LocalClosed, true) => {
                closing.server_ns.get_or_insert(time_ns);
            }
            _ => {}
        }
        let ending = self.ending(end, server);
        for flow in [Flow::In, Flow::Out] {
            let (stream, _, pairing) = self.parts(flow);
            if ending != Ending::Forgotten {
                stream.promote(&mut Context { pairing, sink });
            }
        }
        let answers = if server { &self.outbound } else { &self.inbound };
        self.pairing.end(ending, answers.lost_at().is_some(), time_ns, sink);
        (self.inbound, self.outbound) = (Stream::new(Flow::In), Stream::new(Flow::Out));
    }

    fn pending(&self, visit: &mut dyn FnMut(Pending<'_>)) {
        self.pairing.pending(visit);
    }

    fn serves(&self) -> Option<bool> {
        self.pairing.server
    }

    fn heap_bytes(&self) -> usize {
        self.inbound.heap_bytes() + self.outbound.heap_bytes() + self.pairing.heap_bytes()
    }

    fn take_stats(&mut self) -> Stats {
        std::mem::take(&mut self.pairing.stats)
    }
}
