//! A finished socket operation → the socket's state and events. The one body behind all tiers: they differ in how they learn of it.
use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use perfmon_common::event::*;
use perfmon_common::map::*;

use crate::filter::Caller;
use crate::maps::{Buffers, SCRATCH, SOCKETS, Scratch, setting};
use crate::sock::{AF_UNIX, Sock};
use crate::task::{self, Call};
use crate::{capture, emit, log, maps, sequence, sock, uring, user_buf};

/// Out-of-band data: no part of the stream.
const MSG_OOB: u32 = 0x1;
/// The same bytes will be read again.
const MSG_PEEK: u32 = 0x2;
/// The bytes were thrown away: the buffer does not hold them.
const MSG_TRUNC: u32 = 0x20;
/// Notices of the kernel, not bytes of the peer.
const MSG_ERRQUEUE: u32 = 0x2000;

/// A finished operation.
#[derive(Clone, Copy)]
pub struct Operation {
    pub sock: Sock,
    /// `DIRECTION_*`.
    pub direction: u8,
    /// Bytes moved.
    pub len: u32,
    /// `MSG_*`.
    pub flags: u32,
}

/// Keeps the socket's state and reports the operation. The caller has been filtered. False for a socket that is no stream, or not reported.
#[inline(always)]
pub fn finished(op: Operation, caller: Caller, call: Call, scratch: *mut Scratch) -> bool {
    let ended = op.len == 0;
    if op.flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE) != 0 || (ended && op.direction == DIRECTION_OUT) {
        out_of_band(op);
        return true;
    }
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let Some(state) = tenant(op, caller.tgid, now) else { return false };
    maps::tls::note(caller.thread, op.sock.0, state.inode);
    find_buffers(op, caller, call, scratch);
    let Buffers { count, capacity } = user_buf::found(scratch);
    if ended && capacity == 0 {
        return true;
    }
    let begins = !ended && state.run_direction != op.direction;
    // What came before perfmon knew the socket may be of the same run.
    let is_first = state.runs == 0 && state.flags & SOCKET_SEEN_OPEN == 0;
    let begins_flag = if begins && !is_first { DATA_BEGINS } else { 0 };
    if begins {
        state.run_direction = op.direction;
        state.run_captured = 0;
        state.runs = state.runs.wrapping_add(1);
    }
    let Place { offset, arrival, unseen } = account(state, op, now, capacity);
    if state.mode == MODE_OFF {
        return true;
    }
    let is_known = announced(op.sock, state, caller.tgid);
    if is_known && unseen != 0 {
        tell_unseen(op.sock, state, op.direction, unseen, offset - u64::from(unseen), now);
    }
    if !is_known {
        if begins {
            run_refused(state, op.direction);
        }
        return true;
    }
    // SAFETY: this CPU's scratch.
    unsafe { (*scratch).header = header(op, caller, state, now, offset, arrival, begins_flag) };
    if ended {
        capture::header_only(scratch, DATA_EOF);
        return true;
    }
    let want = capture::wanted(state, op.direction, op.len);
    let told = if count == 0 {
        capture::header_only(scratch, DATA_NO_BUFFER)
    } else if want == 0 {
        capture::header_only(scratch, 0)
    } else {
        let (captured, told) = capture::payload(scratch, want);
        state.run_captured = state.run_captured.saturating_add(captured);
        // SAFETY: this CPU's scratch, which holds what was captured last.
        if state.mode == MODE_HEAD
            && op.len >= capture::SWITCH_BYTES
            && unsafe { capture::is_switch((&raw const (*scratch).payload).cast()) }
        {
            state.mode = MODE_FULL;
            state.flags |= SOCKET_SWITCHED;
        }
        told
    };
    if begins {
        if told {
            state.flags &= !SOCKET_RUN_LOST;
        } else {
            run_refused(state, op.direction);
        }
    }
    true
}

