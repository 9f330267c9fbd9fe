//! All maps and globals. Each says its key, its value, who writes, who removes, and why it has its size.
pub mod tls;
pub mod uring;

use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, LruHashMap, PerCpuArray, RingBuf};
use perfmon_common::event::{ARGV_MAX, DataHeader, ENV_MAX, ENV_VARIABLE_MAX, ExecHeader, ExecTail};
use perfmon_common::map::*;

/// Events. Written by `emit` alone, read by user space every few milliseconds; the loader sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// Address of a `struct sock` → what is known of it. Written by socket programs, removed when the socket ends (unix sockets: by age).
/// As many connections as user space keeps. A socket that went by age and is used again is announced again: user space counts it.
#[map]
pub static SOCKETS: LruHashMap<u64, SocketState> = LruHashMap::with_max_entries(65_536, 0);

/// Process, peer's port and address family → when such a connection of the process was last established. Written and read
/// by `sock_state`: a connect() that is given up because another one was faster is no failure. Removed by age.
#[map]
pub static CONNECTED: LruHashMap<u64, u64> = LruHashMap::with_max_entries(1_024, 0);

/// Process id → 1 when it is watched. Written by user space and the process programs, which also remove at exit.
/// Half of the default `pid_max`: more processes than one host serves with.
#[map]
pub static WATCHED: HashMap<u32, u8> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// `LOST_*` → how often. Written everywhere, read by user space.
#[map]
pub static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(LOSSES_LEN, 0);

/// Process id → what the full ring refused of it. Written by `emit`, read by user space, which removes what ended; removed too when another
/// process begins under the id. Full = only `LOSSES` counts, with `LOST_PROCESS_LOSSES`.
#[map]
pub static LOST_BY_TGID: HashMap<u32, ProcessLosses> = HashMap::with_max_entries(1_024, BPF_F_NO_PREALLOC);

/// Process id → how much of the ring it uses. Written and read by `emit` while the ring fills, removed by age. As many processes as send at once.
#[map]
pub static RING_USE: LruHashMap<u32, RingUse> = LruHashMap::with_max_entries(1_024, 0);

/// Direction or `SLOT_*` → the record under construction; per CPU, as large as a per-CPU value can be. The two directions are apart, since
/// a program may be interrupted by the other, never by itself. The loader sets how many.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(SLOTS, 0);

/// The exec event under construction; per CPU.
#[map]
pub static EXEC: PerCpuArray<ExecRecord> = PerCpuArray::with_max_entries(1, 0);

/// Thread id → its place in the message vector of a sendmmsg/recvmmsg under way. Written by socket programs, removed by age.
#[map]
pub static POSITIONS: LruHashMap<u32, Position> = LruHashMap::with_max_entries(1_024, 0);

/// Entries are allocated as they come; before 5.15 (`copied-task`) all at once: there a table that allocates makes such programs a warning in
/// the kernel's log.
const BPF_F_NO_PREALLOC: u32 = if cfg!(feature = "copied-task") { 0 } else { 1 };
const LOSSES_LEN: u32 = perfmon_common::map::LOSSES.len() as u32;

/// Bytes of payload in one record at most.
pub const PIECE: u32 = 16_000;
/// I/O vectors that are walked.
pub const VECTORS: u32 = 32;

/// A data record and what is needed to fill it. Room for two pieces, so that "filled so far + next part" is within bounds for the verifier.
#[repr(C)]
pub struct Scratch {
    pub header: DataHeader,
    pub payload: [u8; 2 * PIECE as usize],
    pub vectors: [Vector; VECTORS as usize],
    pub buffers: Buffers,
    pub cursor: Cursor,
}
const _: () = assert!(size_of::<Scratch>() <= 32_768);

/// An exec event, and what is needed to fill it.
#[repr(C)]
pub struct ExecRecord {
    pub header: ExecHeader,
    /// Arguments, `ExecTail`, variables, without gaps; room for one variable more, so that the end of the largest is within bounds.
    pub text: [u8; EXEC_TEXT + ENV_VARIABLE_MAX],
    /// The beginning of the variable that is looked at.
    pub window: [u64; WINDOW / 8],
    pub search: Search,
}

