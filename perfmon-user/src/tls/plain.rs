//! Plaintext that a library's call moved, or a piece of it, and the object that moved it. In: events of TLS libraries; out: pieces that
//! can be kept, cut and given to a parser. Bytes that are known to be missing stay counted.
use std::borrow::Cow;

use crate::decode::TlsCall;
use crate::limits::TLS_CALL_BYTES;
use crate::stream::{Direction, Stamp};

/// A library's connection object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlsObject {
    /// Process.
    pub pid: u32,
    /// Address of the `SSL`.
    pub ssl: u64,
}

/// Plaintext of a call, or a piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Which way.
    pub direction: Direction,
    /// When the call ended, and on which thread.
    pub stamp: Stamp,
    /// What was captured.
    pub bytes: Cow<'a, [u8]>,
    /// Bytes behind it that were not.
    pub missing: u64,
    /// They were wanted: the call was longer than what can be captured of one, or there was no room to keep them.
    pub is_cut: bool,
    /// Bytes of the whole call; 0 for a piece that continues one.
    pub call_len: u32,
}

impl<'a> Plain<'a> {
    /// The plaintext of an event.
    pub fn of(tls: &TlsCall<'a>) -> Self {
        let end = u64::from(tls.piece_offset) + tls.payload.len() as u64;
        let missing = if tls.last_piece { u64::from(tls.total_len).saturating_sub(end) } else { 0 };
        Self {
            direction: tls.direction,
            stamp: tls.stamp,
            bytes: Cow::Borrowed(tls.payload),
            missing,
            is_cut: missing > 0 && end >= TLS_CALL_BYTES,
            call_len: if tls.piece_offset == 0 { tls.total_len } else { 0 },
        }
    }

    /// Bytes of plaintext.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64 + self.missing
    }

    /// Nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same call without its bytes.
    pub fn bare(&self) -> Plain<'static> {
        Plain { direction: self.direction, stamp: self.stamp, bytes: Cow::Borrowed(&[]), missing: 0, is_cut: false, call_len: 0 }
    }

    /// To keep.
    pub fn into_owned(self) -> Plain<'static> {
        let (missing, is_cut, call_len) = (self.missing, self.is_cut, self.call_len);
        Plain { missing, is_cut, call_len, bytes: Cow::Owned(self.bytes.to_vec()), ..self.bare() }
    }

    /// The same with its bytes counted as missing: there is no room to keep them.
    pub fn uncaptured(&self) -> Plain<'static> {
        Plain { missing: self.len(), is_cut: self.is_cut || !self.bytes.is_empty(), call_len: self.call_len, ..self.bare() }
    }

    /// Adds a piece that came next and of which nothing was captured; false when it cannot be added.
    pub fn extend_missing(&mut self, next: &Plain<'_>) -> bool {
        let fits = self.direction == next.direction && self.is_cut == next.is_cut && self.bytes.is_empty() && next.bytes.is_empty();
        if fits {
            self.missing += next.missing;
            self.call_len = self.call_len.saturating_add(next.call_len);
        }
        fits
    }
}

impl Plain<'static> {
    /// Takes the first `len` bytes off.
    pub fn split(&mut self, len: u64) -> Option<Self> {
        if len == 0 {
            return None;
        }
        let captured = self.bytes.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        let rest = self.bytes[captured..].to_vec();
        let mut head = std::mem::take(self.bytes.to_mut());
        head.truncate(captured);
        self.bytes = rest.into();
        let missing = len - captured as u64;
        self.missing -= missing;
        let call_len = std::mem::take(&mut self.call_len);
        Some(Plain { bytes: head.into(), missing, is_cut: self.is_cut && missing > 0, call_len, ..self.bare() })
    }
}
