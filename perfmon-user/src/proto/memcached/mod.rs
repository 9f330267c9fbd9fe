//! Memcached (text protocol and meta commands): segments of both directions in, commands out. `request` and `reply` read one frame, `verb` knows
//! which answers a command can have, `talk` joins them; here is what concerns the connection. The binary protocol is recognised and not read.
//! Specification: doc/protocol.txt of Memcached.
mod detect;
mod reply;
mod request;
mod talk;
#[cfg(test)]
mod tests;
mod verb;

pub use detect::{detect, detect_binary};

use super::detect::Verdict;
use super::frame_pair::{FramePair, is_over};
use super::framed::RoleSearch;
use super::{Demand, Parser, PendingExchange, Sink, Stats};
use crate::stream::{Direction, Ending, Segment};
use reply::AnswerReader;
use request::AskedReader;
use talk::MemcachedTalk;

/// A connection's state.
#[derive(Debug, Default)]
pub struct Memcached {
    /// The process answers commands.
    server: Option<bool>,
    /// Until that is known.
    search: Option<Box<RoleSearch>>,
    sides: FramePair<AskedReader, AnswerReader>,
    talk: MemcachedTalk,
}

impl Memcached {
    /// Of a new connection, or one that was open before.
    pub fn new() -> Self {
        Self::default()
    }

    fn learn(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) {
        let find = |heads: [&[u8]; 2]| {
            let (verdict, direction) = detect::commands(heads);
            (verdict == Verdict::Yes).then_some(direction == Direction::In)
        };
        match self.search.get_or_insert_default().learn(segment, sink, find) {
            None => {}
            Some(Ok((server, kept))) => {
                self.search = None;
                (self.server, self.talk.server) = (Some(server), server);
                kept.release(|segment| self.segment(segment, sink));
            }
            Some(Err(())) => self.sides.give_up(),
        }
    }

    fn segment(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) {
        let talk = &mut self.talk;
        if talk.is_watched {
            return;
        }
        let is_request = (segment.direction == Direction::In) == talk.server;
        if is_request {
            talk.round();
        }
        talk.is_in_data = self.sides.requests.left() > 0;
        self.sides.push(is_request, segment, talk, sink);
    }

    /// No frame was found for long.
    fn is_given_up(&self) -> bool {
        self.talk.is_watched || self.sides.is_lost()
    }
}

impl Parser for Memcached {
    fn push(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) -> Demand {
        if self.server.is_some() {
            self.segment(segment, sink);
        } else {
            self.learn(segment, sink);
        }
        if self.is_given_up() {
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

    fn rest(&mut self) {
        self.talk.rest();
    }

    fn serves(&self) -> Option<bool> {
        self.server
    }

    fn heap_bytes(&self) -> usize {
        let opening = self.search.as_ref().map_or(0, |search| search.heap_bytes());
        opening + self.sides.heap_bytes() + self.talk.heap_bytes()
    }

    fn take_stats(&mut self) -> Stats {
        self.talk.take_stats()
    }
}
