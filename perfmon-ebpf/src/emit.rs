//! The only place that touches the ring and the counters of losses. The reader polls: nothing here wakes it.
use aya_ebpf::bindings::{BPF_ANY, BPF_RB_AVAIL_DATA, BPF_RB_CONS_POS, BPF_RB_NO_WAKEUP, BPF_RB_PROD_POS};
use aya_ebpf::helpers::generated::{bpf_ringbuf_output, bpf_ringbuf_query};
use perfmon_common::map::{LOST_PROCESS_LOSSES, LOST_RING_FULL, ProcessLosses};

use crate::capture::at_most;
use crate::log;
use crate::maps::{EVENTS, LOSSES, LOST_BY_TGID, RING_USE, RingUse, setting};

/// Counts a loss.
#[inline(always)]
pub fn lost(reason: u32) {
    log::loss(reason.into());
    // Keys below the length of the array are always there.
    if let Some(counter) = LOSSES.get_ptr_mut(reason) {
        // SAFETY: this CPU's slot.
        unsafe { *counter += 1 };
    }
}

/// Counts an event of process `tgid` that the ring had no room for.
#[inline(never)]
pub fn lost_to_full_ring(tgid: u32) -> u32 {
    log::ring_full(tgid.into());
    lost(LOST_RING_FULL);
    match LOST_BY_TGID.get_ptr_mut(tgid) {
        // SAFETY: a live map value; a count lost to a race between CPUs is still in LOSSES.
        Some(losses) => unsafe { (*losses).events += 1 },
        None => {
            if LOST_BY_TGID.insert(tgid, ProcessLosses { events: 1, exchanges: [0; 3] }, u64::from(BPF_ANY)).is_err() {
                lost(LOST_PROCESS_LOSSES);
            }
        }
    }
    0
}

/// Counts an exchange of process `tgid`, on a socket of this role, of which no event was told. Events of it were counted before.
#[inline(always)]
pub fn exchange_lost(tgid: u32, role: u8) {
    let Some(losses) = LOST_BY_TGID.get_ptr_mut(tgid) else { return lost(LOST_PROCESS_LOSSES) };
    let index = at_most::<2>(role.into()) as usize;
    // SAFETY: a live map value, an index within the array.
    unsafe { *(&raw mut (*losses).exchanges).cast::<u64>().add(index) += 1 };
}

/// A process begins: it has lost nothing yet, whatever an earlier one under its id has. Looked up first, which takes no lock.
#[inline(always)]
pub fn nothing_lost_yet(tgid: u32) {
    if LOST_BY_TGID.get_ptr(tgid).is_some() {
        LOST_BY_TGID.remove(tgid).ok();
    }
}

/// Bytes of the ring that wait to be read.
#[inline(always)]
pub fn waiting() -> u64 {
    ring(BPF_RB_AVAIL_DATA)
}

#[inline(always)]
fn ring(what: u32) -> u64 {
    // SAFETY: the map's address.
    unsafe { bpf_ringbuf_query((&raw const EVENTS).cast_mut().cast(), u64::from(what)) }
}

/// Whether process `tgid` may have `size` bytes more of the ring: from a quarter of it on, no process may have more than eight times what is
/// left for all (the dynamic thresholds of Choudhury and Hahne, 1998). One that floods leaves a ninth of the ring to others, two leave
/// a seventeenth, however long the reader stands still. A refusal is counted.
#[inline(always)]
pub fn has_room(tgid: u32, size: u64) -> bool {
    let (waiting, whole) = (waiting(), u64::from(setting!(ring_bytes)));
    waiting < whole / 4 || shared(tgid, size, 8 * (whole - waiting.min(whole)))
}

#[inline(never)]
fn shared(tgid: u32, size: u64, share: u64) -> bool {
    let (written, read) = (ring(BPF_RB_PROD_POS), ring(BPF_RB_CONS_POS));
    let Some(used) = RING_USE.get_ptr_mut(tgid) else {
        let first = RingUse { since: written, last: written, bytes: size, bytes_before: 0 };
        RING_USE.insert(tgid, first, u64::from(BPF_ANY)).ok();
        return true;
    };
    // SAFETY: a live map value; what races between CPUs lose is a few bytes of an estimate.
    let used = unsafe { &mut *used };
    if read > used.last {
        *used = RingUse { since: written, last: written, bytes: 0, bytes_before: 0 };
    } else if read >= used.since {
        *used = RingUse { since: written, last: used.last, bytes: 0, bytes_before: used.bytes };
    }
    // More than waits cannot be its own.
    let fits = (used.bytes_before + used.bytes).min(written - read) + size <= share;
    if fits {
        used.bytes += size;
        used.last = written;
    } else {
        lost_to_full_ring(tgid);
    }
    fits
}

/// Puts a fixed-size event of process `tgid` into the ring: `fill` writes it in place. True when the ring took it.
#[inline(always)]
pub fn record<T: 'static>(tgid: u32, fill: impl FnOnce(*mut T)) -> bool {
    let Some(mut slot) = EVENTS.reserve::<T>(0) else {
        lost_to_full_ring(tgid);
        return false;
    };
    fill(slot.as_mut_ptr());
    slot.submit(u64::from(BPF_RB_NO_WAKEUP));
    true
}

/// Puts what a socket or a TLS call moved into the ring, if the share of process `tgid` has room. True when the ring took it.
#[inline(always)]
pub fn data(tgid: u32, event: *mut u8, size: u64) -> bool {
    has_room(tgid, size) && bytes(tgid, event, size)
}

/// Puts an event of process `tgid` into the ring, `size` bytes that stand at `event`. True when the ring took it.
#[inline(always)]
pub fn bytes(tgid: u32, event: *mut u8, size: u64) -> bool {
    // SAFETY: the verifier checks that the memory is that large.
    let refused =
        unsafe { bpf_ringbuf_output((&raw const EVENTS).cast_mut().cast(), event.cast(), size, u64::from(BPF_RB_NO_WAKEUP)) } != 0;
    if refused {
        lost_to_full_ring(tgid);
    }
    !refused
}
