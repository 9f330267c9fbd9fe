//! What stands in kernel maps and in the program's globals.
#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

/// Nothing of the socket is reported; bytes are still counted.
pub const MODE_OFF: u8 = 1;
/// Each operation is reported with its size, without payload.
pub const MODE_COUNT: u8 = 2;
/// The default: a run of operations in one direction is captured up to a budget (`Settings`), then the head of each operation.
pub const MODE_HEAD: u8 = 0;
/// Everything, in pieces.
pub const MODE_FULL: u8 = 3;

/// A socket's capture mode: user space writes it into slot `mode_slot(sock)`; a slot whose `sock` is another's counts as `MODE_HEAD`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct CaptureMode {
    /// Address of the `struct sock` that the slot belongs to.
    pub sock: u64,
    /// Its inode number, so that the next tenant of the address does not inherit the mode.
    pub inode: u32,
    /// `MODE_*`.
    pub mode: u8,
    /// Alignment.
    pub pad: [u8; 3],
}
const _: () = assert!(size_of::<CaptureMode>() == 16 && align_of::<CaptureMode>() == 8);

/// Slots for capture modes; a power of two.
pub const MODE_SLOTS: u32 = 65_536;

/// The slot of a socket. Addresses of `struct sock` are multiples of 64, neighbours come from one slab.
pub const fn mode_slot(sock: u64) -> u32 {
    ((sock >> 6) ^ (sock >> 22)) as u32 & (MODE_SLOTS - 1)
}

/// `SocketState::flags`: user space was told of the socket.
pub const SOCKET_ANNOUNCED: u8 = 1;
/// `SocketState::flags`: a reset came from the peer.
pub const SOCKET_PEER_RESET: u8 = 2;
/// `SocketState::flags`: this side sent a reset.
pub const SOCKET_LOCAL_RESET: u8 = 4;
/// `SocketState::flags`: its establishment was seen.
pub const SOCKET_SEEN_OPEN: u8 = 8;

/// What the kernel keeps of a socket; only kernel programs write it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct SocketState {
    /// Bytes received since the socket is known.
    pub in_bytes: u64,
    /// Bytes sent since the socket is known.
    pub out_bytes: u64,
    /// When the first unread byte arrived; 0 = nothing waits.
    pub arrival_ns: u64,
    /// When the connection was established, or first seen.
    pub open_ns: u64,
    /// Inode number of the socket file, 0 before accept().
    pub inode: u32,
    /// Process that last used it.
    pub tgid: u32,
    /// Bytes captured since the direction last changed.
    pub run_captured: u32,
    /// `DIRECTION_*` of the last operation, 0xff at the beginning.
    pub run_direction: u8,
    /// `ROLE_*`.
    pub role: u8,
    /// `SOCKET_*` bits.
    pub flags: u8,
    /// Alignment.
    pub pad: u8,
}
const _: () = assert!(size_of::<SocketState>() == 48 && align_of::<SocketState>() == 8);

/// `Settings::watch`: only processes in the WATCHED map.
pub const WATCH_LISTED: u32 = 0;
/// `Settings::watch`: every process but perfmon.
pub const WATCH_ALL: u32 = 1;

/// What user space decides before the programs are loaded; a read-only global.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Settings {
    /// perfmon's own process: never reported.
    pub own_tgid: u32,
    /// `WATCH_*`.
    pub watch: u32,
    /// 1 = children of watched processes are watched.
    pub follow: u32,
    /// 1 = a process that executes a program or begins to listen is watched until user space says otherwise.
    pub watch_new: u32,
    /// Bytes of requests captured in a run of operations of one direction (server: received, client: sent, unknown role: both).
    pub request_budget: u32,
    /// Bytes of answers captured in such a run.
    pub response_budget: u32,
    /// Bytes captured of each operation once the run's budget is spent.
    pub operation_head: u32,
    /// 1 = capture tier 3 is attached: receives and sends come from sys_exit.
    pub tier3: u32,
}
const _: () = assert!(size_of::<Settings>() == 32 && align_of::<Settings>() == 4);

/// Reasons for which kernel programs lose something; index of the `LOSSES` per-CPU array.
pub const LOSSES: [&str; 8] = [
    "ring_full",
    "socket_table_full",
    "user_copy_failed",
    "address_unreadable",
    "iovec_cut",
    "watch_table_full",
    "capture_cut",
    "tls_table_full",
];
/// The ring had no room.
pub const LOST_RING_FULL: u32 = 0;
/// The socket table refused an entry.
pub const LOST_SOCKET_TABLE: u32 = 1;
/// The user's buffer could not be read.
pub const LOST_USER_COPY: u32 = 2;
/// An address or argument could not be read.
pub const LOST_ADDRESS: u32 = 3;
/// More I/O vectors than are walked.
pub const LOST_IOVEC: u32 = 4;
/// The table of watched processes refused an entry.
pub const LOST_WATCH_TABLE: u32 = 5;
/// An operation larger than full capture covers.
pub const LOST_CAPTURE_CUT: u32 = 6;
/// The table of TLS calls under way refused an entry.
pub const LOST_TLS_TABLE: u32 = 7;
