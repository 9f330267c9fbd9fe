//! Model calls, agents, tools, workflows, and samples of the host.
use super::*;
use crate::record::{Agent, Llm, Process, SpanId, System, Tool, Workflow};

fn origin() -> Arc<Origin> {
    Arc::new(Origin { service: "assistant".into(), ..Origin::unknown(9) })
}

fn call(side: Side, model: &str) -> Llm {
    Llm {
        time: at(0),
        origin: origin(),
        side,
        provider: "openai".into(),
        api: "chat",
        destination: Some("api.openai.com".into()),
        peer: "10.0.0.1:443".into(),
        tls: true,
        request_model: Some(model.into()),
        response_model: None,
        stream: true,
        status_code: Some(200),
        error_type: None,
        finish_reason: None,
        input_tokens: Some(100),
        output_tokens: Some(20),
        cache_read_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        token_source: Some("reported"),
        cost_usd: Some(0.0021),
        cost_source: Some("prices"),
        response_time_ms: Some(Millis(1_500 * MS)),
        time_to_first_byte_ms: Some(Millis(200 * MS)),
        time_to_first_token_ms: Some(Millis(300 * MS)),
        output_tokens_per_second: None,
        chunk_gap_max_ms: None,
        tool_calls: Vec::new(),
        conversation_id: None,
        agent_type: None,
        agent_run_id: None,
        request_id: None,
        visibility: "plaintext",
        request_bytes: 0,
        response_bytes: 0,
        chunks: 0,
        trace_id: None,
        span_id: SpanId(0xbb),
    }
}

fn agent(status: &'static str, time_ms: u64) -> Agent {
    Agent {
        time: at(0),
        origin: origin(),
        agent_type: Some("researcher".into()),
        agent_run_id: "run".into(),
        conversation_id: None,
        execution_time_ms: Millis(time_ms * MS),
        status,
        error_type: None,
        llm_calls: 2,
        tools_called: 3,
        tokens_used: Some(240),
        input_tokens: None,
        output_tokens: None,
        cost_usd: None,
        model_time_ms: Millis(0),
        tool_time_ms: Millis(0),
        local_time_ms: Millis(0),
    }
}

fn tool(success: Option<bool>) -> Tool {
    Tool {
        time: at(0),
        origin: origin(),
        tool_name: "search".into(),
        tool_call_id: None,
        source: "mcp",
        transport: None,
        server: None,
        execution_time_ms: Some(Millis(40 * MS)),
        success,
        error_type: None,
        agent_type: None,
        agent_run_id: None,
    }
}

#[test]
fn model_calls_by_model_with_tokens_and_cost() {
    let mut aggregate = aggregate();
    for _ in 0..3 {
        aggregate.add(&mut Record::Llm(Box::new(call(Side::Client, "gpt"))));
    }
    let failed =
        Llm { error_type: Some("429".into()), input_tokens: None, output_tokens: None, cost_usd: None, ..call(Side::Client, "gpt") };
    aggregate.add(&mut Record::Llm(Box::new(failed)));
    let view = minute(&mut aggregate, 1);
    let row = &view.llm[0];
    assert_eq!((row.calls, row.errors, row.error_rate, row.unpriced_calls), (4, 1, Some(0.25), 1));
    assert_eq!((row.input_tokens, row.output_tokens, row.cache_read_tokens), (Some(300), Some(60), None));
    assert_eq!(row.cost_usd, Some(0.0063));
    assert!((row.ttft_p50_ms.unwrap() - 300.0).abs() <= 3.0);
    assert_eq!((view.work.llm_calls, view.work.input_tokens, view.work.cost_usd), (4, Some(300), Some(0.0063)));
}

#[test]
fn calls_that_a_rate_limit_refused_stand_apart_and_lack_no_price() {
    let mut aggregate = aggregate();
    let refused = |status, kind: &str| Llm {
        status_code: Some(status),
        error_type: Some(kind.into()),
        input_tokens: None,
        output_tokens: None,
        cost_usd: None,
        ..call(Side::Client, "gpt")
    };
    let calls = [
        call(Side::Client, "gpt"),
        refused(429, "tokens"),
        refused(429, "429"),
        refused(200, "rate_limit_error"),
        refused(500, "server_error"),
    ];
    for call in calls {
        aggregate.add(&mut Record::Llm(Box::new(call)));
    }
    let view = minute(&mut aggregate, 1);
    let row = &view.llm[0];
    assert_eq!((row.calls, row.errors, row.rate_limited, row.unpriced_calls), (5, 4, 3, 1));
    assert_eq!((view.work.llm_errors, view.work.llm_rate_limited), (4, 3));
}

#[test]
fn both_ends_of_a_model_call_are_two_rows_and_one_call() {
    let mut aggregate = aggregate();
    for side in [Side::Client, Side::Server, Side::Client] {
        aggregate.add(&mut Record::Llm(Box::new(call(side, "llama"))));
    }
    aggregate.add(&mut Record::Llm(Box::new(call(Side::Server, "qwen"))));
    let view = minute(&mut aggregate, 1);
    assert_eq!((view.llm.len(), view.work.llm_calls), (3, 3));
}

