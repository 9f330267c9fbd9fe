//! Heads (RFC 9112, 2 to 5): bytes in, a parsed head out, by way of httparse; what the grammar forbids and servers accept all the same
//! (folded lines, broken field lines, a target that is not UTF-8) is mended in a copy. Knows nothing of bodies and pairs.
use std::mem::MaybeUninit;

use httparse::{Error, ParserConfig, Status};

use super::line::METHOD_BYTES;
use super::{HEAD_BYTES, HEADERS, MessageSide};
use crate::proto::exchange::Header;

/// Fields for which no heap is needed.
const FEW_HEADERS: usize = 64;

/// A head.
#[derive(Debug)]
pub(super) struct Head<'h> {
    /// Its first line.
    pub(super) line: FirstLine<'h>,
    /// HTTP/1.`minor`.
    pub(super) minor: u8,
    /// Fields in order.
    pub(super) headers: &'h [Header<'h>],
    /// What matters of them.
    pub(super) fields: &'h Fields<'h>,
    /// Bytes of it.
    pub(super) len: usize,
}

/// A head's first line.
#[derive(Clone, Copy, Debug)]
pub(super) enum FirstLine<'h> {
    /// Of a request.
    Request {
        /// Method.
        method: &'h str,
        /// Target.
        target: &'h str,
    },
    /// Of an answer.
    Response {
        /// Status.
        status: u16,
    },
}

/// `Content-Length`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ContentLength {
    /// There is none.
    #[default]
    Absent,
    /// One, or several that agree.
    Is(u64),
    /// Not a number, or several that differ.
    Invalid,
}

/// The fields that the parser itself needs; values are trimmed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'h> {
    pub(super) content_length: ContentLength,
    /// There is a `Transfer-Encoding`.
    pub(super) transfer_coded: bool,
    /// Its last coding is `chunked`.
    pub(super) chunked: bool,
    /// `Expect: 100-continue`.
    pub(super) expects_continue: bool,
    /// There is an `Upgrade`.
    pub(super) upgrade: bool,
    /// The content type is one whose life is no latency.
    pub(super) streaming: bool,
    pub(super) grpc_status: Option<u8>,
    pub(super) host: Option<&'h [u8]>,
    pub(super) user_agent: Option<&'h [u8]>,
    pub(super) traceparent: Option<&'h [u8]>,
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

/// Parses the head at the front of `bytes` and hands it to `then`.
pub(super) fn parse<R>(side: MessageSide, bytes: &[u8], then: impl FnOnce(&Head<'_>) -> R) -> Parsed<R> {
    let mut config = ParserConfig::default();
    config.allow_multiple_spaces_in_request_line_delimiters(true).allow_multiple_spaces_in_response_status_delimiters(true);
    let mut few = [const { MaybeUninit::uninit() }; FEW_HEADERS];
    match Raw::parse(side, &config, bytes, &mut few) {
        Ok(Status::Complete(raw)) => return raw.hand_to(then),
        Ok(Status::Partial) => return Parsed::Partial,
        Err(_) => {}
    }
    let Some(len) = find_end(bytes, &mut 0) else { return Parsed::Partial };
    if len > HEAD_BYTES {
        return Parsed::Malformed(len);
    }
    config.ignore_invalid_headers_in_requests(true).ignore_invalid_headers_in_responses(true);
    let mended = mend(&bytes[..len]);
    let mut many = vec![MaybeUninit::uninit(); HEADERS];
    match Raw::parse(side, &config, &mended, &mut many) {
        Ok(Status::Complete(raw)) => Raw { len, ..raw }.hand_to(then),
        Ok(Status::Partial) | Err(_) => Parsed::Malformed(len),
    }
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
    candidates.iter().find_map(|candidate| candidate().filter(|head| matches!(parse(side, head, |_| ()), Parsed::Whole(()))))
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
    while let Some(position) = bytes[from..].iter().position(|byte| *byte == b'\n') {
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
    let first_end = head.iter().position(|byte| *byte == b'\n').map_or(head.len(), |position| position + 1);
    let mut mended = String::from_utf8_lossy(&head[..first_end]).into_owned().into_bytes();
    for (index, line) in head[first_end..].split_inclusive(|byte| *byte == b'\n').enumerate() {
        if index > 0 && matches!(line, [b' ' | b'\t', ..]) {
            let kept = mended.trim_ascii_end().len();
            mended.truncate(kept);
            mended.push(b' ');
            mended.extend_from_slice(line.trim_ascii_start());
        } else {
            mended.extend_from_slice(line);
        }
    }
    mended
}

/// What httparse found.
struct Raw<'h, 'b> {
    line: FirstLine<'b>,
    minor: u8,
    headers: &'h [httparse::Header<'b>],
    len: usize,
}

impl<'h, 'b> Raw<'h, 'b> {
    fn parse(
        side: MessageSide,
        config: &ParserConfig,
        bytes: &'b [u8],
        headers: &'h mut [MaybeUninit<httparse::Header<'b>>],
    ) -> Result<Status<Self>, Error> {
        let (status, line, minor, headers): (_, _, _, &'h [httparse::Header<'b>]) = match side {
            MessageSide::Request => {
                let mut request = httparse::Request::new(&mut []);
                let status = config.parse_request_with_uninit_headers(&mut request, bytes, headers)?;
                let line = request.method.zip(request.path).map(|(method, target)| FirstLine::Request { method, target });
                (status, line, request.version, request.headers)
            }
            MessageSide::Response => {
                let mut response = httparse::Response::new(&mut []);
                let status = config.parse_response_with_uninit_headers(&mut response, bytes, headers)?;
                let line = response.code.map(|status| FirstLine::Response { status });
                (status, line, response.version, response.headers)
            }
        };
        match (status, line, minor) {
            (Status::Complete(len), Some(line), Some(minor)) => Ok(Status::Complete(Self { line, minor, headers, len })),
            _ => Ok(Status::Partial),
        }
    }

    /// Hands the head over, unless its first line is valid by its letters only.
    fn hand_to<R>(self, then: impl FnOnce(&Head<'_>) -> R) -> Parsed<R> {
        let sound = match self.line {
            FirstLine::Request { method, .. } => method.len() <= METHOD_BYTES,
            FirstLine::Response { status } => (100..=999).contains(&status),
        };
        if !sound || self.len > HEAD_BYTES {
            return Parsed::Malformed(self.len);
        }
        let headers = self.headers;
        // A reference: a copy right after the fields were written would wait for the writes.
        let fields = Fields::of(headers);
        Parsed::Whole(then(&Head { line: self.line, minor: self.minor, headers, fields: &fields, len: self.len }))
    }
}

