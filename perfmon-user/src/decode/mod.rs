//! Bytes of the ring (or of a recording) → [`Event`]. Every number is checked; invalid input is an error that the caller counts.
//! Formats: `perfmon_common::event`.
use std::net::SocketAddr;
use std::num::NonZeroU64;

use bytemuck::{AnyBitPattern, NoUninit, pod_read_unaligned};
use perfmon_common::event::*;

use crate::stream::{Direction, Failure, OperationRun, Role, Stamp, TcpFigures};
use socket::ip;

mod socket;
#[cfg(test)]
mod tests;

/// A connection: the address of its `struct sock`, told apart from earlier tenants of the address by the socket file's inode number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketKey {
    /// Address of the `struct sock`.
    pub sock: u64,
    /// Inode number of the socket file; 0 before accept().
    pub inode: u32,
}

/// An end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// IPv4 or IPv6.
    Ip(SocketAddr),
    /// Unix socket; empty = without a name, leading `@` = abstract.
    Unix(Box<str>),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(name) => write!(f, "unix:{name}"),
        }
    }
}

/// One fact from the kernel. Times are nanoseconds since boot.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// A socket was seen for the first time.
    Open(Open),
    /// Bytes moved on a socket.
    Data(Data<'a>),
    /// A TCP socket changed its state.
    State(SocketStateChange),
    /// A process executed a program.
    Exec(Exec<'a>),
    /// A process ended.
    Exit(Exit),
    /// A process was created.
    Fork(Fork),
    /// Plaintext went through a TLS library.
    Tls(TlsCall<'a>),
    /// A question for a name was sent over UDP, or an answer received.
    Datagram(Datagram<'a>),
}

impl Event<'_> {
    /// When bytes moved or a socket changed its state; `None` for other events.
    pub fn time_ns(&self) -> Option<u64> {
        match self {
            Self::Data(data) => Some(data.stamp.time_ns),
            Self::Tls(tls) => Some(tls.stamp.time_ns),
            Self::State(state) => Some(state.time_ns),
            Self::Datagram(datagram) => Some(datagram.time_ns),
            Self::Open(_) | Self::Exec(_) | Self::Exit(_) | Self::Fork(_) => None,
        }
    }
}

/// A socket was seen for the first time.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// Its key.
    pub key: SocketKey,
    /// When it was established, or first seen.
    pub time_ns: u64,
    /// Process, 0 = none yet.
    pub pid: u32,
    /// Client or server, if known.
    pub role: Role,
    /// It was open before perfmon saw it.
    pub late: bool,
    /// What connect() took, if it was seen.
    pub connect_ns: Option<NonZeroU64>,
    /// Local address.
    pub local: Address,
    /// Peer address.
    pub peer: Address,
}

/// A socket operation, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Data<'a> {
    /// Which socket.
    pub key: SocketKey,
    /// When, and by which thread.
    pub stamp: Stamp,
    /// Process.
    pub pid: u32,
    /// Direction of the bytes.
    pub direction: Direction,
    /// Stream position of the operation's first byte, since the kernel knows the socket.
    pub offset: u64,
    /// Bytes that the whole operation moved.
    pub total_len: u32,
    /// Position of `payload` within the operation.
    pub piece_offset: u32,
    /// What was captured.
    pub payload: &'a [u8],
    /// No further piece of this operation follows.
    pub last_piece: bool,
    /// The peer ended its direction.
    pub eof: bool,
    /// No operation: these bytes passed no hook since the operation before, at an unknown time.
    pub unseen: bool,
}

/// A TCP socket changed its state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SocketStateChange {
    /// Which socket.
    pub key: SocketKey,
    /// When.
    pub time_ns: u64,
    /// Process that last used it, 0 = not known.
    pub pid: u32,
    /// What happened.
    pub change: StateChange,
    /// Received in all.
    pub in_bytes: u64,
    /// Sent in all.
    pub out_bytes: u64,
    /// At the ends of a TCP connection: what TCP tells of it.
    pub tcp: Option<TcpFigures>,
}

/// What happened to a TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// It listens on this port.
    Listen(u16),
    /// The peer will send no more.
    PeerClosed,
    /// This side will send no more.
    LocalClosed,
    /// The peer reset it, and the process still has it: its end comes later.
    PeerReset,
    /// It is gone.
    Closed {
        /// By a reset from the peer.
        peer_reset: bool,
        /// By a reset of this side.
        local_reset: bool,
    },
    /// It was never established.
    NotConnected(Failure),
}

/// A process executed a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exec<'a> {
    /// When.
    pub time_ns: u64,
    /// Process.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Effective user id.
    pub uid: u32,
    /// cgroup v2 id.
    pub cgroup: u64,
    /// Name, without padding.
    pub comm: &'a [u8],
    /// Arguments, each ended by NUL, maybe cut.
    pub argv: &'a [u8],
    /// When the process was created.
    pub start_ns: Option<u64>,
    /// Variables that name a service: `NAME=value`, each ended by NUL.
    pub env: &'a [u8],
}

