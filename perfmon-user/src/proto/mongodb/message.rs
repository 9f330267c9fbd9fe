//! One message of MongoDB, read from pieces: what it says of itself, and the documents of its sections, which a visitor looks at. What is compressed
//! is passed, and so is the rest of a message of which a part is missing or not formed. Specification: MongoDB's "Wire Protocol" and "OP_MSG".
use super::bson::{BsonVisitor, BsonWalk, WalkStep};
use super::detect;
use super::header::{HEADER, MessageHeader, MongoOpcode};
use crate::proto::Sink;
use crate::proto::framed::{FrameReader, ReadStep};

/// Flags of `OP_MSG`.
const HAS_CHECKSUM: u32 = 1;
const MORE_TO_COME: u32 = 2;
/// Documents of a sequence that are looked at.
const SEQUENCE: u32 = 16;
/// Bytes of a name between numbers that are kept.
const NAME: usize = 128;

/// What takes the texts of one direction.
pub(super) trait MessageText: BsonVisitor + Default {
    /// A client sends it.
    const IS_REQUEST: bool;
    /// A message begins.
    fn begin(&mut self);
    /// A section of documents has this name; whether to look into them.
    fn sequence(&mut self, name: &[u8]) -> bool;
    /// A document of it begins.
    fn document(&mut self);
    /// It ended.
    fn document_ended(&mut self);
    /// The sequence ended.
    fn sequence_ended(&mut self);
    /// The collection's full name in a message before `OP_MSG`.
    fn collection(&mut self, name: &[u8]);
    /// The rest of the message is not read.
    fn unread(&mut self);
    /// Heap bytes.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// Where in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MongoPlace {
    /// In its header.
    #[default]
    Header,
    /// In so many bytes of numbers.
    Fixed(usize),
    /// In a name that ends with a zero.
    Name,
    /// Before a section.
    Section,
    /// In the size of a sequence.
    Size,
    /// In a document.
    Document,
    /// In documents that are not looked at, up to here.
    Passed(u64),
    /// In what is not read.
    Rest,
}

/// Reads messages.
#[derive(Debug, Default)]
pub(super) struct MongoMessage<T> {
    place: MongoPlace,
    /// Bytes that passed.
    at: u64,
    fixed: [u8; 20],
    fixed_len: usize,
    name: Vec<u8>,
    /// Where the section ends; 0 outside one.
    section_end: u64,
    /// Documents of it so far.
    documents: u32,
    walk: BsonWalk,
    flags: u32,
    /// Its header.
    pub(super) header: MessageHeader,
    /// What compresses it.
    pub(super) compressor: Option<u8>,
    /// Documents that an `OP_REPLY` says to have.
    pub(super) returned: u32,
    /// Bytes that were needed and not captured.
    pub(super) missing: u64,
    /// What its documents say.
    pub(super) text: T,
}

impl<T: MessageText> MongoMessage<T> {
    /// A request that has no answer, or an answer that others follow.
    pub(super) fn has_more_to_come(&self) -> bool {
        self.flags & MORE_TO_COME != 0 && self.header.opcode == MongoOpcode::Msg
    }

    /// Where the sections end.
    fn end(&self) -> u64 {
        let checksum = if self.header.opcode == MongoOpcode::Msg && self.flags & HAS_CHECKSUM != 0 { 4 } else { 0 };
        u64::from(self.header.length) - checksum
    }

    fn take(&mut self, rest: &mut &[u8], len: usize) -> bool {
        let (taken, after) = rest.split_at(rest.len().min(len - self.fixed_len));
        self.fixed[self.fixed_len..self.fixed_len + taken.len()].copy_from_slice(taken);
        self.fixed_len += taken.len();
        self.at += taken.len() as u64;
        *rest = after;
        let is_whole = self.fixed_len == len;
        if is_whole {
            self.fixed_len = 0;
        }
        is_whole
    }

