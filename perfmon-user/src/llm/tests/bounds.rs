use std::io::Write;

use proptest::prelude::*;

use super::*;

/// A call's state may take so much, whatever passes.
const STATE: usize = 64 * 1024;

const USAGE_CHUNK: &str = r#"{"choices":[],"usage":{"prompt_tokens":77,"completion_tokens":5000}}"#;

fn talk() -> Talk {
    Talk::new("gpu:8000", "/v1/chat/completions", chat("m", true))
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Plays it and returns the record and the largest state on the way.
fn measured(talk: &Talk, piece: usize) -> (Option<Finished>, usize, LlmCounts) {
    let (mut tracker, mut calls, mut most) = (tracker(), Calls::default(), 0);
    let finished = talk.play(&mut tracker, &mut calls, piece, |calls| most = most.max(calls.heap_bytes()));
    assert_eq!(calls.heap_bytes(), 0, "nothing stays");
    (finished, most, tracker.counts())
}

#[test]
fn usage_at_the_end_of_a_5_mb_stream_is_found_in_bounded_memory() {
    let chunk = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "word ".repeat(200));
    let mut talk = talk().header("content-type", "text/event-stream");
    for i in 0..5_000 {
        talk = talk.at(i, chunk.as_bytes());
    }
    let talk = talk.at(5_000, format!("data: {USAGE_CHUNK}\n\ndata: [DONE]\n\n"));
    assert!(talk.answer.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 5_000_000);
    let (finished, most, _) = measured(&talk, 700);
    let record = finished.unwrap().record;
    assert_eq!((record.input_tokens, record.output_tokens, record.chunks), (Some(77), Some(5_000), 5_000));
    assert!(most < STATE, "{most} bytes");
}

#[test]
fn a_50_mb_request_and_a_50_mb_answer_cost_no_memory() {
    let message = format!("{{\"role\":\"user\",\"content\":\"{}\"}}", "x".repeat(10_000));
    let messages = vec![message; 5_000].join(",");
    let request = format!("{{\"messages\":[{messages}],\"model\":\"m\"}}");
    let answer = format!(
        r#"{{"choices":[{{"message":{{"content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#,
        "y".repeat(50_000_000)
    );
    let talk = Talk { request: request.into(), ..talk() }.at(9, answer);
    let (finished, most, _) = measured(&talk, 16_384);
    let finished = finished.unwrap();
    assert_eq!((finished.detail.messages, finished.record.output_tokens), (5_000, Some(2)));
    assert!(most < STATE, "{most} bytes");
}

#[test]
fn compressed_answers_are_read_within_the_bound() {
    let answer = format!(
        r#"{{"choices":[{{"finish_reason":"stop"}}],"text":"{}","usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#,
        "lorem ipsum ".repeat(50_000)
    );
    for (coding, bytes) in [("gzip", gzip(answer.as_bytes())), ("identity", answer.clone().into_bytes())] {
        let (finished, most, counts) = measured(&talk().header("content-encoding", coding).at(4, bytes), 1_400);
        assert_eq!((finished.unwrap().record.output_tokens, counts.bodies_broken), (Some(2), 0), "{coding}");
        assert!(most < STATE, "{coding}: {most} bytes");
    }
}

#[test]
fn a_compressed_stream_has_its_times() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut stream = talk().header("content-type", "text/event-stream").header("content-encoding", "gzip");
    for (ms, event) in [(50, r#"{"choices":[{"delta":{"content":"a"}}]}"#), (90, USAGE_CHUNK), (95, "[DONE]")] {
        encoder.write_all(format!("data: {event}\n\n").as_bytes()).unwrap();
        encoder.flush().unwrap();
        stream = stream.at(ms, std::mem::take(encoder.get_mut()));
    }
    let record = stream.record();
    assert_eq!((ms(record.time_to_first_token_ms), record.output_tokens, record.stream), (Some(50.0), Some(5_000), true));
}

#[test]
fn bodies_that_cannot_be_read_are_counted_and_the_next_call_is_fine() {
    let garbage: Vec<u8> = (0..9_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
    let mut bomb = vec![];
    for _ in 0..4 {
        bomb.extend(gzip(&vec![b'['; 8 << 20]));
    }
    let bad = [
        talk().at(1, r#"{"choices":[{"finish_reason":"stop"}"#),
        talk().at(1, r#"{"choices":[}]"#),
        talk().header("content-encoding", "gzip").at(1, garbage.clone()),
        talk().header("content-encoding", "br").at(1, garbage.clone()),
        talk().header("content-encoding", "zstd").at(1, garbage.clone()),
        talk().header("content-encoding", "gzip").at(1, bomb),
        talk().header("content-encoding", "lzma").at(1, "x"),
        talk().at(1, "[".repeat(100_000)),
        talk().header("content-type", "text/event-stream").at(1, "data: {\"choices\":[\n\n".repeat(1_000)),
        talk().at(1, garbage),
    ];
    for (i, talk) in bad.iter().enumerate() {
        let (finished, most, counts) = measured(talk, 500);
        let record = finished.unwrap_or_else(|| panic!("number {i} is a call")).record;
        assert_eq!((record.input_tokens, record.cost_usd, counts.bodies_broken), (None, None, 1), "number {i}");
        assert!(most < 2 * STATE, "number {i}: {most} bytes");
    }
}

#[test]
fn after_a_gap_a_stream_goes_on_and_a_document_does_not() {
    let chunk = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
    let stream =
        talk().events(&[(1, chunk)]).at(2, GAP).at(3, format!("gone\"}}}}]}}\n\ndata: {chunk}\n\ndata: {USAGE_CHUNK}\n\ndata: [DONE]\n\n"));
    let finished = stream.finished().unwrap();
    assert_eq!((finished.record.output_tokens, finished.record.chunks, text(&finished.record.error_type)), (Some(5_000), 2, None));
    let from_the_start = Talk { answer: vec![], ..talk() }
        .header("content-type", "text/event-stream")
        .at(1, GAP)
        .at(2, format!("x\n\ndata: {USAGE_CHUNK}\n\n"));
    assert_eq!(from_the_start.finished().unwrap().record.output_tokens, Some(5_000));
    let document = talk().at(1, r#"{"choices":[{"a":""#).at(2, GAP).at(3, format!("\"}}]}}\n{USAGE_CHUNK}"));
    let record = document.finished().unwrap().record;
    assert_eq!((record.output_tokens, record.token_source, record.error_type), (None, None, None));
}

#[test]
fn every_prefix_of_a_stream_is_a_call_cut_short() {
    let whole = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}]}}\n\ndata: {USAGE_CHUNK}\n\ndata: [DONE]\n\n");
    let end = whole.find("[DONE]").unwrap();
    for len in 0..=whole.len() {
        let talk = talk().header("content-type", "text/event-stream").at(1, &whole[..len]).fails(Failure::Truncated);
        let record = talk.finished().unwrap().record;
        let has_usage = len >= whole.find("5000").unwrap() + 5;
        assert_eq!((record.stream, record.output_tokens.is_some()), (true, has_usage), "{len} bytes");
        assert_eq!(text(&record.error_type), (len <= end).then_some("truncated"), "{len} bytes");
    }
}

