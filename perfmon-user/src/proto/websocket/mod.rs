//! WebSocket (RFC 6455, permessage-deflate by RFC 7692): segments of both directions after the handshake in, whole messages and, when
//! the connection ends, the session out. Payload is counted as it passes: it is neither unmasked, decompressed nor kept. `header` knows
//! a frame's header, `stream` one direction; here is what concerns both: who ended the session, how, and with which code.
mod header;
mod stream;
#[cfg(test)]
mod tests;

use super::exchange::Exchange;
use super::frame::{FramePart, FrameSession};
use super::headers::Headers;
use super::{Demand, Parser, PendingExchange, Sink, Stats};
use crate::stream::{Direction, Ending, Failure, Segment};
use header::FrameRules;
use stream::FrameStream;

/// What the handshake settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Handshake {
    /// The exchange that opened the connection.
    pub exchange: Exchange,
    /// Messages may be compressed (permessage-deflate, RFC 7692).
    pub deflate: bool,
}

impl Handshake {
    /// Of an answer with status 101 and these fields; `None` when it upgrades to something else.
    pub fn of(exchange: &Exchange, headers: Headers<'_>) -> Option<Self> {
        let elements = |field: &'static str| {
            let values = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(field)).map(|header| header.value);
            values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
        };
        let is_websocket = elements("upgrade").any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
        let name = |extension: &[u8]| extension.split(|byte| *byte == b';').next().map(<[u8]>::trim_ascii) == Some(b"permessage-deflate");
        let deflate = elements("sec-websocket-extensions").any(name);
        is_websocket.then(|| Self { exchange: exchange.clone(), deflate })
    }
}

/// While more of a payload is still to come, its length tells all and its bytes are not captured: 10 MB messages would fill the ring. Full
/// capture is asked for again in time: a change takes up to 5 ms, in which a connection moves about a megabyte.
const LONG_PAYLOAD: u64 = 1 << 20;

/// A session's state: constant in size, whatever passes.
#[derive(Debug)]
pub struct WebSocket {
    handshake: Box<Handshake>,
    /// By [`Direction::index`].
    streams: [FrameStream; 2],
    /// When each end closed the connection, the process's own second.
    closed_ns: [Option<u64>; 2],
    /// When bytes last passed.
    seen_ns: u64,
    /// The session was told.
    done: bool,
}

impl WebSocket {
    /// After the handshake.
    pub fn new(handshake: Box<Handshake>) -> Self {
        let (server, deflate) = (handshake.exchange.server, handshake.deflate);
        let stream = |direction| FrameStream::new(direction, FrameRules { masked: server == (direction == Direction::In), deflate });
        let seen_ns = handshake.exchange.first_byte_ns.unwrap_or(handshake.exchange.start_ns);
        Self { streams: Direction::BOTH.map(stream), closed_ns: [None; 2], seen_ns, done: false, handshake }
    }

    /// Tells the session.
    fn finish(&mut self, ending: Ending, time_ns: u64, sink: &mut dyn Sink) {
        self.done = true;
        let [received, sent] = &self.streams;
        let is_forgotten = ending == Ending::Forgotten && self.closed_ns == [None; 2];
        let is_closed = received.close.is_some() || sent.close.is_some();
        let missing_bytes = received.missing_bytes + sent.missing_bytes;
        let is_lost = received.lost || sent.lost;
        let failure = match () {
            () if received.is_violated() || sent.is_violated() => Some(Failure::Protocol),
            // A close that was not seen may have passed.
            () if is_closed || is_lost || is_forgotten => None,
            () => Some(self.failure(ending)),
        };
        let ended_ns = self.closed_ns.into_iter().flatten().min().unwrap_or(time_ns);
        let session = FrameSession {
            protocol: "websocket",
            opening: Box::new(self.handshake.exchange.clone()),
            end_ns: ended_ns.max(self.seen_ns),
            received: received.totals,
            sent: sent.totals,
            close_code: self.close_code(),
            failure,
            inferred: is_lost || missing_bytes > 0 || (is_forgotten && !is_closed),
            missing_bytes,
        };
        sink.message(FramePart::Done(Box::new(session)).into());
    }

    /// The code of the first close whose code is known.
    fn close_code(&self) -> Option<u16> {
        let closes = self.streams.iter().filter_map(|stream| stream.close);
        closes.filter_map(|(time_ns, code)| Some((time_ns, code?))).min_by_key(|(time_ns, _)| *time_ns).map(|(_, code)| code)
    }

    /// How a session without a close failed.
    fn failure(&self, ending: Ending) -> Failure {
        let server = self.handshake.exchange.server;
        let [peer_ns, own_ns] = self.closed_ns;
        let (client_ns, server_ns) = if server { (peer_ns, own_ns) } else { (own_ns, peer_ns) };
        let is_server_reset = ending == if server { Ending::LocalReset } else { Ending::PeerReset };
        let is_client_reset = ending == if server { Ending::PeerReset } else { Ending::LocalReset };
        let is_by_client = match (client_ns, server_ns) {
            (Some(client_ns), Some(server_ns)) => client_ns <= server_ns,
            (client_ns, _) => client_ns.is_some() || is_client_reset,
        };
        match (is_by_client, is_server_reset) {
            (true, _) => Failure::ClientClosed,
            (false, true) => Failure::Reset,
            (false, false) => Failure::Truncated,
        }
    }
}

impl Parser for WebSocket {
    fn push(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) -> Demand {
        let Segment { direction, stamp, content } = segment;
        if !self.done {
            self.seen_ns = self.seen_ns.max(stamp.time_ns);
            self.streams[direction.index()].push(stamp, content, sink);
        }
        if self.streams.iter().all(FrameStream::is_violated) {
            Demand::Count
        } else if self.streams.iter().any(|stream| stream.payload_left() > LONG_PAYLOAD) {
            Demand::Head
        } else {
            Demand::Full
        }
    }

    fn end(&mut self, ending: Ending, time_ns: u64, sink: &mut dyn Sink) {
        if self.done {
            return;
        }
        let closer = match ending {
            Ending::PeerClosed => Some(0),
            Ending::LocalClosed => Some(1),
            Ending::Closed | Ending::PeerReset | Ending::LocalReset | Ending::Forgotten => None,
        };
        if let Some(end) = closer {
            self.closed_ns[end].get_or_insert(time_ns);
            // The kernel tells of the peer's end before the process has read what came before it, and a process may end its own
            // direction alone: only after both closes nothing can come.
            if self.streams.iter().any(|stream| stream.close.is_none()) {
                return;
            }
        }
        self.finish(ending, time_ns, sink);
    }

    fn pending(&self, _visit: &mut dyn FnMut(PendingExchange<'_>)) {}

    fn is_open(&self) -> bool {
        !self.done
    }

    fn serves(&self) -> Option<bool> {
        Some(self.handshake.exchange.server)
    }

    fn heap_bytes(&self) -> usize {
        let exchange = &self.handshake.exchange;
        let texts = [&exchange.method, &exchange.path, &exchange.host, &exchange.user_agent, &exchange.traceparent];
        size_of::<Handshake>() + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
    }

    fn take_stats(&mut self) -> Stats {
        let desyncs = self.streams.iter_mut().map(|stream| std::mem::take(&mut stream.desyncs)).sum();
        Stats { desyncs, ..Stats::default() }
    }
}
