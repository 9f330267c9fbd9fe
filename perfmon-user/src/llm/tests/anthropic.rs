use super::*;

const REQUEST: &str = r#"{"model":"claude-sonnet-4-5","max_tokens":1024,"stream":true,
  "system":[{"type":"text","text":"You are careful.","cache_control":{"type":"ephemeral"}}],
  "messages":[{"role":"user","content":"What is the weather?"},
    {"role":"assistant","content":[{"type":"text","text":"Let me look."},{"type":"tool_use","id":"toolu_0","name":"get_weather","input":{"city":"Rome"}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_0","content":"no such city","is_error":true},
      {"type":"tool_result","tool_use_id":"toolu_00","content":[{"type":"text","text":"22"}]},{"type":"text","text":"go on"}]}],
  "tools":[{"name":"get_weather","input_schema":{"type":"object"}}],
  "metadata":{"user_id":"user_0f_account_1-2_session_5e55-10"}}"#;

fn talk() -> Talk {
    Talk::new("api.anthropic.com", "/v1/messages?beta=true", REQUEST).header("request-id", "req_011")
}

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5-20250929\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":12,\"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":5000,\"cache_creation\":{\"ephemeral_5m_input_tokens\":100,\"ephemeral_1h_input_tokens\":0},\"output_tokens\":1,\"service_tier\":\"standard\"}}}";
const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}";
const TEXT: &str =
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}";
const END: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":50}}";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}";

#[test]
fn a_stream() {
    let block = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}";
    let (record, detail) =
        talk().events(&[(100, START), (110, block), (120, PING), (400, TEXT), (450, TEXT), (850, TEXT), (900, END), (900, STOP)]).call();
    assert_eq!(
        (&*record.provider, record.api, text(&record.response_model)),
        ("anthropic", "messages", Some("claude-sonnet-4-5-20250929"))
    );
    assert_eq!(tokens(&record), [Some(5_112), Some(50), Some(5_000), Some(100), None]);
    assert_cost(&record, 0.002_661);
    assert_eq!((ms(record.time_to_first_token_ms), ms(record.chunk_gap_max_ms), record.chunks), (Some(400.0), Some(400.0), 3));
    assert_eq!((record.output_tokens_per_second, text(&record.finish_reason)), (Some(100.0), Some("end_turn")));
    assert_eq!((text(&record.request_id), text(&record.error_type), record.stream), (Some("req_011"), None, true));
    assert_eq!(text(&record.conversation_id), Some("5e55-10"));
    assert_eq!((detail.messages, detail.last_role, detail.tools_offered), (3, Some(MessageRole::Tool), true));
    let results: Vec<_> = detail.tool_results.iter().map(|r| (r.tool_call_id.as_deref().unwrap(), r.is_error)).collect();
    assert_eq!(results, [("toolu_0", true), ("toolu_00", false)]);
    assert!(detail.system.is_some());
}

#[test]
fn a_message_with_tools() {
    let body = r#"{"model":"claude-sonnet-4-5-20250929","id":"msg_2","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"ok"},{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}},{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{"name":"not this"}},{"name":"get_time","type":"tool_use","input":{},"id":"toolu_2"}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":100,"cache_read_input_tokens":5000,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":100},"output_tokens":50,"server_tool_use":{"web_search_requests":1},"service_tier":"standard"}}"#;
    let record = talk().at(700, body).record();
    assert_eq!(tools(&record), [(Some("toolu_1"), "get_weather"), (Some("toolu_2"), "get_time")]);
    assert_eq!((record.stream, text(&record.finish_reason), record.input_tokens), (false, Some("tool_use"), Some(5_112)));
    assert_cost(&record, reference_cost(body, "anthropic", "default"));
}

#[test]
fn tools_and_thinking_are_content_too() {
    let thinking =
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}";
    let signature = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"abc\"}}";
    let tool = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_5\",\"name\":\"search\",\"input\":{}}}";
    let json = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}";
    let record = talk().events(&[(10, START), (20, thinking), (30, signature), (40, tool), (50, json), (60, END), (60, STOP)]).record();
    assert_eq!((ms(record.time_to_first_token_ms), record.chunks), (Some(20.0), 2));
    assert_eq!(tools(&record), [(Some("toolu_5"), "search")]);
}

#[test]
fn of_each_count_the_last_one_present_wins() {
    let end = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":300,\"cache_read_input_tokens\":6000,\"output_tokens\":80}}";
    let record = talk().events(&[(10, START), (20, TEXT), (30, END), (40, end), (40, STOP)]).record();
    assert_eq!(tokens(&record), [Some(6_400), Some(80), Some(6_000), Some(100), None]);
}

#[test]
fn errors() {
    let overloaded =
        talk().status(529).at(5, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_011"}"#);
    let record = overloaded.record();
    assert_eq!(
        (text(&record.error_type), record.status_code, record.stream, record.cost_usd),
        (Some("overloaded_error"), Some(529), false, None)
    );
    let inside = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}";
    let record = talk().events(&[(10, START), (20, TEXT), (30, inside)]).record();
    assert_eq!((text(&record.error_type), record.status_code, record.chunks), (Some("overloaded_error"), Some(200), 1));
}

#[test]
fn a_cut_stream_keeps_what_was_reported() {
    let record = talk().events(&[(10, START), (20, TEXT)]).fails(Failure::ClientClosed).record();
    assert_eq!((text(&record.error_type), record.input_tokens, record.output_tokens), (Some("client_closed"), Some(5_112), Some(1)));
    assert!(record.cost_usd.is_some());
}

#[test]
fn an_unknown_host_is_the_owners() {
    let record = Talk { host: "gateway.internal:4000", ..talk() }.events(&[(10, START), (20, TEXT), (30, END), (30, STOP)]).record();
    assert_eq!((&*record.provider, record.input_tokens), ("anthropic", Some(5_112)));
    assert_cost(&record, 0.002_661);
}

#[test]
fn marks_of_caching_do_not_change_a_prefix() {
    let prefixes = |messages: &str| {
        let request = format!(r#"{{"model":"claude-sonnet-4-5","messages":[{messages}]}}"#);
        Talk { request: request.into(), ..talk() }.events(&[(1, START), (1, STOP)]).call().1.prefixes
    };
    let marked = prefixes(r#"{"role":"user","content":[{"type":"text","text":"one","cache_control":{"type":"ephemeral","ttl":"1h"}}]}"#);
    assert_eq!(marked, prefixes(r#"{"role":"user","content":"one"}"#));
}
