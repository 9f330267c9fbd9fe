//! Tests of the parser as a whole; here is what they share.
mod commands;
mod corpus;
mod generated;
mod losses;

use super::Memcached;
use crate::proto::command_connection::CommandConnection;
use crate::proto::{Demand, Parser};
use crate::stream::{Content, Direction, Ending};

const IN: Direction = Direction::In;
const OUT: Direction = Direction::Out;

type MemcachedCommands = CommandConnection<Memcached>;

/// What comes of commands that the process receives in one piece, and the answers to them.
fn lines(asked: &[u8], answers: &[u8]) -> Vec<String> {
    let mut commands = MemcachedCommands::default();
    commands.bytes(IN, asked);
    commands.bytes(OUT, answers);
    let rows = |rows: Option<u64>| rows.map(|rows| format!(" {rows}")).unwrap_or_default();
    commands.lines().into_iter().zip(&commands.told).map(|(line, command)| line + &rows(command.rows)).collect()
}
