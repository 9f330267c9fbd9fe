//! Sizes and times on the wire for plaintext.
use super::*;
use crate::budget::Allowance;
use crate::stream::Stamp;

fn segment(direction: Direction, time_ns: u64, content: Content<'_>) -> Segment<'_> {
    Segment { direction, stamp: Stamp { time_ns, arrival_ns: Some(time_ns - 5), thread: 1, run: None }, content }
}

fn plain(direction: Direction, time_ns: u64, len: u32) -> Plain<'static> {
    Plain {
        direction,
        stamp: Stamp { time_ns, arrival_ns: None, thread: 1, run: None },
        bytes: vec![b'p'; len as usize].into(),
        missing: 0,
        is_cut: false,
        call_len: len,
    }
}

fn record(len: u16) -> Vec<u8> {
    let [high, low] = len.to_be_bytes();
    [&[23, 3, 3, high, low][..], &vec![0; len.into()]].concat()
}

/// Tells `plain` as one message.
fn told(side: &mut EncryptedSide, plain: &Plain<'_>) -> u64 {
    side.begin(plain.direction, std::iter::once(plain.call_len));
    side.times(plain);
    side.tell(plain.direction, plain.len())
}

#[test]
fn handshake_bytes_belong_to_no_request_however_they_come() {
    // Two session tickets, an answer's head in one record and its body in another.
    let wire = [record(250), record(250), record(100 + 17), record(40 + 17)].concat();
    for cut in 1..wire.len() {
        let mut side = EncryptedSide::default();
        for (n, piece) in [&wire[..cut], &wire[cut..]].into_iter().enumerate() {
            side.moved(&segment(Direction::In, 10 + n as u64, Content::Bytes(piece)));
        }
        let (head, body) = (plain(Direction::In, 20, 100), plain(Direction::In, 20, 40));
        side.begin(Direction::In, std::iter::once(100));
        side.times(&head);
        side.times(&body);
        assert_eq!(side.tell(Direction::In, 140), 122 + 62, "cut at {cut}");
    }
}

#[test]
fn a_header_that_was_not_captured_still_has_its_place() {
    let wire = [record(250), record(250), record(100 + 17), record(40 + 17)].concat();
    let mut side = EncryptedSide::default();
    side.moved(&segment(Direction::In, 10, Content::Bytes(&wire[..400])));
    side.moved(&segment(Direction::In, 10, Content::Gap(wire.len() as u64 - 400)));
    let all = plain(Direction::In, 20, 140);
    side.begin(Direction::In, std::iter::once(100));
    side.times(&all);
    assert_eq!(side.tell(Direction::In, 140), 122 + 62);
}

#[test]
fn messages_told_together_share_what_moved() {
    let mut side = EncryptedSide::default();
    side.moved(&segment(Direction::In, 10, Content::Bytes(&record(300 + 17))));
    let both = plain(Direction::In, 20, 300);
    side.begin(Direction::In, std::iter::once(300));
    side.times(&both);
    assert_eq!((side.tell(Direction::In, 100), side.tell(Direction::In, 200)), (107, 215));
    assert_eq!(side.tell(Direction::In, 5), 0, "nothing more moved");
}

#[test]
fn writes_are_told_when_the_socket_has_sent_them() {
    let mut side = EncryptedSide::default();
    let write = plain(Direction::Out, 5, 40_000);
    let len = wire_len(40_000, USUAL_OVERHEAD);
    side.will_send(write, Allowance::default);
    let mut passed = 0;
    for (n, sent) in [15_000, 15_000, len - 30_000].into_iter().enumerate() {
        assert!(passed < 40_000);
        side.moved(&segment(Direction::Out, 100 + n as u64, Content::Gap(sent)));
        for part in side.sent(sent) {
            passed += part.len();
            side.begin(Direction::Out, std::iter::once(part.call_len));
            assert_eq!(side.times(&part).0, 100 + n as u64);
        }
    }
    assert_eq!(passed, 40_000);
    assert_eq!(side.tell(Direction::Out, 40_000), len);
    assert!(side.sent(1_000).is_empty() && side.all_unsent().is_empty());
}

