//! Tests of the parser as a whole; here is what they share: a connection that collects the commands that are told.
mod corpus;
mod generated;
mod losses;

use super::Postgres;
use crate::proto::command::Command;
use crate::proto::{Demand, Message, Parser};
use crate::stream::{Content, Direction, Ending, Segment, Stamp};

const IN: Direction = Direction::In;
const OUT: Direction = Direction::Out;

/// A connection under test. Time advances by a millisecond with each segment.
#[derive(Default)]
struct PostgresCommands {
    parser: Postgres,
    now_ns: u64,
    told: Vec<Command>,
}

impl PostgresCommands {
    fn segment(&mut self, segment: Segment<'_>) -> Demand {
        self.now_ns = segment.stamp.time_ns;
        let Self { parser, told, .. } = self;
        parser.push(segment, &mut collect(told))
    }

    fn content(&mut self, direction: Direction, content: Content<'_>) -> Demand {
        let stamp = Stamp { time_ns: self.now_ns + 1_000_000, arrival_ns: None, thread: 7, run: None };
        self.segment(Segment { direction, stamp, content })
    }

    fn bytes(&mut self, direction: Direction, bytes: &[u8]) -> Demand {
        self.content(direction, Content::Bytes(bytes))
    }

    fn end_at(&mut self, time_ns: u64, ending: Ending) {
        let Self { parser, told, .. } = self;
        parser.end(ending, time_ns, &mut collect(told));
    }

    /// Query, error and whether the answer's end is known, of each command.
    fn lines(&self) -> Vec<String> {
        let line = |command: &Command| {
            let query = command.query.as_deref().unwrap_or("-");
            let error = command.error.as_deref().map(|error| format!(" {error}")).unwrap_or_default();
            let end = if command.end_ns.is_some() { "" } else { " unanswered" };
            let inferred = if command.inferred { " inferred" } else { "" };
            format!("{query}{error}{end}{inferred}")
        };
        self.told.iter().map(line).collect()
    }
}

fn collect(told: &mut Vec<Command>) -> impl FnMut(Message<'_>) {
    |message| match message {
        Message::Command(command) => told.push(command.clone()),
        other => panic!("PostgreSQL tells commands, not {other:?}"),
    }
}

/// A message with a type.
fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind][..], &(content.len() as u32 + 4).to_be_bytes(), content].concat()
}

/// A simple query.
fn query(text: &str) -> Vec<u8> {
    message(b'Q', format!("{text}\0").as_bytes())
}

/// A client's first message.
fn startup() -> Vec<u8> {
    let content = b"\0\x03\0\0user\0u\0database\0shop\0\0";
    [&(content.len() as u32 + 4).to_be_bytes()[..], content].concat()
}

/// The end of a command and of its cycle.
fn complete(tag: &str) -> Vec<u8> {
    [message(b'C', format!("{tag}\0").as_bytes()), message(b'Z', b"I")].concat()
}

/// A connection that was opened.
fn opened() -> PostgresCommands {
    let mut commands = PostgresCommands::default();
    commands.bytes(IN, &startup());
    commands.bytes(OUT, &[message(b'R', &[0; 4]), message(b'Z', b"I")].concat());
    commands
}
