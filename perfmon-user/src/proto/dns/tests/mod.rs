//! Messages, questions under way, and the parser of connections, on messages made by hand after RFC 1035.
mod corpus;

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

use super::message::is_opening;
use super::*;
use crate::proto::question::Question;
use crate::stream::Stamp;

const A: u16 = 1;
const AAAA: u16 = 28;
const SECOND: u64 = 1_000_000_000;

fn name(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = text.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}

/// A message with one question, as resolvers send it.
fn query(id: u16, asked: &str, qtype: u16) -> Vec<u8> {
    [&id.to_be_bytes()[..], b"\x01\0\0\x01\0\0\0\0\0\0", &name(asked), &qtype.to_be_bytes(), b"\0\x01"].concat()
}

/// The answer to it: flags with the code, records in wire form.
fn answer(id: u16, asked: &str, qtype: u16, flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let count = (records.len() as u16).to_be_bytes();
    let head = [&id.to_be_bytes()[..], &flags.to_be_bytes(), b"\0\x01", &count, b"\0\0\0\0"].concat();
    [&head[..], &name(asked), &qtype.to_be_bytes(), b"\0\x01", &records.concat()].concat()
}

/// A record whose name is a pointer to the question's.
fn record(rtype: u16, data: &[u8]) -> Vec<u8> {
    [b"\xc0\x0c", &rtype.to_be_bytes()[..], b"\0\x01\0\0\x01\x2c", &(data.len() as u16).to_be_bytes(), data].concat()
}

fn read(bytes: &[u8]) -> DnsMessage {
    DnsMessage::read(bytes).expect("a message")
}

#[test]
fn a_question_and_its_answer_are_read() {
    let asked = read(&query(7, "API.Example.com", AAAA));
    assert_eq!(
        (asked.id, asked.is_answer, &asked.questions[..]),
        (7, false, &[AskedName { name: "api.example.com".into(), qtype: AAAA }][..])
    );
    let answer = answer(7, "api.example.com", A, 0x8180, &[record(5, &name("web.example.net")), record(1, &[10, 0, 0, 7])]);
    let told = read(&answer);
    assert_eq!((told.is_answer, told.rcode, told.is_cut), (true, 0, false));
    assert_eq!(told.addresses, [(IpAddr::from([10, 0, 0, 7]), 300)]);
    assert_eq!(read(&self::answer(7, "x.example", A, 0x8183, &[])).rcode, 3);
    assert!(read(&self::answer(7, "x.example", A, 0x8380, &[])).is_cut);
}

#[test]
fn the_upper_bits_of_the_code_stand_in_the_record_of_edns() {
    // BADVERS is 16: 1 in the record of EDNS, 0 in the header.
    let mut bytes = answer(1, "x.example", A, 0x8180, &[]);
    bytes[11] = 1;
    bytes.extend_from_slice(b"\0\0\x29\x04\xd0\x01\0\0\0\0\0");
    assert_eq!(read(&bytes).rcode, 16);
}

#[test]
fn names_are_as_in_zone_files() {
    let odd = [&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[4, b'a', b'.', 0x07, b'\\', 3, b'C', b'o', b'M', 0, 0, 1, 0, 1]].concat();
    assert_eq!(read(&odd).questions[0].name, r"a\.\007\\.com");
    let root = [&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0, 0, 2, 0, 1]].concat();
    assert_eq!(read(&root).questions[0], AskedName { name: ".".into(), qtype: 2 });
}

#[test]
fn what_is_no_message_is_refused() {
    let good = query(1, "a.example", A);
    for len in 0..good.len() {
        assert_eq!(DnsMessage::read(&good[..len]), None, "{len} bytes");
    }
    // An update, no question, a name that points to itself, a label of a reserved type, answers in a question.
    for (at, bytes) in [(2, &b"\x28"[..]), (4, b"\0\0"), (12, b"\xc0\x0c"), (12, b"\x80"), (6, b"\0\x01")] {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(DnsMessage::read(&bad), None, "{bad:?}");
    }
    let cut = answer(1, "a.example", A, 0x8183, &[record(1, &[10, 0, 0, 1])]);
    let told = read(&cut[..cut.len() - 3]);
    assert_eq!((told.rcode, told.addresses.len()), (3, 0), "an answer captured in part tells its code");
}

