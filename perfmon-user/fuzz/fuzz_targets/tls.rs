//! Records and hellos of any bytes, gaps and holes in any order: no panic, positions inside the stream, bounded memory.
//! Input: operations of one byte (kind), one byte of length, then as many bytes as that says.
#![no_main]
#[path = "../../src/stream.rs"]
#[expect(dead_code, reason = "the target uses a part of the vocabulary")]
mod stream;
#[path = "../../src/tls"]
#[expect(dead_code, reason = "as above")]
mod tls {
    pub mod cursor;
    pub mod hello;
    pub mod record;
}

use libfuzzer_sys::fuzz_target;
use stream::Content;
use tls::hello::{Hello, HelloInfo};
use tls::record::{HEADER, RecordHeader, RecordWalk, Walked, headers};

fuzz_target!(|data: &[u8]| {
    let (mut walk, mut hello, mut rest, mut total) = (RecordWalk::default(), Hello::default(), data, 0_u64);
    let mut content_bytes = 0;
    while let [kind, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        let content = match kind & 7 {
            0 => Content::Gap(u64::from(*length) << (kind >> 3)),
            1 => Content::Lost(u64::from(*length)),
            2 => Content::Unknown,
            _ => Content::Bytes(bytes),
        };
        total += content.len();
        walk.push(content, &mut |walked| {
            hello.push(walked);
            match walked {
                Walked::Record { begins, .. } => assert!(begins + HEADER as u64 <= total, "a record stands inside its stream"),
                Walked::Fragment(fragment) => content_bytes += fragment.len() as u64,
                Walked::Hole | Walked::Hidden(_) | Walked::Foreign => {}
            }
        });
        assert!(content_bytes <= total, "nothing is told twice");
        if let Some(HelloInfo::Client { server_name: Some(name) }) = hello.take() {
            assert!(!name.is_empty() && name.len() <= 253, "a host name");
        }
        assert!(headers(bytes).count() <= bytes.len() / HEADER, "each header has its bytes");
        let _ = RecordHeader::of(bytes);
    }
});
