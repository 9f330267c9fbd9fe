//! Content of model calls is not exposed: unique words planted in prompts, answers, tools, keys, cookies and queries are searched in all
//! output of perfmon. And answers that are broken, wrongly compressed or huge affect only themselves.
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, missing};
use perfmon_tests::otlp::Otlp;
use perfmon_tests::perfmon::{Perfmon, perfmon};
use perfmon_tests::receiver::{Receiver, Reply, Seen};
use perfmon_tests::wait_until;
use perfmon_tests::wire::get;
use serde_json::{Value, json};

const NEEDS: [Need; 2] = [Need::Perfmon, Need::Program("curl")];
/// Prefix of every planted word.
const PLANTED: &str = "zq7planted";
/// Must come out everywhere, or the search would prove nothing.
const MODEL: &str = "gpt-4o-mini";
const ROUTES: [&str; 14] = [
    "summary",
    "endpoints",
    "destinations",
    "llm",
    "agents",
    "tools",
    "workflows",
    "processes",
    "system",
    "findings",
    "alerts",
    "self",
    "records?limit=1000",
    "records?kind=llm&limit=1000",
];

fn planted(what: &str) -> String {
    format!("{PLANTED}-{what}")
}

/// A model's answers: first a tool call, then text.
fn answer(seen: &Seen) -> Reply {
    let asked = seen.json().unwrap_or_default();
    let wants_tool = asked["messages"].as_array().is_some_and(|messages| messages.len() == 2);
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": format!("{{\"key\":\"{}\"}}", planted("argument"))}});
    let (message, reason) = match wants_tool {
        true => (json!({"role": "assistant", "content": planted("thought"), "tool_calls": [call]}), "tool_calls"),
        false => (json!({"role": "assistant", "content": planted("answer")}), "stop"),
    };
    let usage = json!({"prompt_tokens": 70, "completion_tokens": 7, "total_tokens": 77});
    if asked["stream"] == true {
        let chunk = |delta: Value, reason: Value| json!({"id": "c", "object": "chat.completion.chunk", "model": MODEL, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
        let last = json!({"id": "c", "object": "chat.completion.chunk", "model": MODEL, "choices": [], "usage": usage});
        let events =
            [chunk(message, Value::Null), chunk(json!({}), reason.into()), last].map(|event| format!("data: {event}\n\n")).concat();
        return reply("Content-Type: text/event-stream\r\n", events + "data: [DONE]\n\n");
    }
    let body = json!({"id": "c", "object": "chat.completion", "model": MODEL, "choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage});
    reply(
        &format!("Content-Type: application/json\r\nSet-Cookie: session={}\r\nX-Note: {}\r\n", planted("cookie"), planted("header")),
        body.to_string(),
    )
}

fn reply(headers: &str, body: String) -> Reply {
    Reply { headers: headers.into(), body, ..Reply::status(200) }
}

/// Calls the model with keys and cookies that must not appear elsewhere.
fn ask(url: &str, body: &Value) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--output", "/dev/null", "--data-binary", "@-", "--header", "Content-Type: application/json"]);
    for (name, what) in
        [("Authorization: Bearer ", "key"), ("X-Api-Key: ", "api-key"), ("Cookie: session=", "cookie"), ("X-Custom: ", "header")]
    {
        curl.arg("--header").arg(format!("{name}{}", planted(what)));
    }
    let mut child = curl.arg(url).stdin(Stdio::piped()).spawn().context("cannot start curl")?;
    child.stdin.take().context("curl takes nothing")?.write_all(body.to_string().as_bytes())?;
    ensure!(child.wait()?.success(), "curl failed");
    Ok(())
}

/// The two calls of an agent's run, streamed or not.
fn run(url: &str, stream: bool) -> Result<()> {
    let tools = json!([{"type": "function", "function": {"name": "look_up", "description": planted("description"), "parameters": {"type": "object"}}}]);
    let mut messages = vec![json!({"role": "system", "content": planted("system")}), json!({"role": "user", "content": planted("prompt")})];
    let url = format!("{url}/v1/chat/completions?key={}", planted("query"));
    ask(&url, &json!({"model": MODEL, "stream": stream, "tools": tools, "messages": messages, "user": planted("user")}))?;
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": format!("{{\"key\":\"{}\"}}", planted("argument"))}});
    messages.push(json!({"role": "assistant", "content": planted("thought"), "tool_calls": [call]}));
    messages.push(json!({"role": "tool", "tool_call_id": "call_1", "content": planted("result")}));
    ask(&url, &json!({"model": MODEL, "stream": stream, "tools": tools, "messages": messages}))
}

