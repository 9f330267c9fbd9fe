//! Joins answers to commands: they come in the order of the commands; `noreply` has none, and the meta flag `q` leaves out those that tell
//! nothing new. Each answer is compared with its command, so that a shift is noticed: what waits is then told without an answer.
use super::reply::{AnswerReader, CacheAnswer};
use super::request::{AskedCommand, AskedReader};
use super::verb::Verb;
use crate::proto::command::Command;
use crate::proto::frame_pair::FrameTalk;
use crate::proto::framed::FrameSpan;
use crate::proto::pending::{Answered, PendingCommand, PendingCommands};
use crate::proto::redis::key_prefix;
use crate::proto::{Message, Sink, Stats};

/// Rounds of commands and answers that must agree after a loss.
const ROUNDS: u8 = 2;
/// Commands that wait, behind which a quiet one waits no longer.
pub(super) const QUIET: usize = 1_024;

/// What an answer must agree with.
#[derive(Clone, Copy, Debug)]
struct AwaitedAnswer {
    verb: Verb,
    is_quiet: bool,
    /// A command with `noreply` was sent since the command before: an error may be that one's.
    is_behind_noreply: bool,
    key: u32,
    /// Its answer repeats the key.
    repeats_key: bool,
    opaque: u32,
}

impl AwaitedAnswer {
    /// Whether an answer may be this command's.
    fn takes(&self, answer: &AnswerReader) -> bool {
        let gives = if self.is_quiet { self.verb.gives_quietly(answer.kind) } else { self.verb.gives(answer.kind) };
        let agree = |asked: u32, answered: u32| asked == 0 || answered == 0 || asked == answered;
        let (has_key, has_opaque) = (answer.key != 0, answer.opaque != 0);
        // Some versions repeat neither in the answer to a missing item.
        let is_full = answer.kind == CacheAnswer::MetaValue;
        let repeats = |asked: bool, has: bool| asked == has || (asked && !is_full);
        let is_alike = repeats(self.repeats_key, has_key) && repeats(self.opaque != 0, has_opaque);
        gives && is_alike && agree(self.key, answer.key) && agree(self.opaque, answer.opaque)
    }
}

