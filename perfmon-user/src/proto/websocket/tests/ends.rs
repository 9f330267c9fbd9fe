//! How sessions end: codes, failures, violations, and what is counted after the close.
use super::*;
use crate::proto::headers::Headers;
use crate::stream::Failure;

/// A session of a server or client with one message each way, ended by these endings; its failure and whether it is inferred.
fn ended(server_side: bool, endings: &[Ending]) -> (Option<Failure>, bool, u64) {
    let mut messages = Messages::new(server_side, false);
    let (of_client, of_server) = if server_side { (Direction::In, Direction::Out) } else { (Direction::Out, Direction::In) };
    messages.bytes(of_client, &client(0x81, b"ask"));
    messages.bytes(of_server, &server(0x81, b"answer"));
    for ending in endings {
        assert!(messages.done.is_empty(), "told before {ending:?}");
        messages.end(*ending);
    }
    let session = messages.session();
    assert_eq!(session.close_code, None);
    (session.failure, session.inferred, session.end_ns / 1_000_000)
}

#[test]
fn an_end_without_a_close_is_a_failure_of_who_ended_it() {
    use Ending::*;
    let cases = [
        (true, &[PeerClosed, LocalClosed, Closed][..], Some(Failure::ClientClosed), 3),
        (true, &[LocalClosed, PeerClosed, Closed], Some(Failure::Truncated), 3),
        (true, &[Closed], Some(Failure::Truncated), 3),
        (true, &[PeerReset], Some(Failure::ClientClosed), 3),
        (true, &[LocalReset], Some(Failure::Reset), 3),
        (false, &[PeerClosed, LocalClosed, Closed], Some(Failure::Truncated), 3),
        (false, &[LocalClosed, Closed], Some(Failure::ClientClosed), 3),
        (false, &[PeerReset], Some(Failure::Reset), 3),
        (false, &[LocalReset], Some(Failure::ClientClosed), 3),
        (false, &[PeerClosed, Forgotten], Some(Failure::Truncated), 3),
    ];
    for (server_side, endings, failure, end_ms) in cases {
        assert_eq!(ended(server_side, endings), (failure, false, end_ms), "{server_side} {endings:?}");
    }
    assert_eq!(ended(true, &[Forgotten]), (None, true, 3));
}

#[test]
fn the_code_is_that_of_the_first_close() {
    for (first, second, expected) in [(&b"\x03\xe9bye"[..], &b"\x03\xe8"[..], 1001), (b"", b"\x03\xe8", 1005), (b"\x0f\xa0", b"", 4000)] {
        for server_first in [false, true] {
            let mut messages = Messages::new(true, false);
            let close = |messages: &mut Messages, by_server: bool, payload: &[u8]| match by_server {
                true => messages.bytes(Direction::Out, &server(0x88, payload)),
                false => messages.bytes(Direction::In, &client(0x88, payload)),
            };
            close(&mut messages, server_first, first);
            assert!(messages.parser.is_open());
            close(&mut messages, !server_first, second);
            messages.end(Ending::LocalClosed);
            assert!(!messages.parser.is_open());
            messages.end(Ending::Closed);
            let session = messages.session();
            assert_eq!((session.close_code, session.failure, session.inferred), (Some(expected), None, false));
            assert_eq!(messages.counts(), [(0, 0); 2]);
        }
    }
}

#[test]
fn one_close_is_goodbye_enough() {
    let mut messages = Messages::new(false, false);
    messages.bytes(Direction::Out, &client(0x88, b"\x03\xe8"));
    messages.end(Ending::PeerReset);
    assert_eq!((messages.session().close_code, messages.session().failure), (Some(1000), None));
}

#[test]
fn bytes_behind_the_close_count_on_the_wire_alone() {
    let mut messages = Messages::new(true, false);
    let close = server(0x88, b"\x03\xe8");
    messages.bytes(Direction::Out, &[&close[..], &server(0x81, b"late")].concat());
    messages.content(Direction::Out, Content::Gap(100));
    messages.end(Ending::Closed);
    assert_eq!(messages.session().sent.wire_bytes, close.len() as u64 + 6 + 100);
    assert_eq!((messages.counts(), messages.session().inferred), ([(0, 0); 2], false));
}

