//! One answer of a server (RESP2 and RESP3), read from pieces: its type, how many items it has, its error code. Nested answers are walked with
//! a count for each level; texts pass by their length.
use super::line::RespLine;
use crate::proto::Sink;
use crate::proto::framed::{FrameReader, ReadStep};

/// Deepest nesting that is followed; Redis itself stays below ten.
const DEPTH: usize = 64;
/// Most elements of an aggregate and bytes of a text.
const MOST: i64 = 1 << 32;
/// Longest line that is no text by length: an error or a status.
const LINE: u64 = 1 << 20;
/// Bytes of the first element that are kept, to know pushes of RESP2 by.
const FIRST: usize = 16;

/// The types.
const TYPES: &[u8] = b"+-:$*_#,(!=%~>|";

/// Where in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ReplyPlace {
    /// In a line.
    #[default]
    InLine,
    /// In a text and its CRLF, of which this is to come.
    Text(u64),
}

/// What an answer was.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplyText {
    /// The type's byte.
    pub(super) kind: u8,
    /// Elements of an aggregate, 1 for a text, 0 for null; `None` for a status, an error or a number.
    pub(super) items: Option<u64>,
    error: [u8; FIRST],
    error_len: u8,
    first: [u8; FIRST],
    first_len: u8,
}

impl ReplyText {
    /// Code of an error: `WRONGTYPE`; empty for anything else.
    pub(super) fn error(&self) -> &str {
        std::str::from_utf8(&self.error[..usize::from(self.error_len)]).unwrap_or_default()
    }

    /// The first element of an aggregate, cut.
    pub(super) fn first(&self) -> &[u8] {
        &self.first[..usize::from(self.first_len)]
    }

    fn add_first(&mut self, bytes: &[u8]) {
        let (kept, room) = (usize::from(self.first_len), bytes.len().min(FIRST - usize::from(self.first_len)));
        self.first[kept..kept + room].copy_from_slice(&bytes[..room]);
        self.first_len += room as u8;
    }

    /// The code is the first word, in capitals; without one it is `ERR`.
    fn set_error(&mut self, message: &[u8]) {
        let code = message.split(|byte| *byte == b' ').next().unwrap_or_default();
        let is_code = (2..=FIRST).contains(&code.len()) && code.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
        let code = if is_code { code } else { b"ERR" };
        self.error[..code.len()].copy_from_slice(code);
        self.error_len = code.len() as u8;
    }
}

/// Reads answers.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplyReader {
    place: ReplyPlace,
    line: RespLine,
    /// Elements to come, of each aggregate that is open.
    open: Vec<u64>,
    /// Elements that ended.
    ended: u64,
    /// The text that is read is an error's.
    is_error: bool,
    text: ReplyText,
}

impl ReplyReader {
    /// The answer that ended.
    pub(super) fn text(&self) -> &ReplyText {
        &self.text
    }

    /// The answer's own type stands here: outside of aggregates, or behind attributes.
    fn is_outermost(&self) -> bool {
        self.text.kind == 0 || (self.text.kind == b'|' && self.open == [1])
    }

    fn line(&mut self) -> ReadStep {
        let line = std::mem::take(&mut self.line);
        let Some(kind) = line.text().first().copied() else { return ReadStep::Bad };
        let is_own = self.is_outermost();
        if is_own {
            self.text = ReplyText { kind, ..ReplyText::default() };
        }
        match kind {
            b'+' | b',' | b'#' | b'(' | b':' | b'_' => self.scalar(kind, &line, is_own),
            b'-' => {
                if is_own {
                    self.text.set_error(&line.text()[1..]);
                }
                self.element()
            }
            b'$' | b'!' | b'=' => self.sized(kind, &line, is_own),
            b'*' | b'~' | b'>' | b'%' | b'|' => self.aggregate(kind, &line, is_own),
            _ => ReadStep::Bad,
        }
    }

    fn scalar(&mut self, kind: u8, line: &RespLine, is_own: bool) -> ReadStep {
        let is_valid = match kind {
            b':' => line.number().is_some(),
            b'#' => matches!(line.text(), b"#t" | b"#f"),
            b'_' => line.text() == b"_",
            _ => true,
        };
        if !is_valid {
            return ReadStep::Bad;
        }
        if is_own && kind == b'_' {
            self.text.items = Some(0);
        } else if !is_own && self.ended == 0 {
            self.text.add_first(&line.text()[1..]);
        }
        self.element()
    }

