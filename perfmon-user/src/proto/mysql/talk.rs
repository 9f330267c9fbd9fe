//! What both directions share: commands that wait for their answers, in order, and statements by number. The packets of a command and its
//! answer are numbered from 0 on; a number that does not follow means that something was lost, and nothing is made of it.
use std::collections::VecDeque;
use std::sync::Arc;

use super::answer::{AnswerCourse, AnswerEnd, AnswerKind, AnswerStep};
use super::detect::{self, MySqlBeginning};
use super::field;
use super::packet::{MySqlClient, MySqlServer, PacketReader};
use crate::proto::command::Command;
use crate::proto::frame_pair::FrameTalk;
use crate::proto::framed::FrameSpan;
use crate::proto::pending::{Answered, PendingCommand, PendingCommands};
use crate::proto::sql;
use crate::proto::statement::{StatementNames, StatementText, read};
use crate::proto::{Message, Sink, Stats};
use crate::stream::Stamp;

/// How far the login is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LoginPhase {
    /// The server greets.
    #[default]
    Greeting,
    /// Passwords are checked.
    Login,
    /// Commands.
    Commands,
    /// TLS follows.
    Tls,
    /// What follows is not read: compressed, or a server's log.
    Unread,
}

/// What a client asked.
#[derive(Debug)]
struct MySqlAsked {
    kind: AnswerKind,
    /// Number of the command's last packet.
    last: u8,
    /// The statements behind the first one.
    rest: VecDeque<StatementText>,
    /// Database that it changes to.
    database: Option<Arc<str>>,
}

/// What came of the answer so far.
#[derive(Debug, Default)]
struct AnswerSoFar {
    course: AnswerCourse,
    /// Number of the next packet; of the first one it follows from the command.
    next: Option<u8>,
    first_ns: Option<u64>,
    wire: u64,
    rows: Option<u64>,
}

/// The state.
#[derive(Debug, Default)]
pub(super) struct MySqlTalk {
    /// The process is the server.
    pub(super) server: bool,
    pub(super) phase: LoginPhase,
    /// The place of the direction that was read last is wrong.
    pub(super) is_astray: bool,
    /// A transaction is open.
    pub(super) in_transaction: bool,
    capabilities: u32,
    is_compressed: bool,
    waiting: PendingCommands<MySqlAsked>,
    statements: StatementNames,
    /// The statement that was asked to be prepared last.
    newest: StatementText,
    /// Parameters that were sent before their command.
    sent: Option<(Stamp, u64)>,
    answer: AnswerSoFar,
    database: Option<Arc<str>>,
    next_id: u64,
    /// Packets were lost: answers may belong to other commands.
    in_doubt: bool,
    /// The server waits for commands.
    is_idle: bool,
    missing_bytes: u64,
    stats: Stats,
}

impl FrameTalk<PacketReader<MySqlClient>, PacketReader<MySqlServer>> for MySqlTalk {
    fn request(&mut self, packet: &PacketReader<MySqlClient>, span: FrameSpan, sink: &mut dyn Sink) {
        self.asked(packet, span, sink);
    }

    fn answer(&mut self, packet: &PacketReader<MySqlServer>, span: FrameSpan, sink: &mut dyn Sink) {
        self.answered(packet, span, sink);
    }

    fn lose_requests(&mut self, missing: u64, sink: &mut dyn Sink) {
        self.lose(missing, sink);
    }

    fn lose_answers(&mut self, missing: u64, sink: &mut dyn Sink) {
        self.lose(missing, sink);
    }
}

impl MySqlTalk {
    /// Reading begins.
    pub(super) fn begins(&mut self, server: bool, beginning: MySqlBeginning) {
        self.server = server;
        self.phase = if beginning == MySqlBeginning::Midway { LoginPhase::Commands } else { LoginPhase::Greeting };
        self.in_doubt = beginning == MySqlBeginning::Midway;
    }

