//! The corpus, `tests/corpus/http1`: traffic of real servers and clients, one connection a file, with the exchanges that it comes to
//! beside it (`UPDATE_GOLDEN=1` writes them anew). Format: `tests/corpus/http1/README.md`.
use serde_json::{Value, json};

use super::*;
use crate::proto::corpus;
pub(super) use crate::proto::corpus::{CorpusSession, CorpusStep};
use crate::stream::Failure;

/// All connections of the corpus.
pub(super) fn sessions() -> Vec<CorpusSession> {
    corpus::sessions("http1")
}

impl CorpusSession {
    /// Runs it and returns the connection.
    pub(super) fn run(&self) -> Connection {
        let mut connection = Connection::new();
        for (time_ns, arrival_ns, step) in &self.steps {
            connection.step(*time_ns, *arrival_ns, step);
        }
        connection
    }
}

impl Connection {
    pub(super) fn step(&mut self, time_ns: u64, arrival_ns: Option<u64>, step: &CorpusStep) {
        match step.segment(time_ns, arrival_ns) {
            Ok(segment) => {
                self.chunk_at(time_ns, arrival_ns, segment.direction, segment.content);
            }
            Err(ending) => self.end_at(time_ns, ending),
        }
    }
}

/// An exchange as golden JSON: what is not default.
fn golden(exchange: &Exchange) -> Value {
    let us = |ns: u64| ns / 1_000;
    corpus::present(json!({
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
    }))
}

#[test]
fn the_corpus_comes_to_its_golden_exchanges() {
    for session in sessions() {
        let golden: Vec<_> = session.run().done.iter().map(golden).collect();
        session.assert_golden("http1", &Value::Array(golden));
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
