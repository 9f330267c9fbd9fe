//! The fields of a head that the parser itself needs: lines of fields in, values out. Each line is compared with the few names that its
//! first letter allows; the others are not even split. RFC 9112, 6; RFC 9110, 10.1.1.
use crate::proto::headers::value_of;

/// `Content-Length`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proto::http1) enum ContentLength {
    /// There is none.
    #[default]
    Absent,
    /// One, or several that agree.
    Is(u64),
    /// Not a number, or several that differ.
    Invalid,
}

/// The fields that the parser itself needs; values are trimmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proto::http1) struct Fields {
    pub(in crate::proto::http1) content_length: ContentLength,
    /// There is a `Transfer-Encoding`.
    pub(in crate::proto::http1) transfer_coded: bool,
    /// Its last coding is `chunked`.
    pub(in crate::proto::http1) chunked: bool,
    /// `Expect: 100-continue`.
    pub(in crate::proto::http1) expects_continue: bool,
    /// There is an `Upgrade`.
    pub(in crate::proto::http1) upgrade: bool,
    /// The content type is one whose life is no latency.
    pub(in crate::proto::http1) streaming: bool,
    pub(in crate::proto::http1) grpc_status: Option<u8>,
    pub(in crate::proto::http1) host: Option<ValuePosition>,
    pub(in crate::proto::http1) user_agent: Option<ValuePosition>,
    pub(in crate::proto::http1) traceparent: Option<ValuePosition>,
}

/// Where a value stands in the lines of its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proto::http1) struct ValuePosition {
    from: u32,
    len: u32,
}

/// Initials of the names in [`Fields`]: most lines have another one.
const INITIALS: [bool; 256] = {
    let (mut initials, mut index) = ([false; 256], 0);
    while index < 256 {
        initials[index] = matches!((index as u8).to_ascii_lowercase(), b'c' | b'e' | b'g' | b'h' | b't' | b'u');
        index += 1;
    }
    initials
};

impl Fields {
    /// Takes the line that begins at `at`, without its LF.
    #[inline]
    pub(super) fn add(&mut self, line: &[u8], at: usize) {
        if line.first().is_some_and(|first| INITIALS[usize::from(*first)]) {
            self.compare(line, at);
        }
    }

    fn compare(&mut self, line: &[u8], at: usize) {
        let value = |name: &str| {
            // The colon first: names of one initial differ in length.
            if line.get(name.len()) != Some(&b':') || !line[..name.len()].eq_ignore_ascii_case(name.as_bytes()) {
                return None;
            }
            value_of(&line[name.len() + 1..])
        };
        let position = |name: &str| {
            let value = value(name)?;
            let from = at + (value.as_ptr().addr() - line.as_ptr().addr());
            Some(ValuePosition { from: u32::try_from(from).ok()?, len: u32::try_from(value.len()).ok()? })
        };
        match line.first().map(u8::to_ascii_lowercase) {
            Some(b'h') => self.host = self.host.or_else(|| position("host")),
            Some(b'e') => self.expects_continue |= value("expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue")),
            Some(b'u') if value("upgrade").is_some() => self.upgrade = true,
            Some(b'u') => self.user_agent = self.user_agent.or_else(|| position("user-agent")),
            Some(b'g') => {
                if let Some(value) = value("grpc-status") {
                    self.grpc_status = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                }
            }
            Some(b'c') => {
                if let Some(value) = value("content-length") {
                    self.content_length = self.content_length.and(value);
                } else if let Some(value) = value("content-type") {
                    self.streaming |= is_streaming(value);
                }
            }
            Some(b't') => {
                if let Some(value) = value("transfer-encoding") {
                    self.transfer_coded = true;
                    let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
                    self.chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
                } else {
                    self.traceparent = self.traceparent.or_else(|| position("traceparent"));
                }
            }
            _ => {}
        }
    }
}

impl ValuePosition {
    /// The value, of the lines that it was found in.
    pub(super) fn of(self, lines: &[u8]) -> &[u8] {
        let (from, len) = (self.from as usize, self.len as usize);
        lines.get(from..from + len).unwrap_or_default()
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
