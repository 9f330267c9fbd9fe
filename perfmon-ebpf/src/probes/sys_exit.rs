//! Capture tier 3. Hook: raw tracepoint `sys_exit`, in the calling thread; the saved registers still hold the arguments. Records the same
//! operations as tier 1 where that is missing. Misses: io_uring, system calls of 32-bit programs, operations of the kernel for itself.
//! Several messages of a sendmmsg or recvmmsg are one operation without payload. Costs every system call of the host a little.
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use perfmon_common::event::{DIRECTION_IN, DIRECTION_OUT};
use perfmon_common::map::*;

use crate::maps::SCRATCH;
use crate::operation::{Operation, finished};
use crate::sock::{self, Sock};
use crate::task::{self, Call, Typed};
use crate::{datagram, filter, user_buf};

/// `(struct pt_regs *regs, long ret)`.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn syscall_exit(ctx: RawTracePointContext) -> i32 {
    let result: i64 = ctx.arg(1);
    if result < 0 {
        return 0;
    }
    let task = task::current();
    let mut call = task::call(task);
    if call.kind == 0 || call.kind == SYSCALL_GETSOCKOPT {
        return 0;
    }
    let caller = filter::caller();
    if !filter::is_watched(caller.tgid) {
        return 0;
    }
    let Some((sock, direction)) = socket(task, call) else { return 0 };
    let Some(scratch) = SCRATCH.get_ptr_mut(u32::from(direction)) else { return 0 };
    let mut op = Operation { sock, direction, len: result as u32, flags: flags(call) };
    if call.kind & SYSCALL_SHAPE == SYSCALL_MESSAGES {
        op.len = user_buf::messages_sum(call.argument(1), result as u64, scratch);
        if result > 1 {
            call.kind = 0;
        }
    }
    finished(op, caller, call, scratch);
    0
}

/// Questions for names over UDP where `sock_io` does not run. Hook and arguments as above; a program of its own, since both together are too much
/// for the verifier of Linux 6.1. Misses: what io_uring sends, more than two messages of a sendmmsg or recvmmsg.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn datagram_exit(ctx: RawTracePointContext) -> i32 {
    let result: i64 = ctx.arg(1);
    if result <= 0 {
        return 0;
    }
    let task = task::current();
    let call = task::call(task);
    if !matches!(call.kind & SYSCALL_SHAPE, SYSCALL_BUFFER | SYSCALL_VECTOR | SYSCALL_MESSAGE | SYSCALL_MESSAGES) {
        return 0;
    }
    let caller = filter::caller();
    if !filter::is_watched(caller.tgid) {
        return 0;
    }
    let Some((sock, direction)) = socket(task, call) else { return 0 };
    if !sock.is_udp() {
        return 0;
    }
    let Some(scratch) = SCRATCH.get_ptr_mut(u32::from(direction)) else { return 0 };
    datagram::returned(Operation { sock, direction, len: 0, flags: 0 }, caller, call, result as u64, scratch);
    0
}

/// The socket that the call used, and which way.
#[inline(always)]
fn socket(task: Typed, call: Call) -> Option<(Sock, u8)> {
    if call.kind == SYSCALL_SPLICE
        && let Some(sock) = sock::of_descriptor(task, call.argument(2) as u32)
    {
        return Some((sock, DIRECTION_OUT));
    }
    let direction = if call.kind & SYSCALL_SENDS != 0 { DIRECTION_OUT } else { DIRECTION_IN };
    sock::of_descriptor(task, call.argument(0) as u32).map(|sock| (sock, direction))
}

/// The call's `MSG_*` flags.
#[inline(always)]
fn flags(call: Call) -> u32 {
    if call.kind & SYSCALL_FLAGS == 0 {
        return 0;
    }
    let place = if call.kind & SYSCALL_SHAPE == SYSCALL_MESSAGE { 2 } else { 3 };
    call.argument(place) as u32
}
