//! Maps of the TLS probes. Each says its key, its value, who writes, who removes, and why it has its size.
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, LruHashMap, PerCpuArray, ProgramArray};
use perfmon_common::event::TlsHeader;
use perfmon_common::tls::{CallRegisters, TlsMode, TlsObjectKey};

use super::PIECE;

/// Thread id → the TLS call that it is in, or was in last. Written at entry and by socket programs, marked idle at the result; removed by
/// age: a call under way that went so is `LOST_TLS_UNPAIRED`. As many threads as call TLS libraries at about the same time.
#[map]
pub static TLS_CALLS: LruHashMap<u32, TlsCall> = LruHashMap::with_max_entries(8_192, 0);

/// Frame → a call whose thread entered another one before its result: TLS within TLS, or a program that switches stacks. Written at entry,
/// removed at the result, or by age. Such calls are rare.
#[map]
pub static TLS_CALLS_ASIDE: LruHashMap<TlsFrame, TlsCall> = LruHashMap::with_max_entries(1_024, 0);

/// TLS object → what was captured of it since its direction last changed. Written by the TLS programs, removed when the object is freed,
/// or by age; a forgotten one is captured as if it were new. As many objects as are busy at once.
#[map]
pub static TLS_RUNS: LruHashMap<TlsObjectKey, TlsRun> = LruHashMap::with_max_entries(16_384, 0);

/// TLS object → capture mode. Written by user space, removed when the object is freed, or by age. As `TLS_RUNS`.
#[map]
pub static TLS_MODES: LruHashMap<TlsObjectKey, TlsMode> = LruHashMap::with_max_entries(16_384, 0);

/// 0 → 1 with the first TLS call of a watched process. Written at entry: until then socket programs do not look for a call.
#[map]
pub static TLS_CALLED: Array<u32> = Array::with_max_entries(1, 0);

/// Records under construction; per CPU. Uprobe programs can be preempted by others on the same CPU, so each claims a record (`busy`).
/// As many as programs that preempt one another within microseconds; when all are in use the event is dropped and counted.
#[map]
pub static TLS_SCRATCH: PerCpuArray<TlsRecord> = PerCpuArray::with_max_entries(TLS_RECORDS, 0);

/// Place of a probe within its page → its `TlsConvention`, 0 = none. Written by user space, where probes have no cookies (before Linux 5.15).
#[map]
#[cfg(feature = "copied-task")]
pub static TLS_CONVENTIONS: Array<u64> = Array::with_max_entries(perfmon_common::map::TLS_PLACES, 0);

/// Always empty: see `probes::tls::keep_the_threads_stack`.
#[map]
pub static TLS_NO_PROGRAMS: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Where this architecture keeps what a call needs. Replaced by the loader.
#[unsafe(no_mangle)]
pub static CALL_REGISTERS: CallRegisters = CallRegisters { arguments: [0; 6], result: 0, stack: 0, instruction: 0 };

/// Bytes of plaintext in one record at most.
pub const TLS_PIECE: u32 = PIECE;
/// See `TLS_SCRATCH`.
pub const TLS_RECORDS: u32 = 4;

/// A call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TlsCall {
    pub ssl: u64,
    pub buffer: u64,
    /// Where the call leaves the number of bytes; 0 = it returns it.
    pub count: u64,
    pub start_ns: u64,
    /// The stack pointer at the result point; 0 = the call is over.
    pub frame: u64,
    /// The socket that was used within the call.
    pub sock: u64,
    pub inode: u32,
    /// `DIRECTION_*`.
    pub direction: u8,
    /// 1 = the thread was on another stack in the meantime: sockets that it uses may be another call's.
    pub mixed: u8,
    pub pad: [u8; 2],
}

/// A call's place on the stack, unique among the calls of a process that are under way.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TlsFrame {
    pub frame: u64,
    pub tgid: u32,
    pub pad: u32,
}

/// See `TLS_RUNS`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TlsRun {
    /// When the object was first seen; a new connection at the same address begins anew.
    pub begin_ns: u64,
    /// When it was last seen.
    pub last_ns: u64,
    /// The socket that it used last, 0 = not known.
    pub sock: u64,
    pub inode: u32,
    /// `DIRECTION_*`.
    pub direction: u32,
    pub captured: u32,
    pub pad: u32,
}

/// A record and its plaintext.
#[repr(C)]
pub struct TlsRecord {
    /// 1 = a program uses it.
    pub busy: u64,
    /// Bytes that were emitted.
    pub done: u64,
    /// Bytes to capture in all.
    pub want: u64,
    pub header: TlsHeader,
    pub payload: [u8; TLS_PIECE as usize],
}

/// From now on socket programs look for the TLS call that they are in.
#[inline(always)]
pub fn called() {
    if let Some(called) = TLS_CALLED.get_ptr_mut(0) {
        // SAFETY: a live map value; it is not written again, so that CPUs do not take its cache line from each other.
        unsafe {
            if called.read_volatile() == 0 {
                called.write_volatile(1);
            }
        }
    }
}

/// Notes that a thread used a socket: within a TLS call it is the socket of that call's object.
#[inline(always)]
pub fn note(thread: u32, sock: u64, inode: u32) {
    if TLS_CALLED.get(0).copied().unwrap_or(0) == 0 {
        return;
    }
    if let Some(call) = TLS_CALLS.get_ptr_mut(thread) {
        // SAFETY: a live map value that only this thread writes.
        unsafe {
            if (*call).mixed == 0 {
                (*call).sock = sock;
                (*call).inode = inode;
            }
        }
    }
}
