//! Traffic at the edges of HTTP/1 and of capture: pipelining, split heads, late attach, short processes, a blocked event loop, other socket
//! families. Framing and failures: live_framing.rs.
use std::time::Duration;

use anyhow::{Context, Result};
use perfmon_tests::client::curl_once;
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};
use perfmon_tests::wire::Wire;

const NGINX: [Need; 2] = [Need::Perfmon, Need::Program("nginx")];

/// A number of requests for `/hello` in one operation.
fn pipelined(count: usize) -> String {
    "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(count)
}

fn assert_hello(records: &[Request], count: usize) {
    assert_eq!(records.len(), count, "{records:#?}");
    for record in records {
        assert_eq!((record.path.as_deref(), record.status_code, record.response_size), (Some("/hello"), Some(200), Some(12)));
        assert_eq!((record.error.as_deref(), record.quality.as_str()), (None, "exact"), "{record:?}");
    }
}

#[test]
fn fifty_pipelined_requests_are_fifty_records() -> Result<()> {
    if missing(&NGINX) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&[])?;
    let mut wire = Wire::connect("127.0.0.1", server.port)?;
    wire.send(pipelined(50).as_bytes())?;
    for _ in 0..50 {
        assert_eq!(wire.answer(false)?.status, 200);
    }
    assert_hello(&perfmon.wait_for(50, |r| r.served_by(server.port))?, 50);
    assert_hello(&perfmon.wait_for(50, |r| r.sent_to(server.port))?, 50);
    Ok(())
}

#[test]
fn a_request_line_in_four_pieces_is_one_record() -> Result<()> {
    if missing(&NGINX) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&[])?;
    let mut wire = Wire::connect("127.0.0.1", server.port)?;
    let pieces: [&[u8]; 4] = [b"GE", b"T /hel", b"lo HTTP", b"/1.1\r\nHost: localhost\r\n\r\n"];
    for _ in 0..10 {
        wire.send_pieces(&pieces, Duration::from_millis(20))?;
        assert_eq!(wire.answer(false)?.status, 200);
    }
    for records in [perfmon.wait_for(10, |r| r.served_by(server.port))?, perfmon.wait_for(10, |r| r.sent_to(server.port))?] {
        assert_hello(&records, 10);
        let first_byte_to_last = records.iter().all(|record| record.response_time_ms.is_some_and(|ms| ms >= 55.0));
        assert!(first_byte_to_last, "three pauses of 20 ms belong to the time: {records:#?}");
    }
    Ok(())
}

#[test]
fn a_connection_open_before_the_start_is_seen_from_its_next_request() -> Result<()> {
    if missing(&NGINX) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let mut wire = Wire::connect("127.0.0.1", server.port)?;
    wire.call("GET", "/hello", "before", b"")?;
    let perfmon = Perfmon::start(&[])?;
    for _ in 0..3 {
        wire.call("GET", "/hello", "after", b"")?;
    }
    let both = |r: &Request| r.about(server.port);
    let records = perfmon.wait_for(6, both)?;
    assert_hello(&records, 6);
    assert_eq!(records.iter().filter(|record| record.side == "server").count(), 3);
    assert!(records.iter().all(|record| record.user_agent.as_deref() == Some("after")));
    Ok(())
}

#[test]
fn fifty_short_curls_are_fifty_records_on_each_side() -> Result<()> {
    if missing(&[&NGINX[..], &[Need::Program("curl")]].concat()) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&[])?;
    let folder = tempfile::tempdir()?;
    let url = format!("{}/hello", server.url());
    let mut pids: Vec<u32> = (0..50).map(|_| curl_once(&url, &folder.path().join("answer"), None)).collect::<Result<_>>()?;
    assert_hello(&perfmon.wait_for(50, |r| r.served_by(server.port))?, 50);
    let client = perfmon.wait_for(50, |r| r.sent_to(server.port))?;
    assert_hello(&client, 50);
    assert!(client.iter().all(|record| record.comm == "curl" && record.service == "curl"), "{client:#?}");
    let mut seen: Vec<u32> = client.iter().map(|record| record.pid).collect();
    pids.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, pids);
    Ok(())
}