    /// A packet of the client.
    fn asked(&mut self, packet: &PacketReader<MySqlClient>, span: FrameSpan, sink: &mut dyn Sink) {
        if self.is_astray || matches!(self.phase, LoginPhase::Tls | LoginPhase::Unread) {
            return;
        }
        if packet.number != 0 {
            return self.continued(packet, span, sink);
        }
        let Some((command, rest)) = packet.head().split_first().filter(|(command, _)| detect::is_command(**command, packet.len)) else {
            self.is_astray = true;
            return self.lose(0, sink);
        };
        self.phase = LoginPhase::Commands;
        if self.in_doubt && self.is_idle && self.waiting.is_empty() {
            self.in_doubt = false;
        }
        self.is_idle = false;
        self.missing_bytes += packet.missing();
        let id = rest.first_chunk().map_or(u32::MAX, |id| u32::from_le_bytes(*id));
        match command {
            0x01 => {}
            0x12 | 0x13 | 0x15 | 0x1e => self.phase = LoginPhase::Unread,
            0x18 => self.sent.get_or_insert((span.first, 0)).1 += span.wire,
            0x19 => self.statements.remove(&id.to_le_bytes()),
            _ => self.command(*command, id, packet, span, sink),
        }
    }

    /// A packet of a login, or of a file.
    fn continued(&mut self, packet: &PacketReader<MySqlClient>, span: FrameSpan, sink: &mut dyn Sink) {
        let next = packet.last.wrapping_add(1);
        match (self.phase, self.waiting.front()) {
            (LoginPhase::Greeting, _) if packet.number <= 2 => self.login(packet, sink),
            (LoginPhase::Commands, Some(front)) if self.answer.next == Some(packet.number) => {
                front.command.request_wire += span.wire;
                self.answer.next = Some(next);
            }
            (LoginPhase::Commands, _) => {
                self.is_astray = true;
                self.lose(0, sink);
            }
            _ => {}
        }
    }

    /// A login, or the request for encryption before it.
    fn login(&mut self, packet: &PacketReader<MySqlClient>, sink: &mut dyn Sink) {
        let capabilities = field::capabilities(packet.text()).unwrap_or(0);
        if packet.len == 32 && capabilities & field::SSL != 0 {
            self.phase = LoginPhase::Tls;
            return;
        }
        self.phase = LoginPhase::Login;
        self.database = field::login_database(packet.text()).map(|name| sink.text(name));
        // Of a greeting inside TLS nothing is known: clients ask for what was offered.
        let both = if self.capabilities == 0 { capabilities } else { capabilities & self.capabilities };
        self.is_compressed = both & (field::COMPRESS | field::ZSTD) != 0;
    }

    fn command(&mut self, command: u8, id: u32, packet: &PacketReader<MySqlClient>, span: FrameSpan, sink: &mut dyn Sink) {
        let mut asked = MySqlAsked { kind: AnswerKind::Result, last: packet.last, rest: VecDeque::new(), database: None };
        let named = |operation: &str, sink: &mut dyn Sink| StatementText { operation: Some(sink.text(operation)), ..Default::default() };
        let text = match command {
            0x03 | 0x16 => {
                let text = if command == 0x03 { field::query(packet.text()) } else { packet.text().get(1..) };
                let mut statements = text.map(|text| read(sql::mysql, text, packet.is_cut(), sink)).unwrap_or_default();
                asked.rest = statements.drain(1.min(statements.len())..).collect();
                let first = statements.pop().unwrap_or_default();
                if command == 0x16 {
                    asked.kind = AnswerKind::Prepared;
                    asked.rest.clear();
                    self.newest = first.clone();
                }
                first
            }
            0x17 | 0xfa if id == u32::MAX => self.newest.clone(),
            0x17 | 0xfa => self.statement(id, sink),
            0x1c => {
                asked.kind = AnswerKind::Fetched;
                StatementText { operation: Some(sink.text("FETCH")), ..self.statement(id, sink) }
            }
            0x1a => StatementText { operation: Some(sink.text("RESET")), ..self.statement(id, sink) },
            0x02 => {
                asked.database = packet.text().get(1..).and_then(field::database).map(|name| sink.text(name));
                named("USE", sink)
            }
            0x11 => {
                asked.kind = AnswerKind::Login;
                asked.database = field::change_database(packet.text()).map(|name| sink.text(name));
                named("CHANGE USER", sink)
            }
            _ => {
                let (operation, kind) = other(command);
                asked.kind = kind;
                named(operation, sink)
            }
        };
        if matches!(command, 0x11 | 0x1f) {
            self.statements.clear();
        }
        self.ask(text, asked, span, sink);
    }