/// Everything that came out, by where.
fn outputs(perfmon_run: &Perfmon, folder: &Path, otlp: &Otlp) -> Result<Vec<(String, Vec<u8>)>> {
    let port = perfmon_run.port();
    let mut all = vec![("log".to_owned(), perfmon_run.log().into_bytes())];
    for route in ROUTES {
        all.push((route.to_owned(), get(port, &format!("/api/v1/{route}"))?.body));
    }
    for route in ["/metrics", "/health/performance", "/"] {
        all.push((route.to_owned(), get(port, route)?.body));
    }
    for kind in ["request", "llm", "agent", "tool", "workflow", "process", "system", "alert", "finding"] {
        all.push((format!("jsonl: {kind}"), serde_json::to_vec(&perfmon_run.records(kind)?)?));
    }
    for file in std::fs::read_dir(folder)? {
        let file = file?.path();
        all.push((file.display().to_string(), std::fs::read(file)?));
    }
    for format in ["md", "html", "json"] {
        let output = perfmon(&["report", "--period", "day", "--format", format, "--db", &folder.join("perfmon.db").display().to_string()])
            .output()?;
        ensure!(output.status.success(), "perfmon report failed: {}", String::from_utf8_lossy(&output.stderr));
        all.push((format!("report: {format}"), output.stdout));
    }
    all.push(("OTLP".to_owned(), otlp.seen().into_iter().flat_map(|seen| seen.body).collect()));
    Ok(all)
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

#[test]
fn content_and_secrets_stay_between_the_two() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let (model, otlp, folder) = (Receiver::start(answer)?, Otlp::start(|_| Reply::status(200))?, tempfile::tempdir()?);
    let db = folder.path().join("perfmon.db").display().to_string();
    let export = otlp.url();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", export.as_str()),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("PERFMON_EXPORT__INTERVAL", "1s"),
        ("PERFMON_EXPORT__SPAN_RATE", "1"),
    ];
    let own = own_children();
    let perfmon_run = Perfmon::start_in(&environment, &["--db", &db, "--log", "trace", &own[0], &own[1]])?;
    for stream in [false, true] {
        run(&model.url(""), stream)?;
    }
    wait_until(10, || Ok((perfmon_run.records("agent")?.len() >= 2 && perfmon_run.records("llm")?.len() >= 8).then_some(())))?
        .context("not all calls and runs were seen")?;
    let spans = || otlp.seen().iter().any(|seen| seen.path.ends_with("/v1/traces") && holds(&seen.body, MODEL));
    wait_until(10, || Ok(spans().then_some(())))?.context("no model call was exported")?;
    std::thread::sleep(std::time::Duration::from_millis(2_500)); // batches of history, a snapshot, an export
    let all = outputs(&perfmon_run, folder.path(), &otlp)?;
    for place in ["llm", "records?kind=llm&limit=1000", "jsonl: llm", "report: md", "OTLP"] {
        let (_, bytes) = all.iter().find(|(name, _)| name == place).context("an output is missing")?;
        assert!(holds(bytes, MODEL), "{place} does not tell the model, so that looking into it proves nothing");
    }
    for (place, bytes) in &all {
        assert!(!holds(bytes, PLANTED), "{place} holds what was planted: {}", String::from_utf8_lossy(bytes));
    }
    perfmon_run.stop().map(drop)
}

/// Bytes of the huge answer.
const HUGE: usize = 50 << 20;
/// Bytes of the long stream.
const LONG: usize = 5 << 20;
/// What perfmon may grow by over it.
const GROWTH: f64 = 24.0 * 1_048_576.0;