/// A process ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// When.
    pub time_ns: u64,
    /// Process.
    pub pid: u32,
    /// CPU time in user mode.
    pub user_ns: u64,
    /// CPU time in the kernel.
    pub system_ns: u64,
    /// Highest resident memory.
    pub peak_rss_bytes: u64,
    /// As waitpid() gives it.
    pub exit_code: u32,
}

/// A process was created.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fork {
    /// When.
    pub time_ns: u64,
    /// The new process.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
}

/// Plaintext that went through a TLS library.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TlsCall<'a> {
    /// Process.
    pub pid: u32,
    /// When the call ended, and on which thread.
    pub stamp: Stamp,
    /// The library's connection object.
    pub ssl: u64,
    /// When the call began.
    pub start_ns: u64,
    /// Socket used inside the call.
    pub socket: Option<SocketKey>,
    /// Direction of the bytes.
    pub direction: Direction,
    /// Bytes of plaintext that the call moved.
    pub total_len: u32,
    /// Position of `payload` within the call.
    pub piece_offset: u32,
    /// What was captured.
    pub payload: &'a [u8],
    /// No further piece of this call follows.
    pub last_piece: bool,
}

/// A question for a name on its way out, or an answer on its way in, over UDP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Datagram<'a> {
    /// Which socket.
    pub key: SocketKey,
    /// When.
    pub time_ns: u64,
    /// Process.
    pub pid: u32,
    /// `Out`: a question, `In`: an answer.
    pub direction: Direction,
    /// The other end; `None` for what an unconnected socket received.
    pub peer: Option<SocketAddr>,
    /// What was captured, from its beginning.
    pub payload: &'a [u8],
}

/// Why bytes could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than its header or than its header says.
    #[error("event of {len} bytes is cut short")]
    Short {
        /// Bytes there are.
        len: usize,
    },
    /// A kind that this version does not know.
    #[error("event kind {0} is not known; was the recording made by a newer perfmon?")]
    Kind(u32),
    /// A field has a value that it cannot have.
    #[error("event field {field} cannot be {value}")]
    Value {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: u32,
    },
    /// A time or a count of bytes is larger than any can be.
    #[error("event field {field} cannot be {value}")]
    Number {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
}

/// Times stay below: 146 years after boot. What is added to one or to wall time fits into 64 bits.
const LATEST_NS: u64 = 1 << 62;
/// Counts of bytes stay below: 9 PB. Sums of many fit into 64 bits.
const MOST_BYTES: u64 = 1 << 53;

/// A number below its limit.
fn below(limit: u64, field: &'static str, value: u64) -> Result<u64, DecodeError> {
    if value < limit { Ok(value) } else { Err(DecodeError::Number { field, value }) }
}

fn time(value: u64) -> Result<u64, DecodeError> {
    below(LATEST_NS, "time_ns", value)
}

/// A time that may be unknown, which is 0.
fn time_if_known(value: u64) -> Option<u64> {
    (1..LATEST_NS).contains(&value).then_some(value)
}

/// Decodes one event.
///
/// # Errors
/// [`DecodeError`] when the bytes are no event.
pub fn decode(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    let kind = u32::from_ne_bytes(header_bytes(bytes, 4)?.try_into().map_err(|_| DecodeError::Short { len: bytes.len() })?);
    match kind {
        KIND_DATA => data(bytes),
        KIND_OPEN => socket::open(bytes),
        KIND_STATE => socket::state(bytes),
        KIND_EXEC => exec(bytes),
        KIND_EXIT => exit(bytes),
        KIND_FORK => {
            let h: ForkHeader = header(bytes)?;
            Ok(Event::Fork(Fork { time_ns: time(h.time_ns)?, pid: h.tgid, parent: h.parent }))
        }
        KIND_TLS => tls(bytes),
        KIND_DATAGRAM => datagram(bytes),
        other => Err(DecodeError::Kind(other)),
    }
}

fn header_bytes(bytes: &[u8], len: usize) -> Result<&[u8], DecodeError> {
    bytes.get(..len).ok_or(DecodeError::Short { len: bytes.len() })
}

fn header<T: AnyBitPattern>(bytes: &[u8]) -> Result<T, DecodeError> {
    Ok(pod_read_unaligned(header_bytes(bytes, size_of::<T>())?))
}

/// A header that older recordings end after `least` bytes: what is missing is 0.
fn header_of<T: AnyBitPattern + NoUninit>(bytes: &[u8], least: usize) -> Result<T, DecodeError> {
    let known = header_bytes(bytes, bytes.len().clamp(least, size_of::<T>()))?;
    let mut whole = T::zeroed();
    bytemuck::bytes_of_mut(&mut whole)[..known.len()].copy_from_slice(known);
    Ok(whole)
}