    fn sized(&mut self, kind: u8, line: &RespLine, is_own: bool) -> ReadStep {
        let items = match line.number() {
            Some(-1) => 0,
            Some(len @ 0..=MOST) => {
                self.place = ReplyPlace::Text(len as u64 + 2);
                1
            }
            _ => return ReadStep::Bad,
        };
        self.is_error = is_own && kind == b'!';
        if is_own && kind != b'!' {
            self.text.items = Some(items);
        }
        if self.place == ReplyPlace::InLine { self.element() } else { ReadStep::Part }
    }

    fn aggregate(&mut self, kind: u8, line: &RespLine, is_own: bool) -> ReadStep {
        let count = match line.number() {
            Some(-1) => 0,
            Some(count @ 0..=MOST) => count as u64,
            _ => return ReadStep::Bad,
        };
        if is_own && kind != b'|' {
            self.text.items = Some(count);
        }
        let elements = match kind {
            b'%' => 2 * count,
            // The attributes and what they are about.
            b'|' => 2 * count + 1,
            _ => count,
        };
        if elements == 0 {
            return self.element();
        }
        if self.open.len() == DEPTH {
            return ReadStep::Bad;
        }
        self.open.push(elements);
        ReadStep::Part
    }

    /// An element ended, and with it the aggregates of which it was the last.
    fn element(&mut self) -> ReadStep {
        self.place = ReplyPlace::InLine;
        self.ended += 1;
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return ReadStep::Part;
            }
            self.open.pop();
        }
        ReadStep::Done
    }

    fn passed(&mut self, left: u64, taken: u64) -> ReadStep {
        self.place = ReplyPlace::Text(left - taken);
        if left > taken {
            return ReadStep::Part;
        }
        if std::mem::take(&mut self.is_error) {
            let message = self.text.first;
            self.text.set_error(&message[..usize::from(self.text.first_len)]);
        }
        self.element()
    }

    fn bytes_of_text(&mut self, left: u64, rest: &mut &[u8]) -> ReadStep {
        let (taken, after) = rest.split_at(rest.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        *rest = after;
        let text = usize::try_from(left.saturating_sub(2)).unwrap_or(usize::MAX).min(taken.len());
        if self.is_error || (self.ended == 0 && !self.open.is_empty()) {
            self.text.add_first(&taken[..text]);
        }
        let end_at = 2_usize.saturating_sub(usize::try_from(left).unwrap_or(usize::MAX));
        if taken[text..] != b"\r\n"[end_at..end_at + taken.len() - text] {
            return ReadStep::Bad;
        }
        self.passed(left, taken.len() as u64)
    }
}

impl FrameReader for ReplyReader {
    fn begin(&mut self) {
        self.place = ReplyPlace::InLine;
        self.line = RespLine::default();
        self.open.clear();
        self.ended = 0;
        self.is_error = false;
        self.text = ReplyText::default();
    }

    fn step(&mut self, rest: &mut &[u8], _: &mut dyn Sink) -> ReadStep {
        let is_first = self.place == ReplyPlace::InLine && self.line.is_empty();
        if is_first && !rest.first().is_some_and(|byte| TYPES.contains(byte)) {
            return ReadStep::Bad;
        }
        match self.place {
            ReplyPlace::Text(left) => self.bytes_of_text(left, rest),
            ReplyPlace::InLine => match self.line.take(rest) {
                true => self.line(),
                false if self.line.len() > LINE => ReadStep::Bad,
                false => ReadStep::Part,
            },
        }
    }

    fn skip(&mut self, len: u64) -> Option<(ReadStep, u64)> {
        let ReplyPlace::Text(left) = self.place else { return None };
        let taken = left.min(len);
        Some((self.passed(left, taken), taken))
    }

    fn is_between(&self) -> bool {
        self.place == ReplyPlace::InLine && self.line.is_empty() && self.open.is_empty() && self.text.kind == 0
    }

    fn left(&self) -> u64 {
        if let ReplyPlace::Text(left) = self.place { left } else { 0 }
    }

    fn may_begin(bytes: &[u8]) -> bool {
        let Some(kind) = bytes.first().filter(|kind| TYPES.contains(kind)) else { return false };
        let mut line = RespLine::default();
        if !line.take(&mut &bytes[..bytes.len().min(super::line::LINE_BYTES)]) {
            return false;
        }
        match kind {
            b'+' | b'-' => line.text().len() > 1 && line.text().iter().all(|byte| (b' '..=b'~').contains(byte)),
            b':' | b'$' | b'*' | b'!' | b'=' | b'%' | b'~' | b'>' | b'|' => line.number().is_some(),
            _ => true,
        }
    }

    fn heap_bytes(&self) -> usize {
        self.open.capacity() * size_of::<u64>()
    }
}
