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

use std::cell::Cell;

use super::detect::Verdict;
use super::framed::{FoundFrame, FrameSide, RoleSearch};
use super::kept::Kept;
use super::{Demand, HandOver, Parser, PendingExchange, Sink, Stats, Successor};
use crate::stream::{Content, Direction, Ending, Segment};
use detect::MySqlBeginning;
use packet::{MySqlClient, MySqlServer, PacketReader};
use talk::{LoginPhase, MySqlTalk};

/// While more of a packet is still to come, its length tells all and it is not captured.
const LONG_PACKET: u64 = 1 << 20;
/// Segments without a packet after which a connection is given up.
const MISSES: u32 = 64;

/// A connection's state.
#[derive(Debug, Default)]
pub struct MySql {
    /// The client's direction.
    client: Option<Direction>,
    search: Option<Box<RoleSearch>>,
    /// What the search has may be the beginning.
    may_be_found: bool,
    requests: Box<FrameSide<PacketReader<MySqlClient>>>,
    answers: Box<FrameSide<PacketReader<MySqlServer>>>,
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
        let verdict = Cell::new(Verdict::No);
        let find = |heads: [&[u8]; 2]| {
            let (found, client, beginning) = detect::begins(heads, true);
            verdict.set(found);
            (found == Verdict::Yes).then_some((client, beginning))
        };
        let learned = self.search.get_or_insert_default().learn(segment, sink, find);
        self.may_be_found = verdict.get() == Verdict::NeedMore;
        match learned {
            None => {}
            Some(Ok(((client, beginning), kept))) => {
                self.client = Some(client);
                self.search = None;
                self.talk.begins(client == Direction::In, beginning);
                if beginning == MySqlBeginning::Midway {
                    self.requests.distrust();
                    self.answers.distrust();
                }
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
            if std::mem::take(&mut talk.is_astray) {
                requests.distrust();
            }
        } else {
            answers.push(stamp, content, sink, &mut |found, sink| match found {
                FoundFrame::Frame(reader, span) => talk.answer(reader, span, sink),
                FoundFrame::Lost(missing) => talk.lose(missing, sink),
            });
            if std::mem::take(&mut talk.is_astray) {
                answers.distrust();
            }
        }
        let is_lost = self.requests.misses >= MISSES || self.answers.misses >= MISSES;
        self.is_given_up |= is_lost || talk.phase == LoginPhase::Unread;
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
            () if self.requests.left().max(self.answers.left()) > LONG_PACKET => Demand::Head,
            () => Demand::Full,
        }
    }

    fn hand_over(&mut self) -> Option<HandOver> {
        let is_tls = std::mem::replace(&mut self.talk.phase, LoginPhase::Unread) == LoginPhase::Tls;
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
        self.search.as_ref().map_or(0, |search| search.heap_bytes()) + sides + size_of_val(&*self.talk) + self.talk.heap_bytes()
    }

    fn take_stats(&mut self) -> Stats {
        self.talk.take_stats()
    }
}
