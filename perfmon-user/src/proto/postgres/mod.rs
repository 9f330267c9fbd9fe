//! PostgreSQL (protocol version 3): segments of both directions in, commands out, one for each statement that is executed: of a simple query each
//! of its statements, else each Execute. `message` reads one message, `talk` joins answers to commands; here is what concerns the connection:
//! who is the client, and that encryption hands the connection over.
mod detect;
mod message;
mod talk;
#[cfg(test)]
mod tests;

pub use detect::detect;

use super::detect::Verdict;
use super::frame_pair::{FramePair, is_over};
use super::framed::RoleSearch;
use super::kept::Kept;
use super::{Demand, HandOver, Parser, PendingExchange, Sink, Stats, Successor};
use crate::stream::{Direction, Ending, Segment};
use detect::Beginning;
use message::{Backend, Frontend, MessageReader};
use talk::{Negotiation, PostgresTalk};

/// A connection's state.
#[derive(Debug, Default)]
pub struct Postgres {
    /// The client's direction.
    client: Option<Direction>,
    search: Option<Box<RoleSearch>>,
    sides: FramePair<MessageReader<Frontend>, MessageReader<Backend>>,
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
                self.sides.requests.reader.is_startup = is_startup;
                self.talk.begins(is_startup);
                kept.release(|segment| self.segment(client, segment, sink));
            }
            Some(Err(())) => self.is_given_up = true,
        }
    }

    fn segment(&mut self, client: Direction, segment: Segment<'_>, sink: &mut dyn Sink) {
        let is_request = segment.direction == client;
        self.sides.push(is_request, segment, &mut self.talk, sink);
        if is_request && self.talk.negotiation == Negotiation::Asked {
            self.sides.answers.reader.is_negotiation = true;
        }
        self.is_given_up |= self.sides.is_lost() || self.talk.negotiation == Negotiation::Gss;
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
            () => self.sides.demand(),
        }
    }

    fn hand_over(&mut self) -> Option<HandOver> {
        let is_tls = std::mem::replace(&mut self.talk.negotiation, Negotiation::None) == Negotiation::Tls;
        is_tls.then(|| HandOver { successor: Successor::Detected, unread: Kept::default() })
    }

    fn end(&mut self, ending: Ending, _time_ns: u64, sink: &mut dyn Sink) {
        if is_over(ending, self.talk.server) {
            self.talk.end(ending == Ending::Forgotten, sink);
        }
    }

    fn pending(&self, _visit: &mut dyn FnMut(PendingExchange<'_>)) {}

    fn is_open(&self) -> bool {
        self.talk.is_open()
    }

    fn in_use(&self) -> bool {
        self.talk.is_open() || self.talk.in_transaction
    }

    fn rest(&mut self) {
        self.talk.rest();
    }

    fn serves(&self) -> Option<bool> {
        self.client.map(|client| client == Direction::In)
    }

    fn heap_bytes(&self) -> usize {
        self.search.as_ref().map_or(0, |search| search.heap_bytes()) + self.sides.heap_bytes() + self.talk.heap_bytes()
    }

    fn take_stats(&mut self) -> Stats {
        self.talk.take_stats()
    }
}
