use crate::llm::tests::Talk;
use crate::record::{Agent, Llm, Millis, Quality, SpanId, Tool, Workflow};

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// A tracker and what came out of it.
struct World {
    tracker: AgentTracker,
    llm: Vec<Llm>,
    agents: Vec<Agent>,
    tools: Vec<Tool>,
    workflows: Vec<Workflow>,
}

fn options() -> AgentOptions {
    AgentOptions { processes: 4, conversations: 300, inbound: 100, idle_ns: 600 * SECOND, retry_ns: 60 * SECOND }
}

fn wall(at: u64) -> WallTime {
    WallTime(1_795_341_599_000_000_000 + at)
}

impl World {
    fn new() -> Self {
        Self { tracker: AgentTracker::new(options()), llm: vec![], agents: vec![], tools: vec![], workflows: vec![] }
    }

    fn call(&mut self, talk: &Talk) -> Llm {
        self.call_of(77, talk)
    }

    fn call_of(&mut self, pid: u32, talk: &Talk) -> Llm {
        let mut call = talk.finished().expect("a model call");
        call.record.origin = Arc::new(Origin { pid, comm: "python3".into(), service: "shop-agent".into(), container: None });
        let records = self.tracker.on_call(&mut call.record, &call.detail, wall);
        self.keep(records);
        self.llm.push(*call.record.clone());
        *call.record
    }

    fn keep(&mut self, records: Vec<Record>) {
        for record in records {
            match record {
                Record::Agent(record) => self.agents.push(*record),
                Record::Tool(record) => self.tools.push(*record),
                Record::Workflow(record) => self.workflows.push(*record),
                other => panic!("{other:?} is not an agent's"),
            }
        }
    }

    fn tick(&mut self, ms: u64) {
        let records = self.tracker.tick(ms * MS);
        self.keep(records);
    }

    fn exit(&mut self, ms: u64, has_failed: bool) {
        let records = self.tracker.on_exit(&ProcessEnd { pid: 77, start_ns: Some(0), end_ns: ms * MS, has_failed }, wall);
        self.keep(records);
    }

    fn begin(&mut self, key: InboundKey, ms: u64, path: &str) {
        self.tracker.on_inbound(77, Inbound { kind: kind("GET", path), ..inbound(key, 42, ms * MS) });
    }

    fn inbound_end(&mut self, key: InboundKey, ms: u64, status: u16) {
        let request = request(ms, status);
        self.tracker.on_inbound_end(key, &request, ms * MS);
    }
}

fn inbound(key: InboundKey, thread: u32, start_ns: u64) -> Inbound {
    Inbound { key, thread, start_ns, read_ns: start_ns, kind: kind("POST", "/ask") }
}

fn request(ms: u64, status: u16) -> Request {
    Request {
        time: wall(0),
        origin: Arc::new(Origin { pid: 77, comm: "python3".into(), service: "shop".into(), container: None }),
        side: Side::Server,
        protocol: "http/1.1",
        tls: false,
        local: "127.0.0.1:80".into(),
        peer: "127.0.0.1:999".into(),
        host: None,
        destination: None,
        method: Some("POST".into()),
        path: Some("/ask".into()),
        endpoint: None,
        user_agent: None,
        status_code: Some(status),
        error: None,
        request_size: None,
        response_size: None,
        request_bytes: 0,
        response_bytes: 0,
        response_time_ms: Some(Millis(ms * MS)),
        streaming: false,
        grpc_status: None,
        connect_time_ms: None,
        tls_time_ms: None,
        resend_count: None,
        queue_time_ms: None,
        time_to_first_byte_ms: None,
        performance_category: None,
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
        span_id: SpanId(0xb7ad_6b71_6920_3331),
        parent_span_id: None,
        link: None,
        downstream: None,
        quality: Quality::Exact,
        missing_bytes: 0,
        messages_sent: None,
        messages_received: None,
        close_code: None,
    }
}

const USER: &str = r#"{"role":"user","content":"weather in Rome?"}"#;
const TOOLS: &str = r#""tools":[{"type":"function","function":{"name":"get_weather"}}]"#;

