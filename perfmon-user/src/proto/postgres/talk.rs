//! What both directions share: commands that wait for their answers, in order, and statements by name. ReadyForQuery ends a cycle: what was asked
//! before its Sync and is not answered by then was skipped by the server after an error.
use std::collections::VecDeque;
use std::sync::Arc;

use super::detect::{GSS_REQUEST, SSL_REQUEST};
use super::message::{Backend, Frontend, MessageReader, NEGOTIATION, STARTUP, rows, sqlstate, text, verb};
use crate::proto::command::Command;
use crate::proto::frame_pair::FrameTalk;
use crate::proto::framed::FrameSpan;
use crate::proto::pending::{Answered, PendingCommand, PendingCommands};
use crate::proto::sql;
use crate::proto::statement::{StatementNames, StatementText, read};
use crate::proto::{Message, Sink, Stats};
use crate::stream::Stamp;

/// What a client asked.
#[derive(Debug)]
enum Asked {
    /// Parse.
    Parse,
    /// Execute, or a call of a function.
    Execute,
    /// A simple query; the statements behind the first one.
    Query(VecDeque<StatementText>),
    /// Sync.
    Sync,
}

/// A request for encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Negotiation {
    /// None under way.
    #[default]
    None,
    /// Not answered yet.
    Asked,
    /// TLS follows.
    Tls,
    /// GSSAPI encryption follows, which is not read.
    Gss,
}

/// What came of the answer so far.
#[derive(Clone, Copy, Debug, Default)]
struct AnswerPart {
    first_ns: Option<u64>,
    wire: u64,
    rows: u64,
}

/// The state.
#[derive(Debug, Default)]
pub(super) struct PostgresTalk {
    /// The process is the server.
    pub(super) server: bool,
    pub(super) negotiation: Negotiation,
    /// A transaction is open, or failed and not ended.
    pub(super) in_transaction: bool,
    waiting: PendingCommands<Asked>,
    statements: StatementNames,
    portals: StatementNames,
    /// First message and bytes of the command that is being sent.
    unit: Option<(Stamp, u64)>,
    answer: AnswerPart,
    /// Answered; ReadyForQuery may follow, which belongs to it.
    done: Option<Box<Command>>,
    database: Option<Arc<str>>,
    next_id: u64,
    /// Messages were lost: answers may belong to other commands.
    in_doubt: bool,
    /// The server waits for commands.
    is_idle: bool,
    missing_bytes: u64,
    stats: Stats,
}

impl FrameTalk<MessageReader<Frontend>, MessageReader<Backend>> for PostgresTalk {
    fn request(&mut self, message: &MessageReader<Frontend>, span: FrameSpan, sink: &mut dyn Sink) {
        self.asked(message, span, sink);
    }

    fn answer(&mut self, message: &MessageReader<Backend>, span: FrameSpan, sink: &mut dyn Sink) {
        self.answered(message, span, sink);
    }

    fn lose_requests(&mut self, missing: u64, sink: &mut dyn Sink) {
        self.lose(missing, sink);
    }

    fn lose_answers(&mut self, missing: u64, sink: &mut dyn Sink) {
        self.lose(missing, sink);
    }
}

impl PostgresTalk {
    /// Reading begins; joined midway, answers of earlier commands may come.
    pub(super) fn begins(&mut self, is_startup: bool) {
        self.in_doubt = !is_startup;
    }

