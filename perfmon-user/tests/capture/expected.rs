//! The expected events, from the log of the script.
use std::collections::BTreeSet;

use perfmon_user::stream::Direction;

/// What can be seen of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// All of it.
    Payload,
    /// All of it, after a wait of 50 ms.
    Late,
    /// No user buffer.
    Count,
    /// The first eight vectors.
    Cut,
    /// One of several messages of a call.
    Many,
    /// The stream's end.
    Eof,
    /// Several operations, cut wherever the kernel liked.
    Split,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Operation {
    inode: u32,
    direction: Direction,
    pub data: Vec<u8>,
    pub seen: Seen,
}

/// Two ends of a connection.
pub struct Pair {
    pub name: String,
    pub a: u32,
    pub b: u32,
}

/// Everything that the script did.
pub struct Script {
    operations: Vec<Operation>,
    pairs: Vec<Pair>,
}

impl Script {
    pub fn parse(output: &[u8]) -> Self {
        let mut script = Self { operations: Vec::new(), pairs: Vec::new() };
        for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let value: serde_json::Value = serde_json::from_slice(line).unwrap();
            let number = |key: &str| value[key].as_u64().unwrap() as u32;
            if let Some(name) = value["pair"].as_str() {
                script.pairs.push(Pair { name: name.into(), a: number("a"), b: number("b") });
                continue;
            }
            let seen = match value["seen"].as_str().unwrap() {
                "payload" => Seen::Payload,
                "late" => Seen::Late,
                "count" => Seen::Count,
                "cut" => Seen::Cut,
                "many" => Seen::Many,
                "eof" => Seen::Eof,
                "split" => Seen::Split,
                other => panic!("{other}"),
            };
            let direction = if value["direction"] == "in" { Direction::In } else { Direction::Out };
            let hex = value["data"].as_str().unwrap();
            let data = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
            script.operations.push(Operation { inode: number("inode"), direction, data, seen });
        }
        assert!(!script.operations.is_empty());
        script
    }

    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    pub fn inodes(&self) -> BTreeSet<u32> {
        self.operations.iter().map(|operation| operation.inode).collect()
    }

    pub fn streams(&self) -> impl Iterator<Item = (u32, Direction)> {
        self.inodes().into_iter().flat_map(|inode| [(inode, Direction::In), (inode, Direction::Out)])
    }

    pub fn operations(&self, inode: u32, direction: Direction) -> Vec<Operation> {
        self.operations.iter().filter(|operation| operation.inode == inode && operation.direction == direction).cloned().collect()
    }
}

/// Where several messages of a call are one operation.
pub fn merge_messages(operations: &mut Vec<Operation>) {
    let mut merged: Vec<Operation> = Vec::new();
    let mut in_group = 0;
    for operation in operations.drain(..) {
        in_group = if operation.seen == Seen::Many { in_group % 3 + 1 } else { 0 };
        match merged.last_mut() {
            Some(last) if in_group > 1 => last.data.extend(operation.data),
            _ => merged.push(operation),
        }
    }
    *operations = merged;
}

/// Bytes of the first eight vectors of the script's twelve, of 10, 11, 12 … bytes.
pub fn first_vectors(total: usize) -> usize {
    assert_eq!(total, (10..22).sum::<usize>());
    (10..18).sum()
}
