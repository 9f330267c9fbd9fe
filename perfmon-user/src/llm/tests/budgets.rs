//! Model calls and the budget: whatever the bodies are, no more is taken from the heap than was charged, and time grows like the bodies.
use std::io::Write;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::budget::Budget;
use crate::counters::Counters;
use crate::heap::measured::{HeapMeter, assert_linear};

/// What a call costs beside its charge: its place in the list of calls, what is on the stack of a test.
const SLACK: usize = 4 * 1024;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn talk(request: Vec<u8>, answer: Vec<u8>) -> Talk {
    Talk { host: "api.openai.com", request, ..Talk::new("api.openai.com", "/v1/chat/completions", Vec::new()) }.at(1, answer)
}

/// Plays it and checks after each message what is held, and the most that was held before.
fn assert_charged(talk: &Talk, piece: usize) {
    let budget = Budget::new(64 << 20, Arc::new(Counters::default()));
    let of = budget.of(1);
    let mut tracker = tracker();
    // The price table is read beside the first call.
    talk.play(&mut tracker, &mut Calls::default(), usize::MAX, |_| {});
    let mut calls = Calls::default();
    let meter = HeapMeter::start();
    let mut before = 0;
    talk.play_charged(&mut tracker, &mut calls, piece, &of, |calls| {
        let (held, most, charged, most_charged) = (meter.held(), meter.take_most(), budget.used(), budget.take_most().max(before));
        assert!(held <= charged + calls.heap_bytes().min(SLACK) + SLACK, "{held} bytes held, {charged} charged");
        assert!(most <= most_charged + 2 * SLACK, "{most} bytes held at once, {most_charged} charged");
        before = charged;
    });
    assert_eq!(budget.used(), 0, "nothing stays charged");
}

