//! Protocol parsers: ordered chunks of a connection's two byte streams in, [`Message`]s out. Sans-IO: no clock, no socket, no process;
//! they know nothing of where bytes come from (socket, TLS library, file). A parser never assumes that a message begins at the
//! beginning of a capture, that one capture holds one message, or that requests and answers alternate.
pub mod cursor;
pub mod detect;
pub mod http1;

/// Which of a connection's two streams, seen from the observed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Received by the process.
    In,
    /// Sent by the process.
    Out,
}

/// The next bytes of one stream, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// When the operation that moved them ended.
    pub time_ns: u64,
    /// Received bytes: when the first of them arrived at this host, if known.
    pub arrival_ns: Option<u64>,
    /// The thread that moved them.
    pub thread: u32,
    /// Bytes, or how many of them were not captured.
    pub content: Content<'a>,
}

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Captured bytes.
    Bytes(&'a [u8]),
    /// So many bytes passed that were not captured.
    Gap(u64),
    /// So many bytes passed at some time since the chunk before, in operations of which nothing is known.
    Lost(u64),
    /// Bytes were lost and nobody knows how many (the kernel's state of the socket was lost); find the next message.
    Unknown,
}

/// How one stream, or the connection, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed its direction (FIN): no more `Flow::In`.
    PeerClosed,
    /// The process closed its direction: no more `Flow::Out`.
    LocalClosed,
    /// Both gone in order.
    Closed,
    /// The peer sent a reset.
    PeerReset,
    /// This side reset.
    LocalReset,
    /// perfmon gives the connection up (idle too long, process exit without a close seen, table full): what is open is unknown, not an error.
    Forgotten,
}

/// What a parser wants of the capture after a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Demand {
    /// The default capture serves.
    #[default]
    Head,
    /// Heads or framing did not fit the captured part: capture everything from now on.
    Full,
    /// Only sizes matter from here on (not a protocol that anybody understands).
    Count,
}

/// Number of an exchange, unique on its connection, increasing with the order of requests.
pub type ExchangeId = u64;

/// A name and value of a head, as they stand on the wire (value trimmed, not necessarily UTF-8).
pub type Header<'a> = (&'a str, &'a [u8]);

/// What a parser tells while bytes pass. Per exchange: `Request`, `RequestBody`*, `Response`*, `ResponseBody`*, `Done`; messages of
/// different exchanges may interleave, request and response of one exchange may overlap.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'a> {
    /// A request's head is complete.
    Request(RequestHead<'a>),
    /// A piece of a request's body.
    RequestBody(BodyPiece<'a>),
    /// A final answer's head is complete (interim 1xx answers are not told).
    Response(ResponseHead<'a>),
    /// A piece of an answer's body.
    ResponseBody(BodyPiece<'a>),
    /// The exchange ended, well or not.
    Done(Box<Exchange>),
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
    /// `Flow::In`: the process is the server.
    pub flow: Flow,
    /// Method.
    pub method: &'a str,
    /// Request target with query.
    pub target: &'a str,
    /// Fields in order.
    pub headers: &'a [Header<'a>],
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
    pub headers: &'a [Header<'a>],
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

/// How an exchange failed; as `record::RequestError`, which this module may not import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The client ended the connection before the answer was complete.
    ClientClosed,
    /// The server reset the connection.
    Reset,
    /// The server closed before the answer was complete, or without any.
    Truncated,
    /// What came was not the protocol.
    Protocol,
}

/// A whole exchange: everything that a `request` record needs and that stands on the wire. Times are as the chunks'.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Exchange {
    /// Number on the connection.
    pub id: ExchangeId,
    /// The process is the server.
    pub server: bool,
    /// `http/1.0`, `http/1.1`, …
    pub protocol: &'static str,
    /// Method, `None` when the request was not seen.
    pub method: Option<String>,
    /// Target without query, cut at 2,048 bytes; absolute-form reduced to its path.
    pub path: Option<String>,
    /// `Host`, else the authority of an absolute-form target.
    pub host: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `traceparent` (W3C Trace Context), unparsed.
    pub traceparent: Option<String>,
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

/// A request under way, for `in_flight`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending<'a> {
    /// The process is the server.
    pub server: bool,
    /// Method.
    pub method: &'a str,
    /// Target without query.
    pub path: &'a str,
    /// First byte.
    pub start_ns: u64,
}

/// Takes messages from a parser.
pub trait Sink {
    /// Takes one.
    fn message(&mut self, message: Message<'_>);
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
    /// Takes the next chunk of one stream.
    fn push(&mut self, flow: Flow, chunk: Chunk<'_>, sink: &mut dyn Sink) -> Demand;
    /// The stream or connection ended at `time_ns`; open exchanges are ended as that says.
    fn end(&mut self, end: End, time_ns: u64, sink: &mut dyn Sink);
    /// Calls `visit` for each exchange under way.
    fn pending(&self, visit: &mut dyn FnMut(Pending<'_>));
    /// Whether the process is the server, once that is known.
    fn serves(&self) -> Option<bool>;
    /// Bytes that this state holds on the heap, about.
    fn heap_bytes(&self) -> usize;
    /// What was lost since the last call.
    fn take_stats(&mut self) -> Stats;
}
