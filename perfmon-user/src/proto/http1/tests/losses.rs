//! Gaps and losses: what is still exact, what is inferred, and how the place is found again.
use super::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const NEXT: &str = "GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

/// The next exchange is whole, with nothing left of what was before.
fn next_is_exact(connection: &mut Connection) {
    let before = connection.done.len();
    connection.recv(NEXT);
    connection.send(OK);
    let next = connection.done.last().unwrap();
    assert_eq!(summary(next), "GET /b 200");
    assert_eq!((next.request_wire, next.response_wire, next.missing_bytes), (NEXT.len() as u64, OK.len() as u64, 0));
    assert!(connection.done.len() - before <= 3);
}

#[test]
fn a_gap_in_a_body_of_known_length_costs_nothing() {
    let mut connection = Connection::new();
    connection.recv("POST /a HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc");
    connection.chunk(Direction::In, Content::Gap(900));
    assert_eq!(connection.chunk(Direction::In, Content::Gap(97)), Demand::Head);
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    connection.chunk(Direction::Out, Content::Gap(99_999));
    connection.send("x");
    assert_eq!(connection.summary(), ["GET /a 200".replace("GET", "POST")]);
    let done = &connection.done[0];
    assert_eq!((done.request_body, done.response_body, done.missing_bytes), (Some(1_000), Some(100_000), 0));
    assert_eq!((done.end_ns, connection.response_bodies.len()), (Some(9 * MS), 100_000));
    next_is_exact(&mut connection);
}

#[test]
fn a_gap_in_a_request_head_keeps_its_first_line() {
    for (head, path) in [("GET /long HTTP/1.1\r\nHost: h\r\nCookie: ab", "/long"), ("GET /long/pa", "/long/pa")] {
        let mut connection = Connection::new();
        connection.recv(head);
        assert_eq!(connection.chunk(Direction::In, Content::Gap(500)), Demand::Full);
        assert_eq!(connection.send(OK), Demand::Full);
        assert_eq!(connection.summary(), [format!("GET {path} 200 ~")]);
        let done = &connection.done[0];
        assert_eq!((done.missing_bytes, done.request_wire, done.request_body), (500, head.len() as u64 + 500, None));
        assert_eq!((done.response_body, done.failure), (Some(3), None));
        next_is_exact(&mut connection);
    }
}

#[test]
fn a_gap_in_the_middle_of_some_text_makes_no_request_of_it() {
    for text in ["the quick", "PURGE /x", "some words HTT"] {
        let mut connection = Connection::new();
        connection.recv(text);
        connection.chunk(Direction::In, Content::Gap(500));
        next_is_exact(&mut connection);
        assert_eq!(connection.summary(), ["GET /b 200"], "{text}");
    }
}

#[test]
fn a_gap_in_an_answer_head_keeps_the_status() {
    let mut connection = Connection::new();
    connection.recv(GET);
    connection.send("HTTP/1.1 404 Not Found\r\nSet-Cook");
    assert_eq!(connection.chunk(Direction::Out, Content::Gap(600)), Demand::Full);
    connection.send("the body goes on");
    assert_eq!(connection.done, []);
    next_is_exact(&mut connection);
    let done = &connection.done[0];
    assert_eq!(summary(done), "GET /a 404 ~");
    assert_eq!((done.missing_bytes, done.response_wire, done.response_body), (600, 32 + 600 + 16, None));
    assert_eq!((done.first_byte_ns, done.end_ns), (Some(3 * MS), Some(6 * MS)));
}

#[test]
fn chunks_that_are_cut_where_arithmetic_helps_stay_exact() {
    let mut connection = Connection::new();
    connection.recv(GET);
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..3 {
        connection.send("100\r\nabcd");
        connection.chunk(Direction::Out, Content::Gap(252 + 2));
    }
    connection.send("10\r\nabcd");
    assert_eq!(connection.chunk(Direction::Out, Content::Gap(12 + 2 + 5)), Demand::Head);
    let ended_ns = connection.now_ns;
    next_is_exact(&mut connection);
    assert_eq!(connection.summary(), ["GET /a 200", "GET /b 200"]);
    let done = &connection.done[0];
    assert_eq!((done.response_body, done.missing_bytes, done.end_ns), (Some(3 * 256 + 16), 0, Some(ended_ns)));
}

