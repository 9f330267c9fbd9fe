//! Recognises Redis by a command: an array of texts of which the first one is a command's name. Answers look like much else and decide nothing
//! alone; a connection that begins with an inline command is recognised when its answer has come.
use super::names;
use crate::proto::detect::{Opening, Verdict};
use crate::stream::Direction;

/// Longest inline command that is waited for.
const INLINE: usize = 48;

/// Three-way detection.
pub fn detect(opening: &Opening<'_>) -> Verdict {
    commands(opening.streams.map(|stream| &stream[..stream.len().min(64)])).0
}

/// Whether one of both streams carries commands, and which.
pub(super) fn commands(streams: [&[u8]; 2]) -> (Verdict, Direction) {
    let mut result = (Verdict::No, Direction::In);
    for direction in Direction::BOTH {
        let (bytes, other) = (streams[direction.index()], streams[direction.opposite().index()]);
        let verdict = match is_command(bytes) {
            _ if bytes.is_empty() => Verdict::No,
            Verdict::No => is_inline(bytes, other),
            verdict => verdict,
        };
        match verdict {
            Verdict::Yes => return (Verdict::Yes, direction),
            Verdict::NeedMore => result.0 = Verdict::NeedMore,
            Verdict::No => {}
        }
    }
    result
}

/// Whether bytes begin with `*N`, `$L` and the name of a command.
pub(super) fn is_command(bytes: &[u8]) -> Verdict {
    let (verdict, rest) = number(bytes, b'*');
    if verdict != Verdict::Yes {
        return verdict;
    }
    let (verdict, rest) = number(rest.1, b'$');
    if verdict != Verdict::Yes {
        return verdict;
    }
    let (len, word) = rest;
    match word.get(..len) {
        _ if len == 0 || len > 32 => Verdict::No,
        Some(name) if names::is_known(name) => Verdict::Yes,
        Some(_) => Verdict::No,
        None if word.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'-' | b'_')) => Verdict::NeedMore,
        None => Verdict::No,
    }
}

/// A line of a type and up to seven digits: its number, and what follows.
fn number(bytes: &[u8], kind: u8) -> (Verdict, (usize, &[u8])) {
    const NONE: (usize, &[u8]) = (0, &[]);
    let Some((first, rest)) = bytes.split_first() else { return (Verdict::NeedMore, NONE) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if *first != kind || digits > 7 {
        return (Verdict::No, NONE);
    }
    let value = rest[..digits].iter().fold(0, |value, digit| value * 10 + usize::from(digit - b'0'));
    match &rest[digits..] {
        [b'\r', b'\n', after @ ..] if digits > 0 && value > 0 => (Verdict::Yes, (value, after)),
        [] | [b'\r'] => (Verdict::NeedMore, NONE),
        _ => (Verdict::No, NONE),
    }
}

/// Whether a line is a command of Memcached that stores: Redis has none with such arguments.
fn is_memcached(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let stores = matches!(words.next(), Some(b"set" | b"append"));
    let is_number = |word: &[u8]| !word.is_empty() && word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    stores && words.skip(1).take(3).filter(|word| is_number(word)).count() == 3
}

/// An inline command, and the beginning of an answer in the other stream.
fn is_inline(bytes: &[u8], answer: &[u8]) -> Verdict {
    let Some(end) = bytes.iter().take(INLINE).position(|byte| *byte == b'\n') else { return Verdict::No };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let is_text = line.iter().all(|byte| (b' '..=b'~').contains(byte));
    let word = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    // Requests of HTTP/0.9 to 1.1 have a path behind the method.
    let is_path = line.get(word.len() + 1).is_some_and(|byte| matches!(byte, b'/' | b'*' | b'h'));
    if !is_text || is_path || !names::is_known(word) || is_memcached(line) {
        return Verdict::No;
    }
    match answer.split_first() {
        None => Verdict::NeedMore,
        Some((b'+', rest)) if b"PONG\r\n".starts_with(rest) || rest.starts_with(b"PONG\r\n") => {
            if rest.len() >= 6 {
                Verdict::Yes
            } else {
                Verdict::NeedMore
            }
        }
        // POP3 answers so too, but has none of these commands.
        Some((b'+', rest)) if names::begins_with_key(word) => match rest {
            [b'O', b'K', b'\r', b'\n', ..] => Verdict::Yes,
            rest if b"OK\r\n".starts_with(rest) => Verdict::NeedMore,
            _ => Verdict::No,
        },
        Some((b'$' | b'*' | b':', rest)) => {
            let sign = usize::from(rest.first() == Some(&b'-'));
            let digits = rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            match &rest[sign + digits..] {
                [b'\r', b'\n', ..] if digits > 0 => Verdict::Yes,
                [] | [b'\r'] if digits < 20 => Verdict::NeedMore,
                _ => Verdict::No,
            }
        }
        Some(_) => Verdict::No,
    }
}
