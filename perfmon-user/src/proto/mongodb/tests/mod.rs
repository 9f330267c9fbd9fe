//! Tests of the parser as a whole; here is what they share.
mod commands;
mod corpus;
mod generated;
mod losses;

use super::MongoDb;
use crate::proto::command_connection::CommandConnection;
use crate::proto::{Demand, Parser};
use crate::stream::{Content, Direction, Ending};

const IN: Direction = Direction::In;
const OUT: Direction = Direction::Out;

type MongoCommands = CommandConnection<MongoDb>;

/// A document of elements.
fn document(elements: &[Vec<u8>]) -> Vec<u8> {
    let content = elements.concat();
    [&(content.len() as u32 + 5).to_le_bytes()[..], &content, &[0]].concat()
}

/// An element of a kind.
fn element(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], name.as_bytes(), &[0], value].concat()
}

fn text(name: &str, value: &str) -> Vec<u8> {
    element(2, name, &[&(value.len() as u32 + 1).to_le_bytes()[..], value.as_bytes(), &[0]].concat())
}

fn number(name: &str, value: i32) -> Vec<u8> {
    element(16, name, &value.to_le_bytes())
}

fn inside(name: &str, elements: &[Vec<u8>]) -> Vec<u8> {
    element(3, name, &document(elements))
}

/// A list of documents.
fn list(name: &str, documents: &[Vec<u8>]) -> Vec<u8> {
    let all: Vec<Vec<u8>> = documents.iter().zip(0..).map(|(one, at)| element(3, &i32::to_string(&at), one)).collect();
    element(4, name, &document(&all))
}

/// A message.
fn message(id: u32, answers: u32, opcode: u32, body: &[u8]) -> Vec<u8> {
    let length = 16 + body.len() as u32;
    [length, id, answers, opcode].iter().flat_map(|number| number.to_le_bytes()).chain(body.iter().copied()).collect()
}

/// `OP_MSG` with a body.
fn msg(id: u32, answers: u32, flags: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    message(id, answers, 2013, &[&flags.to_le_bytes()[..], &[0], &document(elements)].concat())
}

/// A `find` in `shop.orders`.
fn find(id: u32) -> Vec<u8> {
    msg(id, 0, 0, &[text("find", "orders"), inside("filter", &[text("user", "secret")]), text("$db", "shop")])
}

/// An answer with so many documents.
fn found(answers: u32, count: usize) -> Vec<u8> {
    let documents = vec![document(&[text("user", "secret")]); count];
    msg(90_000 + answers, answers, 0, &[inside("cursor", &[list("firstBatch", &documents), number("id", 0)]), number("ok", 1)])
}