#[derive(Default)]
struct Room {
    table: QuestionTable,
    told: Vec<EndedQuestion>,
}

impl Room {
    fn passes(&mut self, pid: u32, socket: u64, at_ms: u64, bytes: &[u8]) {
        let server = Some(SocketAddr::from(([127, 0, 0, 53], 53)));
        self.table.message(DnsPassage { pid, socket, server, time_ns: at_ms * 1_000_000 }, &read(bytes), &mut self.told);
    }

    /// Name, type, code, attempts, milliseconds, whether it is a conclusion.
    fn told(&mut self) -> Vec<(String, String, String, u32, Option<u64>, bool)> {
        let figures = |EndedQuestion { question, .. }: EndedQuestion| {
            let Question { name, qtype, rcode, attempts, start_ns, end_ns, inferred, .. } = question;
            (name.to_string(), qtype.to_string(), rcode.to_string(), attempts, end_ns.map(|end| (end - start_ns) / 1_000_000), inferred)
        };
        std::mem::take(&mut self.told).into_iter().map(figures).collect()
    }

    fn one(&mut self) -> (String, String, String, u32, Option<u64>, bool) {
        let mut told = self.told();
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0)
    }
}

fn told(
    name: &str,
    qtype: &str,
    rcode: &str,
    attempts: u32,
    ms: Option<u64>,
    inferred: bool,
) -> (String, String, String, u32, Option<u64>, bool) {
    (name.into(), qtype.into(), rcode.into(), attempts, ms, inferred)
}

#[test]
fn both_families_asked_at_once_are_two_questions() {
    let mut room = Room::default();
    room.passes(1, 64, 0, &query(1, "a.example", A));
    room.passes(1, 64, 0, &query(2, "a.example", AAAA));
    room.passes(1, 64, 300, &answer(2, "a.example", AAAA, 0x8180, &[]));
    assert_eq!(room.one(), told("a.example", "AAAA", "NOERROR", 1, Some(300), false));
    room.passes(1, 64, 301, &answer(1, "A.example", A, 0x8183, &[]));
    assert_eq!(room.one(), told("a.example", "A", "NXDOMAIN", 1, Some(301), false));
    assert!(room.table.is_empty() && room.table.is_forgotten());
}

#[test]
fn an_attempt_again_counts_in_the_same_question() {
    let mut room = Room::default();
    // With the same id from another socket, with another id from the same, and anew from another after its time.
    room.passes(1, 64, 0, &query(1, "a.example", A));
    room.passes(1, 128, 10, &query(1, "a.example", A));
    room.passes(1, 128, 5_000, &query(9, "a.example", A));
    room.passes(1, 192, 10_000, &query(3, "a.example", A));
    room.passes(1, 128, 10_020, &answer(9, "a.example", A, 0x8180, &[]));
    assert_eq!(room.one(), told("a.example", "A", "NOERROR", 4, Some(10_020), true));
    room.passes(1, 192, 10_030, &answer(3, "a.example", A, 0x8180, &[]));
    assert_eq!(room.told(), [], "the late answer to another attempt");
    // Two threads ask the same at once.
    room.passes(1, 64, 20_000, &query(1, "a.example", A));
    room.passes(1, 128, 20_001, &query(2, "a.example", A));
    room.passes(1, 128, 20_002, &answer(2, "a.example", A, 0x8180, &[]));
    room.passes(1, 64, 20_003, &answer(1, "a.example", A, 0x8180, &[]));
    assert_eq!(room.told(), [told("a.example", "A", "NOERROR", 1, Some(1), false), told("a.example", "A", "NOERROR", 1, Some(3), false)]);
}