    /// A message of the client.
    fn asked(&mut self, message: &MessageReader<Frontend>, span: FrameSpan, sink: &mut dyn Sink) {
        if self.in_doubt && self.is_idle && self.waiting.is_empty() {
            self.in_doubt = false;
        }
        let kind = message.kind();
        if matches!(kind, b'P' | b'B' | b'D' | b'E' | b'Q' | b'F') {
            self.is_idle = false;
            self.missing_bytes += message.missing();
            if self.unit.is_none() && self.waiting.is_empty() {
                // What was answered so far belongs to a round that prepared.
                self.answer = AnswerPart::default();
            }
            self.unit.get_or_insert((span.first, 0)).1 += span.wire;
        }
        let mut content = message.content();
        match kind {
            STARTUP => self.startup(content, sink),
            b'Q' => {
                let mut statements: VecDeque<_> = read(sql::postgresql, text(&mut content), message.is_cut(), sink).into();
                let first = statements.pop_front().unwrap_or_default();
                self.ask(first, Asked::Query(statements), sink);
            }
            b'P' => {
                let (name, query) = (text(&mut content), text(&mut content));
                let statement = read(sql::postgresql, query, message.is_cut(), sink).into_iter().next().unwrap_or_default();
                self.stats.evicted += u64::from(!self.statements.insert(name, statement.clone(), sink));
                let unit = self.unit;
                self.ask(statement, Asked::Parse, sink);
                self.unit = unit;
            }
            b'B' => {
                let (portal, name) = (text(&mut content), text(&mut content));
                let known = self.statements.get(name).cloned();
                let statement = known.unwrap_or_else(|| StatementText::unknown(name, sink));
                self.stats.evicted += u64::from(!self.portals.insert(portal, statement, sink));
            }
            b'E' => {
                let statement = self.portals.get(text(&mut content)).cloned().unwrap_or_default();
                self.ask(statement, Asked::Execute, sink);
            }
            b'F' => self.ask(StatementText::default(), Asked::Query(VecDeque::new()), sink),
            b'C' => match content.split_first() {
                Some((b'S', mut name)) => self.statements.remove(text(&mut name)),
                Some((b'P', mut name)) => self.portals.remove(text(&mut name)),
                _ => {}
            },
            b'S' => self.sync(span.wire, sink),
            // A round of its own: what was sent prepares.
            b'H' => self.unit = None,
            b'd' | b'c' | b'f' => {
                if let Some(front) = self.waiting.front() {
                    front.command.request_wire += span.wire;
                }
            }
            _ => {}
        }
    }

    fn startup(&mut self, mut content: &[u8], sink: &mut dyn Sink) {
        let Some(code) = content.first_chunk().map(|code| u32::from_be_bytes(*code)) else { return };
        if matches!(code, SSL_REQUEST | GSS_REQUEST) {
            self.negotiation = Negotiation::Asked;
            return;
        }
        content = &content[4..];
        let (mut user, mut database) = (None, None);
        while !content.is_empty() {
            let (key, value) = (text(&mut content), text(&mut content));
            match key {
                b"user" => user = Some(value),
                b"database" => database = Some(value),
                _ => {}
            }
        }
        let name = database.or(user).and_then(|name| std::str::from_utf8(name).ok());
        self.database = name.filter(|name| (1..=63).contains(&name.len())).map(|name| sink.text(name));
    }

    /// A command is complete.
    fn ask(&mut self, statement: StatementText, tag: Asked, sink: &mut dyn Sink) {
        let (first, wire) = self.unit.take().unwrap_or_default();
        let mut command = Command {
            id: self.next_id,
            server: self.server,
            system: "postgresql",
            database: self.database.clone(),
            request_wire: wire,
            thread: first.thread,
            start_ns: first.arrival_ns.filter(|_| self.server).unwrap_or(first.time_ns),
            inferred: self.in_doubt,
            ..Command::default()
        };
        statement.tell(&mut command);
        self.next_id += 1;
        self.waiting.push(PendingCommand { command, tag }, sink);
    }

    fn sync(&mut self, wire: u64, sink: &mut dyn Sink) {
        self.unit = None;
        self.is_idle = false;
        if let Some(back) = self.waiting.back() {
            back.command.request_wire += wire;
        }
        self.waiting.push(PendingCommand { command: Command::default(), tag: Asked::Sync }, sink);
    }

    /// A message of the server.
    fn answered(&mut self, message: &MessageReader<Backend>, span: FrameSpan, sink: &mut dyn Sink) {
        let kind = message.kind();
        match kind {
            NEGOTIATION => {
                self.negotiation = match message.content() {
                    b"S" => Negotiation::Tls,
                    b"G" => Negotiation::Gss,
                    _ => Negotiation::None,
                };
                return;
            }
            // Of no command: authentication, parameters, notices, notifications.
            b'R' | b'K' | b'S' | b'N' | b'A' | b'v' => return,
            b'Z' => {
                self.in_transaction = matches!(message.content(), [b'T' | b'E', ..]);
                return self.ready(span, sink);
            }
            _ => {}
        }
        self.tell_done(sink);
        self.is_idle = false;
        if !self.waiting.may_answer(span.first.time_ns) {
            self.in_doubt = true;
            self.stats.orphans += 1;
            return;
        }
        self.answer.first_ns.get_or_insert(span.first.time_ns);
        self.answer.wire += span.wire;
        let mut content = message.content();
        match kind {
            b'1' if matches!(self.waiting.front(), Some(PendingCommand { tag: Asked::Parse, .. })) => {
                self.waiting.take();
            }
            b'D' => self.answer.rows += 1,
            b'C' => {
                let tag = text(&mut content);
                self.finish(span, rows(tag), verb(tag), None, sink);
            }
            b's' => self.finish(span, Some(self.answer.rows), None, None, sink),
            b'I' | b'V' => self.finish(span, None, None, None, sink),
            b'E' => self.finish(span, None, None, Some(sqlstate(content).unwrap_or("XX000")), sink),
            _ => {}
        }
    }

