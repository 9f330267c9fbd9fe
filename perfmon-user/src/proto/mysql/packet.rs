//! One packet of MySQL's protocol, read from pieces: its number, its length, and the first bytes of its payload; of a client's statements as much of
//! the text as is read. Packets of 16 MiB and what continues them are one. Specification: MySQL's "Client/Server Protocol", MariaDB's "Client/Server
//! Protocol".
use std::marker::PhantomData;

use crate::budget::HeldBytes;
use crate::proto::Sink;
use crate::proto::framed::{FrameReader, ReadStep};
use crate::proto::sql;

use super::detect;

/// A packet of this length is continued by the next one.
const FULL: u32 = 0xff_ffff;
/// Bytes of a payload that are always kept: a greeting's are more.
const HEAD: usize = 32;
const GREETING: usize = 128;
/// Bytes of a login that are kept, up to the database's name.
const LOGIN: usize = 512;

/// Who sends the packets that a reader reads.
pub(super) trait PacketSender {
    /// Whether a packet may begin so when the place was lost.
    fn may_begin(bytes: &[u8]) -> bool;
    /// How many bytes of a payload are kept as text.
    fn kept(number: u8, first: u8) -> usize;
}

/// The client.
#[derive(Debug)]
pub(super) struct MySqlClient;

/// The server.
#[derive(Debug)]
pub(super) struct MySqlServer;

impl PacketSender for MySqlClient {
    fn may_begin(bytes: &[u8]) -> bool {
        detect::is_request(bytes) || detect::is_request_header(bytes)
    }

    fn kept(number: u8, first: u8) -> usize {
        match (number, first) {
            (0, 0x03 | 0x16) => sql::TEXT_BYTES,
            (0, 0x02 | 0x11) | (1 | 2, _) => LOGIN,
            _ => 0,
        }
    }
}

impl PacketSender for MySqlServer {
    fn may_begin(bytes: &[u8]) -> bool {
        detect::is_answer(bytes)
    }

    fn kept(_: u8, _: u8) -> usize {
        0
    }
}

/// Reads packets.
#[derive(Debug)]
pub(super) struct PacketReader<S> {
    header: [u8; 4],
    /// Bytes of the header that are known.
    header_len: u8,
    /// Bytes of the payload that are to come, once the header is known.
    left: u32,
    /// The header that is read is that of a packet that continues the one before.
    continues: bool,
    head: [u8; GREETING],
    head_len: usize,
    text: HeldBytes,
    missing: u64,
    /// Number of the first packet.
    pub(super) number: u8,
    /// Number of the last one.
    pub(super) last: u8,
    /// Bytes of the payload.
    pub(super) len: u64,
    sender: PhantomData<S>,
}

impl<S> Default for PacketReader<S> {
    fn default() -> Self {
        Self {
            header: [0; 4],
            header_len: 0,
            left: 0,
            continues: false,
            head: [0; GREETING],
            head_len: 0,
            text: HeldBytes::default(),
            missing: 0,
            number: 0,
            last: 0,
            len: 0,
            sender: PhantomData,
        }
    }
}

impl<S: PacketSender> PacketReader<S> {
    /// The first bytes of the payload.
    pub(super) fn head(&self) -> &[u8] {
        &self.head[..self.head_len]
    }

    /// The payload as far as it is kept.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Part of the text is not there.
    pub(super) fn is_cut(&self) -> bool {
        self.len > self.text.len() as u64
    }

    /// Bytes that should have been kept and were not captured.
    pub(super) fn missing(&self) -> u64 {
        self.missing
    }

    fn header(&mut self, rest: &mut &[u8]) -> ReadStep {
        let known = usize::from(self.header_len);
        let (taken, after) = rest.split_at(rest.len().min(4 - known));
        self.header[known..known + taken.len()].copy_from_slice(taken);
        *rest = after;
        self.header_len += taken.len() as u8;
        if self.header_len < 4 {
            return ReadStep::Part;
        }
        let [a, b, c, number] = self.header;
        self.left = u32::from_le_bytes([a, b, c, 0]);
        if self.continues && number != self.last.wrapping_add(1) {
            return ReadStep::Bad;
        }
        if !self.continues {
            self.number = number;
        }
        self.last = number;
        self.len += u64::from(self.left);
        self.passed(0)
    }

    fn passed(&mut self, taken: u32) -> ReadStep {
        self.left -= taken;
        if self.left > 0 {
            return ReadStep::Part;
        }
        let [a, b, c, _] = self.header;
        if u32::from_le_bytes([a, b, c, 0]) == FULL {
            self.continues = true;
            self.header_len = 0;
            return ReadStep::Part;
        }
        ReadStep::Done
    }

    /// Bytes of the payload that are needed to know what it is.
    fn head_needed(&self) -> usize {
        if self.number == 0 { GREETING } else { HEAD }
    }

    fn text_needed(&self) -> usize {
        if self.head_len == 0 { 0 } else { S::kept(self.number, self.head[0]) }
    }
}

impl<S: PacketSender> FrameReader for PacketReader<S> {
    fn begin(&mut self) {
        self.text.clear();
        (self.header_len, self.left, self.continues, self.head_len, self.missing, self.len) = (0, 0, false, 0, 0, 0);
    }

    fn step(&mut self, rest: &mut &[u8], sink: &mut dyn Sink) -> ReadStep {
        if self.header_len < 4 {
            return self.header(rest);
        }
        let (taken, after) = rest.split_at(rest.len().min(self.left as usize));
        *rest = after;
        let room = self.head_needed().saturating_sub(self.head_len).min(taken.len());
        self.head[self.head_len..self.head_len + room].copy_from_slice(&taken[..room]);
        self.head_len += room;
        let kept = &taken[..taken.len().min(self.text_needed().saturating_sub(self.text.len()))];
        if self.missing == 0 && !kept.is_empty() && self.text.extend(kept, || sink.allowance()).is_err() {
            self.missing = kept.len() as u64;
        }
        self.passed(taken.len() as u32)
    }

    fn skip(&mut self, len: u64) -> Option<(ReadStep, u64)> {
        let is_known = self.len.min(HEAD as u64) <= self.head_len as u64;
        if self.header_len < 4 || !is_known {
            return None;
        }
        let taken = u32::try_from(len).unwrap_or(u32::MAX).min(self.left);
        let wanted = (self.text_needed() as u64).min(self.len).saturating_sub(self.text.len() as u64);
        self.missing += u64::from(taken).min(wanted);
        Some((self.passed(taken), taken.into()))
    }

    fn is_between(&self) -> bool {
        self.header_len == 0 && !self.continues
    }

    fn left(&self) -> u64 {
        if self.header_len < 4 { 0 } else { self.left.into() }
    }

    fn may_begin(bytes: &[u8]) -> bool {
        S::may_begin(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.text.heap_bytes()
    }
}
