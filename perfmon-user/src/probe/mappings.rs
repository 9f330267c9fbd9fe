//! The kernel's records of executable mappings → TLS libraries at the moment that a process maps them. In: a ring a CPU of side-band records of
//! perf_event_open(2), which need no program in the kernel; out: process and library. A process goes on while its record is read: whoever
//! maps a library and calls it within a millisecond or so may be first. Misses CPUs that come online later, and says when the ring was full.
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::library::by_name;
use super::library::mapped::{FileId, Mapped};

const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_COUNT_SW_DUMMY: u64 = 9;
/// `mmap`, `watermark`, `mmap2`: records of executable mappings with the file's numbers. Only a watermark in bytes wakes for such records.
const FLAGS: u64 = 1 << 8 | 1 << 14 | 1 << 23;
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
const PERF_RECORD_LOST: u32 = 2;
const PERF_RECORD_MMAP2: u32 = 10;
/// Pages of a ring, beside the first one with its positions: some hundred mappings.
const PAGES: usize = 16;
/// `struct perf_event_mmap_page`, include/uapi/linux/perf_event.h.
const HEAD: usize = 1_024;
const TAIL: usize = 1_032;
/// Bytes of a record before the file's name.
const NAME: usize = 72;

/// The rings.
pub struct Mappings(Vec<MappingRing>);

/// What the rings held.
#[derive(Default)]
pub struct MappedNow {
    /// Libraries that were mapped, and by whom.
    pub libraries: Vec<(u32, Mapped)>,
    /// A ring was full: further ones may have been mapped.
    pub is_incomplete: bool,
}

impl Mappings {
    /// Begins to take records of all processes.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open() -> io::Result<Self> {
        let online = std::fs::read_to_string("/sys/devices/system/cpu/online")?;
        cpus(&online).map(MappingRing::open).collect::<io::Result<_>>().map(Self)
    }

    /// Waits until something is mapped, at most this long.
    pub fn wait(&self, most: Duration) {
        let mut watched: Vec<PollFd<'_>> = self.0.iter().map(|ring| PollFd::new(&ring.event, PollFlags::IN)).collect();
        let most = Timespec { tv_sec: most.as_secs() as i64, tv_nsec: most.subsec_nanos().into() };
        // An interrupted wait is a short one.
        poll(&mut watched, Some(&most)).ok();
    }

    /// Takes all records.
    pub fn drain(&mut self) -> MappedNow {
        let mut now = MappedNow::default();
        for ring in &mut self.0 {
            ring.drain(|kind, record| match kind {
                PERF_RECORD_MMAP2 => now.libraries.extend(mapped(record)),
                PERF_RECORD_LOST => now.is_incomplete = true,
                _ => {}
            });
        }
        now
    }
}

/// `0-3,6` → each number.
fn cpus(online: &str) -> impl Iterator<Item = i32> + '_ {
    online.trim().split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse().unwrap_or(0)..=last.parse().unwrap_or(-1)
    })
}

/// A whole record of a mapping → the library, when it is one.
fn mapped(record: &[u8]) -> Option<(u32, Mapped)> {
    let number = |at: usize| record.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_ne_bytes);
    let short = |at: usize| record.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
    let name = record.get(NAME..)?.split(|byte| *byte == 0).next()?;
    let path = Path::new(std::str::from_utf8(name).ok()?.trim_end_matches(" (deleted)"));
    let library = by_name(path.file_name()?.to_str()?)?;
    let (start, len) = (number(16)?, number(24)?);
    let id = FileId { device: rustix::fs::makedev(short(40)?, short(44)?), inode: number(48)? };
    Some((short(8)?, Mapped { id, range: format!("{start:x}-{:x}", start.checked_add(len)?), path: path.to_owned(), library }))
}

/// `struct perf_event_attr` as of its first version.
#[repr(C)]
#[derive(Default)]
struct EventAttributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_watermark: u32,
    bp_type: u32,
    config1: u64,
}
const _: () = assert!(size_of::<EventAttributes>() == 64);

/// The ring of one CPU.
struct MappingRing {
    event: OwnedFd,
    pages: *mut u8,
    /// Bytes for records; a power of two.
    bytes: usize,
    first: usize,
}

// SAFETY: the mapping belongs to this value alone, and is only read and written through it.
#[expect(unsafe_code, reason = "a pointer to shared memory")]
unsafe impl Send for MappingRing {}

