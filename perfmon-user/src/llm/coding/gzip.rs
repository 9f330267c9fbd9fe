//! The frame of gzip (RFC 1952) around deflate: heads and trailers of one or several members are skipped.
use flate2::Decompress;

use super::{Undecodable, inflate};

/// Longest head: the ten bytes, extra field, name and comment. Web servers send ten.
const HEAD: usize = 1024;
/// CRC-32 and length.
const TRAILER: usize = 8;

const FLAG_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;

enum GzipState {
    Head(Vec<u8>),
    Body(Box<Decompress>),
    Trailer(usize),
}

pub(super) struct Gzip(GzipState);

impl Default for Gzip {
    fn default() -> Self {
        Self(GzipState::Head(Vec::new()))
    }
}

impl Gzip {
    pub(super) fn push(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>) -> Result<(), Undecodable> {
        while let Some(&byte) = bytes.first() {
            match &mut self.0 {
                GzipState::Head(head) => {
                    head.push(byte);
                    bytes = &bytes[1..];
                    if head_len(head)? == Some(head.len()) {
                        self.0 = GzipState::Body(Box::new(Decompress::new(false)));
                    }
                }
                GzipState::Body(state) => {
                    let (used, ended) = inflate(state, bytes, emit)?;
                    bytes = &bytes[used..];
                    if ended {
                        self.0 = GzipState::Trailer(TRAILER);
                    } else {
                        return Ok(());
                    }
                }
                GzipState::Trailer(left) => {
                    let skipped = bytes.len().min(*left);
                    *left -= skipped;
                    bytes = &bytes[skipped..];
                    if *left == 0 {
                        self.0 = GzipState::Head(Vec::new());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Length of the head that these bytes begin with, as soon as it is known and complete.
fn head_len(head: &[u8]) -> Result<Option<usize>, Undecodable> {
    if !head.iter().zip([0x1f, 0x8b, 8]).all(|(&byte, magic)| byte == magic) || head.len() > HEAD {
        return Err(Undecodable);
    }
    let Some(&flags) = head.get(3) else { return Ok(None) };
    let mut at = 10;
    if flags & FLAG_EXTRA != 0 {
        let Some(&[low, high]) = head.get(at..at + 2) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for text in [FLAG_NAME, FLAG_COMMENT] {
        if flags & text != 0 {
            let Some(end) = head.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0)) else { return Ok(None) };
            at += end + 1;
        }
    }
    at += if flags & FLAG_CRC != 0 { 2 } else { 0 };
    Ok((head.len() >= at).then_some(at))
}
