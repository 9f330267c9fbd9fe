//! Capture tier 1. Hooks: raw tracepoints `sock_recv_length` and `sock_send_length` (Linux 6.3), in the calling thread after the copy.
//! Records: every receive and send of a stream socket, and questions for names over UDP. Misses: splice(2) and TCP_ZEROCOPY_RECEIVE out of a
//! socket, which do not pass there: `bypass` reports those. A 0 on receive is the peer's end of stream; errors move nothing.
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use perfmon_common::event::{DIRECTION_IN, DIRECTION_OUT};
use perfmon_common::map::{SYSCALL_MESSAGES, SYSCALL_SHAPE};

use crate::filter::Caller;
use crate::maps::{SCRATCH, Scratch};
use crate::operation::{Operation, finished};
use crate::sock::Sock;
use crate::task::Call;
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
    let returned = Returned { sock: Sock(ctx.arg(0)), direction, len: ctx.arg(1), flags: ctx.arg(2), slot: direction.into() };
    if let Some(Observed { op, caller, call, scratch }) = returned.observed()
        && !finished(op, caller, call, scratch)
    {
        datagram::finished(op, caller, call, scratch);
    }
    0
}

/// What the kernel told of an operation of the current thread when it was over.
#[derive(Clone, Copy)]
pub struct Returned {
    pub sock: Sock,
    /// `DIRECTION_*`.
    pub direction: u8,
    /// Bytes, or a negative errno.
    pub len: i32,
    /// `MSG_*`.
    pub flags: u32,
    /// Where its record is built: `DIRECTION_*` or `SLOT_*`.
    pub slot: u32,
}

/// An operation of a watched process, who called it, with which system call, and where its record is built.
pub struct Observed {
    pub op: Operation,
    pub caller: Caller,
    pub call: Call,
    pub scratch: *mut Scratch,
}

impl Returned {
    /// What is to be reported; `None` for failures and for processes that are not watched.
    #[inline(always)]
    pub fn observed(self) -> Option<Observed> {
        let caller = filter::caller();
        if !filter::is_watched(caller.tgid) {
            return None;
        }
        let call = task::call(task::current());
        if self.len < 0 {
            // A failed message ends the call that it belongs to.
            if call.kind & SYSCALL_SHAPE == SYSCALL_MESSAGES {
                user_buf::message_done(call, caller.thread, 0, true);
            }
            return None;
        }
        let scratch = SCRATCH.get_ptr_mut(self.slot)?;
        let op = Operation { sock: self.sock, direction: self.direction, len: self.len as u32, flags: self.flags };
        Some(Observed { op, caller, call, scratch })
    }
}
