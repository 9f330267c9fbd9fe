//! How a body is framed (RFC 9112, 6 and 7): what follows a head, and the chunked transfer coding as a state machine that takes bytes
//! in any cut, and gaps. It does not keep a byte of the body.
use std::cmp::Ordering;

use super::head::{ContentLength, Fields};

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFraming {
    /// An interim answer ends here; the final one follows.
    Interim,
    /// So many bytes, maybe none.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Everything until the connection ends.
    UntilClose,
    /// No more HTTP on this connection: a tunnel, or another protocol.
    Tunnel,
    /// It cannot be told.
    Unknown,
    /// The head contradicts itself.
    Invalid,
}

/// What follows a request's head.
pub(super) fn of_request(fields: &Fields) -> BodyFraming {
    match (fields.transfer_coded, fields.chunked, fields.content_length) {
        (true, true, _) => BodyFraming::Chunked,
        (true, false, _) => BodyFraming::Unknown,
        (false, _, ContentLength::Is(length)) => BodyFraming::Length(length),
        (false, _, ContentLength::Absent) => BodyFraming::Length(0),
        (false, _, ContentLength::Invalid) => BodyFraming::Invalid,
    }
}

/// What follows the head of an answer to a request with this method (`None`: not seen).
pub(super) fn of_response(method: Option<&str>, status: u16, fields: &Fields) -> BodyFraming {
    match (method, status) {
        (_, 101) => BodyFraming::Tunnel,
        (_, 100..=199) => BodyFraming::Interim,
        (Some("CONNECT"), 200..=299) => BodyFraming::Tunnel,
        (Some("HEAD"), _) | (_, 204 | 304) => BodyFraming::Length(0),
        _ => match (fields.transfer_coded, fields.chunked, fields.content_length) {
            (true, true, _) => BodyFraming::Chunked,
            (true, false, _) | (false, _, ContentLength::Absent) => BodyFraming::UntilClose,
            (false, _, ContentLength::Is(length)) => BodyFraming::Length(length),
            (false, _, ContentLength::Invalid) => BodyFraming::Invalid,
        },
    }
}

/// The chunked coding between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In the digits of a chunk's size.
    Size {
        /// Their value so far.
        value: u64,
        /// How many there were.
        digits: u8,
    },
    /// Behind the digits, in padding or an extension, before the end of the line.
    Extension(u64),
    /// So many bytes of data to come.
    Data(u64),
    /// In the end of line that follows data; whether its CR passed.
    DataEnd(bool),
    /// In the trailer section; whether the present line is empty so far.
    Trailer(bool),
}

/// A step of the chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkStep<'b> {
    /// A piece of the body.
    Data(&'b [u8]),
    /// The bytes are used up.
    More,
    /// The body ended.
    End,
    /// That is no chunk.
    Malformed,
}

/// What a gap did to the chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gapped {
    /// It took so many bytes of the body; the place is known.
    Inside(u64),
    /// It took so many bytes of the body, and behind them as many as end it. A size line can be as long.
    MaybeEnded(u64),
    /// It took at least so many bytes of the body; the place is lost.
    Lost(u64),
}

/// A line end behind data.
const LINE_END: u64 = 2;
/// `0 CR LF CR LF`. A size line of three digits is as long.
const LAST_CHUNK: u64 = 5;
/// Longest size line that is recognised behind lost bytes.
const SIZE_LINE: usize = 32;

impl Chunked {
    /// Before the first chunk.
    pub(super) const START: Self = Self::Size { value: 0, digits: 0 };

    /// Takes bytes off the front of `bytes` up to the next piece of data, or the end.
    pub(super) fn step<'b>(&mut self, bytes: &mut &'b [u8]) -> ChunkStep<'b> {
        loop {
            if let Self::Data(left) = *self {
                let (data, rest) = bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                *bytes = rest;
                let left = left - data.len() as u64;
                *self = if left == 0 { Self::DataEnd(false) } else { Self::Data(left) };
                return if data.is_empty() { ChunkStep::More } else { ChunkStep::Data(data) };
            }
            let Some((byte, rest)) = bytes.split_first() else { return ChunkStep::More };
            *bytes = rest;
            *self = match (*self, byte) {
                (Self::Trailer(true), b'\n') => return ChunkStep::End,
                (state, byte) => match state.after(*byte) {
                    Some(next) => next,
                    None => return ChunkStep::Malformed,
                },
            };
        }
    }

    /// The state after a byte that is not data; `None` when it cannot stand here.
    fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = (byte as char).to_digit(16)?;
                let value = value.checked_mul(16)?.checked_add(digit.into())?;
                Some(Self::Size { value, digits: digits.saturating_add(1) })
            }
            (Self::Size { digits: 0, .. }, _) => None,
            (Self::Size { value, .. } | Self::Extension(value), b'\n') => {
                Some(if value == 0 { Self::Trailer(true) } else { Self::Data(value) })
            }
            (Self::Size { value, .. }, b'\r' | b';' | b' ' | b'\t') => Some(Self::Extension(value)),
            (Self::Size { .. }, _) => None,
            (Self::Extension(value), _) => Some(Self::Extension(value)),
            (Self::DataEnd(_), b'\r') => Some(Self::DataEnd(true)),
            (Self::DataEnd(_), b'\n') => Some(Self::START),
            (Self::DataEnd(_), _) => None,
            (Self::Trailer(_), b'\n') => Some(Self::Trailer(true)),
            (Self::Trailer(empty), b'\r') => Some(Self::Trailer(empty)),
            (Self::Trailer(_), _) => Some(Self::Trailer(false)),
            (Self::Data(_), _) => None,
        }
    }

    /// Takes a gap of `n` bytes. Beyond the data of the chunk that it begins in, the place is known where only a line end fits.
    pub(super) fn gap(&mut self, n: u64) -> Gapped {
        let data = match *self {
            Self::Data(left) => left,
            _ => 0,
        };
        let Some(beyond) = n.checked_sub(data) else {
            *self = Self::Data(data - n);
            return Gapped::Inside(n);
        };
        let line_end = match *self {
            Self::Data(_) | Self::DataEnd(false) => LINE_END,
            Self::DataEnd(true) => 1,
            Self::Size { digits: 0, .. } => 0,
            _ => return Gapped::Lost(0),
        };
        match beyond.cmp(&line_end) {
            Ordering::Less => *self = Self::DataEnd(line_end - beyond == 1),
            Ordering::Equal => *self = Self::START,
            Ordering::Greater if beyond == line_end + LAST_CHUNK => return Gapped::MaybeEnded(data),
            Ordering::Greater => return Gapped::Lost(data),
        }
        Gapped::Inside(data)
    }

    /// Where chunks begin at the front of `bytes`, an operation behind bytes that were lost: maybe behind the line end of the chunk
    /// before. Text can look like a chunk, so two frames must agree: a whole chunk, and behind it a size line or the operation's end.
    pub(super) fn resume(bytes: &[u8]) -> Option<usize> {
        let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let (size, data) = size_line(&bytes[skipped..])?;
        let agrees = match usize::try_from(size).ok()? {
            0 => data == b"\r\n",
            size => {
                let next = data.get(size..)?.strip_prefix(b"\r\n")?;
                next.is_empty() || size_line(next).is_some()
            }
        };
        agrees.then_some(skipped)
    }
}

