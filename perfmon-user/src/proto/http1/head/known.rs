//! Field lines that were read before. A client repeats its lines with each request of a connection, a server those of an answer that it
//! gives again; comparing bytes costs a tenth of reading them. In: bytes behind a first line; out: what reading them gave the last time.
//! Bounded, one memory a thread, shared by its connections; a connection remembers only which lines it saw last. Lines hold secrets: none
//! stays for longer than until the next [`forget`].
use std::cell::RefCell;
use std::hash::Hasher;

use rustc_hash::FxHasher;

use super::Fields;

/// Lines that are remembered at a time.
const KNOWN: usize = 256;
/// Longest lines that are: 256 KiB in all.
const BYTES: usize = 1_024;
/// After so many heads of a stream that repeated nothing, most of its heads are not remembered any more.
const PATIENCE: u8 = 8;

/// The lines that a stream saw last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proto::http1) struct LastLines {
    slot: u8,
    /// Heads since then that had others.
    misses: u8,
}

/// Lines, the empty one included, with what reading them gave.
struct KnownLines {
    bytes: Box<[u8]>,
    fields: Fields,
    /// Bytes before the empty line.
    lines: usize,
}

thread_local! {
    static MEMORY: RefCell<[Option<KnownLines>; KNOWN]> = const { RefCell::new([const { None }; KNOWN]) };
}

/// Forgets all lines of this thread.
pub fn forget() {
    MEMORY.with_borrow_mut(|memory| memory.fill_with(|| None));
}

impl LastLines {
    /// If `bytes` begin with the lines that were last: their fields, their bytes without the empty line and with it.
    #[inline]
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<(Fields, usize, usize)> {
        MEMORY.with_borrow(|memory| {
            let known = memory[usize::from(self.slot)].as_ref().filter(|known| bytes.starts_with(&known.bytes))?;
            self.misses = 0;
            Some((known.fields, known.lines, known.bytes.len()))
        })
    }

    /// Remembers lines that were read, the empty one included; `lines` is the number of bytes before it.
    pub(super) fn keep(&mut self, bytes: &[u8], lines: usize, fields: &Fields) {
        self.misses = self.misses.wrapping_add(1).max(1);
        if bytes.len() > BYTES || (self.misses > PATIENCE && !self.misses.is_multiple_of(PATIENCE)) {
            return;
        }
        let mut hasher = FxHasher::default();
        hasher.write(bytes);
        self.slot = hasher.finish().to_le_bytes()[0];
        MEMORY.with_borrow_mut(|memory| {
            let slot = &mut memory[usize::from(self.slot)];
            if slot.as_ref().is_none_or(|known| *known.bytes != *bytes) {
                *slot = Some(KnownLines { bytes: bytes.into(), fields: *fields, lines });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_never_repeat_are_seldom_kept() {
        let mut last = LastLines::default();
        for number in 0..800 {
            let lines = format!("Cookie: never-{number}\r\n\r\n");
            assert_eq!(last.find(lines.as_bytes()), None);
            last.keep(lines.as_bytes(), lines.len() - 2, &Fields::default());
        }
        let kept = MEMORY.with_borrow(|memory| memory.iter().flatten().filter(|known| known.bytes.starts_with(b"Cookie: never-")).count());
        assert!((8..=120).contains(&kept), "{kept}");
        let again = b"Cookie: again\r\n\r\n";
        let tries = (1..=16).find(|_| {
            last.keep(again, again.len() - 2, &Fields::default());
            last.find(again).is_some()
        });
        assert!(tries.is_some_and(|tries| tries <= 8), "{tries:?}");
        forget();
        assert_eq!(last.find(again), None);
    }

    #[test]
    fn long_lines_are_not_kept() {
        let (mut last, lines) = (LastLines::default(), [b'a'; BYTES + 1]);
        last.keep(&lines, BYTES, &Fields::default());
        assert_eq!(last.find(&lines), None);
    }
}
