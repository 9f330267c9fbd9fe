//! Late attach, answers seen before their requests, answers without any.
use super::*;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

fn at(connection: &mut Connection, time_ns: u64, direction: Direction, bytes: &[u8]) {
    connection.chunk_at(time_ns, None, direction, Content::Bytes(bytes));
}

#[test]
fn an_answer_seen_before_its_request_waits_for_it() {
    let mut connection = Connection::new();
    at(&mut connection, 1_000, Direction::Out, &OK[..30]);
    at(&mut connection, 1_100, Direction::Out, &OK[30..]);
    assert_eq!((connection.told.len(), connection.done.len()), (0, 0));
    at(&mut connection, 900, Direction::In, GET);
    assert_eq!(connection.told, ["0 GET /a", "0 200"]);
    let done = &connection.done[0];
    assert_eq!((done.start_ns, done.first_byte_ns, done.end_ns, done.response_body), (900, Some(1_000), Some(1_100), Some(3)));
    assert_eq!((done.server, done.inferred, connection.stats()), (true, false, Stats::default()));
}

#[test]
fn the_method_of_a_request_that_comes_late_still_frames_the_answer() {
    let mut connection = Connection::new();
    at(&mut connection, 1_000, Direction::In, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
    at(&mut connection, 1_000, Direction::Out, b"HEAD /a HTTP/1.1\r\n\r\n");
    assert_eq!((connection.summary(), connection.done[0].server), (vec!["HEAD /a 200".to_owned()], false));
}

#[test]
fn pipelined_answers_seen_before_their_requests() {
    let mut connection = Connection::new();
    for time_ns in [1, 3] {
        at(&mut connection, time_ns, Direction::In, GET);
        at(&mut connection, time_ns + 1, Direction::Out, OK);
    }
    at(&mut connection, 1_000, Direction::Out, &[OK, OK].concat());
    at(&mut connection, 1_000 + MS, Direction::In, &[GET, GET, GET].concat());
    assert_eq!(connection.summary(), ["GET /a 200"; 4]);
}

#[test]
fn an_answer_whose_request_comes_much_later_is_dropped() {
    let mut connection = Connection::new();
    at(&mut connection, 1, Direction::In, GET);
    at(&mut connection, 2, Direction::Out, OK);
    at(&mut connection, 10, Direction::Out, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    at(&mut connection, 11 + MS, Direction::In, GET);
    at(&mut connection, 12 + MS, Direction::Out, OK);
    assert_eq!(connection.summary(), ["GET /a 200", "GET /a 200"]);
    assert_eq!(connection.stats().orphans, 1);
}

#[test]
fn after_a_late_attach_an_answer_is_not_taken_for_that_of_the_next_request() {
    let mut connection = Connection::new();
    for round in 0..5 {
        let time_ns = round * 20_000;
        at(&mut connection, time_ns + 10_000, Direction::Out, format!("HTTP/1.1 20{round} OK\r\nContent-Length: 0\r\n\r\n").as_bytes());
        at(&mut connection, time_ns + 20_000, Direction::In, format!("GET /{} HTTP/1.1\r\n\r\n", round + 1).as_bytes());
    }
    assert_eq!(connection.summary(), ["GET /1 201", "GET /2 202", "GET /3 203", "GET /4 204"]);
    assert_eq!(connection.stats().orphans, 1);
}

#[test]
fn a_late_attach_in_the_middle_of_bodies_begins_with_the_next_request() {
    let mut connection = Connection::new();
    connection.recv("the rest of an upload, HTTP/1.1 in it");
    connection.recv(b"\x00\xff{\"a\": 1}");
    connection.send(OK);
    connection.send("and more than announced");
    connection.recv(GET);
    connection.send(OK);
    connection.recv(GET);
    connection.send(OK);
    assert_eq!(connection.summary(), ["GET /a 200", "GET /a 200"]);
    assert_eq!((connection.done[0].id, connection.done[0].response_wire), (0, OK.len() as u64));

    let mut connection = Connection::new();
    connection.send("<html> the rest of a page");
    connection.send("PK\x03\x04");
    connection.recv(GET);
    connection.send(OK);
    assert_eq!(connection.summary(), ["GET /a 200"]);
}

#[test]
fn a_late_attach_at_a_short_rest_does_not_swallow_the_next_request() {
    let mut connection = Connection::new();
    connection.recv("abc");
    connection.recv(GET);
    connection.send(OK);
    assert_eq!(connection.summary(), ["GET /a 200"]);
}

#[test]
fn what_is_not_http_is_given_up() {
    let foreign: [&[u8]; 2] = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    for bytes in foreign {
        assert_eq!(Connection::new().recv(bytes), Demand::Count);
    }
    let mut connection = Connection::new();
    let demands: Vec<_> = (0..6).flat_map(|_| [connection.recv(b"*1\r\n$4\r\nPING\r\n"), connection.send("+PONG\r\n")]).collect();
    assert_eq!((demands[6], demands[7]), (Demand::Head, Demand::Count));
    assert_eq!(connection.recv(GET), Demand::Count);
    assert_eq!((connection.summary(), connection.parser.heap_bytes()), (vec![], 0));
}

#[test]
fn a_long_transfer_after_a_late_attach_is_not_given_up() {
    let mut connection = Connection::new();
    for _ in 0..10_000 {
        assert_eq!(connection.send(b"\x01\x02\x03\x04"), Demand::Head);
    }
    connection.recv(GET);
    connection.send(OK);
    assert_eq!(connection.summary(), ["GET /a 200"]);
}