/// The beginning of a run of operations in one direction could not be told. Two such runs after each other, a request's and its answer's,
/// are an exchange that user space cannot know of; of any other it sees one half. Where the role is not known, each second run counts.
#[inline(always)]
fn run_refused(state: &mut SocketState, direction: u8) {
    let answers = match state.role {
        ROLE_SERVER => direction == DIRECTION_OUT,
        ROLE_CLIENT => direction == DIRECTION_IN,
        _ => true,
    };
    if state.flags & SOCKET_RUN_LOST == 0 || !answers {
        state.flags |= SOCKET_RUN_LOST;
        return;
    }
    state.flags &= !SOCKET_RUN_LOST;
    if state.flags & SOCKET_SWITCHED == 0 {
        emit::exchange_lost(state.tgid, state.role);
    }
}

/// The header of the operation's records; what differs between its pieces is filled in later.
#[inline(always)]
fn header(op: Operation, caller: Caller, state: &SocketState, time_ns: u64, offset: u64, arrival_ns: u64, flags: u8) -> DataHeader {
    DataHeader {
        kind: KIND_DATA,
        captured_len: 0,
        sock: op.sock.0,
        time_ns,
        arrival_ns,
        offset,
        total_len: op.len,
        piece_offset: 0,
        tgid: caller.tgid,
        thread: caller.thread,
        inode: state.inode,
        run: state.runs,
        direction: op.direction,
        flags: DATA_RUN | flags,
    }
}

/// The state of the socket: that of the connection that has the address now. `None` for sockets that are not reported.
#[inline(always)]
fn tenant(op: Operation, tgid: u32, now: u64) -> Option<&'static mut SocketState> {
    // SAFETY: a live map value; races between threads on one socket may lose a count, never memory.
    let known = SOCKETS.get_ptr_mut(op.sock.0).map(|state| unsafe { &mut *state });
    let is_new = known.is_none();
    if let Some(state) = known {
        let inode = op.sock.inode();
        if state.inode == inode && inode != 0 {
            state.tgid = tgid;
            return Some(state);
        }
        if state.inode == 0 {
            if !op.sock.is_open_file() {
                return None;
            }
            state.inode = inode;
            state.tgid = tgid;
            return Some(state);
        }
    }
    // What ends before it was known is not worth a record.
    if op.len == 0 || !op.sock.is_stream() || !op.sock.is_open_file() {
        log::no_socket(op.sock.0, tgid.into());
        return None;
    }
    log::new_socket(op.sock.0, op.sock.inode().into(), tgid.into());
    let flags = if is_new { BPF_NOEXIST } else { BPF_ANY };
    let state = create(op.sock, fresh(op.sock.inode(), tgid, unix_role(op.sock), 0, now), flags)?;
    sequence::follow(op.sock, state);
    if op.direction == DIRECTION_IN {
        state.in_base = state.in_base.wrapping_sub(op.len);
    } else {
        state.out_base = state.out_base.wrapping_sub(op.len);
    }
    Some(state)
}

/// The role of a unix socket; TCP sockets that got here were open before.
#[inline(always)]
fn unix_role(sock: Sock) -> u8 {
    if sock.family() != AF_UNIX {
        return ROLE_UNKNOWN;
    }
    match sock.unix_ends() {
        (0, 0) => ROLE_UNKNOWN,
        (0, _) => ROLE_CLIENT,
        (_, 0) => ROLE_SERVER,
        _ => ROLE_UNKNOWN,
    }
}

/// The state of a connection at its beginning.
#[inline(always)]
pub fn fresh(inode: u32, tgid: u32, role: u8, flags: u8, now: u64) -> SocketState {
    SocketState {
        in_bytes: 0,
        out_bytes: 0,
        arrival_ns: 0,
        open_ns: now,
        inode,
        tgid,
        run_captured: 0,
        run_direction: 0xff,
        role,
        flags,
        mode: MODE_HEAD,
        request_budget: setting!(request_budget),
        response_budget: setting!(response_budget),
        operation_head: setting!(operation_head),
        runs: 0,
        in_base: 0,
        out_base: 0,
        ending: 0,
        pad: 0,
        connect_us: 0,
        pad2: 0,
    }
}

