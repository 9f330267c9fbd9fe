//! MySQL and MariaDB: segments of both directions in, commands out, one for each statement that is executed and each other command that has an
//! answer. `packet` reads one packet, `talk` joins answers to commands, `answer` follows one answer; here is what concerns the connection: who is
//! the client, that encryption hands it over, and that compression ends the reading.
mod answer;
mod detect;
mod field;
mod packet;
mod talk;
#[cfg(test)]
mod tests;

pub use detect::detect;

use super::detect::Verdict;
use super::frame_pair::{FramePair, is_over};
use super::framed::RoleSearch;
use super::kept::Kept;
use super::{Demand, HandOver, Parser, PendingExchange, Sink, Stats, Successor};
use crate::stream::{Content, Direction, Ending, Segment};
use detect::MySqlBeginning;
use packet::{MySqlClient, MySqlServer, PacketReader};
use talk::{LoginPhase, MySqlTalk};

/// A connection's state.
#[derive(Debug, Default)]
pub struct MySql {
    /// The client's direction.
    client: Option<Direction>,
    search: Option<Box<RoleSearch>>,
    /// What the search has may be the beginning.
    may_be_found: bool,
    sides: FramePair<PacketReader<MySqlClient>, PacketReader<MySqlServer>>,
    talk: Box<MySqlTalk>,
    is_given_up: bool,
}

impl MySql {
    /// Of a new connection, or one that was open before.
    pub fn new() -> Self {
        Self::default()
    }

    fn learn(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) {
        let is_request = matches!(segment.content, Content::Bytes(bytes) if detect::is_request(bytes));
        if is_request && !self.may_be_found {
            // What came before was not understood.
            self.search = None;
        }
        let may_be_found = &mut self.may_be_found;
        let find = |heads: [&[u8]; 2]| {
            let (found, client, beginning) = detect::begins(heads, true);
            *may_be_found = found == Verdict::NeedMore;
            (found == Verdict::Yes).then_some((client, beginning))
        };
        match self.search.get_or_insert_default().learn(segment, sink, find) {
            None => {}
            Some(Ok(((client, beginning), kept))) => {
                self.client = Some(client);
                self.search = None;
                self.talk.begins(client == Direction::In, beginning);
                if beginning == MySqlBeginning::Midway {
                    self.sides.requests.distrust();
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
        match std::mem::take(&mut self.talk.is_astray) {
            true if is_request => self.sides.requests.distrust(),
            true => self.sides.answers.distrust(),
            false => {}
        }
        self.is_given_up |= self.sides.is_lost() || self.talk.phase == LoginPhase::Unread;
    }
}

impl Parser for MySql {
    fn push(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) -> Demand {
        match self.client {
            _ if self.is_given_up => return Demand::Count,
            Some(client) => self.segment(client, segment, sink),
            None => self.learn(segment, sink),
        }
        match () {
            () if self.talk.phase == LoginPhase::Tls => Demand::HandOver,
            () if self.is_given_up => {
                self.talk.give_up(sink);
                Demand::Count
            }
            () => self.sides.demand(),
        }
    }

    fn hand_over(&mut self) -> Option<HandOver> {
        let is_tls = std::mem::replace(&mut self.talk.phase, LoginPhase::Unread) == LoginPhase::Tls;
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
        let search = self.search.as_ref().map_or(0, |search| search.heap_bytes());
        search + self.sides.heap_bytes() + size_of_val(&*self.talk) + self.talk.heap_bytes()
    }

    fn take_stats(&mut self) -> Stats {
        self.talk.take_stats()
    }
}
