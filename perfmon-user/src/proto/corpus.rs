//! Connections of the corpus, `tests/corpus`: traffic of real servers and clients, one connection a file, whatever protocol it speaks.
//! Format: `tests/corpus/http1/README.md`. Tests only.
use std::path::PathBuf;

use serde_json::Value;

use crate::stream::{Content, Direction, Ending, Segment, Stamp};

/// What happens on a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CorpusStep {
    Bytes(Direction, Vec<u8>),
    Gap(Direction, u64),
    Lost(Direction, u64),
    Unknown(Direction),
    End(Ending),
    /// The connection that the steps behind it are about, in a file with several.
    Connection(u64),
    /// On a socket.
    Datagram(Direction, u64, Vec<u8>),
}

/// A connection of the corpus: its steps with their times, and arrival times where they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct CorpusSession {
    pub(crate) name: String,
    pub(crate) steps: Vec<(u64, Option<u64>, CorpusStep)>,
}

fn folder(protocol: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus").join(protocol)
}

/// All connections of a protocol: the files `tests/corpus/PROTOCOL/*.PROTOCOL`.
pub(crate) fn sessions(protocol: &str) -> Vec<CorpusSession> {
    let mut paths: Vec<_> = std::fs::read_dir(folder(protocol)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == protocol));
    paths.sort();
    assert!(paths.len() >= 10, "the corpus is not there");
    paths.iter().map(|path| parse(path.file_stem().unwrap().to_str().unwrap(), &std::fs::read_to_string(path).unwrap())).collect()
}

fn parse(name: &str, text: &str) -> CorpusSession {
    let mut session = CorpusSession { name: name.to_owned(), steps: Vec::new() };
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}: {line}", number + 1);
        match line.chars().next() {
            None | Some('#') => {}
            Some('|') => match &mut session.steps.last_mut().expect(&place).2 {
                CorpusStep::Bytes(_, bytes) | CorpusStep::Datagram(_, _, bytes) => bytes.extend(unescape(&line[1..])),
                _ => panic!("{place}: bytes outside a chunk"),
            },
            Some(_) => session.steps.push(parse_step(line).unwrap_or_else(|| panic!("{place}: not understood"))),
        }
    }
    session
}

/// `> 1000`, `> 1000 arrival 900`, `< 2000 gap 500`, `< 2000 unknown`, `! 3000 peer-closed`, `= 1000 connection 2`,
/// `< 1000 datagram 1`; times in microseconds.
fn parse_step(line: &str) -> Option<(u64, Option<u64>, CorpusStep)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let time_ns = words.get(1)?.parse::<u64>().ok()? * 1_000;
    let direction = match *words.first()? {
        ">" => Direction::In,
        "<" => Direction::Out,
        "!" => return Some((time_ns, None, CorpusStep::End(parse_end(words.get(2)?)?))),
        "=" => return Some((time_ns, None, CorpusStep::Connection(words.get(3)?.parse().ok()?))),
        _ => return None,
    };
    Some(match words[2..] {
        [] => (time_ns, None, CorpusStep::Bytes(direction, Vec::new())),
        ["arrival", time] => (time_ns, Some(time.parse::<u64>().ok()? * 1_000), CorpusStep::Bytes(direction, Vec::new())),
        ["gap", n] => (time_ns, None, CorpusStep::Gap(direction, n.parse().ok()?)),
        ["lost", n] => (time_ns, None, CorpusStep::Lost(direction, n.parse().ok()?)),
        ["datagram", socket] => (time_ns, None, CorpusStep::Datagram(direction, socket.parse().ok()?, Vec::new())),
        ["unknown"] => (time_ns, None, CorpusStep::Unknown(direction)),
        _ => return None,
    })
}

fn parse_end(word: &str) -> Option<Ending> {
    Some(match word {
        "peer-closed" => Ending::PeerClosed,
        "local-closed" => Ending::LocalClosed,
        "closed" => Ending::Closed,
        "peer-reset" => Ending::PeerReset,
        "local-reset" => Ending::LocalReset,
        "forgotten" => Ending::Forgotten,
        _ => return None,
    })
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        match (byte, byte == b'\\') {
            (byte, false) => bytes.push(byte),
            (_, true) => match rest.next().unwrap() {
                b'r' => bytes.push(b'\r'),
                b'n' => bytes.push(b'\n'),
                b't' => bytes.push(b'\t'),
                b'\\' => bytes.push(b'\\'),
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                }
                other => panic!("escape \\{} is not known", other as char),
            },
        }
    }
    bytes
}

impl CorpusSession {
    /// Nothing of it was lost.
    pub(crate) fn is_whole(&self) -> bool {
        self.steps.iter().all(|(_, _, step)| matches!(step, CorpusStep::Bytes(..) | CorpusStep::End(_)))
    }

    /// The session with each step of bytes cut into pieces by `places`, which says where; pieces keep the time of their step.
    pub(crate) fn cut(&self, places: impl Fn(usize, &[u8]) -> Vec<usize>) -> Self {
        let mut steps = Vec::new();
        for (index, (time_ns, arrival_ns, step)) in self.steps.iter().enumerate() {
            let CorpusStep::Bytes(direction, bytes) = step else {
                steps.push((*time_ns, *arrival_ns, step.clone()));
                continue;
            };
            let mut from = 0;
            for to in places(index, bytes).into_iter().chain([bytes.len()]) {
                steps.push((*time_ns, *arrival_ns, CorpusStep::Bytes(*direction, bytes[from..to].to_vec())));
                from = to;
            }
        }
        Self { name: self.name.clone(), steps }
    }

    /// Compares with the golden file beside it, which `UPDATE_GOLDEN=1` writes anew.
    pub(crate) fn assert_golden(&self, protocol: &str, golden: &Value) {
        let text = serde_json::to_string_pretty(golden).unwrap() + "\n";
        let path = folder(protocol).join(format!("{}.json", self.name));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{}: run with UPDATE_GOLDEN=1 if that is right", self.name);
    }
}

impl CorpusStep {
    /// The segment at a time, or the end that it is.
    pub(crate) fn segment(&self, time_ns: u64, arrival_ns: Option<u64>) -> Result<Segment<'_>, Ending> {
        let (direction, content) = match self {
            Self::Bytes(direction, bytes) => (*direction, Content::Bytes(bytes)),
            Self::Gap(direction, len) => (*direction, Content::Gap(*len)),
            Self::Lost(direction, len) => (*direction, Content::Lost(*len)),
            Self::Unknown(direction) => (*direction, Content::Unknown),
            Self::End(ending) => return Err(*ending),
            Self::Connection(_) | Self::Datagram(..) => panic!("no segment of one connection: {self:?}"),
        };
        Ok(Segment { direction, stamp: Stamp { time_ns, arrival_ns, thread: 7, run: None }, content })
    }
}

/// An object of JSON without what is null.
pub(crate) fn present(all: Value) -> Value {
    let Value::Object(fields) = all else { panic!("no object: {all}") };
    Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect())
}
