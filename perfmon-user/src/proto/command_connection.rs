//! What tests of parsers that tell commands share: a connection that collects them, and what holds for each connection of a corpus. Tests only.
use serde_json::{Value, json};

use super::command::Command;
use super::corpus::{self, CorpusSession, CorpusStep};
use super::{Demand, Message, Parser, Stats};
use crate::stream::{Content, Direction, Ending, Segment, Stamp};

/// A connection under test. Time advances by a millisecond with each segment.
#[derive(Default)]
pub(super) struct CommandConnection<P> {
    pub parser: P,
    pub now_ns: u64,
    pub told: Vec<Command>,
}

impl<P: Parser> CommandConnection<P> {
    pub fn segment(&mut self, segment: Segment<'_>) -> Demand {
        self.now_ns = segment.stamp.time_ns;
        let Self { parser, told, .. } = self;
        parser.push(segment, &mut collect(told))
    }

    pub fn content(&mut self, direction: Direction, content: Content<'_>) -> Demand {
        let stamp = Stamp { time_ns: self.now_ns + 1_000_000, arrival_ns: None, thread: 7, run: None };
        self.segment(Segment { direction, stamp, content })
    }

    pub fn bytes(&mut self, direction: Direction, bytes: &[u8]) -> Demand {
        self.content(direction, Content::Bytes(bytes))
    }

    pub fn end_at(&mut self, time_ns: u64, ending: Ending) {
        let Self { parser, told, .. } = self;
        parser.end(ending, time_ns, &mut collect(told));
    }

    /// Query, error and whether the answer's end is known, of each command.
    pub fn lines(&self) -> Vec<String> {
        let line = |command: &Command| {
            let query = command.query.as_deref().unwrap_or("-");
            let error = command.error.as_deref().map(|error| format!(" {error}")).unwrap_or_default();
            let end = if command.end_ns.is_some() { "" } else { " unanswered" };
            let inferred = if command.inferred { " inferred" } else { "" };
            format!("{query}{error}{end}{inferred}")
        };
        self.told.iter().map(line).collect()
    }
}

fn collect(told: &mut Vec<Command>) -> impl FnMut(Message<'_>) {
    |message| match message {
        Message::Command(command) => told.push(command.clone()),
        other => panic!("commands are told, not {other:?}"),
    }
}

fn run<P: Parser + Default>(session: &CorpusSession) -> CommandConnection<P> {
    let mut commands = CommandConnection::default();
    for (time_ns, arrival_ns, step) in &session.steps {
        match step.segment(*time_ns, *arrival_ns) {
            Ok(segment) => {
                commands.segment(segment);
            }
            Err(ending) => commands.end_at(*time_ns, ending),
        }
    }
    commands
}

fn golden(told: &[Command]) -> Value {
    let us = |ns: u64| ns / 1_000;
    let one = |command: &Command| {
        corpus::present(json!({
            "side": if command.server { "server" } else { "client" },
            "operation": command.operation,
            "statement": command.statement,
            "target": command.target,
            "query": command.query,
            "database": command.database,
            "error": command.error,
            "rows": command.rows,
            "start_us": us(command.start_ns),
            "first_byte_us": command.first_byte_ns.map(us),
            "end_us": command.end_ns.map(us),
            "request_wire": command.request_wire,
            "response_wire": command.response_wire,
            "inferred": command.inferred.then_some(true),
            "missing_bytes": (command.missing_bytes > 0).then_some(command.missing_bytes),
        }))
    };
    told.iter().map(one).collect()
}

/// Each connection comes to its golden commands, all of them exact.
pub(super) fn comes_to_its_golden_commands<P: Parser + Default>(folder: &str) {
    for session in corpus::sessions(folder) {
        let mut commands = run::<P>(&session);
        session.assert_golden(folder, &golden(&commands.told));
        let Stats { desyncs, orphans, evicted, .. } = commands.parser.take_stats();
        assert_eq!((desyncs, orphans, evicted), (0, 0, 0), "{}", session.name);
        assert!(commands.told.iter().all(|command| !command.inferred), "{}", session.name);
        assert!(!commands.parser.is_open(), "{}", session.name);
    }
}

/// None of these words, which are in the traffic, is told.
pub(super) fn tells_nothing_of<P: Parser + Default>(folder: &str, secrets: &[&str]) {
    for session in corpus::sessions(folder) {
        let told = golden(&run::<P>(&session).told).to_string();
        for secret in secrets {
            assert!(!told.contains(*secret), "{} tells {secret}", session.name);
        }
    }
}

/// However the bytes are cut into segments, the same is told.
pub(super) fn every_split<P: Parser + Default>(folder: &str) {
    for session in corpus::sessions(folder) {
        let expected = run::<P>(&session).told;
        for (at, (_, _, step)) in session.steps.iter().enumerate() {
            let CorpusStep::Bytes(_, bytes) = step else { continue };
            // Of long answers only some places: all of them take minutes.
            let stride = 1 + bytes.len() / 600;
            for place in (1..bytes.len()).step_by(stride) {
                let split = session.cut(|index, _| if index == at { vec![place] } else { vec![] });
                assert_eq!(run::<P>(&split).told, expected, "{} step {at} byte {place}", session.name);
            }
        }
        for size in 1..20 {
            let pieces = session.cut(|_, bytes| (1..bytes.len()).filter(|place| place % size == 0).collect());
            assert_eq!(run::<P>(&pieces).told, expected, "{} in pieces of {size}", session.name);
        }
    }
}

/// Wherever the traffic stops, what was told until then stays.
pub(super) fn every_prefix<P: Parser + Default>(folder: &str) {
    for session in corpus::sessions(folder) {
        let expected = run::<P>(&session).told;
        for (at, (time_ns, arrival_ns, step)) in session.steps.iter().enumerate() {
            let CorpusStep::Bytes(direction, bytes) = step else { continue };
            let stride = 1 + bytes.len() / 600;
            for place in (0..bytes.len()).step_by(stride) {
                let mut steps = session.steps[..at].to_vec();
                steps.push((*time_ns, *arrival_ns, CorpusStep::Bytes(*direction, bytes[..place].to_vec())));
                let mut commands = run::<P>(&CorpusSession { name: session.name.clone(), steps });
                assert_eq!(commands.told, expected[..commands.told.len()], "{} step {at} byte {place}", session.name);
                commands.end_at(*time_ns, Ending::Closed);
                assert!(commands.told.iter().all(|command| !command.inferred) && !commands.parser.is_open(), "{}", session.name);
            }
        }
    }
}

/// Begun at any segment, what is told as exact is among the commands of the whole connection, as far as `same` compares them.
pub(super) fn begun_at_any_segment<P: Parser + Default>(folder: &str, same: fn(&Command, &Command) -> bool) {
    for session in corpus::sessions(folder) {
        let expected = run::<P>(&session).told;
        for from in 0..session.steps.len() {
            let late = CorpusSession { name: session.name.clone(), steps: session.steps[from..].to_vec() };
            let told = run::<P>(&late).told;
            assert!(told.len() <= expected.len(), "{} from {from}", session.name);
            for command in told.iter().filter(|command| !command.inferred && command.end_ns.is_some()) {
                let whole = expected.iter().find(|whole| same(whole, command));
                assert!(whole.is_some(), "{} from {from}: {command:?}", session.name);
            }
        }
    }
}
