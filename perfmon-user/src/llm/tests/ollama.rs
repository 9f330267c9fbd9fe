use super::*;

fn talk(request: &str) -> Talk {
    Talk::new("localhost:11434", "/api/chat", request).header("content-type", "application/x-ndjson")
}

const REQUEST: &str = r#"{"model":"llama3.2","messages":[{"role":"user","content":"why?"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"look","arguments":{}}}]},{"role":"tool","content":"sky","tool_name":"look"}],"tools":[{"type":"function"}]}"#;

fn line(text: &str) -> String {
    format!(
        "{{\"model\":\"llama3.2\",\"created_at\":\"2025-01-01T00:00:00Z\",\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\"done\":false}}\n"
    )
}

const LAST: &str = "{\"model\":\"llama3.2\",\"created_at\":\"2025-01-01T00:00:01Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done_reason\":\"stop\",\"done\":true,\"total_duration\":4883583458,\"prompt_eval_count\":26,\"eval_count\":282}\n";

#[test]
fn a_chat_in_lines() {
    let (record, detail) = talk(REQUEST).at(100, line("The")).at(150, line(" sky")).at(1_100, LAST).call();
    assert_eq!((&*record.provider, record.api, record.stream), ("ollama", "ollama_chat", true));
    assert_eq!((tokens(&record)[..2].to_vec(), record.cost_usd, record.cost_source), (vec![Some(26), Some(282)], None, None));
    assert_eq!((ms(record.time_to_first_token_ms), record.chunks, text(&record.finish_reason)), (Some(100.0), 2, Some("stop")));
    assert_eq!((record.output_tokens_per_second, text(&record.error_type)), (Some(282.0), None));
    assert_eq!(detail.tool_results, [ToolResult { tool_call_id: None, tool_name: Some("look".into()), is_error: false }]);
}

#[test]
fn a_chat_in_one_document_with_tools() {
    let answer = r#"{"model":"llama3.2","created_at":"x","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"get_weather","arguments":{"city":"Rome"}}}]},"done":true,"done_reason":"stop","prompt_eval_count":9,"eval_count":3}"#;
    let record = talk(REQUEST).header("content-type", "application/json; charset=utf-8").at(50, answer).record();
    assert_eq!((record.stream, record.chunks, record.time_to_first_token_ms), (false, 0, None));
    assert_eq!((tools(&record), record.output_tokens), (vec![(None, "get_weather")], Some(3)));
}

#[test]
fn generate_and_embed() {
    let generate = Talk { target: "/api/generate", ..talk(r#"{"model":"llama3.2","prompt":"why?"}"#) }
        .at(10, "{\"model\":\"llama3.2\",\"response\":\"So\",\"done\":false}\n")
        .at(20, "{\"model\":\"llama3.2\",\"response\":\"\",\"done\":true,\"prompt_eval_count\":3,\"eval_count\":1}\n")
        .record();
    assert_eq!((generate.api, generate.chunks, generate.input_tokens), ("ollama_generate", 1, Some(3)));
    let embed = Talk { target: "/api/embed", ..talk(r#"{"model":"all-minilm","input":"why?"}"#) }
        .header("content-type", "application/json")
        .at(10, r#"{"model":"all-minilm","embeddings":[[0.1,0.2]],"prompt_eval_count":8}"#)
        .record();
    assert_eq!((&*embed.provider, embed.api, embed.input_tokens), ("ollama", "embeddings", Some(8)));
}

#[test]
fn errors_are_texts() {
    let missing = talk(REQUEST).header("content-type", "application/json").status(404).at(1, r#"{"error":"model 'x' not found"}"#);
    assert_eq!(text(&missing.record().error_type), Some("404"));
    let inside = talk(REQUEST).at(1, line("The")).at(2, "{\"error\":\"an error was encountered while running the model\"}\n");
    assert_eq!(text(&inside.record().error_type), Some("error"));
}

#[test]
fn after_a_gap_the_next_line_counts() {
    let talk = talk(REQUEST).at(1, line("The")).at(2, GAP).at(3, format!("lost\"}},\"done\":false}}\n{LAST}"));
    let record = talk.finished().unwrap().record;
    assert_eq!((record.output_tokens, record.chunks), (Some(282), 1));
}
