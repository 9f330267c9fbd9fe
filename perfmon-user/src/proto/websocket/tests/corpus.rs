//! The corpus, `tests/corpus/websocket`: sessions of real servers and clients, each with the handshake, which HTTP/1 reads and hands over.
use serde_json::{Value, json};

use super::*;
use crate::proto::corpus::{self, CorpusSession};
use crate::proto::http1::Http1;
use crate::proto::{HandOver, Successor};
use crate::stream::Failure;

/// Runs a whole connection; `None` while its handshake is not over.
fn run(session: &CorpusSession) -> Option<Messages> {
    let (mut http, mut messages) = (Http1::new(), None::<Messages>);
    for (time_ns, arrival_ns, step) in &session.steps {
        match (step.segment(*time_ns, *arrival_ns), &mut messages) {
            (Ok(segment), Some(messages)) => {
                messages.segment(segment);
            }
            (Ok(segment), None) => {
                if http.push(segment, &mut |_: Message<'_>| {}) == Demand::HandOver {
                    let Some(HandOver { successor: Successor::WebSocket(handshake), unread }) = http.hand_over() else {
                        panic!("{}: not handed over to WebSocket", session.name)
                    };
                    let next = messages.insert(Messages::of(*handshake));
                    unread.release(|segment| {
                        next.segment(segment);
                    });
                }
            }
            (Err(ending), Some(messages)) => messages.end_at(*time_ns, ending),
            (Err(ending), None) => http.end(ending, *time_ns, &mut |_: Message<'_>| {}),
        }
    }
    messages
}

fn whole(session: &CorpusSession) -> Messages {
    run(session).unwrap_or_else(|| panic!("{}: no handshake", session.name))
}

fn golden(messages: &Messages) -> Value {
    let us = |ns: u64| ns / 1_000;
    let side = |direction: Direction| if direction == Direction::In { "received" } else { "sent" };
    let told = |message: &FrameMessage| {
        let kind = match message.kind {
            FrameKind::Text => "text",
            FrameKind::Binary => "binary",
            FrameKind::Control => "control",
        };
        format!("{} {} {kind} {} bytes", us(message.stamp.time_ns), side(message.direction), message.payload_bytes)
    };
    let session = messages.session();
    let totals = |totals: crate::proto::frame::FrameTotals| json!({ "messages": totals.messages, "payload_bytes": totals.payload_bytes, "wire_bytes": totals.wire_bytes });
    corpus::present(json!({
        "side": if session.opening.server { "server" } else { "client" },
        "path": session.opening.path,
        "start_us": us(session.opening.start_ns),
        "end_us": us(session.end_ns),
        "received": totals(session.received),
        "sent": totals(session.sent),
        "close_code": session.close_code,
        "failure": session.failure.map(|failure| format!("{failure:?}")),
        "inferred": session.inferred.then_some(true),
        "missing_bytes": (session.missing_bytes > 0).then_some(session.missing_bytes),
        "messages": messages.told.iter().map(told).collect::<Vec<_>>(),
    }))
}

#[test]
fn the_corpus_comes_to_its_golden_sessions() {
    for session in corpus::sessions("websocket") {
        session.assert_golden("websocket", &golden(&whole(&session)));
    }
}

#[test]
fn the_corpus_is_exact() {
    for session in corpus::sessions("websocket") {
        let mut messages = whole(&session);
        assert_eq!(messages.parser.take_stats(), Stats::default(), "{}", session.name);
        let done = messages.session();
        assert!(!done.inferred && done.missing_bytes == 0 && done.failure != Some(Failure::Protocol), "{}", session.name);
        let counted = messages.told.iter().filter(|message| message.kind != FrameKind::Control);
        assert_eq!(counted.count() as u64, done.received.messages + done.sent.messages, "{}", session.name);
    }
}

fn assert_same(whole: &Messages, cut: &Messages, what: &str) {
    assert_eq!(whole.done, cut.done, "{what}");
    assert_eq!(whole.told, cut.told, "{what}");
}

#[test]
fn every_split() {
    for session in corpus::sessions("websocket").iter().filter(|session| session.is_whole()) {
        let expected = whole(session);
        for (at, (_, _, step)) in session.steps.iter().enumerate() {
            let corpus::CorpusStep::Bytes(_, bytes) = step else { continue };
            for place in 1..bytes.len() {
                let split = session.cut(|index, _| if index == at { vec![place] } else { vec![] });
                assert_same(&expected, &whole(&split), &format!("{} step {at} byte {place}", session.name));
            }
        }
        for size in 1..20 {
            let pieces = session.cut(|_, bytes| (1..bytes.len()).filter(|place| place % size == 0).collect());
            assert_same(&expected, &whole(&pieces), &format!("{} in pieces of {size}", session.name));
        }
    }
}

#[test]
fn every_prefix() {
    for session in corpus::sessions("websocket").iter().filter(|session| session.is_whole()) {
        let expected = whole(session);
        for (at, (time_ns, arrival_ns, step)) in session.steps.iter().enumerate() {
            let corpus::CorpusStep::Bytes(direction, bytes) = step else { continue };
            for place in 0..bytes.len() {
                let mut steps = session.steps[..at].to_vec();
                steps.push((*time_ns, *arrival_ns, corpus::CorpusStep::Bytes(*direction, bytes[..place].to_vec())));
                let Some(mut messages) = run(&CorpusSession { name: session.name.clone(), steps }) else { continue };
                let what = format!("{} step {at} byte {place}", session.name);
                assert_eq!(messages.told, expected.told[..messages.told.len()], "{what}");
                messages.end(Ending::PeerClosed);
                messages.end(Ending::Forgotten);
                let (done, all) = (messages.session(), expected.session());
                assert!(done.received.messages <= all.received.messages && done.sent.messages <= all.sent.messages, "{what}");
                assert!(!done.inferred && done.failure != Some(Failure::Protocol), "{what}: {done:?}");
                assert!(!messages.parser.is_open(), "{what}");
            }
        }
    }
}