#[test]
fn queue_time_shows_where_a_blocked_event_loop_lets_requests_wait() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Python]) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11)?;
    let perfmon = Perfmon::start(&[])?;
    let mut connections: Vec<Wire> = (0..11).map(|_| Wire::connect("127.0.0.1", server.port)).collect::<Result<_>>()?;
    for wire in &mut connections {
        wire.call("GET", "/hello", "warm", b"")?;
    }
    let mut logged = Vec::new();
    for _ in 0..5 {
        let (blocker, waiting) = connections.split_first_mut().context("no connections")?;
        blocker.send(b"GET /block/100 HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        std::thread::sleep(Duration::from_millis(20));
        for wire in waiting.iter_mut() {
            wire.send(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nUser-Agent: caught\r\n\r\n")?;
        }
        for wire in waiting.iter_mut() {
            logged.push(wire.answer(false)?.ms);
        }
        blocker.answer(false)?;
    }
    let caught = |r: &Request| r.served_by(server.port) && r.user_agent.as_deref() == Some("caught");
    let records = perfmon.wait_for(50, caught)?;
    assert_hello(&records, 50);
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / 50.0;
    let clients = mean(&mut logged.into_iter());
    let response = mean(&mut records.iter().filter_map(|record| record.response_time_ms));
    let queue = mean(&mut records.iter().filter_map(|record| record.queue_time_ms));
    assert!((response - clients).abs() <= 0.1 * clients, "response time {response:.1} ms, the clients saw {clients:.1} ms");
    assert!(queue >= 0.6 * response, "of {response:.1} ms only {queue:.1} ms are said to be waiting");
    Ok(())
}

#[test]
fn ipv6_and_unix_sockets_are_seen_like_ipv4() -> Result<()> {
    if missing(&NGINX) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&[])?;
    let mut six = Wire::connect("::1", server.port)?;
    let mut unix = Wire::connect_unix(&server.unix_socket())?;
    for _ in 0..5 {
        six.call("GET", "/hello", "six", b"")?;
        unix.call("GET", "/hello", "unix", b"")?;
    }
    for (agent, own) in [("six", format!("[::1]:{}", server.port)), ("unix", format!("unix:{}", server.unix_socket().display()))] {
        let records = perfmon.wait_for(10, |r| r.user_agent.as_deref() == Some(agent))?;
        assert_hello(&records, 10);
        let (server_side, client_side): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.side == "server");
        assert_eq!((server_side.len(), client_side.len()), (5, 5), "{records:#?}");
        assert!(server_side.iter().all(|record| record.local == own), "{server_side:#?}");
        assert!(client_side.iter().all(|record| record.peer == own), "{client_side:#?}");
    }
    Ok(())
}

#[test]
fn a_proxy_is_both_server_and_client() -> Result<()> {
    if missing(&NGINX) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&[])?;
    let mut wire = Wire::connect("127.0.0.1", server.port)?;
    for _ in 0..5 {
        assert_eq!(wire.call("GET", "/proxy/hello", "outer", b"")?.status, 200);
    }
    let records = perfmon.wait_for(20, |r| r.about(server.port))?;
    let count = |side: &str, path: &str| records.iter().filter(|r| r.side == side && r.path.as_deref() == Some(path)).count();
    let counts =
        [("server", "/proxy/hello"), ("client", "/proxy/hello"), ("server", "/hello"), ("client", "/hello")].map(|(s, p)| count(s, p));
    assert_eq!(counts, [5, 5, 5, 5], "{records:#?}");
    assert!(records.iter().filter(|r| r.side == "client" && r.path.as_deref() == Some("/hello")).all(|r| r.comm == "nginx"));
    Ok(())
}
