//! The corpus, `tests/corpus/mysql`.
use super::MySql;
use crate::proto::command_connection as check;

#[test]
fn the_corpus_comes_to_its_golden_commands() {
    check::comes_to_its_golden_commands::<MySql>("mysql");
}

#[test]
fn no_literal_of_the_corpus_is_told() {
    check::tells_nothing_of::<MySql>("mysql", &["canary", "mysql_native_password"]);
}

#[test]
fn every_split() {
    check::every_split::<MySql>("mysql");
}

#[test]
fn every_prefix() {
    check::every_prefix::<MySql>("mysql");
}

#[test]
fn begun_at_any_segment_it_finds_the_commands_that_follow() {
    check::begun_at_any_segment::<MySql>("mysql", |whole, command| whole.start_ns == command.start_ns);
}
