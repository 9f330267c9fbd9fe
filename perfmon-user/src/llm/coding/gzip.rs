//! The frame of gzip (RFC 1952) around deflate: heads and trailers of one or several members are skipped as they pass, nothing of them is
//! kept. All members share one decoder's memory.
use memchr::memchr;

use super::inflate::Inflate;
use super::{Memory, OutBuffer, Undecodable};

/// Longest head: the ten bytes, extra field, name and comment. Web servers send ten.
const HEAD: usize = 64 * 1024;
/// The part of a head that each member has.
const FIXED: usize = 10;
/// Method deflate, behind the magic number.
const BEGIN: [u8; 3] = [0x1f, 0x8b, 8];
/// Where the flags stand.
const FLAGS: usize = 3;
/// CRC-32 and length.
const TRAILER: usize = 8;

const FLAG_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;

/// Where in a member the bytes are.
#[derive(Clone, Copy)]
enum MemberState {
    Head(MemberHead),
    Body,
    Trailer(usize),
}

/// A head as far as it passed.
#[derive(Clone, Copy, Default)]
struct MemberHead {
    part: HeadPart,
    /// Flags of the parts to come.
    flags: u8,
    len: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum HeadPart {
    #[default]
    Fixed,
    ExtraLow,
    ExtraHigh(u8),
    /// In bytes that say nothing: the extra field, the check sum.
    Skipped(usize),
    /// In a text that ends with a zero.
    Text,
    Over,
}

pub(super) struct Gzip {
    state: MemberState,
    inflate: Inflate,
}

impl Default for Gzip {
    fn default() -> Self {
        Self { state: MemberState::Head(MemberHead::default()), inflate: Inflate::default() }
    }
}

impl Gzip {
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        memory: &mut Memory,
        buffer: &mut OutBuffer,
        emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>,
    ) -> Result<(), Undecodable> {
        while !bytes.is_empty() {
            let used = match &mut self.state {
                MemberState::Head(head) => {
                    let used = head.push(bytes)?;
                    if head.part == HeadPart::Over {
                        self.inflate.begin(false, memory)?;
                        self.state = MemberState::Body;
                    }
                    used
                }
                MemberState::Body => {
                    let (used, ended) = self.inflate.push(bytes, buffer, emit)?;
                    if !ended {
                        return Ok(());
                    }
                    self.state = MemberState::Trailer(TRAILER);
                    used
                }
                MemberState::Trailer(left) => {
                    let used = bytes.len().min(*left);
                    *left -= used;
                    if *left == 0 {
                        self.state = MemberState::Head(MemberHead::default());
                    }
                    used
                }
            };
            bytes = &bytes[used..];
        }
        Ok(())
    }
}

impl MemberHead {
    /// Takes bytes up to the end of the head; returns how many.
    fn push(&mut self, bytes: &[u8]) -> Result<usize, Undecodable> {
        let mut at = 0;
        while at < bytes.len() && self.part != HeadPart::Over {
            let used = self.take(&bytes[at..])?;
            at += used;
            self.len += used;
            if self.len > HEAD {
                return Err(Undecodable);
            }
        }
        Ok(at)
    }

    /// Takes bytes of the present part, of which there is at least one.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Undecodable> {
        match self.part {
            HeadPart::Fixed => {
                if BEGIN.get(self.len).is_some_and(|byte| *byte != bytes[0]) {
                    return Err(Undecodable);
                }
                if self.len == FLAGS {
                    self.flags = bytes[0];
                }
                if self.len + 1 == FIXED {
                    self.next();
                }
            }
            HeadPart::ExtraLow => self.part = HeadPart::ExtraHigh(bytes[0]),
            HeadPart::ExtraHigh(low) => match usize::from(u16::from_le_bytes([low, bytes[0]])) {
                0 => self.next(),
                length => self.part = HeadPart::Skipped(length),
            },
            HeadPart::Skipped(left) => {
                let used = bytes.len().min(left);
                self.part = HeadPart::Skipped(left - used);
                if used == left {
                    self.next();
                }
                return Ok(used);
            }
            HeadPart::Text => {
                let Some(end) = memchr(0, bytes) else { return Ok(bytes.len()) };
                self.next();
                return Ok(end + 1);
            }
            HeadPart::Over => return Ok(0),
        }
        Ok(1)
    }

    /// Goes on to the next part that the flags announce.
    fn next(&mut self) {
        const PARTS: [(u8, HeadPart); 4] = [
            (FLAG_EXTRA, HeadPart::ExtraLow),
            (FLAG_NAME, HeadPart::Text),
            (FLAG_COMMENT, HeadPart::Text),
            (FLAG_CRC, HeadPart::Skipped(2)),
        ];
        let next = PARTS.into_iter().find(|(flag, _)| self.flags & flag != 0);
        self.flags &= !next.map_or(0, |(flag, _)| flag);
        self.part = next.map_or(HeadPart::Over, |(_, part)| part);
    }
}
