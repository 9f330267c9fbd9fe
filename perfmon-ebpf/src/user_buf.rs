//! From a system call's arguments to the user's buffers. In: saved registers; out: up to `VECTORS` buffers in the scratch.
//! Layouts: include/uapi/linux/uio.h (`iovec`), include/linux/socket.h (`user_msghdr`, `mmsghdr`), 64-bit.
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::helpers::generated;
use perfmon_common::map::*;

use crate::emit;
use crate::maps::{POSITIONS, Position, VECTORS, Vector};
use crate::task::Call;

/// Offset of `msg_iov` in `struct user_msghdr`; `msg_iovlen` follows.
const MESSAGE_VECTORS: u64 = 16;
/// `sizeof(struct mmsghdr)`.
const MESSAGE_SIZE: u64 = 64;
/// Offset of `msg_len` in `struct mmsghdr`.
const MESSAGE_LEN: u64 = 56;
/// Messages of one sendmmsg/recvmmsg that are added up.
const MESSAGES: u64 = 32;

/// The user's buffers of an operation.
#[derive(Clone, Copy)]
pub struct Buffers {
    /// Vectors in the scratch.
    pub count: u32,
    /// There are more than that.
    pub cut: bool,
}

/// Puts the buffers of the call into `vectors`; `None` when the call has none that can be read. `message` is the place in a message vector.
#[inline(always)]
pub fn locate(call: Call, message: u32, vectors: *mut Vector) -> Option<Buffers> {
    match call.kind & SYSCALL_SHAPE {
        SYSCALL_BUFFER => {
            // SAFETY: the scratch has room for `VECTORS`.
            unsafe { *vectors = Vector { base: call.argument(1), len: call.argument(2) } };
            Some(Buffers { count: 1, cut: false })
        }
        SYSCALL_VECTOR => read_vectors(call.argument(1), call.argument(2), vectors),
        SYSCALL_MESSAGE => read_message(call.argument(1), vectors),
        SYSCALL_MESSAGES => read_message(call.argument(1) + u64::from(message) * MESSAGE_SIZE, vectors),
        _ => None,
    }
}

#[inline(always)]
fn read_message(message: u64, vectors: *mut Vector) -> Option<Buffers> {
    let Some(Vector { base, len }) = user::<Vector>(message + MESSAGE_VECTORS) else { return None };
    read_vectors(base, len, vectors)
}

#[inline(always)]
fn read_vectors(base: u64, count: u64, vectors: *mut Vector) -> Option<Buffers> {
    let cut = count > u64::from(VECTORS);
    let count = if cut { VECTORS } else { count as u32 };
    // SAFETY: the scratch has room for `VECTORS`; the helper checks the user's address.
    let failed = unsafe { generated::bpf_probe_read_user(vectors.cast(), count * size_of::<Vector>() as u32, base as *const _) } != 0;
    if failed {
        emit::lost(LOST_USER_COPY);
        return None;
    }
    Some(Buffers { count, cut })
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

/// Bytes that the buffers hold together.
#[inline(always)]
pub fn capacity(buffers: Buffers, vectors: *const Vector) -> u64 {
    let mut sum = 0u64;
    for index in 0..VECTORS {
        if index >= buffers.count {
            break;
        }
        // SAFETY: below `VECTORS`.
        sum = sum.saturating_add(unsafe { (*vectors.add(index as usize)).len });
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

/// Bytes that a finished sendmmsg/recvmmsg moved in its first `count` messages.
#[inline(always)]
pub fn messages_sum(messages: u64, count: u64) -> u32 {
    let mut sum = 0;
    for place in 0..MESSAGES {
        if place >= count {
            break;
        }
        sum += user::<u32>(messages + place * MESSAGE_SIZE + MESSAGE_LEN).unwrap_or(0);
    }
    sum
}
