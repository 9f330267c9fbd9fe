//! From a system call's arguments to the user's buffers. In: saved registers; out: up to `VECTORS` buffers in the scratch.
//! Layouts: include/uapi/linux/uio.h (`iovec`), include/linux/socket.h (`user_msghdr`, `mmsghdr`), 64-bit.
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::helpers::generated;
use perfmon_common::map::*;

use crate::capture::at_most;
use crate::emit;
use crate::maps::{Buffers, CAPACITY_UNKNOWN, POSITIONS, Position, Scratch, VECTORS, Vector};
use crate::task::Call;

/// Offset of `msg_iov` in `struct user_msghdr`; `msg_iovlen` follows.
const MESSAGE_VECTORS: u64 = 16;
/// `sizeof(struct mmsghdr)`.
const MESSAGE_SIZE: u64 = 64;
/// Offset of `msg_len` in `struct mmsghdr`.
const MESSAGE_LEN: u64 = 56;
/// Messages of one sendmmsg/recvmmsg that are added up.
const MESSAGES: u64 = 32;

/// Puts the buffers of the call into the scratch; none (`count` 0) when the call has none that can be read. `message` is the place in a
/// message vector. They are read back from there with [`found`], so that the verifier goes on with one state instead of one a shape.
#[inline(always)]
pub fn locate(call: Call, message: u32, scratch: *mut Scratch) {
    let buffers = match call.kind & SYSCALL_SHAPE {
        SYSCALL_BUFFER => {
            let len = call.argument(2);
            // SAFETY: this CPU's scratch.
            unsafe { (*scratch).vectors[0] = Vector { base: call.argument(1), len } };
            Buffers { count: 1, capacity: len }
        }
        SYSCALL_VECTOR => read_vectors(call.argument(1), call.argument(2), scratch),
        SYSCALL_MESSAGE => read_message(call.argument(1), scratch),
        SYSCALL_MESSAGES => read_message(call.argument(1) + u64::from(message) * MESSAGE_SIZE, scratch),
        _ => Buffers::NONE,
    };
    put(scratch, buffers);
}

/// Notes the buffers.
#[inline(always)]
pub fn put(scratch: *mut Scratch, buffers: Buffers) {
    // SAFETY: this CPU's scratch.
    unsafe { (&raw mut (*scratch).buffers).write_volatile(buffers) };
}

/// The buffers that [`locate`] found.
#[inline(always)]
pub fn found(scratch: *mut Scratch) -> Buffers {
    // SAFETY: this CPU's scratch.
    unsafe { (&raw const (*scratch).buffers).read_volatile() }
}

/// The buffers of a `struct msghdr` in user memory.
#[inline(always)]
pub fn read_message(message: u64, scratch: *mut Scratch) -> Buffers {
    match user::<Vector>(message + MESSAGE_VECTORS) {
        Some(Vector { base, len }) => read_vectors(base, len, scratch),
        None => Buffers::NONE,
    }
}

/// The buffers of an array of `struct iovec` in user memory.
#[inline(always)]
pub fn read_vectors(base: u64, given: u64, scratch: *mut Scratch) -> Buffers {
    let cut = given > u64::from(VECTORS);
    let count = if cut { VECTORS } else { given as u32 };
    // SAFETY: this CPU's scratch.
    let vectors = unsafe { &raw mut (*scratch).vectors };
    let size = at_most::<{ VECTORS as u64 * size_of::<Vector>() as u64 }>(u64::from(count) * size_of::<Vector>() as u64);
    // SAFETY: the scratch has room for `VECTORS`; the helper checks the user's address.
    let failed = unsafe { generated::bpf_probe_read_user(vectors.cast(), size as u32, base as *const _) } != 0;
    if failed {
        emit::lost(LOST_USER_COPY);
        return Buffers::NONE;
    }
    let capacity = if cut { CAPACITY_UNKNOWN } else { capacity(vectors.cast(), count) };
    Buffers { count: count.into(), capacity }
}

/// Copies a value from user memory.
#[inline(always)]
fn user<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address.
    let value = unsafe { bpf_probe_read_user(address as *const T) };
    if value.is_err() {
        emit::lost(LOST_USER_COPY);
    }
    value.ok()
}

