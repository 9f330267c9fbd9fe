//! Maps of the TLS probes. Each says its key, its value, who writes, who removes, and why it has its size.
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, LruHashMap, PerCpuArray};
use perfmon_common::event::TlsHeader;
use perfmon_common::map::{CaptureMode, MODE_SLOTS};

use super::PIECE;

/// Thread id → the TLS call that it is in. Written at entry and by socket programs, removed at return; by age when a call never returns.
/// More threads than are within such calls at once.
#[map]
pub static TLS_CALLS: LruHashMap<u32, TlsCall> = LruHashMap::with_max_entries(8_192, 0);

/// TLS object → what was captured of it since its direction last changed. Written by the TLS programs, removed by age; a forgotten one
/// is captured as if its direction had changed. As many as objects that are busy at once.
#[map]
pub static TLS_RUNS: LruHashMap<TlsObject, TlsRun> = LruHashMap::with_max_entries(16_384, 0);

/// `mode_slot(ssl)` → capture mode; `inode` holds the process id. Written by user space only; a slot of another object does not count.
#[map]
pub static TLS_MODES: Array<CaptureMode> = Array::with_max_entries(MODE_SLOTS, 0);

/// 0 → 1 when a TLS library is probed. Written by user space: until then socket programs do not look for a call.
#[map]
pub static TLS_PROBED: Array<u32> = Array::with_max_entries(1, 0);

/// The record under construction; per CPU. The programs run without preemption.
#[map]
pub static TLS_SCRATCH: PerCpuArray<TlsRecord> = PerCpuArray::with_max_entries(1, 0);

/// Bytes of plaintext in one record at most.
pub const TLS_PIECE: u32 = PIECE;

/// A call under way.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TlsCall {
    pub ssl: u64,
    pub buffer: u64,
    /// Where the call leaves the number of bytes; 0 = it returns it.
    pub count: u64,
    pub start_ns: u64,
    /// The socket that was used within the call.
    pub sock: u64,
    pub inode: u32,
    /// `DIRECTION_*`.
    pub direction: u32,
}

/// A library's connection object.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TlsObject {
    pub ssl: u64,
    pub tgid: u32,
    pub pad: u32,
}

/// See `TLS_RUNS`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TlsRun {
    /// `DIRECTION_*`.
    pub direction: u32,
    pub captured: u32,
}

/// A record and its plaintext.
#[repr(C)]
pub struct TlsRecord {
    pub header: TlsHeader,
    pub payload: [u8; TLS_PIECE as usize],
}

/// Notes that a thread used a socket: within a TLS call it is the socket of that call's object.
#[inline(always)]
pub fn note(thread: u32, sock: u64, inode: u32) {
    if TLS_PROBED.get(0).copied().unwrap_or(0) == 0 {
        return;
    }
    if let Some(call) = TLS_CALLS.get_ptr_mut(thread) {
        // SAFETY: a live map value that only this thread writes.
        unsafe {
            (*call).sock = sock;
            (*call).inode = inode;
        }
    }
}
