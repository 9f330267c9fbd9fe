//! Memcached (text protocol and meta commands): segments of both directions in, commands out. Answers come in the order of the commands;
//! `noreply` has none, and the meta flag `q` leaves out those that tell nothing new. Each answer is compared with its command, so that a
//! shift is noticed. The binary protocol is recognised and not read. Specification: doc/protocol.txt of Memcached.
mod detect;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod verb;

pub use detect::{detect, detect_binary};

use super::command::Command;
use super::detect::Verdict;
use super::framed::{FoundFrame, FrameSide, FrameSpan, RoleSearch};
use super::pending::{Answered, PendingCommand, PendingCommands};
use super::redis::key_prefix;
use super::{Demand, Message, Parser, PendingExchange, Sink, Stats};
use crate::stream::{Direction, Ending, Segment};
use reply::{AnswerKind, AnswerReader};
use request::{AskedCommand, AskedReader};
use verb::Verb;

/// While more of a value is still to come, its length tells all and it is not captured.
const LONG_VALUE: u64 = 1 << 20;
/// Segments without a frame after which a connection is given up.
const MISSES: u32 = 64;
/// Rounds of commands and answers that must agree after a loss.
const ROUNDS: u8 = 2;
/// Commands that wait, behind which a quiet one has had its time.
const QUIET: usize = 1_024;

/// What an answer must agree with.
#[derive(Clone, Copy, Debug)]
struct Asked {
    verb: Verb,
    is_quiet: bool,
    /// A command with `noreply` was sent since the command before: an error may be that one's.
    is_behind_noreply: bool,
    key: u32,
    opaque: u32,
}

impl Asked {
    /// Whether an answer may be this command's.
    fn takes(&self, answer: &AnswerReader) -> bool {
        let gives = if self.is_quiet { self.verb.gives_quietly(answer.kind) } else { self.verb.gives(answer.kind) };
        let agree = |asked: u32, answered: u32| asked == 0 || answered == 0 || asked == answered;
        gives && agree(self.key, answer.key) && agree(self.opaque, answer.opaque) && (answer.opaque == 0 || self.opaque != 0)
    }
}

/// A connection's state.
#[derive(Debug, Default)]
pub struct Memcached {
    /// The process answers commands.
    server: Option<bool>,
    /// Until that is known.
    search: Option<Box<RoleSearch>>,
    requests: Box<FrameSide<AskedReader>>,
    replies: Box<FrameSide<AnswerReader>>,
    talk: MemcachedTalk,
}

/// What both directions share.
#[derive(Debug, Default)]
struct MemcachedTalk {
    server: bool,
    pending: PendingCommands<Asked>,
    query: String,
    /// `watch`: answers are a log from now on.
    is_watched: bool,
    had_noreply: bool,
    /// Quiet commands of this batch may have had each other's answers.
    is_ambiguous: bool,
    next_id: u64,
    /// Rounds to go until answers are believed to belong to the commands that wait.
    doubt: u8,
    /// Answers without a command came since the round began.
    had_orphan: bool,
    /// Lost bytes that no command has told of.
    missing_bytes: u64,
    stats: Stats,
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
            Some(Err(())) => self.requests.misses = MISSES,
        }
    }

    fn segment(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) {
        let Segment { direction, stamp, content } = segment;
        let talk = &mut self.talk;
        if talk.is_watched {
            return;
        }
        if (direction == Direction::In) == talk.server {
            talk.round();
            self.requests.push(stamp, content, sink, &mut |found, sink| match found {
                FoundFrame::Frame(reader, span) => talk.request(reader, span, sink),
                FoundFrame::Lost(missing) => talk.lost(missing, sink, false),
            });
        } else {
            self.replies.push(stamp, content, sink, &mut |found, sink| match found {
                FoundFrame::Frame(reader, span) => talk.reply(reader, span, sink),
                FoundFrame::Lost(missing) => talk.lost(missing, sink, true),
            });
        }
    }

    /// No frame was found for long.
    fn is_given_up(&self) -> bool {
        self.talk.is_watched || self.requests.misses >= MISSES || self.replies.misses >= MISSES
    }
}

