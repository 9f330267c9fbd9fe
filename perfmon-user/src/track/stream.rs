//! The position of one direction of a connection. In: operations with their offsets; out: their bytes and the gaps before and after them.
use crate::decode::Data;
use crate::stream::Content;

/// Position in one direction.
#[derive(Debug, Default)]
pub(super) struct StreamPosition {
    /// Stream position of the next byte.
    next: u64,
}

/// An operation relative to the stream position.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed<'a> {
    /// The gap before the event's bytes.
    pub(super) before: Option<Content<'a>>,
    /// The event's bytes.
    pub(super) bytes: &'a [u8],
    /// Bytes of the operation behind them that were not captured.
    pub(super) not_captured: u64,
    /// Bytes lost with their events.
    pub(super) lost: u64,
}

impl StreamPosition {
    /// Compares an operation with the position and advances the position to its end.
    pub(super) fn place<'a>(&mut self, data: &Data<'a>) -> Placed<'a> {
        let start = data.offset + u64::from(data.piece_offset);
        let (before, lost) = match start.checked_sub(self.next) {
            Some(0) => (None, 0),
            Some(missing) => (Some(Content::Lost(missing)), missing),
            // The kernel evicted the socket from its table and restarted the count.
            None => (Some(Content::Unknown), 0),
        };
        let captured_to = start + data.payload.len() as u64;
        let end = data.offset + u64::from(data.total_len);
        let not_captured = if data.last_piece { end.saturating_sub(captured_to) } else { 0 };
        self.next = captured_to + not_captured;
        Placed { before, bytes: data.payload, not_captured, lost }
    }

    /// Advances to byte `total` of the stream; returns how many bytes no event covered.
    pub(super) fn skip_to(&mut self, total: u64) -> u64 {
        let unseen = total.saturating_sub(self.next);
        self.next += unseen;
        unseen
    }
}
