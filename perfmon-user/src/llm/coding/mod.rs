//! Streaming decoders of content codings (RFC 9110, section 8.4): gzip (RFC 1952), deflate (RFC 1950 and, as some servers send it,
//! bare RFC 1951), br (RFC 7932), zstd (RFC 8878). Any cut of the body in, plain pieces out. Output is bounded by a ratio to the input,
//! so a bomb costs little; window memory is 32 KiB for gzip and deflate, and grows with the body to 16 MiB (br) or 8 MiB (zstd).
//! Check sums are not verified.
mod gzip;
mod zstd;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};

use gzip::Gzip;
use zstd::Zstd;

/// Plain bytes handed on at once.
const OUT: usize = 8 * 1024;
/// Output allowed for any body; beyond it the ratio applies.
const FREE_BYTES: u64 = 4 * 1024 * 1024;
/// Most plain bytes for one coded byte; texts stay below 50.
const RATIO: u64 = 100;

/// The body does not match its coding, is a bomb, or has an unknown coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body cannot be decoded")]
pub struct Undecodable;

/// Largest window of br (RFC 7932, section 9.1).
const BROTLI_WINDOW: u64 = 16 * 1024 * 1024;
/// Prefix codes of br and zstd, about.
const TABLES: usize = 32 * 1024;

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

enum Kind {
    Plain,
    Gzip(Gzip),
    Deflate(Option<Decompress>),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

/// One body's decoder.
pub struct Decoder {
    kind: Kind,
    meter: Meter,
}

/// Counts both sides and stops a bomb.
#[derive(Default)]
struct Meter {
    coded: u64,
    plain: u64,
}

impl Meter {
    fn emit(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), Undecodable> {
        self.plain += bytes.len() as u64;
        if self.plain > FREE_BYTES && self.plain / RATIO > self.coded {
            return Err(Undecodable);
        }
        out(bytes);
        Ok(())
    }
}

impl Decoder {
    /// For the value of a `Content-Encoding` field; one coding at most.
    pub fn new(coding: &[u8]) -> Result<Self, Undecodable> {
        let coding = coding.trim_ascii().to_ascii_lowercase();
        let kind = match coding.as_slice() {
            b"" | b"identity" => Kind::Plain,
            b"gzip" | b"x-gzip" => Kind::Gzip(Gzip::default()),
            b"deflate" => Kind::Deflate(None),
            b"br" => {
                let alloc = StandardAlloc::default;
                Kind::Brotli(Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())))
            }
            b"zstd" => Kind::Zstd(Box::default()),
            _ => return Err(Undecodable),
        };
        Ok(Self { kind, meter: Meter::default() })
    }

    /// Whether the body is as it stands.
    pub fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Plain)
    }

    /// Whether plain bytes come out as soon as their coded ones have passed; zstd's only when its window is full or the body ends.
    pub fn is_timely(&self) -> bool {
        !matches!(self.kind, Kind::Zstd(_))
    }

    /// Takes coded bytes; calls `out` with the plain ones.
    pub fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), Undecodable> {
        let meter = &mut self.meter;
        meter.coded += bytes.len() as u64;
        match &mut self.kind {
            Kind::Plain => out(bytes),
            Kind::Gzip(gzip) => gzip.push(bytes, &mut |plain| meter.emit(plain, out))?,
            Kind::Deflate(inflate) => {
                let Some(&first) = bytes.first() else { return Ok(()) };
                let inflate = inflate.get_or_insert_with(|| Decompress::new(is_zlib(first)));
                self::inflate(inflate, bytes, &mut |plain| meter.emit(plain, out))?;
            }
            Kind::Brotli(state) => brotli(state, bytes, &mut |plain| meter.emit(plain, out))?,
            Kind::Zstd(zstd) => zstd.push(bytes, &mut |plain| meter.emit(plain, out))?,
        }
        Ok(())
    }

    /// Bytes on the heap, about. A window grows with the plain bytes until it is full.
    pub fn heap_bytes(&self) -> usize {
        let window = |most: u64| self.meter.plain.next_power_of_two().min(most) as usize;
        match &self.kind {
            Kind::Plain => 0,
            Kind::Gzip(_) | Kind::Deflate(_) => 44 * 1024,
            Kind::Brotli(_) => size_of::<Brotli>() + TABLES + window(BROTLI_WINDOW),
            Kind::Zstd(zstd) => zstd.heap_bytes() + TABLES + window(zstd::WINDOW),
        }
    }
}

/// Whether a body that begins so has the zlib frame: method 8, window ≤ 32 KiB. A bare deflate body cannot begin so, as its first
/// block would be a stored one with bits set that its encoders leave at 0.
fn is_zlib(first: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7
}

/// Inflates; returns how many bytes were used, fewer than given when the stream ended.
fn inflate(
    state: &mut Decompress,
    bytes: &[u8],
    emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>,
) -> Result<(usize, bool), Undecodable> {
    let mut buffer = [0; OUT];
    let mut used = 0;
    loop {
        let (read, written) = (state.total_in(), state.total_out());
        let status = state.decompress(&bytes[used..], &mut buffer, FlushDecompress::None).map_err(|_| Undecodable)?;
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

fn brotli(state: &mut Brotli, bytes: &[u8], emit: &mut impl FnMut(&[u8]) -> Result<(), Undecodable>) -> Result<(), Undecodable> {
    let mut buffer = [0; OUT];
    let (mut left, mut at, mut total) = (bytes.len(), 0, 0);
    loop {
        let (mut room, mut written) = (OUT, 0);
        let result = BrotliDecompressStream(&mut left, &mut at, bytes, &mut room, &mut written, &mut buffer, &mut total, state);
        emit(&buffer[..written])?;
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput | BrotliResult::ResultSuccess => return Ok(()),
            BrotliResult::ResultFailure => return Err(Undecodable),
        }
    }
}

#[cfg(test)]
mod tests;