/// Answers that no client could use, by the path.
fn broken(seen: &Seen) -> Reply {
    const JSON: &str = "Content-Type: application/json\r\n";
    let usage = r#""usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}"#;
    let whole = |content: &str| {
        format!(
            r#"{{"id":"c","object":"chat.completion","model":"{MODEL}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{content}"}},"finish_reason":"stop"}}],{usage}}}"#
        )
    };
    match seen.path.split('/').nth(1).unwrap_or_default() {
        "json" => reply(JSON, r#"{"id":"c","model":[}}],"usage":{"prompt"#.into()),
        "empty" => reply(JSON, String::new()),
        "gzip" => reply("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "this was never packed at all".repeat(40)),
        "lie" => reply("Content-Type: text/event-stream\r\n", whole("no stream")),
        "html" => reply("Content-Type: text/html\r\n", "<html><body>Bad gateway</body></html>".repeat(100)),
        "events" => {
            reply("Content-Type: text/event-stream\r\n", "data: {\"choices\":[{\n\ndata\n\n: ping\n\nevent: x\ndata: 7\n\ndata: [DO".into())
        }
        "stream" => {
            let chunk = |content: &str| {
                format!(
                    r#"{{"id":"c","object":"chat.completion.chunk","model":"{MODEL}","choices":[{{"index":0,"delta":{{"content":"{content}"}}}}]}}"#
                )
            };
            let event = format!("data: {}\n\n", chunk(&"x".repeat(80)));
            let last = format!(
                "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"{MODEL}\",\"choices\":[],{usage}}}\n\ndata: [DONE]\n\n"
            );
            reply("Content-Type: text/event-stream\r\n", event.repeat(LONG / event.len()) + &last)
        }
        "huge" => reply(JSON, whole(&"x".repeat(HUGE))),
        _ => reply(JSON, whole("good")),
    }
}

#[test]
fn broken_and_huge_answers_cost_nothing_but_themselves() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let model = Receiver::start(broken)?;
    let own = own_children();
    let perfmon_run = Perfmon::start(&own.each_ref().map(String::as_str))?;
    let ask = |case: &str| {
        ask(
            &format!("{}/v1/chat/completions", model.url(&format!("/{case}"))),
            &json!({"model": MODEL, "stream": case == "stream", "messages": [{"role": "user", "content": "hello"}]}),
        )
    };
    ask("good")?;
    let before = perfmon_run.figure("/api/v1/self", "/rss_bytes")?;
    for case in ["json", "empty", "gzip", "lie", "html", "events", "huge", "stream", "good"] {
        ask(case)?;
    }
    let ours = || -> Result<Vec<Value>> {
        let calls = perfmon_run.records("llm")?;
        Ok(calls.into_iter().filter(|call| call["side"] == "client").collect())
    };
    wait_until(10, || Ok((ours()?.len() >= 10).then_some(())))?.context("not every call has a record")?;
    let calls = ours()?;
    assert_eq!(calls.len(), 10, "{calls:#?}");
    let tokens = |call: &Value| (call["input_tokens"].as_u64(), call["output_tokens"].as_u64());
    assert_eq!(
        [0, 8, 9].map(|place| tokens(&calls[place])),
        [(Some(9), Some(8)); 3],
        "the good ones, and the usage at the end of a long stream"
    );
    // Its usage is behind more bytes than the ring holds: it is found or reported as lost, never made up.
    match tokens(&calls[7]) {
        (Some(9), Some(8)) => {}
        (None, None) => assert!(perfmon_run.lost()? > 0 || perfmon_run.figure("/api/v1/self", "/events_lost/by_reason/capture_cut")? > 0.0),
        other => panic!("tokens of the huge answer: {other:?}"),
    }
    for call in &calls[1..4] {
        assert_eq!((tokens(call), &call["cost_usd"], &call["status_code"]), ((None, None), &Value::Null, &json!(200)), "{call}");
    }
    for call in &calls[5..7] {
        assert_eq!((tokens(call), &call["cost_usd"]), ((None, None), &Value::Null), "{call}");
    }
    let grown = perfmon_run.figure("/api/v1/self", "/rss_bytes")? - before;
    assert!(grown < GROWTH, "perfmon grew by {grown} bytes over an answer of {HUGE}");
    assert_eq!(get(perfmon_run.port(), "/health/performance")?.status, 200);
    perfmon_run.stop().map(drop)
}
