use super::*;

const ANSWER: &str = r#"{"id":"x","model":"m","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;

fn talk(host: &'static str, target: &'static str, request: &str) -> Talk {
    Talk::new(host, target, request)
}

#[test]
fn any_host_that_speaks_an_api_counts() {
    let record = talk("10.0.0.3:8000", "/v1/chat/completions", &chat("gpt-5", false)).at(1, ANSWER.replace("\"m\"", "\"gpt-5\"")).record();
    assert_eq!((&*record.provider, record.cost_source), ("openai_compatible", Some("prices")));
    let by_port = talk("127.0.0.1:11434", "/v1/chat/completions", &chat("m", false)).at(1, ANSWER).record();
    assert_eq!((&*by_port.provider, by_port.cost_usd), ("ollama", None));
    let vllm = talk("gpu:8000", "/v1/chat/completions", &chat("m", false))
        .at(1, ANSWER.replace("\"finish_reason\"", "\"stop_reason\":null,\"finish_reason\""));
    assert_eq!(&*vllm.record().provider, "vllm");
    let llama = talk("gpu:8080", "/v1/chat/completions", &chat("m", false)).header("server", "llama.cpp").at(1, ANSWER);
    assert_eq!(&*llama.record().provider, "llama_cpp");
    let build = talk("gpu:8080", "/v1/chat/completions", &chat("m", false))
        .at(1, ANSWER.replace("\"id\"", "\"system_fingerprint\":\"b6123-0a1b2c3\",\"id\""));
    assert_eq!(&*build.record().provider, "llama_cpp");
    let proxied = talk("proxy:3128", "http://10.0.0.3:8000/v1/chat/completions?key=SECRET", &chat("m", false)).at(1, ANSWER);
    assert_eq!(&*proxied.record().provider, "openai_compatible");
}

#[test]
fn ordinary_services_are_no_model_calls() {
    let rest = |target, request: &str, answer: &str| talk("shop.example:80", target, request).at(5, answer).finished().is_none();
    assert!(rest("/api/chat", r#"{"room":5,"message":"hello"}"#, r#"{"reply":"hi","model":"x"}"#));
    assert!(rest("/api/chat", r#"{"model":"T","messages":[{"role":"user","content":"hi"}]}"#, r#"{"ok":true,"message":{"content":"x"}}"#));
    assert!(rest("/v1/messages", r#"{"to":"bob","content":"hi"}"#, r#"{"id":1,"content":"hi"}"#));
    assert!(rest("/api/generate", r#"{"model":"invoice","prompt":"x"}"#, r#"{"pdf":"..."}"#));
    assert!(rest("/v1/completions", r#"{"task":7}"#, r#"{"choices":[]}"#));
    assert!(rest("/v1/responses", r#"{"survey":1,"answers":[1]}"#, "plain text"));
    assert!(rest("/orders", &chat("m", false), ANSWER));
    assert!(rest("/v1/chat/completions", "not json", ANSWER));
}

#[test]
fn interest_ends_as_soon_as_the_request_is_another() {
    let mut seen = vec![];
    let refused = talk("shop.example", "/api/chat", r#"{"room":5}"#).at(5, "{}");
    assert!(refused.play(&mut tracker(), &mut Calls::default(), usize::MAX, |calls| seen.push(calls.need_all())).is_none());
    assert_eq!(seen, [true, false, false, false]);
    seen.clear();
    let call = talk("gpu:8000", "/v1/chat/completions", &chat("m", false)).at(5, ANSWER);
    call.play(&mut tracker(), &mut Calls::default(), usize::MAX, |calls| seen.push(calls.need_all()));
    assert_eq!(seen, [true; 4]);
    let mut calls = Calls::default();
    assert!(call.play(&mut tracker(), &mut calls, usize::MAX, |_| {}).is_some() && calls.need_all(), "the next one is likely another");
    seen.clear();
    talk("gpu:8000", "/metrics", "").play(&mut tracker(), &mut Calls::default(), 9, |calls| seen.push(calls.need_all()));
    assert_eq!(seen, [false; 2]);
}

#[test]
fn a_request_that_was_not_captured_is_known_by_its_answer() {
    let seen = |host, request: &[u8], answer: &str| {
        Talk { request: request.to_vec(), ..talk(host, "/v1/chat/completions", "") }.at(1, answer).finished()
    };
    let record = seen("gpu:8000", GAP, ANSWER).unwrap().record;
    assert_eq!((record.request_model, text(&record.response_model), record.input_tokens), (None, Some("m"), Some(3)));
    assert!(seen("gpu:8000", b"", ANSWER).is_some());
    assert!(seen("gpu:8000", GAP, r#"{"some":"thing"}"#).is_none());
    assert!(seen("api.openai.com", GAP, r#"{"some":"thing"}"#).is_some(), "the host says it");
}

#[test]
fn both_sides_of_a_call_have_records() {
    let talk = talk("gpu:8000", "/v1/chat/completions", &chat("m", false)).at(5, ANSWER);
    let side = |server| {
        let mut calls = Calls::default();
        let mut tracker = tracker();
        let origin = Arc::new(Origin::unknown(1));
        let peer: Arc<str> = "192.0.2.1:5".into();
        let context = CallContext { origin: &origin, tls: false, peer: &peer, destination: None, request_bytes: 0, response_bytes: 0 };
        talk.play(&mut tracker, &mut calls, 100, |_| {});
        let head = RequestHead {
            exchange: 1,
            time_ns: 0,
            start_ns: 0,
            thread: 1,
            direction: crate::stream::Direction::In,
            method: "POST",
            target: "/v1/chat/completions",
            headers: Headers::new(b"host: gpu:8000\r\n"),
        };
        tracker.on_part(&mut calls, &Part::Request(head), context.destination.map(|name| &**name), Allowance::default);
        let piece = BodyPiece { exchange: 1, time_ns: 0, content: Content::Bytes(&talk.request) };
        tracker.on_part(&mut calls, &Part::RequestBody(piece), context.destination.map(|name| &**name), Allowance::default);
        let exchange = Exchange { id: 1, server, status: Some(500), ..Exchange::default() };
        let ids = || Ids { trace_id: None, span_id: SpanId(1) };
        tracker.on_done(&mut calls, &exchange, &context, ids, WallTime).unwrap().record.side
    };
    assert_eq!((side(true), side(false)), (crate::record::Side::Server, crate::record::Side::Client));
}
