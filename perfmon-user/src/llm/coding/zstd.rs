//! zstd (RFC 8878): the decoder wants whole blocks, so up to one block is held. What comes after the first frame is ignored.
use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{OUT, Undecodable};

/// Largest window that a body may ask for, the least that RFC 8878 recommends decoders to support.
pub(super) const WINDOW: u64 = 8 * 1024 * 1024;
/// Longest frame head.
const HEAD: usize = 18;
/// A block's head.
const BLOCK_HEAD: usize = 3;
/// Largest block.
const BLOCK: usize = 128 * 1024;
/// What may stand after the last block; it is not verified.
const CHECK_SUM: [u8; 4] = [0; 4];

#[derive(PartialEq)]
enum ZstdState {
    Head,
    Blocks,
    Done,
}

pub(super) struct Zstd {
    decoder: FrameDecoder,
    state: ZstdState,
    held: Vec<u8>,
}

impl Default for Zstd {
    fn default() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW);
        Self { decoder, state: ZstdState::Head, held: Vec::new() }
    }
}

impl Zstd {
    pub(super) fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>) -> Result<(), Undecodable> {
        for piece in bytes.chunks(BLOCK) {
            if self.state == ZstdState::Done {
                break;
            }
            self.held.extend_from_slice(piece);
            if self.state == ZstdState::Head && self.held.len() >= HEAD {
                let mut rest = self.held.as_slice();
                self.decoder.reset(&mut rest).map_err(|_| Undecodable)?;
                let used = self.held.len() - rest.len();
                self.held.drain(..used);
                self.state = ZstdState::Blocks;
            }
            while self.state == ZstdState::Blocks && self.block(emit)? {}
        }
        Ok(())
    }

    /// Decodes one block if a whole one is held.
    fn block(&mut self, emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>) -> Result<bool, Undecodable> {
        let Some(&[low, middle, high]) = self.held.get(..BLOCK_HEAD) else { return Ok(false) };
        let head = u32::from_le_bytes([low, middle, high, 0]);
        let (is_last, kind, size) = (head & 1 != 0, head >> 1 & 3, (head >> 3) as usize);
        if size > BLOCK {
            return Err(Undecodable);
        }
        let len = BLOCK_HEAD + if kind == 1 { 1 } else { size };
        let Some(block) = self.held.get(..len) else { return Ok(false) };
        let source = block.chain(CHECK_SUM.as_slice());
        self.decoder.decode_blocks(source, BlockDecodingStrategy::UptoBlocks(1)).map_err(|_| Undecodable)?;
        self.held.drain(..len);
        if is_last {
            self.state = ZstdState::Done;
        }
        self.emit(emit)?;
        Ok(true)
    }

    fn emit(&mut self, emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>) -> Result<(), Undecodable> {
        let mut buffer = [0; OUT];
        loop {
            match self.decoder.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(len) => emit(&buffer[..len])?,
                Err(_) => return Err(Undecodable),
            }
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.held.capacity()
    }
}
