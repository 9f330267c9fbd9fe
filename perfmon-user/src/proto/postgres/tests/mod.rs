//! Tests of the parser as a whole; here is what they share.
mod corpus;
mod generated;
mod losses;

use super::Postgres;
use crate::proto::command_connection::CommandConnection;
use crate::proto::{Demand, Parser};
use crate::stream::{Content, Direction, Ending};

const IN: Direction = Direction::In;
const OUT: Direction = Direction::Out;

type PostgresCommands = CommandConnection<Postgres>;

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

#[test]
fn a_connection_is_in_use_until_its_transaction_ends() {
    let mut commands = opened();
    assert!(!commands.parser.in_use());
    for (text, status, in_use) in [("SELECT 1", b"I", false), ("BEGIN", b"T", true), ("SELECT x", b"E", true), ("ROLLBACK", b"I", false)] {
        commands.bytes(IN, &query(text));
        assert!(commands.parser.in_use(), "{text} is under way");
        commands.bytes(OUT, &[message(b'C', b"X\0"), message(b'Z', status)].concat());
        assert_eq!((commands.parser.in_use(), commands.parser.is_open()), (in_use, false), "{text}");
    }
}
