//! Which processes are reported.
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use perfmon_common::map::{LOST_WATCH_TABLE, WATCH_ALL};

use crate::maps::{WATCHED, setting};
use crate::{emit, log};

/// The calling thread.
#[derive(Clone, Copy)]
pub struct Caller {
    pub tgid: u32,
    pub thread: u32,
}

/// The calling thread.
#[inline(always)]
pub fn caller() -> Caller {
    let both = bpf_get_current_pid_tgid();
    Caller { tgid: (both >> 32) as u32, thread: both as u32 }
}

/// perfmon itself is never reported.
#[inline(always)]
pub fn is_own(tgid: u32) -> bool {
    tgid == setting!(own_tgid)
}

/// Whether process `tgid` is reported.
#[inline(always)]
pub fn is_watched(tgid: u32) -> bool {
    !is_own(tgid) && (setting!(watch) == WATCH_ALL || WATCHED.get_ptr(tgid).is_some())
}

/// Watches a process from now on.
#[inline(always)]
pub fn watch(tgid: u32) {
    if setting!(watch) == WATCH_ALL {
        return;
    }
    log::watched(tgid.into());
    if WATCHED.insert(tgid, 1, u64::from(BPF_ANY)).is_err() {
        emit::lost(LOST_WATCH_TABLE);
    }
}

/// A process that does something that makes it worth a look: watched from now on when the settings say so.
#[inline(always)]
pub fn watch_if_new(tgid: u32) {
    if setting!(watch_new) != 0 && !is_own(tgid) {
        watch(tgid);
    }
}
