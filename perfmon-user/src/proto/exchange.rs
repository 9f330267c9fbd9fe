//! The exchange family: a request with head and body, an answer with status, head and body (HTTP of any version). Parsers report
//! parts as the bytes pass and the whole exchange at its end; one builder makes `request` records, and `llm` detects model calls.
use std::sync::Arc;

use super::headers::Headers;
use crate::stream::{Content, Direction, Failure};

/// Number of an exchange, unique on its connection, increasing with the order of requests.
pub type ExchangeId = u64;

/// A part of an exchange, reported while bytes pass. Per exchange: `Request`, `RequestBody`*, `Response`*, `ResponseBody`*, `Done`; parts
/// of different exchanges may interleave, request and response of one exchange may overlap.
#[derive(Debug, PartialEq)]
pub enum Part<'a> {
    /// A request's head is complete.
    Request(RequestHead<'a>),
    /// A piece of a request's body.
    RequestBody(BodyPiece<'a>),
    /// A final answer's head is complete (interim 1xx answers are not told).
    Response(ResponseHead<'a>),
    /// A piece of an answer's body.
    ResponseBody(BodyPiece<'a>),
    /// The exchange ended, well or not. The receiver may take its texts: it is not used again.
    Done(&'a mut Exchange),
}

/// A request's head.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestHead<'a> {
    /// Whose.
    pub exchange: ExchangeId,
    /// When its last byte passed.
    pub time_ns: u64,
    /// When the first byte of the request arrived (server) or was sent (client).
    pub start_ns: u64,
    /// Thread that read or wrote it.
    pub thread: u32,
    /// `Direction::In`: the process is the server.
    pub direction: Direction,
    /// Method.
    pub method: &'a str,
    /// Request target with query.
    pub target: &'a str,
    /// Fields in order.
    pub headers: Headers<'a>,
}

/// An answer's head.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseHead<'a> {
    /// Whose.
    pub exchange: ExchangeId,
    /// When its last byte passed.
    pub time_ns: u64,
    /// Status.
    pub status: u16,
    /// Fields in order.
    pub headers: Headers<'a>,
}

/// A piece of a body: transfer coding removed, content coding not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyPiece<'a> {
    /// Whose.
    pub exchange: ExchangeId,
    /// When it passed.
    pub time_ns: u64,
    /// Bytes or a gap.
    pub content: Content<'a>,
}

/// A whole exchange: everything that a `request` record needs and that stands on the wire. Times are as the segments'.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Exchange {
    /// Number on the connection.
    pub id: ExchangeId,
    /// The process is the server.
    pub server: bool,
    /// `http/1.0`, `http/1.1`, …
    pub protocol: &'static str,
    /// Method, `None` when the request was not seen.
    pub method: Option<Arc<str>>,
    /// Target without query, cut at 2,048 bytes; absolute-form reduced to its path.
    pub path: Option<Arc<str>>,
    /// `Host`, else the authority of an absolute-form target.
    pub host: Option<Arc<str>>,
    /// `User-Agent`.
    pub user_agent: Option<Arc<str>>,
    /// `traceparent` (W3C Trace Context), unparsed.
    pub traceparent: Option<Arc<str>>,
    /// Final status.
    pub status: Option<u16>,
    /// How it failed.
    pub failure: Option<Failure>,
    /// The answer's life is no latency: `text/event-stream`, NDJSON, `multipart/x-mixed-replace`, 101.
    pub streaming: bool,
    /// Status in `grpc-status`.
    pub grpc_status: Option<u8>,
    /// Body sizes as transferred without framing; `None` = not known.
    pub request_body: Option<u64>,
    /// Likewise.
    pub response_body: Option<u64>,
    /// All bytes of the request on the wire.
    pub request_wire: u64,
    /// All bytes of the answer on the wire, interim ones too.
    pub response_wire: u64,
    /// Thread that read (server) or wrote (client) the request's first byte.
    pub thread: u32,
    /// First request byte arrived (server, when known, else read) or was sent (client).
    pub start_ns: u64,
    /// Server: when the application first read of it.
    pub first_read_ns: Option<u64>,
    /// Server: whether `start_ns` is a real arrival.
    pub arrival_known: bool,
    /// When the request's last byte passed.
    pub request_end_ns: Option<u64>,
    /// When the final answer's first byte passed.
    pub first_byte_ns: Option<u64>,
    /// When the last byte of the answer passed, or the connection ended.
    pub end_ns: Option<u64>,
    /// A part was not seen and the figures follow from the rest.
    pub inferred: bool,
    /// Needed and not captured.
    pub missing_bytes: u64,
}
