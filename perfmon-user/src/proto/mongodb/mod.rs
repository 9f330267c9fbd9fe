//! MongoDB: segments of both directions in, commands out. `message` reads one message by its `header`, `bson` walks through its documents, `request`
//! and `answer` note what they say, `shape` writes a command's text, `talk` joins answers to commands; here is what concerns the connection.
mod answer;
mod bson;
mod detect;
mod header;
mod message;
mod request;
mod shape;
mod talk;
#[cfg(test)]
mod tests;

pub use detect::detect;

use super::detect::Verdict;
use super::frame_pair::{FramePair, is_over};
use super::framed::RoleSearch;
use super::{Demand, Parser, PendingExchange, Sink, Stats};
use crate::stream::{Content, Direction, Ending, Segment};
use answer::MongoAnswer;
use message::MongoMessage;
use request::MongoRequest;
use talk::MongoTalk;

/// A connection's state.
#[derive(Debug, Default)]
pub struct MongoDb {
    /// The client's direction.
    client: Option<Direction>,
    search: Option<Box<RoleSearch>>,
    /// What the search has may be the beginning.
    may_be_found: bool,
    sides: FramePair<MongoMessage<MongoRequest>, MongoMessage<MongoAnswer>>,
    talk: Box<MongoTalk>,
    is_given_up: bool,
}

impl MongoDb {
    /// Of a new connection, or one that was open before.
    pub fn new() -> Self {
        Self::default()
    }

    fn learn(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) {
        let is_message = matches!(segment.content, Content::Bytes(bytes) if detect::judge(bytes).0 != Verdict::No);
        if is_message && !self.may_be_found {
            // What came before was not understood.
            self.search = None;
        }
        let may_be_found = &mut self.may_be_found;
        let find = |heads: [&[u8]; 2]| {
            let (found, client) = detect::client(heads);
            // A piece of the length says nothing yet.
            *may_be_found = found == Verdict::NeedMore || heads.iter().any(|head| (1..4).contains(&head.len()));
            // A stream that was joined within a message.
            let is_amid = heads.map(|head| !head.is_empty() && detect::judge(head).0 == Verdict::No);
            (found == Verdict::Yes).then_some((client, is_amid))
        };
        match self.search.get_or_insert_default().learn(segment, sink, find) {
            None => {}
            Some(Ok(((client, is_amid), kept))) => {
                self.client = Some(client);
                self.search = None;
                self.talk.server = client == Direction::In;
                if is_amid[client.index()] {
                    self.sides.requests.distrust();
                }
                if is_amid[client.opposite().index()] {
                    self.sides.answers.distrust();
                }
                kept.release(|segment| self.segment(client, segment, sink));
            }
            Some(Err(())) => self.is_given_up = true,
        }
    }

    fn segment(&mut self, client: Direction, segment: Segment<'_>, sink: &mut dyn Sink) {
        let is_request = segment.direction == client;
        self.sides.push(is_request, segment, &mut *self.talk, sink);
        self.is_given_up |= self.sides.is_lost();
    }
}

impl Parser for MongoDb {
    fn push(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) -> Demand {
        match self.client {
            _ if self.is_given_up => return Demand::Count,
            Some(client) => self.segment(client, segment, sink),
            None => self.learn(segment, sink),
        }
        if self.is_given_up {
            self.talk.give_up(sink);
            return Demand::Count;
        }
        self.sides.demand()
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
        self.talk.in_use()
    }

    fn rest(&mut self) {
        self.talk.rest();
    }

    fn serves(&self) -> Option<bool> {
        self.client.map(|client| client == Direction::In)
    }

    fn heap_bytes(&self) -> usize {
        let search = self.search.as_ref().map_or(0, |search| search.heap_bytes());
        search + self.sides.heap_bytes() + size_of_val(&*self.talk) + self.talk.heap_bytes()
    }

    fn take_stats(&mut self) -> Stats {
        self.talk.take_stats()
    }
}