fn tail<T>(bytes: &[u8], len: u32) -> Result<&[u8], DecodeError> {
    bytes.get(size_of::<T>()..size_of::<T>() + len as usize).ok_or(DecodeError::Short { len: bytes.len() })
}

fn direction(value: u8) -> Result<Direction, DecodeError> {
    match value {
        DIRECTION_IN => Ok(Direction::In),
        DIRECTION_OUT => Ok(Direction::Out),
        other => Err(DecodeError::Value { field: "direction", value: other.into() }),
    }
}

fn data(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    let h: DataHeader = header(bytes)?;
    let payload = tail::<DataHeader>(bytes, h.captured_len)?;
    if u64::from(h.piece_offset) + u64::from(h.captured_len) > u64::from(h.total_len) {
        return Err(DecodeError::Value { field: "captured_len", value: h.captured_len });
    }
    Ok(Event::Data(Data {
        key: SocketKey { sock: h.sock, inode: h.inode },
        stamp: Stamp {
            time_ns: time(h.time_ns)?,
            arrival_ns: time_if_known(h.arrival_ns),
            thread: h.thread,
            run: (h.flags & DATA_RUN != 0)
                .then_some(OperationRun { number: h.run, begins: h.flags & DATA_BEGINS != 0 && h.piece_offset == 0 }),
        },
        pid: h.tgid,
        direction: direction(h.direction)?,
        offset: below(MOST_BYTES, "offset", h.offset)?,
        total_len: h.total_len,
        piece_offset: h.piece_offset,
        payload,
        last_piece: h.flags & DATA_LAST_PIECE != 0,
        eof: h.flags & DATA_EOF != 0,
        unseen: h.flags & DATA_UNSEEN != 0,
    }))
}

fn exec(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    let h: ExecHeader = header(bytes)?;
    let argv = tail::<ExecHeader>(bytes, h.argv_len)?;
    let comm_field = bytes.get(size_of::<ExecHeader>() - 16..size_of::<ExecHeader>()).unwrap_or_default();
    let comm = comm_field.split(|b| *b == 0).next().unwrap_or_default();
    let behind = bytes.get(size_of::<ExecHeader>() + argv.len()..).unwrap_or_default();
    let (start, env) = behind.split_first_chunk().map_or((0, &[][..]), |(start, env)| (u64::from_ne_bytes(*start), env));
    let (time_ns, start_ns) = (time(h.time_ns)?, time_if_known(start));
    Ok(Event::Exec(Exec { time_ns, pid: h.tgid, parent: h.parent, uid: h.uid, cgroup: h.cgroup, comm, argv, start_ns, env }))
}

fn exit(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    let h: ExitHeader = header(bytes)?;
    let (user_ns, system_ns) = (below(LATEST_NS, "user_ns", h.user_ns)?, below(LATEST_NS, "system_ns", h.system_ns)?);
    let (time_ns, peak_rss_bytes) = (time(h.time_ns)?, below(MOST_BYTES, "peak_rss_bytes", h.peak_rss_bytes)?);
    Ok(Event::Exit(Exit { time_ns, pid: h.tgid, user_ns, system_ns, peak_rss_bytes, exit_code: h.exit_code }))
}

fn tls(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    let h: TlsHeader = header(bytes)?;
    let payload = tail::<TlsHeader>(bytes, h.captured_len)?;
    if u64::from(h.piece_offset) + u64::from(h.captured_len) > u64::from(h.total_len) {
        return Err(DecodeError::Value { field: "captured_len", value: h.captured_len });
    }
    Ok(Event::Tls(TlsCall {
        pid: h.tgid,
        stamp: Stamp { time_ns: time(h.time_ns)?, thread: h.thread, ..Stamp::default() },
        ssl: h.ssl,
        start_ns: time(h.start_ns)?,
        socket: (h.sock != 0).then_some(SocketKey { sock: h.sock, inode: h.inode }),
        direction: direction(h.direction)?,
        total_len: h.total_len,
        piece_offset: h.piece_offset,
        payload,
        last_piece: h.flags & DATA_LAST_PIECE != 0,
    }))
}

fn datagram(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    let h: DatagramHeader = header(bytes)?;
    let payload = tail::<DatagramHeader>(bytes, h.captured_len)?;
    if h.captured_len > h.total_len {
        return Err(DecodeError::Value { field: "captured_len", value: h.captured_len });
    }
    Ok(Event::Datagram(Datagram {
        key: SocketKey { sock: h.sock, inode: h.inode },
        time_ns: time(h.time_ns)?,
        pid: h.tgid,
        direction: direction(h.direction)?,
        peer: ip(h.family, &h.peer_addr, h.peer_port),
        payload,
    }))
}
