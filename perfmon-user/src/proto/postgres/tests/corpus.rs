//! The corpus, `tests/corpus/postgres`.
use super::Postgres;
use crate::proto::command_connection as check;

#[test]
fn the_corpus_comes_to_its_golden_commands() {
    check::comes_to_its_golden_commands::<Postgres>("postgres");
}

#[test]
fn no_literal_of_the_corpus_is_told() {
    check::tells_nothing_of::<Postgres>("postgres", &["hunter2", "canary", "alice", "carol", "dora", "SCRAM", "wrong"]);
}

#[test]
fn every_split() {
    check::every_split::<Postgres>("postgres");
}

#[test]
fn every_prefix() {
    check::every_prefix::<Postgres>("postgres");
}

#[test]
fn begun_at_any_segment_it_finds_the_commands_that_follow() {
    check::begun_at_any_segment::<Postgres>("postgres", |whole, command| whole.start_ns == command.start_ns);
}
