//! One answer of a server, read from pieces: values pass by their length, all else stands in lines.
use super::request::hash;
use crate::proto::Sink;
use crate::proto::framed::{FrameReader, ReadStep};

/// Bytes of a line that are kept.
const LINE: usize = 512;
/// Longest line.
const LONGEST_LINE: u64 = 64 << 10;
/// Longest value.
const LONGEST: u64 = 1 << 31;

/// What an answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CacheAnswer {
    /// `VALUE` … `END`.
    Values,
    /// `STAT` … `END`, `OK`, `RESET`, `BUSY`, ….
    #[default]
    Admin,
    Stored,
    NotStored,
    Exists,
    NotFound,
    Deleted,
    Touched,
    Number,
    Version,
    /// `HD`
    Head,
    /// `VA`
    MetaValue,
    /// `EN`
    Miss,
    MetaNotStored,
    MetaExists,
    MetaNotFound,
    /// `ME`
    MetaDebug,
    /// `MN`
    Noop,
    /// Its class.
    Error(&'static str),
}

/// Answers of one line, by their first word.
const WORDS: [(&str, CacheAnswer); 26] = [
    ("STORED", CacheAnswer::Stored),
    ("NOT_STORED", CacheAnswer::NotStored),
    ("EXISTS", CacheAnswer::Exists),
    ("NOT_FOUND", CacheAnswer::NotFound),
    ("DELETED", CacheAnswer::Deleted),
    ("TOUCHED", CacheAnswer::Touched),
    ("VERSION", CacheAnswer::Version),
    ("OK", CacheAnswer::Admin),
    ("RESET", CacheAnswer::Admin),
    ("BUSY", CacheAnswer::Admin),
    ("BADCLASS", CacheAnswer::Admin),
    ("NOSPARE", CacheAnswer::Admin),
    ("NOTFULL", CacheAnswer::Admin),
    ("UNSAFE", CacheAnswer::Admin),
    ("SAME", CacheAnswer::Admin),
    ("HD", CacheAnswer::Head),
    ("EN", CacheAnswer::Miss),
    ("NS", CacheAnswer::MetaNotStored),
    ("EX", CacheAnswer::MetaExists),
    ("NF", CacheAnswer::MetaNotFound),
    ("ME", CacheAnswer::MetaDebug),
    ("MN", CacheAnswer::Noop),
    ("ERROR", CacheAnswer::Error("ERROR")),
    ("CLIENT_ERROR", CacheAnswer::Error("CLIENT_ERROR")),
    ("SERVER_ERROR", CacheAnswer::Error("SERVER_ERROR")),
    ("END", CacheAnswer::Values),
];

/// Words of lines that more lines follow, up to `END`.
const LISTED: [&[u8]; 3] = [b"STAT", b"ITEM", b"PREFIX"];

/// Where in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ValuePlace {
    #[default]
    InLine,
    /// In a value and its CRLF, of which this is to come, and whether the answer ends with it.
    Value(u64, bool),
}

/// Reads answers.
#[derive(Clone, Debug, Default)]
pub(super) struct AnswerReader {
    place: ValuePlace,
    line: Vec<u8>,
    line_len: u64,
    /// Lines of the answer before this one.
    lines: u64,
    /// What it says.
    pub(super) kind: CacheAnswer,
    /// Values of it.
    pub(super) values: u64,
    /// An error that the server tells of commands with `noreply` too.
    pub(super) is_despite_noreply: bool,
    /// Hash of the first value's key, or of the key that a meta answer repeats; 0 without one.
    pub(super) key: u32,
    /// Hash of the `O` flag of a meta answer; 0 without one.
    pub(super) opaque: u32,
}

impl AnswerReader {
    fn line(&mut self) -> ReadStep {
        let line = std::mem::take(&mut self.line);
        let step = self.read(line.trim_ascii_end());
        self.line = line;
        (self.line_len, self.lines) = (0, self.lines + 1);
        self.line.clear();
        step
    }

    fn read(&mut self, line: &[u8]) -> ReadStep {
        let mut words = line.split(|byte| *byte == b' ');
        let word = words.next().unwrap_or_default();
        let number = |word: Option<&[u8]>| std::str::from_utf8(word?).ok()?.parse().ok().filter(|len: &u64| *len < LONGEST);
        let is_first = self.lines == 0;
        let is_listed = LISTED.contains(&word) || word.starts_with(b"key=");
        match word {
            b"VALUE" if is_first || self.values > 0 => {
                let key = words.next().map_or(0, hash);
                let Some(len) = number(words.nth(1)) else { return ReadStep::Bad };
                if self.values == 0 {
                    self.key = key;
                }
                (self.kind, self.values) = (CacheAnswer::Values, self.values + 1);
                self.place = ValuePlace::Value(len + 2, false);
                ReadStep::Part
            }
            b"VA" if is_first => {
                let Some(len) = number(words.next()) else { return ReadStep::Bad };
                self.flags(words);
                self.kind = CacheAnswer::MetaValue;
                self.place = ValuePlace::Value(len + 2, true);
                ReadStep::Part
            }
            _ if is_listed && self.values == 0 => {
                self.kind = CacheAnswer::Admin;
                ReadStep::Part
            }
            b"END" if !is_first => ReadStep::Done,
            _ if is_first && !word.is_empty() && word.iter().all(u8::is_ascii_digit) => {
                self.kind = CacheAnswer::Number;
                ReadStep::Done
            }
            _ => self.ends(word, words, is_first),
        }
    }

