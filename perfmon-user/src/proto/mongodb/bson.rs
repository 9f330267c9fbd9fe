//! Walks through one BSON document that comes in pieces: names and the first bytes of values out, everything else is passed by its length, so
//! documents of any size take the same few bytes. What looks on says which documents to look into. A document that is not formed is said to be bad.
//! Specification: BSON version 1.1.

/// Documents inside each other that are looked into; deeper ones are passed.
pub(super) const DEPTH: usize = 20;
/// Bytes of a name that are kept.
pub(super) const NAME_BYTES: usize = 64;
/// Bytes of a value that are kept.
pub(super) const VALUE_BYTES: usize = 128;

/// What is told of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BsonValue<'a> {
    /// A number or truth value, as a whole number.
    Number(i64),
    /// A text that was asked for and is no longer than what is kept.
    Text(&'a [u8]),
    /// Any other.
    Other,
}

/// Looks on.
pub(super) trait BsonVisitor {
    /// A document or list of this name begins; whether to look into it. One that is not looked into has no end.
    fn enters(&mut self, name: BsonName<'_>, is_list: bool) -> bool;
    /// The one that was entered last ends.
    fn leaves(&mut self);
    /// Whether the text of this name is needed.
    fn wants(&self, name: BsonName<'_>) -> bool;
    /// A value that is no document.
    fn value(&mut self, name: BsonName<'_>, value: BsonValue<'_>);
}

/// A name, of which only the beginning may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BsonName<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) is_cut: bool,
}

impl BsonName<'_> {
    /// Whether it is this one.
    pub(super) fn is(&self, name: &str) -> bool {
        !self.is_cut && self.bytes == name.as_bytes()
    }
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WalkStep {
    /// The document goes on.
    Part,
    /// It ended.
    Done,
    /// It is none.
    Bad,
}

/// Where in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum BsonPlace {
    /// In the length of the outermost document.
    #[default]
    Length,
    /// Before an element or the end.
    Kind,
    /// In the name of an element.
    Name,
    /// In the four bytes that say how long a value is.
    ValueLength,
    /// In a value of which this is to come.
    Value(u32),
    /// In a regular expression, with so many zeros to come.
    Expression(u8),
}

/// The state.
#[derive(Clone, Debug)]
pub(super) struct BsonWalk {
    place: BsonPlace,
    /// Bytes that passed.
    at: u32,
    /// Where the open documents end, the outermost first.
    ends: [u32; DEPTH],
    depth: u8,
    kind: u8,
    name: [u8; NAME_BYTES],
    name_len: u8,
    is_name_cut: bool,
    value: [u8; VALUE_BYTES],
    /// Bytes of the value or length that are kept.
    value_len: u8,
    /// Bytes of the value to keep; 0 when some are missing.
    needed: u8,
}

impl Default for BsonWalk {
    fn default() -> Self {
        Self {
            place: BsonPlace::Length,
            at: 0,
            ends: [0; DEPTH],
            depth: 0,
            kind: 0,
            name: [0; NAME_BYTES],
            name_len: 0,
            is_name_cut: false,
            value: [0; VALUE_BYTES],
            value_len: 0,
            needed: 0,
        }
    }
}

/// Longest document: a message of the server may hold 48 MB.
const LONGEST: u32 = 64 << 20;

impl BsonWalk {
    /// Begins a document.
    pub(super) fn begin(&mut self) {
        (self.place, self.at, self.depth, self.value_len) = (BsonPlace::Length, 0, 0, 0);
    }

    /// Bytes of it that passed.
    pub(super) fn at(&self) -> u64 {
        self.at.into()
    }

    /// Its length, once that is known.
    pub(super) fn length(&self) -> Option<u32> {
        (self.depth > 0).then(|| self.ends[0])
    }

    /// Bytes of the value under way that are to come.
    pub(super) fn left(&self) -> u64 {
        if let BsonPlace::Value(left) = self.place { left.into() } else { 0 }
    }

