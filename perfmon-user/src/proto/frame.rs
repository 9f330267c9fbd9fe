//! The frame family: once a connection is open, either side sends whole messages at any time (WebSocket; JSON-RPC over a stream). Parsers
//! tell each message as its last byte passes and the whole session at its end; one builder makes the record of a session.
use super::exchange::Exchange;
use crate::stream::{Direction, Failure, Stamp};

/// What a parser tells of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum FramePart {
    /// A message is complete.
    Message(FrameMessage),
    /// The session ended.
    Done(Box<FrameSession>),
}

/// A whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMessage {
    /// Which way.
    pub direction: Direction,
    /// When and by whom its last byte was moved.
    pub stamp: Stamp,
    /// When its first byte was moved.
    pub start_ns: u64,
    /// Text, binary or control.
    pub kind: FrameKind,
    /// Bytes of its payload as transferred: still compressed, without framing.
    pub payload_bytes: u64,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Text.
    Text,
    /// Binary data.
    Binary,
    /// The protocol's own (ping, pong, close): no message of the application.
    Control,
}

/// What passed in one direction of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameTotals {
    /// Messages of the application.
    pub messages: u64,
    /// Bytes of their payload as transferred.
    pub payload_bytes: u64,
    /// All bytes, framing and control messages included.
    pub wire_bytes: u64,
}

/// A whole session.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameSession {
    /// `websocket`.
    pub protocol: &'static str,
    /// The exchange that opened it.
    pub opening: Box<Exchange>,
    /// When the connection closed.
    pub end_ns: u64,
    /// Received.
    pub received: FrameTotals,
    /// Sent.
    pub sent: FrameTotals,
    /// Status of the first close message (RFC 6455, section 7.4), 1005 for one without; `None` when none was seen.
    pub close_code: Option<u16>,
    /// The connection ended without the protocol's own goodbye, or was not of the protocol.
    pub failure: Option<Failure>,
    /// A part was not seen: the counts are a lower bound.
    pub inferred: bool,
    /// Bytes of framing that were needed and not captured.
    pub missing_bytes: u64,
}