/// What both directions share.
#[derive(Debug, Default)]
pub(super) struct MemcachedTalk {
    /// The process answers commands.
    pub(super) server: bool,
    /// `watch`: answers are a log from now on.
    pub(super) is_watched: bool,
    /// Data of a command is to come.
    pub(super) is_in_data: bool,
    pending: PendingCommands<AwaitedAnswer>,
    /// The error of the command of which data is to come.
    early: Option<(&'static str, FrameSpan)>,
    query: String,
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

impl FrameTalk<AskedReader, AnswerReader> for MemcachedTalk {
    fn request(&mut self, frame: &AskedReader, span: FrameSpan, sink: &mut dyn Sink) {
        let (asked, early) = (&frame.asked, self.early.take());
        let target = key_prefix(frame.key());
        self.write(asked, target);
        let command = self.command(asked.name, target, span, sink);
        if asked.is_noreply || asked.verb == Verb::Quit {
            self.had_noreply |= asked.is_noreply;
            return sink.message(Message::Command(&command));
        }
        let is_behind_noreply = std::mem::take(&mut self.had_noreply);
        // Of bad data even a quiet command is told.
        let is_quiet = asked.is_quiet && asked.verb != Verb::BadStore;
        let AskedCommand { verb, key, repeats_key, opaque, .. } = *asked;
        let tag = AwaitedAnswer { verb, is_quiet, is_behind_noreply, key, repeats_key, opaque };
        self.pending.push(PendingCommand { command, tag }, sink);
        if let Some((class, span)) = early {
            self.answered(CacheAnswer::Error(class), 0, span, sink);
        }
        if self.pending.iter().len() > QUIET && self.pending.front().is_some_and(|front| front.tag.is_quiet) {
            // Its answer may still come.
            self.is_ambiguous = true;
            self.silent(false, sink);
        }
    }

    fn answer(&mut self, frame: &AnswerReader, span: FrameSpan, sink: &mut dyn Sink) {
        let is_waited_for = self.pending.may_answer(span.first.time_ns);
        if self.pending.front().is_none() || !is_waited_for {
            return self.unwaited(frame, span, is_waited_for);
        }
        let asked = self.pending.iter().enumerate();
        let last = self.pending.iter().position(|pending| !pending.tag.is_quiet).unwrap_or(usize::MAX);
        let mut takers = asked.take_while(|(at, _)| *at <= last).filter(|(_, pending)| pending.tag.takes(frame)).map(|(at, _)| at);
        let (taker, other) = (takers.next(), takers.next());
        drop(takers);
        let Some(taker) = taker else { return self.mismatch(sink) };
        self.is_ambiguous |= other.is_some();
        if other == Some(last) {
            // If it was that one's answer, all that follow are shifted.
            self.doubt = ROUNDS;
        }
        for _ in 0..taker {
            self.silent(true, sink);
        }
        let is_behind_noreply = self.pending.front().is_some_and(|front| front.tag.is_behind_noreply && front.tag.verb != Verb::Unknown);
        if frame.is_despite_noreply && is_behind_noreply {
            return self.mismatch(sink);
        }
        self.answered(frame.kind, frame.values, span, sink);
    }

    /// Commands may be lost: their answers will come.
    fn lose_requests(&mut self, missing: u64, _sink: &mut dyn Sink) {
        self.stats.desyncs += 1;
        self.missing_bytes += missing;
        self.doubt = ROUNDS;
        self.early = None;
    }

    /// Answers may be lost: which commands they were for is not known.
    fn lose_answers(&mut self, missing: u64, sink: &mut dyn Sink) {
        self.lose_requests(missing, sink);
        self.give_up(sink);
    }
}

impl MemcachedTalk {
    /// A segment of commands comes: where none waits, a round is over.
    pub(super) fn round(&mut self) {
        if self.doubt > 0 && self.pending.is_empty() {
            self.doubt = if std::mem::take(&mut self.had_orphan) { ROUNDS } else { self.doubt - 1 };
        }
    }

    fn command(&mut self, name: &str, target: &str, span: FrameSpan, sink: &mut dyn Sink) -> Command {
        let shared = |text: &str, sink: &mut dyn Sink| (!text.is_empty()).then(|| sink.text(text));
        let id = self.next_id;
        self.next_id += 1;
        Command {
            id,
            server: self.server,
            system: "memcached",
            operation: shared(name, sink),
            target: shared(target, sink),
            query: shared(&self.query, sink),
            request_wire: span.wire,
            thread: span.first.thread,
            start_ns: span.first.arrival_ns.filter(|_| self.server).unwrap_or(span.first.time_ns),
            inferred: self.doubt > 0,
            missing_bytes: std::mem::take(&mut self.missing_bytes),
            ..Command::default()
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

    /// The oldest command has no answer; `is_passed`: a later one has.
    fn silent(&mut self, is_passed: bool, sink: &mut dyn Sink) {
        let Answered::Known(PendingCommand { mut command, tag }) = self.pending.take() else { return };
        command.inferred |= self.is_ambiguous || self.doubt > 0;
        command.rows = tag.verb.rows_of_silence().filter(|_| is_passed);
        sink.message(Message::Command(&command));
    }

    /// An answer that no command waits for.
    fn unwaited(&mut self, answer: &AnswerReader, span: FrameSpan, is_waited_for: bool) {
        match answer.kind {
            CacheAnswer::Error(class) if self.pending.is_empty() && self.is_in_data && self.early.is_none() => {
                self.early = Some((class, span))
            }
            CacheAnswer::Error(_) if self.pending.is_empty() && self.had_noreply => {}
            _ if !is_waited_for => self.orphan(),
            _ => {
                if matches!(self.pending.take(), Answered::Orphan) {
                    self.orphan();
                }
            }
        }
    }

    fn answered(&mut self, kind: CacheAnswer, values: u64, span: FrameSpan, sink: &mut dyn Sink) {
        let Answered::Known(PendingCommand { mut command, tag }) = self.pending.take() else { return };
        command.response_wire = span.wire;
        command.first_byte_ns = Some(span.first.time_ns.max(command.start_ns));
        command.end_at(span.end_ns);
        command.rows = tag.verb.rows(kind, values);
        if let CacheAnswer::Error(class) = kind {
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

    /// Tells the commands that wait as far as they are known.
    pub(super) fn give_up(&mut self, sink: &mut dyn Sink) {
        self.tell(true, sink);
    }

    /// The connection is over.
    pub(super) fn end(&mut self, is_unknown: bool, sink: &mut dyn Sink) {
        self.missing_bytes = 0;
        self.tell(is_unknown || self.is_ambiguous, sink);
    }

    fn tell(&mut self, is_unknown: bool, sink: &mut dyn Sink) {
        self.is_ambiguous = false;
        // A line that is no command may be data.
        self.pending.tell(is_unknown, &mut self.missing_bytes, |pending| pending.tag.verb != Verb::Unknown, sink);
    }

    pub(super) fn is_open(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn rest(&mut self) {
        self.pending.rest();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.pending.heap_bytes() + self.query.capacity()
    }

    pub(super) fn take_stats(&mut self) -> Stats {
        let stats = std::mem::take(&mut self.stats);
        self.pending.count(stats)
    }
}
