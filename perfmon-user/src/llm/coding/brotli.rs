//! br (RFC 7932). The decoder asks for memory when it knows how much it needs: what the budget refuses makes the body undecodable. Its
//! window grows with the body, to `WINDOW` at most.
use brotli_decompressor::{Allocator, BrotliDecompressStream, BrotliResult, BrotliState, SliceWrapper, SliceWrapperMut};

use super::{Memory, OUT, OutBuffer, Undecodable};
use crate::budget::{Allowance, Charge};

/// Largest window. A body that needs a larger one is undecodable: its window says 2 MiB or more, and it has more than this.
pub(super) const WINDOW: usize = 1024 * 1024;
/// What the decoder adds to its window.
const SLACK: usize = 1_024;

type State = BrotliState<PaidAllocator, PaidAllocator, PaidAllocator>;

pub(super) struct Brotli(Box<State>);

/// Memory for the decoder, charged before it is taken.
struct PaidAllocator {
    charge: Charge,
    of: Allowance,
}

/// Memory that the decoder was given.
struct PaidCells<T>(Vec<T>);

impl<T> Default for PaidCells<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> SliceWrapper<T> for PaidCells<T> {
    fn slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> SliceWrapperMut<T> for PaidCells<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Clone + Default> Allocator<T> for PaidAllocator {
    type AllocatedMemory = PaidCells<T>;

    fn alloc_cell(&mut self, len: usize) -> PaidCells<T> {
        let bytes = len.saturating_mul(size_of::<T>());
        if bytes > WINDOW + SLACK || self.charge.resize(self.charge.bytes() + bytes, || self.of.clone()).is_err() {
            return PaidCells::default();
        }
        PaidCells(vec![T::default(); len])
    }

    fn free_cell(&mut self, cells: PaidCells<T>) {
        let bytes = cells.0.len() * size_of::<T>();
        drop(cells);
        // Without a limit nothing is charged.
        self.charge.shrink(self.charge.bytes().saturating_sub(bytes));
    }
}

impl Brotli {
    pub(super) fn new(memory: &mut Memory) -> Result<Self, Undecodable> {
        memory.hold(size_of::<State>())?;
        let allocator = || PaidAllocator { charge: Charge::default(), of: memory.of.clone() };
        Ok(Self(Box::new(BrotliState::new_strict(allocator(), allocator(), allocator()))))
    }

    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        buffer: &mut OutBuffer,
        emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>,
    ) -> Result<(), Undecodable> {
        let (mut left, mut at, mut total) = (bytes.len(), 0, 0);
        loop {
            let (mut room, mut written) = (OUT, 0);
            let result = BrotliDecompressStream(&mut left, &mut at, bytes, &mut room, &mut written, buffer, &mut total, &mut self.0);
            emit(&buffer[..written])?;
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput | BrotliResult::ResultSuccess => return Ok(()),
                BrotliResult::ResultFailure => return Err(Undecodable),
            }
        }
    }

    /// Bytes on the heap beside the state itself.
    pub(super) fn heap_bytes(&self) -> usize {
        [&self.0.alloc_u8, &self.0.alloc_u32, &self.0.alloc_hc].iter().map(|allocator| allocator.charge.bytes()).sum()
    }
}
