//! The corpus, `tests/corpus/dns`: what one process asked, over datagrams and connections.
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::proto::corpus::{self, CorpusSession, CorpusStep};

const FOLDER: &str = "dns";

/// The process of a file.
#[derive(Default)]
struct Asker {
    connections: BTreeMap<u64, DnsParser>,
    connection: u64,
    table: QuestionTable,
    told: Vec<(EndedQuestion, Vec<IpAddr>)>,
    desyncs: u64,
}

impl Asker {
    fn of(session: &CorpusSession) -> Self {
        let mut asker = Self::default();
        session.steps.iter().for_each(|(time_ns, arrival_ns, step)| asker.step(*time_ns, *arrival_ns, step));
        asker
    }

    fn step(&mut self, time_ns: u64, arrival_ns: Option<u64>, step: &CorpusStep) {
        let mut silent = Vec::new();
        self.table.expire(time_ns, &mut silent);
        self.told.extend(silent.into_iter().map(|ended| (ended, Vec::new())));
        match step {
            CorpusStep::Connection(number) => self.connection = *number,
            CorpusStep::Datagram(direction, socket, bytes) => {
                let message = read(bytes);
                assert_eq!(message.is_answer, *direction == Direction::In);
                self.message(*socket, time_ns, &message);
            }
            _ => {
                let segment = step.segment(time_ns, arrival_ns).expect("files of this corpus have no ends");
                let mut messages = Vec::new();
                let parser = self.connections.entry(self.connection).or_default();
                parser.push(segment, &mut |message: Message<'_>| {
                    if let Message::Name(message, time_ns) = message {
                        messages.push((time_ns, message.clone()));
                    }
                });
                self.desyncs += parser.take_stats().desyncs;
                messages.iter().for_each(|(time_ns, message)| self.message(self.connection, *time_ns, message));
            }
        }
    }

    fn message(&mut self, socket: u64, time_ns: u64, message: &DnsMessage) {
        let mut told = Vec::new();
        self.table.message(DnsPassage { pid: 1, socket, server: None, time_ns }, message, &mut told);
        let addresses: Vec<IpAddr> = message.addresses.iter().map(|(address, _)| *address).collect();
        self.told.extend(told.into_iter().map(|ended| (ended, addresses.clone())));
    }

    /// What was told once the process has ended.
    fn ended(mut self) -> Vec<(EndedQuestion, Vec<IpAddr>)> {
        let mut silent = Vec::new();
        self.table.left(1, &mut silent);
        assert!(self.table.is_forgotten());
        self.told.extend(silent.into_iter().map(|ended| (ended, Vec::new())));
        self.told
    }
}

fn golden(told: &[(EndedQuestion, Vec<IpAddr>)]) -> Value {
    let us = |ns: u64| ns / 1_000;
    let one = |(EndedQuestion { question, .. }, addresses): &(EndedQuestion, Vec<IpAddr>)| {
        corpus::present(json!({
            "name": question.name,
            "qtype": question.qtype,
            "rcode": question.rcode,
            "attempts": question.attempts,
            "start_us": us(question.start_ns),
            "end_us": question.end_ns.map(us),
            "inferred": question.inferred.then_some(true),
            "addresses": (!addresses.is_empty()).then_some(addresses),
        }))
    };
    told.iter().map(one).collect()
}

#[test]
fn the_corpus_comes_to_its_golden_questions() {
    for session in corpus::sessions(FOLDER) {
        let asker = Asker::of(&session);
        assert_eq!(asker.desyncs, 0, "{}", session.name);
        session.assert_golden(FOLDER, &golden(&asker.ended()));
    }
}

#[test]
fn connections_of_the_corpus_are_read_however_they_are_cut() {
    for session in corpus::sessions(FOLDER) {
        let expected = Asker::of(&session).ended();
        for (at, (_, _, step)) in session.steps.iter().enumerate() {
            let CorpusStep::Bytes(_, bytes) = step else { continue };
            for place in 1..bytes.len() {
                let split = session.cut(|index, _| if index == at { vec![place] } else { vec![] });
                assert_eq!(Asker::of(&split).ended(), expected, "{} step {at} byte {place}", session.name);
            }
        }
        for size in 1..20 {
            let pieces = session.cut(|_, bytes| (1..bytes.len()).filter(|place| place % size == 0).collect());
            assert_eq!(Asker::of(&pieces).ended(), expected, "{} in pieces of {size}", session.name);
        }
    }
}

#[test]
fn what_is_told_of_a_beginning_stays() {
    for session in corpus::sessions(FOLDER) {
        let expected = Asker::of(&session).told;
        for (at, (time_ns, arrival_ns, step)) in session.steps.iter().enumerate() {
            let begun = || CorpusSession { name: session.name.clone(), steps: session.steps[..at].to_vec() };
            let told = Asker::of(&begun()).told;
            assert_eq!(told, expected[..told.len()], "{} step {at}", session.name);
            let CorpusStep::Bytes(direction, bytes) = step else { continue };
            for place in 0..bytes.len() {
                let mut prefix = begun();
                prefix.steps.push((*time_ns, *arrival_ns, CorpusStep::Bytes(*direction, bytes[..place].to_vec())));
                let told = Asker::of(&prefix).told;
                assert_eq!(told, expected[..told.len()], "{} step {at} byte {place}", session.name);
            }
        }
    }
}

#[test]
fn begun_anywhere_or_with_a_loss_no_other_name_is_told() {
    let subjects = |told: &[(EndedQuestion, Vec<IpAddr>)]| -> Vec<(Arc<str>, Arc<str>)> {
        told.iter().map(|(ended, _)| (ended.question.name.clone(), ended.question.qtype.clone())).collect()
    };
    for session in corpus::sessions(FOLDER) {
        let whole = subjects(&Asker::of(&session).ended());
        for (at, (time_ns, _, step)) in session.steps.iter().enumerate() {
            let late = CorpusSession { name: session.name.clone(), steps: session.steps[at..].to_vec() };
            let mut lossy = session.clone();
            match step {
                CorpusStep::Bytes(direction, bytes) => {
                    lossy.steps[at] = (*time_ns, None, CorpusStep::Gap(*direction, bytes.len() as u64));
                }
                _ => drop(lossy.steps.remove(at)),
            }
            for part in [late, lossy] {
                let told = subjects(&Asker::of(&part).ended());
                assert!(told.iter().all(|subject| whole.contains(subject)), "{} step {at}: {told:?}", session.name);
            }
        }
    }
}