#[expect(unsafe_code, reason = "perf_event_open and its shared memory have no safe wrapper")]
impl MappingRing {
    fn open(cpu: i32) -> io::Result<Self> {
        let attributes = EventAttributes {
            kind: PERF_TYPE_SOFTWARE,
            size: size_of::<EventAttributes>() as u32,
            config: PERF_COUNT_SW_DUMMY,
            flags: FLAGS,
            wakeup_watermark: 1,
            ..EventAttributes::default()
        };
        // SAFETY: the attributes are as large as they say, and valid for the call.
        let event = unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC) };
        let event = i32::try_from(event).ok().filter(|event| *event >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: a new descriptor that nothing else owns.
        let event = unsafe { OwnedFd::from_raw_fd(event) };
        let first = usize::try_from(procfs::page_size()).unwrap_or(4_096);
        let bytes = first * PAGES;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let pages = unsafe { libc::mmap(std::ptr::null_mut(), first + bytes, access, libc::MAP_SHARED, event.as_raw_fd(), 0) };
        if pages == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { event, pages: pages.cast(), bytes, first })
    }

    /// Hands out each record, with its kind.
    fn drain(&mut self, mut take: impl FnMut(u32, &[u8])) {
        let head = self.position(HEAD).load(Ordering::Acquire);
        let mut tail = self.position(TAIL).load(Ordering::Relaxed);
        let mut record = Vec::new();
        while tail < head {
            self.copy(tail, 8, &mut record);
            let kind = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
            let len = usize::from(u16::from_ne_bytes([record[6], record[7]])).max(8);
            self.copy(tail, len, &mut record);
            take(kind, &record);
            tail += len as u64;
        }
        self.position(TAIL).store(tail, Ordering::Release);
    }

    fn position(&self, at: usize) -> &AtomicU64 {
        // SAFETY: an aligned number in the first page, which the kernel and this process access atomically.
        unsafe { AtomicU64::from_ptr(self.pages.add(at).cast()) }
    }

    /// Copies bytes from a position on, around the end of the ring.
    fn copy(&self, from: u64, len: usize, to: &mut Vec<u8>) {
        to.clear();
        let mask = self.bytes as u64 - 1;
        for place in from..from + len as u64 {
            // SAFETY: within the mapping; the kernel does not write there before the tail has passed.
            to.push(unsafe { self.pages.add(self.first + (place & mask) as usize).read_volatile() });
        }
    }
}

#[expect(unsafe_code, reason = "as above")]
impl Drop for MappingRing {
    fn drop(&mut self) {
        // SAFETY: the mapping that `open` made; nothing refers to it any more.
        unsafe { libc::munmap(self.pages.cast(), self.first + self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as Linux 6.18 wrote it, with this name.
    fn record(name: &str) -> Vec<u8> {
        let mut record = vec![10, 0, 0, 0, 2, 0, 0, 0];
        [16_593_u32, 16_593].iter().for_each(|n| record.extend(n.to_ne_bytes()));
        [0x7f7a_e5ef_5000_u64, 0x5d000, 0x1e000].iter().for_each(|n| record.extend(n.to_ne_bytes()));
        [254_u32, 0].iter().for_each(|n| record.extend(n.to_ne_bytes()));
        [15_695_887_u64, 7].iter().for_each(|n| record.extend(n.to_ne_bytes()));
        [5_u32, 2].iter().for_each(|n| record.extend(n.to_ne_bytes()));
        record.extend(name.bytes().chain([0; 8]));
        record
    }

    #[test]
    fn libraries_in_records() {
        let (pid, found) = mapped(&record("/usr/lib/x86_64-linux-gnu/libssl.so.3")).unwrap();
        assert_eq!((pid, found.id.inode, found.range.as_str()), (16_593, 15_695_887, "7f7ae5ef5000-7f7ae5f52000"));
        assert_eq!((found.id.device, found.path.to_str()), (rustix::fs::makedev(254, 0), Some("/usr/lib/x86_64-linux-gnu/libssl.so.3")));
        assert_eq!(mapped(&record("/a/libssl.so.3 (deleted)")).unwrap().1.path.to_str(), Some("/a/libssl.so.3"));
        assert!(mapped(&record("/usr/lib/libcrypto.so.3")).is_none());
        assert!(mapped(&record("//anon")).is_none());
        let whole = record("/libssl.so.3");
        assert!((0..NAME).all(|len| mapped(&whole[..len]).is_none()), "a cut record");
    }

    #[test]
    fn cpus_that_are_online() {
        assert_eq!(cpus("0-2,5\n").collect::<Vec<_>>(), [0, 1, 2, 5]);
        assert_eq!(cpus("0\n").collect::<Vec<_>>(), [0]);
        assert_eq!(cpus("").count(), 0);
    }
}
