//! What comes after an answer that was seen before its request: kept as it came, until the request is there or comes no more.
use crate::budget::Allowance;
use crate::proto::kept::Kept;
use crate::stream::{Segment, Stamp};

/// Bytes that are kept.
const BYTES: usize = 64 * 1024;
/// Segments that are kept.
const SEGMENTS: usize = 64;

/// Segments of a stream that waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Segment in which the answer's head ended; `None`: the stream does not wait.
    pub(super) since: Option<Stamp>,
    later: Kept,
}

impl Waiting {
    /// Keeps a segment.
    pub(super) fn keep(&mut self, segment: Segment<'_>, of: impl FnOnce() -> Allowance) {
        self.later.push(segment, of);
    }

    /// No more is to be kept.
    pub(super) fn is_full(&self) -> bool {
        self.later.bytes() > BYTES || self.later.len() > SEGMENTS
    }

    /// Hands each kept segment to `take`, oldest first, and waits no more.
    pub(super) fn release(self, take: impl FnMut(Segment<'_>)) {
        self.later.release(take);
    }

    /// Heap bytes, about.
    pub(super) fn heap_bytes(&self) -> usize {
        self.later.heap_bytes()
    }
}