    fn ends<'a>(&mut self, word: &[u8], mut words: impl Iterator<Item = &'a [u8]>, is_first: bool) -> ReadStep {
        let Some((_, kind)) = WORDS.iter().find(|(name, _)| name.as_bytes() == word) else { return ReadStep::Bad };
        let is_error = matches!(kind, CacheAnswer::Error(_));
        if !is_first && !is_error {
            return ReadStep::Bad;
        }
        self.kind = *kind;
        if is_error {
            let text = [words.next(), words.next()].map(Option::unwrap_or_default);
            self.is_despite_noreply = word == b"ERROR" || matches!(text, [b"bad", b"command"] | [b"line", _] | [b"out", b"of"]);
        } else {
            self.flags(words);
        }
        ReadStep::Done
    }

    fn flags<'a>(&mut self, words: impl Iterator<Item = &'a [u8]>) {
        for word in words {
            match word.split_first() {
                Some((b'O', rest)) => self.opaque = hash(rest),
                Some((b'k', rest)) => self.key = hash(rest),
                _ => {}
            }
        }
    }

    fn passed(&mut self, left: u64, taken: u64, is_last: bool) -> ReadStep {
        self.place = ValuePlace::Value(left - taken, is_last);
        if left > taken {
            return ReadStep::Part;
        }
        self.place = ValuePlace::InLine;
        if is_last { ReadStep::Done } else { ReadStep::Part }
    }
}

/// Passes bytes of a block and its CRLF, of which `left` are to come: how many, and whether the CRLF is there.
pub(super) fn pass(left: u64, rest: &mut &[u8]) -> (u64, bool) {
    let (taken, after) = rest.split_at(rest.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
    *rest = after;
    let text = usize::try_from(left.saturating_sub(2)).unwrap_or(usize::MAX).min(taken.len());
    let end_at = 2_usize.saturating_sub(usize::try_from(left).unwrap_or(usize::MAX));
    (taken.len() as u64, taken[text..] == b"\r\n"[end_at..end_at + taken.len() - text])
}

/// Collects a line, of which no more than `most` bytes are kept; whether it ended.
pub(super) fn collect(line: &mut Vec<u8>, most: usize, rest: &mut &[u8]) -> (u64, bool) {
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (taken, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
    line.extend_from_slice(&taken[..taken.len().min(most.saturating_sub(line.len()))]);
    *rest = after;
    (taken.len() as u64, end.is_some())
}

impl FrameReader for AnswerReader {
    fn begin(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        *self = Self { line, ..Self::default() };
    }

    fn step(&mut self, rest: &mut &[u8], _: &mut dyn Sink) -> ReadStep {
        match self.place {
            ValuePlace::Value(left, is_last) => match pass(left, rest) {
                (taken, true) => self.passed(left, taken, is_last),
                _ => ReadStep::Bad,
            },
            ValuePlace::InLine => {
                let (taken, ended) = collect(&mut self.line, LINE, rest);
                self.line_len += taken;
                match ended {
                    true => self.line(),
                    false if self.line_len > LONGEST_LINE || !self.line[0].is_ascii_graphic() => ReadStep::Bad,
                    false => ReadStep::Part,
                }
            }
        }
    }

    fn skip(&mut self, len: u64) -> Option<(ReadStep, u64)> {
        let ValuePlace::Value(left, is_last) = self.place else { return None };
        let taken = left.min(len);
        Some((self.passed(left, taken, is_last), taken))
    }

    fn is_between(&self) -> bool {
        self.place == ValuePlace::InLine && self.line_len == 0 && self.lines == 0
    }

    fn left(&self) -> u64 {
        if let ValuePlace::Value(left, _) = self.place { left } else { 0 }
    }

    fn may_begin(bytes: &[u8]) -> bool {
        let mut line = Vec::new();
        if !collect(&mut line, LINE, &mut &bytes[..bytes.len().min(LINE)]).1 {
            return false;
        }
        !matches!(Self::default().read(line.trim_ascii_end()), ReadStep::Bad)
    }

    fn heap_bytes(&self) -> usize {
        self.line.capacity()
    }
}
