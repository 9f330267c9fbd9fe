//! Losses: what gaps do to commands and answers, and how the place is found again.
use super::*;

#[test]
fn a_gap_inside_a_value_costs_nothing() {
    let mut commands = MemcachedCommands::default();
    commands.bytes(IN, b"set a:1 0 0 500\r\nxx");
    commands.content(IN, Content::Gap(490));
    commands.bytes(IN, b"12345678\r\n");
    commands.bytes(OUT, b"STORED\r\n");
    commands.bytes(IN, b"get a:1\r\n");
    commands.bytes(OUT, b"VALUE a:1 0 500\r\nx");
    commands.content(OUT, Content::Lost(501));
    commands.bytes(OUT, b"END\r\n");
    assert_eq!(commands.lines(), ["set a:? ?", "get a:?"]);
    assert_eq!((commands.told[0].request_wire, commands.told[1].response_wire), (519, 524));
    assert_eq!(commands.parser.take_stats().desyncs, 0);
}

#[test]
fn after_a_lost_answer_commands_are_inferred_until_rounds_agree() {
    let mut commands = MemcachedCommands::default();
    commands.bytes(IN, b"set a:1 0 0 1\r\nx\r\n");
    commands.content(OUT, Content::Lost(8));
    for _ in 0..4 {
        commands.bytes(IN, b"get b:1\r\n");
        commands.bytes(OUT, b"END\r\n");
    }
    assert_eq!(commands.lines(), ["set a:? ? unanswered inferred", "get b:? inferred", "get b:?", "get b:?", "get b:?"]);
    assert_eq!(commands.told[0].missing_bytes, 8);
}

#[test]
fn an_answer_that_a_command_cannot_have_shows_the_shift() {
    let mut commands = MemcachedCommands::default();
    commands.bytes(IN, b"set a:1 0 0 1\r\nx\r\n");
    commands.bytes(OUT, b"STORED\r\nVALUE a:1 0 1\r\nx\r\nEND\r\n");
    commands.bytes(IN, b"get b:1\r\nget c:1\r\n");
    // The answer to a command that was sent before perfmon looked.
    commands.bytes(OUT, b"VALUE c:1 0 1\r\nx\r\nEND\r\n");
    commands.bytes(OUT, b"ERROR\r\n");
    let lines = commands.lines();
    assert_eq!(lines, ["set a:? ?", "get b:? unanswered inferred", "get c:? unanswered inferred"]);
    assert_eq!(commands.parser.take_stats().orphans, 3);
}

#[test]
fn what_is_no_memcached_is_given_up() {
    let mut commands = MemcachedCommands::default();
    commands.bytes(IN, b"set a:1 0 0 1\r\nx\r\n");
    commands.bytes(OUT, b"STORED\r\n");
    let mut demands = (0..100).map(|_| commands.bytes(IN, b"\x00\x01\n"));
    assert!(demands.any(|demand| demand == Demand::Count));
}

#[test]
fn a_flood_of_commands_keeps_what_has_room_and_counts_the_rest() {
    let mut commands = MemcachedCommands::default();
    let (all, kept) = (20_000, crate::proto::pending::COMMANDS);
    commands.bytes(IN, b"set a:1 0 0 1\r\nx\r\n");
    commands.bytes(OUT, b"STORED\r\n");
    for _ in 0..all / 100 {
        commands.bytes(IN, &b"get a:1\r\n".repeat(100));
    }
    assert!(commands.parser.heap_bytes() < 8 << 20);
    commands.bytes(OUT, &b"END\r\n".repeat(all));
    assert_eq!(commands.told.len(), kept + 1);
    let stats = commands.parser.take_stats();
    assert_eq!((stats.evicted, stats.orphans), ((all - kept) as u64, 0));
    commands.bytes(IN, &b"mg a:1 q\r\n".repeat(2_000));
    assert_eq!(commands.told.len(), kept + 1 + 2_000 - super::super::talk::QUIET, "quiet ones do not pile up");
}