#[test]
fn lost_chunk_framing_is_picked_up_again() {
    let mut connection = Connection::new();
    connection.recv(GET);
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab";
    assert_eq!(connection.send(head), Demand::Head);
    assert_eq!(connection.chunk(Direction::Out, Content::Gap(1_000)), Demand::Full);
    connection.send("in the middle of a chunk\r\n");
    connection.send("3\r\nxyz\r\n");
    connection.send("0\r\n\r\n");
    assert_eq!(connection.summary(), ["GET /a 200 ~"]);
    let done = &connection.done[0];
    assert_eq!((done.response_body, done.missing_bytes, done.response_wire), (None, 998, head.len() as u64 + 1_000 + 26 + 8 + 5));
    assert_eq!(connection.response_bodies, b"ab??<lost>xyz");
    next_is_exact(&mut connection);
}

#[test]
fn the_end_of_a_lost_chunked_body_is_found() {
    let begin = |connection: &mut Connection| {
        connection.recv(GET);
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab");
        connection.chunk(Direction::Out, Content::Gap(1_000));
    };
    let mut at_end_of_operation = Connection::new();
    begin(&mut at_end_of_operation);
    at_end_of_operation.send("rest of the body\r\n0\r\n\r\n");
    assert_eq!(at_end_of_operation.summary(), ["GET /a 200 ~"]);

    let mut at_next_answer = Connection::new();
    begin(&mut at_next_answer);
    next_is_exact(&mut at_next_answer);
    assert_eq!(at_next_answer.summary(), ["GET /a 200 ~", "GET /b 200"]);

    let mut at_close = Connection::new();
    begin(&mut at_close);
    at_close.end(Ending::LocalClosed);
    assert_eq!(at_close.summary(), ["GET /a 200 ~"]);
}

#[test]
fn a_lost_chunked_upload_ends_with_its_answer() {
    let mut connection = Connection::new();
    connection.recv("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab");
    assert_eq!(connection.chunk(Direction::In, Content::Gap(1_000)), Demand::Full);
    connection.send(OK);
    assert_eq!(connection.summary(), ["POST /a 200 ~"]);
    assert_eq!((connection.done[0].request_body, connection.done[0].response_body), (None, Some(3)));
    next_is_exact(&mut connection);
}

#[test]
fn a_lost_answer_is_no_error() {
    let mut connection = Connection::new();
    connection.recv(GET);
    connection.chunk(Direction::In, Content::Gap(0));
    connection.chunk(Direction::Out, Content::Gap(500));
    next_is_exact(&mut connection);
    assert_eq!(connection.summary(), ["GET /a - ~", "GET /b 200"]);
    assert_eq!((connection.done[0].missing_bytes, connection.done[0].response_wire), (500, 500));
}

