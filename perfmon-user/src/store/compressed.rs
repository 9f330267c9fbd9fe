//! Compressed bytes of blocks. In: bytes of cells or records; out: their number and a zlib stream, whose checksum finds damage. Deflate
//! makes cells half as large and records a tenth, and a query still reads hundreds of megabytes of cells a second.
//! Bounded: a stream that tells of more than [`MOST`] bytes is refused before anything is allocated.
use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};

use crate::aggregate::varint::{self, VarintReader};

/// Uncompressed bytes of a block.
const MOST: u64 = 32 << 20;

/// Compresses bytes.
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 2 + 16);
    varint::put(&mut out, bytes.len() as u64);
    let mut encoder = ZlibEncoder::new(out, Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes every byte")
}

/// Decompresses one block after another in the same memory.
#[derive(Debug)]
pub struct Decompressor {
    state: Decompress,
    bytes: Vec<u8>,
}

impl Default for Decompressor {
    fn default() -> Self {
        Self { state: Decompress::new(true), bytes: Vec::new() }
    }
}

impl Decompressor {
    /// The bytes that were compressed; `None` when they are damaged.
    pub fn bytes(&mut self, compressed: &[u8]) -> Option<&[u8]> {
        let mut reader = VarintReader::new(compressed);
        let length = reader.next().filter(|length| *length <= MOST)? as usize;
        self.state.reset(true);
        self.bytes.clear();
        // One more: the end of the stream is only seen with room left.
        self.bytes.reserve(length + 1);
        let status = self.state.decompress_vec(reader.rest(), &mut self.bytes, FlushDecompress::Finish).ok()?;
        (status == Status::StreamEnd && self.bytes.len() == length && self.state.total_in() == reader.rest().len() as u64)
            .then_some(&self.bytes[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_and_damage_is_found() {
        let mut decompressor = Decompressor::default();
        for bytes in [vec![], b"a".to_vec(), b"cells and cells and cells".repeat(400), (0..=255).collect()] {
            let packed = compress(&bytes);
            assert_eq!(decompressor.bytes(&packed), Some(&bytes[..]));
            for cut in 0..packed.len() {
                assert_eq!(decompressor.bytes(&packed[..cut]), None, "{cut}");
            }
            for at in 0..packed.len() {
                let mut wrong = packed.clone();
                wrong[at] = !wrong[at];
                assert_eq!(decompressor.bytes(&wrong), None, "{at}");
            }
            assert_eq!(decompressor.bytes(&[&packed[..], &[0]].concat()), None);
        }
        let (mut huge, mut decompressor) = (Vec::new(), Decompressor::default());
        varint::put(&mut huge, u64::MAX);
        assert_eq!(decompressor.bytes(&[&huge[..], &compress(b"a")].concat()), None);
        assert_eq!(decompressor.bytes.capacity(), 0, "nothing is allocated for it");
    }
}
