//! One direction of a connection: where its next byte is expected, and what an event means in that light.
use crate::decode::Data;
use crate::stream::Content;

/// Position in one direction.
#[derive(Debug, Default)]
pub(super) struct StreamPosition {
    /// Stream position of the next byte.
    next: u64,
}

/// An event put in its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed<'a> {
    /// A hole before the event's bytes.
    pub(super) before: Option<Content<'a>>,
    /// The event's bytes.
    pub(super) bytes: &'a [u8],
    /// Bytes of the operation behind them that were not captured.
    pub(super) not_captured: u64,
    /// Bytes that no event told of.
    pub(super) lost: u64,
}

impl StreamPosition {
    /// Puts an event in its place and moves on behind it.
    pub(super) fn place<'a>(&mut self, data: &Data<'a>) -> Placed<'a> {
        let start = data.offset + u64::from(data.piece_offset);
        let (before, lost) = match start.checked_sub(self.next) {
            Some(0) => (None, 0),
            Some(missing) => (Some(Content::Lost(missing)), missing),
            // The kernel's table dropped the socket and began to count anew.
            None => (Some(Content::Unknown), 0),
        };
        let captured_to = start + data.payload.len() as u64;
        let end = data.offset + u64::from(data.total_len);
        let not_captured = if data.last_piece { end.saturating_sub(captured_to) } else { 0 };
        self.next = captured_to + not_captured;
        Placed { before, bytes: data.payload, not_captured, lost }
    }

    /// Moves on to the end of the first `total` bytes of the stream; how many of them no event told of since the last one.
    pub(super) fn skip_to(&mut self, total: u64) -> u64 {
        let unseen = total.saturating_sub(self.next);
        self.next += unseen;
        unseen
    }
}
