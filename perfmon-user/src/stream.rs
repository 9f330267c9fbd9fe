//! The vocabulary of byte streams that everything left of `record` shares: which way bytes went, when and by whom, what passed or is
//! missing, how a stream ended, how an exchange on it failed. A leaf: it imports no other module and holds no state.
use serde::Serialize;

/// Direction of bytes, seen from the observed process; also names the stream that carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

impl Direction {
    /// Both, `In` first: the order of every pair that is indexed by [`Direction::index`].
    pub const BOTH: [Self; 2] = [Self::In, Self::Out];

    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Self::In => Self::Out,
            Self::Out => Self::In,
        }
    }

    /// Its place in a pair.
    pub fn index(self) -> usize {
        match self {
            Self::In => 0,
            Self::Out => 1,
        }
    }
}

/// The role of the observed process on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Not seen.
    #[default]
    Unknown,
    /// The process connected.
    Client,
    /// The process accepted it.
    Server,
}

/// What TCP tells of a connection (`struct tcp_sock`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFigures {
    /// Smoothed round-trip time in microseconds at this moment, 0 = not measured.
    pub round_trip_us: u32,
    /// Segments sent so far, wrapping.
    pub segments: u32,
    /// Segments sent again so far, wrapping.
    pub retransmits: u32,
}

/// Time and thread of a socket operation. Times are nanoseconds since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// When the operation that moved them ended.
    pub time_ns: u64,
    /// Received bytes: when the first byte that the operation found waiting arrived at this host, if known.
    pub arrival_ns: Option<u64>,
    /// The thread that moved them.
    pub thread: u32,
    /// The run of operations in one direction that they belong to, as the kernel counts them.
    pub run: Option<OperationRun>,
}

impl Stamp {
    /// That of bytes of the same operation behind its first one.
    pub fn within(self) -> Self {
        Self { run: self.run.map(|run| OperationRun { begins: false, ..run }), ..self }
    }
}

/// A run of operations in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationRun {
    /// Its number among the runs of both directions, the low 16 bits: an answer's is one more than its request's.
    pub number: u16,
    /// The segment begins it. Of lost bytes: the segment behind them does.
    pub begins: bool,
}

/// Bytes that passed, or a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Captured bytes.
    Bytes(&'a [u8]),
    /// This number of bytes of an operation was not captured.
    Gap(u64),
    /// This number of bytes passed since the segment before, in operations that no event told of.
    Lost(u64),
    /// Bytes are missing and their number is unknown: the kernel lost its count of the socket.
    Unknown,
}

impl Content<'_> {
    /// Bytes that passed, as far as their number is known.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Gap(len) | Self::Lost(len) => *len,
            Self::Unknown => 0,
        }
    }

    /// Nothing passed.
    pub fn is_empty(&self) -> bool {
        *self != Self::Unknown && self.len() == 0
    }
}

/// Consecutive bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Which way.
    pub direction: Direction,
    /// When and by whom.
    pub stamp: Stamp,
    /// What passed.
    pub content: Content<'a>,
}

/// How much of a stream the kernel captures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capture {
    /// Nothing.
    Off,
    /// Sizes.
    Count,
    /// The beginning of each message: the kernel's default.
    #[default]
    Head,
    /// Everything.
    Full,
}

/// The capture mode requested for a socket or a TLS library's object, so that each change is commanded once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestedCapture(Capture);

impl RequestedCapture {
    /// `wanted`, when it differs from the last requested mode.
    pub fn demand(&mut self, wanted: Capture) -> Option<Capture> {
        let changes = self.0 != wanted;
        self.0 = wanted;
        changes.then_some(wanted)
    }

    /// The last requested mode.
    pub fn get(self) -> Capture {
        self.0
    }
}

/// How a direction or a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer sends no more.
    PeerClosed,
    /// The process sends no more.
    LocalClosed,
    /// Both, in order.
    Closed,
    /// Reset by the peer.
    PeerReset,
    /// Reset by this side.
    LocalReset,
    /// perfmon gives the connection up (idle too long, process exit without a close seen, table full): what is open is unknown, not an
    /// error.
    Forgotten,
}

/// How an exchange failed below its protocol's own status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The client ended the connection before the answer was complete.
    ClientClosed,
    /// The server reset the connection.
    Reset,
    /// No answer within the time that perfmon waits.
    Timeout,
    /// The server closed before the answer was complete, or without any.
    Truncated,
    /// What came was not the protocol.
    Protocol,
    /// The connection was refused.
    ConnectRefused,
    /// The host or its network could not be reached, or no local port was left.
    ConnectUnreachable,
    /// No answer to the connect before the kernel or the process gave up.
    ConnectTimeout,
}

impl Failure {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Protocol => "protocol",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectUnreachable => "connect_unreachable",
            Self::ConnectTimeout => "connect_timeout",
        }
    }
}