#[test]
fn a_cut_answer_is_asked_for_again() {
    let mut room = Room::default();
    room.passes(1, 64, 0, &query(1, "a.example", 16));
    room.passes(1, 64, 2, &answer(1, "a.example", 16, 0x8380, &[]));
    room.passes(1, 128, 3, &query(1, "a.example", 16));
    room.passes(1, 128, 6, &answer(1, "a.example", 16, 0x8180, &[]));
    assert_eq!(room.one(), told("a.example", "TXT", "NOERROR", 2, Some(6), false));
    // dnspython draws a new id for it; the next question is another one.
    room.passes(1, 64, 10, &query(2, "a.example", 16));
    room.passes(1, 64, 12, &answer(2, "a.example", 16, 0x8380, &[]));
    room.passes(1, 192, 13, &query(8, "a.example", 16));
    room.passes(1, 256, 14, &query(9, "a.example", 16));
    room.passes(1, 192, 16, &answer(8, "a.example", 16, 0x8180, &[]));
    assert_eq!(room.one(), told("a.example", "TXT", "NOERROR", 2, Some(6), true));
    room.passes(1, 256, 17, &answer(9, "a.example", 16, 0x8183, &[]));
    assert_eq!(room.one(), told("a.example", "TXT", "NXDOMAIN", 1, Some(3), false));
}

#[test]
fn silence_is_a_timeout_once_nobody_asks_again() {
    let mut room = Room::default();
    let expire = |room: &mut Room, at_s: u64| room.table.expire(at_s * SECOND, &mut room.told);
    room.passes(1, 64, 0, &query(1, "a.example", A));
    expire(&mut room, 6);
    assert_eq!(room.told(), []);
    room.passes(1, 64, 6_000, &query(1, "a.example", A));
    expire(&mut room, 18);
    assert_eq!(room.told(), [], "the next attempt may come after twice the time");
    expire(&mut room, 20);
    assert_eq!(room.one(), told("a.example", "A", "TIMEOUT", 2, None, false));
    room.passes(1, 64, 20_500, &answer(1, "a.example", A, 0x8180, &[]));
    assert_eq!(room.told(), []);
    // The process ends; another one's question stays.
    room.passes(1, 64, 30_000, &query(1, "a.example", A));
    room.passes(2, 128, 30_000, &query(1, "a.example", A));
    room.table.left(1, &mut room.told);
    assert_eq!((room.one(), room.table.len()), (told("a.example", "A", "TIMEOUT", 1, None, false), 1));
}

#[test]
fn what_may_have_been_answered_is_no_timeout() {
    let mut room = Room::default();
    room.passes(1, 64, 0, &query(1, "a.example", A));
    room.table.lost(1);
    room.passes(1, 64, 0, &query(2, "b.example", A));
    room.table.expire(20 * SECOND, &mut room.told);
    assert_eq!((room.one(), room.table.take_unsure()), (told("b.example", "A", "TIMEOUT", 1, None, false), 1));
}

#[test]
fn answers_of_others_are_none() {
    let mut room = Room::default();
    room.passes(1, 64, 0, &query(1, "a.example", A));
    room.passes(1, 64, 1, &answer(2, "a.example", A, 0x8180, &[]));
    room.passes(1, 64, 1, &answer(1, "b.example", A, 0x8180, &[]));
    room.passes(1, 64, 1, &answer(1, "a.example", AAAA, 0x8180, &[]));
    room.passes(1, 128, 1, &answer(1, "a.example", A, 0x8180, &[]));
    room.passes(2, 64, 1, &answer(1, "a.example", A, 0x8180, &[]));
    assert_eq!((room.told(), room.table.len()), (vec![], 1));
}

#[test]
fn questions_under_way_have_a_cap() {
    let mut room = Room::default();
    for number in 0..10_000_u32 {
        room.passes(1, u64::from(number), 0, &query(1, &format!("n{number}.example"), A));
    }
    assert_eq!((room.table.len(), room.table.take_unsure()), (8_192, 10_000 - 8_192));
    room.table.left(1, &mut room.told);
    assert!(room.table.is_forgotten());
}