/// Documents of the kinds that make state grow.
fn document() -> impl Strategy<Value = String> {
    let tool = |n: usize| {
        format!(r#"{{"id":"call_{}","type":"function","function":{{"name":"{}"}}}}"#, "i".repeat(n % 130), "n".repeat(n % 120 + 1))
    };
    let result =
        |n: usize| format!(r#"{{"role":"tool","tool_call_id":"{}","name":"{}","content":"x"}}"#, "i".repeat(n % 128), "n".repeat(n % 128));
    prop_oneof![
        (1_usize..300).prop_map(move |n| {
            let tools: Vec<_> = (0..n).map(|i| tool(i * 7)).collect();
            format!(r#"{{"choices":[{{"message":{{"tool_calls":[{}]}}}}]}}"#, tools.join(","))
        }),
        (1_usize..300).prop_map(move |n| {
            let results: Vec<_> = (0..n).map(|i| result(i * 11)).collect();
            format!(r#"{{"model":"m","messages":[{}]}}"#, results.join(","))
        }),
        (1_usize..5_000).prop_map(|n| format!(r#"{{"messages":[{}]}}"#, vec!["{}"; n].join(","))),
        (1_usize..400).prop_map(|n| "[".repeat(n)),
        (1_usize..400).prop_map(|n| r#"{"a":"#.repeat(n)),
        (1_usize..200).prop_map(|n| "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n".repeat(n)),
        (1_usize..2_000).prop_map(|n| format!("event: {}\ndata: {{}}\n\n", "e".repeat(n))),
        "[ -~\n]{0,300}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn no_more_is_taken_than_charged(
        request in document(),
        answer in document(),
        coded in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        piece in prop_oneof![1_usize..50, 100_usize..20_000],
    ) {
        let mut answer = answer.into_bytes();
        for (at, byte) in damage {
            if !answer.is_empty() {
                let at = at.index(answer.len());
                answer[at] = byte;
            }
        }
        let talk = if coded { talk(request.into_bytes(), gzip(&answer)).header("content-encoding", "gzip") } else { talk(request.into_bytes(), answer) };
        assert_charged(&talk, piece);
    }
}

#[test]
fn time_grows_like_the_bodies() {
    let texts: [(&str, fn(usize) -> String); 9] = [
        ("deep", |n| "[".repeat(n)),
        ("nested and closed", |n| "[[[[[[[[]]]]]]]],".repeat(n / 17)),
        ("messages", |n| format!("{{\"messages\":[{}{{}}]}}", "{},".repeat(n / 3))),
        ("tools", |n| {
            format!(
                "{{\"choices\":[{{\"message\":{{\"tool_calls\":[{}1]}}}}]}}",
                "{\"id\":\"i\",\"function\":{\"name\":\"n\"}},".repeat(n / 37)
            )
        }),
        ("results", |n| format!("{{\"messages\":[{}1]}}", "{\"role\":\"tool\",\"tool_call_id\":\"i\"},".repeat(n / 36))),
        ("one string", |n| format!("{{\"model\":\"{}", "m".repeat(n))),
        ("escapes", |n| format!("{{\"model\":\"{}", "\\u00e9".repeat(n / 6))),
        ("events", |n| "data:{}\n\n".repeat(n / 9)),
        ("names of events", |n| "event: e\n".repeat(n / 9)),
    ];
    for (what, text) in texts {
        for piece in [1, 1_000] {
            let n = if piece == 1 { 2_000 } else { 16_000 };
            let input = |n| talk(text(n).into_bytes(), text(n).into_bytes());
            assert_linear(what, n, input, |talk| drop(talk.play(&mut tracker(), &mut Calls::default(), piece, |_| {})));
        }
    }
}

#[test]
fn a_connection_whose_bodies_cost_too_much_is_given_up() {
    thread_local!(static CPU_NS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
    // Each piece costs a millisecond.
    let cpu_ns = || CPU_NS.replace(CPU_NS.get() + 1_000_000);
    let mut tracker = LlmTracker::new(LlmOptions { cpu_ns, ..options() });
    let mut calls = Calls::default();
    let answer = br#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":77,"completion_tokens":5}}"#;
    let coded = talk(chat("m", false).into(), gzip(answer)).header("content-encoding", "gzip");
    let plain = talk(chat("m", false).into(), answer.to_vec());
    let tokens = |talk: &Talk, tracker: &mut LlmTracker, calls: &mut Calls| {
        talk.play(tracker, calls, 1_000, |_| {}).map(|finished| finished.record.output_tokens)
    };
    assert_eq!(tokens(&coded, &mut tracker, &mut calls), Some(Some(5)));
    assert_eq!(tracker.counts().decoders_given_up, 0);
    assert_eq!(tokens(&coded, &mut tracker, &mut calls), Some(Some(5)), "the piece that was too much");
    assert_eq!(tracker.counts().decoders_given_up, 1);
    assert_eq!(tokens(&coded, &mut tracker, &mut calls), Some(None), "the call is known, its answer is not");
    assert_eq!(tokens(&plain, &mut tracker, &mut calls), Some(Some(5)), "bodies without a coding are read");
    assert_eq!(tokens(&coded, &mut tracker, &mut Calls::default()), Some(Some(5)), "so are those of other connections");
    assert_eq!(tracker.counts().decoders_given_up, 1);
}

#[test]
fn bombs_on_one_connection_add_up() {
    let bomb = gzip(&vec![b' '; 900_000]);
    let talk = talk(chat("m", false).into(), bomb).header("content-encoding", "gzip");
    let (mut tracker, mut calls) = (tracker(), Calls::default());
    let broken = |tracker: &mut LlmTracker, calls: &mut Calls| {
        talk.play(tracker, calls, 1_000, |_| {}).expect("a call");
        tracker.counts().bodies_broken
    };
    assert_eq!(broken(&mut tracker, &mut calls), 0);
    let all = (1..=10).map(|_| broken(&mut tracker, &mut calls)).last();
    assert!(all >= Some(9) && tracker.counts().decoders_given_up == 1, "{:?}", tracker.counts());
}

/// CPU time of a call whose request has this body; the shortest of three.
fn request_ns(body: &[u8], coding: &'static str) -> u64 {
    let talk = talk(body.to_vec(), Vec::new()).request_header("content-encoding", coding);
    let mut least_ns = u64::MAX;
    for _turn in 0..3 {
        let begin_ns = crate::clock::thread_cpu_ns();
        drop(talk.play(&mut tracker(), &mut Calls::default(), 16_384, |_| {}));
        least_ns = least_ns.min(crate::clock::thread_cpu_ns() - begin_ns);
    }
    least_ns
}

/// Members of gzip with names of this length, about so many bytes.
fn members(name: usize, plain: &[u8], bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new().filename(vec![b'n'; name]).write(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    let member = encoder.finish().unwrap();
    member.repeat(bytes / member.len())
}

#[test]
fn members_of_gzip_cost_time_like_plain_bytes() {
    const BYTES: usize = 1 << 20;
    let filled = |begin: &str, piece: &str, end: &str| [begin, &piece.repeat(BYTES / piece.len()), end].concat().into_bytes();
    let message = format!(r#"{{"role":"user","content":"{}"}},"#, "Some words of a question. ".repeat(4));
    let conversation = filled(r#"{"model":"m","messages":["#, &message, "{}]}");
    let text = filled(r#"{"model":"m","messages":[{"role":"user","content":""#, "x", r#""}]}"#);
    let [conversation, text] = [conversation, text].map(|plain| request_ns(&plain, ""));
    for plain in [&b"{}"[..], b"x", b""] {
        let [long, short] = [1_000, 40].map(|name| request_ns(&members(name, plain, BYTES), "gzip"));
        assert!(long < 2 * text, "members with long names cost {long} ns, one text {text}");
        assert!(short < 2 * conversation, "members with short names cost {short} ns, a conversation {conversation}");
    }
}

#[test]
fn a_coded_body_of_no_model_call_is_not_decoded() {
    let bomb = [gzip(b"{}"), members(1_000, b"x", 100_000)].concat();
    let budget = Budget::new(64 << 20, Arc::new(Counters::default()));
    let followed = |target| {
        let talk = Talk::new("files", target, bomb.clone()).request_header("content-encoding", "gzip");
        let (mut pieces, mut most) = (0, 0);
        talk.play_charged(&mut tracker(), &mut Calls::default(), 1_000, &budget.of(1), |calls| {
            pieces += calls.len();
            most = most.max(budget.take_most());
        });
        (pieces, most > 0)
    };
    assert_eq!(followed("/upload"), (0, false));
    assert_eq!(followed("/v1/chat/completions"), (1, true), "until its first document");
}
