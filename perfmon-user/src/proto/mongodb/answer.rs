//! What an answer of a server says: whether it succeeded, its error's number, and how many documents it returns or changed.
use super::bson::{BsonName, BsonValue, BsonVisitor};
use super::message::MessageText;

/// Where in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MongoAnswerPart {
    /// `cursor`
    Cursor,
    /// `firstBatch`, `nextBatch`, `values`: documents are counted.
    Batch,
    /// `upserted`: counted as changed.
    Upserted,
    /// `writeErrors`
    Errors,
    /// An error: the first of them, or `writeConcernError`.
    Error,
    /// `lastErrorObject`
    Last,
}

/// Parts inside each other that are looked into.
const PARTS: usize = 4;

/// What it says.
#[derive(Debug, Default)]
pub(super) struct MongoAnswer {
    parts: [Option<MongoAnswerPart>; PARTS],
    depth: usize,
    /// `ok`, where it was seen.
    is_ok: Option<bool>,
    code: Option<i64>,
    name: Option<Box<str>>,
    /// Number of the first error of a write.
    of_write: Option<i64>,
    batch: Option<u64>,
    upserted: u64,
    changed: Option<u64>,
    /// Of a bulk write.
    bulk: Option<u64>,
    n: Option<u64>,
    /// Of what is counted a part is missing.
    is_part: bool,
}

impl MongoAnswer {
    /// The server's number of the error, or its name; none when the command succeeded.
    pub(super) fn error(&self) -> Option<String> {
        if self.is_ok == Some(false) {
            let code = self.code.map(|code| code.to_string());
            return Some(code.or_else(|| self.name.as_deref().map(str::to_owned)).unwrap_or_else(|| "error".into()));
        }
        self.of_write.map(|code| code.to_string())
    }

    /// Documents that came, or were changed; none when a part of them was not seen.
    pub(super) fn rows(&self) -> Option<u64> {
        let changed = self.changed.map(|changed| changed + self.upserted);
        self.bulk.or(self.batch).or(changed).or(self.n).filter(|_| !self.is_part)
    }

    fn part(&self) -> Option<MongoAnswerPart> {
        self.parts[self.depth.checked_sub(1)?]
    }
}

impl BsonVisitor for MongoAnswer {
    fn enters(&mut self, name: BsonName<'_>, is_list: bool) -> bool {
        let part = match (self.part(), is_list) {
            (None, false) if name.is("cursor") => MongoAnswerPart::Cursor,
            (None, false) if name.is("writeConcernError") => MongoAnswerPart::Error,
            (None, false) if name.is("lastErrorObject") => MongoAnswerPart::Last,
            (None, true) if name.is("writeErrors") => MongoAnswerPart::Errors,
            (None, true) if name.is("upserted") => MongoAnswerPart::Upserted,
            (None, true) if name.is("values") => MongoAnswerPart::Batch,
            (Some(MongoAnswerPart::Cursor), true) if name.is("firstBatch") || name.is("nextBatch") => MongoAnswerPart::Batch,
            (Some(MongoAnswerPart::Errors), false) if self.of_write.is_none() => MongoAnswerPart::Error,
            (Some(MongoAnswerPart::Batch), _) => {
                *self.batch.get_or_insert(0) += 1;
                return false;
            }
            (Some(MongoAnswerPart::Upserted), _) => {
                self.upserted += 1;
                return false;
            }
            _ => return false,
        };
        if self.depth >= PARTS {
            return false;
        }
        if part == MongoAnswerPart::Batch {
            self.batch.get_or_insert(0);
        }
        self.parts[self.depth] = Some(part);
        self.depth += 1;
        true
    }

    fn leaves(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn wants(&self, name: BsonName<'_>) -> bool {
        self.depth == 0 && name.is("codeName")
    }

    fn value(&mut self, name: BsonName<'_>, value: BsonValue<'_>) {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        match (self.part(), value) {
            // Values of `distinct`.
            (Some(MongoAnswerPart::Batch), _) => *self.batch.get_or_insert(0) += 1,
            (Some(MongoAnswerPart::Error), BsonValue::Number(code)) if name.is("code") => {
                self.of_write.get_or_insert(code);
            }
            (Some(MongoAnswerPart::Last), BsonValue::Number(n)) if name.is("n") => self.n = Some(count(n)),
            (None, BsonValue::Number(number)) => match name.bytes {
                b"ok" => self.is_ok = Some(number != 0),
                b"code" => self.code = Some(number),
                b"n" => self.n = Some(count(number)),
                b"nModified" if self.bulk.is_none() => self.changed = Some(count(number)),
                b"nInserted" | b"nModified" | b"nUpserted" | b"nDeleted" => *self.bulk.get_or_insert(0) += count(number),
                _ => {}
            },
            (None, BsonValue::Text(text)) if name.is("codeName") => {
                let is_name = text.iter().all(u8::is_ascii_alphanumeric);
                self.name = std::str::from_utf8(text).ok().filter(|_| is_name).map(Into::into);
            }
            _ => {}
        }
    }
}

impl MessageText for MongoAnswer {
    const IS_REQUEST: bool = false;

    fn begin(&mut self) {
        *self = Self::default();
    }

    fn sequence(&mut self, _: &[u8]) -> bool {
        false
    }

    fn document(&mut self) {}

    fn document_ended(&mut self) {}

    fn sequence_ended(&mut self) {}

    fn collection(&mut self, _: &[u8]) {}

    fn unread(&mut self) {
        self.is_part |= self.depth > 0;
    }
}
