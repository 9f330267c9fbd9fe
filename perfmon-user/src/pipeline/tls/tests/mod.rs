//! Encrypted connections over events as the kernel writes them.
use bytemuck::bytes_of;
use perfmon_common::event::*;

use super::super::tests::{Host, SERVER};
use super::*;
use crate::record::{Quality, Side};

mod reuse;
mod skips;

const SSL: u64 = 0x5000;
const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A call of the library; `sock` 0 = it used none.
fn call(host: &mut Host, ssl: u64, direction: u8, plain: &[u8], sock: u64) {
    call_partly(host, ssl, direction, plain, plain.len(), sock);
}

/// A call of which only the first `captured` bytes are seen, in the pieces that the kernel makes of them.
fn call_partly(host: &mut Host, ssl: u64, direction: u8, plain: &[u8], captured: usize, sock: u64) {
    const PIECE: usize = 16_000;
    let mut piece_offset = 0;
    loop {
        let piece = &plain[piece_offset..captured.min(piece_offset + PIECE)];
        let is_last = piece_offset + piece.len() == captured;
        let header = TlsHeader {
            kind: KIND_TLS,
            captured_len: piece.len() as u32,
            ssl,
            time_ns: host.now,
            start_ns: host.now - 1,
            sock,
            inode: sock as u32,
            tgid: SERVER,
            thread: SERVER,
            total_len: plain.len() as u32,
            piece_offset: piece_offset as u32,
            direction,
            flags: if is_last { DATA_LAST_PIECE } else { 0 },
            pad: [0; 2],
        };
        host.push(&[bytes_of(&header), piece].concat());
        piece_offset += piece.len();
        if is_last {
            return;
        }
    }
}

/// The TLS 1.3 records of plaintext.
fn record(plain: &[u8]) -> Vec<u8> {
    let one = |plain: &[u8]| {
        let [high, low] = (plain.len() as u16 + 17).to_be_bytes();
        [&[23, 3, 3, high, low][..], plain, &[0xaa; 17]].concat()
    };
    plain.chunks(1 << 14).flat_map(one).collect()
}

fn handshake(host: &mut Host, sock: u64, client: bool) {
    let (hello, answer) = (b"\x16\x03\x01\x00\x02\x01\x00", [&b"\x16\x03\x03\x00\x02\x02\x00"[..], &record(&[0; 900])].concat());
    if client {
        host.sent(sock, hello);
        host.received(sock, &answer);
        host.sent(sock, &record(&[0; 36]));
    } else {
        host.received(sock, hello);
        host.sent(sock, &answer);
        host.received(sock, &record(&[0; 36]));
    }
}

#[test]
fn an_opening_in_pieces_is_recognised_wherever_it_is_cut() {
    let hello: &[u8] = b"\x16\x03\x01\x00\x02\x01\x00";
    for cut in 1..hello.len() {
        let mut host = Host::new();
        host.open(64, ROLE_SERVER, 0);
        host.received(64, &hello[..cut]);
        host.received(64, &hello[cut..]);
        host.sent(64, &[&b"\x16\x03\x03\x00\x02\x02\x00"[..], &record(&[0; 900])].concat());
        host.received(64, &record(REQUEST));
        call(&mut host, SSL, DIRECTION_IN, REQUEST, 0);
        call(&mut host, SSL, DIRECTION_OUT, ANSWER, 0);
        host.sent(64, &record(ANSWER));
        let requests = host.requests();
        assert_eq!(
            requests.iter().map(|r| (r.tls, r.request_bytes)).collect::<Vec<_>>(),
            [(true, REQUEST.len() as u64 + 22)],
            "cut at {cut}"
        );
    }
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    hello.iter().for_each(|byte| host.received(64, &[*byte]));
    assert!(host.out.commands.contains(&PipelineCommand::WatchTls(SERVER)), "byte by byte");
    // What only begins like TLS is of no protocol.
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    host.received(64, &hello[..2]);
    host.received(64, b"garbage");
    assert!(!host.out.commands.contains(&PipelineCommand::WatchTls(SERVER)));
    assert!(host.out.commands.iter().any(|command| matches!(command, PipelineCommand::Capture(_, Capture::Off))));
}