    fn statement(&self, id: u32, sink: &mut dyn Sink) -> StatementText {
        let known = self.statements.get(&id.to_le_bytes()).cloned();
        known.unwrap_or_else(|| StatementText::unknown(id.to_string().as_bytes(), sink))
    }

    fn ask(&mut self, text: StatementText, tag: MySqlAsked, span: FrameSpan, sink: &mut dyn Sink) {
        let (first, before) = self.sent.take().unwrap_or((span.first, 0));
        let mut command = Command {
            id: self.next_id,
            server: self.server,
            system: "mysql",
            database: self.database.clone(),
            request_wire: before + span.wire,
            thread: first.thread,
            start_ns: first.arrival_ns.filter(|_| self.server).unwrap_or(first.time_ns),
            inferred: self.in_doubt,
            ..Command::default()
        };
        text.tell(&mut command);
        self.next_id += 1;
        self.waiting.push(PendingCommand { command, tag }, sink);
    }

    /// A packet of the server.
    fn answered(&mut self, packet: &PacketReader<MySqlServer>, span: FrameSpan, sink: &mut dyn Sink) {
        if self.is_astray {
            return;
        }
        match self.phase {
            LoginPhase::Greeting if packet.number == 0 => {
                self.capabilities = field::greeting(packet.head()).unwrap_or(0);
                return;
            }
            LoginPhase::Greeting | LoginPhase::Login => return self.logged_in(packet.head()),
            LoginPhase::Tls | LoginPhase::Unread => return,
            LoginPhase::Commands => {}
        }
        if !self.waiting.may_answer(span.first.time_ns) {
            self.in_doubt = true;
            self.stats.orphans += 1;
            return;
        }
        let Some(PendingCommand { command, tag }) = self.waiting.front() else { return };
        let expected = self.answer.next.unwrap_or(tag.last.wrapping_add(1));
        if packet.number != expected {
            // The end of an answer that was complete without it.
            let is_rest = self.answer.next.is_none() && packet.head().first() == Some(&0xfe) && packet.len == 5;
            if !is_rest {
                self.wrong(sink);
            }
            return;
        }
        self.answer.next = Some(packet.last.wrapping_add(1));
        self.answer.first_ns.get_or_insert(span.first.time_ns);
        self.answer.wire += span.wire;
        command.inferred |= self.in_doubt;
        match self.answer.course.step(tag.kind, packet.head(), packet.len) {
            AnswerStep::More | AnswerStep::File => {}
            AnswerStep::Done(end) => self.result(end, span, sink),
            AnswerStep::Wrong => self.wrong(sink),
        }
    }

    /// An answer in the login.
    fn logged_in(&mut self, head: &[u8]) {
        if head.first() == Some(&0) {
            self.phase = if self.is_compressed { LoginPhase::Unread } else { LoginPhase::Commands };
            self.is_idle = true;
        }
    }

    fn wrong(&mut self, sink: &mut dyn Sink) {
        self.is_astray = true;
        self.lose(0, sink);
    }

