//! Tests of the parser as a whole, by topic; here is what they share: a connection that is fed chunk by chunk and collects what is told.
mod corpus;
mod cuts;
mod ends;
mod generated;
mod hostile;
mod losses;
mod messages;
mod order;

use super::{HEAD_BYTES, Http1, PIPELINE};
use crate::proto::{Chunk, Content, Demand, End, Exchange, Flow, Message, Parser, Stats};

/// A millisecond.
const MS: u64 = 1_000_000;

/// A connection under test. Time advances by a millisecond and a half with each chunk.
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

    /// A chunk at the next moment.
    fn chunk(&mut self, flow: Flow, content: Content<'_>) -> Demand {
        self.now_ns += MS + MS / 2;
        self.chunk_at(self.now_ns, None, flow, content)
    }

    fn chunk_at(&mut self, time_ns: u64, arrival_ns: Option<u64>, flow: Flow, content: Content<'_>) -> Demand {
        self.now_ns = self.now_ns.max(time_ns);
        let (parser, mut sink) = self.split();
        parser.push(flow, Chunk { time_ns, arrival_ns, thread: 7, content }, &mut sink)
    }

    fn bytes(&mut self, flow: Flow, bytes: impl AsRef<[u8]>) -> Demand {
        self.chunk(flow, Content::Bytes(bytes.as_ref()))
    }

    fn recv(&mut self, bytes: impl AsRef<[u8]>) -> Demand {
        self.bytes(Flow::In, bytes)
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> Demand {
        self.bytes(Flow::Out, bytes)
    }

    fn end(&mut self, end: End) {
        self.end_at(self.now_ns + MS, end);
    }

    fn end_at(&mut self, time_ns: u64, end: End) {
        self.now_ns = time_ns;
        let (parser, mut sink) = self.split();
        parser.end(end, time_ns, &mut sink);
    }

    fn split(&mut self) -> (&mut Http1, impl FnMut(Message<'_>)) {
        let Self { parser, told, done, request_bodies, response_bodies, .. } = self;
        (parser, |message: Message<'_>| match message {
            Message::Request(head) => told.push(format!("{} {} {}", head.exchange, head.method, head.target)),
            Message::Response(head) => told.push(format!("{} {}", head.exchange, head.status)),
            Message::RequestBody(piece) => collect(request_bodies, piece.content),
            Message::ResponseBody(piece) => collect(response_bodies, piece.content),
            Message::Done(exchange) => done.push(*exchange),
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
        Content::Gap(n) => body.extend(std::iter::repeat_n(b'?', n.min(1 << 17) as usize)),
        Content::Unknown => body.extend_from_slice(b"<lost>"),
    }
}

fn summary(exchange: &Exchange) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or("-".into());
    let status = exchange.status.map_or("-".into(), |status| status.to_string());
    let failure = exchange.failure.map_or(String::new(), |failure| format!(" {failure:?}"));
    let inferred = if exchange.inferred { " ~" } else { "" };
    format!("{} {} {status}{failure}{inferred}", text(&exchange.method), text(&exchange.path))
}
