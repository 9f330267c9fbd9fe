//! What comes after an answer that was seen before its request: kept as it came, until the request is there or comes no more.
use super::Moment;
use crate::proto::Content;

/// Bytes that are kept.
const BYTES: usize = 64 * 1024;
/// Chunks that are kept.
const CHUNKS: usize = 64;

/// Chunks of a stream that waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Chunk in which the answer's head ended; `None`: the stream does not wait.
    pub(super) since: Option<Moment>,
    later: Vec<(Moment, Kept)>,
    bytes: usize,
}

/// Content of a chunk.
#[derive(Debug)]
enum Kept {
    Bytes(Vec<u8>),
    Gap(u64),
    Lost(u64),
    Unknown,
}

impl Waiting {
    /// Keeps a chunk.
    pub(super) fn keep(&mut self, now: Moment, content: Content<'_>) {
        let kept = match content {
            Content::Bytes(bytes) => {
                self.bytes += bytes.len();
                Kept::Bytes(bytes.to_vec())
            }
            Content::Gap(n) => Kept::Gap(n),
            Content::Lost(n) => Kept::Lost(n),
            Content::Unknown => Kept::Unknown,
        };
        self.later.push((now, kept));
    }

    /// No more is to be kept.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > BYTES || self.later.len() > CHUNKS
    }

    /// Hands each kept chunk to `take`, oldest first, and waits no more.
    pub(super) fn release(self, mut take: impl FnMut(Moment, Content<'_>)) {
        for (moment, kept) in self.later {
            match kept {
                Kept::Bytes(bytes) => take(moment, Content::Bytes(&bytes)),
                Kept::Gap(n) => take(moment, Content::Gap(n)),
                Kept::Lost(n) => take(moment, Content::Lost(n)),
                Kept::Unknown => take(moment, Content::Unknown),
            }
        }
    }

    /// Heap bytes, about.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes + self.later.capacity() * size_of::<(Moment, Kept)>()
    }
}
