//! The life of TCP connections. Hooks: raw tracepoints `inet_sock_set_state` (Linux 4.16), `tcp_destroy_sock`, `tcp_receive_reset`,
//! `tcp_send_reset` (4.16); in any context. Records: LISTEN, the ends of both directions and of the connection, for sockets that user
//! space knows, and each failed connect() of a watched process. Keeps: who began a connection, when it was established and how long that took, before
//! the first byte. Misses: what the kernel refuses before it sends anything (no route), and unix sockets, which have no such hooks.
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use perfmon_common::event::*;
use perfmon_common::map::*;

use crate::maps::{CONNECTED, SOCKETS};
use crate::operation::{announced, catch_up, create, fresh};
use crate::sock::{AF_INET, AF_INET6, Sock};
use crate::{emit, filter, log, sequence};

// include/net/tcp_states.h
const ESTABLISHED: i32 = 1;
const SYN_SENT: i32 = 2;
const SYN_RECEIVED: i32 = 3;
const FIN_WAIT1: i32 = 4;
const CLOSE: i32 = 7;
const CLOSE_WAIT: i32 = 8;
const LAST_ACK: i32 = 9;
const LISTEN: i32 = 10;

/// `(const struct sock *sk, int old, int new)`.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn sock_state(ctx: RawTracePointContext) -> i32 {
    let sock = Sock(ctx.arg(0));
    let (old, new): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    if !sock.is_tcp() {
        return 0;
    }
    match (old, new) {
        (_, LISTEN) => listens(sock, old),
        (_, SYN_SENT) => connects(sock),
        (SYN_SENT, ESTABLISHED) => connected(sock),
        (SYN_RECEIVED, ESTABLISHED) => accepted(sock),
        (_, FIN_WAIT1 | CLOSE_WAIT | LAST_ACK) => changes(sock, old, new),
        (SYN_SENT, CLOSE) => fails(sock),
        (_, CLOSE) => closes(sock, old),
        _ => {}
    }
    0
}

/// `(struct sock *sk)`: the socket's memory is about to be freed.
#[raw_tracepoint(tracepoint = "tcp_destroy_sock")]
pub fn sock_destroy(ctx: RawTracePointContext) -> i32 {
    ends(Sock(ctx.arg(0)), CLOSE);
    0
}

/// `(struct sock *sk)`.
#[raw_tracepoint(tracepoint = "tcp_receive_reset")]
pub fn reset_received(ctx: RawTracePointContext) -> i32 {
    mark(ctx.arg(0), SOCKET_PEER_RESET)
}

/// `(const struct sock *sk, const struct sk_buff *skb, …)`; `sk` may be null.
#[raw_tracepoint(tracepoint = "tcp_send_reset")]
pub fn reset_sent(ctx: RawTracePointContext) -> i32 {
    mark(ctx.arg(0), SOCKET_LOCAL_RESET)
}

#[inline(always)]
fn mark(sock: u64, flag: u8) -> i32 {
    if let Some(state) = state_of(Sock(sock)) {
        state.ending |= flag;
    }
    0
}

#[inline(always)]
fn state_of(sock: Sock) -> Option<&'static mut SocketState> {
    // SAFETY: a live map value.
    SOCKETS.get_ptr_mut(sock.0).map(|state| unsafe { &mut *state })
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// In the process that calls listen().
#[inline(always)]
fn listens(sock: Sock, old: i32) {
    let caller = filter::caller();
    filter::watch_if_new(caller.tgid);
    if filter::is_watched(caller.tgid) {
        report(sock, &fresh(sock.inode(), caller.tgid, ROLE_UNKNOWN, 0, 0), old, LISTEN);
    }
}

/// In the process that calls connect().
#[inline(always)]
fn connects(sock: Sock) {
    // A former connection of the socket.
    ends(sock, CLOSE);
    let caller = filter::caller();
    if filter::is_watched(caller.tgid) {
        create(sock, fresh(sock.inode(), caller.tgid, ROLE_CLIENT, 0, now()), BPF_ANY);
    }
}

#[inline(always)]
fn connected(sock: Sock) {
    if let Some(state) = state_of(sock) {
        let began = core::mem::replace(&mut state.open_ns, now());
        state.connect_us = (state.open_ns.saturating_sub(began) / 1_000).clamp(1, u32::MAX.into()) as u32;
        state.flags |= SOCKET_SEEN_OPEN;
        sequence::follow(sock, state);
        let (key, time) = (connect_key(state.tgid, sock, sock.family()), state.open_ns);
        // Where there is no room, a slower attempt counts as given up.
        CONNECTED.insert(key, time, u64::from(BPF_ANY)).ok();
    }
}

