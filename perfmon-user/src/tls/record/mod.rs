//! The record layer (RFC 8446, section 5.1): a record's header, the records of bytes that begin with one, and a walk along one direction
//! whose bytes come in any pieces and with holes. In: bytes and gaps; out: where records begin, how long they are, and their content.
//! It keeps five bytes of a direction at most.
use super::cursor::{Cursor, Read, Shortfall};
use crate::stream::Content;

/// Bytes of a header.
pub const HEADER: usize = 5;
/// Plaintext in one record at most.
pub const RECORD_PLAINTEXT: u32 = 1 << 14;
/// Content of a record at most: TLS 1.2 allows 2,048 bytes beside the plaintext (RFC 5246, section 6.2.3), 1.3 less.
const LONGEST: u16 = (1 << 14) + 2_048;

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordType {
    /// 20.
    ChangeCipherSpec,
    /// 21.
    Alert,
    /// 22.
    Handshake,
    /// 23: plaintext, and in TLS 1.3 most of the handshake.
    ApplicationData,
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// What it is for.
    pub kind: RecordType,
    /// Bytes of content behind the header.
    pub len: u16,
}

impl RecordHeader {
    /// Reads a header: type, version 3.0 to 3.4, length. `Malformed` at the first byte that no header has in its place.
    ///
    /// # Errors
    /// `NeedMore` for the beginning of a header.
    pub fn read(cursor: &mut Cursor<'_>) -> Read<Self> {
        let kind = match cursor.u8()? {
            20 => RecordType::ChangeCipherSpec,
            21 => RecordType::Alert,
            22 => RecordType::Handshake,
            23 => RecordType::ApplicationData,
            _ => return Err(Shortfall::Malformed),
        };
        if cursor.u8()? != 3 || cursor.u8()? > 4 {
            return Err(Shortfall::Malformed);
        }
        let len = cursor.u16()?;
        if len <= LONGEST { Ok(Self { kind, len }) } else { Err(Shortfall::Malformed) }
    }

    /// Of a stream's beginning.
    ///
    /// # Errors
    /// As [`RecordHeader::read`].
    pub fn of(bytes: &[u8]) -> Read<Self> {
        Self::read(&mut Cursor::of_stream(bytes))
    }
}

/// The headers of bytes that begin with a record; ends where the bytes or the grammar do.
pub fn headers(bytes: &[u8]) -> impl Iterator<Item = RecordHeader> {
    let mut cursor = Cursor::of_stream(bytes);
    std::iter::from_fn(move || {
        let header = RecordHeader::read(&mut cursor).ok()?;
        if cursor.take(header.len.into()).is_err() {
            cursor = Cursor::of_stream(&[]);
        }
        Some(header)
    })
}

/// What a walk comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked<'a> {
    /// A record begins.
    Record {
        /// Its header.
        header: RecordHeader,
        /// Position of the header in the direction.
        begins: u64,
    },
    /// The next content of that record.
    Fragment(&'a [u8]),
    /// Content of that record that was not captured.
    Hole,
    /// A header was due at this position and was not captured: the next operation probably begins with a record.
    Hidden(u64),
    /// What stood where a header was due is none: as for `Hidden`.
    Foreign,
}

/// A walk along one direction.
#[derive(Debug, Default)]
pub struct RecordWalk {
    /// The beginning of a header.
    header: [u8; HEADER],
    header_len: usize,
    /// Content until the next header.
    left: u64,
    position: u64,
}

impl RecordWalk {
    /// The next bytes of the direction; `visit` sees what they contain, in order.
    pub fn push<'a>(&mut self, content: Content<'a>, visit: &mut impl FnMut(Walked<'a>)) {
        match content {
            Content::Bytes(bytes) => self.bytes(bytes, visit),
            Content::Gap(0) | Content::Lost(0) => {}
            Content::Gap(len) | Content::Lost(len) => self.gap(len, visit),
            Content::Unknown => {
                self.lose();
                visit(Walked::Foreign);
            }
        }
    }

    fn bytes<'a>(&mut self, mut bytes: &'a [u8], visit: &mut impl FnMut(Walked<'a>)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                let (fragment, rest) = bytes.split_at(len);
                self.left -= len as u64;
                self.position += len as u64;
                bytes = rest;
                visit(Walked::Fragment(fragment));
                continue;
            }
            let len = (HEADER - self.header_len).min(bytes.len());
            self.header[self.header_len..self.header_len + len].copy_from_slice(&bytes[..len]);
            self.header_len += len;
            self.position += len as u64;
            bytes = &bytes[len..];
            match RecordHeader::of(&self.header[..self.header_len]) {
                Ok(header) => {
                    self.header_len = 0;
                    self.left = header.len.into();
                    visit(Walked::Record { header, begins: self.position - HEADER as u64 });
                }
                Err(Shortfall::NeedMore) => return,
                Err(Shortfall::Malformed) => {
                    self.position += bytes.len() as u64;
                    self.lose();
                    return visit(Walked::Foreign);
                }
            }
        }
    }

    fn gap<'a>(&mut self, len: u64, visit: &mut impl FnMut(Walked<'a>)) {
        if self.header_len == 0 && len <= self.left {
            self.left -= len;
            self.position += len;
            return visit(Walked::Hole);
        }
        let due = self.position + self.left - self.header_len as u64;
        self.position += len;
        self.lose();
        visit(Walked::Hidden(due));
    }

    fn lose(&mut self) {
        self.left = 0;
        self.header_len = 0;
    }
}

#[cfg(test)]
mod tests;
