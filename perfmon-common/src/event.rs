//! Records in the ring. Each begins with a `u32` kind; a header of fixed size follows, then bytes whose number the header tells.
//! All times are nanoseconds of `bpf_ktime_get_boot_ns`. `sock` is the address of the `struct sock`: the key of a connection as
//! long as `inode` (of the socket file; 0 = not known yet) stays the same, since the kernel gives addresses away again.
#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

/// `DataHeader`, then `captured_len` bytes.
pub const KIND_DATA: u32 = 1;
/// `OpenHeader`.
pub const KIND_OPEN: u32 = 2;
/// `StateHeader`.
pub const KIND_STATE: u32 = 3;
/// `ExecHeader`, then `argv_len` bytes (arguments, each ended by NUL), then an `ExecTail` (absent in older recordings), then variables.
pub const KIND_EXEC: u32 = 4;
/// `ExitHeader`.
pub const KIND_EXIT: u32 = 5;
/// `ForkHeader`.
pub const KIND_FORK: u32 = 6;
/// `TlsHeader`, then `captured_len` bytes of plaintext.
pub const KIND_TLS: u32 = 7;
/// `DatagramHeader`, then `captured_len` bytes.
pub const KIND_DATAGRAM: u32 = 8;

/// Bytes that the observed process received.
pub const DIRECTION_IN: u8 = 0;
/// Bytes that it sent.
pub const DIRECTION_OUT: u8 = 1;

/// The last piece of its operation: bytes of the operation behind it were not captured.
pub const DATA_LAST_PIECE: u8 = 1;
/// A receive that returned 0: the peer ended its direction.
pub const DATA_EOF: u8 = 2;
/// The kernel had no buffer to read (sendfile, splice, io_uring): counted only.
pub const DATA_NO_BUFFER: u8 = 4;
/// Reading the user's buffer failed: counted only.
pub const DATA_FAULT: u8 = 8;
/// `DataHeader::run` is there.
pub const DATA_RUN: u8 = 16;
/// No operation: bytes that passed no hook since the operation before, at an unknown time.
pub const DATA_UNSEEN: u8 = 32;
/// The operation begins its run: the one before it on this socket went the other way, or there was none on a connection that was seen to
/// open.
pub const DATA_BEGINS: u8 = 64;

/// One socket operation, or one piece of one whose captured bytes do not fit a single record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct DataHeader {
    /// `KIND_DATA`.
    pub kind: u32,
    /// Bytes of payload behind this header.
    pub captured_len: u32,
    /// Address of the `struct sock`.
    pub sock: u64,
    /// When the operation ended.
    pub time_ns: u64,
    /// Receives: when the first byte that this read found waiting arrived at the host; 0 = not known.
    pub arrival_ns: u64,
    /// Position of the operation's first byte in this direction, counted since the kernel knows the socket.
    pub offset: u64,
    /// Bytes that the whole operation moved.
    pub total_len: u32,
    /// Position of this piece's first byte within the operation.
    pub piece_offset: u32,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub thread: u32,
    /// Inode number of the socket file.
    pub inode: u32,
    /// Number of the run of operations in one direction that this one belongs to, its low 16 bits; with `DATA_RUN` alone: older recordings
    /// have a system call's number here.
    pub run: u16,
    /// `DIRECTION_*`.
    pub direction: u8,
    /// `DATA_*` bits.
    pub flags: u8,
}
const _: () = assert!(size_of::<DataHeader>() == 64 && align_of::<DataHeader>() == 8);

/// The kernel did not see who began the connection.
pub const ROLE_UNKNOWN: u8 = 0;
/// This socket called connect().
pub const ROLE_CLIENT: u8 = 1;
/// This socket came from accept().
pub const ROLE_SERVER: u8 = 2;

/// The connection was open before perfmon saw it.
pub const OPEN_LATE: u8 = 1;

/// Length of `sun_path`.
pub const UNIX_PATH_MAX: usize = 108;

