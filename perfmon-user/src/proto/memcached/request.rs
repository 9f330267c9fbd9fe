//! One command of a client, read from pieces: a line, and behind commands that store a block of data of the length that the line says.
use super::reply::{collect, pass};
use super::verb::Verb;
use crate::proto::Sink;
use crate::proto::framed::{FrameReader, ReadStep};

/// Bytes of a line that are kept: what follows is more keys.
const LINE: usize = 2_048;
/// Longest line.
const LONGEST_LINE: u64 = 1 << 20;
/// Longest block of data (a server takes no more).
const LONGEST: u64 = 1 << 31;
/// Longest key.
const KEY: usize = 250;

/// A key or an opaque to compare with the answer's; never 0.
pub(super) fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)).max(1)
}

/// What a command asks.
#[derive(Clone, Debug, Default)]
pub(super) struct AskedCommand {
    /// Its name; empty for none.
    pub(super) name: &'static str,
    /// How it is answered.
    pub(super) verb: Verb,
    /// `noreply`: no answer.
    pub(super) is_noreply: bool,
    /// The meta flag `q`: an answer only where it tells something.
    pub(super) is_quiet: bool,
    /// Keys that it names.
    pub(super) keys: u32,
    /// Hash of its only key; 0 without one.
    pub(super) key: u32,
    /// Its answer repeats the key.
    pub(super) repeats_key: bool,
    /// Hash of the meta flag `O`; 0 without one.
    pub(super) opaque: u32,
    /// Length of the data behind it.
    data: Option<u64>,
    /// Where the first key stands in the line, unless it is encoded.
    key_at: (u16, u16),
}

/// Reads commands.
#[derive(Debug, Default)]
pub(super) struct AskedReader {
    line: Vec<u8>,
    line_len: u64,
    /// Bytes of the data and its CRLF that are to come, once the line was read.
    data: Option<u64>,
    has_bad_end: bool,
    /// The command that ended.
    pub(super) asked: AskedCommand,
}

impl AskedReader {
    /// The first key.
    pub(super) fn key(&self) -> &[u8] {
        let (from, to) = self.asked.key_at;
        self.line.get(usize::from(from)..usize::from(to)).unwrap_or_default()
    }

    fn line(&mut self) -> ReadStep {
        let is_whole = self.line_len <= LINE as u64;
        if !self.line.iter().all(|byte| *byte >= b' ' || matches!(byte, b'\r' | b'\n' | b'\t')) {
            return ReadStep::Bad;
        }
        self.asked = parse(&self.line, is_whole);
        match self.asked.data {
            Some(len) => {
                self.data = Some(len + 2);
                ReadStep::Part
            }
            None => ReadStep::Done,
        }
    }

    fn passed(&mut self, left: u64, taken: u64) -> ReadStep {
        self.data = Some(left - taken);
        if left > taken {
            return ReadStep::Part;
        }
        if self.has_bad_end {
            self.asked.verb = Verb::BadStore;
        }
        ReadStep::Done
    }
}

/// Reads a line as the server does.
fn parse(line: &[u8], is_whole: bool) -> AskedCommand {
    let text = line.trim_ascii_end();
    let mut words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let Some((name, verb)) = words.next().and_then(Verb::named) else { return AskedCommand::default() };
    let mut asked = AskedCommand { name, verb, repeats_key: verb == Verb::Get, ..AskedCommand::default() };
    let is_late_key = name.starts_with("gat");
    if is_late_key {
        words.next();
    }
    let keyless = matches!(verb, Verb::Admin | Verb::Version | Verb::Quit | Verb::Watch | Verb::MetaNoop | Verb::Unknown);
    let Some(key) = words.next().filter(|_| !keyless) else {
        asked.is_noreply = is_whole && verb == Verb::Admin && text.ends_with(b" noreply");
        return asked;
    };
    asked.keys = 1;
    asked.key = hash(key);
    let from = key.as_ptr() as usize - line.as_ptr() as usize;
    asked.key_at = (from as u16, (from + key.len()) as u16);
    let number = |word: Option<&[u8]>| std::str::from_utf8(word?).ok()?.parse().ok().filter(|len: &u64| *len < LONGEST);
    match verb {
        Verb::Get => {
            asked.keys += words.count() as u32;
            if asked.keys > 1 || !is_whole {
                asked.key = 0;
            }
        }
        Verb::Store => {
            let fields: [_; 3] = std::array::from_fn(|_| words.next());
            // Otherwise the server takes the data for commands.
            asked.data = number(fields[2]).filter(|_| key.len() <= KEY && fields[..2].iter().all(|field| is_number(*field)));
            asked.is_noreply = text.ends_with(b" noreply");
        }
        Verb::Delete | Verb::Arithmetic | Verb::Touch => asked.is_noreply = text.ends_with(b" noreply"),
        _ => {
            if verb == Verb::MetaSet {
                asked.data = number(words.next());
            }
            asked.meta_flags(words);
        }
    }
    asked
}

fn is_number(word: Option<&[u8]>) -> bool {
    word.is_some_and(|word| word.strip_prefix(b"-").unwrap_or(word).iter().all(u8::is_ascii_digit) && word != b"-")
}

impl AskedCommand {
    fn meta_flags<'a>(&mut self, words: impl Iterator<Item = &'a [u8]>) {
        for word in words {
            match word {
                b"q" => self.is_quiet = true,
                b"k" => self.repeats_key = true,
                // The key is encoded.
                b"b" => self.key_at = (0, 0),
                [b'O', rest @ ..] => self.opaque = hash(rest),
                _ => {}
            }
        }
    }
}

impl FrameReader for AskedReader {
    fn begin(&mut self) {
        self.line.clear();
        (self.line_len, self.data, self.has_bad_end) = (0, None, false);
        self.asked = AskedCommand::default();
    }

    fn step(&mut self, rest: &mut &[u8], _: &mut dyn Sink) -> ReadStep {
        if let Some(left) = self.data {
            let (taken, is_good) = pass(left, rest);
            self.has_bad_end |= !is_good;
            return self.passed(left, taken);
        }
        let (taken, ended) = collect(&mut self.line, LINE, rest);
        self.line_len += taken;
        match ended {
            true => self.line(),
            false if self.line_len > LONGEST_LINE => ReadStep::Bad,
            false => ReadStep::Part,
        }
    }

    fn skip(&mut self, len: u64) -> Option<(ReadStep, u64)> {
        let left = self.data?;
        let taken = left.min(len);
        Some((self.passed(left, taken), taken))
    }

    fn is_between(&self) -> bool {
        self.line_len == 0
    }

    fn left(&self) -> u64 {
        self.data.unwrap_or(0)
    }

    fn may_begin(bytes: &[u8]) -> bool {
        super::detect::is_command(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.line.capacity()
    }
}
