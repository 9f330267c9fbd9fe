//! The corpus, `tests/corpus/mongodb`.
use super::MongoDb;
use crate::proto::command_connection as check;

#[test]
fn the_corpus_comes_to_its_golden_commands() {
    check::comes_to_its_golden_commands::<MongoDb>("mongodb");
}

#[test]
fn no_literal_of_the_corpus_is_told() {
    check::tells_nothing_of::<MongoDb>("mongodb", &["canary", "SCRAM", "PyMongo", "n=shop"]);
}

#[test]
fn every_split() {
    check::every_split::<MongoDb>("mongodb");
}

#[test]
fn every_prefix() {
    check::every_prefix::<MongoDb>("mongodb");
}

#[test]
fn begun_at_any_segment_it_finds_the_commands_that_follow() {
    check::begun_at_any_segment::<MongoDb>("mongodb", |whole, command| whole.start_ns == command.start_ns);
}
