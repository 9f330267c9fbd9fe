//! One message of the PostgreSQL protocol (version 3), read from pieces: its type, its length, and the first bytes of those types of which records
//! need them. Everything else passes by its length. Specification: PostgreSQL's documentation, "Frontend/Backend Protocol".
use std::marker::PhantomData;

use crate::budget::HeldBytes;
use crate::proto::Sink;
use crate::proto::framed::{FrameReader, ReadStep};
use crate::proto::sql;

use super::detect::{GSS_REQUEST, SSL_REQUEST};

/// Longest message that is believed: a field is shorter than 1 GB, a row at most a little longer.
const LONGEST: u32 = 0x4000_ffff;
/// Bytes of an error, a tag or a name that are kept.
const SHORT: usize = 512;

/// Who sends the messages that a reader reads.
pub(super) trait MessageSender {
    /// Whether it sends messages of this type, and how many bytes of their content are kept.
    fn kept(kind: u8) -> Option<usize>;
    /// It begins with messages without a type.
    const HAS_STARTUP: bool;
}

/// The client.
#[derive(Debug)]
pub(super) struct Frontend;

/// The server.
#[derive(Debug)]
pub(super) struct Backend;

impl MessageSender for Frontend {
    fn kept(kind: u8) -> Option<usize> {
        match kind {
            b'Q' | b'P' => Some(sql::TEXT_BYTES),
            b'B' | b'E' | b'C' => Some(SHORT),
            b'D' | b'S' | b'H' | b'X' | b'F' | b'd' | b'c' | b'f' | b'p' => Some(0),
            _ => None,
        }
    }
    const HAS_STARTUP: bool = true;
}

impl MessageSender for Backend {
    fn kept(kind: u8) -> Option<usize> {
        match kind {
            b'C' | b'E' => Some(SHORT),
            // Whether a transaction is open.
            b'Z' => Some(1),
            b'R' | b'K' | b'S' | b'T' | b'D' | b'I' | b'N' | b'1' | b'2' | b'3' | b'n' | b't' | b's' => Some(0),
            b'G' | b'H' | b'W' | b'd' | b'c' | b'A' | b'V' | b'v' => Some(0),
            _ => None,
        }
    }
    const HAS_STARTUP: bool = false;
}

/// Where in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MessagePlace {
    /// In its type and length, of which so many bytes are known.
    Header(u8),
    /// In its content, of which this is to come.
    Content(u32),
}

/// Reads messages.
#[derive(Debug)]
pub(super) struct MessageReader<S> {
    place: MessagePlace,
    header: [u8; 5],
    /// Content that is kept, and how much of it should be.
    content: HeldBytes,
    wanted: usize,
    /// Bytes of the content that should have been kept and are missing: what follows them is left out.
    missing: u64,
    len: u32,
    /// The next message has no type.
    pub(super) is_startup: bool,
    /// The next byte is the answer to a request for encryption.
    pub(super) is_negotiation: bool,
    sender: PhantomData<S>,
}

impl<S: MessageSender> Default for MessageReader<S> {
    fn default() -> Self {
        Self {
            place: MessagePlace::Header(0),
            header: [0; 5],
            content: HeldBytes::default(),
            wanted: 0,
            missing: 0,
            len: 0,
            is_startup: false,
            is_negotiation: false,
            sender: PhantomData,
        }
    }
}

/// Type of a message without one: the first of a client.
pub(super) const STARTUP: u8 = 0;
/// Type of the byte that answers a request for encryption.
pub(super) const NEGOTIATION: u8 = 1;

impl<S: MessageSender> MessageReader<S> {
    /// Type of the message that ended.
    pub(super) fn kind(&self) -> u8 {
        match () {
            () if self.is_startup => STARTUP,
            () if self.is_negotiation => NEGOTIATION,
            () => self.header[0],
        }
    }

    /// The first bytes of its content; of an answer about encryption its byte.
    pub(super) fn content(&self) -> &[u8] {
        if self.is_negotiation { &self.header[..1] } else { &self.content }
    }

    /// Part of the content is not there.
    pub(super) fn is_cut(&self) -> bool {
        self.len as usize > self.content.len()
    }

    /// Bytes that should have been kept and were not captured.
    pub(super) fn missing(&self) -> u64 {
        self.missing
    }

    fn header(&mut self, known: u8, rest: &mut &[u8]) -> ReadStep {
        let size = if self.is_startup { 4 } else { 5 };
        let known = usize::from(known);
        let (taken, after) = rest.split_at(rest.len().min(if self.is_negotiation { 1 } else { size - known }));
        self.header[known..known + taken.len()].copy_from_slice(taken);
        *rest = after;
        if self.is_negotiation {
            return if matches!(self.header[0], b'S' | b'N' | b'G') { ReadStep::Done } else { self.refused() };
        }
        let known = known + taken.len();
        self.place = MessagePlace::Header(known as u8);
        let wanted = if self.is_startup { Some(SHORT) } else { S::kept(self.header[0]) };
        let Some(wanted) = wanted else { return ReadStep::Bad };
        if known < size {
            return ReadStep::Part;
        }
        let length: [u8; 4] = self.header[size - 4..size].try_into().unwrap_or_default();
        let length = u32::from_be_bytes(length);
        let longest = if self.is_startup { 10_000 } else { LONGEST };
        if !(4..=longest).contains(&length) {
            return ReadStep::Bad;
        }
        (self.len, self.wanted) = (length - 4, wanted);
        self.passed(0, length - 4)
    }

