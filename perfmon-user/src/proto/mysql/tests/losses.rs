//! Losses, joining midway, encryption, compression, and what is remembered.
use super::*;
use crate::proto::{HandOver, Successor};

#[test]
fn both_styles_of_ends_are_read() {
    let mut commands = opened();
    for deprecated in [false, true] {
        for count in [0, 3] {
            commands.bytes(IN, &query("select a from b"));
            commands.bytes(OUT, &rows(count, deprecated));
        }
    }
    assert_eq!(commands.told.iter().map(|command| command.rows).collect::<Vec<_>>(), [Some(0), Some(3), Some(0), Some(3)]);
    assert_eq!(commands.told[0].database.as_deref(), Some("shop"));
}

#[test]
fn after_a_lost_answer_the_next_command_of_an_idle_server_is_exact() {
    let mut commands = opened();
    commands.bytes(IN, &query("select 1"));
    commands.content(OUT, Content::Lost(100));
    commands.bytes(IN, &query("select a from b"));
    commands.bytes(OUT, &rows(1, false));
    commands.bytes(IN, &query("select c from d"));
    commands.bytes(OUT, &rows(3, false));
    assert_eq!(commands.lines(), ["select ? unanswered inferred", "select a from b inferred", "select c from d"]);
    assert_eq!((commands.told[0].missing_bytes, commands.told[2].rows), (100, Some(3)));
}

#[test]
fn an_answer_from_before_a_command_is_not_its_own() {
    let mut commands = opened();
    commands.bytes(IN, &query("select 1"));
    commands.content(OUT, Content::Lost(100));
    // Held back until what follows it is whole.
    let error = packet(1, b"\xff\x7a\x04#42S02no such table");
    commands.bytes(OUT, &[&error[..], &error[..10]].concat());
    commands.now_ns += 5_000_000;
    commands.bytes(IN, &query("select a from b"));
    commands.bytes(OUT, &error[10..]);
    commands.bytes(OUT, &ok(1));
    assert_eq!(commands.lines(), ["select ? unanswered inferred", "select a from b inferred"]);
    assert_eq!((commands.told[1].error.as_deref(), commands.parser.take_stats().orphans), (None, 2));
}

#[test]
fn a_number_that_does_not_follow_is_no_answer() {
    let mut commands = opened();
    commands.bytes(IN, &query("select 1"));
    commands.bytes(OUT, &packet(7, b"\xff\x7a\x04#42S02no such table"));
    assert_eq!(commands.lines(), ["select ? unanswered inferred"]);
    assert_eq!(commands.parser.take_stats().desyncs, 1);
}

#[test]
fn rows_that_are_not_captured_cost_nothing() {
    let mut commands = opened();
    commands.bytes(IN, &query("select * from big"));
    let answer = rows(0, true);
    let end = answer.len() - 11;
    commands.bytes(OUT, &answer[..end]);
    let row = packet(3, &[b'x'; 5_000]);
    commands.bytes(OUT, &row[..100]);
    commands.content(OUT, Content::Gap(row.len() as u64 - 100));
    commands.bytes(OUT, &packet(4, b"\xfe\0\0\x02\0\0\0"));
    assert_eq!((commands.lines(), commands.told[0].rows), (vec!["select * from big".to_owned()], Some(1)));
    assert_eq!(commands.told[0].response_wire, (answer.len() + row.len()) as u64);
}

#[test]
fn a_statement_of_more_than_a_packet_has_its_size() {
    let mut commands = opened();
    let text = format!("\x03insert into t values ('{}')", "secret".repeat(3_000_000));
    let (first, second) = text.as_bytes().split_at(0xff_ffff);
    let wire = [&[0xff, 0xff, 0xff, 0][..], first, &packet(1, second)].concat();
    for piece in wire.chunks(65_536) {
        commands.bytes(IN, piece);
        assert!(commands.parser.heap_bytes() < 64 << 10);
    }
    commands.bytes(OUT, &ok(2));
    assert_eq!(commands.lines(), ["insert into t values ( ..."]);
    assert_eq!((commands.told[0].request_wire, commands.told[0].rows), (wire.len() as u64, Some(1)));
}

#[test]
fn joined_midway_a_statement_is_its_number() {
    let mut commands = MySqlCommands::default();
    for _ in 0..3 {
        commands.bytes(IN, &packet(0, b"\x17\x05\0\0\0\0\x01\0\0\0"));
        commands.bytes(OUT, &ok(1));
    }
    let last = commands.told.last().unwrap();
    assert_eq!((last.statement.as_deref(), last.query.as_deref(), last.rows), (Some("5"), None, Some(1)));
    assert!(!last.inferred && last.server);
}

#[test]
fn encryption_hands_over_and_its_plaintext_begins_with_the_login() {
    let mut commands = MySqlCommands::default();
    let greeting = [&b"\x0a8.0.36\0\x01\0\0\0salt5678\0\xff\xff\xff\x02\0\xff\xdf\x15"[..], &[0; 10], b"saltsaltsalt\0"];
    commands.bytes(OUT, &packet(0, &greeting.concat()));
    let request = [&b"\x85\xae\x0a\0\0\0\0\x01\x2d"[..], &[0; 23]].concat();
    assert_eq!(commands.bytes(IN, &packet(1, &request)), Demand::HandOver);
    assert!(matches!(commands.parser.hand_over(), Some(HandOver { successor: Successor::Detected, .. })));
    let mut commands = MySqlCommands::default();
    commands.bytes(IN, &packet(2, &[&request[..], b"u\0\0"].concat()));
    commands.bytes(OUT, &packet(3, b"\x01\x04"));
    commands.bytes(IN, &packet(4, b"password\0"));
    commands.bytes(OUT, &ok(5));
    commands.bytes(IN, &query("select 1"));
    commands.bytes(OUT, &packet(1, b"\xff\x7a\x04#42S02no such table"));
    assert_eq!(commands.lines(), ["select ? 1146"]);
}

#[test]
fn attributes_before_a_text_are_passed() {
    let mut commands = opened();
    commands.bytes(IN, &packet(0, b"\x03\0\x01select a from b"));
    commands.bytes(OUT, &ok(1));
    commands.bytes(IN, &packet(0, b"\x03\x01\x01\0\x01\xfd\0\x03key\x06secretselect c from d"));
    commands.bytes(OUT, &ok(1));
    assert_eq!(commands.lines(), ["select a from b", "select c from d"]);
}

#[test]
fn numbers_of_statements_are_bounded() {
    let mut commands = opened();
    for id in 0..5_000_u32 {
        commands.bytes(IN, &packet(0, b"\x16select 1"));
        commands.bytes(OUT, &packet(1, &[&[0][..], &id.to_le_bytes(), &[0; 7]].concat()));
    }
    assert!(commands.parser.heap_bytes() < 2 << 20 && commands.told.is_empty());
    assert!(commands.parser.take_stats().evicted > 0);
}

#[test]
fn what_is_no_mysql_is_given_up() {
    let mut commands = opened();
    let mut demands = (0..200).map(|_| commands.bytes(IN, b"\x01\0\0\0\x77"));
    assert!(demands.any(|demand| demand == Demand::Count));
    commands.end_at(commands.now_ns, Ending::Forgotten);
    assert!(!commands.parser.is_open());
}
