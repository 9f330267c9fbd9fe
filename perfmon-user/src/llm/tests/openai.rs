use super::*;

const ANSWER: &str = r#"{
  "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion", "created": 1741569952, "model": "gpt-5-2025-08-07",
  "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello! {\"usage\":{\"prompt_tokens\":99}}", "refusal": null,
    "annotations": []}, "logprobs": null, "finish_reason": "stop"}],
  "usage": {"prompt_tokens": 1200, "completion_tokens": 20, "total_tokens": 1220,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 0, "accepted_prediction_tokens": 0}},
  "service_tier": "default", "system_fingerprint": "fp_44709d6fcb"
}"#;

fn talk() -> Talk {
    Talk::new("api.openai.com", "/v1/chat/completions", chat("gpt-5", false))
}

fn chunk(choices: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-9","object":"chat.completion.chunk","created":1,"model":"gpt-5-2025-08-07","service_tier":"default","choices":[{choices}],"usage":{usage},"obfuscation":"aXq"}}"#
    )
}

fn delta(delta: &str, finish: &str) -> String {
    chunk(&format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#), "null")
}

const USAGE: &str = r#"{"prompt_tokens":1200,"completion_tokens":20,"total_tokens":1220,"prompt_tokens_details":{"cached_tokens":1024},"completion_tokens_details":{"reasoning_tokens":0}}"#;

#[test]
fn a_chat_completion() {
    let (record, detail) = talk().header("x-request-id", "req_abc").at(800, ANSWER).call();
    assert_eq!((&*record.provider, record.api, text(&record.destination)), ("openai", "chat", Some("api.openai.com")));
    assert_eq!((text(&record.request_model), text(&record.response_model)), (Some("gpt-5"), Some("gpt-5-2025-08-07")));
    assert_eq!(tokens(&record), [Some(1_200), Some(20), Some(1_024), None, Some(8)]);
    assert_eq!((record.token_source, record.cost_source), (Some("reported"), Some("prices")));
    assert_cost(&record, 0.000_548);
    assert_cost(&record, reference_cost(ANSWER, "openai", "chat"));
    assert_eq!((text(&record.finish_reason), text(&record.request_id), text(&record.error_type)), (Some("stop"), Some("req_abc"), None));
    assert_eq!((ms(record.response_time_ms), ms(record.time_to_first_byte_ms)), (Some(800.0), Some(800.0)));
    assert_eq!((record.stream, record.chunks, record.time_to_first_token_ms, record.chunk_gap_max_ms), (false, 0, None, None));
    assert_eq!(record.output_tokens_per_second, Some(25.0));
    assert_eq!((detail.messages, detail.prefixes.len(), detail.last_role, detail.tools_offered), (2, 2, Some(MessageRole::User), false));
    assert_eq!(text(&detail.response), Some("chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"));
}

#[test]
fn a_stream_with_usage_in_its_last_chunk() {
    let record = Talk { request: chat("gpt-5", true).into(), ..talk() }
        .events(&[
            (100, &delta(r#"{"role":"assistant","content":"","refusal":null}"#, "null")),
            (300, &delta(r#"{"content":"Hel"}"#, "null")),
            (350, &delta(r#"{"content":"lo"}"#, "null")),
            (650, &delta(r#"{"content":"!"}"#, "null")),
            (660, &delta("{}", r#""stop""#)),
            (700, &chunk("", USAGE)),
            (700, "[DONE]"),
        ])
        .record();
    assert_eq!(tokens(&record), [Some(1_200), Some(20), Some(1_024), None, Some(0)]);
    assert_cost(&record, 0.000_548);
    assert_eq!((record.stream, record.chunks, text(&record.finish_reason)), (true, 3, Some("stop")));
    assert_eq!((ms(record.time_to_first_byte_ms), ms(record.time_to_first_token_ms)), (Some(100.0), Some(300.0)));
    assert_eq!((ms(record.chunk_gap_max_ms), record.output_tokens_per_second), (Some(300.0), Some(50.0)));
    assert_eq!((text(&record.request_id), text(&record.error_type)), (Some("chatcmpl-9"), None));
}

#[test]
fn usage_counts_wherever_it_stands_and_is_never_added_up() {
    let with_usage = |usage: &str| chunk(r#"{"index":0,"delta":{"content":"x"}}"#, usage);
    let record = Talk { host: "api.deepseek.com", target: "/chat/completions", request: chat("deepseek-chat", true).into(), ..talk() }
        .events(&[
            (10, &with_usage(r#"{"prompt_tokens":50,"completion_tokens":1}"#)),
            (20, &with_usage(r#"{"prompt_tokens":50,"completion_tokens":2}"#)),
            (30, r#"{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":50,"completion_tokens":3,"prompt_cache_hit_tokens":40}}"#),
            (30, "[DONE]"),
        ])
        .record();
    assert_eq!((&*record.provider, tokens(&record)), ("deepseek", [Some(50), Some(3), Some(40), None, None]));
    let groq = Talk { host: "api.groq.com", target: "/openai/v1/chat/completions", ..talk() }
        .events(&[(5, r#"{"choices":[],"x_groq":{"id":"req_1","usage":{"queue_time":0.1,"prompt_tokens":7,"completion_tokens":8}}}"#)])
        .record();
    assert_eq!((&*groq.provider, groq.input_tokens, groq.output_tokens), ("groq", Some(7), Some(8)));
}

#[test]
fn tool_calls_streamed_and_not() {
    let streamed = Talk { request: chat("gpt-5", true).into(), ..talk() }
        .events(&[
            (50, &delta(r#"{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_A","type":"function","function":{"name":"get_weather","arguments":""}}]}"#, "null")),
            (60, &delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}"#, "null")),
            (70, &delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"\"Rome\"}"}}]}"#, "null")),
            (80, &delta(r#"{"tool_calls":[{"index":1,"id":"call_B","type":"function","function":{"name":"get_time","arguments":"{}"}}]}"#, "null")),
            (90, &delta("{}", r#""tool_calls""#)),
            (90, "[DONE]"),
        ])
        .record();
    assert_eq!(tools(&streamed), [(Some("call_A"), "get_weather"), (Some("call_B"), "get_time")]);
    assert_eq!((streamed.chunks, ms(streamed.time_to_first_token_ms), text(&streamed.finish_reason)), (4, Some(50.0), Some("tool_calls")));
    let whole = r#"{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_A","type":"function","function":{"arguments":"{\"name\":\"no\"}","name":"get_weather"}},{"function":{"name":"get_time","arguments":"{}"},"type":"function","id":"call_B"}]},"finish_reason":"tool_calls"}]}"#;
    assert_eq!(tools(&talk().at(10, whole).record()), tools(&streamed));
}

#[test]
fn histories_with_tool_results() {
    let request = r#"{"messages":[{"role":"user","content":"weather?"},
        {"role":"assistant","tool_calls":[{"id":"call_0","type":"function","function":{"name":"a","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_0","content":"old"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"call_1"},{"id":"call_2"}]},
        {"role":"tool","tool_call_id":"call_1","content":"Error: no such city"},
        {"role":"tool","content":[{"type":"text","text":"22 degrees"}],"tool_call_id":"call_2"}],
        "tools":[{"type":"function","function":{"name":"get_weather","parameters":{}}}],"user":"u-1","model":"gpt-5"}"#;
    let (_, detail) = Talk { request: request.into(), ..talk() }.at(1, ANSWER).call();
    assert!(detail.tools_offered);
    assert_eq!((detail.messages, detail.last_role, detail.prefixes.len()), (6, Some(MessageRole::Tool), 6));
    let results: Vec<_> = detail.tool_results.iter().map(|r| (r.tool_call_id.as_deref(), r.is_error)).collect();
    assert_eq!(results, [(Some("call_1"), true), (Some("call_2"), false)]);
    assert!(detail.user.is_some());
}

#[test]
fn a_growing_history_keeps_its_prefixes() {
    let with = |messages: &str| {
        let request = format!(r#"{{"model":"gpt-5","messages":[{messages}]}}"#);
        Talk { request: request.into(), ..talk() }.at(1, ANSWER).call().1.prefixes
    };
    let short = with(r#"{"role":"user","content":"one"}"#);
    let long = with(r#"{"role":"user","content":[{"type":"text","text":"one"}]},{"role":"assistant","content":"two"}"#);
    let other = with(r#"{"role":"user","content":"1"},{"role":"assistant","content":"two"}"#);
    assert_eq!((short.len(), long.len()), (1, 2));
    assert_eq!(short[0], long[0]);
    assert!(other[0] != long[0] && other[1] != long[1]);
}

#[test]
fn errors_have_the_providers_type() {
    let limited = talk().status(429).header("retry-after", "2").at(
        30,
        r#"{"error":{"message":"Rate limit reached for org-SECRET","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#,
    );
    let record = limited.record();
    assert_eq!(
        (text(&record.error_type), record.status_code, record.cost_usd, record.token_source),
        (Some("rate_limit_error"), Some(429), None, None)
    );
    let typed = |body: &str| text(&talk().status(500).at(1, body).record().error_type).map(str::to_owned);
    assert_eq!(typed(r#"{"error":{"message":"x","type":null,"code":"model_overloaded"}}"#).as_deref(), Some("model_overloaded"));
    assert_eq!(
        typed(r#"{"object":"error","message":"m","type":"InternalServerError","code":500}"#).as_deref(),
        Some("InternalServerError")
    );
    assert_eq!(typed(r#"{"detail":"boom"}"#).as_deref(), Some("500"));
    assert_eq!(typed("<html>bad gateway</html>").as_deref(), Some("500"));
    assert_eq!(typed(r#"{"error":{"type":"a sentence with the user's text in it"}}"#).as_deref(), Some("500"));
}

#[test]
fn streams_that_are_cut_or_fail_say_so() {
    let first = delta(r#"{"content":"x"}"#, "null");
    let stream = || talk().events(&[(50, &first), (90, &first)]);
    for (failure, word) in [(Failure::ClientClosed, "client_closed"), (Failure::Reset, "reset"), (Failure::Truncated, "truncated")] {
        let record = stream().fails(failure).record();
        assert_eq!((text(&record.error_type), record.chunks, record.cost_usd), (Some(word), 2, None));
    }
    assert_eq!(text(&stream().record().error_type), Some("truncated"), "it ended without its end");
    let done = stream().events(&[(95, "[DONE]")]);
    assert_eq!(text(&done.clone().fails(Failure::ClientClosed).record().error_type), None, "all had passed");
    let failed = stream().events(&[(95, r#"{"error":{"message":"m","type":"server_error","code":null}}"#)]);
    assert_eq!(text(&failed.record().error_type), Some("server_error"));
    let mut unanswered = Talk { request: chat("gpt-5", true).into(), ..talk() }.status(0).fails(Failure::Truncated);
    unanswered.end_ms = 9;
    let record = unanswered.record();
    assert_eq!((text(&record.error_type), record.stream, record.status_code), (Some("truncated"), true, None));
}

#[test]
fn what_the_provider_says_it_cost_wins() {
    let answer = r#"{"model":"openai/gpt-5","choices":[{}],"usage":{"prompt_tokens":10,"completion_tokens":5,"cost":0.0123}}"#;
    let record = Talk { host: "openrouter.ai", target: "/api/v1/chat/completions", ..talk() }.at(5, answer).record();
    assert_eq!((record.cost_usd, record.cost_source, &*record.provider), (Some(0.0123), Some("provider"), "openrouter"));
    let answer = r#"{"model":"grok-4","choices":[{}],"usage":{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":7},"cost_in_usd_ticks":25000000}}"#;
    let record = Talk { host: "api.x.ai", ..talk() }.at(5, answer).record();
    assert_eq!((record.output_tokens, record.reasoning_tokens, record.cost_usd), (Some(12), Some(7), Some(0.0025)));
}

#[test]
fn responses_streamed_and_not() {
    let answer = r#"{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"model":"gpt-5-2025-08-07","output":[{"id":"rs_1","type":"reasoning","summary":[]},{"type":"function_call","id":"fc_1","call_id":"call_9","name":"lookup","arguments":"{}","status":"completed"},{"type":"web_search_call","id":"ws_1"}],"service_tier":"default","usage":{"input_tokens":1200,"input_tokens_details":{"cached_tokens":1024},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":10},"total_tokens":1220}}"#;
    let request = r#"{"model":"gpt-5","previous_response_id":"resp_0","instructions":"Be brief","input":[{"type":"function_call_output","call_id":"call_8","output":"{\"error\": \"x\"}"}],"tools":[{"type":"function","name":"lookup"}]}"#;
    let talk = Talk { target: "/v1/responses", request: request.into(), ..talk() };
    let (record, detail) = talk.clone().at(100, answer).call();
    assert_eq!((record.api, tokens(&record)), ("responses", [Some(1_200), Some(20), Some(1_024), None, Some(10)]));
    assert_cost(&record, reference_cost(answer, "openai", "responses"));
    assert_eq!((tools(&record), text(&record.finish_reason)), (vec![(Some("call_9"), "lookup")], Some("completed")));
    assert_eq!((text(&detail.previous_response), text(&detail.response)), (Some("resp_0"), Some("resp_1")));
    assert_eq!((detail.tool_results.len(), detail.tool_results[0].is_error, detail.last_role), (1, true, Some(MessageRole::Tool)));
    let streamed = talk.events(&[
        (10, "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"model\":\"gpt-5-2025-08-07\",\"output\":[],\"usage\":null,\"error\":null}}"),
        (20, "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"call_9\",\"name\":\"lookup\",\"arguments\":\"\"}}"),
        (30, "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"delta\":\"{}\"}"),
        (40, &format!("event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{answer}}}")),
    ]);
    let record_of_stream = streamed.record();
    assert_eq!((tokens(&record_of_stream), tools(&record_of_stream)), (tokens(&record), tools(&record)));
    assert_eq!(
        (ms(record_of_stream.time_to_first_token_ms), record_of_stream.chunks, text(&record_of_stream.error_type)),
        (Some(30.0), 1, None)
    );
}

#[test]
fn responses_that_end_early() {
    let talk = || Talk { target: "/v1/responses", request: r#"{"model":"gpt-5","input":"hi","stream":true}"#.into(), ..talk() };
    let incomplete = talk().events(&[(5, r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"usage":{"input_tokens":5,"output_tokens":6}}}"#)]);
    let record = incomplete.record();
    assert_eq!((text(&record.finish_reason), record.output_tokens, text(&record.error_type)), (Some("max_output_tokens"), Some(6), None));
    let failed =
        talk().events(&[(5, r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"m"}}}"#)]);
    assert_eq!(text(&failed.record().error_type), Some("server_error"));
    let error = talk().events(&[(5, "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}")]);
    assert_eq!(text(&error.record().error_type), Some("rate_limit_exceeded"));
}

#[test]
fn legacy_completions_and_embeddings() {
    let talk = |target, request: &str| Talk { host: "127.0.0.1:8000", target, request: request.into(), ..talk() };
    let completion = talk("/v1/completions", r#"{"model":"my-model","prompt":"Once","stream":true}"#)
        .events(&[
            (7, r#"{"choices":[{"text":"upon","finish_reason":null}]}"#),
            (9, r#"{"choices":[{"text":"","finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#),
            (9, "[DONE]"),
        ])
        .record();
    assert_eq!(
        (completion.api, &*completion.provider, completion.chunks, completion.output_tokens),
        ("completions", "openai_compatible", 1, Some(2))
    );
    let body = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":1000000,"total_tokens":1000000}}"#;
    let embedding = talk("/v1/embeddings", r#"{"model":"text-embedding-3-small","input":["a","b"]}"#).at(3, body).record();
    assert_eq!((embedding.api, embedding.input_tokens, embedding.output_tokens), ("embeddings", Some(1_000_000), None));
}
