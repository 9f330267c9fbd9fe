//! Capture tier 1. Hooks: raw tracepoints `sock_recv_length` and `sock_send_length` (Linux 6.3), in the calling thread after the copy.
//! Records: every receive and send of a stream socket, and questions for names over UDP. Misses: splice(2) and TCP_ZEROCOPY_RECEIVE out of a socket, which do not pass
//! there: `bypass` reports those. A 0 on receive is the peer's end of stream; errors move nothing.
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use perfmon_common::event::{DIRECTION_IN, DIRECTION_OUT};
use perfmon_common::map::{SYSCALL_MESSAGES, SYSCALL_SHAPE};

use crate::maps::SCRATCH;
use crate::operation::{Operation, finished};
use crate::sock::Sock;
use crate::{datagram, filter, task, user_buf};

/// `(struct sock *sk, int ret, int flags)`.
#[raw_tracepoint(tracepoint = "sock_recv_length")]
pub fn sock_recv(ctx: RawTracePointContext) -> i32 {
    on_operation(&ctx, DIRECTION_IN)
}

/// `(struct sock *sk, int ret, int flags)`.
#[raw_tracepoint(tracepoint = "sock_send_length")]
pub fn sock_send(ctx: RawTracePointContext) -> i32 {
    on_operation(&ctx, DIRECTION_OUT)
}

#[inline(always)]
fn on_operation(ctx: &RawTracePointContext, direction: u8) -> i32 {
    let caller = filter::caller();
    if !filter::is_watched(caller.tgid) {
        return 0;
    }
    let len: i32 = ctx.arg(1);
    let call = task::call(task::current());
    if len < 0 {
        // A failed message ends the call that it belongs to.
        if call.kind & SYSCALL_SHAPE == SYSCALL_MESSAGES {
            user_buf::message_done(call, caller.thread, 0, true);
        }
        return 0;
    }
    let Some(scratch) = SCRATCH.get_ptr_mut(u32::from(direction)) else { return 0 };
    let op = Operation { sock: Sock(ctx.arg(0)), direction, len: len as u32, flags: ctx.arg(2) };
    if !finished(op, caller, call, scratch) {
        datagram::finished(op, caller, call, scratch);
    }
    0
}