#[test]
fn control_frames_between_fragments_are_no_messages_of_the_application() {
    let mut messages = Messages::new(true, true);
    for bytes in [client(0x41, b"ab"), client(0x89, b"ping"), client(0x00, b""), client(0x8a, b""), client(0x80, b"cde")] {
        messages.bytes(Direction::In, &bytes);
    }
    messages.end(Ending::Closed);
    assert_eq!(messages.counts(), [(1, 5), (0, 0)]);
    let told: Vec<_> = messages.told.iter().map(|told| (told.kind, told.payload_bytes, told.start_ns / 1_000_000)).collect();
    assert_eq!(told, [(FrameKind::Control, 4, 2), (FrameKind::Control, 0, 4), (FrameKind::Text, 5, 1)]);
}

#[test]
fn a_violation_is_one_failure_and_nothing_is_counted_after_it() {
    let violations = [
        server(0x81, b"unmasked"),
        client(0x80, b"continues nothing"),
        client(0xb1, b"reserved bits"),
        client(0x83, b"reserved opcode"),
        client(0xc1, b"compressed, which was not agreed"),
        [client(0x01, b"one"), client(0x81, b"two at once")].concat(),
        client(0x88, b"\x03"),
        client(0x89, &[b'x'; 126]),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    for violation in violations {
        let mut messages = Messages::new(true, false);
        messages.bytes(Direction::In, &client(0x81, b"good"));
        assert_eq!(messages.bytes(Direction::In, &violation), Demand::Full, "the other direction goes on");
        let told = messages.told.len();
        messages.bytes(Direction::In, &client(0x81, b"more"));
        messages.bytes(Direction::Out, &server(0x88, b"\x03\xea"));
        assert_eq!(messages.parser.take_stats().desyncs, 1);
        messages.end(Ending::Closed);
        let what = violation.escape_ascii().to_string();
        assert_eq!(messages.told.len(), told + 1, "{what}");
        let session = messages.session();
        assert_eq!((session.failure, session.close_code), (Some(Failure::Protocol), Some(1002)), "{what}");
        assert_eq!(session.received.messages, 1, "{what}");
        assert_eq!(session.received.wire_bytes, (10 + violation.len() + 10) as u64, "{what}");
    }
}

#[test]
fn when_neither_direction_is_the_protocol_sizes_are_enough() {
    let mut messages = Messages::new(false, false);
    messages.bytes(Direction::In, b"~~~~");
    assert_eq!(messages.bytes(Direction::Out, b"~~~~"), Demand::Count);
    assert!(messages.parser.is_open(), "its record comes at the end");
    messages.end(Ending::Closed);
    assert_eq!(messages.session().failure, Some(Failure::Protocol));
}

#[test]
fn a_frame_of_any_length_is_only_a_length() {
    let mut messages = Messages::new(true, false);
    let mut header = vec![0x82, 127];
    header.extend((1_u64 << 40).to_be_bytes());
    messages.bytes(Direction::Out, &header);
    let before = messages.parser.heap_bytes();
    messages.content(Direction::Out, Content::Gap((1 << 40) - 1));
    messages.bytes(Direction::Out, b"x");
    assert_eq!(messages.parser.heap_bytes(), before);
    messages.end(Ending::Closed);
    assert_eq!((messages.counts()[1], messages.session().inferred), ((1, 1 << 40), false));
}

#[test]
fn an_extension_is_found_wherever_it_stands() {
    let exchange = Exchange::default();
    let of = |extensions: &str| {
        let lines = format!("Upgrade: WebSocket\r\nSec-WebSocket-Extensions: {extensions}\r\n");
        Handshake::of(&exchange, Headers::new(lines.as_bytes())).map(|handshake| handshake.deflate)
    };
    assert_eq!(of("permessage-deflate; client_max_window_bits=15"), Some(true));
    assert_eq!(of("x-other; a=1 , permessage-deflate"), Some(true));
    assert_eq!(of("permessage-deflate-not"), Some(false));
    assert_eq!(Handshake::of(&exchange, Headers::new(b"Upgrade: h2c\r\n")), None);
}
