//! Spans and log records as a receiver gets them.
use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;

use super::receiver::{Answer, Receiver};
use super::sample::{alert, call, finding, origin, request, run, server, tool};
use super::{CLOCKS, GRACE, start, to};
use crate::record::{AlertState, Db, Failure, Gauges, Millis, Quality, Record, Side, SpanId};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Sends batches; gives the spans by name, and how many were left out.
fn sent(more: &[(&'static str, &str)], batches: Vec<Vec<Record>>) -> (BTreeMap<String, Vec<Span>>, u64) {
    let otlp = Receiver::start(|_, _| Answer::ok());
    let mut env = to(&otlp);
    env.extend(more.iter().map(|(name, value)| (*name, value.to_string())));
    let run = start(&env, CLOCKS, Gauges::default());
    batches.into_iter().for_each(|batch| run.offer(batch));
    run.exporter.finish(GRACE);
    otlp.assert_strict();
    let mut spans: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    let requests: Vec<ExportTraceServiceRequest> = otlp.taken("/v1/traces");
    let scopes = requests.into_iter().flat_map(|request| request.resource_spans).flat_map(|of_resource| of_resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).for_each(|span| spans.entry(span.name.clone()).or_default().push(span));
    (spans, run.counters.export_spans_left_out.get())
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

fn text(span: &Span, key: &str) -> String {
    match value(&span.attributes, key) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{key} of {} is {other:?}", span.name),
    }
}

fn int(span: &Span, key: &str) -> i64 {
    match value(&span.attributes, key) {
        Some(Value::IntValue(number)) => *number,
        other => panic!("{key} of {} is {other:?}", span.name),
    }
}

#[test]
fn slow_and_failed_requests_are_always_sent_and_the_rest_at_its_rate() {
    let mut reset = request(&origin("shop", 7), Side::Server, "/reset", 200, 1);
    (reset.status_code, reset.error) = (None, Some(Failure::Reset));
    let always = vec![server("shop", "/slow", 200, 1_001), server("shop", "/broken", 503, 3), Record::Request(reset)];
    let ordinary = (0..1_000).map(|n| {
        let mut request = request(&origin("shop", 7), Side::Server, "/fine", 200, 1);
        request.span_id = SpanId(0x1000 + n);
        Record::Request(request)
    });
    let (spans, left_out) = sent(&[("PERFMON_EXPORT__SPAN_RATE", "0.2")], vec![ordinary.collect(), always.clone()]);
    let fine = spans["GET /fine"].len() as u64;
    assert!((150..250).contains(&fine), "{fine}");
    assert_eq!(fine + left_out, 1_000);
    for (name, level, status, error) in
        [("GET /slow", 9, 0, None), ("GET /broken", 17, 2, Some("503")), ("GET /reset", 17, 2, Some("reset"))]
    {
        let span = &spans[name][0];
        assert_eq!((int(span, "logfire.level_num"), span.status.as_ref().map_or(0, |status| status.code)), (level, status), "{name}");
        assert_eq!(value(&span.attributes, "error.type"), error.map(|error| Value::StringValue(error.into())).as_ref(), "{name}");
        assert_eq!(span.kind, 2);
    }
    let mut end = request(&origin("shop", 7), Side::Server, "/ws", 101, 1_001);
    (end.protocol, end.error) = ("websocket", Some(Failure::Reset));
    let (spans, left_out) = sent(&[], vec![vec![Record::Request(end)]]);
    assert_eq!((spans.len(), left_out), (0, 0), "the end of a WebSocket is no request");
    let (spans, left_out) = sent(&[("PERFMON_EXPORT__METRICS_ONLY", "true")], vec![always]);
    assert_eq!((spans.len(), left_out), (0, 0));
}

#[test]
fn the_parts_of_a_request_are_where_others_look_for_them() {
    let mut client = request(&origin("shop", 7), Side::Client, "/x", 404, 1_200);
    (client.tls, client.path) = (true, Some("/v1/things".into()));
    let (spans, _) = sent(&[], vec![vec![server("shop", "/users/{id}", 200, 2_000), Record::Request(client)]]);
    let span = &spans["GET /users/{id}"][0];
    assert_eq!(
        (text(span, "http.route"), text(span, "url.path"), text(span, "url.scheme")),
        ("/users/{id}".into(), "/users/1".into(), "http".into())
    );
    assert_eq!((text(span, "user_agent.original"), text(span, "client.address")), ("curl/8".into(), "127.0.0.1".into()));
    assert_eq!((int(span, "http.response.status_code"), text(span, "logfire.msg")), (200, "GET /users/1 → 200".into()));
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 2_000_000_000);
    assert!(span.parent_span_id.is_empty());
    let span = &spans["GET"][0];
    assert_eq!((span.kind, int(span, "logfire.level_num"), span.status.is_none()), (3, 13, true));
    assert_eq!((text(span, "url.full"), text(span, "server.address")), ("https://api.example:8443/v1/things".into(), "api.example".into()));
    assert_eq!(int(span, "server.port"), 8443);
}

#[test]
fn a_request_with_traceparent_joins_its_trace() {
    let mut joined = request(&origin("shop", 7), Side::Server, "/joined", 500, 1);
    (joined.trace_id, joined.parent_span_id) = (Some(TRACE.into()), Some("b7ad6b7169203331".into()));
    let (spans, _) = sent(&[], vec![vec![Record::Request(joined)]]);
    let span = &spans["GET /joined"][0];
    assert_eq!(u128::from_be_bytes(span.trace_id[..].try_into().unwrap()), 0x0af7651916cd43dd8448eb211c80319c);
    assert_eq!(u64::from_be_bytes(span.parent_span_id[..].try_into().unwrap()), 0xb7ad6b7169203331);
}

#[test]
fn a_model_call_and_its_request_are_one_span_below_the_run() {
    let bot = origin("bot", 9);
    let mut http = request(&bot, Side::Client, "/v1/chat/completions", 200, 2_000);
    (http.span_id, http.path) = (SpanId(0xaa), Some("/v1/chat/completions".into()));
    let first = vec![Record::Request(http.clone()), Record::Llm(Box::new(call(&bot, Side::Client)))];
    let second = vec![Record::Tool(Box::new(tool(&bot, "conversation"))), Record::Agent(Box::new(run(&bot, "success")))];
    let (spans, _) = sent(&[], vec![first, second]);
    assert_eq!(spans.keys().collect::<Vec<_>>(), ["chat gpt-4o", "execute_tool search", "invoke_agent helper"]);
    let (chat, tool, agent) = (&spans["chat gpt-4o"][0], &spans["execute_tool search"][0], &spans["invoke_agent helper"][0]);
    assert_eq!((spans["chat gpt-4o"].len(), text(chat, "url.path")), (1, "/v1/chat/completions".into()));
    assert!([chat, tool].iter().all(|span| span.trace_id == agent.trace_id && span.parent_span_id == agent.span_id));
    assert!(agent.parent_span_id.is_empty());
    assert_eq!((text(chat, "gen_ai.provider.name"), text(chat, "gen_ai.system")), ("openai".into(), "openai".into()));
    assert_eq!((int(chat, "gen_ai.usage.input_tokens"), int(chat, "gen_ai.usage.output_tokens")), (1_000, 200));
    assert_eq!(value(&chat.attributes, "operation.cost"), Some(&Value::DoubleValue(0.0045)));
    assert!(matches!(value(&chat.attributes, "gen_ai.response.finish_reasons"), Some(Value::ArrayValue(array)) if array.values.len() == 1));
    let (schema, calls) = (text(chat, "logfire.json_schema"), text(chat, "perfmon.tool_calls"));
    assert!(serde_json::from_str::<serde_json::Value>(&schema).unwrap()["properties"]["perfmon.tool_calls"].is_object());
    assert_eq!(calls, r#"[{"id":"call_1","name":"search"}]"#);
    assert_eq!((text(agent, "gen_ai.agent.name"), int(agent, "gen_ai.aggregated_usage.input_tokens")), ("helper".into(), 1_000));
    assert_eq!((text(tool, "gen_ai.tool.name"), text(tool, "gen_ai.tool.call.id")), ("search".into(), "call_1".into()));
    assert_eq!((chat.kind, tool.kind, agent.kind), (3, 1, 1));

    // A call within a trace stays there.
    (http.trace_id, http.parent_span_id) = (Some(TRACE.into()), Some("b7ad6b7169203331".into()));
    let (spans, _) = sent(&[], vec![vec![Record::Request(http), Record::Llm(Box::new(call(&bot, Side::Client)))]]);
    assert_eq!(spans["chat gpt-4o"][0].trace_id[0], 0x0a);
    assert_eq!(spans["chat gpt-4o"][0].parent_span_id[0], 0xb7);
}

#[test]
fn failures_of_models_agents_and_tools_are_errors() {
    let bot = origin("bot", 9);
    let mut failed = call(&bot, Side::Client);
    (failed.status_code, failed.error_type) = (Some(429), Some("rate_limit_error".into()));
    let mut broken = tool(&bot, "mcp");
    broken.success = Some(false);
    let runs = [Record::Agent(Box::new(run(&bot, "error"))), Record::Agent(Box::new(run(&bot, "abandoned")))];
    let mut records = vec![Record::Llm(Box::new(failed)), Record::Tool(Box::new(broken))];
    records.extend(runs);
    let (spans, _) = sent(&[], vec![records]);
    let levels = |name: &str| spans[name].iter().map(|span| int(span, "logfire.level_num")).collect::<Vec<_>>();
    assert_eq!((levels("chat gpt-4o"), levels("tools/call search"), levels("invoke_agent helper")), (vec![17], vec![17], vec![17, 13]));
    assert_eq!(text(&spans["chat gpt-4o"][0], "error.type"), "rate_limit_error");
    assert_eq!(text(&spans["tools/call search"][0], "network.transport"), "pipe");
}

#[test]
fn alerts_and_findings_are_log_records_once_a_state() {
    let otlp = Receiver::start(|_, _| Answer::ok());
    let running = start(&to(&otlp), CLOCKS, Gauges::default());
    running.offer(vec![alert("a", AlertState::Pending), alert("a", AlertState::Firing), finding("f", true)]);
    running.offer(vec![alert("a", AlertState::Firing), finding("f", true), alert("b", AlertState::Firing)]);
    running.offer(vec![alert("a", AlertState::Resolved), finding("f", false)]);
    running.exporter.finish(GRACE);
    otlp.assert_strict();
    let requests: Vec<ExportLogsServiceRequest> = otlp.taken("/v1/logs");
    let scopes = requests.into_iter().flat_map(|request| request.resource_logs).flat_map(|of_resource| of_resource.scope_logs);
    let mut records = Vec::new();
    for scope in scopes {
        let name = scope.scope.unwrap().name;
        records.extend(scope.log_records.into_iter().map(|record| (name.clone(), record)));
    }
    let of_scope = |wanted: &str| records.iter().filter(|(name, _)| name == wanted).map(|(_, record)| record).collect::<Vec<_>>();
    let alerts = of_scope("perfmon.alerts");
    assert_eq!(alerts.iter().map(|record| record.severity_number).collect::<Vec<_>>(), [17, 17, 17, 9]);
    assert_eq!(alerts[1].body, Some(AnyValue { value: Some(Value::StringValue("7 % of requests fail.".into())) }));
    assert_eq!(value(&alerts[1].attributes, "perfmon.alert.rule"), Some(&Value::StringValue("error_rate_5min".into())));
    assert_eq!(of_scope("perfmon.findings").iter().map(|record| record.severity_number).collect::<Vec<_>>(), [13, 9]);
}

#[test]
fn calls_of_a_request_are_its_children() {
    let shop = origin("shop", 7);
    let served = request(&shop, Side::Server, "/cart", 200, 2_000);
    let mut asked = request(&shop, Side::Client, "/charge", 500, 3);
    (asked.parent_span_id, asked.link) = (Some(served.span_id.to_string().into()), Some(Quality::Exact));
    let mut command = crate::aggregate::tests::query::command(Side::Client, "SELECT * FROM users WHERE id = ?", 1_500);
    (command.origin, command.parent_span_id, command.link) = (shop.clone(), Some(served.span_id), Some(Quality::Inferred));
    let quick = Db { response_time_ms: Some(Millis(1)), ..command.clone() };
    let server_side = Db { side: Side::Server, ..command.clone() };
    let commands = [command, quick, server_side].map(|command| Record::Db(Box::new(command)));
    let (spans, _) = sent(&[], vec![vec![Record::Request(served), Record::Request(asked)], commands.into()]);
    let (parent, call, commands) = (&spans["GET /cart"][0], &spans["GET"][0], &spans["SELECT users"]);
    assert_eq!(commands.len(), 1, "quick ones of a request that is not sampled and the server's side are none");
    for child in [call, &commands[0]] {
        assert_eq!((&child.trace_id, &child.parent_span_id), (&parent.trace_id, &parent.span_id));
    }
    let command = &commands[0];
    assert_eq!(
        (command.kind, text(command, "db.system.name"), text(command, "db.collection.name")),
        (3, "postgresql".into(), "users".into())
    );
    assert_eq!((text(command, "db.query.text"), int(command, "db.response.returned_rows")), ("SELECT * FROM users WHERE id = ?".into(), 2));
    assert_eq!((text(command, "server.address"), int(command, "server.port")), ("10.0.0.2".into(), 5432));
}
