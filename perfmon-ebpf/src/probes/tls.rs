//! Plaintext of OpenSSL. Hooks: uprobes at the entry and return of `SSL_read`, `SSL_write`, their `_ex` forms, or of the internal functions
//! that both call (user space chooses), in any process that maps the library. Records: the bytes that each successful call moved, and the
//! socket that a send or receive within the call used. Misses: calls under way when the probes come, `SSL_sendfile`, early data, peeks.
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_probe_read_user};
use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use perfmon_common::event::*;
use perfmon_common::map::*;

use crate::capture::bounded;
use crate::maps::setting;
use crate::maps::tls::{TLS_CALLS, TLS_MODES, TLS_PIECE, TLS_RUNS, TLS_SCRATCH, TlsCall, TlsObject, TlsRecord, TlsRun};
use crate::{emit, filter};

/// Bytes of one call that are captured at most: what 64 KiB need in pieces.
const FULL: u32 = 64 * 1024;
/// Pieces of one call.
const PIECES: u32 = FULL.div_ceil(TLS_PIECE);

/// `int SSL_read(SSL *, void *, int)`.
#[uprobe]
pub fn tls_read(ctx: ProbeContext) -> u32 {
    begins(&ctx, DIRECTION_IN, false)
}

/// `int SSL_write(SSL *, const void *, int)`.
#[uprobe]
pub fn tls_write(ctx: ProbeContext) -> u32 {
    begins(&ctx, DIRECTION_OUT, false)
}

/// `int SSL_read_ex(SSL *, void *, size_t, size_t *)`.
#[uprobe]
pub fn tls_read_ex(ctx: ProbeContext) -> u32 {
    begins(&ctx, DIRECTION_IN, true)
}

/// `int SSL_write_ex(SSL *, const void *, size_t, size_t *)`.
#[uprobe]
pub fn tls_write_ex(ctx: ProbeContext) -> u32 {
    begins(&ctx, DIRECTION_OUT, true)
}

#[inline(always)]
fn begins(ctx: &ProbeContext, direction: u8, counts_apart: bool) -> u32 {
    let caller = filter::caller();
    if !filter::is_watched(caller.tgid) {
        return 0;
    }
    let (Some(ssl), Some(buffer)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1)) else { return 0 };
    let count = if counts_apart { ctx.arg::<u64>(3).unwrap_or(0) } else { 0 };
    // SAFETY: no arguments.
    let start_ns = unsafe { bpf_ktime_get_boot_ns() };
    let call = TlsCall { ssl, buffer, count, start_ns, sock: 0, inode: 0, direction: direction.into() };
    if TLS_CALLS.insert(caller.thread, call, u64::from(BPF_ANY)).is_err() {
        emit::lost(LOST_TLS_TABLE);
    }
    0
}

/// Any of them returns: the number of bytes, or for the `_ex` forms 1 with the number at the fourth argument; 0 or less on failure.
#[uretprobe]
pub fn tls_done(ctx: RetProbeContext) -> u32 {
    let caller = filter::caller();
    // SAFETY: copied at once; only this thread writes its entry.
    let Some(call) = (unsafe { TLS_CALLS.get(caller.thread) }).copied() else { return 0 };
    // It is there: an LRU table may have dropped it since, as wanted.
    TLS_CALLS.remove(caller.thread).ok();
    let result: i32 = ctx.ret();
    if result <= 0 {
        return 0;
    }
    let total = if call.count == 0 { result as u32 } else { moved(call.count) };
    if total != 0 {
        report(call, caller, total);
    }
    0
}

/// The number of bytes that an `_ex` form left at `address`.
#[inline(always)]
fn moved(address: u64) -> u32 {
    let mut count = 0u64;
    // SAFETY: the helper checks the address.
    if unsafe { bpf_probe_read_user((&raw mut count).cast(), 8, address as *const _) } != 0 {
        emit::lost(LOST_USER_COPY);
        return 0;
    }
    count as u32
}