    /// Takes some of the bytes.
    pub(super) fn step(&mut self, rest: &mut &[u8], visitor: &mut impl BsonVisitor) -> WalkStep {
        match self.place {
            BsonPlace::Length => match self.number(rest) {
                Some(length) if (5..=LONGEST).contains(&length) => {
                    (self.ends[0], self.depth, self.place) = (length, 1, BsonPlace::Kind);
                    WalkStep::Part
                }
                Some(_) => WalkStep::Bad,
                None => WalkStep::Part,
            },
            BsonPlace::Kind => self.kind(rest, visitor),
            BsonPlace::Name => self.name(rest, visitor),
            BsonPlace::ValueLength => match self.number(rest) {
                Some(length) => self.measured(length, visitor),
                None => WalkStep::Part,
            },
            BsonPlace::Value(left) => {
                let (taken, after) = rest.split_at(rest.len().min(left as usize));
                *rest = after;
                let room = usize::from(self.needed.saturating_sub(self.value_len)).min(taken.len());
                let kept = usize::from(self.value_len);
                self.value[kept..kept + room].copy_from_slice(&taken[..room]);
                self.value_len += room as u8;
                self.passed(left, taken.len() as u32, visitor)
            }
            BsonPlace::Expression(zeros) => {
                let window = self.window(rest);
                let end = window.iter().position(|byte| *byte == 0);
                let len = end.map_or(window.len(), |end| end + 1);
                *rest = &rest[len..];
                self.at += len as u32;
                match end {
                    _ if self.is_beyond() => WalkStep::Bad,
                    None => WalkStep::Part,
                    Some(_) if zeros > 1 => self.goes_to(BsonPlace::Expression(zeros - 1)),
                    Some(_) => self.told(BsonValue::Other, visitor),
                }
            }
        }
    }

    /// Passes missing bytes: how many; `None` where they cannot be passed.
    pub(super) fn skip(&mut self, len: u64, visitor: &mut impl BsonVisitor) -> Option<(WalkStep, u64)> {
        let BsonPlace::Value(left) = self.place else { return None };
        let taken = u32::try_from(len).unwrap_or(u32::MAX).min(left);
        self.needed = 0;
        Some((self.passed(left, taken, visitor), taken.into()))
    }

    fn goes_to(&mut self, place: BsonPlace) -> WalkStep {
        self.place = place;
        WalkStep::Part
    }

    fn end(&self) -> u32 {
        self.ends[usize::from(self.depth.max(1)) - 1]
    }

    /// What passed leaves no room for the end of the document.
    fn is_beyond(&self) -> bool {
        self.at >= self.end()
    }