    /// An old server answers a request for encryption with an error.
    fn refused(&mut self) -> ReadStep {
        self.is_negotiation = false;
        self.place = MessagePlace::Header(1);
        if self.header[0] == b'E' { ReadStep::Part } else { ReadStep::Bad }
    }

    fn passed(&mut self, taken: u32, left: u32) -> ReadStep {
        self.place = MessagePlace::Content(left - taken);
        if left > taken { ReadStep::Part } else { ReadStep::Done }
    }
}

impl<S: MessageSender> FrameReader for MessageReader<S> {
    fn begin(&mut self) {
        // Behind the startup messages have a type; before it another one may follow.
        let is_request = |code: &[u8; 4]| matches!(u32::from_be_bytes(*code), SSL_REQUEST | GSS_REQUEST);
        if self.is_startup && self.content.first_chunk().is_some_and(|code| !is_request(code)) {
            self.is_startup = false;
        }
        if self.is_negotiation && self.header[0] != 0 {
            self.is_negotiation = false;
        }
        self.header[0] = 0;
        self.place = MessagePlace::Header(0);
        self.content.clear();
        (self.missing, self.len) = (0, 0);
    }

    fn step(&mut self, rest: &mut &[u8], sink: &mut dyn Sink) -> ReadStep {
        let left = match self.place {
            MessagePlace::Header(known) => return self.header(known, rest),
            MessagePlace::Content(left) => left,
        };
        let (taken, after) = rest.split_at(rest.len().min(left as usize));
        *rest = after;
        let kept = &taken[..taken.len().min(self.wanted.saturating_sub(self.content.len()))];
        if self.missing == 0 && !kept.is_empty() && self.content.extend(kept, || sink.allowance()).is_err() {
            self.missing = kept.len() as u64;
        }
        self.passed(taken.len() as u32, left)
    }

    fn skip(&mut self, len: u64) -> Option<(ReadStep, u64)> {
        let MessagePlace::Content(left) = self.place else { return None };
        let taken = u32::try_from(len).unwrap_or(u32::MAX).min(left);
        let wanted = self.wanted.min(self.len as usize).saturating_sub(self.content.len());
        self.missing += u64::from(taken).min(wanted as u64);
        Some((self.passed(taken, left), taken.into()))
    }

    fn is_between(&self) -> bool {
        self.place == MessagePlace::Header(0)
    }

    fn left(&self) -> u64 {
        if let MessagePlace::Content(left) = self.place { left.into() } else { 0 }
    }

    fn may_begin(bytes: &[u8]) -> bool {
        let [kind, length @ ..] = bytes else { return false };
        let Some(length) = length.first_chunk().map(|length| u32::from_be_bytes(*length)) else { return false };
        let is_known = S::kept(*kind).is_some();
        let fits = match (kind, S::HAS_STARTUP) {
            (b'S' | b'H' | b'X' | b'c', true) | (b'1' | b'2' | b'3' | b'n' | b'I' | b's' | b'c', false) => length == 4,
            (b'Z', false) => length == 5,
            (b'C' | b'E', false) => (5..64 * 1_024).contains(&length),
            _ => (5..1 << 24).contains(&length),
        };
        is_known && fits
    }

    fn heap_bytes(&self) -> usize {
        self.content.heap_bytes()
    }

    fn lost(&mut self) {
        (self.is_startup, self.is_negotiation) = (false, false);
    }
}

/// Takes a text up to its zero; without one, all there is.
pub(super) fn text<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == 0);
    let text = &rest[..end.unwrap_or(rest.len())];
    *rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
    text
}

/// The SQLSTATE of an error: the field `C`.
pub(super) fn sqlstate(mut fields: &[u8]) -> Option<&str> {
    while let Some((kind, rest)) = fields.split_first().filter(|(kind, _)| **kind != 0) {
        fields = rest;
        let value = text(&mut fields);
        if *kind == b'C' {
            let is_code = value.len() == 5 && value.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
            return std::str::from_utf8(value).ok().filter(|_| is_code);
        }
    }
    None
}

/// The number at the end of a command's tag: `INSERT 0 3`.
pub(super) fn rows(tag: &[u8]) -> Option<u64> {
    std::str::from_utf8(tag).ok()?.rsplit_once(' ')?.1.parse().ok()
}

/// The word at a tag's beginning: `SELECT`.
pub(super) fn verb(tag: &[u8]) -> Option<&str> {
    let word = tag.split(|byte| *byte == b' ').next()?;
    let is_word = (2..=16).contains(&word.len()) && word.iter().all(u8::is_ascii_uppercase);
    std::str::from_utf8(word).ok().filter(|_| is_word)
}