/// A chat call with these messages; it begins at `start_ms` and takes 100 ms.
fn chat(start_ms: u64, messages: &[&str], extra: &str, message: &str) -> Talk {
    let extra = if extra.is_empty() { String::new() } else { format!(",{extra}") };
    let request = format!(r#"{{"model":"gpt-5","messages":[{}]{extra}}}"#, messages.join(","));
    let answer = format!(
        r#"{{"id":"chatcmpl-{start_ms}","model":"gpt-5","choices":[{{"message":{message},"finish_reason":"x"}}],"usage":{{"prompt_tokens":100,"completion_tokens":10}}}}"#
    );
    Talk { start_ms, ..Talk::new("api.openai.com", "/v1/chat/completions", request) }.at(100, answer)
}

fn asks(ids: &[&str]) -> String {
    let calls: Vec<String> = ids
        .iter()
        .map(|id| format!(r#"{{"id":"{id}","type":"function","function":{{"name":"get_weather","arguments":"{{}}"}}}}"#))
        .collect();
    format!(r#"{{"role":"assistant","content":null,"tool_calls":[{}]}}"#, calls.join(","))
}

fn result(id: &str, text: &str) -> String {
    format!(r#"{{"role":"tool","tool_call_id":"{id}","content":"{text}"}}"#)
}

const SAYS: &str = r#"{"role":"assistant","content":"22 degrees"}"#;

#[test]
fn a_run_with_two_tools() {
    let mut world = World::new();
    let (asked, one, two) = (asks(&["call_1", "call_2"]), result("call_1", "22"), result("call_2", "Error: no such city"));
    world.call(&chat(1_000, &[USER], TOOLS, &asked));
    world.call(&chat(1_400, &[USER, &asked, &one, &two], TOOLS, &asks(&["call_3"])));
    assert!(world.agents.is_empty());
    let (asked_again, three) = (asks(&["call_3"]), result("call_3", "rain"));
    world.call(&chat(1_550, &[USER, &asked, &one, &two, &asked_again, &three], TOOLS, SAYS));
    let tools: Vec<_> = world
        .tools
        .iter()
        .map(|t| (t.tool_call_id.as_deref().unwrap(), t.execution_time_ms.unwrap().as_f64(), t.success.unwrap()))
        .collect();
    assert_eq!(tools, [("call_1", 300.0, true), ("call_2", 300.0, false), ("call_3", 50.0, true)]);
    assert_eq!((world.tools[0].time, &*world.tools[0].tool_name, world.tools[0].source), (wall(1_100 * MS), "get_weather", "conversation"));
    let [agent] = world.agents.as_slice() else { panic!("one run: {:?}", world.agents) };
    assert_eq!((agent.status, agent.llm_calls, agent.tools_called), ("success", 3, 3));
    assert_eq!((agent.input_tokens, agent.output_tokens, agent.tokens_used), (Some(300), Some(30), Some(330)));
    assert_eq!((agent.execution_time_ms, agent.model_time_ms), (Millis(650 * MS), Millis(300 * MS)));
    assert_eq!((agent.tool_time_ms, agent.local_time_ms), (Millis(350 * MS), Millis(0)));
    assert_eq!((agent.time, agent.agent_type.as_deref()), (wall(1_000 * MS), Some("shop-agent")));
    assert!((agent.cost_usd.unwrap() - world.llm.iter().filter_map(|llm| llm.cost_usd).sum::<f64>()).abs() < 1e-12);
    for llm in &world.llm {
        assert_eq!(llm.agent_run_id.as_ref(), Some(&agent.agent_run_id));
        assert_eq!(llm.conversation_id, agent.conversation_id);
    }
}

#[test]
fn the_next_question_is_a_run_of_the_same_conversation() {
    let mut world = World::new();
    world.call(&chat(1_000, &[USER], TOOLS, SAYS));
    world.call(&chat(9_000, &[USER, SAYS, r#"{"role":"user","content":"and in Oslo?"}"#], TOOLS, SAYS));
    assert_eq!(world.agents.len(), 2);
    assert_eq!(world.agents[0].conversation_id, world.agents[1].conversation_id);
    assert!(world.agents[0].agent_run_id != world.agents[1].agent_run_id);
    world.call(&chat(20_000, &[USER], TOOLS, SAYS));
    assert!(world.agents[2].conversation_id != world.agents[0].conversation_id, "the same question again is another conversation");
}

#[test]
fn plain_completions_are_no_runs_but_conversations() {
    let mut world = World::new();
    let first = world.call(&chat(1_000, &[USER], "", SAYS));
    let second = world.call(&chat(2_000, &[USER, SAYS, USER], "", SAYS));
    let other = world.call(&chat(3_000, &[r#"{"role":"user","content":"else"}"#], "", SAYS));
    assert!(first.conversation_id.is_some() && first.conversation_id == second.conversation_id);
    assert!(other.conversation_id != first.conversation_id);
    assert!(world.agents.is_empty() && first.agent_run_id.is_none() && first.agent_type.is_none());
}

#[test]
fn a_known_agent_has_runs_without_tools() {
    let mut world = World::new();
    let talk = chat(1_000, &[USER], "", SAYS).request_header("user-agent", "claude-cli/1.0.83 (external, cli)");
    let llm = world.call(&talk.request_header("x-claude-code-session-id", "11f0-22"));
    assert_eq!((llm.agent_type.as_deref(), llm.conversation_id.as_deref()), (Some("claude-cli"), Some("11f0-22")));
    assert_eq!((world.agents.len(), world.agents[0].agent_type.as_deref()), (1, Some("claude-cli")));
}

#[test]
fn attempts_belong_to_one_run() {
    let mut world = World::new();
    let refused = |start_ms| {
        let body = br#"{"error":{"type":"rate_limit_error"}}"#.to_vec();
        Talk { answer: vec![(100, body)], ..chat(start_ms, &[USER], TOOLS, SAYS) }.status(429)
    };
    world.call(&refused(1_000));
    world.call(&refused(2_000));
    world.call(&chat(4_000, &[USER], TOOLS, SAYS));
    let [agent] = world.agents.as_slice() else { panic!("one run: {:?}", world.agents) };
    assert_eq!((agent.status, agent.llm_calls, agent.error_type.as_deref()), ("success", 3, None));
    assert_eq!(agent.local_time_ms, Millis(2_800 * MS));
}

#[test]
fn failures_end_runs() {
    let mut world = World::new();
    let failed = |start_ms, status| {
        let body = br#"{"error":{"type":"some_error"}}"#.to_vec();
        Talk { answer: vec![(100, body)], ..chat(start_ms, &[USER], TOOLS, SAYS) }.status(status)
    };
    world.call(&failed(1_000, 401));
    assert_eq!((world.agents[0].status, world.agents[0].error_type.as_deref()), ("error", Some("some_error")));
    world.call(&failed(2_000, 503));
    world.tick(61_000);
    assert_eq!(world.agents.len(), 1);
    world.tick(63_000);
    assert_eq!((world.agents[1].status, world.agents[1].error_type.as_deref()), ("error", Some("some_error")));
    assert_eq!(world.agents[1].execution_time_ms, Millis(100 * MS));
}

#[test]
fn a_run_that_nobody_goes_on_with_is_abandoned() {
    let mut world = World::new();
    let asked = asks(&["call_1"]);
    world.call(&chat(1_000, &[USER], TOOLS, &asked));
    world.tick(600_000);
    assert!(world.agents.is_empty());
    world.tick(602_000);
    assert_eq!((world.agents[0].status, world.agents[0].tools_called), ("abandoned", 0));
    world.call(&chat(700_000, &[USER], TOOLS, &asked));
    world.call(&chat(710_000, &[USER, &asked, USER], TOOLS, SAYS));
    assert_eq!(world.agents.iter().map(|agent| agent.status).collect::<Vec<_>>(), ["abandoned", "abandoned", "success"]);
    assert_eq!(world.agents[1].conversation_id, world.agents[2].conversation_id);
    assert!(world.tools.is_empty());
}

#[test]
fn a_hundred_equal_runs_at_once_are_a_hundred() {
    let mut world = World::new();
    let (asked, answer) = (asks(&["call_1"]), result("call_1", "22"));
    for i in 0..100 {
        world.call(&chat(1_000 + i, &[USER], TOOLS, &asked));
    }
    for i in 0..100 {
        world.call(&chat(2_000 + i, &[USER, &asked, &answer], TOOLS, SAYS));
    }
    assert_eq!((world.agents.len(), world.tools.len()), (100, 100));
    assert!(world.agents.iter().all(|agent| (agent.status, agent.llm_calls, agent.tools_called) == ("success", 2, 1)));
    let ids: std::collections::HashSet<_> = world.agents.iter().map(|agent| &agent.agent_run_id).collect();
    assert_eq!(ids.len(), 100);
}

#[test]
fn runs_that_overlap_do_not_mix() {
    let mut world = World::new();
    let question = |i: u32| format!(r#"{{"role":"user","content":"question {i}"}}"#);
    let (ask, answer) = (asks(&["call_1"]), result("call_1", "ok"));
    for i in 0..3 {
        world.call(&chat(1_000 + u64::from(i), &[&question(i)], TOOLS, &ask));
    }
    for i in [2, 0, 1] {
        let llm = world.call(&chat(2_000 + u64::from(i), &[&question(i), &ask, &answer], TOOLS, SAYS));
        assert_eq!(llm.agent_run_id, world.llm[i as usize].agent_run_id, "question {i}");
    }
    assert_eq!(world.agents.len(), 3);
}

#[test]
fn histories_kept_by_the_provider_are_followed() {
    let mut world = World::new();
    let respond = |start_ms, request: &str, id: &str, output: &str| {
        let answer = format!(
            r#"{{"id":"{id}","model":"gpt-5","status":"completed","output":[{output}],"usage":{{"input_tokens":5,"output_tokens":2}}}}"#
        );
        Talk { start_ms, ..Talk::new("api.openai.com", "/v1/responses", request) }.at(50, answer)
    };
    let call = r#"{"type":"function_call","call_id":"call_7","name":"find"}"#;
    world.call(&respond(1_000, r#"{"model":"gpt-5","input":"find it","tools":[{"type":"function"}]}"#, "resp_1", call));
    let go_on = r#"{"model":"gpt-5","previous_response_id":"resp_1","input":[{"type":"function_call_output","call_id":"call_7","output":"found"}],"tools":[{"type":"function"}]}"#;
    world.call(&respond(2_000, go_on, "resp_2", r#"{"type":"message"}"#));
    assert_eq!((world.agents.len(), world.agents[0].llm_calls, world.tools.len()), (1, 2, 1));
    let next = r#"{"model":"gpt-5","previous_response_id":"resp_2","input":"and now?","tools":[{"type":"function"}]}"#;
    world.call(&respond(3_000, next, "resp_3", r#"{"type":"message"}"#));
    assert_eq!((world.agents.len(), &world.agents[0].conversation_id), (2, &world.agents[1].conversation_id));
}

#[test]
fn results_without_ids_are_matched_by_name() {
    let mut world = World::new();
    let ollama = |start_ms, messages: &str, message: &str| {
        let request = format!(r#"{{"model":"llama3.2","messages":[{messages}],"tools":[{{}}],"stream":false}}"#);
        let answer = format!(r#"{{"model":"llama3.2","message":{message},"done":true,"prompt_eval_count":1,"eval_count":1}}"#);
        Talk { start_ms, ..Talk::new("localhost:11434", "/api/chat", request) }.at(10, answer)
    };
    let ask = r#"{"role":"assistant","content":"","tool_calls":[{"function":{"name":"a"}},{"function":{"name":"b"}}]}"#;
    world.call(&ollama(1_000, USER, ask));
    let history = format!(r#"{USER},{ask},{{"role":"tool","tool_name":"b","content":"Error: x"}},{{"role":"tool","content":"fine"}}"#);
    world.call(&ollama(1_500, &history, r#"{"role":"assistant","content":"done"}"#));
    let tools: Vec<_> = world.tools.iter().map(|tool| (&*tool.tool_name, tool.success)).collect();
    assert_eq!(tools, [("a", Some(true)), ("b", Some(false))]);
    assert_eq!((world.agents.len(), world.agents[0].cost_usd), (1, None));
}

#[test]
fn anthropics_flag_says_whether_a_tool_failed() {
    let mut world = World::new();
    let message = |start_ms, messages: &str, content: &str, stop: &str| {
        let request = format!(r#"{{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{messages}],"tools":[{{"name":"t"}}]}}"#);
        let answer = format!(
            r#"{{"type":"message","model":"claude-sonnet-4-5","content":[{content}],"stop_reason":"{stop}","usage":{{"input_tokens":1,"output_tokens":1}}}}"#
        );
        Talk { start_ms, ..Talk::new("api.anthropic.com", "/v1/messages", request) }.at(10, answer)
    };
    let uses = r#"{"type":"tool_use","id":"toolu_1","name":"t","input":{}},{"type":"tool_use","id":"toolu_2","name":"t","input":{}}"#;
    world.call(&message(1_000, USER, uses, "tool_use"));
    let history = format!(
        r#"{USER},{{"role":"assistant","content":[{uses}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_1","content":"Error: not really"}},{{"type":"tool_result","tool_use_id":"toolu_2","is_error":true,"content":"x"}}]}}"#
    );
    world.call(&message(2_000, &history, r#"{"type":"text","text":"wait"}"#, "pause_turn"));
    assert!(world.agents.is_empty(), "the model wants to go on");
    let longer = format!(r#"{history},{{"role":"assistant","content":[{{"type":"text","text":"wait"}}]}}"#);
    world.call(&message(3_000, &longer, r#"{"type":"text","text":"done"}"#, "end_turn"));
    let tools: Vec<_> = world.tools.iter().map(|tool| (tool.success, tool.error_type.as_deref())).collect();
    assert_eq!(tools, [(Some(true), None), (Some(false), Some("tool_error"))]);
    assert_eq!((world.agents.len(), world.agents[0].llm_calls), (1, 3));
}

#[test]
fn the_server_side_of_a_call_is_no_agent() {
    let mut world = World::new();
    let llm = world.call(&Talk { server: true, ..chat(1_000, &[USER], TOOLS, SAYS) });
    world.exit(5_000, false);
    assert!(llm.conversation_id.is_none() && world.agents.is_empty() && world.workflows.is_empty());
}

#[test]
fn an_inbound_request_is_a_workflow() {
    let mut world = World::new();
    world.tracker.on_inbound(77, inbound((1, 1), 42, 900 * MS));
    world.tracker.on_inbound(77, inbound((2, 1), 43, 950 * MS));
    let asked = asks(&["call_1"]);
    world.call(&chat(1_000, &[USER], TOOLS, &asked));
    world.call(&chat(1_500, &[USER, &asked, &result("call_1", "22")], TOOLS, SAYS));
    world.call(&Talk { thread: 43, ..chat(1_700, &[r#"{"role":"user","content":"sum up"}"#], "", SAYS) });
    world.inbound_end((1, 1), 2_000, 200);
    world.inbound_end((2, 1), 2_000, 500);
    world.inbound_end((3, 1), 2_000, 200);
    world.tick(3_000);
    let seen: Vec<_> =
        world.workflows.iter().map(|w| (&*w.workflow_name, w.status, w.agents, w.llm_calls, w.tools_called, w.tokens_used)).collect();
    assert_eq!(seen, [("POST /ask", "success", 1, 2, 1, Some(220)), ("POST /ask", "error", 0, 1, 0, Some(110))]);
    assert!(world.workflows[0].trace_id.is_some() && world.workflows[0].cost_usd.is_some());
    world.exit(9_000, false);
    assert_eq!(world.workflows.len(), 2, "a server is no workflow of its own");
}

#[test]
fn an_event_loop_serves_several_at_once() {
    let mut world = World::new();
    let question = |i: u64| format!(r#"{{"role":"user","content":"question {i}"}}"#);
    let (asked, answer) = (asks(&["call_1"]), result("call_1", "22"));
    for i in 0..3 {
        world.tracker.on_inbound(77, inbound((i, 1), 42, (1_000 + 10 * i) * MS));
        world.call(&chat(1_005 + 10 * i, &[&question(i)], TOOLS, &asked));
    }
    for i in 0..3 {
        world.call(&chat(1_500 + i, &[&question(i), &asked, &answer], TOOLS, SAYS));
    }
    for i in 0..3 {
        world.inbound_end((i, 1), 3_000, 200);
    }
    world.tick(4_000);
    assert!(world.workflows.len() == 3 && world.workflows.iter().all(|w| (w.agents, w.llm_calls, w.tools_called) == (1, 2, 1)));
}

#[test]
fn work_done_in_another_thread_is_the_only_requests() {
    let mut world = World::new();
    world.tracker.on_inbound(77, inbound((1, 1), 7, 900 * MS));
    world.call(&chat(1_000, &[USER], "", SAYS));
    world.inbound_end((1, 1), 2_000, 200);
    world.tick(3_000);
    assert_eq!(world.workflows[0].llm_calls, 1);
}

#[test]
fn a_failed_request_ends_the_runs_it_waited_for() {
    let mut world = World::new();
    world.tracker.on_inbound(77, inbound((1, 1), 42, 900 * MS));
    world.call(&chat(1_000, &[USER], TOOLS, &asks(&["call_1"])));
    world.inbound_end((1, 1), 2_000, 500);
    world.tick(3_000);
    assert_eq!((world.agents[0].status, world.agents[0].error_type.as_deref()), ("error", Some("500")));
}

#[test]
fn the_process_of_a_command_line_agent_is_a_workflow() {
    let mut world = World::new();
    world.call(&chat(1_000, &[USER], TOOLS, SAYS));
    world.call(&chat(2_000, &[USER, SAYS, USER], TOOLS, &asks(&["call_1"])));
    world.exit(5_000, true);
    assert_eq!((world.agents[1].status, world.agents[1].error_type.as_deref()), ("error", Some("exit")));
    let [workflow] = world.workflows.as_slice() else { panic!("one workflow") };
    assert_eq!((&*workflow.workflow_name, workflow.status, workflow.agents, workflow.llm_calls), ("shop-agent", "error", 2, 2));
    assert_eq!((workflow.execution_time_ms, workflow.time), (Millis(5_000 * MS), wall(0)));
    world.exit(6_000, false);
    assert_eq!(world.workflows.len(), 1);
}

#[test]
fn everything_is_bounded_and_counted() {
    let mut world = World::new();
    for i in 0..400 {
        let question = format!(r#"{{"role":"user","content":"question {i}"}}"#);
        world.call(&chat(1_000 + i, &[&question], TOOLS, &asks(&["call_1"])));
    }
    assert_eq!((world.agents.len(), world.tracker.counts().conversations_evicted), (100, 100));
    assert!(world.agents.iter().all(|agent| agent.status == "abandoned"));
    for pid in 100..110 {
        world.call_of(pid, &chat(5_000 + u64::from(pid), &[USER], TOOLS, SAYS));
    }
    assert_eq!((world.tracker.processes.len(), world.tracker.counts().processes_evicted), (4, 7));
    assert_eq!(world.agents.len(), 100 + 300 + 10);
    for i in 0..150 {
        world.tracker.on_inbound(5, inbound((i, 0), 1, i));
    }
    assert_eq!((world.tracker.serving[&5].inbound(), world.tracker.counts().inbound_evicted), (100, 50));
}

/// A world with a server whose agents answer `/ask` and whose `/report` calls no model, which it has learned.
fn server() -> World {
    let mut world = World::new();
    for i in 0..20 {
        let ms = 1_000 * i;
        world.begin((i, 1), ms, "/report/7");
        world.inbound_end((i, 1), ms + 5, 200);
        world.begin((i, 2), ms + 10, "/ask");
        world.call(&chat(ms + 11, &[&format!(r#"{{"role":"user","content":"{i}"}}"#)], TOOLS, SAYS));
        world.inbound_end((i, 2), ms + 400, 200);
    }
    world.tick(30_000);
    assert_eq!(world.workflows.drain(..).len(), 20);
    world
}

/// A run of one call that asks for no tools, which ends after 100 ms.
fn short_run(world: &mut World, ms: u64) -> Llm {
    world.call(&chat(ms, &[&format!(r#"{{"role":"user","content":"at {ms}"}}"#)], TOOLS, SAYS))
}

#[test]
fn requests_that_never_call_models_take_no_work() {
    let mut world = server();
    world.begin((1, 3), 40_000, "/ask");
    world.begin((1, 4), 40_001, "/report/8");
    let end = short_run(&mut world, 40_002).response_time_ms.unwrap().0 / MS + 40_002;
    world.inbound_end((1, 4), end + 1, 200); // between the model's answer and ours
    world.inbound_end((1, 3), end + 2, 200);
    world.tick(42_000);
    assert_eq!(world.workflows.len(), 1);
    assert_eq!(world.workflows[0].execution_time_ms, Millis((end + 2) * MS));
}

#[test]
fn requests_that_are_told_at_their_end_have_their_own_work() {
    let mut world = World::new();
    let ends: Vec<u64> = (0..4).map(|i| short_run(&mut world, 1_010 + i).response_time_ms.unwrap().0 / MS + 1_010 + i).collect();
    for (i, end) in (0..4).zip(&ends) {
        world.begin((i, 1), 1_000 + i, "/ask");
        world.inbound_end((i, 1), end + 20, 200);
    }
    world.tick(5_000);
    let seen: Vec<_> = world.workflows.iter().map(|w| (w.agents, w.llm_calls, w.execution_time_ms.0 / MS)).collect();
    assert_eq!(seen, ends.iter().map(|end| (1, 1, end + 20)).collect::<Vec<_>>());
}

#[test]
fn a_run_that_goes_on_over_several_requests_counts_in_each() {
    let mut world = World::new();
    let (asked, answer) = (asks(&["call_1"]), result("call_1", "22"));
    world.begin((1, 1), 990, "/chat");
    world.call(&chat(1_000, &[USER], TOOLS, &asked));
    world.inbound_end((1, 1), 1_400, 200);
    world.tick(3_000);
    world.begin((1, 2), 9_990, "/chat");
    world.call(&chat(10_000, &[USER, &asked, &answer], TOOLS, SAYS));
    world.inbound_end((1, 2), 10_400, 200);
    world.tick(12_000);
    let seen: Vec<_> = world.workflows.iter().map(|w| (w.agents, w.llm_calls, w.tools_called)).collect();
    assert_eq!((seen, world.agents.len()), (vec![(1, 1, 0), (0, 1, 1)], 1));
}

#[test]
fn parallel_runs_of_one_request_are_all_its_own() {
    let mut world = World::new();
    world.begin((1, 1), 990, "/ask");
    (0..3).for_each(|i| drop(short_run(&mut world, 1_000 + i)));
    world.inbound_end((1, 1), 2_000, 200);
    world.tick(3_000);
    let seen: Vec<_> = world.workflows.iter().map(|w| (w.agents, w.llm_calls)).collect();
    assert_eq!(seen, [(3, 3)]);
}

#[test]
fn kinds_leave_ids_out() {
    assert_eq!(kind("GET", "/users/42?x=1"), kind("GET", "/users/7"));
    assert_eq!(kind("GET", "/users/0a1b2c3d-11"), kind("GET", "/users/7"));
    assert_ne!(kind("GET", "/users/42"), kind("POST", "/users/42"));
    assert_ne!(kind("GET", "/users"), kind("GET", "/orders"));
}