    /// A result ended: of the command, or of one of its statements.
    fn result(&mut self, end: AnswerEnd, span: FrameSpan, sink: &mut dyn Sink) {
        self.in_transaction = end.in_transaction.unwrap_or(self.in_transaction);
        if end.rows.is_some() {
            self.answer.rows = Some(self.answer.rows.unwrap_or(0) + end.rows.unwrap_or(0));
        }
        let Some(PendingCommand { command, tag }) = self.waiting.front() else { return };
        // The rows of a procedure come before its own end.
        let is_of_procedure = end.rows.is_some() && command.operation.as_deref() == Some("CALL");
        let next = if end.has_more && !is_of_procedure { tag.rest.pop_front() } else { None };
        let mut told = match next {
            None if end.has_more => return,
            None => match self.waiting.take() {
                Answered::Known(PendingCommand { command, tag }) => {
                    self.succeeded(&command, tag, end, sink);
                    if end.prepared.is_some() {
                        self.answer = AnswerSoFar::default();
                        self.is_idle = self.waiting.is_empty();
                        return;
                    }
                    command
                }
                _ => return,
            },
            Some(next) => {
                let told = command.clone();
                *command = Command { id: self.next_id, request_wire: 0, start_ns: span.end_ns, ..told.clone() };
                self.next_id += 1;
                next.tell(command);
                told
            }
        };
        let next = self.answer.next.filter(|_| end.has_more);
        let answer = std::mem::replace(&mut self.answer, AnswerSoFar { next, ..AnswerSoFar::default() });
        let is_change = |operation: &str| matches!(operation, "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD");
        let counts = told.operation.as_deref().is_none_or(is_change);
        told.rows = answer.rows.or_else(|| end.changed.filter(|changed| *changed > 0 || counts));
        told.error = end.error.map(|code| sink.text(&code.to_string()));
        told.end_at(span.end_ns);
        (told.first_byte_ns, told.response_wire) = (answer.first_ns, answer.wire);
        told.missing_bytes += std::mem::take(&mut self.missing_bytes);
        self.is_idle = self.waiting.is_empty();
        sink.message(Message::Command(&told));
    }

    /// What a command changes.
    fn succeeded(&mut self, command: &Command, asked: MySqlAsked, end: AnswerEnd, sink: &mut dyn Sink) {
        if end.error.is_some() {
            return;
        }
        if let Some(id) = end.prepared {
            let name = Some(sink.text(&id.to_string()));
            let Command { operation, target, query, .. } = command.clone();
            let text = StatementText { operation, target, query, name };
            self.stats.evicted += u64::from(!self.statements.insert(&id.to_le_bytes(), text, sink));
        }
        if asked.kind == AnswerKind::Login || asked.database.is_some() {
            self.database = asked.database;
        } else if command.operation.as_deref() == Some("USE") {
            let name = command.query.as_deref().and_then(|query| query.split_once(' '));
            self.database = name.map(|(_, name)| sink.text(name.trim_matches('`')));
        }
    }

    /// Packets were lost.
    fn lose(&mut self, missing: u64, sink: &mut dyn Sink) {
        self.stats.desyncs += 1;
        self.missing_bytes += missing;
        if self.phase == LoginPhase::Login {
            self.phase = LoginPhase::Commands;
        }
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
        self.answer = AnswerSoFar::default();
        self.sent = None;
        let is_command = |pending: &PendingCommand<MySqlAsked>| pending.tag.kind != AnswerKind::Prepared;
        self.waiting.tell(is_unknown, &mut self.missing_bytes, is_command, sink);
    }

    pub(super) fn is_open(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn rest(&mut self) {
        self.waiting.rest();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.waiting.heap_bytes() + self.statements.heap_bytes()
    }

    pub(super) fn take_stats(&mut self) -> Stats {
        let stats = std::mem::take(&mut self.stats);
        self.waiting.count(stats)
    }
}

/// Commands without a text, as the server's statistics name them.
fn other(command: u8) -> (&'static str, AnswerKind) {
    match command {
        0x04 => ("FIELD LIST", AnswerKind::Fields),
        0x05 => ("CREATE DB", AnswerKind::Result),
        0x06 => ("DROP DB", AnswerKind::Result),
        0x07 => ("REFRESH", AnswerKind::Result),
        0x08 => ("SHUTDOWN", AnswerKind::Result),
        0x09 => ("STATISTICS", AnswerKind::Text),
        0x0a => ("PROCESSLIST", AnswerKind::Result),
        0x0c => ("KILL", AnswerKind::Result),
        0x0d => ("DEBUG", AnswerKind::Result),
        0x0e => ("PING", AnswerKind::Result),
        0x1b => ("SET OPTION", AnswerKind::Result),
        _ => ("RESET CONNECTION", AnswerKind::Result),
    }
}
