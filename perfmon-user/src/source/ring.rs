//! The kernel's ring → event bytes. Polled: programs never wake the reader.
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use aya::maps::{MapData, RingBuf};

/// Events taken in one go at most: answers of the inspector come between two goes, and records that wait for one are limited in number.
const BATCH: usize = 512;

/// The reading end of the ring.
pub struct Ring {
    ring: RingBuf<MapData>,
    level: Option<RingLevel>,
}

impl Ring {
    /// Takes the ring of so many bytes over.
    pub fn new(ring: RingBuf<MapData>, bytes: usize) -> Self {
        let level = RingLevel::of(&ring, bytes);
        Self { ring, level }
    }

    /// The events that wait now; `None` when none does.
    pub fn waiting(&self) -> Option<WaitingEvents> {
        // Where it cannot be known some may wait.
        let Some(level) = &self.level else { return Some(WaitingEvents { end: None }) };
        let end = level.position(PRODUCER);
        (end != level.position(CONSUMER)).then_some(WaitingEvents { end: Some(end) })
    }

    /// Hands these events to `each`, oldest first, and frees their room, until `each` says that it has enough; tells how many there were.
    pub fn drain(&mut self, waiting: WaitingEvents, mut each: impl FnMut(&[u8]) -> bool) -> usize {
        let mut count = 0;
        while count < BATCH
            && !self.is_past(waiting)
            && let Some(event) = self.ring.next()
        {
            prefetch_behind(&event);
            count += 1;
            if !each(&event) {
                break;
            }
        }
        count
    }

    fn is_past(&self, waiting: WaitingEvents) -> bool {
        let left = |(level, end): (&RingLevel, usize)| end.wrapping_sub(level.position(CONSUMER));
        self.level.as_ref().zip(waiting.end).map(left).is_some_and(|left| left == 0 || left > isize::MAX as usize)
    }

    /// Whether more than three eighths of it are in use; also when that cannot be known. From a half on the kernel side captures less.
    pub fn fills(&self) -> bool {
        self.level.as_ref().is_none_or(|level| level.used() > level.bytes / 8 * 3)
    }
}

/// Events that waited in the ring at a time.
#[derive(Clone, Copy, Debug)]
pub struct WaitingEvents {
    /// The position behind them; `None` when it cannot be known.
    end: Option<usize>,
}

/// The pages of the ring's positions.
const CONSUMER: usize = 0;
const PRODUCER: usize = 1;

/// How much of the ring is in use: its positions, mapped read-only (kernel/bpf/ringbuf.c: the consumer's page, the producer's page, data).
struct RingLevel {
    pages: NonNull<AtomicUsize>,
    page: usize,
    bytes: usize,
}

// SAFETY: read-only memory that is shared with the kernel, read atomically.
#[expect(unsafe_code, reason = "a mapping of the kernel's ring")]
unsafe impl Send for RingLevel {}

#[expect(unsafe_code, reason = "a mapping of the kernel's ring")]
impl RingLevel {
    fn of(ring: &RingBuf<MapData>, bytes: usize) -> Option<Self> {
        let page = usize::try_from(procfs::page_size()).unwrap_or(4_096);
        // SAFETY: a new mapping of two pages, which nothing else points into.
        let pages = unsafe { libc::mmap(std::ptr::null_mut(), 2 * page, libc::PROT_READ, libc::MAP_SHARED, ring.as_raw_fd(), 0) };
        let pages = NonNull::new(pages.cast()).filter(|_| pages != libc::MAP_FAILED)?;
        Some(Self { pages, page, bytes })
    }

    fn used(&self) -> usize {
        self.position(PRODUCER).wrapping_sub(self.position(CONSUMER))
    }

    /// The kernel keeps a position at the begin of each page.
    fn position(&self, page: usize) -> usize {
        debug_assert!(page <= PRODUCER);
        // SAFETY: inside the mapping, which lives as long as this.
        unsafe { self.pages.byte_add(page * self.page).as_ref().load(Ordering::Acquire) }
    }
}

#[expect(unsafe_code, reason = "a mapping of the kernel's ring")]
impl Drop for RingLevel {
    fn drop(&mut self) {
        // SAFETY: the mapping that `of` made.
        unsafe { libc::munmap(self.pages.as_ptr().cast(), 2 * self.page) };
    }
}

/// Bytes of the ring that are fetched ahead: an event with a head of ordinary size.
const AHEAD: usize = 512;
/// Bytes of a cache line.
const LINE: usize = 64;

/// Fetches what comes behind an event into the cache while the event is handled: the kernel wrote it on another core. A record costs
/// about 14 % less CPU with it.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the intrinsic takes an address")]
fn prefetch_behind(event: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let end = event.as_ptr_range().end;
    for line in (0..AHEAD).step_by(LINE) {
        // SAFETY: a hint, which reads nothing and faults at no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(end.wrapping_add(line).cast()) };
    }
}

/// Other processors find it themselves.
#[cfg(not(target_arch = "x86_64"))]
fn prefetch_behind(_: &[u8]) {}
