//! Protocol parsers: ordered segments of a connection's two byte streams in, [`Message`]s out. Sans-IO: no clock, no socket, no process;
//! they know nothing of where bytes come from (socket, TLS library, file). A parser never assumes that a message begins at the
//! beginning of a capture, that one capture holds one message, or that requests and answers alternate.
//!
//! Protocols are equals: each reports messages of one family ([`exchange`], [`command`], [`question`], [`frame`]), is found by [`detect`]
//! or named by the protocol before it ([`HandOver`]), and requests the capture mode that it needs ([`Demand`]).
pub mod command;
#[cfg(test)]
mod command_connection;
#[cfg(test)]
mod corpus;
pub mod detect;
pub mod dns;
pub mod exchange;
pub mod frame;
pub mod frame_pair;
pub mod framed;
pub mod headers;
pub mod http1;
pub mod http2;
pub mod kept;
pub mod memcached;
pub mod mongodb;
pub mod mysql;
pub mod pending;
pub mod postgres;
pub mod question;
pub mod redis;
pub mod sql;
pub mod statement;
pub mod websocket;

use std::sync::Arc;

use crate::budget::Allowance;
use crate::redact;
use crate::stream::{Ending, Segment};
use command::Command;
use dns::DnsMessage;
use exchange::{Exchange, Part};
use frame::FramePart;
use kept::Kept;

/// Forgets what parsers remember beyond a connection. Called every few seconds, since it may hold secrets.
pub fn forget() {
    http1::forget_lines();
}

/// A message of a parser, by family.
#[derive(Debug, PartialEq)]
pub enum Message<'a> {
    /// Part of a request and its answer.
    Exchange(Part<'a>),
    /// A command and its answer ended.
    Command(&'a Command),
    /// The client asked for a name or got an answer, at this time.
    Name(&'a DnsMessage, u64),
    /// Part of a session in which either side sends whole messages at any time.
    Frame(FramePart),
}

impl<'a> From<Part<'a>> for Message<'a> {
    fn from(part: Part<'a>) -> Self {
        Self::Exchange(part)
    }
}

impl From<FramePart> for Message<'_> {
    fn from(part: FramePart) -> Self {
        Self::Frame(part)
    }
}

/// The capture that a parser needs after a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Demand {
    /// The default capture is enough.
    #[default]
    Head,
    /// Heads or framing did not fit the captured part: capture everything from now on.
    Full,
    /// Only sizes matter from here on: the protocol is unknown.
    Count,
    /// The parser is done: [`Parser::hand_over`] gives the next protocol and the unread segments.
    HandOver,
}

/// The next protocol of a connection whose parser is done.
#[derive(Debug)]
pub enum Successor {
    /// Unknown: detection runs as if the connection began here (a tunnel after CONNECT, STARTTLS).
    Detected,
    /// WebSocket, which began with this handshake.
    WebSocket(Box<websocket::Handshake>),
}

/// A connection that changes its protocol.
#[derive(Debug)]
pub struct HandOver {
    /// The next protocol.
    pub successor: Successor,
    /// Unread segments, in order.
    pub unread: Kept,
}

/// A request under way, for `in_flight`.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingExchange<'a> {
    /// The process is the server.
    pub server: bool,
    /// Method.
    pub method: &'a str,
    /// Target without query.
    pub path: &'a str,
    /// First byte.
    pub start_ns: u64,
    /// Server: when the process first read of it.
    pub read_ns: u64,
    /// Thread that read (server) or wrote (client) its first byte.
    pub thread: u32,
    /// Its number on the connection.
    pub exchange: exchange::ExchangeId,
}

/// Receives the messages of a parser.
pub trait Sink {
    /// Handles one message.
    fn message(&mut self, message: Message<'_>);
    /// The shared copy of a text that repeats (method, host, path), if the sink has one.
    fn text(&mut self, text: &str) -> Arc<str> {
        text.into()
    }
    /// The shared copy of a path as records keep it, without tokens unless the sink keeps paths whole.
    fn path(&mut self, path: &str) -> Arc<str> {
        self.text(&redact::path(path))
    }
    /// An exchange to fill, with memory used before if there is some.
    fn exchange(&mut self) -> Box<Exchange> {
        Box::default()
    }
    /// Takes back the memory of an exchange that is over.
    fn reuse(&mut self, _: Box<Exchange>) {}
    /// The memory for unfinished messages that the connection's process may use; without a limit if the sink has none.
    fn allowance(&mut self) -> Allowance {
        Allowance::default()
    }
}

impl<F: FnMut(Message<'_>)> Sink for F {
    fn message(&mut self, message: Message<'_>) {
        self(message);
    }
}

/// Losses of a parser since the last call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Times it lost its place and looked for the next message.
    pub desyncs: u64,
    /// Answers without a request, dropped.
    pub orphans: u64,
    /// Heads longer than the limit.
    pub heads_too_long: u64,
    /// Exchanges evicted because too many requests were pipelined.
    pub evicted: u64,
}

/// The parser of one connection.
pub trait Parser: Send {
    /// Reads the next segment.
    fn push(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) -> Demand;
    /// Handles the end of a stream or the connection at `time_ns`; ends open exchanges accordingly.
    fn end(&mut self, ending: Ending, time_ns: u64, sink: &mut dyn Sink);
    /// Whether nothing but silence may be to come of an exchange under way.
    fn is_unsettled(&self) -> bool {
        false
    }
    /// Ends exchanges that are followed by silence; called about once a second, while there are any.
    fn settle(&mut self, _now_ns: u64, _sink: &mut dyn Sink) {}
    /// Calls `visit` for each exchange under way.
    fn pending(&self, visit: &mut dyn FnMut(PendingExchange<'_>));
    /// Whether a session is open that will be reported at the connection's end, without an exchange under way.
    fn is_open(&self) -> bool {
        false
    }
    /// Whether the client needs the connection now: something is under way on it, or a transaction is open.
    fn in_use(&self) -> bool {
        let mut any = self.is_open();
        self.pending(&mut |_| any = true);
        any
    }
    /// Gives memory back that is needed only while messages pass; called when the connection has been silent for a while.
    fn rest(&mut self) {}
    /// Whether the process is the server, once that is known.
    fn serves(&self) -> Option<bool>;
    /// Bytes that this state holds on the heap, about.
    fn heap_bytes(&self) -> usize;
    /// Takes the losses since the last call.
    fn take_stats(&mut self) -> Stats;
    /// The connection's next protocol, once, after a push that demanded it.
    fn hand_over(&mut self) -> Option<HandOver> {
        None
    }
}
