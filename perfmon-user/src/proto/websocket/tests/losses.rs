//! Losses: what gaps do in payloads and headers, and how the place is found again.
use super::*;

const IN: Direction = Direction::In;
const OUT: Direction = Direction::Out;

fn lossy(messages: &Messages) -> (bool, u64, Option<crate::stream::Failure>) {
    let session = messages.session();
    (session.inferred, session.missing_bytes, session.failure)
}

#[test]
fn a_gap_inside_a_payload_costs_nothing() {
    for lost in [false, true] {
        let content = |len| if lost { Content::Lost(len) } else { Content::Gap(len) };
        let mut messages = Messages::new(true, false);
        let wire = client(0x82, &[1; 300]);
        messages.bytes(IN, &wire[..20]);
        messages.content(IN, content(wire.len() as u64 - 30));
        messages.bytes(IN, &wire[wire.len() - 10..]);
        let wire = client(0x82, &[2; 70_000]);
        messages.bytes(IN, &wire[..14]);
        messages.content(IN, content(70_000));
        messages.bytes(IN, &client(0x88, b"\x03\xe8"));
        messages.end(Ending::Closed);
        assert_eq!((messages.counts()[0], lossy(&messages)), ((2, 70_300), (false, 0, None)));
        assert_eq!(messages.told.len(), 3);
    }
}

#[test]
fn a_lost_header_loses_the_place_which_the_next_two_frames_give_back() {
    let mut messages = Messages::new(true, false);
    messages.bytes(OUT, &server(0x81, b"seen"));
    messages.content(OUT, Content::Lost(50));
    messages.bytes(OUT, &[server(0x82, b"found"), server(0x81, b"and confirmed")].concat());
    assert_eq!(messages.told.len(), 3);
    messages.bytes(OUT, &server(0x88, b"\x03\xe8"));
    messages.end(Ending::Closed);
    assert_eq!((messages.counts()[1], lossy(&messages)), ((3, 22), (true, 50, None)));
    assert_eq!(messages.session().close_code, Some(1000));
    assert_eq!(messages.parser.take_stats().desyncs, 1);
}

#[test]
fn a_frame_that_ends_with_its_operation_is_believed_and_one_that_does_not_waits() {
    let mut messages = Messages::new(true, false);
    messages.content(OUT, Content::Unknown);
    messages.bytes(OUT, b"no frame begins here");
    messages.bytes(OUT, &server(0x82, b"alone"));
    assert_eq!(messages.told.len(), 1);
    messages.content(OUT, Content::Unknown);
    let wire = server(0x82, &[7; 1_000]);
    messages.bytes(OUT, &wire[..500]);
    messages.content(OUT, Content::Gap(400));
    assert_eq!(messages.told.len(), 1);
    messages.bytes(OUT, &[&wire[900..], &server(0x81, b"x")[..1]].concat());
    assert_eq!(messages.told.len(), 1, "one byte of a header proves nothing");
    messages.bytes(OUT, &server(0x81, b"x")[1..]);
    assert_eq!(messages.told.len(), 3);
    messages.end(Ending::Closed);
    assert_eq!((messages.counts()[1], lossy(&messages)), ((3, 1_006), (true, 0, None)));
}

#[test]
fn what_the_next_frame_contradicts_was_no_frame() {
    let mut messages = Messages::new(true, false);
    messages.bytes(OUT, &server(0x81, b"seen"));
    messages.content(OUT, Content::Lost(9));
    for misleading in [&b"\x82\x03abc\xff\xff"[..], b"\x88\x00behind a close", b"\x81\x01a\x80\x01b", b"\x01\x01a\x81\x01b"] {
        messages.bytes(OUT, misleading);
        assert_eq!(messages.told.len(), 1, "{}", misleading.escape_ascii());
    }
    messages.bytes(OUT, &server(0x82, b"right"));
    messages.end(Ending::Closed);
    assert_eq!((messages.counts()[1], lossy(&messages)), ((2, 9), (true, 9, None)));
    assert_eq!(messages.parser.take_stats().desyncs, 1, "one loss is one");
}

#[test]
fn a_message_whose_beginning_or_end_was_lost_is_counted_once_and_not_told() {
    let mut messages = Messages::new(true, false);
    messages.bytes(OUT, &server(0x01, b"begin"));
    messages.content(OUT, Content::Lost(9));
    messages.bytes(OUT, &[server(0x81, b"next"), server(0x81, b"last")].concat());
    assert_eq!(messages.told.len(), 2);
    messages.content(OUT, Content::Lost(9));
    messages.bytes(OUT, &[server(0x80, b"end"), server(0x89, b"")].concat());
    assert_eq!(messages.told.len(), 3, "the ping");
    messages.end(Ending::Closed);
    assert_eq!((messages.counts()[1], lossy(&messages)), ((4, 16), (true, 18, None)));
}

#[test]
fn a_lost_close_is_no_failure_and_its_code_is_the_other_ends() {
    let mut messages = Messages::new(true, false);
    messages.content(IN, Content::Lost(8));
    messages.end(Ending::PeerReset);
    assert_eq!((messages.session().close_code, lossy(&messages)), (None, (true, 8, None)));
    let mut messages = Messages::new(true, false);
    messages.bytes(IN, &client(0x88, b"\x03\xe8")[..6]);
    messages.content(IN, Content::Gap(2));
    messages.bytes(OUT, &server(0x88, b"\x03\xe8"));
    messages.end(Ending::Closed);
    assert_eq!((messages.session().close_code, lossy(&messages)), (Some(1000), (true, 2, None)));
}

#[test]
fn zeros_and_absurd_lengths_are_no_place() {
    let mut messages = Messages::new(true, false);
    messages.content(OUT, Content::Lost(1));
    messages.bytes(OUT, &[0; 64]);
    messages.bytes(OUT, b"\x82\x7f\x00\x12\x34\x56\x78\x9a\xbc\xdexxxx");
    messages.bytes(OUT, b"\x82\x7e\x00\x01x");
    messages.bytes(OUT, &server(0x82, b"right"));
    messages.end(Ending::Closed);
    assert_eq!(messages.counts()[1], (1, 5));
}
