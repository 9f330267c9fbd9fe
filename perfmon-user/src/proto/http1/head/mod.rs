//! Heads (RFC 9112, 2 to 5): bytes in, a head out, found in one pass over its lines. What the grammar forbids and servers accept all the
//! same (folded lines, a target that is not UTF-8) is mended in a copy; a broken field line is passed over. Knows nothing of bodies and
//! pairs.
mod fields;
mod first_line;
mod known;
#[cfg(test)]
mod tests;

use memchr::memchr;

use super::{HEAD_BYTES, HEADERS, MessageSide};
use crate::proto::headers::Headers;
use fields::ValuePosition;
pub(super) use fields::{ContentLength, Fields};
pub(super) use first_line::FirstLine;
pub(super) use known::LastLines;
pub use known::forget;

/// A head.
#[derive(Debug)]
pub(super) struct Head<'h> {
    /// Its first line.
    pub(super) line: FirstLine<'h>,
    /// HTTP/1.`minor`.
    pub(super) minor: u8,
    /// Fields in order.
    pub(super) headers: Headers<'h>,
    /// What matters of them.
    pub(super) fields: &'h Fields,
    /// Bytes of it.
    pub(super) len: usize,
}

impl<'h> Head<'h> {
    /// `Host`.
    pub(super) fn host(&self) -> Option<&'h [u8]> {
        self.value(self.fields.host)
    }

    /// `User-Agent`.
    pub(super) fn user_agent(&self) -> Option<&'h [u8]> {
        self.value(self.fields.user_agent)
    }

    /// `traceparent`.
    pub(super) fn traceparent(&self) -> Option<&'h [u8]> {
        self.value(self.fields.traceparent)
    }

    fn value(&self, position: Option<ValuePosition>) -> Option<&'h [u8]> {
        position.map(|position| position.of(self.headers.lines()))
    }
}

/// Outcome of parsing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<R> {
    /// A whole head; what was made of it.
    Whole(R),
    /// It does not end in these bytes.
    Partial,
    /// It ends here and is no head.
    Malformed(usize),
}

/// What lines are; their fields are told apart from it, since a copy right after they were written would wait for the writes.
enum HeadReading<'h> {
    Whole {
        line: FirstLine<'h>,
        minor: u8,
        headers: Headers<'h>,
        len: usize,
    },
    Partial,
    /// The head ends here, and a mended copy may be one.
    Irregular(usize),
}

/// Parses the head at the front of `bytes` and hands it to `then`. `last` are the lines that the stream had last.
pub(super) fn parse<R>(side: MessageSide, bytes: &[u8], last: &mut LastLines, then: impl FnOnce(&Head<'_>) -> R) -> Parsed<R> {
    let mut fields = Fields::default();
    match read(side, bytes, last, &mut fields) {
        HeadReading::Partial => Parsed::Partial,
        HeadReading::Whole { len, .. } | HeadReading::Irregular(len) if len > HEAD_BYTES => Parsed::Malformed(len),
        HeadReading::Whole { line, minor, headers, len } => Parsed::Whole(then(&Head { line, minor, headers, fields: &fields, len })),
        HeadReading::Irregular(len) => mended(side, &bytes[..len], then),
    }
}

/// Parses the copy of a head that can be mended.
#[cold]
fn mended<R>(side: MessageSide, head: &[u8], then: impl FnOnce(&Head<'_>) -> R) -> Parsed<R> {
    let (copy, mut fields, len) = (mend(head), Fields::default(), head.len());
    match read(side, &copy, &mut LastLines::default(), &mut fields) {
        HeadReading::Whole { line, minor, headers, .. } => Parsed::Whole(then(&Head { line, minor, headers, fields: &fields, len })),
        HeadReading::Partial | HeadReading::Irregular(_) => Parsed::Malformed(len),
    }
}

/// Reads lines up to the empty one.
fn read<'h>(side: MessageSide, bytes: &'h [u8], last: &mut LastLines, fields: &mut Fields) -> HeadReading<'h> {
    let Some(first_end) = line_end(bytes, 0) else { return HeadReading::Partial };
    let first = &bytes[..first_end];
    let line = FirstLine::of(side, first.strip_suffix(b"\r").unwrap_or(first));
    let start = first_end + 1;
    if let (Some((line, minor)), Some((known, lines, all))) = (line, last.find(&bytes[start..])) {
        *fields = known;
        return HeadReading::Whole { line, minor, headers: Headers::new(&bytes[start..start + lines]), len: start + all };
    }
    let (mut from, mut count, mut folded) = (start, 0, false);
    while let Some(end) = line_end(bytes, from) {
        let len = end + 1;
        match &bytes[from..end] {
            [] | [b'\r'] => {
                let headers = Headers::new(&bytes[start..from]);
                return match line {
                    Some((line, minor)) if !folded && count <= HEADERS => {
                        last.keep(&bytes[start..len], from - start, fields);
                        HeadReading::Whole { line, minor, headers, len }
                    }
                    _ => HeadReading::Irregular(len),
                };
            }
            [b' ' | b'\t', ..] => folded = true,
            line => fields.add(line, from - start),
        }
        count += 1;
        from = len;
    }
    HeadReading::Partial
}