#[test]
fn a_lost_request_is_inferred_from_its_answer() {
    let mut connection = Connection::new();
    next_is_exact(&mut connection);
    connection.chunk(Direction::In, Content::Gap(300));
    connection.send("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    next_is_exact(&mut connection);
    assert_eq!(connection.summary(), ["GET /b 200", "- - 500 ~", "GET /b 200"]);
    assert_eq!((connection.done[1].failure, connection.done[1].server, connection.done[1].start_ns), (None, true, 9 * MS / 2));
}

#[test]
fn a_lost_exchange_leaves_no_trace_in_the_next() {
    let mut connection = Connection::new();
    next_is_exact(&mut connection);
    connection.chunk(Direction::In, Content::Gap(300));
    connection.chunk(Direction::Out, Content::Gap(400));
    next_is_exact(&mut connection);
    assert_eq!(connection.done.len(), 2);
}

/// Lost operations show only at the next one, and have its time.
fn lost_before(connection: &mut Connection, direction: Direction, lost: u64, bytes: &str) {
    let time_ns = connection.now_ns + 1_000 * MS;
    connection.chunk_at(time_ns, None, direction, Content::Lost(lost));
    connection.chunk_at(time_ns, None, direction, Content::Bytes(bytes.as_bytes()));
}

#[test]
fn a_lost_answer_that_shows_only_at_the_next_one_costs_one_exchange_and_a_certainty() {
    let mut connection = Connection::new();
    next_is_exact(&mut connection);
    connection.recv(GET);
    connection.recv(NEXT);
    lost_before(&mut connection, Direction::Out, 500, OK);
    next_is_exact(&mut connection);
    assert_eq!(connection.summary(), ["GET /b 200", "GET /a - ~", "GET /b 200 ~", "GET /b 200"]);
    assert_eq!((connection.done[1].response_wire, connection.done[1].end_ns), (500, None));
    assert_eq!((connection.done[2].response_wire, connection.done[2].missing_bytes), (OK.len() as u64, 0));
}

#[test]
fn a_lost_exchange_that_shows_only_at_the_next_one_costs_its_certainty() {
    let mut connection = Connection::new();
    next_is_exact(&mut connection);
    lost_before(&mut connection, Direction::In, 300, NEXT);
    lost_before(&mut connection, Direction::Out, 500, OK);
    next_is_exact(&mut connection);
    assert_eq!(connection.summary(), ["GET /b 200", "GET /b 200 ~", "GET /b 200"]);
    assert_eq!((connection.done[1].response_wire, connection.done[1].request_wire), (OK.len() as u64, NEXT.len() as u64));
}

#[test]
fn a_lost_request_that_shows_only_at_the_next_one_is_inferred() {
    let mut connection = Connection::new();
    next_is_exact(&mut connection);
    next_is_exact(&mut connection);
    connection.send("HTTP/1.1 503 Oops\r\nContent-Length: 0\r\n\r\n");
    lost_before(&mut connection, Direction::In, 300, NEXT);
    connection.send(OK);
    assert_eq!(connection.summary(), ["GET /b 200", "GET /b 200", "- - 503 ~", "GET /b 200"]);
    let lost = &connection.done[2];
    assert_eq!((lost.first_byte_ns, lost.end_ns, lost.response_body, lost.failure), (None, None, Some(0), None));
}

#[test]
fn the_lost_end_of_a_body_does_not_last_until_the_next_answer() {
    for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc"] {
        let mut connection = Connection::new();
        connection.recv(GET);
        connection.send(answer);
        let last_seen_ns = connection.now_ns;
        connection.now_ns += 60_000 * MS;
        connection.recv(NEXT);
        lost_before(&mut connection, Direction::Out, if answer.contains("Length") { 97 } else { 97 + 7 }, OK);
        assert_eq!(connection.summary(), ["GET /a 200 ~", "GET /b 200"]);
        assert_eq!((connection.done[0].end_ns, connection.done[0].response_body), (Some(last_seen_ns), Some(100)));
    }
}

#[test]
fn a_head_that_was_cut_does_not_spoil_pipelining() {
    let mut connection = Connection::new();
    connection.recv("GET /long HTTP/1.1\r\nCookie: a");
    connection.chunk_at(connection.now_ns, None, Direction::In, Content::Gap(500));
    connection.recv(GET);
    connection.send(OK);
    connection.send(OK);
    assert_eq!(connection.summary(), ["GET /long 200 ~", "GET /a 200"]);
}

#[test]
fn losses_between_pipelined_exchanges_lose_all_that_wait() {
    let mut connection = Connection::new();
    connection.recv(format!("{GET}{GET}{NEXT}"));
    connection.send(OK);
    lost_before(&mut connection, Direction::Out, OK.len() as u64, OK);
    next_is_exact(&mut connection);
    assert_eq!(connection.summary(), ["GET /a 200", "GET /a - ~", "GET /b - ~", "GET /b 200"]);
}

