//! The buffers of io_uring's socket operations. In: a finished operation that no system call describes; out: its buffers in the scratch.
//! The request (`struct io_kiocb`) is one that the thread submitted last, or one that a worker has to do or that waited for the socket and
//! was woken. It counts only when its file is the socket and its operation goes the same way. Misses: buffers of bundles, and requests of
//! kernels without the hooks.
use perfmon_common::event::{DIRECTION_IN, DIRECTION_OUT};
use perfmon_common::map::{ABSENT, LOST_URING};

use crate::maps::uring::{ARMED, Armed, REQUESTS, SUBMITTED};
use crate::maps::{Buffers, Scratch, Vector, offset};
use crate::operation::Operation;
use crate::sock::{self, Sock, read};
use crate::task::{self, Typed};
use crate::{emit, user_buf};

/// `IOSQE_FIXED_FILE`.
const FIXED_FILE: u32 = 1 << 0;
/// `IORING_RECVSEND_BUNDLE`: several provided buffers at once.
const BUNDLE: u16 = 1 << 4;

/// How a request names its buffers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Reads and writes: address and length.
    Buffer,
    /// `struct iovec *` and count.
    Vector,
    /// Sends and receives: address and length.
    Socket,
    /// `struct msghdr *`.
    Message,
}

/// A `struct io_kiocb`.
#[derive(Clone, Copy)]
pub struct Request(pub u64);

impl Request {
    /// What it does on a socket, and which way (`IORING_OP_*`, include/uapi/linux/io_uring.h).
    #[inline(always)]
    fn kind(self) -> Option<(Shape, u8)> {
        match read::<u8>(self.0 + u64::from(offset!(uring_opcode))) {
            4 | 22 | 49 => Some((Shape::Buffer, DIRECTION_IN)),
            5 | 23 => Some((Shape::Buffer, DIRECTION_OUT)),
            1 => Some((Shape::Vector, DIRECTION_IN)),
            2 => Some((Shape::Vector, DIRECTION_OUT)),
            27 => Some((Shape::Socket, DIRECTION_IN)),
            26 | 47 => Some((Shape::Socket, DIRECTION_OUT)),
            10 => Some((Shape::Message, DIRECTION_IN)),
            9 | 48 => Some((Shape::Message, DIRECTION_OUT)),
            _ => None,
        }
    }

    /// Whether it may move bytes on a socket.
    #[inline(always)]
    pub fn moves_bytes(self) -> bool {
        self.kind().is_some()
    }

    /// Its socket, and which way; none before its file is looked up.
    #[inline(always)]
    pub fn moves_on(self) -> Option<(Sock, u8)> {
        let (_, direction) = self.kind()?;
        let file: u64 = read(self.0 + u64::from(offset!(uring_file)));
        if file == 0 { None } else { sock::of_file(file).map(|sock| (sock, direction)) }
    }

    /// The same before its file is looked up, by the descriptor. Registered files are not found.
    #[inline(always)]
    pub fn will_move_on(self, task: Typed) -> Option<(Sock, u8)> {
        let flags: u32 = read(self.0 + u64::from(offset!(uring_flags)));
        if offset!(uring_descriptor) == ABSENT || flags & FIXED_FILE != 0 {
            return None;
        }
        let (_, direction) = self.kind()?;
        let descriptor: u32 = read(self.0 + u64::from(offset!(uring_descriptor)));
        sock::of_descriptor(task, descriptor).map(|sock| (sock, direction))
    }

    /// A member of its command.
    #[inline(always)]
    fn command<T: Copy + Default>(self, offset: u32) -> T {
        read(self.0 + u64::from(offset!(uring_command)) + u64::from(offset))
    }

    /// The buffer that a send or receive of `len` bytes just used, by the kernel's iterator, which stands behind those bytes.
    #[inline(always)]
    fn passed(self, len: u32) -> Option<u64> {
        if offset!(uring_iterator) == ABSENT {
            return None;
        }
        let message: u64 = read(self.0 + u64::from(offset!(uring_async)));
        if message == 0 {
            return None;
        }
        let iterator = message + u64::from(offset!(uring_iterator));
        let done: u64 = read(iterator + u64::from(offset!(iter_offset)));
        if u32::from(read::<u8>(iterator + u64::from(offset!(iter_type)))) != offset!(iter_is_buffer) || done < u64::from(len) {
            return None;
        }
        Some(read::<u64>(iterator + u64::from(offset!(iter_buffer))) + done - u64::from(len))
    }

    /// Puts the buffers that it used for `len` bytes into the scratch.
    #[inline(always)]
    fn locate(self, len: u32, scratch: *mut Scratch) -> Buffers {
        let Some((shape, _)) = self.kind() else { return Buffers::NONE };
        if matches!(shape, Shape::Socket | Shape::Message)
            && let Some(base) = self.passed(len)
        {
            return one(base, len.into(), scratch);
        }
        match shape {
            Shape::Buffer => one(self.command(offset!(rw_address)), self.command::<u32>(offset!(rw_len)).into(), scratch),
            Shape::Vector => {
                user_buf::read_vectors(self.command(offset!(rw_address)), self.command::<u32>(offset!(rw_len)).into(), scratch)
            }
            Shape::Socket if self.command::<u16>(offset!(sr_flags)) & BUNDLE != 0 => Buffers::NONE,
            Shape::Socket => one(self.command(offset!(sr_buffer)), self.command::<u32>(offset!(sr_len)).into(), scratch),
            Shape::Message => user_buf::read_message(self.command(offset!(sr_buffer)), scratch),
        }
    }
}

#[inline(always)]
fn one(base: u64, len: u64, scratch: *mut Scratch) -> Buffers {
    if base == 0 {
        return Buffers::NONE;
    }
    // SAFETY: this CPU's scratch.
    unsafe { (*scratch).vectors[0] = Vector { base, len } };
    Buffers { count: 1, capacity: len }
}

/// Finds the buffers of an operation that io_uring did for the calling thread.
#[inline(always)]
pub fn locate(op: Operation, thread: u32, scratch: *mut Scratch) {
    let found = match find(op, thread) {
        Some(request) => request.locate(op.len, scratch),
        None => Buffers::NONE,
    };
    // A buffer that is shorter than what moved is another operation's.
    let is_read = found.count != 0 && found.capacity >= u64::from(op.len);
    let task = task::current();
    if !is_read && op.len > 0 && (task::uses_io_uring(task) || task::is_io_worker(task)) {
        emit::lost(LOST_URING);
    }
    user_buf::put(scratch, if is_read { found } else { Buffers::NONE });
}

#[inline(always)]
fn find(op: Operation, thread: u32) -> Option<Request> {
    if offset!(uring_opcode) == ABSENT {
        return None;
    }
    if let Some(submitted) = SUBMITTED.get_ptr(thread) {
        // SAFETY: a live map value.
        let next = unsafe { (*submitted).next };
        for back in 1..=REQUESTS {
            let index = next.wrapping_sub(back) & (REQUESTS - 1);
            // SAFETY: below `REQUESTS`.
            let request = Request(unsafe { *(&raw const (*submitted).requests).cast::<u64>().add(index as usize) });
            if request.0 != 0 && request.moves_on() == Some((op.sock, op.direction)) {
                return Some(request);
            }
        }
    }
    let key = Armed { sock: op.sock.0, direction: op.direction.into() };
    // SAFETY: a live map value.
    let request = Request(unsafe { *ARMED.get_ptr(key)? });
    (request.moves_on() == Some((op.sock, op.direction))).then_some(request)
}