/// A socket was seen for the first time; precedes its first `DataHeader`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct OpenHeader {
    /// `KIND_OPEN`.
    pub kind: u32,
    /// Process, 0 when the socket has none yet.
    pub tgid: u32,
    /// Address of the `struct sock`.
    pub sock: u64,
    /// When it was seen; for connections whose beginning was seen, when they were established.
    pub time_ns: u64,
    /// Inode number of the socket file.
    pub inode: u32,
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order.
    pub peer_port: u16,
    /// `AF_INET` 2, `AF_INET6` 10, `AF_UNIX` 1.
    pub family: u16,
    /// `IPPROTO_TCP` 6, 0 for unix sockets.
    pub protocol: u16,
    /// `ROLE_*`.
    pub role: u8,
    /// `OPEN_*` bits.
    pub flags: u8,
    /// Bytes used in `unix_path`; its first byte is 0 for abstract names.
    pub unix_path_len: u8,
    /// Alignment.
    pub pad: [u8; 1],
    /// IPv4 in the first four bytes, else IPv6.
    pub local_addr: [u8; 16],
    /// As `local_addr`.
    pub peer_addr: [u8; 16],
    /// Unix sockets: own name, else the peer's.
    pub unix_path: [u8; UNIX_PATH_MAX],
    /// Microseconds that connect() took: from the first SYN to the connection, at least 1; 0 = not known.
    pub connect_us: u32,
}
const _: () = assert!(size_of::<OpenHeader>() == 184 && align_of::<OpenHeader>() == 8);

/// The peer reset the connection.
pub const STATE_PEER_RESET: u8 = 1;
/// This side reset the connection.
pub const STATE_LOCAL_RESET: u8 = 2;
/// It was never established: `StateHeader::error` says why.
pub const STATE_NOT_CONNECTED: u8 = 4;
/// The process still has the socket: an operation may be under way whose event comes later, and another event tells the end.
pub const STATE_STILL_OPEN: u8 = 8;

/// `StateHeader::error`: no local port was left (`EADDRNOTAVAIL`).
pub const ERROR_NO_LOCAL_PORT: u16 = 99;
/// `StateHeader::error`: the process gave up before an answer came (`ECONNABORTED`).
pub const ERROR_GIVEN_UP: u16 = 103;

/// A TCP socket changed its state (`inet_sock_set_state`): LISTEN, the peer's FIN, our FIN, the end.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct StateHeader {
    /// `KIND_STATE`.
    pub kind: u32,
    /// Process that last used the socket; for LISTEN the caller; 0 = not known.
    pub tgid: u32,
    /// Address of the `struct sock`.
    pub sock: u64,
    /// When.
    pub time_ns: u64,
    /// Bytes received since the kernel knows the socket.
    pub in_bytes: u64,
    /// Bytes sent since the kernel knows the socket.
    pub out_bytes: u64,
    /// Inode number of the socket file.
    pub inode: u32,
    /// Local port, host byte order.
    pub local_port: u16,
    /// `TCP_*` state before (include/net/tcp_states.h).
    pub old_state: u8,
    /// `TCP_*` state after.
    pub new_state: u8,
    /// `STATE_*` bits.
    pub flags: u8,
    /// Alignment.
    pub pad: u8,
    /// With `STATE_NOT_CONNECTED`: the errno of the failed connect().
    pub error: u16,
    /// At an end that this side makes, and at the last one, of plain TCP: smoothed round-trip time in microseconds (`tcp_sock.srtt_us` ÷ 8), 0 = not measured.
    pub round_trip_us: u32,
    /// As above: segments sent, the retransmitted among them; 0 = not read.
    pub segments: u32,
    /// As above: segments sent again.
    pub retransmits: u32,
}
const _: () = assert!(size_of::<StateHeader>() == 64 && align_of::<StateHeader>() == 8);

/// Bytes of argv that an exec event carries at most.
pub const ARGV_MAX: usize = 1024;

/// Variables of the environment that an exec event carries, those that name a service: `NAME=value`, each ended by NUL.
pub const ENV_NAMES: [&str; 3] = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "FLASK_APP"];
/// Bytes of one such variable at most, its name and the NUL included.
pub const ENV_VARIABLE_MAX: usize = 512;
/// Bytes of all of them at most.
pub const ENV_MAX: usize = 1536;

