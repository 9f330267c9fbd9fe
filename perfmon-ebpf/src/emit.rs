//! The only place that touches the ring and the counters of losses. The reader polls: nothing here wakes it.
use aya_ebpf::bindings::BPF_RB_AVAIL_DATA;
use aya_ebpf::bindings::{BPF_ANY, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::{bpf_ringbuf_output, bpf_ringbuf_query};
use perfmon_common::map::{LOST_RING_FULL, ProcessLosses};

use crate::capture::at_most;
use crate::log;
use crate::maps::{EVENTS, LOSSES, LOST_BY_TGID};

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
        // When this table is full too, the total has it.
        None => {
            LOST_BY_TGID.insert(tgid, ProcessLosses { events: 1, exchanges: [0; 3] }, u64::from(BPF_ANY)).ok();
        }
    }
    0
}

/// Counts an exchange of process `tgid`, on a socket of this role, of which no event was told. Events of it were counted before.
#[inline(always)]
pub fn exchange_lost(tgid: u32, role: u8) {
    if let Some(losses) = LOST_BY_TGID.get_ptr_mut(tgid) {
        let index = at_most::<2>(role.into()) as usize;
        // SAFETY: a live map value, an index within the array.
        unsafe { *(&raw mut (*losses).exchanges).cast::<u64>().add(index) += 1 };
    }
}

/// Bytes of the ring that wait to be read.
#[inline(always)]
pub fn waiting() -> u64 {
    // SAFETY: the map's address.
    unsafe { bpf_ringbuf_query((&raw const EVENTS).cast_mut().cast(), u64::from(BPF_RB_AVAIL_DATA)) }
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
