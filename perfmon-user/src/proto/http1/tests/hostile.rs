//! Heads that are endless, countless or no heads at all: memory stays bounded, the exchange fails, the next one is fine.
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
const REFUSED: &str = "HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
/// What a connection may hold while it reads a head.
const BOUND: usize = 2 * (64 * 1024 + 4_096) + 4_096;

fn feed(connection: &mut Connection, direction: Direction, bytes: &[u8], piece: usize) {
    for piece in bytes.chunks(piece) {
        connection.bytes(direction, piece);
        let held = connection.parser.heap_bytes();
        assert!(held <= BOUND, "{held} bytes held");
    }
}

#[test]
fn a_head_of_64_kib_is_parsed() {
    let cookies: String = (0..416).map(|i| format!("X-{i}: {}\r\n", "v".repeat(150))).collect();
    let request = format!("GET /a HTTP/1.1\r\n{cookies}Host: last.example\r\n\r\n");
    assert!(request.len() > 63 * 1024);
    for piece in [1, 1_460, 16_384, request.len()] {
        let mut connection = Connection::new();
        feed(&mut connection, Direction::In, request.as_bytes(), piece);
        connection.send(OK);
        assert_eq!(connection.summary(), ["GET /a 200"], "{piece}");
        assert_eq!(connection.done[0].host.as_deref(), Some("last.example"));
    }
}

#[test]
fn a_hundred_thousand_headers() {
    let request = format!("GET /a HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100_000));
    for piece in [100, 4_096, 1 << 20] {
        let mut connection = Connection::new();
        feed(&mut connection, Direction::In, request.as_bytes(), piece);
        connection.send(REFUSED);
        connection.recv(NEXT);
        connection.send(OK);
        assert_eq!(connection.summary(), ["GET /a 431 Protocol", "GET /next 200"], "{piece}");
        assert_eq!(connection.done[0].request_wire, request.len() as u64);
        assert_eq!(connection.stats().heads_too_long, 1);
    }
}

#[test]
fn many_headers_in_a_head_of_lawful_length() {
    let request = format!("GET /a HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(5_000));
    let mut connection = Connection::new();
    connection.recv(format!("{request}{NEXT}"));
    connection.send(format!("{REFUSED}{OK}"));
    assert_eq!(connection.summary(), ["GET /a 431 Protocol", "GET /next 200"]);
}

#[test]
fn lines_without_end() {
    for begin in ["GET /a HTTP/1.1\r\nX: ", "GET /", "POST /a HTTP/1.1\r\nContent-Length: 3\r\nX"] {
        let mut connection = Connection::new();
        feed(&mut connection, Direction::In, format!("{begin}{}", "a".repeat(300_000)).as_bytes(), 1_000);
        connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        connection.recv(NEXT);
        connection.send(OK);
        let summary = connection.summary();
        assert!(summary[0].ends_with(" 400 Protocol"), "{summary:?}");
        assert_eq!(summary[1..], ["GET /next 200"]);
    }
}

#[test]
fn a_hostile_answer_fails_its_exchange() {
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(50_000));
    for answer in [&endless, "<html>no head</html>", "HTTP/1.1 999999\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"] {
        let mut connection = Connection::new();
        connection.recv(NEXT);
        connection.send(OK);
        connection.recv(NEXT);
        feed(&mut connection, Direction::Out, answer.as_bytes(), 4_096);
        connection.recv(NEXT);
        connection.send(OK);
        let summary = connection.summary();
        assert!(summary[1].contains(" Protocol"), "{summary:?}");
        assert_eq!(summary[2..], ["GET /next 200"]);
    }
}

#[test]
fn a_request_that_is_no_http_fails_alone() {
    let broken = [
        "\u{1}\u{2}\u{3}\r\n\r\n",
        "GET\r\n\r\n",
        "GET /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "GET /a HTTP/3.0\r\n\r\n",
    ];
    for broken in broken {
        let mut connection = Connection::new();
        connection.recv(NEXT);
        connection.send(OK);
        connection.recv(broken);
        connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        connection.recv(NEXT);
        connection.send(OK);
        let summary = connection.summary();
        assert!(summary[1].ends_with(" 400 Protocol"), "{summary:?}");
        assert_eq!((summary.len(), &summary[2][..]), (3, "GET /next 200"), "{broken:?}");
    }
}

#[test]
fn a_server_that_understands_what_this_parser_does_not_is_right() {
    let mut connection = Connection::new();
    connection.recv(format!("GET /a HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(5_000)));
    connection.send(OK);
    assert_eq!(connection.summary(), ["GET /a 200 ~"]);
}

#[test]
fn broken_chunks_fail_the_exchange() {
    let mut connection = Connection::new();
    connection.recv(NEXT);
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc");
    connection.end(Ending::LocalClosed);
    assert_eq!(connection.summary(), ["GET /next 200 Protocol"]);
}

#[test]
fn countless_pipelined_requests() {
    let mut connection = Connection::new();
    for i in 0..5_000 {
        connection.recv(format!("GET /{i} HTTP/1.1\r\n\r\n"));
    }
    assert!(connection.parser.heap_bytes() < 2 * 1_024 * 1_024);
    assert_eq!(connection.stats().evicted, 5_000 - 1_024);
    for i in 0..5_000 {
        connection.send(format!("HTTP/1.1 200 OK\r\nX: {i}\r\nContent-Length: 0\r\n\r\n"));
    }
    connection.recv(NEXT);
    connection.send(OK);
    let summary = connection.summary();
    assert_eq!(summary.len(), 5_001);
    assert_eq!((&summary[0][..], &summary[4_999][..], &summary[5_000][..]), ("GET /0 - ~", "GET /4999 200", "GET /next 200"));
}

#[test]
fn an_answer_that_waits_keeps_little() {
    let mut connection = Connection::new();
    let now_ns = 1_000;
    connection.chunk_at(now_ns, None, Direction::Out, Content::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"));
    for _ in 0..1_000 {
        connection.chunk_at(now_ns, None, Direction::Out, Content::Bytes(&[b'x'; 10_000]));
        assert!(connection.parser.heap_bytes() < 100_000);
    }
    assert_eq!((connection.stats().orphans, connection.done.len()), (1, 0));
}