/// Where the line that begins at `from` has its LF.
#[inline]
fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    /// Most lines are shorter; words of eight bytes find the end of such a line sooner than a call of memchr.
    const SHORT: usize = 48;
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let (words, _) = bytes[from..bytes.len().min(from + SHORT)].as_chunks();
    for (index, word) in words.iter().enumerate() {
        let zero_at_lf = u64::from_le_bytes(*word) ^ (ONES * 0x0a);
        // The lowest bit set marks the first byte that is zero.
        let found = zero_at_lf.wrapping_sub(ONES) & !zero_at_lf & (ONES * 0x80);
        if found != 0 {
            return Some(from + index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let from = from + words.len() * 8;
    memchr(b'\n', &bytes[from..]).map(|position| from + position)
}

/// Makes a whole head of one that is not, keeping what can be understood: all lines that are complete, else the first one, else what
/// that begins with. `None` when not even that is known.
pub(super) fn salvage(side: MessageSide, bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = &bytes[..bytes.len().min(HEAD_BYTES)];
    let until = |position: Option<usize>| position.map(|position| [&bytes[..=position], b"\r\n"].concat());
    let is_line_end = |byte: &u8| *byte == b'\n';
    let lines = || until(bytes.iter().rposition(is_line_end));
    let first_line = || until(bytes.iter().position(is_line_end));
    let candidates: [&dyn Fn() -> Option<Vec<u8>>; 3] = [&lines, &first_line, &|| complete_line(side, bytes)];
    let is_head = |head: &Vec<u8>| matches!(parse(side, head, &mut LastLines::default(), |_| ()), Parsed::Whole(()));
    candidates.iter().find_map(|candidate| candidate().filter(is_head))
}

/// A first line that was cut or has too many words, made whole as far as that is possible.
fn complete_line(side: MessageSide, bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    match side {
        MessageSide::Request => {
            let mut words = bytes.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
            let (method, target) = (words.next()?, words.next()?);
            Some([method, b" ", target, b" HTTP/1.1\r\n\r\n"].concat())
        }
        MessageSide::Response => Some([bytes.get(..b"HTTP/1.1 200".len())?, b"\r\n\r\n"].concat()),
    }
}

/// Where a head ends: behind the first empty line. `scanned` is how far earlier calls have looked.
pub(super) fn find_end(bytes: &[u8], scanned: &mut usize) -> Option<usize> {
    let mut from = *scanned;
    while let Some(position) = memchr(b'\n', &bytes[from..]) {
        let line_end = from + position;
        match &bytes[line_end + 1..] {
            [b'\n', ..] => return Some(line_end + 2),
            [b'\r', b'\n', ..] => return Some(line_end + 3),
            [] | [b'\r'] => {
                *scanned = line_end;
                return None;
            }
            _ => from = line_end + 1,
        }
    }
    *scanned = bytes.len();
    None
}

/// A copy with folded lines joined (RFC 9112, 5.2) and a first line that is UTF-8.
fn mend(head: &[u8]) -> Vec<u8> {
    let first_end = memchr(b'\n', head).map_or(head.len(), |position| position + 1);
    let mut mended = String::from_utf8_lossy(&head[..first_end]).into_owned().into_bytes();
    for (index, line) in head[first_end..].split_inclusive(|byte| *byte == b'\n').enumerate() {
        let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if blanks == 0 {
            mended.extend_from_slice(line);
        } else if index > 0 {
            let kept = mended.trim_ascii_end().len();
            mended.truncate(kept);
            mended.push(b' ');
            mended.extend_from_slice(&line[blanks..]);
        }
    }
    mended
}