impl MemcachedTalk {
    /// A segment of commands comes: where none waits, a round is over.
    fn round(&mut self) {
        if self.doubt > 0 && self.pending.is_empty() {
            self.doubt = if std::mem::take(&mut self.had_orphan) { ROUNDS } else { self.doubt - 1 };
        }
    }

    fn request(&mut self, reader: &AskedReader, span: FrameSpan, sink: &mut dyn Sink) {
        let asked = &reader.asked;
        let target = key_prefix(reader.key());
        self.write(asked, target);
        let shared = |text: &str, sink: &mut dyn Sink| (!text.is_empty()).then(|| sink.text(text));
        let command = Command {
            id: self.next_id,
            server: self.server,
            system: "memcached",
            operation: shared(asked.name, sink),
            target: shared(target, sink),
            query: shared(&self.query, sink),
            request_wire: span.wire,
            thread: span.first.thread,
            start_ns: span.first.arrival_ns.filter(|_| self.server).unwrap_or(span.first.time_ns),
            inferred: self.doubt > 0,
            missing_bytes: std::mem::take(&mut self.missing_bytes),
            ..Command::default()
        };
        self.next_id += 1;
        if asked.is_noreply || asked.verb == Verb::Quit {
            self.had_noreply |= asked.is_noreply;
            return sink.message(Message::Command(&command));
        }
        let is_behind_noreply = std::mem::take(&mut self.had_noreply);
        let tag = Asked { verb: asked.verb, is_quiet: asked.is_quiet, is_behind_noreply, key: asked.key, opaque: asked.opaque };
        self.pending.push(PendingCommand { command, tag }, sink);
        if self.pending.iter().len() > QUIET && self.pending.front().is_some_and(|front| front.tag.is_quiet) {
            self.silent(sink);
        }
    }

    /// The text of a command: its name, the first key's prefix, and a mark for each of the other keys and for data.
    fn write(&mut self, asked: &AskedCommand, target: &str) {
        self.query.clear();
        self.query.push_str(asked.name);
        if asked.keys > 0 {
            self.query.push(' ');
            self.query.push_str(target);
            self.query.push_str(if target.is_empty() { "?" } else { ":?" });
        }
        match asked.verb {
            Verb::Store | Verb::BadStore | Verb::Arithmetic | Verb::MetaSet => self.query.push_str(" ?"),
            _ if asked.keys > 1 => self.query.push_str(" ..."),
            _ => {}
        }
    }

    /// The oldest command waits for no answer any more.
    fn silent(&mut self, sink: &mut dyn Sink) {
        let Answered::Known(PendingCommand { mut command, tag }) = self.pending.take() else { return };
        command.inferred |= self.is_ambiguous || self.doubt > 0;
        // Of a value that is not there nothing is said.
        command.rows = (tag.verb == Verb::MetaGet).then_some(0);
        sink.message(Message::Command(&command));
    }

    fn reply(&mut self, answer: &AnswerReader, span: FrameSpan, sink: &mut dyn Sink) {
        let is_error = matches!(answer.kind, AnswerKind::Error(_));
        if self.pending.iter().len() == 0 {
            match self.pending.take() {
                // Of a command with `noreply`.
                Answered::Orphan if is_error && self.had_noreply => {}
                Answered::Orphan => self.orphan(),
                _ => {}
            }
            return;
        }
        let asked = self.pending.iter().enumerate();
        let last = self.pending.iter().position(|pending| !pending.tag.is_quiet).unwrap_or(usize::MAX);
        let mut takers = asked.take_while(|(at, _)| *at <= last).filter(|(_, pending)| pending.tag.takes(answer)).map(|(at, _)| at);
        let (taker, is_ambiguous) = (takers.next(), takers.next().is_some());
        drop(takers);
        let Some(taker) = taker else { return self.mismatch(sink) };
        self.is_ambiguous |= is_ambiguous;
        for _ in 0..taker {
            self.silent(sink);
        }
        let is_doubtful = self.pending.front().is_some_and(|front| front.tag.is_behind_noreply && front.tag.verb != Verb::Unknown);
        if is_error && is_doubtful {
            return self.mismatch(sink);
        }
        self.answered(answer, span, sink);
    }

