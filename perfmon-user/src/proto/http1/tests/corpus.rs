//! The corpus, `tests/corpus/http1`: traffic of real servers and clients, one connection a file, with the exchanges that it comes to
//! beside it (`UPDATE_GOLDEN=1` writes them anew). Format: `tests/corpus/http1/README.md`.
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::stream::Failure;

/// What happens on a connection.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Bytes(Direction, Vec<u8>),
    Gap(Direction, u64),
    Lost(Direction, u64),
    Unknown(Direction),
    End(Ending),
}

/// A connection of the corpus: its steps with their times, and arrival times where they are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) steps: Vec<(u64, Option<u64>, Step)>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/http1")
}

/// All connections of the corpus.
pub(super) fn sessions() -> Vec<Session> {
    let mut paths: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "http1"));
    paths.sort();
    assert!(paths.len() >= 10, "the corpus is not there");
    paths.iter().map(|path| parse(path.file_stem().unwrap().to_str().unwrap(), &std::fs::read_to_string(path).unwrap())).collect()
}

fn parse(name: &str, text: &str) -> Session {
    let mut session = Session { name: name.to_owned(), steps: Vec::new() };
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}: {line}", number + 1);
        match line.chars().next() {
            None | Some('#') => {}
            Some('|') => match &mut session.steps.last_mut().expect(&place).2 {
                Step::Bytes(_, bytes) => bytes.extend(unescape(&line[1..])),
                _ => panic!("{place}: bytes outside a chunk"),
            },
            Some(_) => session.steps.push(parse_step(line).unwrap_or_else(|| panic!("{place}: not understood"))),
        }
    }
    session
}

/// `> 1000`, `> 1000 arrival 900`, `< 2000 gap 500`, `< 2000 unknown`, `! 3000 peer-closed`; times in microseconds.
fn parse_step(line: &str) -> Option<(u64, Option<u64>, Step)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let time_ns = words.get(1)?.parse::<u64>().ok()? * 1_000;
    let direction = match *words.first()? {
        ">" => Direction::In,
        "<" => Direction::Out,
        "!" => return Some((time_ns, None, Step::End(parse_end(words.get(2)?)?))),
        _ => return None,
    };
    Some(match words[2..] {
        [] => (time_ns, None, Step::Bytes(direction, Vec::new())),
        ["arrival", time] => (time_ns, Some(time.parse::<u64>().ok()? * 1_000), Step::Bytes(direction, Vec::new())),
        ["gap", n] => (time_ns, None, Step::Gap(direction, n.parse().ok()?)),
        ["lost", n] => (time_ns, None, Step::Lost(direction, n.parse().ok()?)),
        ["unknown"] => (time_ns, None, Step::Unknown(direction)),
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

impl Session {
    /// Runs it and returns the connection.
    pub(super) fn run(&self) -> Connection {
        let mut connection = Connection::new();
        for (time_ns, arrival_ns, step) in &self.steps {
            connection.step(*time_ns, *arrival_ns, step);
        }
        connection
    }

    /// Nothing of it was lost.
    pub(super) fn is_whole(&self) -> bool {
        self.steps.iter().all(|(_, _, step)| matches!(step, Step::Bytes(..) | Step::End(_)))
    }
}

impl Connection {
    pub(super) fn step(&mut self, time_ns: u64, arrival_ns: Option<u64>, step: &Step) {
        match step {
            Step::Bytes(direction, bytes) => {
                self.chunk_at(time_ns, arrival_ns, *direction, Content::Bytes(bytes));
            }
            Step::Gap(direction, n) => {
                self.chunk_at(time_ns, arrival_ns, *direction, Content::Gap(*n));
            }
            Step::Lost(direction, n) => {
                self.chunk_at(time_ns, arrival_ns, *direction, Content::Lost(*n));
            }
            Step::Unknown(direction) => {
                self.chunk_at(time_ns, arrival_ns, *direction, Content::Unknown);
            }
            Step::End(end) => self.end_at(time_ns, *end),
        }
    }
}

/// An exchange as golden JSON: what is not default.
fn golden(exchange: &Exchange) -> Value {
    let us = |ns: u64| ns / 1_000;
    let all = json!({
        "side": if exchange.server { "server" } else { "client" },
        "protocol": exchange.protocol,
        "method": exchange.method,
        "path": exchange.path,
        "host": exchange.host,
        "user_agent": exchange.user_agent,
        "traceparent": exchange.traceparent,
        "status": exchange.status,
        "failure": exchange.failure.map(|failure| format!("{failure:?}")),
        "streaming": exchange.streaming.then_some(true),
        "grpc_status": exchange.grpc_status,
        "request_body": exchange.request_body,
        "response_body": exchange.response_body,
        "request_wire": exchange.request_wire,
        "response_wire": exchange.response_wire,
        "start_us": us(exchange.start_ns),
        "first_read_us": exchange.first_read_ns.map(us),
        "arrival_known": exchange.arrival_known.then_some(true),
        "request_end_us": exchange.request_end_ns.map(us),
        "first_byte_us": exchange.first_byte_ns.map(us),
        "end_us": exchange.end_ns.map(us),
        "inferred": exchange.inferred.then_some(true),
        "missing_bytes": (exchange.missing_bytes > 0).then_some(exchange.missing_bytes),
    });
    let Value::Object(fields) = all else { unreachable!("an object was written above") };
    Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

#[test]
fn the_corpus_comes_to_its_golden_exchanges() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for session in sessions() {
        let connection = session.run();
        let golden: Vec<_> = connection.done.iter().map(golden).collect();
        let text = serde_json::to_string_pretty(&golden).unwrap() + "\n";
        let path = folder().join(format!("{}.json", session.name));
        if update {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{}: run with UPDATE_GOLDEN=1 if that is right", session.name);
    }
}

#[test]
fn whole_sessions_of_the_corpus_are_exact() {
    for session in sessions().iter().filter(|session| session.is_whole()) {
        let mut connection = session.run();
        assert!(connection.done.iter().all(|done| !done.inferred && done.missing_bytes == 0), "{}", session.name);
        let broken = connection.done.iter().filter(|done| done.failure == Some(Failure::Protocol)).count() as u64;
        assert_eq!(connection.stats(), Stats { desyncs: broken, ..Stats::default() }, "{}", session.name);
    }
}
