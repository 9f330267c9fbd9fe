//! Recognises PostgreSQL by a client's first message (a request for encryption, to cancel, or the startup), and, of a connection that was joined
//! midway, by messages that follow each other in one operation.
use crate::proto::detect::{Opening, Verdict};
use crate::proto::framed::FrameReader;
use crate::stream::Direction;

use super::message::{Backend, Frontend, MessageReader, MessageSender};

/// Codes in place of a version, in a client's first message.
pub(super) const SSL_REQUEST: u32 = 80_877_103;
pub(super) const GSS_REQUEST: u32 = 80_877_104;
pub(super) const CANCEL_REQUEST: u32 = 80_877_102;
/// Versions 3.0 to 3.2.
const VERSIONS: std::ops::RangeInclusive<u32> = 0x3_0000..=0x3_0002;
/// What a simple query begins with, in a connection that was joined midway.
const VERBS: [&[u8]; 14] = [
    b"SELECT",
    b"INSERT",
    b"UPDATE",
    b"DELETE",
    b"BEGIN",
    b"COMMIT",
    b"ROLLBACK",
    b"WITH",
    b"SET",
    b"SHOW",
    b"CREATE",
    b"COPY",
    b"END",
    b"DISCARD",
];

/// Where a connection begins to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    /// The client's direction.
    pub(super) client: Direction,
    /// With its first message.
    pub(super) is_startup: bool,
}

/// Three-way detection.
pub fn detect(opening: &Opening<'_>) -> Verdict {
    let streams = Direction::BOTH.map(|direction| opening.stream(direction));
    begins(streams, opening.late).0
}

/// Whether one of both streams begins like PostgreSQL, and how.
pub(super) fn begins(streams: [&[u8]; 2], is_late: bool) -> (Verdict, Beginning) {
    let mut result = (Verdict::No, Beginning { client: Direction::In, is_startup: true });
    for client in Direction::BOTH {
        let [sent, answered] = [streams[client.index()], streams[client.opposite().index()]];
        match startup(sent) {
            _ if sent.is_empty() => {}
            Verdict::Yes => return (Verdict::Yes, Beginning { client, is_startup: true }),
            Verdict::NeedMore => result.0 = Verdict::NeedMore,
            Verdict::No => {}
        }
        if is_late && (is_query(sent) || chain::<Frontend>(sent) || chain::<Backend>(answered)) {
            return (Verdict::Yes, Beginning { client, is_startup: false });
        }
    }
    result
}

/// A client's first message.
fn startup(bytes: &[u8]) -> Verdict {
    let number = |at: usize| bytes.get(at..at + 4).map(|number| u32::from_be_bytes(number.try_into().unwrap_or_default()));
    let high = &bytes[..bytes.len().min(2)];
    if high != &[0, 0][..high.len()] {
        return Verdict::No;
    }
    let Some(length) = number(0) else { return Verdict::NeedMore };
    let Some(code) = number(4) else {
        // Up to eight bytes there are few beginnings.
        let codes = [SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST, 0x3_0000, 0x3_0002];
        let may_be = codes.iter().any(|code| code.to_be_bytes().starts_with(&bytes[4..]));
        return if may_be && (8..10_000).contains(&length) { Verdict::NeedMore } else { Verdict::No };
    };
    match code {
        SSL_REQUEST | GSS_REQUEST if length == 8 => Verdict::Yes,
        CANCEL_REQUEST if length >= 16 => Verdict::Yes,
        code if VERSIONS.contains(&code) && (9..10_000).contains(&length) => {
            let key: &[u8] = bytes[8..].split(|byte| *byte == 0).next().unwrap_or_default();
            let is_name = key.iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'));
            match () {
                () if !is_name => Verdict::No,
                () if bytes.len() == 8 || (8 + key.len() == bytes.len() && bytes.len() < 24) => Verdict::NeedMore,
                () if key.is_empty() => Verdict::No,
                () => Verdict::Yes,
            }
        }
        _ => Verdict::No,
    }
}

/// A simple query that begins with a verb.
fn is_query(bytes: &[u8]) -> bool {
    let Some((&[b'Q', 0, ..], text)) = bytes.split_at_checked(5) else { return false };
    let word: &[u8] = text.split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
    VERBS.iter().any(|verb| word.eq_ignore_ascii_case(verb) && word.len() < text.len())
}

/// Two messages or more, one of which has no content: a coincidence of ten bytes at least.
fn chain<S: MessageSender>(bytes: &[u8]) -> bool {
    let (mut rest, mut messages, mut empty) = (bytes, 0, 0);
    while MessageReader::<S>::may_begin(rest) {
        let length = rest[1..].first_chunk().map_or(0, |length| u32::from_be_bytes(*length)) as usize;
        messages += 1;
        empty += usize::from(length == 4 || (rest[0] == b'Z' && length == 5 && rest.get(5).is_some_and(|state| b"ITE".contains(state))));
        rest = rest.get(1 + length..).unwrap_or_default();
    }
    messages >= 2 && empty >= 1
}
