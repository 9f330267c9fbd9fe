//! The corpus, `tests/corpus/redis`.
use super::Redis;
use crate::proto::command_connection as check;

#[test]
fn the_corpus_comes_to_its_golden_commands() {
    check::comes_to_its_golden_commands::<Redis>("redis");
}

#[test]
fn no_literal_of_the_corpus_is_told() {
    check::tells_nothing_of::<Redis>("redis", &["hunter2", "canary", "alice", "hello"]);
}

#[test]
fn every_split() {
    check::every_split::<Redis>("redis");
}

#[test]
fn every_prefix() {
    check::every_prefix::<Redis>("redis");
}

#[test]
fn begun_at_any_segment_it_finds_the_commands_that_follow() {
    check::begun_at_any_segment::<Redis>("redis", |whole, command| (whole.start_ns, &whole.query) == (command.start_ns, &command.query));
}
