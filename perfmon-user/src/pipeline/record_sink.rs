//! The sink that a parser tells its messages: they become records, in order, and each is joined with what is known of its calls and of model
//! calls (`links`, `model_calls`).
use std::borrow::Cow;
use std::sync::Arc;

use crate::budget::Allowance;
use crate::proto::exchange::{Exchange, Part};
use crate::proto::frame::{FramePart, FrameSession};
use crate::proto::{Message, Sink};
use crate::record::Record;
use crate::redact;
use crate::stream::Role;
use crate::track::Connection;

use super::build::{self, BuildContext};
use super::model_calls::WireId;
use super::session::Session;
use super::{Out, links, names_asked};

/// Exchanges whose memory is kept for the next ones.
const SPARE_EXCHANGES: usize = 64;

/// The sink that turns a parser's messages into records.
pub(super) struct RecordSink<'a, 'c> {
    pub(super) connection: &'a mut Connection<Session>,
    pub(super) context: &'a mut BuildContext<'c>,
    pub(super) out: &'a mut Out,
    /// Records made so far.
    pub(super) records: usize,
}

impl Sink for RecordSink<'_, '_> {
    fn message(&mut self, message: Message<'_>) {
        match message {
            Message::Exchange(Part::Done(exchange)) => self.exchange(exchange),
            Message::Exchange(part) => {
                if let Part::Request(head) = &part {
                    links::asked(self.connection, head, self.context);
                }
                let wire = WireId { pid: self.connection.pid, id: self.connection.state.id };
                self.context.model_calls.part(&mut self.connection.state.calls, &part, wire, self.context.budget);
            }
            Message::Command(command) => {
                if self.connection.role == Role::Unknown {
                    self.connection.role = if command.server { Role::Server } else { Role::Client };
                }
                let mut record = build::command(self.connection, command, self.context);
                links::command(self.connection, command, &mut record, self.context);
                self.push(Record::Db(Box::new(record)));
            }
            Message::Name(message, time_ns) => {
                let told = self.out.records.len();
                names_asked::message(self.connection, message, time_ns, self.context, &mut self.out.records);
                self.records += self.out.records.len() - told;
            }
            Message::Frame(FramePart::Done(session)) => self.session(&session),
            Message::Frame(FramePart::Message(_)) => {}
        }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        self.context.names.get(text)
    }

    fn path(&mut self, path: &str) -> Arc<str> {
        let clean = if self.context.raw_paths { Cow::Borrowed(path) } else { redact::path(path) };
        self.context.names.get(&clean)
    }

    fn exchange(&mut self) -> Box<Exchange> {
        self.context.exchanges.pop().unwrap_or_default()
    }

    fn reuse(&mut self, exchange: Box<Exchange>) {
        if self.context.exchanges.len() < SPARE_EXCHANGES {
            self.context.exchanges.push(exchange);
        }
    }

    fn allowance(&mut self) -> Allowance {
        self.context.budget.of(self.connection.pid)
    }
}

impl RecordSink<'_, '_> {
    fn exchange(&mut self, exchange: &mut Exchange) {
        let Self { connection, context, out, records } = self;
        if connection.role == Role::Unknown {
            connection.role = if exchange.server { Role::Server } else { Role::Client };
        }
        let told = out.records.len();
        let mut record = build::request(connection, exchange, context);
        links::answered(connection, exchange, &mut record, context);
        let wire = WireId { pid: connection.pid, id: connection.state.id };
        let calls = &mut connection.state.calls;
        context.model_calls.done(calls, exchange, &record, wire, context.wall_at_boot_ns, &mut out.model_records);
        let model_call = out.model_records.iter().find_map(|record| if let Record::Llm(call) = record { Some(&**call) } else { None });
        links::exchange(connection, exchange, model_call, &mut record, context);
        out.records.push(Record::Request(record));
        out.records.append(&mut out.model_records);
        *records += 1;
        if let Some(Record::Request(record)) = out.records.get(told)
            && !std::mem::replace(&mut connection.state.is_named, true)
            && let Some(name) = &record.destination
        {
            context.peer_names.note(connection.pid, &record.peer, name);
        }
    }

    fn session(&mut self, session: &FrameSession) {
        let record = build::session(self.connection, session, self.context);
        self.push(Record::Request(record));
    }

    fn push(&mut self, record: Record) {
        self.out.records.push(record);
        self.records += 1;
    }
}
