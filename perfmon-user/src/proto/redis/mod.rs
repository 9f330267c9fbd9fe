//! Redis (RESP2 and RESP3): segments of both directions in, commands out. Answers come in the order of the commands, but for pushes, which belong
//! to none. `request` and `reply` read one frame, `names` knows the commands; here is what concerns both directions.
//! Specification: the documentation of the Redis serialization protocol.
mod detect;
mod known;
mod line;
mod names;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use detect::detect;
pub(super) use names::prefix as key_prefix;

use super::command::Command;
use super::detect::Verdict;
use super::frame_pair::{FramePair, FrameTalk, is_over};
use super::framed::{FrameSpan, RoleSearch};
use super::pending::{Answered, PendingCommand, PendingCommands};
use super::{Demand, Message, Parser, PendingExchange, Sink, Stats};
use crate::stream::{Direction, Ending, Segment};
use names::CommandTexts;
use reply::{ReplyReader, ReplyText};
use request::{RequestReader, RequestText};

/// Rounds of commands and answers that must agree after a loss.
const ROUNDS: u8 = 2;

/// What the server does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Replies {
    #[default]
    On,
    /// `CLIENT REPLY SKIP`: the next command is not answered.
    SkipNext,
    /// `CLIENT REPLY OFF`.
    Off,
}

/// How many confirmations a subscribing command waits for; 0 for other commands.
type Confirmations = u32;

/// A connection's state.
#[derive(Debug, Default)]
pub struct Redis {
    /// The process answers commands.
    server: Option<bool>,
    /// Until that is known.
    search: Option<Box<RoleSearch>>,
    sides: FramePair<RequestReader, ReplyReader>,
    talk: RedisTalk,
}

/// What both directions share.
#[derive(Debug, Default)]
struct RedisTalk {
    server: bool,
    pending: PendingCommands<Confirmations>,
    texts: CommandTexts,
    replies: Replies,
    /// Messages of channels may come as arrays (RESP2).
    is_subscribed: bool,
    /// Everything that happens is sent, as statuses.
    is_monitor: bool,
    /// It became a stream of replication.
    is_replica: bool,
    database: Option<std::sync::Arc<str>>,
    next_id: u64,
    /// Rounds to go until answers are believed to belong to the commands that wait.
    doubt: u8,
    /// Answers without a command came since the round began.
    had_orphan: bool,
    /// Lost bytes that no command has told of.
    missing_bytes: u64,
    stats: Stats,
}

impl Redis {
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
        if talk.is_replica {
            return;
        }
        let is_request = (segment.direction == Direction::In) == talk.server;
        if is_request {
            talk.round();
        }
        self.sides.push(is_request, segment, talk, sink);
    }

    /// No frame was found for long.
    fn is_given_up(&self) -> bool {
        self.talk.is_replica || self.sides.is_lost()
    }
}

impl FrameTalk<RequestReader, ReplyReader> for RedisTalk {
    fn request(&mut self, frame: &RequestReader, span: FrameSpan, sink: &mut dyn Sink) {
        self.command(frame.text(), span, sink);
    }

    fn answer(&mut self, frame: &ReplyReader, span: FrameSpan, sink: &mut dyn Sink) {
        self.reply(frame.text(), span, sink);
    }

    /// Commands may be lost: their answers will come.
    fn lose_requests(&mut self, missing: u64, _sink: &mut dyn Sink) {
        self.stats.desyncs += 1;
        self.missing_bytes += missing;
        self.doubt = ROUNDS;
    }

    /// Answers may be lost: which commands they were for is not known.
    fn lose_answers(&mut self, missing: u64, sink: &mut dyn Sink) {
        self.lose_requests(missing, sink);
        self.give_up(sink);
    }
}

impl RedisTalk {
    /// A segment of commands comes: where none waits, a round is over.
    fn round(&mut self) {
        if self.doubt > 0 && self.pending.is_empty() {
            self.doubt = if std::mem::take(&mut self.had_orphan) { ROUNDS } else { self.doubt - 1 };
        }
    }

