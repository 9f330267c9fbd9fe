//! Losses: what gaps do to commands and answers, and how the place is found again.
use super::*;

fn get(key: &str) -> Vec<u8> {
    command(&["GET", key])
}

#[test]
fn a_gap_inside_a_value_costs_nothing() {
    let mut commands = RedisCommands::default();
    let wire = command(&["SET", "a:1", &"x".repeat(500)]);
    commands.bytes(IN, &wire[..40]);
    commands.content(IN, Content::Gap(wire.len() as u64 - 50));
    commands.bytes(IN, &wire[wire.len() - 10..]);
    commands.bytes(OUT, b"+OK\r\n");
    commands.bytes(IN, &get("a:1"));
    commands.bytes(OUT, b"$500\r\nxxx");
    commands.content(OUT, Content::Lost(499));
    commands.bytes(IN, &get("a:1"));
    commands.bytes(OUT, b"$1\r\nx\r\n");
    assert_eq!(commands.lines(), ["SET a:? ?", "GET a:?", "GET a:?"]);
    assert_eq!(commands.parser.take_stats().desyncs, 0);
}

#[test]
fn after_a_lost_answer_commands_are_inferred_until_rounds_agree() {
    let mut commands = RedisCommands::default();
    commands.bytes(IN, &get("a:1"));
    commands.content(OUT, Content::Lost(7));
    for _ in 0..4 {
        commands.bytes(IN, &get("b:1"));
        commands.bytes(OUT, b"$1\r\nx\r\n");
    }
    assert_eq!(commands.lines(), ["GET a:? unanswered inferred", "GET b:? inferred", "GET b:?", "GET b:?", "GET b:?"]);
    assert_eq!(commands.told[0].missing_bytes, 7);
    assert_eq!(commands.parser.take_stats().desyncs, 1);
}

#[test]
fn after_a_lost_command_its_answer_is_nobodys() {
    let mut commands = RedisCommands::default();
    commands.bytes(IN, &get("a:1"));
    commands.bytes(OUT, b"$1\r\nx\r\n");
    commands.content(IN, Content::Unknown);
    commands.bytes(OUT, b"$1\r\ny\r\n");
    for _ in 0..4 {
        commands.bytes(IN, &get("b:1"));
        commands.bytes(OUT, b"$1\r\nx\r\n");
    }
    let lines = commands.lines();
    assert_eq!((lines.len(), &lines[0][..], &lines[4][..]), (5, "GET a:?", "GET b:?"), "{lines:?}");
    assert_eq!(commands.parser.take_stats().orphans, 1);
}

#[test]
fn a_frame_is_believed_when_it_ends_with_its_segment_or_another_follows() {
    let mut commands = RedisCommands::default();
    commands.bytes(IN, &get("a:1"));
    commands.bytes(OUT, b"$1\r\nx\r\n");
    commands.content(IN, Content::Lost(100));
    // A value that looks like a command and goes on as something else.
    commands.bytes(IN, &[get("b:1"), b"rest of a value".to_vec()].concat());
    commands.bytes(IN, b"*2\r\n$3\r\nGET\r\n$9999\r\nnever");
    assert_eq!(commands.told.len(), 1);
    let mut commands = RedisCommands::default();
    commands.bytes(IN, &get("a:1"));
    commands.content(OUT, Content::Lost(100));
    commands.bytes(OUT, b"+OK\r\nno answer");
    commands.bytes(IN, &get("b:1"));
    commands.bytes(OUT, b"+OK\r\n");
    assert_eq!(commands.told.len(), 2);
}

#[test]
fn what_is_no_redis_is_given_up() {
    let mut commands = RedisCommands::default();
    commands.bytes(IN, &get("a:1"));
    commands.bytes(OUT, b"$1\r\nx\r\n");
    let mut demands = (0..100).map(|_| commands.bytes(IN, b"\x00\x01\x02"));
    assert!(demands.any(|demand| demand == Demand::Count));
}

#[test]
fn a_flood_of_commands_keeps_what_has_room_and_counts_the_rest() {
    let mut commands = RedisCommands::default();
    let (all, kept) = (20_000, crate::proto::pending::COMMANDS);
    for _ in 0..all / 100 {
        commands.bytes(IN, &get("a:1").repeat(100));
    }
    assert!(commands.parser.heap_bytes() < 8 << 20);
    commands.bytes(OUT, &b"$1\r\nx\r\n".repeat(all));
    assert_eq!(commands.told.len(), kept);
    let stats = commands.parser.take_stats();
    assert_eq!((stats.evicted, stats.orphans), ((all - kept) as u64, 0));
    commands.bytes(IN, &get("b:1"));
    commands.bytes(OUT, b"$1\r\nx\r\n");
    assert_eq!(commands.lines().last().unwrap(), "GET b:?");
}
