//! Tests of the parser as a whole; here is what they share.
mod corpus;
mod generated;
mod losses;

use super::Redis;
use crate::proto::command_connection::CommandConnection;
use crate::proto::{Demand, Parser};
use crate::stream::{Content, Direction, Ending};

const IN: Direction = Direction::In;
const OUT: Direction = Direction::Out;

type RedisCommands = CommandConnection<Redis>;

/// A command as clients send it.
fn command(words: &[&str]) -> Vec<u8> {
    let mut wire = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        wire.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
    wire
}
