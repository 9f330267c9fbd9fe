//! Unfinished messages on many connections: what is kept of them stays within the budget, costs others nothing, and is given back.
use super::*;
use crate::limits::UNFINISHED_BYTES;

const OTHER: u32 = 200;

/// Checks that one process holds its share at most, and that something was refused.
fn assert_bounded(host: &Host) {
    let (used, refusals) = (host.pipeline.budget.used(), host.pipeline.counters.budget_refusals.get());
    assert!(used <= UNFINISHED_BYTES / 2 && refusals > 0, "{used} bytes held, {refusals} refusals");
}

/// Closes the sockets and checks that nothing is held any more.
fn assert_given_back(host: &mut Host, socks: impl Iterator<Item = u64>) {
    socks.for_each(|sock| host.state(sock, 7, 0));
    assert_eq!(host.pipeline.budget.used(), 0);
}

#[test]
fn open_heads() {
    let mut host = Host::new();
    let socks = || (1..=600).map(|n| n * 64);
    let begin = format!("GET /long HTTP/1.1\r\nX-Long: {}", "h".repeat(8_000));
    for sock in socks() {
        host.open(sock, ROLE_SERVER, 0);
        host.received(sock, begin.as_bytes());
    }
    for _ in 0..4 {
        socks().for_each(|sock| host.received(sock, &[b'h'; 8_000]));
    }
    assert_bounded(&host);
    // One that was kept, one that was not, and another process's, which has memory left.
    host.pipeline.describe(Arc::new(Origin { pid: OTHER, comm: "other".into(), service: "other".into(), container: None }));
    host.open(64_064, ROLE_SERVER, 0);
    for (sock, pid) in [(64, SERVER), (600 * 64, SERVER), (64_064, OTHER)] {
        host.pid = pid;
        if pid == OTHER {
            host.received(sock, begin.as_bytes());
        }
        host.received(sock, b"h\r\nUser-Agent: last\r\n\r\n");
        host.sent(sock, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        // The next one shows where an answer without framing ended.
        host.received(sock, b"GET /next HTTP/1.1\r\n\r\n");
        host.sent(sock, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    let seen: Vec<_> =
        host.requests().iter().map(|r| (r.path.as_deref().unwrap_or("-").to_owned(), r.status_code, r.quality, r.error)).collect();
    let exact = |path: &str| (path.to_owned(), Some(200), Quality::Exact, None);
    let inferred = |path: &str| (path.to_owned(), Some(200), Quality::Inferred, None);
    assert_eq!(seen, [exact("/long"), exact("/next"), inferred("/long"), exact("/next"), exact("/long"), exact("/next")]);
    assert_given_back(&mut host, socks().chain([64_064]));
}

#[test]
fn pipelined_requests() {
    let mut host = Host::new();
    let socks = || (1..=20).map(|n| n * 64);
    for sock in socks() {
        host.open(sock, ROLE_SERVER, 0);
        for number in 0..1_000 {
            host.received(sock, format!("GET /{number}/{} HTTP/1.1\r\n\r\n", "pa".repeat(1_000)).as_bytes());
        }
    }
    assert_bounded(&host);
    assert_given_back(&mut host, socks());
}

#[test]
fn coded_bodies_of_model_calls() {
    let mut host = Host::new();
    let socks = || (1..=600).map(|n| n * 64);
    let head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n";
    for sock in socks() {
        host.open(sock, ROLE_CLIENT, 0);
        host.sent(sock, &[&head[..], b"\x1f\x8b\x08\0\0\0\0\0\0\x03"].concat());
    }
    assert_bounded(&host);
    assert_given_back(&mut host, socks());
}

#[test]
fn a_connection_of_the_table_is_small() {
    let bytes = size_of::<Connection<Session>>();
    assert!(bytes <= 256, "{bytes} bytes");
}
