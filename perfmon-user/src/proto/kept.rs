//! Segments that are kept to be read later: until the protocol is detected, until the next parser takes over, or until an early answer finds
//! its request. Order and stamps are preserved; the caller bounds the size.
use crate::stream::{Content, Direction, Segment, Stamp};

/// Segments in the order in which they came.
#[derive(Debug, Default)]
pub struct Kept {
    segments: Vec<(Direction, Stamp, KeptContent)>,
    bytes: usize,
}

/// A segment's content, owned.
#[derive(Debug)]
enum KeptContent {
    Bytes(Box<[u8]>),
    Gap(u64),
    Lost(u64),
    Unknown,
}

impl Kept {
    /// Keeps a segment; a datagram is kept as bytes and gap.
    pub fn push(&mut self, segment: Segment<'_>) {
        let Segment { direction, stamp, content } = segment;
        let kept = match content {
            Content::Bytes(bytes) => self.own(bytes),
            Content::Gap(len) => KeptContent::Gap(len),
            Content::Lost(len) => KeptContent::Lost(len),
            Content::Unknown => KeptContent::Unknown,
            Content::Datagram(datagram) => {
                let bytes = self.own(datagram.bytes);
                self.segments.push((direction, stamp, bytes));
                KeptContent::Gap(datagram.missing)
            }
        };
        self.segments.push((direction, stamp, kept));
    }

    fn own(&mut self, bytes: &[u8]) -> KeptContent {
        self.bytes += bytes.len();
        KeptContent::Bytes(bytes.into())
    }

    /// Passes the segments to `take`, oldest first.
    pub fn release(self, mut take: impl FnMut(Segment<'_>)) {
        for (direction, stamp, kept) in &self.segments {
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
        self.segments.len()
    }

    /// Nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Kept bytes of content.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Heap bytes, about.
    pub fn heap_bytes(&self) -> usize {
        self.bytes + self.segments.capacity() * size_of::<(Direction, Stamp, KeptContent)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        segments.iter().for_each(|segment| kept.push(*segment));
        assert_eq!((kept.len(), kept.bytes()), (4, 2));
        let mut at = 0;
        kept.release(|segment| {
            assert_eq!(segment, segments[at]);
            at += 1;
        });
        assert_eq!(at, 4);
    }
}
