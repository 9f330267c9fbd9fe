use std::io::Write;
use std::sync::Arc;

use proptest::prelude::*;

use super::work::WorkLimits;
use super::*;
use crate::budget::Budget;
use crate::counters::Counters;
use crate::heap::measured::{HeapMeter, assert_linear};

/// What a decoder takes beside its charge: itself.
const SLACK: usize = 2 * 1024;
const LIMITS: WorkLimits = WorkLimits { free_bytes: 4 << 20, ratio: 100, free_ns: 0, ns_a_byte: 0 };

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
    let params = ::brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    ::brotli::BrotliCompress(&mut &*plain, &mut coded, &params).unwrap();
    coded
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest)
}

fn decode(coding: &str, coded: &[u8], piece: usize) -> Result<Vec<u8>, Undecodable> {
    let (mut decoder, mut plain, mut work) =
        (Decoder::new(coding.as_bytes(), Allowance::default())?, Vec::new(), DecodingWork::new(LIMITS));
    for piece in coded.chunks(piece) {
        decoder.push(piece, &mut work, &mut |bytes| plain.extend_from_slice(bytes))?;
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
    let mut decoder = Decoder::new(b"gzip", Allowance::default()).unwrap();
    let mut plain = Vec::new();
    decoder.push(encoder.get_ref(), &mut DecodingWork::new(LIMITS), &mut |bytes| plain.extend_from_slice(bytes)).unwrap();
    assert_eq!(plain, b"data: first\n\n");
    assert!(decoder.is_timely());
}

#[test]
fn garbage_and_unknown_codings_are_undecodable() {
    let garbage: Vec<u8> = (0..4_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for coding in ["gzip", "br", "zstd", "deflate"] {
        assert_eq!(decode(coding, &garbage, 64), Err(Undecodable), "{coding}");
    }
    for unknown in [&b"gzip, br"[..], b"compress"] {
        assert!(Decoder::new(unknown, Allowance::default()).is_err());
    }
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
    let (mut decoder, mut plain) = (Decoder::new(b"gzip", Allowance::default()).unwrap(), 0);
    let result = decoder.push(&bomb, &mut DecodingWork::new(LIMITS), &mut |bytes| plain += bytes.len());
    assert_eq!(result, Err(Undecodable));
    assert!(plain <= 8 << 20, "{plain} bytes came out of {}", bomb.len());
}

/// A zstd frame with a window of 2 MiB, which the zstd library's usual level asks for, of blocks: `(kind, size, content)`.
fn zstd_frame(blocks: &[(u32, usize, &[u8])]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    for (index, (kind, size, content)) in blocks.iter().enumerate() {
        let is_last = u32::from(index + 1 == blocks.len());
        frame.extend(&(is_last | kind << 1 | (*size as u32) << 3).to_le_bytes()[..3]);
        frame.extend(*content);
    }
    frame
}

#[test]
fn a_zstd_body_may_be_larger_than_the_window() {
    let raw: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
    let frame = zstd_frame(&[(0, 100_000, &raw), (1, 120_000, b"a"), (0, 100_000, &raw), (1, 100_000, b"b"), (0, 0, b"")]);
    let plain = decode("zstd", &frame, 1_000).unwrap();
    assert_eq!(plain, [&raw[..], &[b'a'; 120_000], &raw, &[b'b'; 100_000]].concat());
    let small = zstd_frame(&[(0, 5, b"hello")]);
    for piece in 1..small.len() {
        assert_eq!(decode("zstd", &small, piece).unwrap(), b"hello", "in pieces of {piece}");
    }
}

/// Decodes and checks after each piece what is held and charged, and the most that was held before; returns the most that was charged.
fn assert_charged(coding: &str, coded: &[u8], piece: usize) -> usize {
    let budget = Budget::new(64 << 20, Arc::new(Counters::default()));
    let (mut work, mut most_charged) = (DecodingWork::new(LIMITS), 0);
    let of = budget.of(1);
    let meter = HeapMeter::start();
    let Ok(mut decoder) = Decoder::new(coding.as_bytes(), of) else { return 0 };
    for piece in coded.chunks(piece) {
        let result = decoder.push(piece, &mut work, &mut |_| {});
        let (held, most, charged, most_now) = (meter.held(), meter.take_most(), decoder.heap_bytes(), budget.take_most());
        assert_eq!(charged, budget.used(), "{coding}");
        assert!(held <= charged + SLACK, "{coding}: {held} bytes held, {charged} charged");
        assert!(most <= most_now.max(most_charged) + SLACK, "{coding}: {most} bytes held at once, {most_now} charged");
        most_charged = most_charged.max(most_now);
        if result.is_err() {
            break;
        }
    }
    drop(decoder);
    assert_eq!(budget.used(), 0, "{coding}");
    most_charged
}

/// Bodies that want more than others: windows, members, blocks, tables.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = vec![b' '; 8 << 20];
    let noise: Vec<u8> = (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let big_window = ::brotli::enc::BrotliEncoderParams { quality: 5, lgwin: 24, ..Default::default() };
    let mut brotli_noise = Vec::new();
    ::brotli::BrotliCompress(&mut &*noise.repeat(6), &mut brotli_noise, &big_window).unwrap();
    let repeated: Vec<(u32, usize, &[u8])> = vec![(1, 128 * 1024, b"z"); 63];
    vec![
        ("gzip", gzip(&zeros)),
        ("gzip", gzip(b"").repeat(3_000)),
        ("deflate", deflate(&zeros)),
        ("br", brotli(&zeros)),
        ("br", brotli_noise),
        ("zstd", zstd_frame(&repeated)),
        ("zstd", zstd(&zeros)),
        ("zstd", zstd(&noise.repeat(6))),
        ("zstd", zstd_frame(&[(0, 128 * 1024, b"only a byte of it comes")])),
        ("zstd", zstd_frame(&[(2, 128 * 1024, &noise)])),
    ]
}

#[test]
fn bombs_take_no_more_than_they_are_charged() {
    for (coding, bomb) in bombs() {
        for piece in [1_000, 100_000] {
            let most = assert_charged(coding, &bomb, piece);
            assert!(most < 2 << 20, "{coding}: {most} bytes");
        }
    }
    let repeated: Vec<(u32, usize, &[u8])> = vec![(1, 128 * 1024, b"z"); 63];
    assert!(assert_charged("zstd", &zstd_frame(&repeated), 1_000) < 1 << 20);
}

#[test]
fn without_memory_a_body_is_undecodable() {
    let plain = text();
    for (coding, coded) in codings(&plain).into_iter().filter(|(coding, _)| *coding != "identity") {
        for limit in [1_000, 40_000, 50_000, 100_000, 200_000, 400_000] {
            let budget = Budget::new(2 * limit, Arc::new(Counters::default()));
            let Ok(mut decoder) = Decoder::new(coding.trim().as_bytes(), budget.of(1)) else { continue };
            let mut work = DecodingWork::new(LIMITS);
            let all = coded.chunks(500).try_for_each(|piece| decoder.push(piece, &mut work, &mut |_| {}));
            assert!(all.is_ok() || limit <= 400_000, "{coding}");
            assert!(budget.used() <= 2 * limit);
            drop(decoder);
            assert_eq!(budget.used(), 0, "{coding} with {limit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_more_is_taken_than_charged(
        words in prop::collection::vec(("[a-z ]{1,12}", 1_usize..2_000), 1..60),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        kind in 0_usize..7,
        piece in prop_oneof![1_usize..100, 1_000_usize..300_000],
    ) {
        let plain: Vec<u8> = words.iter().flat_map(|(word, times)| word.repeat(*times).into_bytes()).collect();
        let (coding, mut coded) = codings(&plain).swap_remove(kind);
        for (at, byte) in damage {
            let at = at.index(coded.len());
            coded[at] = byte;
        }
        assert_charged(coding, &coded, piece);
    }

    #[test]
    fn of_any_bytes_no_more_is_taken_than_charged(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        begin in prop::sample::select(vec![&b""[..], b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"\x28\xb5\x2f\xfd\0\x58", b"\x28\xb5\x2f\xfd\0\x58\x04\x10\0"]),
        coding in prop::sample::select(vec!["gzip", "deflate", "br", "zstd"]),
        piece in 1_usize..500,
    ) {
        assert_charged(coding, &[begin, &bytes].concat(), piece);
    }
}

/// A member of gzip with a name of this length.
fn member(name: usize) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new().filename(vec![b'n'; name]).write(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"{}").unwrap();
    encoder.finish().unwrap()
}

#[test]
fn time_grows_like_the_body() {
    let run = |coding: &'static str, piece| {
        move |coded: &Vec<u8>| {
            let (mut decoder, mut work) = (Decoder::new(coding.as_bytes(), Allowance::default()).unwrap(), DecodingWork::new(LIMITS));
            for piece in coded.chunks(piece) {
                if decoder.push(piece, &mut work, &mut |_| {}).is_err() {
                    break;
                }
            }
        }
    };
    let noise: Vec<u8> = (0..400_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for piece in [1, 1_000] {
        assert_linear("a long name", 2_000, member, run("gzip", piece));
        assert_linear("members", 20, |n| member(100).repeat(n), run("gzip", piece));
        assert_linear("gzip", 4_000, |n| gzip(&noise[..n]), run("gzip", piece));
        assert_linear("deflate", 4_000, |n| deflate(&noise[..n]), run("deflate", piece));
        assert_linear("br", 4_000, |n| brotli(&noise[..n]), run("br", piece));
        assert_linear("zstd", 30_000, |n| zstd(&noise[..n]), run("zstd", piece));
    }
}

#[test]
fn heads_of_gzip_in_every_cut() {
    let flags = [0, FLAG_NAMES[0], FLAG_NAMES[1], FLAG_NAMES[2], FLAG_NAMES[3], 0x1e];
    for flags in flags {
        let mut head = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        let parts: [(u8, &[u8]); 4] = [(4, b"\x03\0abc"), (8, b"name\0"), (16, b"\0"), (2, b"cc")];
        parts.iter().filter(|(flag, _)| flags & flag != 0).for_each(|(_, part)| head.extend(*part));
        let body = [&head[..], &deflate(b"hello"), &[0; 8]].concat();
        for piece in 1..body.len() {
            assert_eq!(decode("gzip", &body, piece).unwrap(), b"hello", "flags {flags:#x} in pieces of {piece}");
        }
    }
    let endless = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], &[b'n'; 70_000]].concat();
    assert_eq!(decode("gzip", &endless, 1_000), Err(Undecodable));
}

const FLAG_NAMES: [u8; 4] = [2, 4, 8, 16];
