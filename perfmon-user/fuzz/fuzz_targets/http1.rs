//! Any chunks, gaps and ends in any order: no panic, bounded memory, and nothing left under way at the end.
//! Input: operations of one byte (kind and flow), one byte of length, then as many bytes as that says.
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
use proto::http1::{HEAD_BYTES, Http1, PIPELINE};
use proto::exchange::Part;
use proto::{Message, Parser};
use stream::{Content, Direction, Ending, Segment, Stamp};

const ENDS: [Ending; 6] = [Ending::PeerClosed, Ending::LocalClosed, Ending::Closed, Ending::PeerReset, Ending::LocalReset, Ending::Forgotten];

fuzz_target!(|data: &[u8]| {
    let (mut parser, mut rest, mut time_ns) = (Http1::new(), data, 0);
    let mut last_id = None;
    let mut sink = |message: Message<'_>| {
        if let Message::Exchange(Part::Done(exchange)) = message {
            assert!(last_id.is_none_or(|last| last < exchange.id), "exchanges end in order");
            last_id = Some(exchange.id);
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
        let stamp = Stamp { time_ns, arrival_ns: None, thread: 1, run: None };
        parser.push(Segment { direction, stamp, content }, &mut sink);
        assert!(parser.heap_bytes() < 4 * HEAD_BYTES + PIPELINE * 4_096, "memory is bounded");
    }
    parser.end(Ending::Forgotten, time_ns, &mut sink);
    parser.pending(&mut |_| panic!("nothing is under way after the end"));
});
