//! What an input takes: bytes of the heap, counted in the allocator of this program, and CPU time. In: a target and an input; effect: an abort
//! when the target takes more than it may, or keeps something. libFuzzer's own limits of allocations need a sanitizer, which is not here.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use perfmon_user::clock::thread_cpu_ns;

/// CPU time that an input may take, and more for each byte: far from what a target needs, and far below the square of the longest input.
const CPU_NS: u64 = 100_000_000;
const CPU_NS_A_BYTE: u64 = 5_000;
/// A target that breaks a limit may repeat it: what is made once in a process is there then, and a busy machine is no finding.
const TRIES: usize = 3;

/// Bytes that this thread allocated and did not free, and the most of them at once.
#[derive(Clone, Copy)]
struct Held {
    now: isize,
    most: isize,
}

thread_local! {
    static HELD: Cell<Held> = const { Cell::new(Held { now: 0, most: 0 }) };
}

/// The system's allocator, counted.
struct CountedAllocator;

#[global_allocator]
static ALLOCATOR: CountedAllocator = CountedAllocator;

fn count(bytes: isize) {
    // A thread that ends has no counts any more.
    let _ended = HELD.try_with(|held| {
        let Held { now, most } = held.get();
        let now = now + bytes;
        held.set(Held { now, most: most.max(now) });
    });
}

// SAFETY: each call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for CountedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(bytes, layout) }
    }

    unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(bytes, layout, size) }
    }
}

/// Runs a target on an input. It may hold `most_bytes` of the heap at once and keep `kept_bytes` of them.
pub fn run(target: fn(&[u8]), data: &[u8], [most_bytes, kept_bytes]: [usize; 2]) {
    let may_take_ns = CPU_NS + CPU_NS_A_BYTE * data.len() as u64;
    let mut broken = String::new();
    for _try in 0..TRIES {
        let start = HELD.get().now;
        HELD.set(Held { now: start, most: start });
        let begin_ns = thread_cpu_ns();
        target(data);
        let took_ns = thread_cpu_ns() - begin_ns;
        let (most, kept) = (HELD.get().most - start, HELD.get().now - start);
        broken.clear();
        if most > most_bytes as isize {
            broken = format!("{most} bytes of the heap at once, of {most_bytes}");
        } else if kept > kept_bytes as isize {
            broken = format!("{kept} bytes are kept");
        } else if took_ns > may_take_ns {
            broken = format!("{took_ns} ns for {} bytes, of {may_take_ns}", data.len());
        }
        if broken.is_empty() {
            return;
        }
    }
    panic!("{broken}, {TRIES} times");
}
