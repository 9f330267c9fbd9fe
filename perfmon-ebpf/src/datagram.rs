//! Questions for names over UDP (RFC 1035), asked by the calling process: its questions on their way out, the answers on their way in. In: a
//! finished operation on a socket that is no stream; out: a `DatagramHeader` with the datagram. By what stands in it, not by the port: stub
//! resolvers and tests listen anywhere. Other datagrams cost the look at their first 12 bytes, larger ones on their way out not even that.
//! Misses: datagrams of io_uring, and those that a server receives and sends.
use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::helpers::generated;
use perfmon_common::event::*;
use perfmon_common::map::*;

use crate::capture::at_most;
use crate::emit;
use crate::filter::Caller;
use crate::maps::{Scratch, Vector};
use crate::operation::{self, Operation};
use crate::sock::{AF_INET, AF_INET6};
use crate::task::Call;
use crate::user_buf;

/// Bytes of the header of a message.
const HEAD: u32 = 12;
/// The longest question: one name, and options with padding (RFC 8467).
const QUESTION_MAX: u32 = 1024;
/// Questions in one message at most; all that are in use have one.
const QUESTIONS: u16 = 8;
/// Messages of one sendmmsg or recvmmsg that are looked at: resolvers ask for both address families at once.
const MESSAGES: u32 = 4;
/// `MSG_TRUNC`: the length is that of the datagram, the buffer holds its beginning.
const MSG_TRUNC: u32 = 0x20;
/// Bytes of a `sockaddr_in6` up to the end of its address.
const ADDRESS: usize = 24;

/// Reports the operation if it is a question or an answer.
#[inline(always)]
pub fn finished(op: Operation, caller: Caller, call: Call, now: u64, scratch: *mut Scratch) {
    if !may_be(op) || call.kind == 0 || !op.sock.is_udp() || !op.sock.is_open_file() || operation::is_foreign(op, call) {
        return;
    }
    let place = operation::find_given(Operation { flags: op.flags & !MSG_TRUNC, ..op }, caller, call, scratch);
    report(op, caller, call, place, now, scratch);
}

/// The same for all messages of a finished sendmmsg or recvmmsg, of which the kernel told `count`.
#[inline(always)]
pub fn several(op: Operation, caller: Caller, call: Call, count: u64, now: u64, scratch: *mut Scratch) {
    for place in 0..MESSAGES {
        if u64::from(place) >= count {
            break;
        }
        let op = Operation { len: user_buf::message_len(call.argument(1), place), ..op };
        if may_be(op) {
            user_buf::locate(call, place, scratch);
            report(op, caller, call, place, now, scratch);
        }
    }
}

/// By its length.
#[inline(always)]
fn may_be(op: Operation) -> bool {
    op.len > HEAD && (op.direction == DIRECTION_IN || op.len <= QUESTION_MAX)
}

#[inline(always)]
fn report(op: Operation, caller: Caller, call: Call, place: u32, now: u64, scratch: *mut Scratch) {
    if user_buf::found(scratch).count == 0 {
        return;
    }
    // SAFETY: this CPU's scratch.
    let first = unsafe { (&raw const (*scratch).vectors).cast::<Vector>().read() };
    let len = u64::from(op.len).min(first.len);
    // A wrong address is the caller's mistake, which is no loss.
    // SAFETY: the helper checks the user's address.
    let Ok(head) = (unsafe { bpf_probe_read_user(first.base as *const [u8; HEAD as usize]) }) else { return };
    if len < u64::from(HEAD) || !is_message(&head, op.direction) {
        return;
    }
    let want = at_most::<{ DATAGRAM_MAX as u64 }>(len);
    // SAFETY: this CPU's scratch, which has room for it; the helper checks the user's address.
    if unsafe { generated::bpf_probe_read_user((&raw mut (*scratch).payload).cast(), want as u32, first.base as *const _) } != 0 {
        return emit::lost(LOST_USER_COPY);
    }
    let mut header = DatagramHeader {
        kind: KIND_DATAGRAM,
        captured_len: want as u32,
        sock: op.sock.0,
        time_ns: now,
        peer_addr: [0; 16],
        total_len: op.len,
        tgid: caller.tgid,
        thread: caller.thread,
        inode: op.sock.inode(),
        family: 0,
        peer_port: op.sock.peer_port(),
        direction: op.direction,
        pad: [0; 3],
    };
    if header.peer_port != 0 {
        header.family = op.sock.family();
        op.sock.peer_address(&mut header.peer_addr);
    } else if op.direction == DIRECTION_OUT {
        named(user_buf::name(call, place), &mut header);
    }
    // SAFETY: both headers have the same size and alignment.
    unsafe { (&raw mut (*scratch).header).cast::<DatagramHeader>().write(header) };
    emit::data(caller.tgid, scratch.cast(), size_of::<DatagramHeader>() as u64 + at_most::<{ DATAGRAM_MAX as u64 }>(want));
}
const _: () = assert!(size_of::<DatagramHeader>() == size_of::<DataHeader>());

/// Whether a message begins like this: a standard query with questions alone, or an answer to one (RFC 1035, 4.1.1).
#[inline(always)]
fn is_message(head: &[u8; HEAD as usize], direction: u8) -> bool {
    let [_, _, flags, _, question_high, question_low, answer_high, answer_low, authority_high, authority_low, more_high, more_low] = *head;
    let questions = u16::from_be_bytes([question_high, question_low]);
    if questions == 0 || questions > QUESTIONS || flags & 0x78 != 0 || more_high != 0 {
        return false;
    }
    if direction == DIRECTION_OUT {
        flags & 0x80 == 0 && (answer_high | answer_low | authority_high | authority_low) == 0 && more_low <= 2
    } else {
        flags & 0x80 != 0 && (answer_high | authority_high) == 0
    }
}

/// The peer from the address that the call was given, a `sockaddr` in user memory.
#[inline(always)]
fn named(address: u64, header: &mut DatagramHeader) {
    // SAFETY: the helper checks the address. An address of IPv4 is shorter: what stands behind it is not used.
    let bytes: [u8; ADDRESS] = match unsafe { bpf_probe_read_user(address as *const [u8; ADDRESS]) } {
        Ok(bytes) => bytes,
        // It may stand at the end of a page.
        Err(_) => match unsafe { bpf_probe_read_user(address as *const [u8; 16]) } {
            Ok([a, b, c, d, e, f, g, h, ..]) => [a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            Err(_) => return,
        },
    };
    header.family = u16::from_ne_bytes([bytes[0], bytes[1]]);
    header.peer_port = u16::from_be_bytes([bytes[2], bytes[3]]);
    match header.family {
        AF_INET => header.peer_addr[..4].copy_from_slice(&bytes[4..8]),
        AF_INET6 => header.peer_addr.copy_from_slice(&bytes[8..]),
        _ => header.family = 0,
    }
}