    /// A statement was answered.
    fn finish(&mut self, span: FrameSpan, rows: Option<u64>, verb: Option<&str>, error: Option<&str>, sink: &mut dyn Sink) {
        // Only an error answers a Parse: of others the answer was lost.
        while error.is_none() && matches!(self.waiting.front(), Some(PendingCommand { tag: Asked::Parse, .. })) {
            self.waiting.take();
        }
        let answer = std::mem::take(&mut self.answer);
        let mut command = match self.waiting.front() {
            Some(PendingCommand { tag: Asked::Sync, .. }) => None,
            Some(PendingCommand { tag: Asked::Query(rest), command }) => {
                let told = command.clone();
                *command = Command { id: self.next_id, request_wire: 0, thread: told.thread, start_ns: span.end_ns, ..told.clone() };
                self.next_id += 1;
                rest.pop_front().unwrap_or_default().tell(command);
                Some(told)
            }
            Some(_) | None => match self.waiting.take() {
                Answered::Known(PendingCommand { command, .. }) => Some(command),
                Answered::Uncounted => return,
                Answered::Orphan => None,
            },
        };
        let Some(command) = command.as_mut() else {
            // Before the first command an error is that of a connection that was refused.
            self.stats.orphans += u64::from(error.is_none());
            return;
        };
        if command.operation.is_none() {
            command.operation = verb.map(|verb| sink.text(verb));
        }
        (command.rows, command.error) = (rows, error.map(|error| sink.text(error)));
        command.end_at(span.end_ns);
        (command.first_byte_ns, command.response_wire) = (answer.first_ns, answer.wire);
        command.inferred |= self.in_doubt;
        command.missing_bytes += std::mem::take(&mut self.missing_bytes);
        self.done = Some(Box::new(std::mem::take(command)));
    }

    /// ReadyForQuery.
    fn ready(&mut self, span: FrameSpan, sink: &mut dyn Sink) {
        if let Some(done) = &mut self.done {
            done.end_at(span.end_ns);
            done.response_wire += span.wire;
        }
        self.tell_done(sink);
        self.answer = AnswerPart::default();
        while let Answered::Known(PendingCommand { tag: Asked::Parse | Asked::Execute, .. }) = self.waiting.take() {}
        self.is_idle = true;
    }

    fn tell_done(&mut self, sink: &mut dyn Sink) {
        if let Some(done) = self.done.take() {
            sink.message(Message::Command(&done));
        }
    }

    /// Messages were lost.
    fn lose(&mut self, missing: u64, sink: &mut dyn Sink) {
        self.stats.desyncs += 1;
        self.missing_bytes += missing;
        self.give_up(sink);
    }

    /// Tells the commands that wait as far as they are known.
    pub(super) fn give_up(&mut self, sink: &mut dyn Sink) {
        self.in_doubt = true;
        self.is_idle = false;
        self.end(true, sink);
    }

    /// The connection ended; `is_unknown`: what became of the commands that wait is not known.
    pub(super) fn end(&mut self, is_unknown: bool, sink: &mut dyn Sink) {
        self.tell_done(sink);
        self.unit = None;
        self.answer = AnswerPart::default();
        // What stands behind the last statement of a query is none.
        let is_command = |PendingCommand { command, tag }: &PendingCommand<Asked>| match tag {
            Asked::Execute => true,
            Asked::Query(_) => command.request_wire > 0 || command.query.is_some(),
            Asked::Parse | Asked::Sync => false,
        };
        self.waiting.tell(is_unknown, &mut self.missing_bytes, is_command, sink);
    }

    pub(super) fn is_open(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn rest(&mut self) {
        self.waiting.rest();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let done = if self.done.is_some() { size_of::<Command>() } else { 0 };
        self.waiting.heap_bytes() + self.statements.heap_bytes() + self.portals.heap_bytes() + done
    }

    pub(super) fn take_stats(&mut self) -> Stats {
        let stats = std::mem::take(&mut self.stats);
        self.waiting.count(stats)
    }
}