/// Puts a state into the table: in place of an earlier tenant's, or (`BPF_NOEXIST`) unless another thread just did the same.
#[inline(always)]
pub fn create(sock: Sock, state: SocketState, flags: u32) -> Option<&'static mut SocketState> {
    let refused = SOCKETS.insert(sock.0, state, flags.into()).is_err();
    // SAFETY: a live map value.
    let state = SOCKETS.get_ptr_mut(sock.0).map(|state| unsafe { &mut *state });
    if refused && state.is_none() {
        emit::lost(LOST_SOCKET_TABLE);
    }
    state
}

/// Finds the user's buffers, and the place in a message vector.
#[inline(always)]
fn find_buffers(op: Operation, caller: Caller, call: Call, scratch: *mut Scratch) {
    if op.flags & MSG_TRUNC != 0 {
        return user_buf::put(scratch, Buffers::NONE);
    }
    if call.kind == 0 || is_foreign(op, call) {
        return uring::locate(op, caller.thread, scratch);
    }
    if call.kind & SYSCALL_SHAPE != SYSCALL_MESSAGES {
        return user_buf::locate(call, 0, scratch);
    }
    let place = user_buf::message_place(call, caller.thread);
    user_buf::locate(call, place, scratch);
    let partial = op.direction == DIRECTION_OUT && u64::from(op.len) < user_buf::found(scratch).capacity;
    user_buf::message_done(call, caller.thread, place, partial);
}

/// Whether io_uring did this operation while the thread was in another system call, whose buffers would be taken for the operation's.
#[inline(always)]
pub fn is_foreign(op: Operation, call: Call) -> bool {
    let task = task::current();
    // The first descriptor of splice() is that of the pipe when it sends.
    call.kind & SYSCALL_SHAPE != SYSCALL_SPLICE
        && task::uses_io_uring(task)
        && sock::of_descriptor(task, call.argument(0) as u32) != Some(op.sock)
}

/// Urgent data that was sent: no part of the stream, which counts it all the same.
#[inline(always)]
fn out_of_band(op: Operation) {
    if op.flags & MSG_OOB != 0
        && op.direction == DIRECTION_OUT
        && let Some(state) = SOCKETS.get_ptr_mut(op.sock.0)
    {
        // SAFETY: a live map value.
        unsafe { (*state).out_base = (*state).out_base.wrapping_add(op.len) };
    }
}

/// Where an operation stands.
#[derive(Clone, Copy)]
struct Place {
    /// Position of its first byte.
    offset: u64,
    /// Receives: when what it found waiting had arrived; 0 = not known.
    arrival: u64,
    /// Bytes before it that passed no hook.
    unseen: u32,
}

/// Counts the operation's bytes, and those before it that passed no hook.
#[inline(always)]
fn account(state: &mut SocketState, op: Operation, now: u64, capacity: u64) -> Place {
    let surplus = sequence::unseen(op.sock, state, op.direction, op.len);
    let unseen = if surplus > 0 { surplus as u32 } else { 0 };
    let bytes = if op.direction == DIRECTION_IN { &mut state.in_bytes } else { &mut state.out_bytes };
    // With a negative surplus these bytes were counted already, as unseen ones of another thread's operation.
    let counted = if surplus < 0 { u64::from(surplus.unsigned_abs()) } else { 0 };
    let offset = if counted <= *bytes { *bytes - counted } else { *bytes } + u64::from(unseen);
    *bytes = offset + u64::from(op.len);
    if op.direction == DIRECTION_OUT {
        return Place { offset, arrival: 0, unseen };
    }
    // After bytes that passed no hook it is not known since when these waited.
    let arrival = if unseen == 0 { state.arrival_ns } else { 0 };
    if arrival != 0 {
        // A read that filled its buffer may have left bytes; after any other one, what waits now came since.
        let filled = u64::from(op.len) >= capacity;
        state.arrival_ns = match (op.sock.has_unread(), filled) {
            (false, _) => 0,
            (true, true) => arrival,
            (true, false) => now,
        };
    }
    Place { offset, arrival, unseen }
}