    /// The bytes that can be of the document.
    fn window<'a>(&self, rest: &'a [u8]) -> &'a [u8] {
        &rest[..rest.len().min((self.end() - self.at) as usize)]
    }

    fn of(&self) -> BsonName<'_> {
        BsonName { bytes: &self.name[..usize::from(self.name_len)], is_cut: self.is_name_cut }
    }

    /// Four bytes of a length.
    fn number(&mut self, rest: &mut &[u8]) -> Option<u32> {
        let kept = usize::from(self.value_len);
        let (taken, after) = rest.split_at(rest.len().min(4 - kept));
        *rest = after;
        self.value[kept..kept + taken.len()].copy_from_slice(taken);
        self.value_len += taken.len() as u8;
        self.at += taken.len() as u32;
        if self.value_len < 4 {
            return None;
        }
        self.value_len = 0;
        let [a, b, c, d, ..] = self.value;
        Some(u32::from_le_bytes([a, b, c, d]))
    }

    fn kind(&mut self, rest: &mut &[u8], visitor: &mut impl BsonVisitor) -> WalkStep {
        let Some((kind, after)) = rest.split_first() else { return WalkStep::Part };
        *rest = after;
        self.at += 1;
        if *kind != 0 {
            (self.kind, self.name_len, self.is_name_cut) = (*kind, 0, false);
            return if self.is_beyond() { WalkStep::Bad } else { self.goes_to(BsonPlace::Name) };
        }
        if self.at != self.end() {
            return WalkStep::Bad;
        }
        self.depth -= 1;
        if self.depth == 0 {
            return WalkStep::Done;
        }
        visitor.leaves();
        WalkStep::Part
    }

    fn name(&mut self, rest: &mut &[u8], visitor: &mut impl BsonVisitor) -> WalkStep {
        let window = self.window(rest);
        let end = window.iter().position(|byte| *byte == 0);
        let taken = &window[..end.unwrap_or(window.len())];
        let len = taken.len() + usize::from(end.is_some());
        let kept = usize::from(self.name_len);
        let room = taken.len().min(NAME_BYTES - kept);
        self.name[kept..kept + room].copy_from_slice(&taken[..room]);
        self.name_len += room as u8;
        self.is_name_cut |= room < taken.len();
        *rest = &rest[len..];
        self.at += len as u32;
        match end {
            _ if self.is_beyond() => WalkStep::Bad,
            None => WalkStep::Part,
            Some(_) => self.named(visitor),
        }
    }

    /// Type and name are known.
    fn named(&mut self, visitor: &mut impl BsonVisitor) -> WalkStep {
        (self.value_len, self.needed) = (0, 0);
        let size = match self.kind {
            0x02..=0x05 | 0x0c..=0x0f => return self.goes_to(BsonPlace::ValueLength),
            0x0b => return self.goes_to(BsonPlace::Expression(2)),
            0x06 | 0x0a | 0x7f | 0xff => return self.told(BsonValue::Other, visitor),
            0x08 => 1,
            0x10 => 4,
            0x01 | 0x09 | 0x11 | 0x12 => 8,
            0x07 => 12,
            0x13 => 16,
            _ => return WalkStep::Bad,
        };
        self.needed = size as u8;
        self.has_room(size)
    }

    /// A value of this size begins.
    fn has_room(&mut self, size: u32) -> WalkStep {
        if size >= self.end() - self.at { WalkStep::Bad } else { self.goes_to(BsonPlace::Value(size)) }
    }

    /// The length of a value is known.
    fn measured(&mut self, length: u32, visitor: &mut impl BsonVisitor) -> WalkStep {
        if length > LONGEST || self.is_beyond() {
            return WalkStep::Bad;
        }
        let size = match self.kind {
            0x03 | 0x04 => {
                let end = (self.at - 4).saturating_add(length);
                if length < 5 || end >= self.end() {
                    return WalkStep::Bad;
                }
                let is_shallow = usize::from(self.depth) < DEPTH;
                if is_shallow && visitor.enters(self.of(), self.kind == 0x04) {
                    self.ends[usize::from(self.depth)] = end;
                    self.depth += 1;
                    return self.goes_to(BsonPlace::Kind);
                }
                if !is_shallow {
                    visitor.value(self.of(), BsonValue::Other);
                }
                length - 4
            }
            0x05 => length + 1,
            0x0c => length + 12,
            0x0f if length >= 4 => length - 4,
            0x0f => return WalkStep::Bad,
            _ if length == 0 => return WalkStep::Bad,
            0x02 if length as usize <= VALUE_BYTES && visitor.wants(self.of()) => {
                self.needed = length as u8;
                length
            }
            _ => length,
        };
        match self.has_room(size) {
            WalkStep::Part if size == 0 => self.passed(0, 0, visitor),
            step => step,
        }
    }

    /// Bytes of a value passed.
    fn passed(&mut self, left: u32, taken: u32, visitor: &mut impl BsonVisitor) -> WalkStep {
        self.at += taken;
        self.place = BsonPlace::Value(left - taken);
        if left > taken {
            return WalkStep::Part;
        }
        match self.kind {
            // It was told where it began.
            0x03 | 0x04 => self.goes_to(BsonPlace::Kind),
            _ => {
                let value = self.value;
                self.told(of_kind(self.kind, &value[..usize::from(self.value_len.min(self.needed))]), visitor)
            }
        }
    }

    fn told(&mut self, value: BsonValue<'_>, visitor: &mut impl BsonVisitor) -> WalkStep {
        visitor.value(self.of(), value);
        self.value_len = 0;
        self.goes_to(BsonPlace::Kind)
    }
}

/// The value of these bytes; of one that is not kept there are none.
fn of_kind(kind: u8, bytes: &[u8]) -> BsonValue<'_> {
    match (kind, bytes) {
        (0x01, bytes) => bytes.try_into().map_or(BsonValue::Other, |bytes| BsonValue::Number(f64::from_le_bytes(bytes) as i64)),
        (0x08, [truth]) => BsonValue::Number(i64::from(*truth != 0)),
        (0x10, bytes) => bytes.try_into().map_or(BsonValue::Other, |bytes| BsonValue::Number(i32::from_le_bytes(bytes).into())),
        (0x12, bytes) => bytes.try_into().map_or(BsonValue::Other, |bytes| BsonValue::Number(i64::from_le_bytes(bytes))),
        (0x02, [text @ .., 0]) => BsonValue::Text(text),
        _ => BsonValue::Other,
    }
}
