//! Receives that pass no socket tracepoint. Hook: raw tracepoint `tcp_rcv_space_adjust` (Linux 4.16), in the reading thread, at each read of
//! a TCP socket, once the read position moved. Records: splice(2) out of a socket and TCP_ZEROCOPY_RECEIVE, as receives without payload.
//! Leaves: reads by other system calls, which capture tier 1 reports. Misses: splices that io_uring does; the next operation tells those.
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use perfmon_common::event::DIRECTION_IN;
use perfmon_common::map::{SLOT_BYPASS, SYSCALL_GETSOCKOPT, SYSCALL_SHAPE, SYSCALL_SPLICE};

use crate::maps::{SCRATCH, SOCKETS};
use crate::operation::{Operation, finished};
use crate::sock::Sock;
use crate::{filter, sequence, task};

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
    let sock = Sock(ctx.arg(0));
    // SAFETY: a live map value. A socket that is not known yet gets known by its next operation.
    let Some(state) = SOCKETS.get_ptr_mut(sock.0).map(|state| unsafe { &mut *state }) else { return 0 };
    let len = sequence::unseen(sock, state, DIRECTION_IN, 0);
    let Some(scratch) = SCRATCH.get_ptr_mut(SLOT_BYPASS) else { return 0 };
    if len > 0 {
        finished(Operation { sock, direction: DIRECTION_IN, len: len as u32, flags: 0 }, caller, call, scratch);
    }
    0
}