#[test]
fn a_server_that_keeps_the_library_apart_from_its_socket() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    handshake(&mut host, 64, false);
    for n in 0..3 {
        host.received(64, &record(REQUEST));
        let arrived = host.now - 1_500_000;
        call(&mut host, SSL, DIRECTION_IN, REQUEST, 0);
        call(&mut host, SSL, DIRECTION_OUT, ANSWER, 0);
        assert!(host.out.records.is_empty(), "the answer is not on its way yet");
        host.sent(64, &record(ANSWER));
        let requests = host.requests();
        assert_eq!(requests.len(), 1, "request {n}");
        let request = &requests[0];
        assert_eq!((request.side, request.tls, request.path.as_deref(), request.status_code), (Side::Server, true, Some("/a"), Some(200)));
        assert_eq!((request.request_size, request.response_size, request.quality), (Some(0), Some(5), Quality::Exact));
        assert_eq!((request.request_bytes, request.response_bytes), (REQUEST.len() as u64 + 22, ANSWER.len() as u64 + 22), "request {n}");
        assert_eq!(request.time.0, 1_000_000_000_000 + arrived);
        assert!(request.queue_time_ms.is_some());
    }
}

#[test]
fn a_client_whose_library_uses_the_socket() {
    let mut host = Host::new();
    host.open(64, ROLE_CLIENT, 0);
    handshake(&mut host, 64, true);
    for _ in 0..2 {
        host.sent(64, &record(REQUEST));
        call(&mut host, SSL, DIRECTION_OUT, REQUEST, 64);
        // A header, then the rest, as OpenSSL reads.
        let answer = record(ANSWER);
        host.received(64, &answer[..5]);
        host.received(64, &answer[5..]);
        call(&mut host, SSL, DIRECTION_IN, &ANSWER[..30], 64);
        call(&mut host, SSL, DIRECTION_IN, &ANSWER[30..], 0);
        let requests = host.requests();
        assert_eq!(requests.len(), 1);
        let request = &requests[0];
        assert_eq!((request.side, request.tls, request.destination.as_deref()), (Side::Client, true, Some("shop.test")));
        assert_eq!((request.request_bytes, request.response_bytes), (REQUEST.len() as u64 + 22, ANSWER.len() as u64 + 22));
    }
}

#[test]
fn ciphertext_is_never_parsed() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    handshake(&mut host, 64, false);
    // Looks like a request, but stands where ciphertext stands.
    host.received(64, REQUEST);
    host.sent(64, ANSWER);
    host.state(64, 7, 0);
    assert_eq!(host.requests(), []);
    assert!(host.out.commands.contains(&PipelineCommand::WatchTls(SERVER)));
}

#[test]
fn a_connection_open_before_perfmon_is_seen_from_its_next_write_on() {
    let mut host = Host::new();
    host.open(64, ROLE_UNKNOWN, OPEN_LATE);
    host.received(64, &record(REQUEST));
    call(&mut host, SSL, DIRECTION_IN, REQUEST, 0);
    call(&mut host, SSL, DIRECTION_OUT, ANSWER, 0);
    host.sent(64, &record(ANSWER));
    assert_eq!(host.requests().len(), 1);
}

#[test]
fn the_next_connection_at_an_address_is_not_taken_for_the_last() {
    let mut host = Host::new();
    for sock in [64, 128, 192] {
        host.open(sock, ROLE_SERVER, 0);
        handshake(&mut host, sock, false);
        host.received(sock, &record(REQUEST));
        call(&mut host, SSL, DIRECTION_IN, REQUEST, 0);
        call(&mut host, SSL, DIRECTION_OUT, ANSWER, 0);
        host.sent(sock, &record(ANSWER));
        assert_eq!(host.requests().len(), 1, "socket {sock}");
        // It closes its side; the peer's end comes later.
        host.state(sock, 4, 0);
    }
}

#[test]
fn an_answer_cut_by_the_peer_is_the_clients_doing() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    handshake(&mut host, 64, false);
    host.received(64, &record(REQUEST));
    call(&mut host, SSL, DIRECTION_IN, REQUEST, 0);
    call(&mut host, SSL, DIRECTION_OUT, &ANSWER[..40], 0);
    host.sent(64, &record(&ANSWER[..40]));
    host.state(64, 7, STATE_PEER_RESET);
    let requests = host.requests();
    assert_eq!(
        requests.iter().map(|r| (r.tls, r.status_code, r.error)).collect::<Vec<_>>(),
        [(true, Some(200), Some(crate::record::Failure::ClientClosed))]
    );
}
