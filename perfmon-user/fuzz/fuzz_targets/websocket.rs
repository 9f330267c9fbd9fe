//! Any segments, gaps and ends of a session in any order: no panic, constant memory, one session told, and no more messages than frames
//! could fit into the bytes. Input: a byte of options, then operations as in `http1`.
#![no_main]
#[path = "../../src/budget.rs"]
#[expect(dead_code, reason = "the targets use a part of the parsers' interface")]
mod budget;
#[path = "../../src/counters.rs"]
#[expect(dead_code, reason = "as above")]
mod counters;
#[path = "../../src/proto/mod.rs"]
#[expect(dead_code, reason = "the targets use a part of the parsers' interface")]
mod proto;
#[path = "../../src/stream.rs"]
#[expect(dead_code, reason = "as above")]
mod stream;

use libfuzzer_sys::fuzz_target;
use proto::exchange::Exchange;
use proto::frame::FramePart;
use proto::websocket::{Handshake, WebSocket};
use proto::{Message, Parser};
use stream::{Content, Direction, Ending, Segment, Stamp};

const ENDS: [Ending; 6] = [Ending::PeerClosed, Ending::LocalClosed, Ending::Closed, Ending::PeerReset, Ending::LocalReset, Ending::Forgotten];

fuzz_target!(|data: &[u8]| {
    let Some((options, mut rest)) = data.split_first() else { return };
    let exchange = Exchange { server: options & 1 == 0, ..Exchange::default() };
    let mut parser = WebSocket::new(Box::new(Handshake { exchange, deflate: options & 2 == 0 }));
    let (mut time_ns, mut bytes_passed, mut sessions) = (0, 0, 0);
    let mut sink = |message: Message<'_>| {
        if let Message::Frame(FramePart::Done(session)) = message {
            sessions += 1;
            for totals in [session.received, session.sent] {
                assert!(totals.messages * 2 <= totals.wire_bytes && totals.payload_bytes <= totals.wire_bytes, "more than passed");
            }
        }
    };
    while let [kind, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        time_ns += 1_000 * u64::from(kind >> 4);
        let direction = if kind & 1 == 0 { Direction::In } else { Direction::Out };
        let content = match kind >> 1 & 7 {
            0 => Content::Gap(u64::from(*length)),
            1 => Content::Unknown,
            2 => {
                parser.end(ENDS[usize::from(*length) % ENDS.len()], time_ns, &mut sink);
                continue;
            }
            3 => Content::Lost(u64::from(*length)),
            _ => Content::Bytes(bytes),
        };
        bytes_passed += content.len();
        parser.push(Segment { direction, stamp: Stamp { time_ns, arrival_ns: None, thread: 1, run: None }, content }, &mut sink);
        assert!(parser.heap_bytes() < 4_096, "memory is constant");
    }
    parser.end(Ending::Forgotten, time_ns, &mut sink);
    assert!(sessions == 1 && !parser.is_open(), "one session is told, whatever passed ({bytes_passed} bytes)");
});
