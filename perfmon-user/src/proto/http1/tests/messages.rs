//! What each kind of message comes to: framing, sizes, names, flags.
use super::*;

/// One exchange on a server's connection, that ends in order.
fn exchange(request: &str, response: &str) -> Exchange {
    let mut connection = Connection::new();
    connection.recv(request);
    connection.send(response);
    connection.end(Ending::LocalClosed);
    assert_eq!(connection.done.len(), 1, "{request:?} {response:?}");
    connection.done.remove(0)
}

#[test]
fn a_simple_exchange_has_all_that_stands_on_the_wire() {
    let request =
        "POST /a/b?token=1#f HTTP/1.1\r\nHost: h.example\r\nUser-Agent: curl/8\r\ntraceparent: 00-1-2-01\r\nContent-Length: 5\r\n\r\nhello";
    let response = "HTTP/1.1 201 Created\r\nContent-Length: 3\r\ngrpc-status: 0\r\n\r\nabc";
    let mut connection = Connection::new();
    connection.chunk_at(100, Some(40), Direction::In, Content::Bytes(request.as_bytes()));
    assert_eq!(connection.told, ["0 POST /a/b?token=1#f"]);
    connection.chunk_at(250, None, Direction::Out, Content::Bytes(response.as_bytes()));
    assert_eq!(connection.told[1..], ["0 201"]);
    let expected = Exchange {
        id: 0,
        server: true,
        protocol: "http/1.1",
        method: Some("POST".into()),
        path: Some("/a/b".into()),
        host: Some("h.example".into()),
        user_agent: Some("curl/8".into()),
        traceparent: Some("00-1-2-01".into()),
        status: Some(201),
        grpc_status: Some(0),
        request_body: Some(5),
        response_body: Some(3),
        request_wire: request.len() as u64,
        response_wire: response.len() as u64,
        thread: 7,
        start_ns: 40,
        first_read_ns: Some(100),
        arrival_known: true,
        request_end_ns: Some(100),
        first_byte_ns: Some(250),
        end_ns: Some(250),
        ..Exchange::default()
    };
    assert_eq!(connection.done, [expected]);
    assert_eq!((connection.request_bodies, connection.response_bodies), (b"hello".to_vec(), b"abc".to_vec()));
}

#[test]
fn the_side_follows_from_who_sends_the_request() {
    let mut connection = Connection::new();
    connection.send("GET / HTTP/1.0\r\n\r\n");
    connection.recv("HTTP/1.0 200 OK\r\n\r\nabc");
    assert_eq!(connection.done, []);
    connection.end(Ending::PeerClosed);
    connection.recv("def");
    connection.end(Ending::Closed);
    let done = &connection.done[0];
    assert_eq!((done.server, done.protocol, done.response_body, done.failure), (false, "http/1.0", Some(6), None));
    assert_eq!((done.first_read_ns, done.arrival_known, done.start_ns), (None, false, MS * 3 / 2));
}

