//! Recognises MySQL by the server's greeting (handshake version 10, or an error in its place), by the client's answer to it, which is what the
//! plaintext of TLS begins with, and, of a connection that was joined midway, by a command together with its answer.
use crate::proto::detect::{Opening, Verdict};
use crate::stream::Direction;

/// The client's capability without which no server speaks to it since 4.1.
const PROTOCOL_41: u8 = 0x02;
/// Bytes of a packet's length and number.
pub(super) const HEADER: usize = 4;

/// Where a connection begins to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MySqlBeginning {
    /// With the server's greeting.
    Greeting,
    /// With the client's answer to it.
    Login,
    /// With a command.
    Midway,
}

/// Three-way detection.
pub fn detect(opening: &Opening<'_>) -> Verdict {
    begins(Direction::BOTH.map(|direction| opening.stream(direction)), opening.late).0
}

/// Whether one of both streams begins like MySQL; the client's direction, and with what.
pub(super) fn begins(streams: [&[u8]; 2], is_late: bool) -> (Verdict, Direction, MySqlBeginning) {
    let mut verdict = Verdict::No;
    for client in Direction::BOTH {
        let [sent, answered] = [streams[client.index()], streams[client.opposite().index()]];
        let found = [
            (greeting(answered), MySqlBeginning::Greeting),
            (login(sent), MySqlBeginning::Login),
            (if is_late { exchange(sent, answered) } else { Verdict::No }, MySqlBeginning::Midway),
        ];
        for (found, beginning) in found {
            match found {
                Verdict::Yes => return (Verdict::Yes, client, beginning),
                Verdict::NeedMore => verdict = Verdict::NeedMore,
                Verdict::No => {}
            }
        }
    }
    (verdict, Direction::In, MySqlBeginning::Midway)
}

/// Length and number of the packet that bytes begin with, and what is there of its payload.
pub(super) fn packet(bytes: &[u8]) -> Option<(usize, u8, &[u8])> {
    let (&[a, b, c, number], rest) = bytes.split_first_chunk::<HEADER>()?;
    let length = u32::from_le_bytes([a, b, c, 0]) as usize;
    Some((length, number, &rest[..rest.len().min(length)]))
}

/// A header as far as it is there: a packet of `least` to 1,023 bytes with one of these numbers.
fn may_be_header(bytes: &[u8], least: u8, numbers: &[u8]) -> bool {
    let length = match bytes {
        [] => return false,
        [low] => return *low >= least || *low < 4,
        [low, high, ..] => u16::from_le_bytes([*low, *high]),
    };
    (u16::from(least)..1_024).contains(&length)
        && bytes.get(2).is_none_or(|high| *high == 0)
        && bytes.get(3).is_none_or(|number| numbers.contains(number))
}

/// A server's first packet.
fn greeting(bytes: &[u8]) -> Verdict {
    if !may_be_header(bytes, 9, &[0]) {
        return Verdict::No;
    }
    let Some((length, _, payload)) = packet(bytes) else { return Verdict::NeedMore };
    match payload.split_first() {
        None => Verdict::NeedMore,
        Some((10, rest)) => {
            let end = rest.iter().position(|byte| *byte == 0);
            let version = &rest[..end.unwrap_or(rest.len())];
            let is_version = version.first().is_none_or(u8::is_ascii_digit) && version.iter().all(u8::is_ascii_graphic);
            match end {
                _ if !is_version || length < 34 => Verdict::No,
                Some(3..) if version.contains(&b'.') => Verdict::Yes,
                // A long name of a build.
                None if rest.len() >= 48 && version.contains(&b'.') => Verdict::Yes,
                None if payload.len() < length && rest.len() < 48 => Verdict::NeedMore,
                _ => Verdict::No,
            }
        }
        // Too many connections, the host is blocked or not allowed.
        Some((0xff, rest)) => refusal(rest, payload.len() < length),
        Some(_) => Verdict::No,
    }
}

/// Number and text of an error, of which more may come.
fn refusal(error: &[u8], is_part: bool) -> Verdict {
    let [low, high, text @ ..] = error else { return Verdict::NeedMore };
    let is_code = (1_000..4_200).contains(&u16::from_le_bytes([*low, *high]));
    let is_text = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    match () {
        () if !is_code || !is_text => Verdict::No,
        () if text.len() >= 6 => Verdict::Yes,
        () if is_part => Verdict::NeedMore,
        () => Verdict::No,
    }
}

