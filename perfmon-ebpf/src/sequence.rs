//! Stream positions by the socket's own sequence numbers (`tcp_sock.copied_seq`, `write_seq`). In: a socket and what the operations seen so
//! far moved; out: bytes that passed no hook. TLS in the kernel and MPTCP frame their bytes: there the sum of the operations is all there is.
use perfmon_common::event::{DIRECTION_IN, DIRECTION_OUT};
use perfmon_common::map::*;

use crate::sock::Sock;

/// Begins to follow the sequence numbers, where the socket has any: what moved so far is what `state` says.
#[inline(always)]
pub fn follow(sock: Sock, state: &mut SocketState) {
    if !sock.is_plain_tcp() {
        return;
    }
    state.in_base = sock.sequence(DIRECTION_IN).wrapping_sub(state.in_bytes as u32);
    state.out_base = sock.sequence(DIRECTION_OUT).wrapping_sub(state.out_bytes as u32);
    state.flags |= SOCKET_SEQUENCED;
}

/// Bytes that passed no hook since the last operation in this direction, besides `len` that one just moved. Negative: less than `len`
/// passed, since another thread's operation was counted before.
#[inline(always)]
pub fn unseen(sock: Sock, state: &mut SocketState, direction: u8, len: u32) -> i32 {
    if state.flags & SOCKET_SEQUENCED == 0 {
        return 0;
    }
    let (base, bytes) = if direction == DIRECTION_IN { (state.in_base, state.in_bytes) } else { (state.out_base, state.out_bytes) };
    let surplus = sock.sequence(direction).wrapping_sub(base).wrapping_sub(bytes as u32).wrapping_sub(len) as i32;
    if surplus == 0 { 0 } else { judged(sock, state, direction, surplus) }
}

/// What a surplus is, where sequence numbers and bytes differ.
#[inline(always)]
fn judged(sock: Sock, state: &mut SocketState, direction: u8, surplus: i32) -> i32 {
    if surplus < 0 || sock.is_framed_by_kernel() {
        state.flags &= !SOCKET_SEQUENCED;
        return if surplus < 0 { surplus } else { 0 };
    }
    // The peer's FIN has a sequence number too.
    if direction == DIRECTION_IN && sock.has_read_end() {
        state.in_base = state.in_base.wrapping_add(1);
        return surplus - 1;
    }
    surplus
}