/// A process executed a program.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct ExecHeader {
    /// `KIND_EXEC`.
    pub kind: u32,
    /// Bytes of argv behind this header.
    pub argv_len: u32,
    /// When.
    pub time_ns: u64,
    /// Process.
    pub tgid: u32,
    /// Its parent.
    pub parent: u32,
    /// Length of the whole argv, so that a cut one is known.
    pub argv_total: u32,
    /// Effective user id.
    pub uid: u32,
    /// Id of its cgroup (v2), 0 = not known.
    pub cgroup: u64,
    /// Name after the exec.
    pub comm: [u8; 16],
}
const _: () = assert!(size_of::<ExecHeader>() == 56 && align_of::<ExecHeader>() == 8);

/// Follows the arguments of an exec event, at any alignment.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct ExecTail {
    /// When the process was created, ns since boot as /proc/PID/stat has it in clock ticks; 0 = not known.
    pub start_ns: u64,
}
const _: () = assert!(size_of::<ExecTail>() == 8 && align_of::<ExecTail>() == 8);

/// The last thread of a process ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct ExitHeader {
    /// `KIND_EXIT`.
    pub kind: u32,
    /// Process.
    pub tgid: u32,
    /// When.
    pub time_ns: u64,
    /// CPU time in user mode of the whole process, 0 = not known.
    pub user_ns: u64,
    /// CPU time in the kernel of the whole process, 0 = not known.
    pub system_ns: u64,
    /// Highest resident memory, bytes, 0 = not known.
    pub peak_rss_bytes: u64,
    /// As waitpid() gives it: exit code << 8 | signal.
    pub exit_code: u32,
    /// Alignment.
    pub pad: u32,
}
const _: () = assert!(size_of::<ExitHeader>() == 48 && align_of::<ExitHeader>() == 8);

/// A process (not a thread) was created.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct ForkHeader {
    /// `KIND_FORK`.
    pub kind: u32,
    /// The new process.
    pub tgid: u32,
    /// Who created it.
    pub parent: u32,
    /// Alignment.
    pub pad: u32,
    /// When.
    pub time_ns: u64,
}
const _: () = assert!(size_of::<ForkHeader>() == 24 && align_of::<ForkHeader>() == 8);

/// Plaintext that a process gave to or took from its TLS library.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct TlsHeader {
    /// `KIND_TLS`.
    pub kind: u32,
    /// Bytes of plaintext behind this header.
    pub captured_len: u32,
    /// The library's connection object (address of the `SSL`), unique within the process.
    pub ssl: u64,
    /// When the call ended.
    pub time_ns: u64,
    /// When the call began.
    pub start_ns: u64,
    /// The socket that a send or receive nested inside the call used; 0 = none (memory BIO).
    pub sock: u64,
    /// Inode number of that socket.
    pub inode: u32,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub thread: u32,
    /// Bytes of plaintext that the call moved.
    pub total_len: u32,
    /// Position of this piece's first byte within the call.
    pub piece_offset: u32,
    /// `DIRECTION_*`.
    pub direction: u8,
    /// `DATA_LAST_PIECE`, `DATA_FAULT`.
    pub flags: u8,
    /// Alignment.
    pub pad: [u8; 2],
}
const _: () = assert!(size_of::<TlsHeader>() == 64 && align_of::<TlsHeader>() == 8);

/// Bytes of a datagram that are captured at most: answers over UDP are smaller (RFC 9715, RFC 6891).
pub const DATAGRAM_MAX: u32 = 4096;

/// A datagram that looks like a question for a name on its way out, or like the answer to one on its way in.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct DatagramHeader {
    /// `KIND_DATAGRAM`.
    pub kind: u32,
    /// Bytes of the datagram behind this header.
    pub captured_len: u32,
    /// Address of the `struct sock`.
    pub sock: u64,
    /// When the operation ended.
    pub time_ns: u64,
    /// IPv4 in the first four bytes, else IPv6.
    pub peer_addr: [u8; 16],
    /// Bytes of the whole datagram.
    pub total_len: u32,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub thread: u32,
    /// Inode number of the socket file.
    pub inode: u32,
    /// `AF_INET` 2, `AF_INET6` 10, 0 = the peer is not known: what an unconnected socket received.
    pub family: u16,
    /// Remote port, host byte order.
    pub peer_port: u16,
    /// `DIRECTION_*`.
    pub direction: u8,
    /// Alignment.
    pub pad: [u8; 3],
}
const _: () = assert!(size_of::<DatagramHeader>() == 64 && align_of::<DatagramHeader>() == 8);
