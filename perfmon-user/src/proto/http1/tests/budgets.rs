//! Heads, bodies and pipelines against the budget: what a connection holds is charged, or belongs to the little that each connection costs; time
//! grows like the bytes, however they are cut.
use proptest::prelude::*;

use super::*;
use crate::budget::{Allowance, Budget};
use crate::counters::Counters;
use crate::heap::measured::{HeapMeter, assert_linear};
use crate::proto::Sink;
use crate::proto::http1::forget_lines;

/// What a connection may hold without a charge: its first exchange, texts of its last one.
const FREE: usize = 8 * 1024;

/// A sink that keeps nothing and has a budget.
struct Charged(Allowance);

impl Sink for Charged {
    fn message(&mut self, _: Message<'_>) {}

    fn allowance(&mut self) -> Allowance {
        self.0.clone()
    }
}

/// Feeds segments and checks after each what is held and charged, and the most that was held meanwhile.
fn assert_charged<'b>(segments: impl IntoIterator<Item = (Direction, Content<'b>)>) -> usize {
    let counters = Arc::new(Counters::default());
    let budget = Budget::new(1 << 20, counters);
    let (mut sink, mut largest) = (Charged(budget.of(1)), 0);
    let meter = HeapMeter::start();
    let mut parser = Http1::new();
    for (index, (direction, content)) in segments.into_iter().enumerate() {
        let stamp = Stamp { time_ns: index as u64 * MS, arrival_ns: None, thread: 7, run: None };
        let before = budget.used();
        parser.push(Segment { direction, stamp, content }, &mut sink);
        // What all connections share has a bound of its own.
        forget_lines();
        let (held, most, charged) = (meter.held(), meter.take_most(), budget.used());
        assert!(held <= charged + FREE, "{held} bytes held, {charged} charged");
        assert!(parser.heap_bytes() <= charged + FREE, "{} bytes declared, {charged} charged", parser.heap_bytes());
        // A head is read in one piece beside what is kept of it.
        let passing = 3 * HEAD_BYTES + FREE;
        assert!(most <= budget.take_most().max(before) + passing, "{most} bytes held at once, {charged} charged");
        largest = largest.max(charged);
    }
    parser.end(Ending::Forgotten, u64::MAX, &mut sink);
    drop(parser);
    // The end of a stream reads the head that it held, too.
    forget_lines();
    assert_eq!((budget.used(), meter.held()), (0, 0));
    largest
}

fn each(direction: Direction, bytes: &[u8], piece: usize) -> impl Iterator<Item = (Direction, Content<'_>)> {
    bytes.chunks(piece).map(move |piece| (direction, Content::Bytes(piece)))
}

#[test]
fn what_grows_is_charged() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\n", "p".repeat(60_000), "h".repeat(2_000), "u".repeat(2_000));
    assert!(assert_charged(each(Direction::In, long.as_bytes(), 100)) > 60_000, "an open head");
    let pipelined = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "p".repeat(1_000)).repeat(1_100);
    assert!(assert_charged(each(Direction::In, pipelined.as_bytes(), 5_000)) > 400_000, "a pipeline");
    let orphan = [&b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"[..], &[b'b'; 9_000]].concat();
    assert_charged(each(Direction::Out, &orphan.repeat(5), 900));
    let alone = format!("GET /{} HTTP/1.1\r\n\r\n", "p/".repeat(30_000));
    assert!(assert_charged(each(Direction::In, alone.as_bytes(), 100_000)) > 2_000, "one large request");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_comes_is_charged(
        parts in prop::collection::vec((any::<bool>(), prop_oneof![
            "(GET|POST) /[a-z]{0,3000} HTTP/1.1\r\n(Host: [a-z]{1,20}\r\n)?(Content-Length: [0-9]{1,4}\r\n|Transfer-Encoding: chunked\r\n)?\r\n",
            "HTTP/1.1 [0-9]{3} OK\r\n(Content-Length: [0-9]{1,4}\r\n|Transfer-Encoding: chunked\r\n)?\r\n",
            "[0-9a-f]{1,3}\r\n[a-z]{0,300}\r\n",
            "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n",
            "[ -~\r\n]{0,2000}",
        ]), 1..60),
        piece in 1_usize..3_000,
    ) {
        let segments = parts.iter().flat_map(|(inbound, text)| each(if *inbound { Direction::In } else { Direction::Out }, text.as_bytes(), piece));
        assert_charged(segments);
    }
}

#[test]
fn time_grows_like_the_bytes() {
    let inputs: [(&str, fn(usize) -> String); 12] = [
        ("a target", |n| format!("GET /{}", "a".repeat(n))),
        ("blanks in a request", |n| format!("GET {}", " ".repeat(n))),
        ("blanks in an answer", |n| format!("HTTP/1.1{}", " ".repeat(n))),
        ("empty lines", |n| "\r\n".repeat(n / 2)),
        ("fields", |n| format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(n / 6))),
        ("folded lines", |n| format!("GET / HTTP/1.1\r\na: b\r\n{}\r\n", " c\r\n".repeat(n / 4))),
        ("folded blanks", |n| format!("GET / HTTP/1.1\r\na: b\r\n{}\r\n", " \r\n".repeat(n / 3))),
        ("lengths", |n| format!("POST / HTTP/1.1\r\nContent-Length: 1{}\r\n\r\n", ",1".repeat(n / 2))),
        ("chunks", |n| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{}", "1\r\na\r\n".repeat(n / 6))),
        ("a trailer", |n| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}", "a: b\r\n".repeat(n / 6))),
        ("a pipeline", |n| "GET / HTTP/1.1\r\n\r\n".repeat(n / 18)),
        ("no HTTP", |n| "GET of the day\r\n".repeat(n / 16)),
    ];
    for (what, input) in inputs {
        for direction in [Direction::In, Direction::Out] {
            for piece in [1, 1_000] {
                // Enough that a square shows, and less than the 68 KB of a head.
                let n = if piece == 1 { 4_000 } else { 16_000 };
                assert_linear(&format!("{what} in pieces of {piece}"), n, input, |text: &String| {
                    let mut parser = Http1::new();
                    for (index, piece) in text.as_bytes().chunks(piece).enumerate() {
                        let stamp = Stamp { time_ns: index as u64, arrival_ns: None, thread: 7, run: None };
                        parser.push(Segment { direction, stamp, content: Content::Bytes(piece) }, &mut |_: Message<'_>| {});
                    }
                });
            }
        }
    }
}
