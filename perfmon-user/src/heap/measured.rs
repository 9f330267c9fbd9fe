//! What code under test takes: bytes of the heap, counted in the allocator of the test or fuzz program for each thread, and CPU time against the size
//! of the input.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::clock::thread_cpu_ns;

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

#[expect(unsafe_code, reason = "the trait of allocators is unsafe")]
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

/// Counts what this thread takes from here on.
#[derive(Debug)]
pub struct HeapMeter {
    start: isize,
}

impl HeapMeter {
    /// Starts to count.
    pub fn start() -> Self {
        let meter = Self { start: HELD.get().now };
        meter.take_most();
        meter
    }

    /// Bytes held now beyond those at the start.
    pub fn held(&self) -> usize {
        usize::try_from(HELD.get().now - self.start).unwrap_or(0)
    }

    /// Most bytes held at once since the last call, beyond those at the start.
    pub fn take_most(&self) -> usize {
        let held = HELD.get();
        HELD.set(Held { most: held.now, ..held });
        usize::try_from(held.most - self.start).unwrap_or(0)
    }
}

/// Fails unless the CPU time of `run` grows like its input: of inputs of `n`, `2n` and `4n`, the last may take ten times as long as the first,
/// where sixteen times is the square. The shortest of three runs counts; where that is too long, of up to twelve: a busy machine only makes runs
/// longer.
pub fn assert_linear<I>(what: &str, n: usize, input: impl Fn(usize) -> I, mut run: impl FnMut(&I)) {
    let sizes = [n, 2 * n, 4 * n];
    let mut times = [u64::MAX; 3];
    for turn in 0..12 {
        if turn >= 3 && is_linear(&times) {
            return;
        }
        for (size, time) in sizes.iter().zip(&mut times) {
            let input = input(*size);
            let begin_ns = thread_cpu_ns();
            run(&input);
            *time = (*time).min(thread_cpu_ns() - begin_ns);
        }
    }
    assert!(is_linear(&times), "{what}: {times:?} ns for inputs of {sizes:?}");
}

fn is_linear([of_n, _, of_4n]: &[u64; 3]) -> bool {
    *of_4n < 10 * (*of_n).max(20_000)
}

#[test]
fn what_is_taken_is_counted() {
    let meter = HeapMeter::start();
    let mut bytes = vec![0_u8; 10_000];
    assert_eq!(meter.held(), 10_000);
    bytes.resize(30_000, 1);
    bytes.truncate(100);
    bytes.shrink_to_fit();
    assert_eq!((meter.held(), meter.take_most(), meter.take_most()), (100, 30_000, 100));
}

#[test]
#[should_panic(expected = "a square")]
fn a_square_is_not_linear() {
    let pairs = |n: &usize| {
        (0..*n).for_each(|i| (0..*n).for_each(|j| assert_ne!(std::hint::black_box(i * n + j), usize::MAX)));
    };
    assert_linear("a square", 500, |n| n, pairs);
}
