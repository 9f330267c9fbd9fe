//! The corpus, `tests/corpus/memcached`.
use super::Memcached;
use crate::proto::command_connection as check;

#[test]
fn the_corpus_comes_to_its_golden_commands() {
    check::comes_to_its_golden_commands::<Memcached>("memcached");
}

#[test]
fn no_key_or_value_of_the_corpus_is_told() {
    check::tells_nothing_of::<Memcached>("memcached", &["canary"]);
}

#[test]
fn every_split() {
    check::every_split::<Memcached>("memcached");
}

#[test]
fn every_prefix() {
    check::every_prefix::<Memcached>("memcached");
}

#[test]
fn begun_at_any_segment_it_finds_the_commands_that_follow() {
    check::begun_at_any_segment::<Memcached>("memcached", |whole, command| {
        (whole.start_ns, &whole.query) == (command.start_ns, &command.query)
    });
}