#[test]
fn calls_are_bounded() {
    let mut tracker = LlmTracker::new(LlmOptions { calls_per_connection: 2, ..options() });
    let origin = Arc::new(Origin::unknown(1));
    let peer: Arc<str> = "192.0.2.1:5".into();
    let context = CallContext { origin: &origin, tls: false, peer: &peer, destination: None, request_bytes: 0, response_bytes: 0 };
    let open = |tracker: &mut LlmTracker, calls: &mut Calls, exchange| {
        let head = RequestHead {
            exchange,
            time_ns: 0,
            start_ns: 0,
            thread: 1,
            direction: crate::stream::Direction::Out,
            method: "POST",
            target: "/v1/responses",
            headers: Headers::new(b"host: api.openai.com\r\n"),
        };
        tracker.on_part(calls, &Part::Request(head), context.destination.map(|name| &**name), Allowance::default);
        calls.open.len()
    };
    let (mut first, mut second) = (Calls::default(), Calls::default());
    let seen: Vec<_> = (0..3).map(|exchange| open(&mut tracker, &mut first, exchange)).collect();
    assert_eq!(seen, [1, 2, 2]);
    assert_eq!(open(&mut tracker, &mut second, 0), 1);
    assert_eq!(open(&mut tracker, &mut second, 1), 1, "three are open");
    assert_eq!(tracker.counts().calls_refused, 2);
    drop(first);
    assert_eq!(open(&mut tracker, &mut second, 2), 2, "a connection that goes gives its calls back");
}

#[test]
fn no_content_and_no_secret_leaves() {
    let secret = "sk-proj-PLANTED";
    let request = format!(
        r#"{{"model":"gpt-5","user":"{secret}","metadata":{{"user_id":"{secret}"}},"messages":[{{"role":"system","content":"{secret}"}},{{"role":"user","content":"{secret}"}},{{"role":"tool","tool_call_id":"call_1","content":"{secret}"}}],"tools":[{{"type":"function","function":{{"name":"f","description":"{secret}"}}}}]}}"#
    );
    let answer = format!(
        r#"{{"choices":[{{"message":{{"content":"{secret}","tool_calls":[{{"id":"c","function":{{"name":"f","arguments":"{secret}"}}}}]}},"finish_reason":"stop {secret}"}}],"error":{{"message":"{secret}","type":"it failed with {secret}"}}}}"#
    );
    for (target, headers) in [("/v1/chat/completions?key=sk-proj-PLANTED", true), ("/v1/chat/completions", false)] {
        let mut talk = Talk { host: "api.openai.com", target, request: request.clone().into(), ..talk() }.at(1, answer.as_str());
        if headers {
            for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"] {
                talk = talk.request_header(name, "Bearer sk-proj-PLANTED");
            }
            talk = talk.header("set-cookie", "sk-proj-PLANTED");
        }
        let finished = talk.finished().unwrap();
        let json = serde_json::to_string(&crate::record::Record::Llm(finished.record.clone())).unwrap();
        let debug = format!("{finished:?}");
        assert!(!json.contains("PLANTED") && !debug.contains("PLANTED"), "{json}\n{debug}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn damaged_bodies_never_panic_and_stay_within_the_bound(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        piece in 1_usize..400,
        coding in prop::sample::select(vec!["identity", "gzip", "br", "zstd", "deflate"]),
    ) {
        let mut answer = format!("data: {}\n\n", r#"{"choices":[{"delta":{"content":"a"}}]}"#).repeat(20).into_bytes();
        answer.extend(format!("data: {USAGE_CHUNK}\n\ndata: [DONE]\n\n").into_bytes());
        if coding == "gzip" {
            answer = gzip(&answer);
        }
        let mut request = chat("m", true).into_bytes();
        for (at, byte) in &damage {
            let at_request = at.index(request.len());
            request[at_request] = *byte;
            let at_answer = at.index(answer.len());
            answer[at_answer] = *byte;
        }
        let talk = Talk { host: "api.openai.com", request, ..talk() }.header("content-encoding", coding).at(1, answer);
        let (finished, most, _) = measured(&talk, piece);
        prop_assert!(finished.is_some());
        prop_assert!(most < 2 * STATE);
    }
}
