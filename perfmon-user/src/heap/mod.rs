//! The heap is given back. In: a call a second; effect: pages that are free go back to the system. The binary's allocator is jemalloc, which
//! keeps objects of one size together: when many connections end, whole pages are free. glibc's allocator lays them between records that stay.
use std::ffi::CStr;
use std::ptr::null_mut;

#[cfg(any(test, feature = "fuzzing"))]
pub mod measured;

/// What jemalloc reads at the start, with a zero at the end. One arena: a second one for each thread would keep free pages of its own, and a
/// thread locks an arena only when its cache is empty or full.
pub const OPTIONS: &[u8] = b"narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0\0";
/// The command that frees the unused pages of all arenas: 4096 is jemalloc's `MALLCTL_ARENAS_ALL`.
const PURGE: &CStr = c"arena.4096.purge";
/// Calls of [`HeapKeeper::tick`] between two rounds.
const TICKS: u32 = 5;

/// Looks after the heap of this process. jemalloc itself frees pages only while threads allocate, which an idle perfmon seldom does.
#[derive(Debug, Default)]
pub struct HeapKeeper {
    ticks: u32,
}

impl HeapKeeper {
    /// Runs once a second.
    pub fn tick(&mut self) {
        self.ticks += 1;
        if self.ticks.is_multiple_of(TICKS) {
            give_back();
        }
    }
}

/// Gives every free page of the heap back to the system. Call it after a large piece of work that freed most of what it took.
#[expect(unsafe_code, reason = "the allocator's commands have no safe wrapper")]
pub fn give_back() {
    // SAFETY: the name ends with a zero, and the command neither takes nor returns a value.
    let status = unsafe { tikv_jemalloc_sys::mallctl(PURGE.as_ptr(), null_mut(), null_mut(), null_mut(), 0) };
    debug_assert_eq!(status, 0, "jemalloc does not know {PURGE:?}");
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};

    use tikv_jemallocator::Jemalloc;

    use super::*;

    fn resident_bytes() -> u64 {
        procfs::process::Process::myself().unwrap().statm().unwrap().resident * procfs::page_size()
    }

    #[test]
    #[expect(unsafe_code, reason = "the tests of this crate have another allocator: this one is asked directly")]
    fn what_is_freed_between_what_stays_is_given_back() {
        let layouts = [512, 64].map(|size| Layout::from_size_align(size, 8).unwrap());
        let take = |layout: Layout| {
            // SAFETY: the layout has a size, and as many bytes are written.
            unsafe {
                let piece = Jemalloc.alloc(layout);
                piece.write_bytes(1, layout.size());
                piece
            }
        };
        let pieces: Vec<[*mut u8; 2]> = (0..128 * 1_024).map(|_| layouts.map(take)).collect();
        let before = resident_bytes();
        let free = |which: usize| {
            // SAFETY: each piece was given by this allocator for this layout and is freed once.
            pieces.iter().for_each(|pair| unsafe { Jemalloc.dealloc(pair[which], layouts[which]) });
        };
        free(0);
        let mut keeper = HeapKeeper::default();
        (0..TICKS).for_each(|_| keeper.tick());
        let after = resident_bytes();
        free(1);
        assert!(after + (48 << 20) < before, "{before} bytes before 64 MiB were freed, {after} after");
    }
}
