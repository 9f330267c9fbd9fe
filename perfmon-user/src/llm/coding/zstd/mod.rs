//! zstd (RFC 8878): the decoder wants whole blocks, so up to one block is held. A frame with a larger window is read with one of `WINDOW`;
//! one that then reaches back further is undecodable. What the next block needs is known from its head and charged before it is decoded.
//! What comes after the first frame is ignored.
mod block;
mod head;

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Memory, OUT, Undecodable};
use block::{BLOCK, BLOCK_HEAD, BlockHead};
use head::FrameHead;

/// Largest window that is kept.
pub(super) const WINDOW: usize = 256 * 1024;
/// Tables of prefix codes and of finite state entropy, and the decoder itself.
const TABLES: usize = 40 * 1024;
/// Bytes from which on the decoder's window grows in other steps.
const RING_SLACK: usize = 2 * BLOCK;
/// A sequence of a block, decoded.
const SEQUENCE: usize = 12;
/// Bytes of an unfinished block that are made room for at least.
const LEAST_HELD: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum FrameState {
    Head,
    Blocks,
    Done,
}

pub(super) struct Zstd {
    decoder: FrameDecoder,
    state: FrameState,
    /// The unit under way: the frame's head, or a block.
    held: Vec<u8>,
    taken: Taken,
}

/// Capacities of what the decoder took.
#[derive(Clone, Copy, Default)]
struct Taken {
    window: usize,
    kept: usize,
    ring: usize,
    content: usize,
    literals: usize,
    sequences: usize,
}

impl Taken {
    fn bytes(&self) -> usize {
        TABLES + self.ring + self.content + self.literals + self.sequences
    }

    /// With one more block; vectors grow to twice their size at least.
    fn with(self, block: &BlockHead) -> Self {
        let grown = |capacity: usize, needed: usize| if needed > capacity { needed.max(2 * capacity) } else { capacity };
        let len = self.kept + block.most_plain().min(self.window);
        Self {
            ring: self.ring.max(ring(len + 1)),
            content: grown(self.content, block.content()),
            literals: grown(self.literals, block.literals),
            sequences: grown(self.sequences, block.sequences * SEQUENCE),
            kept: len.min(self.window),
            window: self.window,
        }
    }
}

/// What the decoder takes for a window with `len` bytes in it.
fn ring(len: usize) -> usize {
    match len.checked_sub(RING_SLACK) {
        None | Some(0) => len.next_power_of_two() + 1,
        Some(more) => more.next_power_of_two() + RING_SLACK + 1,
    }
}

/// The largest that it can have taken before it took this much.
fn step_below(ring: usize) -> usize {
    let kept = if ring > RING_SLACK + 1 { RING_SLACK } else { 0 };
    kept + (ring - 1 - kept) / 2 + 1
}

impl Default for Zstd {
    fn default() -> Self {
        Self { decoder: FrameDecoder::new(), state: FrameState::Head, held: Vec::new(), taken: Taken::default() }
    }
}

impl Zstd {
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        memory: &mut Memory,
        emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>,
    ) -> Result<(), Undecodable> {
        while !bytes.is_empty() && self.state != FrameState::Done {
            let (taken, rest) = bytes.split_at(bytes.len().min(self.missing()?));
            self.hold(taken, memory)?;
            bytes = rest;
            if self.missing()? == 0 {
                self.complete(memory, emit)?;
                self.held.clear();
            }
        }
        if self.state == FrameState::Done {
            self.release(memory)?;
        }
        Ok(())
    }

    /// Bytes that the unit under way lacks, as far as that is known.
    fn missing(&self) -> Result<usize, Undecodable> {
        let len = match self.state {
            FrameState::Head => head::length(&self.held),
            FrameState::Blocks => block::length(&self.held)?,
            FrameState::Done => 0,
        };
        Ok(len.saturating_sub(self.held.len()))
    }

    /// Keeps bytes of the unit under way. Its room doubles up to its size.
    fn hold(&mut self, bytes: &[u8], memory: &mut Memory) -> Result<(), Undecodable> {
        let (had, needed) = (self.held.capacity(), self.held.len() + bytes.len());
        if needed > had {
            let room = needed.max((2 * had).clamp(LEAST_HELD, BLOCK_HEAD + BLOCK));
            memory.hold(self.taken.bytes() + room)?;
            self.held.reserve_exact(room - self.held.len());
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads the unit that is complete.
    fn complete(&mut self, memory: &mut Memory, emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>) -> Result<(), Undecodable> {
        if self.state == FrameState::Head {
            let head = FrameHead::of(&self.held)?;
            self.decoder.reset(head.with_window(WINDOW).as_slice()).map_err(|_| Undecodable)?;
            self.taken.window = head.window.clamp(head::LEAST_WINDOW, WINDOW).next_power_of_two();
            self.state = FrameState::Blocks;
            return Ok(());
        }
        let block = BlockHead::of(&self.held)?;
        if block.least_plain() > self.taken.window {
            return Err(Undecodable);
        }
        let (before, after) = (self.taken, self.taken.with(&block));
        // While the window grows there are two of them, the former one as large as the step before.
        let both = if after.ring > before.ring { step_below(after.ring) } else { 0 };
        memory.hold(after.bytes() + both + self.held.capacity())?;
        self.taken = after;
        self.decoder.decode_blocks(self.held.as_slice(), BlockDecodingStrategy::UptoBlocks(1)).map_err(|_| Undecodable)?;
        if block.is_last {
            self.state = FrameState::Done;
        }
        self.emit(emit)?;
        memory.hold(self.taken.bytes() + self.held.capacity())
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

    /// Gives the memory back when all is read.
    fn release(&mut self, memory: &mut Memory) -> Result<(), Undecodable> {
        if self.taken.window > 0 {
            *self = Self { state: FrameState::Done, ..Self::default() };
            memory.hold(0)?;
        }
        Ok(())
    }
}
