//! From an operation to data records: how much of it is captured, copied from the user's buffers, cut into pieces.
//! Captured bytes are always a contiguous prefix of the operation.
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use perfmon_common::event::*;
use perfmon_common::map::*;

use crate::maps::setting;
use crate::maps::{Buffers, CAPACITY_UNKNOWN, Cursor, PIECE, Scratch, VECTORS, Vector};
use crate::{emit, user_buf};

/// Bytes of one operation that full capture covers: 16 pieces and a bit, so that 256 KiB fit.
const FULL: u32 = 256 * 1024;
/// Flags of an operation that all its records have.
const KEPT: u8 = DATA_RUN | DATA_BEGINS;
/// Rounds of the copy loop: each ends a vector or a piece.
const ROUNDS: u32 = FULL / PIECE + 1 + VECTORS;

/// Bytes that are captured of a run's first operation however full the ring is: the head stands in them.
const ALWAYS: u32 = 1024;
/// Bytes of a run that are captured while the ring fills: a head with many fields.
const LEAN: u32 = 4096;

/// Bytes to capture of an operation of `len` bytes in `direction`. While the reader falls behind, bodies make room for heads: from half of
/// the ring on those that no model call was seen to need, near its end all of them. Their sizes are told without them.
#[inline(always)]
pub fn wanted(state: &SocketState, direction: u8, len: u32) -> u32 {
    let want = affordable(state, direction, len);
    if want <= ALWAYS / 2 {
        return want;
    }
    let (waiting, ring) = (emit::waiting(), u64::from(setting!(ring_bytes)));
    if waiting > ring / 8 * 7 {
        if state.mode == MODE_FULL {
            emit::lost(LOST_CAPTURE_CUT);
        }
        return want.min(ALWAYS.saturating_sub(state.run_captured));
    }
    if waiting > ring / 2 && state.mode != MODE_FULL {
        return want.min(LEAN.saturating_sub(state.run_captured).max(state.operation_head));
    }
    want
}

/// The same with an empty ring.
#[inline(always)]
fn affordable(state: &SocketState, direction: u8, len: u32) -> u32 {
    match state.mode {
        MODE_COUNT => 0,
        MODE_FULL => {
            if len > FULL {
                emit::lost(LOST_CAPTURE_CUT);
            }
            len.min(FULL)
        }
        _ => {
            let answers = match state.role {
                ROLE_SERVER => direction == DIRECTION_OUT,
                ROLE_CLIENT => direction == DIRECTION_IN,
                _ => false,
            };
            let budget = if answers { state.response_budget } else { state.request_budget };
            len.min(budget.saturating_sub(state.run_captured).max(state.operation_head)).min(FULL)
        }
    }
}

/// Bytes that [`is_switch`] looks at.
pub const SWITCH_BYTES: u32 = 12;

/// Whether bytes begin an answer that switches protocols (RFC 9110, 15.2.2). What follows it is framed anew, and comes before user space
/// can ask for it: full capture begins here, until user space says otherwise.
///
/// # Safety
/// At least `SWITCH_BYTES` can be read.
#[inline(always)]
pub unsafe fn is_switch(bytes: *const u8) -> bool {
    const VERSION: u64 = u64::from_le_bytes(*b"HTTP/1.1");
    const STATUS: u32 = u32::from_le_bytes(*b" 101");
    // SAFETY: as the caller says.
    unsafe { bytes.cast::<u64>().read_unaligned() == VERSION && bytes.add(8).cast::<u32>().read_unaligned() == STATUS }
}

/// Emits a record without payload. True when the ring took it.
#[inline(always)]
pub fn header_only(scratch: *mut Scratch, flags: u8) -> bool {
    // SAFETY: this CPU's scratch.
    unsafe {
        (*scratch).header.captured_len = 0;
        (*scratch).header.piece_offset = 0;
        (*scratch).header.flags = (*scratch).header.flags & KEPT | DATA_LAST_PIECE | flags;
        emit::data((*scratch).header.tgid, scratch.cast(), size_of::<DataHeader>() as u64)
    }
}

/// Copies `want` bytes of the buffers and emits them in pieces; tells how many were captured, and whether the ring took the first piece.
#[inline(always)]
pub fn payload(scratch: *mut Scratch, want: u32) -> (u32, bool) {
    // SAFETY: this CPU's scratch.
    let first = unsafe { (&raw const (*scratch).vectors).cast::<Vector>().read() };
    if want <= PIECE && u64::from(want) <= first.len {
        return at_once(scratch, first.base, want.into());
    }
    let mut copy = Copy(scratch);
    copy.set(Cursor { filled: 0, emitted: 0, index: 0, from: 0, want: want.into(), told: 0 });
    // Counted at the end of a round: what goes back must be a jump, which Linux 6.1 demands.
    let mut left = ROUNDS;
    while copy.round() {
        left -= 1;
        if left == 0 {
            break;
        }
    }
    let cursor = copy.cursor();
    (cursor.emitted as u32, cursor.told != 0)
}