/// Bytes behind the header of an exec event at most.
pub const EXEC_TEXT: usize = ARGV_MAX + size_of::<ExecTail>() + ENV_MAX;
/// Bytes of an environment that are looked at in one step.
pub const WINDOW: usize = 256;

/// How far the search of an environment is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Search {
    /// What is looked at next.
    pub at: u64,
    /// End of the environment.
    pub end: u64,
    /// Bytes of `text` in use.
    pub used: u64,
    /// 1 = `at` is within a variable.
    pub inside: u64,
    /// 1 = something was cut.
    pub cut: u64,
}

/// The user's buffers of an operation.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffers {
    /// Vectors in the scratch; 0 = there is nothing to read.
    pub count: u64,
    /// Bytes that they hold together; `CAPACITY_UNKNOWN` when there are more vectors than are walked, or no buffers.
    pub capacity: u64,
}

/// See `Buffers::capacity`.
pub const CAPACITY_UNKNOWN: u64 = u64::MAX;

impl Buffers {
    /// Nothing to read.
    pub const NONE: Self = Self { count: 0, capacity: CAPACITY_UNKNOWN };
}

/// How far the copy of an operation is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Cursor {
    /// Bytes in the present piece.
    pub filled: u64,
    /// Bytes in pieces before it.
    pub emitted: u64,
    /// The vector that comes next.
    pub index: u64,
    /// Bytes of it that are done.
    pub from: u64,
    /// Bytes to capture in all.
    pub want: u64,
    /// 1 = the ring took the first piece.
    pub told: u64,
}

/// See `RING_USE`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RingUse {
    /// Position of the ring at which the count began. Once the reader is there the count begins anew.
    pub since: u64,
    /// Position of its last event: once the reader is there nothing of it waits.
    pub last: u64,
    /// Bytes since `since`.
    pub bytes: u64,
    /// Bytes of the count before, of which a part may have been read.
    pub bytes_before: u64,
}

/// `struct iovec`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Vector {
    pub base: u64,
    pub len: u64,
}

/// A thread's place in a message vector.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Position {
    pub messages: u64,
    pub next: u32,
    pub pad: u32,
}

/// What user space decided before loading.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings =
    Settings { own_tgid: 0, watch: 0, follow: 0, watch_new: 0, request_budget: 0, response_budget: 0, operation_head: 0, ring_bytes: 0 };

/// The running kernel's offsets. All bits zero is a valid value of the type, and replaced by the loader.
#[unsafe(no_mangle)]
// SAFETY: integers only.
pub static OFFSETS: KernelOffsets = unsafe { core::mem::zeroed() };

/// This architecture's system calls.
#[unsafe(no_mangle)]
static SYSCALL_TABLE: SyscallTable = SyscallTable([0; SYSCALLS]);

/// A value that the loader, not the compiler, knows: the read is volatile, and the verifier takes it as a constant.
#[inline(always)]
pub fn constant<T: Copy>(global: &'static T) -> T {
    // SAFETY: a valid reference to plain integers that nobody writes once the program is loaded.
    unsafe { core::ptr::read_volatile(global) }
}

/// A field of the settings.
macro_rules! setting {
    ($field:ident) => {
        $crate::maps::constant(&$crate::maps::SETTINGS.$field)
    };
}
pub(crate) use setting;

/// A field of the kernel's offsets.
macro_rules! offset {
    ($($field:tt)+) => {
        $crate::maps::constant(&$crate::maps::OFFSETS.$($field)+)
    };
}
pub(crate) use offset;

/// What system call `number` does with sockets.
#[inline(always)]
pub fn syscall_kind(number: u64) -> SyscallKind {
    if number >= SYSCALLS as u64 {
        return 0;
    }
    // SAFETY: within the table.
    unsafe { core::ptr::read_volatile((&raw const SYSCALL_TABLE.0).cast::<SyscallKind>().add(number as usize)) }
}