fn behind_length(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

/// The messages that a client's parser tells of operations.
fn parsed(operations: &[(Direction, &[u8])]) -> (Vec<DnsMessage>, Option<bool>) {
    let (mut parser, mut told) = (DnsParser::new(), Vec::new());
    for (direction, bytes) in operations {
        let segment = Segment { direction: *direction, stamp: Stamp::default(), content: Content::Bytes(bytes) };
        parser.push(segment, &mut |message: Message<'_>| {
            if let Message::Name(message, _) = message {
                told.push(message.clone());
            }
        });
    }
    (told, parser.serves())
}

#[test]
fn a_connection_is_read_however_it_is_cut() {
    let asked = [behind_length(&query(1, "a.example", A)), behind_length(&query(2, "a.example", AAAA))].concat();
    let long: Vec<Vec<u8>> = (0..400).map(|number| record(16, &[number as u8; 40])).collect();
    let answers =
        [behind_length(&answer(2, "a.example", AAAA, 0x8180, &long)), behind_length(&answer(1, "a.example", A, 0x8183, &[]))].concat();
    let whole = parsed(&[(Direction::Out, &asked), (Direction::In, &answers)]);
    assert_eq!((whole.0.len(), whole.1, whole.0[3].rcode), (4, Some(false), 3));
    for cut in 0..answers.len() {
        let (first, rest) = answers.split_at(cut);
        assert_eq!(parsed(&[(Direction::Out, &asked), (Direction::In, first), (Direction::In, rest)]), whole, "cut at {cut}");
    }
    for cut in 0..asked.len() {
        let (first, rest) = asked.split_at(cut);
        assert_eq!(parsed(&[(Direction::Out, first), (Direction::Out, rest), (Direction::In, &answers)]), whole, "cut at {cut}");
    }
    assert_eq!(parsed(&[(Direction::In, &asked), (Direction::Out, &answers)]), (vec![], Some(true)), "a server's");
}

#[test]
fn behind_a_loss_nothing_is_made_up() {
    let mut parser = DnsParser::new();
    let asked = behind_length(&query(1, "a.example", A));
    let push = |parser: &mut DnsParser, content| {
        parser.push(Segment { direction: Direction::Out, stamp: Stamp::default(), content }, &mut |_: Message<'_>| {})
    };
    assert_eq!(push(&mut parser, Content::Bytes(&asked)), Demand::Full);
    assert_eq!((push(&mut parser, Content::Gap(3)), parser.take_stats().desyncs), (Demand::Count, 1));
}

#[test]
fn a_connection_is_recognised_by_its_first_message() {
    let asked = behind_length(&query(0x1603, "a.example", A));
    let verdict = |bytes: &[u8], late| detect(&Opening { late, ..Opening::of_stream(Direction::Out, bytes) });
    for len in 1..asked.len() {
        let expected = if len < 14 { Verdict::NeedMore } else { Verdict::Yes };
        assert_eq!(verdict(&asked[..len], false), expected, "{len} bytes");
    }
    assert_eq!(verdict(&asked[..5], true), Verdict::No, "seen from the middle on, a piece says nothing");
    assert_eq!(verdict(&behind_length(&answer(1, "a.example", A, 0x8180, &[])), true), Verdict::Yes);
    assert_eq!(verdict(b"\0\0\0\x08\x04\xd2\x16\x2f", false), Verdict::No);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600), cut in 0_usize..600) {
        if let Some(message) = DnsMessage::read(&bytes) {
            prop_assert!(!message.questions.is_empty() && (message.is_answer || is_opening(&bytes)));
            let mut room = Room::default();
            room.passes(1, 64, 0, &bytes);
            room.table.left(1, &mut room.told);
            prop_assert!(room.table.is_forgotten());
        }
        parsed(&[(Direction::Out, &bytes[..cut.min(bytes.len())]), (Direction::In, &bytes)]);
    }
}
