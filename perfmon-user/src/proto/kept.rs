//! Segments that are kept to be read later: until the protocol is detected, until the next parser takes over, or until an early answer finds
//! its request. Order and stamps are preserved; the caller bounds the size. Bytes for which the budget has no room become a gap.
use crate::budget::{Allowance, Charge};
use crate::stream::{Content, Direction, Segment, Stamp};

/// Segments in the order in which they came. Most connections keep none, so it takes a pointer.
#[derive(Debug, Default)]
pub struct Kept(Option<Box<KeptSegments>>);

#[derive(Debug, Default)]
struct KeptSegments {
    segments: Vec<(Direction, Stamp, KeptContent)>,
    bytes: usize,
    charge: Charge,
}

/// A segment's content, owned.
#[derive(Debug)]
enum KeptContent {
    Bytes(Box<[u8]>),
    Gap(u64),
    Lost(u64),
    Unknown,
}

impl KeptSegments {
    fn push(&mut self, segment: Segment<'_>, of: impl FnOnce() -> Allowance) {
        let Segment { direction, stamp, content } = segment;
        let kept = match content {
            Content::Bytes(bytes) => self.own(bytes, of),
            Content::Gap(len) => KeptContent::Gap(len),
            Content::Lost(len) => KeptContent::Lost(len),
            Content::Unknown => KeptContent::Unknown,
        };
        self.segments.push((direction, stamp, kept));
    }

    fn own(&mut self, bytes: &[u8], of: impl FnOnce() -> Allowance) -> KeptContent {
        // The list grows to twice its size.
        let room = 2 * (self.segments.len() + 2) * size_of::<(Direction, Stamp, KeptContent)>();
        if self.charge.resize(self.bytes + bytes.len() + room, of).is_err() {
            return KeptContent::Gap(bytes.len() as u64);
        }
        self.bytes += bytes.len();
        KeptContent::Bytes(bytes.into())
    }
}

impl Kept {
    /// Keeps a segment.
    pub fn push(&mut self, segment: Segment<'_>, of: impl FnOnce() -> Allowance) {
        self.0.get_or_insert_default().push(segment, of);
    }

    /// Passes the segments to `take`, oldest first.
    pub fn release(self, mut take: impl FnMut(Segment<'_>)) {
        for (direction, stamp, kept) in self.0.iter().flat_map(|kept| &kept.segments) {
            let content = match kept {
                KeptContent::Bytes(bytes) => Content::Bytes(bytes),
                KeptContent::Gap(len) => Content::Gap(*len),
                KeptContent::Lost(len) => Content::Lost(*len),
                KeptContent::Unknown => Content::Unknown,
            };
            take(Segment { direction: *direction, stamp: *stamp, content });
        }
    }

    /// Kept segments.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.segments.len())
    }

    /// Nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Kept bytes of content.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.bytes)
    }

    /// Heap bytes, about.
    pub fn heap_bytes(&self) -> usize {
        let room = |kept: &KeptSegments| kept.segments.capacity() * size_of::<(Direction, Stamp, KeptContent)>();
        self.0.as_ref().map_or(0, |kept| size_of::<KeptSegments>() + kept.bytes + room(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_memory_bytes_become_a_gap() {
        let counters = std::sync::Arc::new(crate::counters::Counters::default());
        let room = |segments: usize| 2 * (segments + 2) * size_of::<(Direction, Stamp, KeptContent)>();
        let budget = crate::budget::Budget::new(100 + room(2), counters.clone());
        let mut kept = Kept::default();
        for bytes in [&[1; 60][..], &[2; 2_000], &[3; 30]] {
            kept.push(Segment { direction: Direction::In, stamp: Stamp::default(), content: Content::Bytes(bytes) }, || budget.of(7));
        }
        assert_eq!((kept.bytes(), budget.used(), counters.budget_refusals.get()), (90, 90 + room(2), 1));
        let mut seen = Vec::new();
        kept.release(|segment| seen.push((segment.content.len(), matches!(segment.content, Content::Bytes(_)))));
        assert_eq!(seen, [(60, true), (2_000, false), (30, true)]);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn segments_come_back_as_they_came() {
        let stamp = |time_ns| Stamp { time_ns, arrival_ns: Some(time_ns - 1), thread: 3, run: None };
        let segments = [
            Segment { direction: Direction::In, stamp: stamp(5), content: Content::Bytes(b"GE") },
            Segment { direction: Direction::Out, stamp: stamp(6), content: Content::Gap(9) },
            Segment { direction: Direction::In, stamp: stamp(7), content: Content::Lost(1) },
            Segment { direction: Direction::In, stamp: stamp(8), content: Content::Unknown },
        ];
        let mut kept = Kept::default();
        segments.iter().for_each(|segment| kept.push(*segment, Allowance::default));
        assert_eq!((kept.len(), kept.bytes()), (4, 2));
        let mut at = 0;
        kept.release(|segment| {
            assert_eq!(segment, segments[at]);
            at += 1;
        });
        assert_eq!(at, 4);
    }
}
