//! Losses, joining midway, encryption, and what is remembered.
use super::*;
use crate::proto::{HandOver, Successor};

#[test]
fn after_a_lost_answer_the_next_command_of_an_idle_server_is_exact() {
    let mut commands = opened();
    commands.bytes(IN, &query("select 1"));
    commands.content(OUT, Content::Lost(100));
    commands.bytes(IN, &query("select a from b"));
    commands.bytes(OUT, &complete("SELECT 1"));
    commands.bytes(IN, &query("select c from d"));
    commands.bytes(OUT, &complete("SELECT 3"));
    assert_eq!(commands.lines(), ["select ? unanswered inferred", "select a from b inferred", "select c from d"]);
    assert_eq!((commands.told[0].missing_bytes, commands.told[2].rows), (100, Some(3)));
    assert_eq!(commands.parser.take_stats().desyncs, 1);
}

#[test]
fn rows_that_are_not_captured_cost_nothing() {
    let mut commands = opened();
    commands.bytes(IN, &query("select * from big"));
    let row = message(b'D', &[0; 5_000]);
    commands.bytes(OUT, &row[..100]);
    commands.content(OUT, Content::Gap(row.len() as u64 - 100));
    commands.bytes(OUT, &complete("SELECT 1"));
    assert_eq!(commands.lines(), ["select * from big"]);
    assert_eq!(commands.parser.take_stats().desyncs, 0);
}

#[test]
fn a_statement_of_megabytes_is_cut() {
    let mut commands = opened();
    let wire = query(&format!("insert into t values ('{}')", "secret".repeat(400_000)));
    for piece in wire.chunks(65_536) {
        commands.bytes(IN, piece);
        assert!(commands.parser.heap_bytes() < 64 << 10);
    }
    commands.bytes(OUT, &complete("INSERT 0 1"));
    assert_eq!(commands.lines(), ["insert into t values ( ..."]);
    assert_eq!((commands.told[0].request_wire, commands.told[0].rows), (wire.len() as u64, Some(1)));
}

fn execute(statement: &str) -> Vec<u8> {
    let bind = message(b'B', format!("\0{statement}\0\0\0\0\0\0\0").as_bytes());
    [bind, message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat()
}

fn executed(tag: &str) -> Vec<u8> {
    [message(b'2', b""), complete(tag)].concat()
}

#[test]
fn joined_midway_a_statement_is_its_name() {
    let mut commands = PostgresCommands::default();
    for _ in 0..3 {
        commands.bytes(IN, &execute("S_1"));
        commands.bytes(OUT, &executed("UPDATE 2"));
    }
    let last = commands.told.last().unwrap();
    assert_eq!((last.statement.as_deref(), last.query.as_deref(), last.operation.as_deref()), (Some("S_1"), None, Some("UPDATE")));
    assert_eq!((last.rows, last.inferred, last.server), (Some(2), false, true));
    // Prepared while perfmon looks, it has its text.
    let parse = message(b'P', b"S_1\0select a from b where c = $1\0\0\0");
    commands.bytes(IN, &[parse, execute("S_1")].concat());
    commands.bytes(OUT, &[message(b'1', b""), executed("SELECT 1")].concat());
    let last = commands.told.last().unwrap();
    assert_eq!((last.statement.as_deref(), last.query.as_deref()), (Some("S_1"), Some("select a from b where c = ?")));
}

#[test]
fn what_the_server_skips_after_an_error_is_no_command() {
    let mut commands = opened();
    let parse = |sql: &str| message(b'P', format!("\0{sql}\0\0\0").as_bytes());
    let unit = |sql| [parse(sql), message(b'B', b"\0\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0")].concat();
    commands.bytes(IN, &[unit("select 1"), unit("select 1/0"), unit("select 2"), message(b'S', b"")].concat());
    let good = [message(b'1', b""), message(b'2', b""), message(b'C', b"SELECT 1\0")].concat();
    let bad =
        [message(b'1', b""), message(b'2', b""), message(b'E', b"SERROR\0C22012\0Mdivision by zero\0\0"), message(b'Z', b"I")].concat();
    commands.bytes(OUT, &[good, bad].concat());
    assert_eq!(commands.lines(), ["select ?", "select ? / ? 22012"]);
    assert!(!commands.parser.is_open());
}

#[test]
fn encryption_hands_the_connection_over() {
    let mut commands = PostgresCommands::default();
    commands.bytes(IN, b"\0\0\0\x08\x04\xd2\x16\x2f");
    assert_eq!(commands.bytes(OUT, b"S"), Demand::HandOver);
    assert!(matches!(commands.parser.hand_over(), Some(HandOver { successor: Successor::Detected, .. })));
    let mut commands = PostgresCommands::default();
    commands.bytes(IN, b"\0\0\0\x08\x04\xd2\x16\x30");
    commands.bytes(OUT, b"N");
    commands.bytes(IN, b"\0\0\0\x08\x04\xd2\x16\x2f");
    commands.bytes(OUT, b"N");
    commands.bytes(IN, &startup());
    commands.bytes(OUT, &[message(b'R', &[0; 4]), message(b'Z', b"I")].concat());
    commands.bytes(IN, &query("select 1"));
    commands.bytes(OUT, &complete("SELECT 1"));
    assert_eq!((commands.lines(), commands.told[0].database.as_deref()), (vec!["select ?".to_owned()], Some("shop")));
}

#[test]
fn names_of_statements_are_bounded() {
    let mut commands = opened();
    for number in 0..10_000 {
        commands.bytes(IN, &message(b'P', format!("s{number}\0select {number}\0\0\0").as_bytes()));
        commands.bytes(IN, &message(b'S', b""));
        commands.bytes(OUT, &[message(b'1', b""), message(b'Z', b"I")].concat());
    }
    assert!(commands.parser.heap_bytes() < 2 << 20, "{}", commands.parser.heap_bytes());
    assert!(commands.parser.take_stats().evicted > 0);
}

#[test]
fn what_is_no_postgresql_is_given_up() {
    let mut commands = opened();
    let mut demands = (0..200).map(|_| commands.bytes(IN, b"\x00\x01\x02"));
    assert!(demands.any(|demand| demand == Demand::Count));
}
