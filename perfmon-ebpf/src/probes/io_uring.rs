//! Requests of io_uring. Hooks: raw tracepoints `io_uring_submit_req` (Linux 6.4), in the submitting thread before the request is carried
//! out; `io_uring_queue_async_work` (5.15), where a worker will do that; and `io_uring_task_add` (5.15), in whatever context wakes a request
//! that waited for its socket. Records nothing: remembers the request, so that capture tier 1 finds the buffers of what it moves. Misses:
//! registered files of requests that go to a worker at once.
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use perfmon_common::map::LOST_ADDRESS;

use crate::maps::uring::{ARMED, Armed, REQUESTS, SUBMITTED, Submitted};
use crate::sock::Sock;
use crate::uring::Request;
use crate::{emit, filter, task};

/// `(struct io_kiocb *req)`.
#[raw_tracepoint(tracepoint = "io_uring_submit_req")]
pub fn uring_submit(ctx: RawTracePointContext) -> i32 {
    let caller = filter::caller();
    let request = Request(ctx.arg(0));
    if !filter::is_watched(caller.tgid) || !request.moves_bytes() {
        return 0;
    }
    if let Some(submitted) = SUBMITTED.get_ptr_mut(caller.thread) {
        // SAFETY: a live map value that this thread alone writes; the index is below `REQUESTS`.
        unsafe {
            let index = (*submitted).next & (REQUESTS - 1);
            *(&raw mut (*submitted).requests).cast::<u64>().add(index as usize) = request.0;
            (*submitted).next = index + 1;
        }
        return 0;
    }
    let mut first = Submitted { requests: [0; REQUESTS as usize], next: 1, pad: 0 };
    first.requests[0] = request.0;
    if SUBMITTED.insert(caller.thread, first, u64::from(BPF_ANY)).is_err() {
        emit::lost(LOST_ADDRESS);
    }
    0
}

/// `(struct io_kiocb *req, int rw)`.
#[raw_tracepoint(tracepoint = "io_uring_queue_async_work")]
pub fn uring_punt(ctx: RawTracePointContext) -> i32 {
    let request = Request(ctx.arg(0));
    if let Some((sock, direction)) = request.moves_on().or_else(|| request.will_move_on(task::current())) {
        armed(sock, direction, request);
    }
    0
}

/// `(struct io_kiocb *req, int mask)`.
#[raw_tracepoint(tracepoint = "io_uring_task_add")]
pub fn uring_wake(ctx: RawTracePointContext) -> i32 {
    let request = Request(ctx.arg(0));
    if let Some((sock, direction)) = request.moves_on() {
        armed(sock, direction, request);
    }
    0
}

/// The request will be the next one to move bytes on this socket in this direction.
#[inline(always)]
fn armed(sock: Sock, direction: u8, request: Request) {
    let key = Armed { sock: sock.0, direction: direction.into() };
    if ARMED.insert(key, request.0, u64::from(BPF_ANY)).is_err() {
        emit::lost(LOST_ADDRESS);
    }
}