#[test]
fn a_lost_end_of_an_upload_that_was_answered() {
    let mut connection = Connection::new();
    connection.recv("POST /a HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc");
    connection.send(OK);
    lost_before(&mut connection, Direction::In, 97, NEXT);
    connection.send(OK);
    assert_eq!(connection.summary(), ["POST /a 200", "GET /b 200"]);
    assert_eq!((connection.done[0].request_body, connection.done[0].request_end_ns), (Some(100), Some(3 * MS / 2)));
}

#[test]
fn a_request_whose_end_is_lost_does_not_stop_the_next_answer() {
    let mut connection = Connection::new();
    connection.recv("POST /a HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc");
    connection.send(OK);
    connection.chunk(Direction::In, Content::Unknown);
    next_is_exact(&mut connection);
    assert_eq!(connection.summary(), ["POST /a 200 ~", "GET /b 200"]);
}

#[test]
fn a_gap_over_the_end_of_a_body_loses_what_follows() {
    let mut connection = Connection::new();
    connection.recv(format!("{GET}GET /c HTTP/1.1\r\n\r\nGET /d HTTP/1.1\r\n\r\n"));
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    connection.chunk(Direction::Out, Content::Gap(297));
    next_is_exact(&mut connection);
    assert_eq!(connection.summary(), ["GET /a 200", "GET /c - ~", "GET /d - ~", "GET /b 200"]);
}

#[test]
fn an_unknown_loss_in_every_state() {
    let heads = [
        ("", ""),
        ("GET /a HT", ""),
        ("GET /a HTTP/1.1\r\nHost: h\r\n", ""),
        ("POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", ""),
        ("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", ""),
        (GET, ""),
        (GET, "HTTP/1.1 2"),
        (GET, "HTTP/1.1 200 OK\r\nServ"),
        (GET, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        (GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        (GET, "HTTP/1.1 200 OK\r\n\r\nabc"),
    ];
    for (request, answer) in heads {
        let cut = if answer.is_empty() { Direction::In } else { Direction::Out };
        for losses in [&[cut][..], &[Direction::In, Direction::Out]] {
            let mut connection = Connection::new();
            next_is_exact(&mut connection);
            connection.recv(request);
            connection.send(answer);
            for direction in losses {
                connection.chunk(*direction, Content::Unknown);
            }
            connection.recv(NEXT);
            connection.send(OK);
            connection.recv(NEXT);
            connection.send(OK);
            let last = summary(connection.done.last().unwrap());
            assert_eq!(last, "GET /b 200", "{request:?} {answer:?} {losses:?}: {:?}", connection.summary());
            assert!(
                connection.done.iter().all(|done| done.failure.is_none()),
                "{request:?} {answer:?} {losses:?}: {:?}",
                connection.summary()
            );
        }
    }
}

/// The requests of runs 1 and 5 and the answer of run 6 were seen: the answer is that of the second one.
#[test]
fn an_answer_after_unseen_runs_is_not_the_seen_requests() {
    let head = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = |status: u16| format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
    for server in [true, false] {
        let (requests, answers) = if server { (Direction::In, Direction::Out) } else { (Direction::Out, Direction::In) };
        let mut connection = Connection::new();
        connection.run(1, requests, Content::Bytes(head("/a").as_bytes()));
        connection.run(2, answers, Content::Bytes(answer(200).as_bytes()));
        connection.run(3, requests, Content::Bytes(head("/b").as_bytes()));
        // The answer to /b, and a whole request, passed unseen.
        connection.run(6, answers, Content::Lost(40));
        connection.run(6, answers, Content::Bytes(answer(404).as_bytes()));
        connection.run(7, requests, Content::Lost(60));
        connection.run(7, requests, Content::Bytes(head("/d").as_bytes()));
        connection.run(8, answers, Content::Bytes(answer(200).as_bytes()));
        assert_eq!(connection.summary(), ["GET /a 200", "GET /b - ~", "- - 404 ~", "GET /d 200"], "server: {server}");
    }
}
