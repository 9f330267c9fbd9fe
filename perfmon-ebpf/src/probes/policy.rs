//! Capture policy. Hooks: none; user space runs the program (BPF_PROG_TEST_RUN, Linux 5.10), since writing the map value from there would
//! undo what other programs counted meanwhile. Changes the socket's state in place and returns 1, or 0 when the table does not have that
//! socket. Records nothing.
use aya_ebpf::programs::RawTracePointContext;
use perfmon_common::map::POLICY_ARGUMENTS;

use crate::log;
use crate::maps::SOCKETS;

/// `(sock, inode, mode, request_budget, response_budget, operation_head)`. Written without the macro, which returns 0 for every program.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/set_policy")]
pub fn set_policy(ctx: *mut core::ffi::c_void) -> u32 {
    change(&RawTracePointContext::new(ctx)).into()
}

#[inline(always)]
fn change(ctx: &RawTracePointContext) -> bool {
    let [sock, inode, mode, request_budget, response_budget, operation_head]: [u64; POLICY_ARGUMENTS] =
        [ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4), ctx.arg(5)];
    // SAFETY: a live map value; other programs write other members.
    let Some(state) = SOCKETS.get_ptr_mut(sock).map(|state| unsafe { &mut *state }) else { return refused(sock, inode) };
    if state.inode != inode as u32 {
        return refused(sock, inode);
    }
    log::policy_set(sock, mode);
    state.mode = mode as u8;
    state.request_budget = request_budget as u32;
    state.response_budget = response_budget as u32;
    state.operation_head = operation_head as u32;
    true
}

#[inline(always)]
fn refused(sock: u64, inode: u64) -> bool {
    log::policy_refused(sock, inode);
    false
}