/// Bytes that the vectors hold together.
#[inline(always)]
fn capacity(vectors: *const Vector, count: u32) -> u64 {
    let mut sum = 0u64;
    for index in 0..VECTORS {
        if index >= count {
            break;
        }
        // SAFETY: below `VECTORS`.
        sum = sum.wrapping_add(unsafe { (*vectors.add(index as usize)).len });
    }
    sum
}

/// The place of the message that the calling thread just sent or received within its sendmmsg/recvmmsg: one after the last one of the
/// same vector. A call that ended early leaves a wrong place behind unless `finished` was told so.
#[inline(always)]
pub fn message_place(call: Call, thread: u32) -> u32 {
    let messages = call.argument(1);
    match POSITIONS.get_ptr(thread) {
        // SAFETY: a live map value.
        Some(position) if unsafe { (*position).messages == messages && u64::from((*position).next) < call.argument(2) } => unsafe {
            (*position).next
        },
        _ => 0,
    }
}

/// Remembers the place of the next message, or that the call is over.
#[inline(always)]
pub fn message_done(call: Call, thread: u32, place: u32, over: bool) {
    let next = if over { 0 } else { place + 1 };
    let position = Position { messages: call.argument(1), next, pad: 0 };
    // An LRU table takes every entry; should it not, the next message counts as the first.
    if POSITIONS.insert(thread, position, u64::from(BPF_ANY)).is_err() {
        emit::lost(LOST_ADDRESS);
    }
}

/// Address of the `sockaddr` that a sending call was given for the message at `place`; 0 = it has none.
#[inline(always)]
pub fn name(call: Call, place: u32) -> u64 {
    match call.kind & SYSCALL_SHAPE {
        SYSCALL_BUFFER if call.kind & SYSCALL_FLAGS != 0 => call.argument(4),
        SYSCALL_MESSAGE => user::<u64>(call.argument(1)).unwrap_or(0),
        SYSCALL_MESSAGES => user::<u64>(call.argument(1) + u64::from(place) * MESSAGE_SIZE).unwrap_or(0),
        _ => 0,
    }
}

/// Puts the first buffer of the call, or of its message at `place`, into the scratch.
#[inline(always)]
pub fn locate_first(call: Call, place: u32, scratch: *mut Scratch) {
    let second = call.argument(1);
    let vectors = match call.kind & SYSCALL_SHAPE {
        SYSCALL_MESSAGE | SYSCALL_MESSAGES => user::<u64>(second + u64::from(place) * MESSAGE_SIZE + MESSAGE_VECTORS).unwrap_or(0),
        _ => second,
    };
    let first = match call.kind & SYSCALL_SHAPE {
        SYSCALL_BUFFER => Vector { base: second, len: call.argument(2) },
        _ => user::<Vector>(vectors).unwrap_or(Vector { base: 0, len: 0 }),
    };
    // SAFETY: this CPU's scratch.
    unsafe { (&raw mut (*scratch).vectors).cast::<Vector>().write_volatile(first) };
}

/// Bytes that a finished sendmmsg/recvmmsg moved in the message at `place`.
#[inline(always)]
pub fn message_len(messages: u64, place: u32) -> u32 {
    user::<u32>(messages + u64::from(place) * MESSAGE_SIZE + MESSAGE_LEN).unwrap_or(0)
}

/// Bytes that a finished sendmmsg/recvmmsg moved in its first `count` messages. The sum is kept in the scratch for the verifier's sake.
#[inline(always)]
pub fn messages_sum(messages: u64, count: u64, scratch: *mut Scratch) -> u32 {
    // SAFETY: this CPU's scratch.
    let sum = unsafe { &raw mut (*scratch).buffers.capacity };
    // SAFETY: as above.
    unsafe { sum.write_volatile(0) };
    for place in 0..MESSAGES {
        if place >= count {
            break;
        }
        let len = user::<u32>(messages + place * MESSAGE_SIZE + MESSAGE_LEN).unwrap_or(0);
        // SAFETY: as above.
        unsafe { sum.write_volatile(sum.read_volatile() + u64::from(len)) };
    }
    // SAFETY: as above.
    unsafe { sum.read_volatile() as u32 }
}
