//! Prepared statements and portals of a connection by name, or number: what records say of them. Bounded by number and by the budget; one for which
//! there is no room is counted and later tells its name only.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::budget::Charge;
use crate::proto::Sink;
use crate::proto::command::Command;
use crate::proto::sql::SqlText;

/// Names of one kind that are remembered on a connection.
const NAMES: usize = 2_048;
/// Longest name (PostgreSQL cuts there).
const NAME_BYTES: usize = 63;

/// What records say of a statement; nothing of one that was prepared before the connection was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementText {
    /// Its verb.
    pub operation: Option<Arc<str>>,
    /// Its first table.
    pub target: Option<Arc<str>>,
    /// Its normalised text.
    pub query: Option<Arc<str>>,
    /// Its name, when it has one.
    pub name: Option<Arc<str>>,
}

impl StatementText {
    fn of(text: &SqlText, sink: &mut dyn Sink) -> Self {
        Self {
            operation: text.operation.as_deref().map(|text| sink.text(text)),
            target: text.target.as_deref().map(|text| sink.text(text)),
            query: Some(sink.text(&text.query)),
            name: None,
        }
    }

    /// One of which only the name is known.
    pub fn unknown(name: &[u8], sink: &mut dyn Sink) -> Self {
        Self { name: shown(name, sink), ..Self::default() }
    }

    /// Writes it into a command.
    pub fn tell(self, command: &mut Command) {
        (command.operation, command.target, command.query, command.statement) = (self.operation, self.target, self.query, self.name);
    }

    fn heap_bytes(&self) -> usize {
        [&self.operation, &self.target, &self.query, &self.name].into_iter().flatten().map(|text| text.len() + 16).sum()
    }
}

/// A name as records show it: none when it is empty or no plain text.
fn shown(name: &[u8], sink: &mut dyn Sink) -> Option<Arc<str>> {
    let is_plain = (1..=NAME_BYTES).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(name).ok().filter(|_| is_plain).map(|name| sink.text(name))
}

/// The statements of a text in the language of `dialect`.
pub fn read(dialect: fn(&str, bool) -> Vec<SqlText>, text: &[u8], is_cut: bool, sink: &mut dyn Sink) -> Vec<StatementText> {
    let text = String::from_utf8_lossy(text);
    dialect(&text, is_cut).iter().map(|text| StatementText::of(text, sink)).collect()
}

/// Statements or portals by name.
#[derive(Debug, Default)]
pub struct StatementNames {
    known: FxHashMap<Box<[u8]>, StatementText>,
    bytes: usize,
    charge: Charge,
}

impl StatementNames {
    /// Remembers a statement; whether there was room.
    pub fn insert(&mut self, name: &[u8], mut text: StatementText, sink: &mut dyn Sink) -> bool {
        self.remove(name);
        if text.name.is_none() {
            text.name = shown(name, sink);
        }
        let mut has_room = true;
        if self.known.len() >= NAMES {
            // Which one is used least is not known.
            let first = self.known.keys().next().cloned();
            first.iter().for_each(|name| self.remove(name));
            has_room = false;
        }
        let bytes = self.bytes + Self::size(name, &text);
        if self.charge.resize(bytes, || sink.allowance()).is_err() {
            return false;
        }
        self.bytes = bytes;
        self.known.insert(name.into(), text);
        has_room
    }

    /// The statement of a name.
    pub fn get(&self, name: &[u8]) -> Option<&StatementText> {
        self.known.get(name)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.known = FxHashMap::default();
        self.bytes = 0;
        self.charge.shrink(0);
    }

    /// Forgets a name.
    pub fn remove(&mut self, name: &[u8]) {
        if let Some((name, text)) = self.known.remove_entry(name) {
            self.bytes -= Self::size(&name, &text);
            self.charge.shrink(self.bytes);
        }
    }

    /// Heap bytes, about.
    pub fn heap_bytes(&self) -> usize {
        self.bytes
    }

    fn size(name: &[u8], text: &StatementText) -> usize {
        // The table has room for twice as many.
        2 * size_of::<(Box<[u8]>, StatementText)>() + name.len() + text.heap_bytes()
    }
}
