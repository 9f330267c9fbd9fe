//! Protocols: any segments, gaps and ends in any order. No panic, bounded memory, nothing left under way at the end, nothing told twice.
use perfmon_user::proto::detect::{Opening, detect as detected};
use perfmon_user::proto::dns::{DnsParser, DnsPassage, QuestionTable};
use perfmon_user::proto::exchange::{Exchange, Part};
use perfmon_user::proto::frame::FramePart;
use perfmon_user::proto::http1::{HEAD_BYTES, Http1, PIPELINE};
use perfmon_user::proto::memcached::Memcached;
use perfmon_user::proto::mongodb::MongoDb;
use perfmon_user::proto::mysql::MySql;
use perfmon_user::proto::postgres::Postgres;
use perfmon_user::proto::redis::Redis;
use perfmon_user::proto::websocket::{Handshake, WebSocket};
use perfmon_user::proto::{Message, Parser, Sink};
use perfmon_user::stream::{Content, Direction, Ending};
use perfmon_user::tls::hello::{Hello, HelloInfo};
use perfmon_user::tls::record::{HEADER, RecordHeader, RecordWalk, Walked, headers};

use crate::connection::{Operation, operations};

/// Gives a parser operations, within so many bytes of memory; the time of the last segment.
fn feed(data: &[u8], parser: &mut impl Parser, most_bytes: usize, sink: &mut dyn Sink) -> u64 {
    let mut last_ns = 0;
    for operation in operations(data) {
        match operation {
            Operation::Segment(segment) => {
                last_ns = segment.stamp.time_ns;
                parser.push(segment, sink);
            }
            Operation::End(ending, time_ns) => parser.end(ending, time_ns, sink),
        }
        assert!(parser.heap_bytes() < most_bytes, "memory is bounded");
    }
    last_ns
}

/// Operations.
pub fn http1(data: &[u8]) {
    let (mut parser, mut last_id) = (Http1::new(), None);
    let mut sink = |message: Message<'_>| {
        if let Message::Exchange(Part::Done(exchange)) = message {
            assert!(last_id.is_none_or(|last| last < exchange.id), "exchanges end in order");
            last_id = Some(exchange.id);
        }
    };
    let last_ns = feed(data, &mut parser, 4 * HEAD_BYTES + PIPELINE * 4_096, &mut sink);
    parser.settle(last_ns + 2_000_000_000, &mut sink);
    parser.end(Ending::Forgotten, last_ns + 2_000_000_000, &mut sink);
    parser.pending(&mut |_| panic!("nothing is under way after the end"));
}

/// Operations.
pub fn redis(data: &[u8]) {
    commands(data, Redis::new());
}

/// Operations.
pub fn postgres(data: &[u8]) {
    commands(data, Postgres::new());
}

/// Operations.
pub fn mysql(data: &[u8]) {
    commands(data, MySql::new());
}

/// Operations.
pub fn memcached(data: &[u8]) {
    commands(data, Memcached::new());
}

/// Operations on a connection, whose messages are joined to questions.
pub fn dns(data: &[u8]) {
    let (mut parser, mut table, mut asked, mut told) = (DnsParser::new(), QuestionTable::default(), 0, Vec::new());
    let mut sink = |message: Message<'_>| {
        if let Message::Name(message, time_ns) = message {
            asked += if message.is_answer { 0 } else { message.questions.len() };
            let id = u64::from(message.id & 3);
            table.message(DnsPassage { pid: (id & 1) as u32, socket: id, server: None, time_ns }, message, &mut told);
        }
    };
    feed(data, &mut parser, 64 << 10, &mut sink);
    table.expire(1 << 63, &mut told);
    assert!(table.is_empty(), "nothing is under way after silence");
    let attempts: usize = told.iter().map(|answered| answered.question.attempts as usize).sum();
    assert!(attempts <= asked && told.iter().all(|answered| answered.question.attempts > 0), "told more than was asked");
    assert!(told.iter().all(|answered| answered.question.end_ns.is_none_or(|end_ns| end_ns >= answered.question.start_ns)));
}

