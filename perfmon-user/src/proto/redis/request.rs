//! One command of a client (RESP arrays of bulk strings, and inline commands), read from pieces. Keeps the first bytes of the first words and
//! counts the rest: values pass by their length.
use super::line::RespLine;
use crate::proto::Sink;
use crate::proto::framed::{FrameReader, ReadStep};

/// Words of which bytes are kept.
const WORDS: usize = 4;
/// Bytes of a word that are kept.
const WORD_BYTES: usize = 64;
/// Most words of a command (`proto-max-multibulk-len` of Redis).
const MOST_WORDS: i64 = 1 << 20;
/// Longest word (`proto-max-bulk-len` of Redis).
const LONGEST: i64 = 512 << 20;

/// The first words of a command.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestText {
    /// Words of the command, its name among them.
    pub(super) words: u32,
    kept: [Word; WORDS],
}

#[derive(Clone, Copy, Debug)]
struct Word {
    bytes: [u8; WORD_BYTES],
    len: u8,
}

impl Default for Word {
    fn default() -> Self {
        Self { bytes: [0; WORD_BYTES], len: 0 }
    }
}

impl RequestText {
    /// The first bytes of a word; empty when it is not kept.
    pub(super) fn word(&self, index: usize) -> &[u8] {
        self.kept.get(index).map_or(&[], |word| &word.bytes[..usize::from(word.len)])
    }

    /// Whether a word is this one, whatever its case.
    pub(super) fn is(&self, index: usize, word: &str) -> bool {
        self.word(index).eq_ignore_ascii_case(word.as_bytes())
    }

    fn add(&mut self, index: u32, bytes: &[u8]) {
        if let Some(word) = self.kept.get_mut(index as usize) {
            let (kept, room) = (usize::from(word.len), bytes.len().min(WORD_BYTES - usize::from(word.len)));
            word.bytes[kept..kept + room].copy_from_slice(&bytes[..room]);
            word.len += room as u8;
        }
    }

    fn clear(&mut self) {
        self.words = 0;
        self.kept.iter_mut().for_each(|word| word.len = 0);
    }
}

/// Where in a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum RequestPlace {
    /// In its first line.
    #[default]
    Start,
    /// In the line before a word.
    Header,
    /// In a word and its CRLF, of which this is to come.
    Word(u64),
}

/// Reads commands.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestReader {
    place: RequestPlace,
    line: RespLine,
    /// The word that is read, of those of the command.
    index: u32,
    text: RequestText,
}

impl RequestReader {
    /// The command that ended.
    pub(super) fn text(&self) -> &RequestText {
        &self.text
    }

    fn started(&mut self) -> ReadStep {
        let line = std::mem::take(&mut self.line);
        match line.text().first() {
            None => ReadStep::Blank,
            Some(b'*') => match line.number() {
                Some(words @ 1..=MOST_WORDS) => {
                    self.text.words = words as u32;
                    self.place = RequestPlace::Header;
                    ReadStep::Part
                }
                // Redis ignores both.
                Some(-1 | 0) => ReadStep::Blank,
                _ => ReadStep::Bad,
            },
            Some(byte) if byte.is_ascii_alphabetic() => {
                for word in line.text().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                    self.text.add(self.text.words, word);
                    self.text.words += 1;
                }
                if super::names::is_known(self.text.word(0)) { ReadStep::Done } else { ReadStep::Bad }
            }
            Some(_) => ReadStep::Bad,
        }
    }

    fn header(&mut self) -> ReadStep {
        let line = std::mem::take(&mut self.line);
        match line.number().filter(|_| line.text().first() == Some(&b'$')) {
            Some(len @ 0..=LONGEST) => {
                self.place = RequestPlace::Word(len as u64 + 2);
                ReadStep::Part
            }
            _ => ReadStep::Bad,
        }
    }

    fn word(&mut self, left: u64, rest: &mut &[u8]) -> ReadStep {
        let (taken, after) = rest.split_at(rest.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        *rest = after;
        let text = usize::try_from(left.saturating_sub(2)).unwrap_or(usize::MAX).min(taken.len());
        self.text.add(self.index, &taken[..text]);
        let ends = b"\r\n";
        let end_at = 2_usize.saturating_sub(usize::try_from(left).unwrap_or(usize::MAX));
        if taken[text..] != ends[end_at..end_at + taken.len() - text] {
            return ReadStep::Bad;
        }
        self.passed(left, taken.len() as u64)
    }

    /// Bytes of a word passed.
    fn passed(&mut self, left: u64, taken: u64) -> ReadStep {
        self.place = RequestPlace::Word(left - taken);
        if left > taken {
            return ReadStep::Part;
        }
        self.index += 1;
        let is_over = self.index == self.text.words;
        self.place = if is_over { RequestPlace::Start } else { RequestPlace::Header };
        if is_over { ReadStep::Done } else { ReadStep::Part }
    }
}

impl FrameReader for RequestReader {
    fn begin(&mut self) {
        self.place = RequestPlace::Start;
        self.line = RespLine::default();
        self.index = 0;
        self.text.clear();
    }

    fn step(&mut self, rest: &mut &[u8], _: &mut dyn Sink) -> ReadStep {
        let is_first = self.place == RequestPlace::Start && self.line.is_empty();
        if is_first && !rest.first().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'*' | b'\r' | b'\n')) {
            return ReadStep::Bad;
        }
        match self.place {
            RequestPlace::Word(left) => self.word(left, rest),
            place => match (self.line.take(rest), place) {
                (true, RequestPlace::Start) => self.started(),
                (true, _) => self.header(),
                // The longest line of a command is an inline command of 64 KB.
                (false, _) if self.line.len() > 64 * 1_024 => ReadStep::Bad,
                (false, _) => ReadStep::Part,
            },
        }
    }

    fn skip(&mut self, len: u64) -> Option<(ReadStep, u64)> {
        let RequestPlace::Word(left) = self.place else { return None };
        let taken = left.min(len);
        Some((self.passed(left, taken), taken))
    }

    fn is_between(&self) -> bool {
        self.place == RequestPlace::Start && self.line.is_empty()
    }

    fn left(&self) -> u64 {
        if let RequestPlace::Word(left) = self.place { left } else { 0 }
    }

    fn may_begin(bytes: &[u8]) -> bool {
        super::detect::is_command(bytes) == crate::proto::detect::Verdict::Yes
    }
}