/// A client's answer to the greeting: capabilities, longest packet, character set, zeros, user.
fn login(bytes: &[u8]) -> Verdict {
    if !may_be_header(bytes, 33, &[1, 2]) {
        return Verdict::No;
    }
    let payload = bytes.get(HEADER..).unwrap_or_default();
    let zeros = payload.iter().skip(9).take(19).all(|byte| *byte == 0);
    let has_41 = payload.get(1).is_none_or(|flags| flags & PROTOCOL_41 != 0);
    let user = payload.iter().skip(32).take_while(|byte| **byte != 0);
    match () {
        () if !zeros || !has_41 || user.into_iter().any(|byte| *byte < b' ') => Verdict::No,
        () if payload.len() < 34 => Verdict::NeedMore,
        () => Verdict::Yes,
    }
}

/// A command, and then its answer.
fn exchange(sent: &[u8], answered: &[u8]) -> Verdict {
    match () {
        () if is_request_header(sent) => Verdict::NeedMore,
        () if !is_request(sent) || !is_answered(sent[HEADER]) => Verdict::No,
        () if answered.is_empty() => Verdict::NeedMore,
        () if is_answer(answered) => Verdict::Yes,
        () => Verdict::No,
    }
}

/// A command that has an answer.
fn is_answered(command: u8) -> bool {
    !matches!(command, 0x01 | 0x18 | 0x19)
}

/// Whether a command of this length is one.
pub(super) fn is_command(command: u8, length: u64) -> bool {
    let least = match command {
        0x01 | 0x09 | 0x0a | 0x0d | 0x0e | 0x1f => return length == 1,
        0x07 => return length == 2,
        0x08 => return length <= 2,
        0x0c | 0x19 | 0x1a => return length == 5,
        0x1b => return length == 3,
        0x1c => return length == 9,
        0x02..=0x06 | 0x16 => 2,
        0x11 => 4,
        0x12 | 0x13 | 0x15 | 0x1e => 5,
        0x17 => 10,
        0x18 | 0xfa => 7,
        _ => return false,
    };
    length >= least
}

/// Whether bytes are a command's header or less of it: servers read one, and then as much as it announces.
pub(super) fn is_request_header(bytes: &[u8]) -> bool {
    bytes.len() <= HEADER && may_be_header(bytes, 1, &[0])
}

/// Whether bytes begin with a command.
pub(super) fn is_request(bytes: &[u8]) -> bool {
    let Some((length, 0, payload)) = packet(bytes) else { return false };
    let Some((command, rest)) = payload.split_first() else { return false };
    let is_text = |rest: &[u8]| rest.first().is_none_or(|byte| matches!(byte, b'\t'..=b'\r' | b' '..));
    is_command(*command, length as u64)
        && match command {
            // Its attributes stand before the text.
            0x03 => is_text(rest) || rest.get(1).is_none_or(|sets| *sets == 1),
            0x02 | 0x04 | 0x16 => is_text(rest),
            _ => true,
        }
}

/// Whether bytes begin with the first packet of an answer.
pub(super) fn is_answer(bytes: &[u8]) -> bool {
    let Some((length, 1, payload)) = packet(bytes) else { return false };
    match payload {
        [0, ..] => (7..1_024).contains(&length),
        [0xff, low, high, rest @ ..] => {
            u16::from_le_bytes([*low, *high]) >= 1_000 && rest.first().is_none_or(|byte| matches!(byte, b'#')) && length >= 9
        }
        [0xfe, ..] => length == 5 || (7..1_024).contains(&length),
        // A result set: its number of columns, and the first of them.
        [1..=0xfa, ..] if length <= 2 => is_definition(&bytes[(HEADER + length).min(bytes.len())..]),
        [0xfc, ..] if (3..=4).contains(&length) => is_definition(&bytes[(HEADER + length).min(bytes.len())..]),
        _ => false,
    }
}

/// The packet that defines a result's first column.
fn is_definition(bytes: &[u8]) -> bool {
    matches!(packet(bytes), Some((20.., 2, [3, b'd', b'e', b'f', ..])))
}
