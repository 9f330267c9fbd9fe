//! Tests of the parser as a whole; here is what they share.
mod corpus;
mod losses;

use super::MySql;
use crate::proto::command_connection::CommandConnection;
use crate::proto::{Demand, Parser};
use crate::stream::{Content, Direction, Ending};

const IN: Direction = Direction::In;
const OUT: Direction = Direction::Out;

type MySqlCommands = CommandConnection<MySql>;

/// A packet.
fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = (payload.len() as u32).to_le_bytes();
    [&[a, b, c, number][..], payload].concat()
}

/// A query.
fn query(text: &str) -> Vec<u8> {
    packet(0, format!("\x03{text}").as_bytes())
}

/// An answer without rows.
fn ok(number: u8) -> Vec<u8> {
    packet(number, b"\0\x01\0\x02\0\0\0")
}

/// A result of one column, with this number of rows; `deprecated`: it ends with an OK, and no EOF stands before the rows.
fn rows(count: u8, deprecated: bool) -> Vec<u8> {
    let mut payloads: Vec<&[u8]> = vec![b"\x01", b"\x03def\0\0\0\x011\0\x0c\x3f\0\x01\0\0\0\x03\x81\0\0\0\0"];
    let eof: &[u8] = b"\xfe\0\0\x02\0";
    if !deprecated {
        payloads.push(eof);
    }
    payloads.extend((0..count).map(|_| &b"\x011"[..]));
    payloads.push(if deprecated { b"\xfe\0\0\x02\0\0\0" } else { eof });
    payloads.iter().zip(1..).flat_map(|(payload, number)| packet(number, payload)).collect()
}

/// A server's greeting and a login.
fn opened() -> MySqlCommands {
    let mut commands = MySqlCommands::default();
    let greeting =
        [&b"\x0a10.11.6\0\x01\0\0\0salt5678\0\xfe\xf7\x2d\x02\0\xff\x81\x15"[..], &[0; 10], b"saltsaltsalt\0mysql_native_password\0"];
    commands.bytes(OUT, &packet(0, &greeting.concat()));
    let login = [&b"\x8d\xa2\x0a\0\0\0\0\x01\x2d"[..], &[0; 23], b"u\0\x03pwdshop\0mysql_native_password\0"];
    commands.bytes(IN, &packet(1, &login.concat()));
    commands.bytes(OUT, &ok(2));
    commands
}

#[test]
fn a_connection_is_in_use_until_its_transaction_ends() {
    let mut commands = opened();
    assert!(!commands.parser.in_use());
    // An OK packet: no rows, no id, the status.
    let ended = |status: u8| packet(1, &[0, 0, 0, status, 0, 0, 0]);
    let failed = packet(1, b"\xff\x7a\x04#42S02no");
    for (text, answer, in_use) in
        [("BEGIN", ended(3), true), ("SELECT x", failed, true), ("COMMIT", ended(2), false), ("DO 1", ended(2), false)]
    {
        commands.bytes(IN, &query(text));
        assert!(commands.parser.in_use(), "{text} is under way");
        commands.bytes(OUT, &answer);
        assert_eq!((commands.parser.in_use(), commands.parser.is_open()), (in_use, false), "{text}");
    }
}