/// Looks for bytes that passed no hook, at a time when no operation is under way.
#[inline(always)]
pub fn catch_up(sock: Sock, state: &mut SocketState, direction: u8, now: u64) {
    let surplus = sequence::unseen(sock, state, direction, 0);
    if surplus <= 0 {
        return;
    }
    let bytes = if direction == DIRECTION_IN { &mut state.in_bytes } else { &mut state.out_bytes };
    let offset = *bytes;
    *bytes += u64::from(surplus as u32);
    tell_unseen(sock, state, direction, surplus as u32, offset, now);
}

/// Reports what the current call moved without a hook that tells how much and from where: all bytes since the last operation in this
/// direction, as one operation without payload. A socket that is not known yet gets known by its next operation.
#[inline(always)]
pub fn passed(sock: Sock, direction: u8, caller: Caller, call: Call, slot: u32) {
    // SAFETY: a live map value.
    let Some(state) = SOCKETS.get_ptr_mut(sock.0).map(|state| unsafe { &mut *state }) else { return };
    let len = sequence::unseen(sock, state, direction, 0);
    let Some(scratch) = SCRATCH.get_ptr_mut(slot) else { return };
    if len > 0 {
        // The flag says that no buffer holds them, so that none is looked for.
        finished(Operation { sock, direction, len: len as u32, flags: MSG_TRUNC }, caller, call, scratch);
    }
}

/// Reports `len` bytes from position `offset` that passed no hook.
#[inline(always)]
fn tell_unseen(sock: Sock, state: &SocketState, direction: u8, len: u32, offset: u64, time_ns: u64) {
    emit::record::<DataHeader>(state.tgid, |event| {
        let header = DataHeader {
            kind: KIND_DATA,
            captured_len: 0,
            sock: sock.0,
            time_ns,
            arrival_ns: 0,
            offset,
            total_len: len,
            piece_offset: 0,
            tgid: state.tgid,
            thread: 0,
            inode: state.inode,
            run: state.runs as u16,
            direction,
            flags: DATA_LAST_PIECE | DATA_NO_BUFFER | DATA_UNSEEN,
        };
        // SAFETY: fresh memory of the ring.
        unsafe { event.write(header) };
    });
}

/// Tells user space of the socket before its first data. False when the ring had no room for it: the data waits for the next operation to tell.
#[inline(always)]
pub fn announced(sock: Sock, state: &mut SocketState, tgid: u32) -> bool {
    if state.flags & SOCKET_ANNOUNCED != 0 {
        return true;
    }
    if !emit::has_room(tgid, size_of::<OpenHeader>() as u64) {
        return false;
    }
    let taken = emit::record::<OpenHeader>(tgid, |open| {
        // SAFETY: fresh memory of the ring, all of it written: zero is valid for integers.
        let open = unsafe {
            core::ptr::write_bytes(open.cast::<u64>(), 0, size_of::<OpenHeader>() / 8);
            &mut *open
        };
        open.kind = KIND_OPEN;
        open.tgid = tgid;
        open.sock = sock.0;
        open.time_ns = state.open_ns;
        open.inode = state.inode;
        open.role = state.role;
        open.connect_us = state.connect_us;
        open.flags = if state.flags & SOCKET_SEEN_OPEN == 0 { OPEN_LATE } else { 0 };
        sock.describe(open);
    });
    if taken {
        state.flags |= SOCKET_ANNOUNCED;
    }
    taken
}
