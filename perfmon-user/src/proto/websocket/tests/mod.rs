//! Tests of the parser as a whole, by topic; here is what they share: a session behind its handshake that collects what is told.
mod budgets;
mod corpus;
mod ends;
mod generated;
mod losses;

use super::{Handshake, WebSocket};
use crate::proto::exchange::Exchange;
use crate::proto::frame::{FrameKind, FrameMessage, FramePart, FrameSession};
use crate::proto::{Demand, Message, Parser, Stats};
use crate::stream::{Content, Direction, Ending, Segment, Stamp};

/// Key of every mask.
const KEY: [u8; 4] = *b"\x37\xfa\x21\x3d";

/// A session under test. Time advances by a millisecond with each segment.
struct Messages {
    parser: WebSocket,
    now_ns: u64,
    told: Vec<FrameMessage>,
    done: Vec<FrameSession>,
}

impl Messages {
    fn new(server: bool, deflate: bool) -> Self {
        let exchange = Exchange { server, protocol: "http/1.1", path: Some("/ws".into()), status: Some(101), ..Exchange::default() };
        Self::of(Handshake { exchange, deflate })
    }

    fn of(handshake: Handshake) -> Self {
        Self { parser: WebSocket::new(Box::new(handshake)), now_ns: 0, told: Vec::new(), done: Vec::new() }
    }

    fn segment(&mut self, segment: Segment<'_>) -> Demand {
        self.now_ns = segment.stamp.time_ns;
        let Self { parser, told, done, .. } = self;
        parser.push(segment, &mut collect(told, done))
    }

    fn content(&mut self, direction: Direction, content: Content<'_>) -> Demand {
        let stamp = Stamp { time_ns: self.now_ns + 1_000_000, arrival_ns: None, thread: 7, run: None };
        self.segment(Segment { direction, stamp, content })
    }

    fn bytes(&mut self, direction: Direction, bytes: &[u8]) -> Demand {
        self.content(direction, Content::Bytes(bytes))
    }

    fn end(&mut self, ending: Ending) {
        self.end_at(self.now_ns + 1_000_000, ending);
    }

    fn end_at(&mut self, time_ns: u64, ending: Ending) {
        self.now_ns = time_ns;
        let Self { parser, told, done, .. } = self;
        parser.end(ending, time_ns, &mut collect(told, done));
    }

    /// The one session that was told.
    fn session(&self) -> &FrameSession {
        let [session] = &self.done[..] else { panic!("{} sessions", self.done.len()) };
        session
    }

    /// Messages and payload received, then sent.
    fn counts(&self) -> [(u64, u64); 2] {
        let session = self.session();
        [session.received, session.sent].map(|totals| (totals.messages, totals.payload_bytes))
    }
}

fn collect<'a>(told: &'a mut Vec<FrameMessage>, done: &'a mut Vec<FrameSession>) -> impl FnMut(Message<'_>) {
    |message| match message {
        Message::Frame(FramePart::Message(message)) => told.push(message),
        Message::Frame(FramePart::Done(session)) => done.push(*session),
        other => panic!("WebSocket tells frames, not {other:?}"),
    }
}

/// A frame: its first byte, masked or not.
fn frame(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![first];
    let mask = if masked { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..=125 => wire.push(mask | len as u8),
        len @ 126..=0xffff => {
            wire.push(mask | 126);
            wire.extend((len as u16).to_be_bytes());
        }
        len => {
            wire.push(mask | 127);
            wire.extend((len as u64).to_be_bytes());
        }
    }
    if masked {
        wire.extend(KEY);
        wire.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        wire.extend(payload);
    }
    wire
}

/// A frame of the client, received by a server.
fn client(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, true, payload)
}

/// A frame of the server.
fn server(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, false, payload)
}
