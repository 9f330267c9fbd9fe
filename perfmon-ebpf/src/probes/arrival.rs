//! When data arrives. Hooks: raw tracepoint `sk_data_ready` (Linux 6.3; TCP and unix sockets), else `tcp_probe` (each TCP segment of
//! an established connection). Records nothing: stamps the state of a known socket, which the next receive reports. Misses the first
//! bytes of sockets that were not known then: connections older than perfmon, and new unix sockets.
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;

use crate::maps::SOCKETS;
use crate::sock;

/// `(const struct sock *sk)`.
#[raw_tracepoint(tracepoint = "sk_data_ready")]
pub fn data_ready(ctx: RawTracePointContext) -> i32 {
    stamp(ctx.arg(0), || true)
}

/// `(struct sock *sk, const struct sk_buff *skb)`.
#[raw_tracepoint(tracepoint = "tcp_probe")]
pub fn segment_received(ctx: RawTracePointContext) -> i32 {
    stamp(ctx.arg(0), || sock::segment_payload(ctx.arg(1)) > 0)
}

/// Notes the time when nothing waited before.
#[inline(always)]
fn stamp(sock: u64, carries_data: impl FnOnce() -> bool) -> i32 {
    if let Some(state) = SOCKETS.get_ptr_mut(sock) {
        // SAFETY: a live map value.
        let state = unsafe { &mut *state };
        if state.arrival_ns == 0 && carries_data() {
            // SAFETY: no arguments.
            state.arrival_ns = unsafe { bpf_ktime_get_boot_ns() };
        }
    }
    0
}
