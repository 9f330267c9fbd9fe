use std::io::Write;

use super::*;

fn text() -> Vec<u8> {
    (0..3_000).flat_map(|i| format!("{{\"number\":{i},\"square\":{}}}\n", i * i).into_bytes()).collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new()
        .filename("body.json")
        .comment("a comment")
        .extra([7; 300])
        .write(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn brotli(plain: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    brotli::BrotliCompress(&mut &*plain, &mut coded, &params).unwrap();
    coded
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest)
}

fn decode(coding: &str, coded: &[u8], piece: usize) -> Result<Vec<u8>, Undecodable> {
    let (mut decoder, mut plain) = (Decoder::new(coding.as_bytes())?, Vec::new());
    for piece in coded.chunks(piece) {
        decoder.push(piece, &mut |bytes| plain.extend_from_slice(bytes))?;
    }
    Ok(plain)
}

fn codings(plain: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("identity", plain.to_vec()),
        (" GZIP ", gzip(plain)),
        ("x-gzip", [gzip(&plain[..plain.len() / 2]), gzip(&plain[plain.len() / 2..])].concat()),
        ("deflate", zlib(plain)),
        ("deflate", deflate(plain)),
        ("br", brotli(plain)),
        ("zstd", zstd(plain)),
    ]
}

#[test]
fn every_coding_in_every_piece_size() {
    let plain = text();
    for (coding, coded) in codings(&plain) {
        for piece in [1, 2, 3, 7, 100, 4_096, 200_000] {
            assert_eq!(decode(coding, &coded, piece).as_deref(), Ok(plain.as_slice()), "{coding} in pieces of {piece}");
        }
    }
}

#[test]
fn timely_codings_give_what_was_flushed() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"data: first\n\n").unwrap();
    encoder.flush().unwrap();
    let mut decoder = Decoder::new(b"gzip").unwrap();
    let mut plain = Vec::new();
    decoder.push(encoder.get_ref(), &mut |bytes| plain.extend_from_slice(bytes)).unwrap();
    assert_eq!(plain, b"data: first\n\n");
    assert!(decoder.is_timely());
}

#[test]
fn garbage_and_unknown_codings_are_undecodable() {
    let garbage: Vec<u8> = (0..4_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for coding in ["gzip", "br", "zstd", "deflate"] {
        assert_eq!(decode(coding, &garbage, 64), Err(Undecodable), "{coding}");
    }
    assert!(Decoder::new(b"gzip, br").is_err());
    assert!(Decoder::new(b"compress").is_err());
}

#[test]
fn damaged_bodies_never_panic() {
    let plain = text();
    for (coding, coded) in codings(&plain) {
        for at in (0..coded.len()).step_by(coded.len() / 40 + 1) {
            let mut damaged = coded.clone();
            damaged[at] ^= 0x55;
            let _decoded_or_not = decode(coding, &damaged, 61);
        }
    }
}

#[test]
fn a_bomb_is_stopped() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let (mut decoder, mut plain) = (Decoder::new(b"gzip").unwrap(), 0);
    let result = decoder.push(&bomb, &mut |bytes| plain += bytes.len());
    assert_eq!(result, Err(Undecodable));
    assert!(plain <= 8 << 20, "{plain} bytes came out of {}", bomb.len());
}