#[test]
fn agents_tools_and_workflows() {
    let mut aggregate = aggregate();
    for (status, time) in [("success", 1_000), ("error", 2_000), ("abandoned", 3_000)] {
        aggregate.add(&mut Record::Agent(Box::new(agent(status, time))));
    }
    for success in [Some(true), Some(false), None] {
        aggregate.add(&mut Record::Tool(Box::new(tool(success))));
    }
    let workflow = Workflow {
        time: at(0),
        origin: origin(),
        workflow_name: "POST /ask/17".into(),
        inbound: Some(("POST".into(), "/ask/17".into())),
        execution_time_ms: Millis(9_000 * MS),
        status: "success",
        agents: 1,
        llm_calls: 2,
        tools_called: 3,
        db_calls: None,
        tokens_used: None,
        cost_usd: Some(0.5),
        trace_id: None,
    };
    aggregate.add(&mut Record::Workflow(Box::new(workflow)));
    let view = minute(&mut aggregate, 1);
    let row = &view.agents[0];
    assert_eq!((row.count, row.errors, row.abandoned, row.llm_calls, row.tools_called, row.tokens_used), (3, 1, 1, 6, 9, Some(720)));
    assert_eq!((row.latency.mean_ms, row.cost_usd, view.work.avg_agent_time_ms), (Some(2_000.0), None, Some(2_000.0)));
    let row = &view.tools[0];
    assert_eq!((row.count, row.errors, row.error_rate, row.latency.max_ms), (3, 1, Some(0.5), Some(40.0)));
    let row = &view.workflows[0];
    assert_eq!((&*row.workflow_name, row.count, row.agents, row.tokens_used, row.cost_usd), ("POST /ask/{id}", 1, 1, None, Some(0.5)));
}

#[test]
fn names_beyond_the_limit_are_counted_together() {
    let mut aggregate = aggregate();
    // One service has half of the rows at most, the next one finds room.
    let (half, calls) = (limits::WORK_ROWS / 2, limits::WORK_ROWS as u64 + 20);
    for number in 0..calls {
        aggregate.add(&mut Record::Tool(Box::new(Tool { tool_name: number.to_string().into(), ..tool(None) })));
    }
    let late = Arc::new(Origin { service: "late".into(), ..(*origin()).clone() });
    for number in 0..100 {
        aggregate.add(&mut Record::Tool(Box::new(Tool { tool_name: number.to_string().into(), origin: late.clone(), ..tool(None) })));
    }
    let ticked = aggregate.tick(at(1));
    let view = &ticked.snapshot.windows[0];
    let of_late = view.tools.iter().filter(|row| &*row.service == "late").count();
    assert_eq!((view.tools.len() - of_late, of_late, view.work.tool_calls), (half + 1, 100, calls + 100));
    let beyond = calls - half as u64;
    assert_eq!((&*view.tools[0].tool_name, view.tools[0].count, ticked.rows_overflowed), ("(other)", beyond, beyond));
    // Rows that are gone leave room.
    aggregate.tick(at(2 * 3_600));
    aggregate.tick(at(4 * 3_600));
    aggregate.add(&mut Record::Tool(Box::new(Tool { tool_name: "new".into(), ..tool(None) })));
    let view = &aggregate.tick(at(4 * 3_600 + 1)).snapshot.windows[0];
    assert_eq!(view.tools.iter().map(|row| &*row.tool_name).collect::<Vec<_>>(), ["new"]);
}

#[test]
fn samples_of_the_host_are_the_newest_and_leave() {
    let system = |load_1m| System {
        time: at(0),
        origin: origin(),
        cpu_percent: None,
        memory_percent: 10.0,
        memory_available_bytes: 1,
        swap_percent: None,
        load_1m,
        disks: Vec::new(),
        network: Vec::new(),
        psi: None,
        interval_ms: Millis(1_000 * MS),
    };
    let process = Process {
        time: at(0),
        origin: origin(),
        cpu_percent: None,
        memory_rss_bytes: 1,
        memory_percent: 0.1,
        memory_growth_bytes_per_hour: None,
        heap_bytes: None,
        threads: 1,
        threads_running: 0,
        threads_waiting: 1,
        run_queue_wait_ms: None,
        blocked_io_ms: None,
        open_files: None,
        sockets: None,
        connections: None,
        read_bytes: None,
        write_bytes: None,
        context_switches: None,
        page_faults: None,
        uptime_s: 1.0,
        runtime: None,
        leak: None,
        interval_ms: Millis(1_000 * MS),
    };
    let mut aggregate = aggregate();
    [1.0, 2.0].into_iter().for_each(|load| aggregate.add(&mut Record::System(Box::new(system(load)))));
    aggregate.add(&mut Record::Process(Box::new(process)));
    let snapshot = aggregate.tick(at(10)).snapshot;
    assert_eq!((snapshot.system.as_ref().unwrap().load_1m, snapshot.processes.len()), (2.0, 1));
    let snapshot = aggregate.tick(at(11)).snapshot;
    assert!(snapshot.processes.is_empty() && snapshot.system.is_some());
}
