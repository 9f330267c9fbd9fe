//! Tests of the parser as a whole, by topic; here is what they share: a connection that is fed segment by segment and collects what is told.
mod budgets;
mod corpus;
mod cuts;
mod ends;
mod generated;
mod hostile;
mod losses;
mod messages;
mod order;
mod verified;

use std::sync::Arc;

use super::valid::summary;
use super::{HEAD_BYTES, Http1, PIPELINE};
use crate::proto::exchange::{Exchange, Part};
use crate::proto::{Demand, HandOver, Message, Parser, Stats, Successor};
use crate::stream::{Content, Direction, Ending, OperationRun, Segment, Stamp};

/// A millisecond.
const MS: u64 = 1_000_000;

/// A connection under test. Time advances by a millisecond and a half with each segment.
struct Connection {
    parser: Http1,
    now_ns: u64,
    told: Vec<String>,
    done: Vec<Exchange>,
    request_bodies: Vec<u8>,
    response_bodies: Vec<u8>,
}

impl Connection {
    fn new() -> Self {
        let (told, done, request_bodies, response_bodies) = Default::default();
        Self { parser: Http1::new(), now_ns: 0, told, done, request_bodies, response_bodies }
    }

    /// A segment at the next moment.
    fn chunk(&mut self, direction: Direction, content: Content<'_>) -> Demand {
        self.now_ns += MS + MS / 2;
        self.chunk_at(self.now_ns, None, direction, content)
    }

    fn chunk_at(&mut self, time_ns: u64, arrival_ns: Option<u64>, direction: Direction, content: Content<'_>) -> Demand {
        self.now_ns = self.now_ns.max(time_ns);
        let (parser, mut sink) = self.split();
        parser.push(Segment { direction, stamp: Stamp { time_ns, arrival_ns, thread: 7, run: None }, content }, &mut sink)
    }

    /// A segment that begins the run of operations with this number.
    fn run(&mut self, run: u16, direction: Direction, content: Content<'_>) {
        self.now_ns += MS + MS / 2;
        let time_ns = self.now_ns;
        let (parser, mut sink) = self.split();
        parser.push(
            Segment {
                direction,
                stamp: Stamp { time_ns, arrival_ns: None, thread: 7, run: Some(OperationRun { number: run, begins: true }) },
                content,
            },
            &mut sink,
        );
    }

    fn bytes(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> Demand {
        self.chunk(direction, Content::Bytes(bytes.as_ref()))
    }

    fn recv(&mut self, bytes: impl AsRef<[u8]>) -> Demand {
        self.bytes(Direction::In, bytes)
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> Demand {
        self.bytes(Direction::Out, bytes)
    }

    fn end(&mut self, ending: Ending) {
        self.end_at(self.now_ns + MS, ending);
    }

    fn end_at(&mut self, time_ns: u64, ending: Ending) {
        self.now_ns = time_ns;
        let (parser, mut sink) = self.split();
        parser.end(ending, time_ns, &mut sink);
    }

    fn split(&mut self) -> (&mut Http1, impl FnMut(Message<'_>)) {
        let Self { parser, told, done, request_bodies, response_bodies, .. } = self;
        (parser, |message: Message<'_>| match message {
            Message::Exchange(Part::Request(head)) => told.push(format!("{} {} {}", head.exchange, head.method, head.target)),
            Message::Exchange(Part::Response(head)) => told.push(format!("{} {}", head.exchange, head.status)),
            Message::Exchange(Part::RequestBody(piece)) => collect(request_bodies, piece.content),
            Message::Exchange(Part::ResponseBody(piece)) => collect(response_bodies, piece.content),
            Message::Exchange(Part::Done(exchange)) => done.push(exchange.clone()),
            other => panic!("HTTP/1 tells exchanges, not {other:?}"),
        })
    }

    fn stats(&mut self) -> Stats {
        self.parser.take_stats()
    }

    /// `METHOD path status` of what is done, with the failure or `~` for what is inferred.
    fn summary(&self) -> Vec<String> {
        self.done.iter().map(summary).collect()
    }
}

fn collect(body: &mut Vec<u8>, content: Content<'_>) {
    match content {
        Content::Bytes(bytes) => body.extend_from_slice(bytes),
        Content::Gap(n) | Content::Lost(n) => body.extend(std::iter::repeat_n(b'?', n.min(1 << 17) as usize)),
        Content::Unknown => body.extend_from_slice(b"<lost>"),
    }
}
