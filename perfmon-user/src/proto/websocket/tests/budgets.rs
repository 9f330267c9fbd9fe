//! A session holds the same few bytes whatever passes, compressed messages included, and costs time like the bytes.
use proptest::prelude::*;

use super::*;
use crate::heap::measured::{HeapMeter, assert_linear};

/// What a session holds.
const SESSION: usize = 4 * 1024;

fn session() -> WebSocket {
    let exchange = Exchange { server: true, status: Some(101), ..Exchange::default() };
    WebSocket::new(Box::new(Handshake { exchange, deflate: true }))
}

fn feed(parser: &mut WebSocket, bytes: &[u8], piece: usize) {
    for (index, piece) in bytes.chunks(piece).enumerate() {
        let stamp = Stamp { time_ns: index as u64, arrival_ns: None, thread: 7, run: None };
        parser.push(Segment { direction: Direction::In, stamp, content: Content::Bytes(piece) }, &mut |_: Message<'_>| {});
    }
}

proptest! {
    #[test]
    fn memory_is_constant(
        frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..60),
        noise in prop::collection::vec(any::<u8>(), 0..500),
        piece in 1_usize..400,
    ) {
        let wire: Vec<u8> = frames.iter().flat_map(|(first, payload)| client(*first, payload)).chain(noise).collect();
        let meter = HeapMeter::start();
        let mut parser = session();
        feed(&mut parser, &wire, piece);
        let (held, most) = (meter.held(), meter.take_most());
        prop_assert!(held <= SESSION && most <= SESSION && parser.heap_bytes() <= SESSION, "{held} bytes held, {most} at once");
    }
}

#[test]
fn time_grows_like_the_bytes() {
    let inputs: [(&str, fn(usize) -> Vec<u8>); 5] = [
        ("empty messages", |n| client(0x81, b"").repeat(n / 6)),
        ("compressed messages", |n| client(0xc1, b"\xf2H\xcd\xc9\xc9\x07\0").repeat(n / 13)),
        ("pieces of a message", |n| [client(0x01, b"a"), client(0x00, b"b").repeat(n / 7)].concat()),
        ("pings", |n| client(0x89, b"").repeat(n / 6)),
        ("one message", |n| client(0x82, &vec![b'x'; n])),
    ];
    for (what, input) in inputs {
        for piece in [1, 1_000] {
            assert_linear(&format!("{what} in pieces of {piece}"), 10_000, input, |wire| feed(&mut session(), wire, piece));
        }
    }
}
