//! deflate (RFC 1951), bare or in zlib's frame (RFC 1950), in one piece of memory that is used again for each stream. A stream that begins
//! costs no more than a few of its bytes: neither the window nor tables of fixed codes are written for it.
use flate2::{Decompress, FlushDecompress, Status};

use super::{Memory, OutBuffer, Undecodable};

/// Window, tables and state of a decoder.
const STATE: usize = 47 * 1024;

/// A decoder, once there is something to decode.
#[derive(Default)]
pub(super) struct Inflate(Option<Box<Decompress>>);

impl Inflate {
    /// A stream begins, in zlib's frame or bare.
    pub(super) fn begin(&mut self, zlib: bool, memory: &mut Memory) -> Result<(), Undecodable> {
        match &mut self.0 {
            Some(state) => state.reset(zlib),
            None => {
                memory.hold(STATE)?;
                self.0 = Some(Box::new(Decompress::new(zlib)));
            }
        }
        Ok(())
    }

    /// Whether a stream began.
    pub(super) fn has_begun(&self) -> bool {
        self.0.is_some()
    }

    /// Inflates; returns how many bytes were used, fewer than given when the stream ended, and whether it did.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        buffer: &mut OutBuffer,
        emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>,
    ) -> Result<(usize, bool), Undecodable> {
        let Some(state) = &mut self.0 else { return Err(Undecodable) };
        let mut used = 0;
        loop {
            let (read, written) = (state.total_in(), state.total_out());
            let status = state.decompress(&bytes[used..], buffer, FlushDecompress::None).map_err(|_| Undecodable)?;
            let (read, written) = ((state.total_in() - read) as usize, (state.total_out() - written) as usize);
            used += read;
            emit(&buffer[..written])?;
            if status == Status::StreamEnd {
                return Ok((used, true));
            }
            if read == 0 && written == 0 {
                return Ok((used, false));
            }
        }
    }
}
