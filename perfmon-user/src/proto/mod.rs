//! Protocol parsers: ordered segments of a connection's two byte streams in, [`Message`]s out. Sans-IO: no clock, no socket, no process;
//! they know nothing of where bytes come from (socket, TLS library, file). A parser never assumes that a message begins at the
//! beginning of a capture, that one capture holds one message, or that requests and answers alternate.
//!
//! Protocols are equals: each tells messages of one family ([`exchange`], [`command`], [`question`], [`frame`]), is found by [`detect`]
//! or named by the protocol before it ([`HandOver`]), and says how much of the traffic it needs captured ([`Demand`]).
pub mod command;
#[cfg(test)]
mod corpus;
pub mod detect;
pub mod exchange;
pub mod frame;
pub mod http1;
pub mod http2;
pub mod kept;
pub mod question;
pub mod websocket;

use std::sync::Arc;

use crate::stream::{Ending, Segment};
use command::Command;
use exchange::Part;
use frame::FramePart;
use kept::Kept;
use question::Question;

/// What a parser tells, by family.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'a> {
    /// Of a request and its answer.
    Exchange(Part<'a>),
    /// A command and its answer ended.
    Command(&'a Command),
    /// A question was answered, or given up.
    Question(&'a Question),
    /// Of whole messages that either side sends at any time.
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

/// What a parser wants of the capture after a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Demand {
    /// The default capture serves.
    #[default]
    Head,
    /// Heads or framing did not fit the captured part: capture everything from now on.
    Full,
    /// Only sizes matter from here on: the protocol is unknown.
    Count,
    /// The parser is done: [`Parser::hand_over`] says who goes on, and with what.
    HandOver,
}

/// Who goes on with a connection whose parser is done.
#[derive(Debug)]
pub enum Successor {
    /// Whatever it turns out to be: it is detected as if the connection began here (a tunnel behind CONNECT, STARTTLS).
    Detected,
    /// WebSocket, which began with this handshake.
    WebSocket(Box<websocket::Handshake>),
}

/// A connection that changes its protocol.
#[derive(Debug)]
pub struct HandOver {
    /// Who goes on.
    pub successor: Successor,
    /// What came and was not read, in order.
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

/// Takes messages from a parser.
pub trait Sink {
    /// Takes one.
    fn message(&mut self, message: Message<'_>);
    /// A text to keep: the shared copy of one that comes again and again (method, host, path), where the sink has it.
    fn text(&mut self, text: &str) -> Arc<str> {
        text.into()
    }
}

impl<F: FnMut(Message<'_>)> Sink for F {
    fn message(&mut self, message: Message<'_>) {
        self(message);
    }
}

/// What a parser lost or gave up since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Times it lost its place and looked for the next message.
    pub desyncs: u64,
    /// Answers without a request, dropped.
    pub orphans: u64,
    /// Heads longer than the limit.
    pub heads_too_long: u64,
    /// Exchanges that more than the allowed number of pipelined requests pushed out.
    pub evicted: u64,
}

/// A protocol's state of one connection.
pub trait Parser: Send {
    /// Takes the next segment.
    fn push(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) -> Demand;
    /// The stream or connection ended at `time_ns`; open exchanges are ended as that says.
    fn end(&mut self, ending: Ending, time_ns: u64, sink: &mut dyn Sink);
    /// Calls `visit` for each exchange under way.
    fn pending(&self, visit: &mut dyn FnMut(PendingExchange<'_>));
    /// Whether a session is open that is told at the connection's end, though no exchange is under way.
    fn is_open(&self) -> bool {
        false
    }
    /// Whether the process is the server, once that is known.
    fn serves(&self) -> Option<bool>;
    /// Bytes that this state holds on the heap, about.
    fn heap_bytes(&self) -> usize;
    /// What was lost since the last call.
    fn take_stats(&mut self) -> Stats;
    /// The connection's next protocol, once, after a push that demanded it.
    fn hand_over(&mut self) -> Option<HandOver> {
        None
    }
}
