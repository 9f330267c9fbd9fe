//! Questions for names over UDP (RFC 1035), asked by the calling process: its questions on their way out, the answers on their way in. In: a
//! finished operation on a socket that is no stream; out: a `DatagramHeader` with the datagram. By what stands in it, not by the port: stub
//! resolvers and tests listen anywhere. Other datagrams cost the look at their first 12 bytes, larger ones on their way out not even that.
//! Misses: datagrams of io_uring, and those that a server receives and sends.
use aya_ebpf::helpers::generated;
use perfmon_common::event::*;
use perfmon_common::map::*;

use crate::capture::at_most;
use crate::emit;
use crate::filter::Caller;
use crate::maps::{PIECE, Scratch, Vector};
use crate::operation::{self, Operation};
use crate::sock::{AF_INET, AF_INET6};
use crate::task::Call;
use crate::user_buf;

/// Bytes of the header of a message.
const HEAD: u32 = 12;
/// The longest question: one name, and options with padding (RFC 8467).
const QUESTION_MAX: u32 = 1024;
/// Questions in one message at most; all that are in use have one.
const QUESTIONS: u32 = 8;
/// Messages of one sendmmsg or recvmmsg that are looked at: the C library asks for both address families at once.
const MESSAGES: u32 = 2;
/// Bytes of a `sockaddr_in6` up to the end of its address, and of a `sockaddr_in`.
const ADDRESS_V6: u32 = 24;
const ADDRESS_V4: u32 = 8;

/// Reports a finished operation of the socket tracepoints if it is a question or an answer.
#[inline(always)]
pub fn finished(op: Operation, caller: Caller, call: Call, scratch: *mut Scratch) {
    let is_vector = call.kind & SYSCALL_SHAPE == SYSCALL_MESSAGES;
    if call.kind == 0 || !(is_vector || may_be(op)) || !op.sock.is_udp() || operation::is_foreign(op, call) {
        return;
    }
    let mut place = 0;
    if is_vector {
        place = user_buf::message_place(call, caller.thread);
        user_buf::message_done(call, caller.thread, place, false);
    }
    if !may_be(op) {
        return;
    }
    user_buf::locate_first(call, place, scratch);
    report(op, caller, call, place, scratch);
}

/// The same of a finished system call on a UDP socket, of which the kernel told `result`: bytes, or messages.
#[inline(always)]
pub fn returned(op: Operation, caller: Caller, call: Call, result: u64, scratch: *mut Scratch) {
    let is_vector = call.kind & SYSCALL_SHAPE == SYSCALL_MESSAGES;
    let count = if is_vector { result } else { 1 };
    for place in 0..MESSAGES {
        if u64::from(place) >= count {
            break;
        }
        let len = if is_vector { user_buf::message_len(call.argument(1), place) } else { result as u32 };
        let op = Operation { len, ..op };
        if may_be(op) {
            user_buf::locate_first(call, place, scratch);
            report(op, caller, call, place, scratch);
        }
    }
}

/// By its length.
#[inline(always)]
fn may_be(op: Operation) -> bool {
    op.len > HEAD && (op.direction == DIRECTION_IN || op.len <= QUESTION_MAX)
}

/// Everything stands in the scratch, not on the stack: the verifier knows nothing of what is in a map, so that paths come together again.
#[inline(always)]
fn report(op: Operation, caller: Caller, call: Call, place: u32, scratch: *mut Scratch) {
    // SAFETY: this CPU's scratch, which has room for two pieces.
    let (first, payload, spare) = unsafe {
        let payload = (&raw mut (*scratch).payload).cast::<u8>();
        ((&raw const (*scratch).vectors).cast::<Vector>().read_volatile(), payload, payload.add(PIECE as usize))
    };
    let len = u64::from(op.len).min(first.len);
    // A wrong address is the caller's mistake, which is no loss.
    if len < u64::from(HEAD) || !copy(payload, HEAD, first.base) || !is_message(payload, op.direction) {
        return;
    }
    let want = at_most::<{ DATAGRAM_MAX as u64 }>(len);
    if !copy(payload, want as u32, first.base) {
        return emit::lost(LOST_USER_COPY);
    }
    // SAFETY: this CPU's scratch; both headers have the same size and alignment.
    let header = unsafe { &mut *(&raw mut (*scratch).header).cast::<DatagramHeader>() };
    header.kind = KIND_DATAGRAM;
    header.captured_len = want as u32;
    header.sock = op.sock.0;
    // SAFETY: no arguments.
    header.time_ns = unsafe { generated::bpf_ktime_get_boot_ns() };
    header.total_len = op.len;
    header.tgid = caller.tgid;
    header.thread = caller.thread;
    header.inode = op.sock.inode();
    header.direction = op.direction;
    header.pad = [0; 3];
    header.peer_addr = [0; 16];
    header.peer_port = op.sock.peer_port();
    header.family = 0;
    if header.peer_port != 0 {
        header.family = op.sock.family();
        op.sock.peer_address(&mut header.peer_addr);
    } else if op.direction == DIRECTION_OUT {
        named(user_buf::name(call, place), header, spare);
    }
    emit::data(caller.tgid, scratch.cast(), size_of::<DatagramHeader>() as u64 + at_most::<{ DATAGRAM_MAX as u64 }>(want));
}
const _: () = assert!(size_of::<DatagramHeader>() == size_of::<DataHeader>());

/// Copies `len` bytes of the user's.
#[inline(always)]
fn copy(into: *mut u8, len: u32, address: u64) -> bool {
    // SAFETY: callers give room for `len`; the helper checks the user's address.
    unsafe { generated::bpf_probe_read_user(into.cast(), len, address as *const _) == 0 }
}

/// Whether a message begins like this: a standard query with questions alone, or an answer to one (RFC 1035, 4.1.1).
#[inline(always)]
fn is_message(head: *const u8, direction: u8) -> bool {
    // SAFETY: there are HEAD bytes.
    let byte = |at: usize| u32::from(unsafe { head.add(at).read_volatile() });
    let (flags, questions, more) = (byte(2), byte(4) << 8 | byte(5), byte(10));
    // The number of answers and of name servers.
    let (high, low) = (byte(6) | byte(8), byte(7) | byte(9));
    let is_answer = direction == DIRECTION_IN;
    let wrong = (flags & 0x78) | more | high | if is_answer { !flags & 0x80 } else { flags & 0x80 | low };
    wrong == 0 && questions.wrapping_sub(1) < QUESTIONS
}

/// The peer from the address that the call was given, a `sockaddr` in user memory.
#[inline(always)]
fn named(address: u64, header: &mut DatagramHeader, spare: *mut u8) {
    // An address of IPv4 is shorter, and may stand at the end of a page.
    if !copy(spare, ADDRESS_V6, address) && !copy(spare, ADDRESS_V4, address) {
        return;
    }
    // SAFETY: the spare place is larger.
    unsafe {
        let family = spare.cast::<u16>().read_volatile();
        header.peer_port = u16::from_be(spare.add(2).cast::<u16>().read_volatile());
        let into = (&raw mut header.peer_addr).cast::<u32>();
        match family {
            AF_INET => into.write(spare.add(4).cast::<u32>().read_volatile()),
            AF_INET6 => (0..4).for_each(|word| into.add(word).write(spare.add(8).cast::<u32>().add(word).read_volatile())),
            _ => return,
        }
        header.family = family;
    }
}
