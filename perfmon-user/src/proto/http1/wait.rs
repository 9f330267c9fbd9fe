//! What comes after an answer that was seen before its request: kept as it came, until the request is there or comes no more.
use crate::budget::Allowance;
use crate::proto::kept::Kept;
use crate::stream::{Segment, Stamp};

/// Bytes that are kept.
const BYTES: usize = 64 * 1024;
/// Segments that are kept.
const SEGMENTS: usize = 64;

/// Segments of a stream that waits. Most streams never do, so it takes a pointer.
#[derive(Debug, Default)]
pub(super) struct Waiting(Option<Box<EarlyAnswer>>);

/// An answer without its request.
#[derive(Debug)]
struct EarlyAnswer {
    /// Segment in which the answer's head ended.
    since: Stamp,
    later: Kept,
}

impl Waiting {
    /// The stream waits from now on.
    pub(super) fn begin(&mut self, since: Stamp) {
        self.0 = Some(Box::new(EarlyAnswer { since, later: Kept::default() }));
    }

    /// Segment in which the answer's head ended; `None`: the stream does not wait.
    pub(super) fn since(&self) -> Option<Stamp> {
        self.0.as_ref().map(|early| early.since)
    }

    /// Keeps a segment, while the stream waits.
    pub(super) fn keep(&mut self, segment: Segment<'_>, of: impl FnOnce() -> Allowance) {
        if let Some(early) = &mut self.0 {
            early.later.push(segment, of);
        }
    }

    /// No more is to be kept.
    pub(super) fn is_full(&self) -> bool {
        self.0.as_ref().is_some_and(|early| early.later.bytes() > BYTES || early.later.len() > SEGMENTS)
    }

    /// Hands each kept segment to `take`, oldest first, and waits no more.
    pub(super) fn release(self, take: impl FnMut(Segment<'_>)) {
        if let Some(early) = self.0 {
            early.later.release(take);
        }
    }

    /// Heap bytes, about.
    pub(super) fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |early| size_of::<EarlyAnswer>() + early.later.heap_bytes())
    }
}
