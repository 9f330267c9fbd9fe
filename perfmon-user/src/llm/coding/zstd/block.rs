//! The head of a zstd block (RFC 8878, 3.1.1.2) and those of its sections: what decoding it takes, without decoding it.
use super::Undecodable;

/// Largest block, coded and decoded.
pub(super) const BLOCK: usize = 128 * 1024;
/// A block's head.
pub(super) const BLOCK_HEAD: usize = 3;
/// Shortest match of a sequence.
const MATCH: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockKind {
    Raw,
    Repeated,
    Compressed,
}

/// What is known of a block before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHead {
    pub(super) is_last: bool,
    kind: BlockKind,
    size: usize,
    /// Bytes of its literals, decoded.
    pub(super) literals: usize,
    pub(super) sequences: usize,
}

/// Length of the block that `bytes` begin, as far as it is known.
pub(super) fn length(bytes: &[u8]) -> Result<usize, Undecodable> {
    let Some((_, kind, size)) = head(bytes)? else { return Ok(BLOCK_HEAD) };
    Ok(BLOCK_HEAD + if kind == BlockKind::Repeated { 1 } else { size })
}

fn head(bytes: &[u8]) -> Result<Option<(bool, BlockKind, usize)>, Undecodable> {
    let Some(&[low, middle, high]) = bytes.get(..BLOCK_HEAD) else { return Ok(None) };
    let head = u32::from_le_bytes([low, middle, high, 0]);
    let size = (head >> 3) as usize;
    let kind = match head >> 1 & 3 {
        0 => BlockKind::Raw,
        1 => BlockKind::Repeated,
        2 => BlockKind::Compressed,
        _ => return Err(Undecodable),
    };
    if size > BLOCK {
        return Err(Undecodable);
    }
    Ok(Some((head & 1 != 0, kind, size)))
}

impl BlockHead {
    /// Of a whole block.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Undecodable> {
        let (is_last, kind, size) = head(bytes)?.ok_or(Undecodable)?;
        let (literals, sequences) = match kind {
            BlockKind::Raw | BlockKind::Repeated => (0, 0),
            BlockKind::Compressed => sections(&bytes[BLOCK_HEAD..])?,
        };
        if literals + sequences * MATCH > BLOCK {
            return Err(Undecodable);
        }
        Ok(Self { is_last, kind, size, literals, sequences })
    }

    /// Plain bytes that it has at most.
    pub(super) fn most_plain(&self) -> usize {
        match self.kind {
            BlockKind::Raw | BlockKind::Repeated => self.size,
            BlockKind::Compressed if self.sequences == 0 => self.literals,
            BlockKind::Compressed => BLOCK,
        }
    }

    /// Plain bytes that it has at least. A block is no larger than its frame's window.
    pub(super) fn least_plain(&self) -> usize {
        if self.kind == BlockKind::Compressed { self.literals } else { self.size }
    }

    /// Bytes of it that the decoder copies.
    pub(super) fn content(&self) -> usize {
        if self.kind == BlockKind::Compressed { self.size } else { 0 }
    }
}

/// How many literals and sequences the sections of a block have.
fn sections(bytes: &[u8]) -> Result<(usize, usize), Undecodable> {
    let first = *bytes.first().ok_or(Undecodable)?;
    let (kind, format) = (first & 3, first >> 2 & 3);
    let number = |len: usize| {
        let mut number = [0; 8];
        number[..len].copy_from_slice(bytes.get(..len)?);
        Some(u64::from_le_bytes(number))
    };
    let bits = |number: u64, from: u32, len: u32| (number >> from & ((1 << len) - 1)) as usize;
    let (head, literals, content) = if kind < 2 {
        let (head, from, len) = [(1, 3, 5), (2, 4, 12), (1, 3, 5), (3, 4, 20)][usize::from(format)];
        let literals = bits(number(head).ok_or(Undecodable)?, from, len);
        (head, literals, if kind == 0 { literals } else { 1 })
    } else {
        let (head, len) = [(3, 10), (3, 10), (4, 14), (5, 18)][usize::from(format)];
        let number = number(head).ok_or(Undecodable)?;
        (head, bits(number, 4, len), bits(number, 4 + len, len))
    };
    let sequences = bytes.get(head + content..).ok_or(Undecodable)?;
    let sequences = match *sequences {
        [count @ ..=127, ..] => usize::from(count),
        [count @ 128..=254, low, ..] => usize::from(count - 128) << 8 | usize::from(low),
        [255, low, high, ..] => usize::from(u16::from_le_bytes([low, high])) + 0x7f00,
        _ => return Err(Undecodable),
    };
    Ok((literals, sequences))
}
