//! Streaming decoders of content codings (RFC 9110, section 8.4): gzip (RFC 1952), deflate (RFC 1950 and, as some servers send it,
//! bare RFC 1951), br (RFC 7932), zstd (RFC 8878). Any cut of the body in, plain pieces out. Memory is charged to the process's share of the
//! budget before it is taken; windows have at most 32 KiB (gzip, deflate), 256 KiB (zstd), 1 MiB (br). What comes out is bounded by a ratio
//! to what went in on the same connection, see [`work`]. Check sums are not verified.
mod brotli;
mod gzip;
mod inflate;
pub mod work;
mod zstd;

use crate::budget::{Allowance, Charge};

use brotli::Brotli;
use gzip::Gzip;
use inflate::Inflate;
use work::DecodingWork;
use zstd::Zstd;

/// Plain bytes handed on at once.
const OUT: usize = 8 * 1024;
/// Where they stand meanwhile.
type OutBuffer = [u8; OUT];

/// The body does not match its coding, is a bomb, has an unknown coding, or needs memory that is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body cannot be decoded")]
pub struct Undecodable;

enum Kind {
    Plain,
    Gzip(Box<Gzip>),
    Deflate(Inflate),
    Brotli(Brotli),
    Zstd(Box<Zstd>),
}

/// One body's decoder.
pub struct Decoder {
    kind: Kind,
    memory: Memory,
}

/// What a decoder holds of its process's share.
#[derive(Default)]
struct Memory {
    charge: Charge,
    of: Allowance,
}

impl Memory {
    /// Holds so many bytes from now on.
    fn hold(&mut self, bytes: usize) -> Result<(), Undecodable> {
        self.charge.resize(bytes, || self.of.clone()).map_err(|_| Undecodable)
    }
}

impl Decoder {
    /// For the value of a `Content-Encoding` field, one coding at most; `of` is what its memory is charged to.
    pub fn new(coding: &[u8], of: Allowance) -> Result<Self, Undecodable> {
        let mut memory = Memory { charge: Charge::default(), of };
        let coding = coding.trim_ascii().to_ascii_lowercase();
        let kind = match coding.as_slice() {
            b"" | b"identity" => Kind::Plain,
            b"gzip" | b"x-gzip" => Kind::Gzip(Box::default()),
            b"deflate" => Kind::Deflate(Inflate::default()),
            b"br" => Kind::Brotli(Brotli::new(&mut memory)?),
            b"zstd" => Kind::Zstd(Box::default()),
            _ => return Err(Undecodable),
        };
        Ok(Self { kind, memory })
    }

    /// Whether the body is as it stands.
    pub fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Plain)
    }

    /// Whether plain bytes come out as soon as their coded ones have passed; zstd's only when its window is full or the body ends.
    pub fn is_timely(&self) -> bool {
        !matches!(self.kind, Kind::Zstd(_))
    }

    /// Takes coded bytes; calls `out` with the plain ones. `work` is that of the connection. After an error the decoder is of no use.
    pub fn push(&mut self, bytes: &[u8], work: &mut DecodingWork, out: &mut impl FnMut(&[u8])) -> Result<(), Undecodable> {
        if self.is_plain() {
            out(bytes);
            return Ok(());
        }
        if work.is_given_up() {
            return Err(Undecodable);
        }
        work.coded(bytes.len());
        let (memory, buffer) = (&mut self.memory, &mut [0; OUT]);
        let mut emit = |plain: &[u8]| {
            work.plain(plain.len())?;
            out(plain);
            Ok(())
        };
        match &mut self.kind {
            Kind::Plain => Ok(()),
            Kind::Gzip(gzip) => gzip.push(bytes, memory, buffer, &mut emit),
            Kind::Deflate(inflate) => {
                let Some(&first) = bytes.first() else { return Ok(()) };
                if !inflate.has_begun() {
                    inflate.begin(is_zlib(first), memory)?;
                }
                inflate.push(bytes, buffer, &mut emit).map(|_| ())
            }
            Kind::Brotli(brotli) => brotli.push(bytes, buffer, &mut emit),
            Kind::Zstd(zstd) => zstd.push(bytes, memory, &mut emit),
        }
    }

    /// Bytes on the heap, all of them charged.
    pub fn heap_bytes(&self) -> usize {
        let own = match &self.kind {
            Kind::Brotli(brotli) => brotli.heap_bytes(),
            Kind::Plain | Kind::Gzip(_) | Kind::Deflate(_) | Kind::Zstd(_) => 0,
        };
        self.memory.charge.bytes() + own
    }
}

/// Whether a body that begins so has the zlib frame: method 8, window ≤ 32 KiB. A bare deflate body cannot begin so, as its first
/// block would be a stored one with bits set that its encoders leave at 0.
fn is_zlib(first: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7
}

#[cfg(test)]
mod tests;
