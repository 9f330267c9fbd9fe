//! Plaintext of TLS libraries. Hooks: uprobes that user space places in a library's read and write functions: where a call begins, where
//! its result is known, where a connection object ends (`perfmon_common::tls::TlsConvention` says how each is called). Return probes only
//! when the user asked for them. Records: the bytes that each successful call moved, and the socket that a send or receive within the call
//! used. Misses: calls under way when the probes come, `SSL_sendfile`, early data, peeks.
use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_probe_read_user};
use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use perfmon_common::event::*;
use perfmon_common::map::*;
use perfmon_common::tls::{TlsConvention, TlsMode, TlsObjectKey};

use crate::capture::SWITCH_BYTES;
use crate::filter::Caller;
use crate::maps::setting;
use crate::maps::tls::*;
use crate::{emit, filter};

mod plaintext;
mod registers;

use plaintext::Claim;
use registers::Registers;

/// Stacks are further apart than calls that are nested on one.
const NESTED_BYTES: u64 = 64 * 1024;
/// After so long a silence an object's budget begins anew.
const FORGET_NS: u64 = 10_000_000_000;

/// A call begins.
#[uprobe]
pub fn tls_entry(ctx: ProbeContext) -> u32 {
    let caller = filter::caller();
    if !filter::is_watched(caller.tgid) {
        return 0;
    }
    let registers = Registers::now();
    let convention = convention(&ctx);
    let count = match convention.count_argument {
        0 => 0,
        3 => registers.argument(3),
        4 => registers.argument(4),
        _ => registers.argument(5),
    };
    let call = TlsCall {
        ssl: registers.argument(0),
        buffer: registers.argument(1),
        count,
        // SAFETY: no arguments.
        start_ns: unsafe { bpf_ktime_get_boot_ns() },
        frame: registers.stack() + u64::from(convention.frame_bytes),
        sock: 0,
        inode: 0,
        direction: convention.direction,
        mixed: 0,
        pad: [0; 2],
    };
    called();
    if !enter(caller, call) {
        keep_the_threads_stack(&ctx);
    }
    0
}

/// The result of a call is known, on the way back to its caller.
#[uprobe]
pub fn tls_result(ctx: ProbeContext) -> u32 {
    result(&ctx)
}

/// As `tls_result`, at the return itself.
#[uretprobe]
pub fn tls_return(ctx: RetProbeContext) -> u32 {
    result(&ctx)
}

/// `void SSL_free(SSL *)`: the next object at that address is another one.
#[uprobe]
pub fn tls_free(_ctx: ProbeContext) -> u32 {
    let caller = filter::caller();
    if filter::is_watched(caller.tgid) {
        let object = TlsObjectKey { ssl: Registers::now().argument(0), tgid: caller.tgid, pad: 0 };
        // Objects that moved nothing stand in neither.
        TLS_RUNS.remove(object).ok();
        TLS_MODES.remove(object).ok();
    }
    0
}

/// How the probed function is called here.
#[inline(always)]
#[cfg(not(feature = "copied-task"))]
fn convention(ctx: &impl EbpfContext) -> TlsConvention {
    // SAFETY: the context of this program.
    TlsConvention::of(unsafe { aya_ebpf::helpers::generated::bpf_get_attach_cookie(ctx.as_ptr()) })
}

/// The same by the place of the probe within its page, which is that of its file: user space lets no two probes share one.
#[inline(always)]
#[cfg(feature = "copied-task")]
fn convention(_ctx: &impl EbpfContext) -> TlsConvention {
    let place = Registers::now().instruction() % u64::from(TLS_PLACES);
    TlsConvention::of(TLS_CONVENTIONS.get(place as u32).copied().unwrap_or(0))
}

/// A tail call in a program keeps the kernel (6.13 and later) from giving the program one stack a CPU: a preempted program's stack would be
/// overwritten by the next. The table of programs is empty, so that the call does nothing; it stands on paths that are hardly ever taken.
#[inline(always)]
fn keep_the_threads_stack(ctx: &impl EbpfContext) {
    // SAFETY: this context belongs to this program; nothing needs to be dropped.
    unsafe { TLS_NO_PROGRAMS.tail_call(ctx, 0) };
}

/// Notes the call as the one that its thread is in. False when the table refused it.
#[inline(always)]
fn enter(caller: Caller, mut call: TlsCall) -> bool {
    let Some(slot) = TLS_CALLS.get_ptr_mut(caller.thread) else {
        if TLS_CALLS.insert(caller.thread, call, u64::from(BPF_ANY)).is_ok() {
            return true;
        }
        emit::lost(LOST_TLS_TABLE);
        return false;
    };
    // SAFETY: a live map value that only this thread writes.
    let slot = unsafe { &mut *slot };
    if slot.frame != 0 && slot.frame != call.frame {
        if slot.frame.wrapping_sub(call.frame) > NESTED_BYTES {
            slot.mixed = 1;
            call.mixed = 1;
        }
        if TLS_CALLS_ASIDE.insert(TlsFrame { frame: slot.frame, tgid: caller.tgid, pad: 0 }, *slot, u64::from(BPF_ANY)).is_err() {
            emit::lost(LOST_TLS_TABLE);
        }
    }
    *slot = call;
    true
}

