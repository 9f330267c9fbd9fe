//! What an exec event tells of the process beside its arguments: when it was created, and the variables of its environment that name a
//! service. In: its task and memory; out: bytes behind the arguments in the record. Other variables stay in the scratch: an environment
//! holds secrets, which must not enter the ring.
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user_str};
use perfmon_common::event::*;
use perfmon_common::map::{ABSENT, LOST_ADDRESS, LOST_ENVIRONMENT};

use crate::capture::at_most;
use crate::emit;
use crate::maps::{EXEC_TEXT, ExecRecord, Search, WINDOW, offset};
use crate::task::Typed;

/// Steps of the search: a variable, or a window of a long one.
const STEPS: u32 = 256;
/// The last place in the text where a variable may begin.
const LAST: u64 = (EXEC_TEXT - ENV_VARIABLE_MAX) as u64;

/// Writes the `ExecTail` behind `used` bytes; gives its length.
#[inline(always)]
pub fn start_time(task: Typed, record: *mut ExecRecord, used: u64) -> u64 {
    let offset = offset!(task_start);
    // SAFETY: a pointer to a struct.
    let leader = unsafe { task.follow(offset!(task_leader)) }.address();
    let used = at_most::<{ ARGV_MAX as u64 }>(used);
    // SAFETY: this CPU's record, which has room behind the arguments; the helper checks the address, and clears the place when it is bad.
    let failed = unsafe {
        let into = (&raw mut (*record).text).cast::<u8>().add(used as usize);
        let from = if offset == ABSENT { 0 } else { leader + u64::from(offset) };
        bpf_probe_read_kernel(into.cast(), size_of::<ExecTail>() as u32, from as *const _)
    } != 0;
    if failed && offset != ABSENT {
        emit::lost(LOST_ADDRESS);
    }
    size_of::<ExecTail>() as u64
}

/// Appends the variables to the text, of which `used` bytes are in use; gives how many are then.
#[inline(always)]
pub fn search(memory: Typed, record: *mut ExecRecord, used: u64) -> u64 {
    // SAFETY: types as in `KernelOffsets`.
    let (at, end) = unsafe { (memory.load::<u64>(offset!(mm_env_start)), memory.load::<u64>(offset!(mm_env_end))) };
    let mut walk = Walk(record);
    walk.set(Search { at, end, used, inside: 0, cut: 0 });
    for _ in 0..STEPS {
        if !walk.step() {
            break;
        }
    }
    let Search { at, used, cut, .. } = walk.search();
    // Counted here, once: in the steps it would be verified for each of them.
    if cut != 0 || at < end {
        emit::lost(LOST_ENVIRONMENT);
    }
    used
}

/// A search under way. Where it stands is kept in the record, so that every step looks the same to the verifier (see `capture::Copy`).
struct Walk(*mut ExecRecord);

impl Walk {
    #[inline(always)]
    fn search(&self) -> Search {
        // SAFETY: this CPU's record.
        unsafe { (&raw const (*self.0).search).read_volatile() }
    }

    #[inline(always)]
    fn set(&mut self, search: Search) {
        // SAFETY: this CPU's record.
        unsafe { (&raw mut (*self.0).search).write_volatile(search) }
    }

    /// Looks at one variable, or a window of it. False at the end.
    #[inline(always)]
    fn step(&mut self) -> bool {
        let Search { at, end, mut used, inside, mut cut } = self.search();
        if at >= end {
            return false;
        }
        // SAFETY: this CPU's record; the helper checks the user's address.
        let len = unsafe { bpf_probe_read_user_str((&raw mut (*self.0).window).cast(), WINDOW as u32, at as *const _) };
        if len <= 0 || used > LAST {
            return false;
        }
        if inside == 0 && self.is_wanted() {
            let taken = self.take(at, used);
            used += taken;
            cut |= u64::from(taken == 0 || taken >= ENV_VARIABLE_MAX as u64);
        }
        // A full window may have cut the variable: the rest begins at its last byte, which stands for the end.
        let is_full = len as u64 >= WINDOW as u64;
        let passed = if is_full { WINDOW as u64 - 1 } else { len as u64 };
        self.set(Search { at: at + passed, end, used, inside: is_full.into(), cut });
        true
    }

    /// Copies the variable at `at` behind `used` bytes of the text; gives its length with the NUL.
    #[inline(always)]
    fn take(&mut self, at: u64, used: u64) -> u64 {
        let used = at_most::<LAST>(used);
        // SAFETY: the record has room for a variable there; the helper checks the user's address.
        let len = unsafe {
            let into = (&raw mut (*self.0).text).cast::<u8>().add(used as usize);
            bpf_probe_read_user_str(into.cast(), ENV_VARIABLE_MAX as u32, at as *const _)
        };
        len.max(0) as u64
    }

    /// Whether the window shows one of `ENV_NAMES`.
    #[inline(always)]
    fn is_wanted(&self) -> bool {
        self.names::<18>(b"OTEL_SERVICE_NAME=") || self.names::<25>(b"OTEL_RESOURCE_ATTRIBUTES=") || self.names::<10>(b"FLASK_APP=")
    }

    #[inline(always)]
    fn names<const N: usize>(&self, name: &[u8; N]) -> bool {
        let mut at = 0;
        while at + 8 <= N {
            // SAFETY: within the name; within the window, which is larger.
            let (word, wanted) = unsafe {
                (
                    (&raw const (*self.0).window).cast::<u64>().add(at / 8).read_volatile(),
                    name.as_ptr().add(at).cast::<u64>().read_unaligned(),
                )
            };
            if word != wanted {
                return false;
            }
            at += 8;
        }
        while at < N {
            // SAFETY: as above.
            if unsafe { (&raw const (*self.0).window).cast::<u8>().add(at).read_volatile() } != name[at] {
                return false;
            }
            at += 1;
        }
        true
    }
}
