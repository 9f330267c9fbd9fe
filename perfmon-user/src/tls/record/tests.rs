//! Records made here: every prefix, every split, every gap, and garbage.
use super::*;

fn record(kind: u8, len: u16) -> Vec<u8> {
    let [high, low] = len.to_be_bytes();
    [&[kind, 3, 3, high, low][..], &vec![0x16; len.into()]].concat()
}

/// Headers with their positions, all content, and other news, of bytes in those pieces.
#[derive(Debug, Default, PartialEq)]
struct Trace {
    records: Vec<(RecordType, u16, u64)>,
    content: Vec<u8>,
    hidden: Vec<u64>,
    holes: usize,
    foreign: usize,
}

fn walk(pieces: &[Content<'_>]) -> Trace {
    let (mut walk, mut trace) = (RecordWalk::default(), Trace::default());
    for piece in pieces {
        walk.push(*piece, &mut |walked| match walked {
            Walked::Record { header, begins } => trace.records.push((header.kind, header.len, begins)),
            Walked::Fragment(bytes) => trace.content.extend(bytes),
            Walked::Hole => trace.holes += 1,
            Walked::Hidden(position) => trace.hidden.push(position),
            Walked::Foreign => trace.foreign += 1,
        });
    }
    trace
}

fn sample() -> (Vec<u8>, Trace) {
    let wire = [record(22, 40), record(20, 1), record(23, 0), record(23, 300), record(21, 2)].concat();
    use RecordType::{Alert, ApplicationData, ChangeCipherSpec, Handshake};
    let records =
        vec![(Handshake, 40, 0), (ChangeCipherSpec, 1, 45), (ApplicationData, 0, 51), (ApplicationData, 300, 56), (Alert, 2, 361)];
    (wire, Trace { records, content: vec![0x16; 343], ..Trace::default() })
}

#[test]
fn headers_byte_by_byte() {
    let header = record(22, 5);
    for len in 0..HEADER {
        assert_eq!(RecordHeader::of(&header[..len]), Err(Shortfall::NeedMore), "{len}");
    }
    assert_eq!(RecordHeader::of(&header), Ok(RecordHeader { kind: RecordType::Handshake, len: 5 }));
    for foreign in [&[19][..], &[24], b"G", &[22, 2], &[22, 3, 5], &[23, 3, 3, 0x48, 1], &[0x80, 0x2e, 1]] {
        assert_eq!(RecordHeader::of(foreign), Err(Shortfall::Malformed), "{foreign:?}");
    }
    assert!(RecordHeader::of(&[23, 3, 3, 0x48, 0]).is_ok(), "2^14 + 2,048");
}

#[test]
fn every_split_gives_the_same_walk() {
    let (wire, expected) = sample();
    assert_eq!(walk(&[Content::Bytes(&wire)]), expected);
    for cut in 0..=wire.len() {
        assert_eq!(walk(&[Content::Bytes(&wire[..cut]), Content::Bytes(&wire[cut..])]), expected, "cut at {cut}");
    }
    for size in [1, 2, 3, 7] {
        assert_eq!(walk(&wire.chunks(size).map(Content::Bytes).collect::<Vec<_>>()), expected, "pieces of {size}");
    }
}

#[test]
fn every_prefix_gives_a_prefix_of_the_walk() {
    let (wire, expected) = sample();
    for len in 0..=wire.len() {
        let trace = walk(&[Content::Bytes(&wire[..len])]);
        assert!(expected.records.starts_with(&trace.records) && expected.content.starts_with(&trace.content), "{len}");
        assert_eq!((trace.holes, trace.foreign, trace.hidden), (0, 0, vec![]), "{len}");
        let lens: Vec<u16> = trace.records.iter().map(|record| record.1).collect();
        assert_eq!(headers(&wire[..len]).map(|header| header.len).collect::<Vec<_>>(), lens, "{len}");
    }
}

#[test]
fn every_gap_is_within_a_record_or_hides_a_header() {
    let (wire, expected) = sample();
    for from in 0..wire.len() {
        for to in from + 1..=wire.len() {
            let trace = walk(&[Content::Bytes(&wire[..from]), Content::Gap((to - from) as u64), Content::Bytes(&wire[to..])]);
            // The record that the gap begins in, header and all, unless it begins where a header is due or within it.
            let inside = expected.records.iter().find(|(_, len, begins)| {
                let (content, end) = (*begins as usize + HEADER, *begins as usize + HEADER + usize::from(*len));
                (content..end).contains(&from) && to <= end
            });
            if inside.is_some() {
                assert_eq!((&trace.records, trace.holes), (&expected.records, 1), "{from}..{to}");
                assert_eq!(trace.content.len(), expected.content.len() - (to - from));
            } else {
                let due = expected.records.iter().map(|record| record.2).find(|begins| *begins as usize + HEADER > from);
                assert_eq!(trace.hidden, [due.unwrap_or(wire.len() as u64)], "{from}..{to}");
                if expected.records.iter().any(|record| record.2 == to as u64) {
                    let after = expected.records.iter().filter(|record| record.2 >= to as u64);
                    assert!(after.eq(trace.records.iter().filter(|record| record.2 >= to as u64)), "{from}..{to}: found again");
                }
            }
        }
    }
}

#[test]
fn what_is_no_record_is_left_until_the_next_operation() {
    let trace =
        walk(&[Content::Bytes(b"GET / HTTP/1.1\r\n"), Content::Bytes(&record(23, 9)), Content::Unknown, Content::Bytes(&record(23, 8))]);
    assert_eq!(trace.records, [(RecordType::ApplicationData, 9, 16), (RecordType::ApplicationData, 8, 30)]);
    assert_eq!(trace.foreign, 2);
}

proptest::proptest! {
    #[test]
    fn random_pieces_never_panic_and_positions_stay_inside(
        pieces in proptest::collection::vec((0_u8..6, proptest::collection::vec(proptest::prop_oneof![20_u8..24, 3_u8..4, 0_u8..3], 0..60)), 0..40),
    ) {
        let contents: Vec<Content<'_>> = pieces.iter().map(|(kind, bytes)| match kind {
            0 => Content::Gap(bytes.len() as u64 * 7),
            1 => Content::Lost(bytes.len() as u64),
            2 => Content::Unknown,
            _ => Content::Bytes(bytes),
        }).collect();
        let total: u64 = contents.iter().map(Content::len).sum();
        let trace = walk(&contents);
        for (_, _, begins) in &trace.records {
            proptest::prop_assert!(*begins + HEADER as u64 <= total);
        }
        proptest::prop_assert!(trace.content.len() as u64 <= total);
        let _ = pieces.iter().map(|(_, bytes)| headers(bytes).count()).sum::<usize>();
    }
}

#[test]
fn a_walk_holds_nothing_and_costs_time_like_the_bytes() {
    use crate::heap::measured::{HeapMeter, assert_linear};
    let count = |wire: &Vec<u8>, piece: usize| {
        let (mut walk, mut seen) = (RecordWalk::default(), 0);
        wire.chunks(piece).for_each(|piece| walk.push(Content::Bytes(piece), &mut |_| seen += 1));
        seen
    };
    let inputs: [(&str, fn(usize) -> Vec<u8>); 3] = [
        ("empty records", |n| record(23, 0).repeat(n / 5)),
        ("records", |n| record(23, 300).repeat(n / 305)),
        ("no records", |n| vec![b'G'; n]),
    ];
    for (what, input) in inputs {
        for piece in [1, 1_000] {
            assert_linear(what, 10_000, input, |wire| assert!(count(wire, piece) > 0));
            let wire = input(50_000);
            let meter = HeapMeter::start();
            count(&wire, piece);
            assert_eq!(meter.take_most(), 0, "{what}");
        }
    }
}