    fn command(&mut self, text: &RequestText, span: FrameSpan, sink: &mut dyn Sink) {
        self.texts.write(text);
        let shared = |text: &str, sink: &mut dyn Sink| (!text.is_empty()).then(|| sink.text(text));
        let start_ns = span.first.arrival_ns.filter(|_| self.server).unwrap_or(span.first.time_ns);
        if text.is(0, "SELECT") {
            let number = text.word(1);
            let is_number = (1..=5).contains(&number.len()) && number.iter().all(u8::is_ascii_digit);
            self.database = std::str::from_utf8(number).ok().filter(|_| is_number).map(|number| sink.text(number));
        }
        let command = Command {
            id: self.next_id,
            server: self.server,
            system: "redis",
            operation: shared(&self.texts.operation, sink),
            target: shared(&self.texts.target, sink),
            query: shared(&self.texts.query, sink),
            database: self.database.clone(),
            request_wire: span.wire,
            thread: span.first.thread,
            start_ns,
            inferred: self.doubt > 0,
            missing_bytes: std::mem::take(&mut self.missing_bytes),
            ..Command::default()
        };
        self.next_id += 1;
        if self.is_unanswered(text) {
            return sink.message(Message::Command(&command));
        }
        let confirmations = self.switches(text);
        self.pending.push(PendingCommand { command, tag: confirmations }, sink);
    }

    /// Whether the server will not answer a command.
    fn is_unanswered(&mut self, text: &RequestText) -> bool {
        let former = self.replies;
        if former == Replies::SkipNext {
            self.replies = Replies::On;
        }
        if text.is(0, "CLIENT") && text.is(1, "REPLY") {
            self.replies = match () {
                () if text.is(2, "OFF") => Replies::Off,
                () if text.is(2, "SKIP") && former == Replies::On => Replies::SkipNext,
                () if text.is(2, "ON") => Replies::On,
                () => self.replies,
            };
            return !text.is(2, "ON");
        }
        former != Replies::On
    }

    /// Notes what a command makes of the connection; the confirmations that it waits for.
    fn switches(&mut self, text: &RequestText) -> Confirmations {
        let subscribes = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"].iter().any(|name| text.is(0, name));
        let unsubscribes = ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"].iter().any(|name| text.is(0, name));
        self.is_subscribed |= subscribes;
        self.is_monitor |= text.is(0, "MONITOR");
        if text.is(0, "RESET") {
            (self.is_subscribed, self.is_monitor) = (false, false);
        }
        if text.is(0, "PSYNC") || text.is(0, "SYNC") {
            self.is_replica = true;
        }
        if subscribes || unsubscribes { text.words.saturating_sub(1).max(1) } else { 0 }
    }

    fn reply(&mut self, text: &ReplyText, span: FrameSpan, sink: &mut dyn Sink) {
        let is_push = text.kind == b'>';
        let is_array = matches!(text.kind, b'*' | b'>');
        let confirms = is_array && text.first().ends_with(b"subscribe") && self.pending.front().is_some_and(|front| front.tag > 0);
        if confirms {
            let is_last = self.pending.front().is_some_and(|front| {
                front.command.first_byte_ns.get_or_insert(span.first.time_ns);
                front.command.response_wire += span.wire;
                front.tag -= 1;
                front.tag == 0
            });
            if !is_last {
                return;
            }
        } else if is_push || self.is_message(text) || (self.is_monitor && text.kind == b'+' && self.pending.is_empty()) {
            return;
        }
        let answered = if self.pending.may_answer(span.first.time_ns) { self.pending.take() } else { Answered::Orphan };
        match answered {
            Answered::Known(PendingCommand { mut command, .. }) => {
                if !confirms {
                    command.response_wire = span.wire;
                    command.first_byte_ns = Some(span.first.time_ns);
                }
                command.end_at(span.end_ns);
                command.rows = text.items.filter(|_| !confirms);
                command.error = (!text.error().is_empty()).then(|| sink.text(text.error()));
                command.inferred |= self.doubt > 0;
                command.missing_bytes += std::mem::take(&mut self.missing_bytes);
                sink.message(Message::Command(&command));
            }
            Answered::Uncounted => {}
            Answered::Orphan => {
                self.stats.orphans += 1;
                (self.doubt, self.had_orphan) = (ROUNDS, true);
            }
        }
    }

    /// A message of a channel, or a confirmation that nothing waits for, which RESP2 sends as an array.
    fn is_message(&self, text: &ReplyText) -> bool {
        let first = text.first();
        self.is_subscribed && text.kind == b'*' && (first.ends_with(b"message") || first.ends_with(b"subscribe"))
    }

    /// Tells the commands that wait as far as they are known.
    fn give_up(&mut self, sink: &mut dyn Sink) {
        self.pending.tell(true, &mut self.missing_bytes, |_| true, sink);
    }
}

impl Parser for Redis {
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
            self.talk.pending.tell(ending == Ending::Forgotten, &mut 0, |_| true, sink);
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
        let texts = &self.talk.texts;
        opening
            + self.sides.heap_bytes()
            + self.talk.pending.heap_bytes()
            + texts.operation.capacity()
            + texts.query.capacity()
            + texts.target.capacity()
    }

    fn take_stats(&mut self) -> Stats {
        let stats = std::mem::take(&mut self.talk.stats);
        self.talk.pending.count(stats)
    }
}
