//! Plaintext of a call → records in the ring, in pieces. In: a header and the user's buffer; out: events. Each record is built in memory
//! that the program has claimed: uprobe programs can be preempted by others on the same CPU.
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use perfmon_common::event::*;
use perfmon_common::map::LOST_USER_COPY;

use crate::capture::{bounded, is_switch};
use crate::emit;
use crate::maps::tls::{TLS_PIECE, TLS_RECORDS, TLS_SCRATCH, TlsRecord};

/// Bytes of one call that are captured at most.
pub const FULL: u32 = 256 * 1024;
/// Pieces of one call.
const PIECES: u32 = FULL.div_ceil(TLS_PIECE);

/// A record under construction that belongs to this program until it is released.
#[derive(Clone, Copy)]
pub struct Claim(*mut TlsRecord);

impl Claim {
    /// A record of this CPU that no other program uses; `None` when there is none.
    #[inline(always)]
    pub fn take() -> Option<Self> {
        for index in 0..TLS_RECORDS {
            let record = TLS_SCRATCH.get_ptr_mut(index)?;
            // SAFETY: a live map value; `busy` is only exchanged, and stored by who owns the record.
            if unsafe { exchange(&raw mut (*record).busy, 1) } == 0 {
                return Some(Self(record));
            }
        }
        None
    }

    /// Gives the record back.
    #[inline(always)]
    pub fn release(self) {
        // SAFETY: as in `take`; programs are not moved to another CPU.
        unsafe { (&raw mut (*self.0).busy).write_volatile(0) };
    }

    /// The call that the record is about.
    #[inline(always)]
    pub fn begin(self, header: TlsHeader) {
        // SAFETY: the claimed record.
        unsafe { (*self.0).header = header };
    }

    /// Emits the first `want` bytes at `buffer`, or the header alone.
    #[inline(always)]
    pub fn pieces(self, buffer: u64, want: u32) {
        self.set_progress(0, want.into());
        for _ in 0..PIECES {
            if !self.piece(buffer) {
                return;
            }
        }
    }

    /// Whether what was captured last begins an answer that switches protocols.
    #[inline(always)]
    pub fn is_switch(self) -> bool {
        // SAFETY: the claimed record.
        unsafe { is_switch((&raw const (*self.0).payload).cast()) }
    }

    /// How far the copy is: bytes that were emitted, bytes in all. Kept in the record, not in registers, so that to the verifier each round
    /// of the loop looks like the one before.
    #[inline(always)]
    fn progress(self) -> (u64, u64) {
        // SAFETY: the claimed record.
        unsafe { ((&raw const (*self.0).done).read_volatile(), (&raw const (*self.0).want).read_volatile()) }
    }

    #[inline(always)]
    fn set_progress(self, done: u64, want: u64) {
        // SAFETY: the claimed record.
        unsafe {
            (&raw mut (*self.0).done).write_volatile(done);
            (&raw mut (*self.0).want).write_volatile(want);
        }
    }

    /// Emits the next piece. False when it was the last one.
    #[inline(always)]
    fn piece(self, buffer: u64) -> bool {
        let (done, want) = self.progress();
        let part = bounded(want - done);
        // SAFETY: the claimed record, which has room for a piece.
        let failed =
            part != 0 && unsafe { bpf_probe_read_user((&raw mut (*self.0).payload).cast(), part as u32, (buffer + done) as *const _) } != 0;
        if failed {
            emit::lost(LOST_USER_COPY);
            self.emit(0, done, DATA_LAST_PIECE | DATA_FAULT);
            return false;
        }
        let is_last = done + part >= want;
        self.set_progress(done + part, want);
        self.emit(part, done, if is_last { DATA_LAST_PIECE } else { 0 }) && !is_last
    }

    /// Emits the `len` bytes in the record, which come after `before` bytes of the call.
    #[inline(always)]
    fn emit(self, len: u64, before: u64, flags: u8) -> bool {
        let len = bounded(len);
        // SAFETY: the claimed record.
        unsafe {
            let header = &mut (*self.0).header;
            header.captured_len = len as u32;
            header.piece_offset = before as u32;
            header.flags = flags;
            emit::data(header.tgid, (&raw mut (*self.0).header).cast(), size_of::<TlsHeader>() as u64 + len)
        }
    }
}

/// Replaces a number and gives the one before, as one step (Linux 5.12 and later). `core` has no such function for this machine.
///
/// # Safety
/// `place` is within a live map value.
#[inline(always)]
#[cfg(not(feature = "copied-task"))]
unsafe fn exchange(place: *mut u64, mut value: u64) -> u64 {
    // SAFETY: one instruction on memory that the caller vouches for.
    unsafe {
        core::arch::asm!("{value} = xchg_64({place} + 0, {value})", place = in(reg) place, value = inout(reg) value, options(nostack))
    };
    value
}

/// The same in two steps: before Linux 6.0 nothing runs between them, since uprobe programs are not preempted.
///
/// # Safety
/// As above.
#[inline(always)]
#[cfg(feature = "copied-task")]
unsafe fn exchange(place: *mut u64, value: u64) -> u64 {
    // SAFETY: memory that the caller vouches for.
    unsafe {
        let before = place.read_volatile();
        place.write_volatile(value);
        before
    }
}