#[test]
fn reads_have_the_times_of_the_receives_that_carried_them() {
    let mut side = EncryptedSide::default();
    // The end of the handshake, then long after a request in two receives.
    side.moved(&segment(Direction::In, 100, Content::Gap(80)));
    side.moved(&segment(Direction::In, 9_000, Content::Bytes(&[23, 3, 3, 0, 117])));
    side.moved(&segment(Direction::In, 9_010, Content::Gap(117)));
    assert_eq!(side.times(&plain(Direction::In, 9_020, 100)), (9_010, Some(8_995)));
    // Later receives do not count for what was read before.
    side.moved(&segment(Direction::In, 20_000, Content::Gap(122)));
    assert_eq!(side.times(&plain(Direction::In, 9_020, 100)), (9_010, Some(8_995)));
    assert_eq!(told(&mut side, &plain(Direction::Out, 7, 0)), 0);
}

/// A write of `len` bytes in the pieces that the kernel makes of it.
fn pieces(len: u32) -> Vec<Plain<'static>> {
    const PIECE: usize = 16_000;
    let whole = vec![b'p'; len as usize];
    let mut pieces: Vec<_> =
        whole.chunks(PIECE).map(|bytes| Plain { bytes: bytes.to_vec().into(), call_len: 0, ..plain(Direction::Out, 5, 0) }).collect();
    pieces[0].call_len = len;
    pieces
}

#[test]
fn a_write_in_pieces_is_sent_when_its_records_are() {
    // ChaCha20 in TLS 1.2 adds 21 bytes to a record, TLS 1.3 22, GCM in TLS 1.2 29; the pieces are shorter than records.
    for (len, overhead) in [(65_536, 21), (65_536, 22), (262_144, 22), (262_144, 29), (40_000, 22), (16_257, 22)] {
        let mut side = EncryptedSide::default();
        for piece in pieces(len) {
            assert_eq!(side.will_send(piece, Allowance::default), 0);
        }
        let carried = side.sent(wire_len(len.into(), overhead));
        assert_eq!(carried.iter().map(|plain| plain.bytes.len()).sum::<usize>(), len as usize, "{len} with {overhead}");
        assert!(side.all_unsent().is_empty(), "{len} with {overhead}");
    }
}

#[test]
fn writes_that_are_never_sent_stay_bounded_and_counted() {
    let mut side = EncryptedSide::default();
    let mut cut = 0;
    for _ in 0..100 {
        cut += side.will_send(plain(Direction::Out, 5, 16_000), Allowance::default);
    }
    let unsent = side.all_unsent();
    assert!(unsent.iter().map(|plain| plain.bytes.len()).sum::<usize>() <= crate::limits::TLS_HELD_BYTES);
    assert_eq!(unsent.iter().map(Plain::len).sum::<u64>(), 1_600_000);
    assert_eq!(unsent.iter().filter(|plain| plain.is_cut).map(|plain| plain.missing).sum::<u64>(), cut);
    for _ in 0..10_000 {
        side.will_send(Plain { bytes: Vec::new().into(), missing: 5, call_len: 5, ..plain(Direction::Out, 5, 0) }, Allowance::default);
    }
    let unsent = side.all_unsent();
    assert!(unsent.len() <= crate::limits::TLS_WRITES_UNSENT + 1);
    assert_eq!(unsent.iter().map(Plain::len).sum::<u64>(), 50_000);
}

#[test]
fn the_last_writes_can_be_taken_back() {
    let mut side = EncryptedSide::default();
    side.will_send(plain(Direction::Out, 5, 100), Allowance::default);
    for piece in pieces(20_000).into_iter().chain(pieces(30)) {
        side.will_send(piece, Allowance::default);
    }
    let taken = side.take_back(2);
    assert_eq!(taken.iter().map(|plain| (plain.call_len, plain.len())).collect::<Vec<_>>(), [(20_000, 16_000), (0, 4_000), (30, 30)]);
    assert_eq!(side.all_unsent().iter().map(Plain::len).collect::<Vec<_>>(), [100]);
    assert!(side.take_back(1).is_empty());
}
