//! Sizes and times on the wire for plaintext.
use super::*;
use crate::stream::Stamp;

fn segment(direction: Direction, time_ns: u64, content: Content<'_>) -> Segment<'_> {
    Segment { direction, stamp: Stamp { time_ns, arrival_ns: Some(time_ns - 5), thread: 1 }, content }
}

fn plain(direction: Direction, time_ns: u64, len: u32) -> Plain<'static> {
    Plain {
        direction,
        stamp: Stamp { time_ns, arrival_ns: None, thread: 1 },
        bytes: vec![b'p'; len as usize].into(),
        missing: 0,
        call_len: len,
    }
}

fn record(len: u16) -> Vec<u8> {
    let [high, low] = len.to_be_bytes();
    [&[23, 3, 3, high, low][..], &vec![0; len.into()]].concat()
}

/// Tells `plain` as one message.
fn told(cipher: &mut Cipher, plain: &Plain<'_>) -> u64 {
    cipher.begin(plain.direction, std::iter::once(plain.call_len));
    cipher.times(plain);
    cipher.tell(plain.direction, plain.len())
}

#[test]
fn handshake_bytes_belong_to_no_request_however_they_come() {
    // Two session tickets, an answer's head in one record and its body in another.
    let wire = [record(250), record(250), record(100 + 17), record(40 + 17)].concat();
    for cut in 1..wire.len() {
        let mut cipher = Cipher::new();
        for (n, piece) in [&wire[..cut], &wire[cut..]].into_iter().enumerate() {
            cipher.moved(&segment(Direction::In, 10 + n as u64, Content::Bytes(piece)));
        }
        let (head, body) = (plain(Direction::In, 20, 100), plain(Direction::In, 20, 40));
        cipher.begin(Direction::In, std::iter::once(100));
        cipher.times(&head);
        cipher.times(&body);
        assert_eq!(cipher.tell(Direction::In, 140), 122 + 62, "cut at {cut}");
    }
}

#[test]
fn a_header_that_was_not_captured_still_has_its_place() {
    let wire = [record(250), record(250), record(100 + 17), record(40 + 17)].concat();
    let mut cipher = Cipher::new();
    cipher.moved(&segment(Direction::In, 10, Content::Bytes(&wire[..400])));
    cipher.moved(&segment(Direction::In, 10, Content::Gap(wire.len() as u64 - 400)));
    let all = plain(Direction::In, 20, 140);
    cipher.begin(Direction::In, std::iter::once(100));
    cipher.times(&all);
    assert_eq!(cipher.tell(Direction::In, 140), 122 + 62);
}

#[test]
fn messages_told_together_share_what_moved() {
    let mut cipher = Cipher::new();
    cipher.moved(&segment(Direction::In, 10, Content::Bytes(&record(300 + 17))));
    let both = plain(Direction::In, 20, 300);
    cipher.begin(Direction::In, std::iter::once(300));
    cipher.times(&both);
    assert_eq!((cipher.tell(Direction::In, 100), cipher.tell(Direction::In, 200)), (107, 215));
    assert_eq!(cipher.tell(Direction::In, 5), 0, "nothing more moved");
}

#[test]
fn writes_are_told_when_the_socket_has_sent_them() {
    let mut cipher = Cipher::new();
    let write = plain(Direction::Out, 5, 40_000);
    let len = wire_len(40_000, USUAL_OVERHEAD);
    cipher.will_send(write);
    let mut passed = 0;
    for (n, sent) in [15_000, 15_000, len - 30_000].into_iter().enumerate() {
        assert!(passed < 40_000);
        cipher.moved(&segment(Direction::Out, 100 + n as u64, Content::Gap(sent)));
        for part in cipher.sent(sent) {
            passed += part.len();
            cipher.begin(Direction::Out, std::iter::once(part.call_len));
            assert_eq!(cipher.times(&part).0, 100 + n as u64);
        }
    }
    assert_eq!(passed, 40_000);
    assert_eq!(cipher.tell(Direction::Out, 40_000), len);
    assert!(cipher.sent(1_000).is_empty() && cipher.all_unsent().is_empty());
}

#[test]
fn reads_have_the_times_of_the_receives_that_carried_them() {
    let mut cipher = Cipher::new();
    // The end of the handshake, then long after a request in two receives.
    cipher.moved(&segment(Direction::In, 100, Content::Gap(80)));
    cipher.moved(&segment(Direction::In, 9_000, Content::Bytes(&[23, 3, 3, 0, 117])));
    cipher.moved(&segment(Direction::In, 9_010, Content::Gap(117)));
    assert_eq!(cipher.times(&plain(Direction::In, 9_020, 100)), (9_010, Some(8_995)));
    // Later receives do not count for what was read before.
    cipher.moved(&segment(Direction::In, 20_000, Content::Gap(122)));
    assert_eq!(cipher.times(&plain(Direction::In, 9_020, 100)), (9_010, Some(8_995)));
    assert_eq!(told(&mut cipher, &plain(Direction::Out, 7, 0)), 0);
}