    fn number(&self, at: usize) -> u32 {
        let bytes = &self.fixed[at..at + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn header(&mut self) -> ReadStep {
        let Some(header) = self.fixed.first_chunk().and_then(MessageHeader::of) else { return ReadStep::Bad };
        self.header = header;
        self.place = match header.opcode {
            MongoOpcode::Msg | MongoOpcode::Query | MongoOpcode::Write(_) | MongoOpcode::GetMore => MongoPlace::Fixed(4),
            MongoOpcode::Compressed => MongoPlace::Fixed(9),
            MongoOpcode::Reply if header.length >= 36 => MongoPlace::Fixed(20),
            MongoOpcode::Reply | MongoOpcode::KillCursors => MongoPlace::Rest,
        };
        ReadStep::Part
    }

    /// Numbers are known.
    fn fixed(&mut self, len: usize) -> ReadStep {
        self.place = match self.header.opcode {
            MongoOpcode::Msg => {
                self.flags = self.number(0);
                MongoPlace::Section
            }
            // Behind the name.
            MongoOpcode::Query if len == 8 => MongoPlace::Document,
            MongoOpcode::Query | MongoOpcode::Write(_) | MongoOpcode::GetMore => MongoPlace::Name,
            MongoOpcode::Compressed => {
                self.compressor = Some(self.fixed[8]);
                self.text.unread();
                MongoPlace::Rest
            }
            MongoOpcode::Reply => {
                self.returned = self.number(16);
                if self.returned > 0 { MongoPlace::Document } else { MongoPlace::Rest }
            }
            MongoOpcode::KillCursors => MongoPlace::Rest,
        };
        if self.place == MongoPlace::Document { self.document() } else { self.ended() }
    }

    /// A document begins.
    fn document(&mut self) -> ReadStep {
        if self.at + 5 > self.limit() {
            return self.gives_up();
        }
        self.walk.begin();
        self.place = MongoPlace::Document;
        if self.section_end > 0 {
            self.text.document();
        }
        ReadStep::Part
    }

    /// Where what is read now ends at the latest.
    fn limit(&self) -> u64 {
        if self.section_end > 0 { self.section_end } else { self.end() }
    }

    fn named(&mut self) -> ReadStep {
        if self.section_end > 0 {
            let is_needed = self.text.sequence(&self.name);
            return self.next_document(is_needed);
        }
        self.text.collection(&self.name);
        self.place = if self.header.opcode == MongoOpcode::Query { MongoPlace::Fixed(8) } else { MongoPlace::Rest };
        self.ended()
    }

    /// A section begins with its kind.
    fn section(&mut self, kind: u8) -> ReadStep {
        match kind {
            0 => self.document(),
            1 if self.at + 4 <= self.end() => {
                self.place = MongoPlace::Size;
                ReadStep::Part
            }
            _ => ReadStep::Bad,
        }
    }

    /// Whether the message ended.
    fn ended(&mut self) -> ReadStep {
        let is_over = self.at >= self.header.length.into();
        match self.place {
            MongoPlace::Section if !is_over && self.at >= self.end() => self.place = MongoPlace::Rest,
            _ => {}
        }
        if is_over { ReadStep::Done } else { ReadStep::Part }
    }

    /// A document ended, or the name of a sequence.
    fn next_document(&mut self, is_needed: bool) -> ReadStep {
        if self.section_end == 0 {
            let is_msg = self.header.opcode == MongoOpcode::Msg;
            self.place = if is_msg { MongoPlace::Section } else { MongoPlace::Rest };
            return self.ended();
        }
        if self.at >= self.section_end {
            self.section_end = 0;
            self.text.sequence_ended();
            self.place = MongoPlace::Section;
            return self.ended();
        }
        self.documents += 1;
        if is_needed && self.documents <= SEQUENCE {
            return self.document();
        }
        self.place = MongoPlace::Passed(self.section_end);
        ReadStep::Part
    }

    /// The rest is not read.
    fn gives_up(&mut self) -> ReadStep {
        self.text.unread();
        self.place = MongoPlace::Rest;
        self.ended()
    }

    fn walked(&mut self, step: WalkStep) -> ReadStep {
        let limit = self.limit();
        let is_too_long = self.walk.length().is_some_and(|length| self.begun_at() + u64::from(length) > limit);
        match step {
            WalkStep::Bad => self.gives_up(),
            _ if is_too_long => self.gives_up(),
            WalkStep::Part => ReadStep::Part,
            WalkStep::Done => {
                if self.section_end > 0 {
                    self.text.document_ended();
                }
                self.next_document(true)
            }
        }
    }

    /// Where the document that is walked through began.
    fn begun_at(&self) -> u64 {
        self.at.saturating_sub(self.walk.at())
    }

    fn passed(&mut self, until: u64, len: u64) -> (ReadStep, u64) {
        let taken = len.min(until.saturating_sub(self.at));
        self.at += taken;
        let step = match self.place {
            MongoPlace::Passed(end) if self.at >= end => self.next_document(false),
            _ => self.ended(),
        };
        (step, taken)
    }

    fn name(&mut self, rest: &mut &[u8]) -> ReadStep {
        let end = rest.iter().position(|byte| *byte == 0);
        let taken = &rest[..end.unwrap_or(rest.len())];
        self.name.extend_from_slice(&taken[..taken.len().min(NAME - self.name.len())]);
        let len = taken.len() + usize::from(end.is_some());
        self.at += len as u64;
        *rest = &rest[len..];
        match end {
            _ if self.at > self.limit() => ReadStep::Bad,
            None => ReadStep::Part,
            Some(_) => self.named(),
        }
    }
}

impl<T: MessageText> FrameReader for MongoMessage<T> {
    fn begin(&mut self) {
        (self.place, self.at, self.fixed_len, self.section_end, self.documents) = (MongoPlace::Header, 0, 0, 0, 0);
        (self.flags, self.compressor, self.returned, self.missing) = (0, None, 0, 0);
        self.name.clear();
        self.text.begin();
    }

    fn step(&mut self, rest: &mut &[u8], _: &mut dyn Sink) -> ReadStep {
        let place = self.place;
        match place {
            MongoPlace::Header if !self.take(rest, HEADER) => ReadStep::Part,
            MongoPlace::Header => self.header(),
            MongoPlace::Fixed(len) if self.at + (len - self.fixed_len) as u64 > self.end() => self.gives_up(),
            MongoPlace::Fixed(len) if !self.take(rest, len) => ReadStep::Part,
            MongoPlace::Fixed(len) => self.fixed(len),
            MongoPlace::Name => self.name(rest),
            MongoPlace::Section => {
                let Some((kind, after)) = rest.split_first() else { return ReadStep::Part };
                *rest = after;
                self.at += 1;
                self.section(*kind)
            }
            MongoPlace::Size if !self.take(rest, 4) => ReadStep::Part,
            MongoPlace::Size => {
                self.section_end = self.at - 4 + u64::from(self.number(0));
                self.name.clear();
                self.documents = 0;
                self.place = MongoPlace::Name;
                if self.section_end > self.end() || self.number(0) < 5 { ReadStep::Bad } else { ReadStep::Part }
            }
            MongoPlace::Document => {
                let before = rest.len();
                let step = self.walk.step(rest, &mut self.text);
                self.at += (before - rest.len()) as u64;
                self.walked(step)
            }
            MongoPlace::Passed(until) => {
                let (step, taken) = self.passed(until, rest.len() as u64);
                *rest = &rest[taken as usize..];
                step
            }
            MongoPlace::Rest => {
                let (step, taken) = self.passed(self.header.length.into(), rest.len() as u64);
                *rest = &rest[taken as usize..];
                step
            }
        }
    }

    fn skip(&mut self, len: u64) -> Option<(ReadStep, u64)> {
        match self.place {
            MongoPlace::Header => return None,
            MongoPlace::Passed(until) => return Some(self.passed(until, len)),
            MongoPlace::Document => {
                if let Some((step, taken)) = self.walk.skip(len, &mut self.text) {
                    self.at += taken;
                    return Some((self.walked(step), taken));
                }
            }
            _ => {}
        }
        if self.place != MongoPlace::Rest {
            self.text.unread();
            self.missing = len.min(u64::from(self.header.length).saturating_sub(self.at));
            self.place = MongoPlace::Rest;
        }
        Some(self.passed(self.header.length.into(), len))
    }

    fn is_between(&self) -> bool {
        self.at == 0
    }

    fn left(&self) -> u64 {
        match self.place {
            MongoPlace::Document => self.walk.left(),
            MongoPlace::Passed(until) => until - self.at,
            MongoPlace::Rest => u64::from(self.header.length) - self.at,
            _ => 0,
        }
    }

    fn may_begin(bytes: &[u8]) -> bool {
        detect::may_begin(bytes, T::IS_REQUEST)
    }

    fn heap_bytes(&self) -> usize {
        self.name.capacity() + self.text.heap_bytes()
    }
}
