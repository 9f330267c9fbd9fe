//! The corpus, `tests/corpus/postgres`.
use serde_json::{Value, json};

use super::*;
use crate::proto::Stats;
use crate::proto::corpus::{self, CorpusSession, CorpusStep};

fn run(session: &CorpusSession) -> PostgresCommands {
    let mut commands = PostgresCommands::default();
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

fn golden(commands: &PostgresCommands) -> Value {
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
    commands.told.iter().map(one).collect()
}

#[test]
fn the_corpus_comes_to_its_golden_commands() {
    for session in corpus::sessions("postgres") {
        let mut commands = run(&session);
        session.assert_golden("postgres", &golden(&commands));
        let Stats { desyncs, orphans, evicted, .. } = commands.parser.take_stats();
        assert_eq!((desyncs, orphans, evicted), (0, 0, 0), "{}", session.name);
        assert!(commands.told.iter().all(|command| !command.inferred), "{}", session.name);
        assert!(!commands.parser.is_open(), "{}", session.name);
    }
}

#[test]
fn no_literal_of_the_corpus_is_told() {
    for session in corpus::sessions("postgres") {
        let told = golden(&run(&session)).to_string();
        for secret in ["hunter2", "canary", "alice", "carol", "dora", "SCRAM", "wrong"] {
            assert!(!told.contains(secret), "{} tells {secret}", session.name);
        }
    }
}

#[test]
fn every_split() {
    for session in corpus::sessions("postgres") {
        let expected = run(&session).told;
        for (at, (_, _, step)) in session.steps.iter().enumerate() {
            let CorpusStep::Bytes(_, bytes) = step else { continue };
            // Of long answers only some places: all of them take minutes.
            let stride = 1 + bytes.len() / 600;
            for place in (1..bytes.len()).step_by(stride) {
                let split = session.cut(|index, _| if index == at { vec![place] } else { vec![] });
                assert_eq!(run(&split).told, expected, "{} step {at} byte {place}", session.name);
            }
        }
        for size in 1..20 {
            let pieces = session.cut(|_, bytes| (1..bytes.len()).filter(|place| place % size == 0).collect());
            assert_eq!(run(&pieces).told, expected, "{} in pieces of {size}", session.name);
        }
    }
}

#[test]
fn every_prefix() {
    for session in corpus::sessions("postgres") {
        let expected = run(&session).told;
        for (at, (time_ns, arrival_ns, step)) in session.steps.iter().enumerate() {
            let CorpusStep::Bytes(direction, bytes) = step else { continue };
            let stride = 1 + bytes.len() / 600;
            for place in (0..bytes.len()).step_by(stride) {
                let mut steps = session.steps[..at].to_vec();
                steps.push((*time_ns, *arrival_ns, CorpusStep::Bytes(*direction, bytes[..place].to_vec())));
                let mut commands = run(&CorpusSession { name: session.name.clone(), steps });
                assert_eq!(commands.told, expected[..commands.told.len()], "{} step {at} byte {place}", session.name);
                commands.end_at(*time_ns, Ending::Closed);
                assert!(commands.told.iter().all(|command| !command.inferred) && !commands.parser.is_open(), "{}", session.name);
            }
        }
    }
}

#[test]
fn begun_at_any_segment_it_finds_the_commands_that_follow() {
    for session in corpus::sessions("postgres") {
        let expected = run(&session).told;
        for from in 0..session.steps.len() {
            let late = CorpusSession { name: session.name.clone(), steps: session.steps[from..].to_vec() };
            let told = run(&late).told;
            assert!(told.len() <= expected.len(), "{} from {from}", session.name);
            for command in told.iter().filter(|command| !command.inferred && command.end_ns.is_some()) {
                let whole = expected.iter().find(|whole| whole.start_ns == command.start_ns);
                assert!(whole.is_some(), "{} from {from}: {command:?}", session.name);
            }
        }
    }
}
