//! Receives that pass no socket tracepoint. Hook: raw tracepoint `tcp_rcv_space_adjust` (Linux 4.16), in the reading thread, at each read of
//! a TCP socket, once the read position moved. Records: splice(2) out of a socket and TCP_ZEROCOPY_RECEIVE, as receives without payload.
//! Leaves: reads by other system calls, which capture tier 1 reports. Misses: splices that io_uring does; the next operation tells those.
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use perfmon_common::event::DIRECTION_IN;
use perfmon_common::map::{SLOT_BYPASS, SYSCALL_GETSOCKOPT, SYSCALL_SHAPE, SYSCALL_SPLICE};

use crate::sock::Sock;
use crate::{filter, operation, task};

/// `(struct sock *sk)`.
#[raw_tracepoint(tracepoint = "tcp_rcv_space_adjust")]
pub fn sock_bypass(ctx: RawTracePointContext) -> i32 {
    let call = task::call(task::current());
    if !matches!(call.kind & SYSCALL_SHAPE, SYSCALL_SPLICE | SYSCALL_GETSOCKOPT) {
        return 0;
    }
    let caller = filter::caller();
    if !filter::is_watched(caller.tgid) {
        return 0;
    }
    operation::passed(Sock(ctx.arg(0)), DIRECTION_IN, caller, call, SLOT_BYPASS);
    0
}