    fn answered(&mut self, answer: &AnswerReader, span: FrameSpan, sink: &mut dyn Sink) {
        let Answered::Known(PendingCommand { mut command, tag }) = self.pending.take() else { return };
        command.response_wire = span.wire;
        command.first_byte_ns = Some(span.first.time_ns);
        command.end_ns = Some(span.end_ns);
        command.rows = tag.verb.rows(answer.kind, answer.values);
        if let AnswerKind::Error(class) = answer.kind {
            command.error = Some(sink.text(class));
        }
        command.inferred |= self.doubt > 0 || (self.is_ambiguous && tag.is_quiet);
        command.missing_bytes += std::mem::take(&mut self.missing_bytes);
        if !tag.is_quiet {
            self.is_ambiguous = false;
        }
        self.is_watched |= tag.verb == Verb::Watch && command.error.is_none();
        sink.message(Message::Command(&command));
    }

    fn orphan(&mut self) {
        self.stats.orphans += 1;
        (self.doubt, self.had_orphan) = (ROUNDS, true);
    }

    /// An answer is of none of the commands that could have it: what waits has other answers than it seems.
    fn mismatch(&mut self, sink: &mut dyn Sink) {
        self.orphan();
        self.give_up(sink);
    }

    /// Commands or answers may be lost.
    fn lost(&mut self, missing: u64, sink: &mut dyn Sink, is_answer: bool) {
        self.stats.desyncs += 1;
        self.missing_bytes += missing;
        self.doubt = ROUNDS;
        if is_answer {
            self.give_up(sink);
        }
    }

    /// Tells the commands that wait as far as they are known.
    fn give_up(&mut self, sink: &mut dyn Sink) {
        let missing = &mut self.missing_bytes;
        for PendingCommand { mut command, tag } in self.pending.drain() {
            // A line that is no command may be data.
            if tag.verb == Verb::Unknown {
                continue;
            }
            command.inferred = true;
            command.missing_bytes += std::mem::take(missing);
            sink.message(Message::Command(&command));
        }
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
        if self.requests.left().max(self.replies.left()) > LONG_VALUE { Demand::Head } else { Demand::Full }
    }

    fn end(&mut self, ending: Ending, _time_ns: u64, sink: &mut dyn Sink) {
        match (ending, self.talk.server) {
            // The client sends no more: what it asked may still be answered. A client reads what came before the end later.
            (Ending::PeerClosed, _) | (Ending::LocalClosed, false) => return,
            _ => {}
        }
        for PendingCommand { mut command, tag } in self.talk.pending.drain() {
            command.inferred |= ending == Ending::Forgotten || (self.talk.is_ambiguous && tag.is_quiet);
            sink.message(Message::Command(&command));
        }
    }

    fn pending(&self, _visit: &mut dyn FnMut(PendingExchange<'_>)) {}

    fn is_open(&self) -> bool {
        !self.talk.pending.is_empty()
    }

    fn rest(&mut self) {
        self.talk.pending.rest();
    }

    fn serves(&self) -> Option<bool> {
        self.server
    }

    fn heap_bytes(&self) -> usize {
        let opening = self.search.as_ref().map_or(0, |search| search.heap_bytes());
        let sides = size_of_val(&*self.requests) + size_of_val(&*self.replies) + self.requests.heap_bytes() + self.replies.heap_bytes();
        opening + sides + self.talk.pending.heap_bytes() + self.talk.query.capacity()
    }

    fn take_stats(&mut self) -> Stats {
        let stats = std::mem::take(&mut self.talk.stats);
        Stats { evicted: std::mem::take(&mut self.talk.pending.evicted), ..stats }
    }
}