/// Emits what the call moved, in pieces.
#[inline(always)]
fn report(call: TlsCall, caller: filter::Caller, total: u32) {
    let object = TlsObject { ssl: call.ssl, tgid: caller.tgid, pad: 0 };
    let mode = mode(object);
    if mode == MODE_OFF {
        return;
    }
    let Some(record) = TLS_SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: no arguments.
    let time_ns = unsafe { bpf_ktime_get_boot_ns() };
    let header = TlsHeader {
        kind: KIND_TLS,
        captured_len: 0,
        ssl: call.ssl,
        time_ns,
        start_ns: call.start_ns,
        sock: call.sock,
        inode: call.inode,
        tgid: caller.tgid,
        thread: caller.thread,
        total_len: total,
        piece_offset: 0,
        direction: call.direction as u8,
        flags: 0,
        pad: [0; 2],
    };
    // SAFETY: this CPU's scratch.
    unsafe { (*record).header = header };
    pieces(record, call.buffer, wanted(object, call.direction, mode, total));
}

#[inline(always)]
fn mode(object: TlsObject) -> u8 {
    match TLS_MODES.get(mode_slot(object.ssl)) {
        Some(slot) if slot.sock == object.ssl && slot.inode == object.tgid => slot.mode,
        _ => MODE_HEAD,
    }
}

/// Bytes to capture of a call that moved `total`: as for sockets, but who is the server is not known here.
#[inline(always)]
fn wanted(object: TlsObject, direction: u32, mode: u8, total: u32) -> u32 {
    match mode {
        MODE_COUNT => 0,
        MODE_FULL => {
            if total > FULL {
                emit::lost(LOST_CAPTURE_CUT);
            }
            total.min(FULL)
        }
        _ => {
            let Some(run) = run(object) else { return total.min(setting!(request_budget)) };
            if run.direction != direction {
                *run = TlsRun { direction, captured: 0 };
            }
            let want = total.min(setting!(request_budget).saturating_sub(run.captured).max(setting!(operation_head))).min(FULL);
            run.captured = run.captured.saturating_add(want);
            want
        }
    }
}

/// What was captured of an object since its direction last changed.
#[inline(always)]
fn run(object: TlsObject) -> Option<&'static mut TlsRun> {
    if TLS_RUNS.get_ptr_mut(object).is_none() && TLS_RUNS.insert(object, TlsRun { direction: 0xff, captured: 0 }, u64::from(BPF_ANY)).is_err() {
        emit::lost(LOST_TLS_TABLE);
    }
    // SAFETY: a live map value; threads that share an object may lose a count, never memory.
    TLS_RUNS.get_ptr_mut(object).map(|run| unsafe { &mut *run })
}

/// Emits the first `want` bytes at `buffer`, or the header alone.
#[inline(always)]
fn pieces(record: *mut TlsRecord, buffer: u64, want: u32) {
    let want = u64::from(want);
    let mut done = 0u64;
    for _ in 0..PIECES {
        let part = bounded(want - done);
        // SAFETY: this CPU's scratch, which has room for a piece.
        let failed = part != 0
            && unsafe { bpf_probe_read_user((&raw mut (*record).payload).cast(), part as u32, (buffer + done) as *const _) } != 0;
        if failed {
            emit::lost(LOST_USER_COPY);
            emit_piece(record, 0, done, DATA_LAST_PIECE | DATA_FAULT);
            return;
        }
        let is_last = done + part >= want;
        if !emit_piece(record, part, done, if is_last { DATA_LAST_PIECE } else { 0 }) || is_last {
            return;
        }
        done += part;
    }
}

/// Emits the `len` bytes in the record, which come after `before` bytes of the call.
#[inline(always)]
fn emit_piece(record: *mut TlsRecord, len: u64, before: u64, flags: u8) -> bool {
    let len = bounded(len);
    // SAFETY: this CPU's scratch.
    unsafe {
        let header = &mut (*record).header;
        header.captured_len = len as u32;
        header.piece_offset = before as u32;
        header.flags = flags;
        emit::bytes(header.tgid, record.cast(), size_of::<TlsHeader>() as u64 + len)
    }
}