/// A connect() failed: in the process that called it, or in any context. Sockets of the kernel itself have no file, as the subflows of
/// MPTCP, whose connection is told by its own socket.
#[inline(always)]
fn fails(sock: Sock) {
    let Some(state) = state_of(sock) else { return };
    if sock.is_open_file() {
        let error = match sock.error() {
            0 if sock.is_shut_down() => ERROR_GIVEN_UP,
            // connect() returns the error and leaves none.
            0 => ERROR_NO_LOCAL_PORT,
            error => error,
        };
        log::not_connected(sock.0, error.into());
        let is_lost_race = error == ERROR_GIVEN_UP && was_overtaken(sock, state);
        if !is_lost_race && announced(sock, state, state.tgid) {
            tell(sock, state, SYN_SENT, CLOSE, STATE_NOT_CONNECTED, error);
        }
    }
    log::socket_ends(sock.0, (state.flags & SOCKET_ANNOUNCED).into());
    // Another CPU may have removed it: then it is gone, as wanted.
    SOCKETS.remove(sock.0).ok();
}

/// Whether the process has connected to the same port over the other address family since this attempt began (RFC 8305).
#[inline(always)]
fn was_overtaken(sock: Sock, state: &SocketState) -> bool {
    let other = if sock.family() == AF_INET { AF_INET6 } else { AF_INET };
    // SAFETY: a live map value.
    CONNECTED.get_ptr(connect_key(state.tgid, sock, other)).is_some_and(|time| unsafe { *time } >= state.open_ns)
}

/// Key of `CONNECTED`.
#[inline(always)]
fn connect_key(tgid: u32, sock: Sock, family: u16) -> u64 {
    u64::from(tgid) << 32 | u64::from(sock.peer_port()) << 16 | u64::from(family)
}

/// Before accept(): no process has the socket yet, so which one will is not known here.
#[inline(always)]
fn accepted(sock: Sock) {
    if let Some(state) = create(sock, fresh(0, 0, ROLE_SERVER, SOCKET_SEEN_OPEN, now()), BPF_ANY) {
        sequence::follow(sock, state);
    }
}

/// An end of one direction.
#[inline(always)]
fn changes(sock: Sock, old: i32, new: i32) {
    if let Some(state) = state_of(sock)
        && state.flags & SOCKET_ANNOUNCED != 0
    {
        // In the process that closes; at the peer's FIN one may be reading.
        if new != CLOSE_WAIT {
            let now = now();
            catch_up(sock, state, DIRECTION_IN, now);
            catch_up(sock, state, DIRECTION_OUT, now);
        }
        report(sock, state, old, new);
    }
}

/// The connection is over. A process that has the socket may be in the midst of an operation, which moved its bytes and has not told them yet,
/// and can read what arrived before, also after a later accept(): then the end is told when the socket is destroyed.
/// Straight from a state in which both directions were open, or this side's was, it is a reset: the peer's, which was seen before,
/// or this side's, which is sent after this.
#[inline(always)]
fn closes(sock: Sock, old: i32) {
    let Some(state) = state_of(sock) else { return };
    if matches!(old, ESTABLISHED | CLOSE_WAIT) && state.ending & SOCKET_PEER_RESET == 0 {
        state.ending |= SOCKET_LOCAL_RESET;
    }
    if sock.is_open_file() || sock.has_unread() {
        state.open_ns = now();
        state.ending |= SOCKET_OVER;
        // Who works on an answer may not look at the socket for long.
        if state.ending & SOCKET_PEER_RESET != 0 && state.flags & SOCKET_ANNOUNCED != 0 {
            tell(sock, state, old, CLOSE, STATE_STILL_OPEN, 0);
        }
    } else {
        ends(sock, old);
    }
}

#[inline(always)]
fn ends(sock: Sock, old: i32) {
    let Some(state) = state_of(sock) else { return };
    if state.flags & SOCKET_ANNOUNCED != 0 {
        report(sock, state, old, CLOSE);
    }
    log::socket_ends(sock.0, (state.flags & SOCKET_ANNOUNCED).into());
    // Another CPU may have removed it: then it is gone, as wanted.
    SOCKETS.remove(sock.0).ok();
}

#[inline(always)]
fn report(sock: Sock, state: &SocketState, old: i32, new: i32) {
    tell(sock, state, old, new, 0, 0);
}

#[inline(always)]
fn tell(sock: Sock, state: &SocketState, old: i32, new: i32, mut flags: u8, error: u16) {
    if state.ending & SOCKET_PEER_RESET != 0 {
        flags |= STATE_PEER_RESET;
    }
    if state.ending & SOCKET_LOCAL_RESET != 0 {
        flags |= STATE_LOCAL_RESET;
    }
    let [round_trip_us, segments, retransmits] =
        if matches!(new, FIN_WAIT1 | LAST_ACK | CLOSE) && sock.is_plain_tcp() { sock.path() } else { [0; 3] };
    emit::record::<StateHeader>(state.tgid, |event| {
        let header = StateHeader {
            kind: KIND_STATE,
            tgid: state.tgid,
            sock: sock.0,
            time_ns: if state.ending & SOCKET_OVER != 0 { state.open_ns } else { now() },
            in_bytes: state.in_bytes,
            out_bytes: state.out_bytes,
            inode: state.inode,
            local_port: sock.local_port(),
            old_state: old as u8,
            new_state: new as u8,
            flags,
            pad: 0,
            error,
            round_trip_us,
            segments,
            retransmits,
        };
        // SAFETY: fresh memory of the ring.
        unsafe { event.write(header) };
    });
}
