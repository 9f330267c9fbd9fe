//! However the bytes of the corpus are cut, the exchanges are the same; and what is told of a beginning is the beginning of what is told.
use super::corpus::{CorpusSession, CorpusStep, sessions};
use super::*;
use crate::stream::Failure;

fn assert_same(whole: &Connection, cut: &Connection, what: &str) {
    assert_eq!(whole.done, cut.done, "{what}");
    assert_eq!(whole.told, cut.told, "{what}");
    assert_eq!(whole.request_bodies, cut.request_bodies, "{what}");
    assert_eq!(whole.response_bodies, cut.response_bodies, "{what}");
}

#[test]
fn every_split() {
    for session in sessions().iter().filter(|session| session.is_whole()) {
        let whole = session.run();
        for (at, (_, _, step)) in session.steps.iter().enumerate() {
            let CorpusStep::Bytes(_, bytes) = step else { continue };
            for place in 1..bytes.len() {
                let split = session.cut(|index, _| if index == at { vec![place] } else { vec![] });
                assert_same(&whole, &split.run(), &format!("{} step {at} byte {place}", session.name));
            }
        }
    }
}

#[test]
fn byte_by_byte_and_in_pieces_of_every_small_size() {
    for session in sessions().iter().filter(|session| session.is_whole()) {
        let whole = session.run();
        for size in 1..20 {
            let pieces = session.cut(|_, bytes| (1..bytes.len()).filter(|place| place % size == 0).collect());
            assert_same(&whole, &pieces.run(), &format!("{} in pieces of {size}", session.name));
        }
    }
}

#[test]
fn every_prefix() {
    for session in sessions() {
        let whole = session.run();
        for (at, (time_ns, arrival_ns, step)) in session.steps.iter().enumerate() {
            let CorpusStep::Bytes(direction, bytes) = step else { continue };
            for place in 0..bytes.len() {
                let mut steps = session.steps[..at].to_vec();
                steps.push((*time_ns, *arrival_ns, CorpusStep::Bytes(*direction, bytes[..place].to_vec())));
                let prefix = CorpusSession { name: session.name.clone(), steps };
                let what = format!("{} step {at} byte {place}", session.name);
                let mut connection = prefix.run();
                if session.is_whole() {
                    assert_eq!(connection.done, whole.done[..connection.done.len()], "{what}");
                }
                for end in [Ending::PeerClosed, Ending::Forgotten] {
                    connection.end(end);
                }
                let mut pending = 0;
                connection.parser.pending(&mut |_| pending += 1);
                assert_eq!(pending, 0, "{what}");
                assert!(connection.done.len() <= whole.done.len(), "{what}");
            }
        }
    }
}

#[test]
fn a_late_attach_at_every_chunk_makes_no_error_and_loses_no_later_exchange() {
    for session in sessions().iter().filter(|session| session.is_whole()) {
        let whole = session.run();
        for skipped in 1..session.steps.len() {
            let (time_ns, ..) = session.steps[skipped];
            let late = CorpusSession { name: session.name.clone(), steps: session.steps[skipped..].to_vec() }.run();
            let seen = |exchange: &&Exchange| exchange.first_read_ns.unwrap_or(exchange.start_ns) >= time_ns;
            // What is not HTTP is not told from the rest of something when it comes first.
            let sound = |exchange: &&Exchange| exchange.failure != Some(Failure::Protocol);
            let expected: Vec<_> = whole.done.iter().filter(seen).filter(sound).map(summary).collect();
            let found: Vec<_> = late.done.iter().filter(sound).map(summary).collect();
            assert_eq!(found, expected, "{} without {skipped} steps", session.name);
        }
    }
}