/// The ordinary case: all of it stands in one buffer and fits one record.
#[inline(always)]
fn at_once(scratch: *mut Scratch, base: u64, want: u64) -> (u32, bool) {
    let want = bounded(want);
    // SAFETY: this CPU's scratch, which has room for a piece; the helper checks the user's address.
    let failed = unsafe { bpf_probe_read_user((&raw mut (*scratch).payload).cast(), want as u32, base as *const _) } != 0;
    let (len, flags) = if failed { (0, DATA_LAST_PIECE | DATA_FAULT) } else { (want, DATA_LAST_PIECE) };
    if failed {
        emit::lost(LOST_USER_COPY);
    }
    // SAFETY: as above.
    let told = unsafe {
        let header = &mut (*scratch).header;
        header.captured_len = len as u32;
        header.piece_offset = 0;
        header.flags = header.flags & KEPT | flags;
        emit::data(header.tgid, scratch.cast(), size_of::<DataHeader>() as u64 + bounded(len))
    };
    (len as u32, told)
}

/// A record under construction.
struct Copy(*mut Scratch);

impl Copy {
    /// Where the copy stands. It is kept in the scratch, not in registers: the verifier knows nothing of a number in a map, so that each
    /// round of the loop looks like the one before and is walked once instead of once for every way to get there.
    #[inline(always)]
    fn cursor(&self) -> Cursor {
        // SAFETY: this CPU's scratch.
        unsafe { (&raw const (*self.0).cursor).read_volatile() }
    }

    #[inline(always)]
    fn set(&mut self, cursor: Cursor) {
        // SAFETY: this CPU's scratch.
        unsafe { (&raw mut (*self.0).cursor).write_volatile(cursor) }
    }

    /// Goes on to the end of a vector or of the piece. False when there is nothing more to do.
    #[inline(always)]
    fn round(&mut self) -> bool {
        let Cursor { filled, emitted, mut index, mut from, want, told } = self.cursor();
        let Buffers { count, capacity } = user_buf::found(self.0);
        // SAFETY: the index is below VECTORS.
        let vector = unsafe { *(&raw const (*self.0).vectors).cast::<Vector>().add((index & u64::from(VECTORS - 1)) as usize) };
        let missing = want - emitted - filled;
        let filled = bounded(filled);
        let part = bounded((vector.len - from).min(missing).min(u64::from(PIECE) - filled));
        if !self.read(filled, vector.base + from, part) {
            self.emit(filled, emitted, DATA_LAST_PIECE | DATA_FAULT);
            return false;
        }
        from += part;
        if from == vector.len {
            index += 1;
            from = 0;
        }
        let filled = filled + part;
        let over = part == missing;
        if over || index >= count {
            if !over && capacity == CAPACITY_UNKNOWN {
                emit::lost(LOST_IOVEC);
            }
            self.emit(filled, emitted, DATA_LAST_PIECE);
            return false;
        }
        self.set(Cursor { filled, emitted, index, from, want, told });
        filled < u64::from(PIECE) || self.emit(filled, emitted, 0)
    }

    #[inline(always)]
    fn read(&mut self, filled: u64, address: u64, len: u64) -> bool {
        // SAFETY: the scratch has room for two pieces.
        let failed = unsafe {
            let into = (&raw mut (*self.0).payload).cast::<u8>().add(filled as usize);
            bpf_probe_read_user(into.cast(), len as u32, address as *const _)
        } != 0;
        if failed {
            emit::lost(LOST_USER_COPY);
        }
        !failed
    }

    /// Emits a piece of `filled` bytes that comes after `emitted` bytes.
    #[inline(always)]
    fn emit(&mut self, filled: u64, emitted: u64, flags: u8) -> bool {
        let filled = bounded(filled);
        // SAFETY: this CPU's scratch.
        let taken = unsafe {
            let header = &mut (*self.0).header;
            header.captured_len = filled as u32;
            header.piece_offset = emitted as u32;
            header.flags = header.flags & KEPT | flags;
            (*self.0).cursor.emitted = emitted + filled;
            (*self.0).cursor.filled = 0;
            let taken = emit::data(header.tgid, self.0.cast(), size_of::<DataHeader>() as u64 + filled);
            if emitted == 0 {
                (*self.0).cursor.told = taken.into();
            }
            taken
        };
        taken
    }
}

/// A number that is at most `PIECE`.
#[inline(always)]
pub fn bounded(value: u64) -> u64 {
    at_most::<{ PIECE as u64 }>(value)
}

/// A number that is at most `MAX`, in a way that every verifier sees. Comparison, mask and result are one block: the compiler, which may
/// know the bound already, cannot drop it, nor spill the number between comparison and use (Linux 6.1 forgets what it knew of a spilled
/// number without a bound). The mask cuts the tie to other registers of the same value (Linux 6.12 loses the bound when one is compared).
#[inline(always)]
pub fn at_most<const MAX: u64>(mut value: u64) -> u64 {
    // SAFETY: arithmetic on one register; the jump stays within the block.
    unsafe {
        core::arch::asm!(
            "if {0} <= {max} goto +1",
            "{0} = {max}",
            "{0} &= {mask}",
            inout(reg) value,
            max = const MAX,
            mask = const (MAX + 1).next_power_of_two() - 1,
            options(pure, nomem, nostack),
        );
    }
    value
}