/// The size in the size line at the front of `bytes`, and what follows it.
fn size_line(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().take(SIZE_LINE).position(|byte| *byte == b'\n')?;
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let is_framed = end > 0 && bytes[end - 1] == b'\r' && (1..=8).contains(&digits) && matches!(bytes[digits], b'\r' | b';');
    let size = std::str::from_utf8(&bytes[..digits]).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok())?;
    is_framed.then_some((size, &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(mut bytes: &[u8]) -> (Vec<u8>, Option<&[u8]>) {
        let (mut state, mut body) = (Chunked::START, Vec::new());
        loop {
            match state.step(&mut bytes) {
                ChunkStep::Data(data) => body.extend_from_slice(data),
                ChunkStep::End => return (body, Some(bytes)),
                ChunkStep::More | ChunkStep::Malformed => return (body, None),
            }
        }
    }

    #[test]
    fn chunks_with_extensions_trailers_and_padding() {
        let bytes = b"5;a=\"b;c\"\r\nhello\r\n1  \r\n,\r\n00A\r\n0123456789\r\n0;last\r\nX-Sum: 1\r\nY:\r\n\r\nHTTP";
        assert_eq!(decode(bytes), (b"hello,0123456789".to_vec(), Some(&b"HTTP"[..])));
        assert_eq!(decode(b"3\nabc\n0\n\n"), (b"abc".to_vec(), Some(&b""[..])));
    }

    #[test]
    fn what_is_no_chunk_is_malformed() {
        for bytes in [&b"\r\n"[..], b"xyz\r\n", b"5\r\nhelloX", b"11111111111111111\r\n", b"-1\r\n"] {
            let (mut state, mut rest) = (Chunked::START, bytes);
            let last = std::iter::repeat_with(|| state.step(&mut rest)).find(|step| !matches!(step, ChunkStep::Data(_)));
            assert_eq!(last, Some(ChunkStep::Malformed), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn gaps_keep_the_place_where_arithmetic_allows() {
        let after = |state: Chunked, n| {
            let mut state = state;
            (state.gap(n), state)
        };
        assert_eq!(after(Chunked::Data(100), 40), (Gapped::Inside(40), Chunked::Data(60)));
        assert_eq!(after(Chunked::Data(100), 100), (Gapped::Inside(100), Chunked::DataEnd(false)));
        assert_eq!(after(Chunked::Data(100), 101), (Gapped::Inside(100), Chunked::DataEnd(true)));
        assert_eq!(after(Chunked::DataEnd(true), 1), (Gapped::Inside(0), Chunked::START));
        assert_eq!(after(Chunked::Data(100), 102), (Gapped::Inside(100), Chunked::START));
        assert_eq!(after(Chunked::Data(100), 107).0, Gapped::MaybeEnded(100));
        assert_eq!(after(Chunked::Data(2_488), 2_495).0, Gapped::MaybeEnded(2_488));
        assert_eq!(after(Chunked::START, 5).0, Gapped::MaybeEnded(0));
        assert_eq!(after(Chunked::Data(100), 103).0, Gapped::Lost(100));
        assert_eq!(after(Chunked::START, 6).0, Gapped::Lost(0));
        assert_eq!(after(Chunked::Extension(3), 5).0, Gapped::Lost(0));
    }

    #[test]
    fn framing_is_picked_up_at_a_size_line() {
        assert_eq!(Chunked::resume(b"3\r\nabc\r\n"), Some(0));
        assert_eq!(Chunked::resume(b"3\r\nabc\r\n1f4\r\nabc"), Some(0));
        assert_eq!(Chunked::resume(b"\r\n0\r\n\r\n"), Some(2));
        for bytes in [&b"abc"[..], b"hello\r\n", b"123456789\r\n", b"12\n", b"", b"1f4\r\nabc", b"12\r\n34\r\n", b"3\r\nabcd\r\n"] {
            assert_eq!(Chunked::resume(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
