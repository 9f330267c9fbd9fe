//! How a connection ends and what that makes of the exchanges under way (docs/records.md, `request`, `error`).
use super::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
const OPEN: &str = "HTTP/1.0 200 OK\r\n\r\nabc";

/// One exchange whose answer is `answer`, then the ends.
fn ended(server: bool, answer: &str, ends: &[Ending]) -> Vec<String> {
    let mut connection = Connection::new();
    let (requests, answers) = if server { (Direction::In, Direction::Out) } else { (Direction::Out, Direction::In) };
    connection.bytes(requests, GET);
    if !answer.is_empty() {
        connection.bytes(answers, answer);
    }
    for end in ends {
        connection.end(*end);
    }
    connection.summary()
}

#[test]
fn a_complete_answer_is_a_success_however_the_connection_ends() {
    for end in [Ending::PeerClosed, Ending::LocalClosed, Ending::Closed, Ending::PeerReset, Ending::LocalReset, Ending::Forgotten] {
        for server in [true, false] {
            assert_eq!(ended(server, WHOLE, &[end]), ["GET /a 200"], "{end:?} {server}");
        }
    }
}

#[test]
fn an_incomplete_answer_fails_by_who_ended_the_connection() {
    for (answer, status) in [("", "-"), (HALF, "200")] {
        let cases = [
            (true, &[Ending::PeerClosed, Ending::LocalClosed, Ending::Closed][..], "ClientClosed"),
            (true, &[Ending::PeerClosed, Ending::LocalReset], "ClientClosed"),
            (true, &[Ending::PeerReset], "ClientClosed"),
            (true, &[Ending::LocalReset], "Reset"),
            (true, &[Ending::LocalClosed], "Truncated"),
            (true, &[Ending::Closed], "Truncated"),
            (false, &[Ending::LocalClosed, Ending::PeerClosed, Ending::Closed], "ClientClosed"),
            (false, &[Ending::LocalReset], "ClientClosed"),
            (false, &[Ending::PeerReset], "Reset"),
            (false, &[Ending::PeerClosed, Ending::LocalClosed, Ending::Closed], "Truncated"),
            (false, &[Ending::PeerClosed, Ending::Forgotten], "Truncated"),
        ];
        for (server, ends, failure) in cases {
            assert_eq!(ended(server, answer, ends), [format!("GET /a {status} {failure}")], "{server} {ends:?}");
        }
    }
}

#[test]
fn a_body_without_length_is_complete_when_the_server_closes() {
    let cases = [
        (true, &[Ending::LocalClosed][..], ""),
        (true, &[Ending::Closed], ""),
        (true, &[Ending::PeerClosed, Ending::LocalClosed], ""),
        (true, &[Ending::PeerReset], " ClientClosed"),
        (true, &[Ending::LocalReset], " Reset"),
        (false, &[Ending::PeerClosed, Ending::LocalClosed, Ending::Closed], ""),
        (false, &[Ending::PeerClosed, Ending::LocalReset], " ClientClosed"),
        (false, &[Ending::Closed], ""),
        (false, &[Ending::LocalClosed, Ending::Closed], " ClientClosed"),
        (false, &[Ending::PeerReset], " Reset"),
    ];
    for (server, ends, failure) in cases {
        assert_eq!(ended(server, OPEN, ends), [format!("GET /a 200{failure}")], "{server} {ends:?}");
    }
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let mut connection = Connection::new();
    connection.recv(GET);
    connection.end(Ending::PeerClosed);
    connection.send(WHOLE);
    connection.end(Ending::LocalClosed);
    connection.end(Ending::Closed);
    assert_eq!(connection.summary(), ["GET /a 200"]);
}

#[test]
fn what_was_open_when_a_connection_is_forgotten_is_unknown() {
    for (answer, status, size) in [("", "-", None), (HALF, "200", None), (OPEN, "200", None)] {
        let mut connection = Connection::new();
        connection.recv(GET);
        if !answer.is_empty() {
            connection.send(answer);
        }
        connection.end(Ending::Forgotten);
        assert_eq!(connection.summary(), [format!("GET /a {status} ~")]);
        assert_eq!((connection.done[0].end_ns, connection.done[0].response_body), (None, size));
    }
}

#[test]
fn sizes_and_times_of_a_failed_exchange_are_what_passed() {
    let mut connection = Connection::new();
    connection.recv(GET);
    connection.send(HALF);
    connection.end(Ending::PeerClosed);
    connection.end(Ending::LocalReset);
    let done = &connection.done[0];
    assert_eq!((done.response_body, done.response_wire), (Some(3), HALF.len() as u64));
    assert_eq!((done.first_byte_ns, done.end_ns), (Some(3 * MS), Some(4 * MS)));

    let mut connection = Connection::new();
    connection.recv(GET);
    connection.send(&HALF[..20]);
    connection.end(Ending::LocalReset);
    assert_eq!(connection.summary(), ["GET /a - Reset"]);
    assert_eq!((connection.done[0].response_body, connection.done[0].response_wire), (Some(0), 20));
}

#[test]
fn an_idle_connection_ends_without_a_record() {
    for end in [Ending::PeerClosed, Ending::LocalClosed, Ending::Closed, Ending::PeerReset, Ending::LocalReset, Ending::Forgotten] {
        let mut connection = Connection::new();
        connection.end(end);
        connection.recv("GE");
        connection.end(end);
        assert_eq!(connection.summary(), [""; 0]);
    }
}

#[test]
fn a_request_that_is_not_complete_when_the_client_leaves() {
    let mut connection = Connection::new();
    connection.recv("POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    connection.end(Ending::PeerClosed);
    connection.end(Ending::LocalClosed);
    assert_eq!(connection.summary(), ["POST /a - ClientClosed"]);
    assert_eq!((connection.done[0].request_body, connection.done[0].response_body), (Some(3), Some(0)));

    let mut connection = Connection::new();
    connection.recv(GET);
    connection.send(WHOLE);
    connection.recv("GET /b HTTP/1.1\r\nHost:");
    connection.end(Ending::PeerReset);
    assert_eq!(connection.summary(), ["GET /a 200", "GET /b - ClientClosed"]);
    assert_eq!(connection.done[1].request_wire, 22);
}

#[test]
fn an_answer_to_a_part_of_a_request() {
    let mut connection = Connection::new();
    connection.recv(GET);
    connection.send(WHOLE);
    connection.recv("GET /slow HTTP/1.1\r\nHost: h\r\n");
    connection.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    connection.end(Ending::LocalClosed);
    assert_eq!(connection.summary(), ["GET /a 200", "GET /slow 408 ~"]);
}

#[test]
fn pipelined_requests_behind_an_answer_that_ends_the_connection() {
    let mut connection = Connection::new();
    connection.recv(format!("{GET}GET /b HTTP/1.1\r\n\r\n"));
    connection.send(OPEN);
    connection.end(Ending::LocalClosed);
    assert_eq!(connection.summary(), ["GET /a 200", "GET /b - Truncated"]);
}

#[test]
fn an_early_answer_stands_although_the_request_never_completes() {
    let mut connection = Connection::new();
    connection.recv("POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    connection.end(Ending::LocalClosed);
    assert_eq!(connection.summary(), ["POST /a 413"]);
    assert_eq!((connection.done[0].request_body, connection.done[0].request_end_ns), (Some(3), None));
}
