//! Recognises MongoDB by a message's header and what must follow it. Either stream decides: a request answers nothing.
use super::header::{HEADER, MessageHeader, MongoOpcode, may_be_header};
use crate::proto::detect::{BUDGET, Opening, Verdict};
use crate::stream::Direction;

/// Three-way detection.
pub fn detect(opening: &Opening<'_>) -> Verdict {
    client(Direction::BOTH.map(|direction| opening.stream(direction))).0
}

/// Whether one of both streams is of MongoDB, and the client's; `streams` by [`Direction::index`].
pub(super) fn client(streams: [&[u8]; 2]) -> (Verdict, Direction) {
    let mut verdict = Verdict::No;
    for direction in Direction::BOTH {
        let bytes = streams[direction.index()];
        match judge(&bytes[..bytes.len().min(BUDGET)]) {
            (Verdict::Yes, true) => return (Verdict::Yes, direction),
            (Verdict::Yes, false) => return (Verdict::Yes, direction.opposite()),
            (Verdict::NeedMore, _) => verdict = Verdict::NeedMore,
            (Verdict::No, _) => {}
        }
    }
    (verdict, Direction::In)
}

/// Whether bytes begin with a message, and whether a client sends it.
pub(super) fn judge(bytes: &[u8]) -> (Verdict, bool) {
    let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
        return (if may_be_header(bytes) { Verdict::NeedMore } else { Verdict::No }, false);
    };
    match MessageHeader::of(header) {
        Some(header) => (follows(&header, body), header.is_request()),
        None => (Verdict::No, false),
    }
}

/// A number in bytes.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// Whether this may be behind such a header.
fn follows(header: &MessageHeader, body: &[u8]) -> Verdict {
    let room = header.length - HEADER as u32;
    if !header.is_request() && !matches!(header.opcode, MongoOpcode::Msg | MongoOpcode::Compressed | MongoOpcode::Reply) {
        return Verdict::No;
    }
    let is_formed = match header.opcode {
        MongoOpcode::Msg => match (number(body, 0), body.get(4), number(body, 5)) {
            // Flags that nobody knows yet may be set from bit 17 on.
            (Some(flags), Some(kind), Some(size)) => {
                let left = room - 5;
                Some(flags & !0x1_0003 == 0 && *kind <= 1 && (5..=left).contains(&size))
            }
            _ => None,
        },
        MongoOpcode::Compressed => match (number(body, 0), number(body, 4), body.get(8)) {
            (Some(original), Some(size), Some(compressor)) => {
                Some(matches!(original, 1 | 2004 | 2013) && size <= 64 << 20 && *compressor <= 3)
            }
            _ => None,
        },
        MongoOpcode::Query => match (number(body, 0), body.get(4)) {
            (Some(flags), Some(first)) => Some(flags & !0xff == 0 && (first.is_ascii_alphanumeric() || *first == b'_')),
            _ => None,
        },
        // With a document at least: the numbers alone may be anything.
        MongoOpcode::Reply => match (number(body, 0), number(body, 16), number(body, 20), body.get(24)) {
            (Some(flags), Some(count), Some(size), Some(kind)) => {
                let is_sized = room > 20 && (5..=room - 20).contains(&size) && (1..=room / 5).contains(&count);
                Some(flags & !0xf == 0 && header.answers != 0 && is_sized && *kind <= 0x13)
            }
            _ => None,
        },
        MongoOpcode::Write(_) | MongoOpcode::GetMore => match (number(body, 0), body.get(4)) {
            (Some(zero), Some(first)) => Some(zero == 0 && first.is_ascii_alphanumeric()),
            _ => None,
        },
        MongoOpcode::KillCursors => number(body, 4).map(|count| number(body, 0) == Some(0) && u64::from(count) * 8 + 8 == u64::from(room)),
    };
    match is_formed {
        Some(true) => Verdict::Yes,
        Some(false) => Verdict::No,
        None => Verdict::NeedMore,
    }
}

/// Whether a message may begin so when the place was lost: servers read its header alone.
pub(super) fn may_begin(bytes: &[u8], is_request: bool) -> bool {
    let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else { return false };
    MessageHeader::of(header).is_some_and(|header| header.is_request() == is_request && follows(&header, body) != Verdict::No)
}
