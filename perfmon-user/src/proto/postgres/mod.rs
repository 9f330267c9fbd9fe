//! PostgreSQL (protocol version 3): segments of both directions in, commands out, one for each statement that is executed: of a simple query each
//! of its statements, else each Execute. `message` reads one message, `talk` joins answers to
//! commands; here is what concerns the connection: who is the client, and that encryption hands the connection over.
mod detect;
mod message;
mod talk;
#[cfg(test)]
mod tests;

pub use detect::detect;

use super::detect::Verdict;
use super::framed::{FoundFrame, FrameSide, RoleSearch};
use super::kept::Kept;
use super::{Demand, HandOver, Parser, PendingExchange, Sink, Stats, Successor};
use crate::stream::{Direction, Ending, Segment};
use detect::Beginning;
use message::{Backend, Frontend, MessageReader};
use talk::{Negotiation, PostgresTalk};

/// While more of a message is still to come, its length tells all and it is not captured.
const LONG_MESSAGE: u64 = 1 << 20;
/// Segments without a message after which a connection is given up.
const MISSES: u32 = 64;

/// A connection's state.
#[derive(Debug, Default)]
pub struct Postgres {
    /// The client's direction.
    client: Option<Direction>,
    search: Option<Box<RoleSearch>>,
    requests: Box<FrameSide<MessageReader<Frontend>>>,
    answers: Box<FrameSide<MessageReader<Backend>>>,
    talk: PostgresTalk,
    is_given_up: bool,
}

impl Postgres {
    /// Of a new connection, or one that was open before.
    pub fn new() -> Self {
        Self::default()
    }

    fn learn(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) {
        let find = |heads: [&[u8]; 2]| {
            let (verdict, beginning) = detect::begins(heads, true);
            (verdict == Verdict::Yes).then_some(beginning)
        };
        match self.search.get_or_insert_default().learn(segment, sink, find) {
            None => {}
            Some(Ok((Beginning { client, is_startup }, kept))) => {
                self.client = Some(client);
                self.search = None;
                self.talk.server = client == Direction::In;
                self.requests.reader.is_startup = is_startup;
                self.talk.begins(is_startup);
                kept.release(|segment| self.segment(client, segment, sink));
            }
            Some(Err(())) => self.is_given_up = true,
        }
    }

    fn segment(&mut self, client: Direction, segment: Segment<'_>, sink: &mut dyn Sink) {
        let Segment { direction, stamp, content } = segment;
        let Self { requests, answers, talk, .. } = self;
        if direction == client {
            requests.push(stamp, content, sink, &mut |found, sink| match found {
                FoundFrame::Frame(reader, span) => talk.request(reader, span, sink),
                FoundFrame::Lost(missing) => talk.lose(missing, sink),
            });
            if talk.negotiation == Negotiation::Asked {
                answers.reader.is_negotiation = true;
            }
        } else {
            answers.push(stamp, content, sink, &mut |found, sink| match found {
                FoundFrame::Frame(reader, span) => talk.answer(reader, span, sink),
                FoundFrame::Lost(missing) => talk.lose(missing, sink),
            });
        }
        self.is_given_up |= self.requests.misses >= MISSES || self.answers.misses >= MISSES || talk.negotiation == Negotiation::Gss;
    }
}

impl Parser for Postgres {
    fn push(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) -> Demand {
        match self.client {
            _ if self.is_given_up => return Demand::Count,
            Some(client) => self.segment(client, segment, sink),
            None => self.learn(segment, sink),
        }
        match () {
            () if self.talk.negotiation == Negotiation::Tls => Demand::HandOver,
            () if self.is_given_up => {
                self.talk.give_up(sink);
                Demand::Count
            }
            () if self.requests.left().max(self.answers.left()) > LONG_MESSAGE => Demand::Head,
            () => Demand::Full,
        }
    }

    fn hand_over(&mut self) -> Option<HandOver> {
        let is_tls = std::mem::replace(&mut self.talk.negotiation, Negotiation::None) == Negotiation::Tls;
        is_tls.then(|| HandOver { successor: Successor::Detected, unread: Kept::default() })
    }

    fn end(&mut self, ending: Ending, _time_ns: u64, sink: &mut dyn Sink) {
        match (ending, self.talk.server) {
            // What was asked may still be answered, and what was answered still be read.
            (Ending::PeerClosed, _) | (Ending::LocalClosed, false) => {}
            _ => self.talk.end(ending == Ending::Forgotten, sink),
        }
    }

    fn pending(&self, _visit: &mut dyn FnMut(PendingExchange<'_>)) {}

    fn is_open(&self) -> bool {
        self.talk.is_open()
    }

    fn rest(&mut self) {
        self.talk.rest();
    }

    fn serves(&self) -> Option<bool> {
        self.client.map(|client| client == Direction::In)
    }

    fn heap_bytes(&self) -> usize {
        let sides = size_of_val(&*self.requests) + size_of_val(&*self.answers) + self.requests.heap_bytes() + self.answers.heap_bytes();
        self.search.as_ref().map_or(0, |search| search.heap_bytes()) + sides + self.talk.heap_bytes()
    }

    fn take_stats(&mut self) -> Stats {
        self.talk.take_stats()
    }
}
