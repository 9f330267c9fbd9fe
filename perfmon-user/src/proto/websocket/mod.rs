//! WebSocket (RFC 6455): frames of both directions in, whole messages and, at the end, the session out.
use super::exchange::{Exchange, Header};
use super::{Demand, Parser, Pending, Sink, Stats};
use crate::stream::{Ending, Segment};

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
    pub fn of(exchange: &Exchange, headers: &[Header<'_>]) -> Option<Self> {
        let values =
            |field: &'static str| headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(field)).map(|header| header.value);
        let is_websocket = values("upgrade").any(|value| value.eq_ignore_ascii_case(b"websocket"));
        let deflate = values("sec-websocket-extensions").any(|value| value.starts_with(b"permessage-deflate"));
        is_websocket.then(|| Self { exchange: exchange.clone(), deflate })
    }
}

/// A session's state.
#[derive(Debug)]
pub struct WebSocket {
    handshake: Box<Handshake>,
}

impl WebSocket {
    /// After the handshake.
    pub fn new(handshake: Box<Handshake>) -> Self {
        Self { handshake }
    }
}

impl Parser for WebSocket {
    fn push(&mut self, _segment: Segment<'_>, _sink: &mut dyn Sink) -> Demand {
        Demand::Count
    }

    fn end(&mut self, _ending: Ending, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn pending(&self, _visit: &mut dyn FnMut(Pending<'_>)) {}

    fn serves(&self) -> Option<bool> {
        Some(self.handshake.exchange.server)
    }

    fn heap_bytes(&self) -> usize {
        0
    }

    fn take_stats(&mut self) -> Stats {
        Stats::default()
    }
}