impl<'h> Fields<'h> {
    fn of(headers: &[Header<'h>]) -> Self {
        let mut fields = Self::default();
        for field in headers.iter().filter(|field| (4..=17).contains(&field.name.len())) {
            fields.add(field.name, field.value);
        }
        fields
    }

    fn add(&mut self, name: &str, value: &'h [u8]) {
        let is = |field: &str| name.eq_ignore_ascii_case(field);
        match name.len() {
            4 if is("host") => self.host = self.host.or(Some(value)),
            6 if is("expect") => self.expects_continue |= value.eq_ignore_ascii_case(b"100-continue"),
            7 if is("upgrade") => self.upgrade = true,
            10 if is("user-agent") => self.user_agent = self.user_agent.or(Some(value)),
            11 if is("traceparent") => self.traceparent = self.traceparent.or(Some(value)),
            11 if is("grpc-status") => self.grpc_status = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
            12 if is("content-type") => self.streaming |= is_streaming(value),
            14 if is("content-length") => self.content_length = self.content_length.and(value),
            17 if is("transfer-encoding") => {
                self.transfer_coded = true;
                let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
                self.chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            }
            _ => {}
        }
    }
}

impl ContentLength {
    /// With one more field, which may be a list (RFC 9112, 6.3: the same value several times counts as one).
    fn and(self, value: &[u8]) -> Self {
        if let (Self::Absent, Some(number)) = (self, digits(value)) {
            return Self::Is(number);
        }
        value.split(|byte| *byte == b',').fold(self, |known, item| {
            let item = item.trim_ascii();
            let number = std::str::from_utf8(item).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            match (known, number.and_then(|text| text.parse().ok())) {
                (Self::Absent, Some(number)) => Self::Is(number),
                (Self::Is(known), Some(number)) if known == number => Self::Is(known),
                _ => Self::Invalid,
            }
        })
    }
}

/// The number that a few digits are, the usual case.
fn digits(value: &[u8]) -> Option<u64> {
    if !(1..=18).contains(&value.len()) {
        return None;
    }
    value.iter().try_fold(0, |number: u64, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

/// Whether a body of this type is delivered bit by bit for as long as it likes.
fn is_streaming(content_type: &[u8]) -> bool {
    const TYPES: [&[u8]; 7] = [
        b"text/event-stream",
        b"application/x-ndjson",
        b"application/ndjson",
        b"application/jsonl",
        b"application/x-jsonlines",
        b"application/stream+json",
        b"multipart/x-mixed-replace",
    ];
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    TYPES.iter().any(|streaming| essence.eq_ignore_ascii_case(streaming))
}