/// The call that returns to `frame`, which is over now.
#[inline(always)]
fn leave(caller: Caller, frame: u64) -> Option<TlsCall> {
    if let Some(slot) = TLS_CALLS.get_ptr_mut(caller.thread) {
        // SAFETY: as in `enter`.
        let slot = unsafe { &mut *slot };
        if slot.frame == frame {
            let call = *slot;
            slot.frame = 0;
            return Some(call);
        }
    }
    let key = TlsFrame { frame, tgid: caller.tgid, pad: 0 };
    // SAFETY: copied at once.
    let call = unsafe { TLS_CALLS_ASIDE.get(key) }.copied()?;
    // It was there a moment ago; by now it may have gone by age.
    TLS_CALLS_ASIDE.remove(key).ok();
    Some(call)
}

/// The result is the number of bytes, or 1 with the number where the call was told to leave it; 0 or less on failure.
#[inline(always)]
fn result(ctx: &impl EbpfContext) -> u32 {
    let caller = filter::caller();
    if !filter::is_watched(caller.tgid) {
        return 0;
    }
    let registers = Registers::now();
    let result = registers.result() as i32;
    let Some(call) = leave(caller, registers.stack()) else {
        if result > 0 {
            emit::lost(LOST_TLS_UNPAIRED);
        }
        return 0;
    };
    if result <= 0 || call.direction != convention(ctx).direction {
        return 0;
    }
    let total = if call.count == 0 { result as u32 } else { moved(call.count) };
    if total != 0 && !report(call, caller, total) {
        keep_the_threads_stack(ctx);
    }
    0
}

/// The number of bytes that a call left at `address`.
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

/// Emits what the call moved, in pieces. False when there was no record to build it in.
#[inline(always)]
fn report(call: TlsCall, caller: Caller, total: u32) -> bool {
    let object = TlsObjectKey { ssl: call.ssl, tgid: caller.tgid, pad: 0 };
    // SAFETY: no arguments.
    let time_ns = unsafe { bpf_ktime_get_boot_ns() };
    let Some(run) = run(object, call, time_ns) else { return true };
    let mode = mode(object, run.begin_ns);
    if mode == MODE_OFF {
        return true;
    }
    let Some(claim) = Claim::take() else {
        emit::lost(LOST_TLS_BUSY);
        return false;
    };
    claim.begin(TlsHeader {
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
        direction: call.direction,
        flags: 0,
        pad: [0; 2],
    });
    claim.pieces(call.buffer, wanted(run, call.direction, mode, total));
    let is_switch = mode == MODE_HEAD && total >= SWITCH_BYTES && claim.is_switch();
    claim.release();
    if is_switch && TLS_MODES.insert(object, TlsMode { as_of_ns: time_ns, mode: MODE_FULL, pad: [0; 7] }, u64::from(BPF_ANY)).is_err() {
        emit::lost(LOST_TLS_TABLE);
    }
    true
}

/// The object's capture mode, unless it was meant for an earlier object at its address.
#[inline(always)]
fn mode(object: TlsObjectKey, begin_ns: u64) -> u8 {
    // SAFETY: read at once; user space replaces values as a whole.
    match unsafe { TLS_MODES.get(object) } {
        Some(mode) if mode.as_of_ns >= begin_ns => mode.mode,
        _ => MODE_HEAD,
    }
}

/// Bytes to capture of a call that moved `total`: as for sockets, but who is the server is not known here.
#[inline(always)]
fn wanted(run: &mut TlsRun, direction: u8, mode: u8, total: u32) -> u32 {
    match mode {
        MODE_COUNT => 0,
        MODE_FULL => {
            if total > plaintext::FULL {
                emit::lost(LOST_CAPTURE_CUT);
            }
            total.min(plaintext::FULL)
        }
        _ => {
            if run.direction != u32::from(direction) {
                run.direction = direction.into();
                run.captured = 0;
            }
            let want = total.min(setting!(request_budget).saturating_sub(run.captured).max(setting!(operation_head))).min(plaintext::FULL);
            run.captured = run.captured.saturating_add(want);
            want
        }
    }
}

/// What was captured of an object since its direction last changed. An object that uses another socket than before is taken for a new one
/// at the same address.
#[inline(always)]
fn run(object: TlsObjectKey, call: TlsCall, now: u64) -> Option<&'static mut TlsRun> {
    let fresh = TlsRun { begin_ns: call.start_ns, last_ns: now, sock: call.sock, inode: call.inode, direction: 0xff, captured: 0, pad: 0 };
    if TLS_RUNS.get_ptr_mut(object).is_none() && TLS_RUNS.insert(object, fresh, u64::from(BPF_ANY)).is_err() {
        emit::lost(LOST_TLS_TABLE);
    }
    // SAFETY: a live map value; threads that share an object may lose a count, never memory.
    let run = TLS_RUNS.get_ptr_mut(object).map(|run| unsafe { &mut *run })?;
    let moved = call.sock != 0 && run.sock != 0 && (run.sock != call.sock || run.inode != call.inode);
    if moved {
        *run = fresh;
    }
    if now.saturating_sub(run.last_ns) > FORGET_NS {
        run.captured = 0;
    }
    run.last_ns = now;
    if call.sock != 0 {
        run.sock = call.sock;
        run.inode = call.inode;
    }
    Some(run)
}