/// Operations.
pub fn mongodb(data: &[u8]) {
    commands(data, MongoDb::new());
}

fn commands(data: &[u8], mut parser: impl Parser) {
    let mut told = Vec::new();
    let mut sink = |message: Message<'_>| {
        if let Message::Command(command) = message {
            assert!(command.end_ns.is_none_or(|end_ns| end_ns >= command.start_ns), "an answer ends behind its command's beginning");
            told.push(command.id);
        }
    };
    let last_ns = feed(data, &mut parser, 2 << 20, &mut sink);
    parser.end(Ending::Forgotten, last_ns, &mut sink);
    assert!(!parser.is_open(), "nothing is under way after the end");
    let count = told.len();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), count, "no command is told twice");
}

/// A byte of options, then operations of a session.
pub fn websocket(data: &[u8]) {
    let Some((options, rest)) = data.split_first() else { return };
    let exchange = Exchange { server: options & 1 == 0, ..Exchange::default() };
    let mut parser = WebSocket::new(Box::new(Handshake { exchange, deflate: options & 2 == 0 }));
    let mut sessions = 0;
    let mut sink = |message: Message<'_>| {
        if let Message::Frame(FramePart::Done(session)) = message {
            sessions += 1;
            for totals in [session.received, session.sent] {
                assert!(totals.messages * 2 <= totals.wire_bytes && totals.payload_bytes <= totals.wire_bytes, "more than passed");
            }
        }
    };
    let last_ns = feed(rest, &mut parser, 4_096, &mut sink);
    parser.end(Ending::Forgotten, last_ns, &mut sink);
    assert!(sessions == 1 && !parser.is_open(), "one session is told, whatever passed");
}

/// The beginning of a stream: the answer for more bytes never takes a `Yes` or `No` back within the budget.
pub fn detect(data: &[u8]) {
    for direction in Direction::BOTH {
        detected(&Opening::of_stream(direction, data));
    }
}

/// Operations on one direction of a TLS connection.
pub fn tls(data: &[u8]) {
    let (mut walk, mut hello, mut total, mut content_bytes) = (RecordWalk::default(), Hello::default(), 0_u64, 0);
    for operation in operations(data) {
        let Operation::Segment(segment) = operation else { continue };
        total += segment.content.len();
        walk.push(segment.content, &mut |walked| {
            hello.push(walked);
            match walked {
                Walked::Record { begins, .. } => assert!(begins + HEADER as u64 <= total, "a record stands inside its stream"),
                Walked::Fragment(fragment) => content_bytes += fragment.len() as u64,
                Walked::Hole | Walked::Hidden(_) | Walked::Foreign => {}
            }
        });
        assert!(content_bytes <= total, "nothing is told twice");
        if let Some(HelloInfo::Client { server_name: Some(name) }) = hello.take() {
            assert!(!name.is_empty() && name.len() <= 253, "a host name");
        }
        if let Content::Bytes(bytes) = segment.content {
            assert!(headers(bytes).count() <= bytes.len() / HEADER, "each header has its bytes");
            let _header_or_not = RecordHeader::of(bytes);
        }
    }
}

/// A byte that says how large the pieces are, the content of the first handshake records: the same is said however it is cut, and garbage has no
/// server name.
pub fn hello(data: &[u8]) {
    let Some((piece, content)) = data.split_first() else { return };
    let read = |piece: usize| {
        let mut hello = Hello::default();
        for piece in content.chunks(piece) {
            hello.push(Walked::Fragment(piece));
        }
        (hello.take(), hello.is_over())
    };
    let whole = read(usize::MAX);
    if let Some(HelloInfo::Client { server_name: Some(name) }) = &whole.0 {
        assert!(!name.is_empty() && name.len() <= 253 && name.bytes().all(|byte| byte.is_ascii_graphic()), "a host name, not {name:?}");
    }
    assert_eq!(read(usize::from(*piece) + 1), whole, "in pieces of {}", usize::from(*piece) + 1);
}