#[test]
fn bodies_are_framed_as_the_rfc_says() {
    let get = "GET / HTTP/1.1\r\n\r\n";
    let cases = [
        (get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 3),
        (get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 3),
        (get, "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", 3),
        (get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n", 5),
        (get, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 3),
        (get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 3),
        (get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabcd", 4),
        (get, "HTTP/1.1 200 OK\r\n\r\nabcdef", 6),
        (get, "HTTP/1.1 204 No Content\r\n\r\n", 0),
        (get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", 0),
        ("HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 0),
        ("HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0),
        (get, "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", 1),
        (get, "HTTP/1.1 200 OK\nContent-Length: 1\n\na", 1),
        (
            get,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
            1,
        ),
    ];
    for (request, response, size) in cases {
        let done = exchange(request, response);
        assert_eq!((done.response_body, done.failure, done.inferred), (Some(size), None, false), "{response:?}");
        assert_eq!(done.response_wire, response.len() as u64, "{response:?}");
    }
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let done = exchange(chunked, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((done.request_body, done.request_wire), (Some(5), chunked.len() as u64));
}

#[test]
fn lenient_heads() {
    let cases = [
        ("\r\n\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/a", Some("h")),
        ("GET /a HTTP/1.1\nHost: h\n\n", "GET", "/a", Some("h")),
        ("PURGE /a HTTP/1.0\r\nHost: h\r\n\r\n", "PURGE", "/a", Some("h")),
        ("M-SEARCH * HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH", "*", Some("h")),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS", "*", Some("h")),
        ("GET http://abs.example:81/a?b HTTP/1.1\r\n\r\n", "GET", "/a", Some("abs.example:81")),
        ("GET  /a  HTTP/1.1\r\nHost:h\r\n\r\n", "GET", "/a", Some("h")),
        ("GET /a HTTP/1.1\r\nX: a\r\n  folded\r\nHost:\r\n\th\r\n\r\n", "GET", "/a", Some("h")),
        ("GET /a HTTP/1.1\r\nbroken line\r\nb@d: x\r\nHost: h\r\n\r\n", "GET", "/a", Some("h")),
        ("GET /ü HTTP/1.1\r\nHost: h\r\nX: \u{fc}\r\n\r\n", "GET", "/ü", Some("h")),
    ];
    for (request, method, path, host) in cases {
        let done = exchange(request, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!((done.method.as_deref(), done.path.as_deref(), done.host.as_deref()), (Some(method), Some(path), host), "{request:?}");
        assert_eq!((done.failure, done.inferred, done.request_wire), (None, false, request.len() as u64), "{request:?}");
    }
}

#[test]
fn bytes_that_are_not_utf_8() {
    let mut connection = Connection::new();
    connection.recv(b"GET /\xff HTTP/1.1\r\nHost: h\r\nUser-Agent: \xe9\r\n\r\n");
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(connection.summary(), ["GET /\u{fffd} 200"]);
    assert_eq!(connection.done[0].user_agent.as_deref(), Some("\u{fffd}"));
}

#[test]
fn pipelined_requests_pair_in_order() {
    let mut connection = Connection::new();
    let requests: String = (0..50).map(|i| format!("GET /{i} HTTP/1.1\r\nHost: h\r\n\r\n")).collect();
    let answers: String = (0..50).map(|i| format!("HTTP/1.1 {} OK\r\nContent-Length: 2\r\n\r\nok", 400 + i)).collect();
    connection.chunk_at(20, Some(10), Direction::In, Content::Bytes(requests.as_bytes()));
    let mut pending = 0;
    connection.parser.pending(&mut |one| pending += usize::from(one.server && one.start_ns == 10));
    assert_eq!(pending, 50);
    for piece in answers.as_bytes().chunks(100) {
        connection.send(piece);
    }
    let expected: Vec<_> = (0..50).map(|i| format!("GET /{i} {}", 400 + i)).collect();
    assert_eq!(connection.summary(), expected);
    assert!(connection.done.iter().all(|done| done.start_ns == 10 && done.response_body == Some(2)));
    assert_eq!(connection.stats(), Stats::default());
}

#[test]
fn an_upgrade_or_a_tunnel_ends_http() {
    let upgrade = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut connection = Connection::new();
    connection.recv(upgrade);
    let after = "\x01\x02GET / HTTP/1.1\r\n\r\n";
    let demand = connection.send(format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n{after}"));
    assert_eq!(demand, Demand::HandOver);
    let HandOver { successor, unread } = connection.parser.hand_over().unwrap();
    assert!(matches!(successor, Successor::WebSocket(handshake) if handshake.exchange.path.as_deref() == Some("/ws")));
    let mut left = Vec::new();
    unread.release(|segment| left.push((segment.direction, format!("{:?}", segment.content))));
    assert_eq!(left, [(Direction::Out, format!("{:?}", Content::Bytes(after.as_bytes())))]);
    assert_eq!(connection.recv("GET /no HTTP/1.1\r\n\r\n"), Demand::Count);
    assert!(connection.parser.hand_over().is_none());
    assert_eq!(connection.summary(), ["GET /ws 101"]);
    assert!(connection.done[0].streaming);
    assert_eq!(connection.done[0].end_ns, Some(3 * MS));

    let mut connection = Connection::new();
    connection.recv("CONNECT h.example:443 HTTP/1.1\r\nHost: h.example:443\r\n\r\n");
    connection.recv(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert_eq!(connection.send("HTTP/1.1 200 Connection established\r\n\r\n"), Demand::HandOver);
    assert!(matches!(connection.parser.hand_over().unwrap().successor, Successor::Detected));
    connection.end(Ending::Closed);
    assert_eq!(connection.summary(), ["CONNECT h.example:443 200"]);

    let mut connection = Connection::new();
    connection.recv("CONNECT h.example:443 HTTP/1.1\r\n\r\n");
    connection.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno");
    connection.recv("CONNECT h.example:443 HTTP/1.1\r\nProxy-Authorization: x\r\n\r\n");
    connection.send("HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(connection.summary(), ["CONNECT h.example:443 407", "CONNECT h.example:443 200"]);

    let mut connection = Connection::new();
    connection.recv(upgrade.replace("websocket", "h2c"));
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    connection.recv("GET /next HTTP/1.1\r\n\r\n");
    assert_eq!(connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Demand::Head);
    assert_eq!(connection.summary(), ["GET /ws 200", "GET /next 200"]);
}

#[test]
fn expect_continue_with_and_without_the_body() {
    let head = "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let mut connection = Connection::new();
    connection.recv(head);
    connection.send("HTTP/1.1 100 Continue\r\n\r\n");
    connection.recv("body");
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((connection.done[0].request_body, connection.done[0].response_wire), (Some(4), 25 + 38));
    assert_eq!(connection.done[0].first_byte_ns, Some(6 * MS));

    let mut connection = Connection::new();
    connection.recv(head);
    connection.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(connection.done, []);
    connection.recv("GET /b HTTP/1.1\r\n\r\n");
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(connection.summary(), ["PUT /a 417", "GET /b 200"]);
    assert_eq!(connection.done[0].request_body, Some(0));
}

#[test]
fn an_answer_before_the_request_is_complete() {
    let mut connection = Connection::new();
    connection.recv("POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc");
    connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(connection.done, []);
    connection.recv("defGET /b HTTP/1.1\r\n\r\n");
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(connection.summary(), ["POST /a 413", "GET /b 200"]);
    let done = &connection.done[0];
    assert_eq!((done.end_ns, done.request_end_ns, done.request_body), (Some(3 * MS), Some(9 * MS / 2), Some(6)));
}

#[test]
fn content_that_flows_is_streaming() {
    for (content_type, streaming) in [
        ("text/event-stream", true),
        ("Text/Event-Stream; charset=utf-8", true),
        ("application/x-ndjson", true),
        ("application/jsonl", true),
        ("application/stream+json", true),
        ("multipart/x-mixed-replace; boundary=x", true),
        ("multipart/form-data; boundary=text/event-stream", false),
        ("application/json", false),
    ] {
        let done = exchange("GET / HTTP/1.1\r\n\r\n", &format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\nx"));
        assert_eq!(done.streaming, streaming, "{content_type}");
    }
}

#[test]
fn a_connection_that_rests_holds_no_more_than_itself_and_goes_on() {
    let mut connection = Connection::new();
    for round in 0..3 {
        connection.recv(format!("GET /{round} HTTP/1.1\r\nHost: h\r\n\r\n"));
        // Nothing of an exchange under way is given back.
        connection.parser.rest();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        connection.parser.rest();
        assert_eq!(connection.parser.heap_bytes(), 0);
    }
    assert_eq!(connection.summary(), ["GET /0 200", "GET /1 200", "GET /2 200"]);
    // 20,000 connections with both ends on a host are 40,000 of these.
    assert!(size_of::<Http1>() <= 480, "{} bytes", size_of::<Http1>());
}
