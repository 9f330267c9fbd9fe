//! The heap is given back. In: a call a second; effect: what was freed and the allocator still keeps goes back to the system, once it is
//! much. glibc keeps freed memory below the top of each arena for ever; other allocators have rules of their own and are left alone.

#[cfg(test)]
pub(crate) mod measured;

/// Bytes freed and kept by the allocator that are worth a round through its arenas.
const SLACK: usize = 4 << 20;
/// Calls of [`HeapKeeper::tick`] between two looks.
const TICKS: u32 = 10;

/// Looks after the heap of this process.
#[derive(Debug, Default)]
pub struct HeapKeeper {
    ticks: u32,
    /// What the allocator kept after the last round: pages in which something is still used.
    scattered: usize,
}

impl HeapKeeper {
    /// Runs once a second.
    pub fn tick(&mut self) {
        self.ticks += 1;
        if !self.ticks.is_multiple_of(TICKS) {
            return;
        }
        let kept = kept_bytes();
        if kept > self.scattered + SLACK {
            give_back();
            self.scattered = kept_bytes();
        }
        self.scattered = self.scattered.min(kept);
    }
}

/// Resident bytes that nothing allocated, about.
fn kept_bytes() -> usize {
    let page = usize::try_from(procfs::page_size()).unwrap_or(4_096);
    let resident = procfs::process::Process::myself().and_then(|own| own.statm()).map(|statm| statm.resident.saturating_sub(statm.shared));
    let resident = resident.map_or(0, |pages| usize::try_from(pages).unwrap_or(usize::MAX).saturating_mul(page));
    resident.saturating_sub(used_bytes())
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the allocator's figures have no safe wrapper")]
fn used_bytes() -> usize {
    // SAFETY: takes nothing and returns a structure by value.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// Gives every free page of the heap back to the system. Call it after a large piece of work that freed most of what it took; it costs a
/// pass through the free memory of all threads.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the allocator has no safe wrapper for it")]
pub fn give_back() {
    // SAFETY: takes a number; glibc locks each arena while it works on it.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn used_bytes() -> usize {
    usize::MAX
}

/// Does nothing: allocators other than glibc's have rules of their own.
#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_between_what_is_used_is_given_back() {
        // Small pieces, every hundredth of which stays: the allocator gives back none of it by itself.
        let mut pieces: Vec<Option<Box<[u8]>>> = (0..40_000).map(|_| Some(vec![1; 1_024].into())).collect();
        for (at, piece) in pieces.iter_mut().enumerate() {
            if at % 100 != 0 {
                *piece = None;
            }
        }
        let before = kept_bytes();
        let mut keeper = HeapKeeper::default();
        (0..TICKS).for_each(|_| keeper.tick());
        let after = kept_bytes();
        assert!(after + (24 << 20) < before, "{before} bytes kept before, {after} after");
        drop(pieces);
    }
}
