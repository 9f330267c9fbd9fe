//! The shape of a command as text: names of fields and operators are kept, each value is `?`, equal neighbours of a list are told once. Written
//! piece by piece as the document passes; bounded in length, and by the walk in depth.
use crate::proto::sql::QUERY_BYTES;
use crate::redact;

use super::bson::BsonName;

/// Different neighbours of a list that are told.
const NEIGHBOURS: u32 = 16;
/// Digits from which on a part of a name is data.
const DIGITS: usize = 4;

/// A document or list that is being written.
#[derive(Clone, Copy, Debug, Default)]
struct ShapeLevel {
    is_list: bool,
    /// Elements that are told.
    told: u32,
    /// Where the element under way begins, with what separates it, and its content.
    begins: usize,
    content: usize,
    /// Where the content of the one before stands.
    before: Option<(usize, usize)>,
}

/// The text.
#[derive(Debug, Default)]
pub(super) struct CommandShape {
    text: String,
    levels: Vec<ShapeLevel>,
    is_full: bool,
}

impl CommandShape {
    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.levels.clear();
        self.levels.push(ShapeLevel::default());
        self.is_full = false;
    }

    /// An element begins: a field, or one of a list.
    pub(super) fn begin(&mut self, name: BsonName<'_>) {
        if self.is_full {
            return;
        }
        let Some(level) = self.levels.last_mut() else { return };
        level.begins = self.text.len();
        if level.told > 0 {
            self.text.push_str(", ");
        }
        if level.is_list {
            level.content = self.text.len();
        } else {
            push_name(name, &mut self.text);
            self.text.push_str(": ");
        }
        self.is_full = self.text.len() > QUERY_BYTES;
    }

    /// Its value is one that is not told.
    pub(super) fn value(&mut self) {
        self.push('?');
        self.end();
    }

    /// Its value is a document or list; whether there is room for more.
    pub(super) fn enter(&mut self, is_list: bool) -> bool {
        if self.is_full {
            return false;
        }
        self.push(if is_list { '[' } else { '{' });
        self.levels.push(ShapeLevel { is_list, ..ShapeLevel::default() });
        true
    }

    /// The document or list ends, and with it the element that it is.
    pub(super) fn leave(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.push(if level.is_list { ']' } else { '}' });
        }
        self.end();
    }

    fn push(&mut self, character: char) {
        if !self.is_full {
            self.text.push(character);
        }
    }

    fn end(&mut self) {
        let Some(level) = self.levels.last_mut().filter(|_| !self.is_full) else { return };
        if !level.is_list {
            level.told += 1;
            return;
        }
        let content = (level.content, self.text.len());
        let is_same = level.before.is_some_and(|(from, to)| self.text[from..to] == self.text[content.0..]);
        match () {
            () if is_same => self.text.truncate(level.begins),
            () if level.told >= NEIGHBOURS => {
                self.text.truncate(level.begins);
                if !self.text.ends_with("...") {
                    self.text.push_str(", ...");
                }
            }
            () => {
                level.told += 1;
                level.before = Some(content);
            }
        }
    }

    /// Writes operation, target and what was told of the fields.
    pub(super) fn finish(&self, operation: &str, target: &str, into: &mut String) {
        into.clear();
        into.push_str(operation);
        if !target.is_empty() {
            into.push(' ');
            into.push_str(target);
        }
        if self.text.is_empty() {
            return;
        }
        into.push_str(" {");
        if self.is_full {
            let end = (0..=QUERY_BYTES.min(self.text.len())).rev().find(|end| self.text.is_char_boundary(*end)).unwrap_or(0);
            into.push_str(&self.text[..end]);
            into.push_str(" ...");
        } else {
            into.push_str(&self.text);
            into.push('}');
        }
    }

    /// Heap bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.levels.capacity() * size_of::<ShapeLevel>()
    }
}

/// A field's name. What may be data in it, as where values are kept by a key of their own, is `?`.
fn push_name(name: BsonName<'_>, text: &mut String) {
    let Some(known) = std::str::from_utf8(name.bytes).ok().filter(|known| !known.is_empty() && !name.is_cut) else {
        return text.push('?');
    };
    for (number, part) in known.split('.').enumerate() {
        if number > 0 {
            text.push('.');
        }
        let is_word = part.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '$' | '-' | '[' | ']'));
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let is_data = !is_word || digits >= DIGITS || (digits > 0 && digits == part.len()) || redact::is_token(part);
        text.push_str(if is_data { "?" } else { part });
    }
}
