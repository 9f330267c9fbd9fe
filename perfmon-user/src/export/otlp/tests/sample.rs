//! Records for tests.
use std::sync::Arc;

use crate::record::{
    Agent, Alert, AlertState, Category, Disk, Dns, Failure, Finding, Llm, Millis, Network, Origin, Process, Quality, Record, Request,
    Severity, Side, SpanId, System, Tool, ToolCall, WallTime,
};

pub const SECOND: u64 = 1_000_000_000;
/// 2026-01-01.
pub const BEGIN: u64 = 1_767_225_600 * SECOND;

pub fn origin(service: &str, pid: u32) -> Arc<Origin> {
    Arc::new(Origin { pid, comm: "app".into(), service: service.into(), container: None })
}

pub fn request(origin: &Arc<Origin>, side: Side, endpoint: &str, status: u16, ms: u64) -> Request {
    let latency = Millis(ms * 1_000_000);
    Request {
        time: WallTime(BEGIN),
        origin: origin.clone(),
        side,
        protocol: "http/1.1",
        tls: false,
        local: "127.0.0.1:80".into(),
        peer: "127.0.0.1:5000".into(),
        host: Some("localhost".into()),
        destination: (side == Side::Client).then(|| "api.example:8443".into()),
        method: Some("GET".into()),
        path: Some("/users/1".into()),
        endpoint: Some(endpoint.into()),
        user_agent: Some("curl/8".into()),
        status_code: Some(status),
        error: None,
        request_size: Some(0),
        response_size: Some(1_234),
        request_bytes: 50,
        response_bytes: 1_400,
        response_time_ms: Some(latency),
        streaming: false,
        grpc_status: None,
        connect_time_ms: None,
        tls_time_ms: None,
        resend_count: None,
        queue_time_ms: None,
        time_to_first_byte_ms: None,
        performance_category: Some(Category::of(latency)),
        trace_id: None,
        span_id: SpanId(0xabc0_0000 + ms),
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

/// A connect() that was refused.
pub fn attempt(origin: &Arc<Origin>, destination: &str) -> Record {
    let unanswered = request(origin, Side::Client, "/", 200, 0);
    let refused = Request { protocol: Request::TCP, error: Some(Failure::ConnectRefused), status_code: None, ..unanswered };
    Record::Request(Request { destination: Some(destination.into()), response_time_ms: None, ..refused })
}

pub fn server(service: &str, endpoint: &str, status: u16, ms: u64) -> Record {
    Record::Request(request(&origin(service, 7), Side::Server, endpoint, status, ms))
}

/// A question for a name; without `ms` it had no answer.
pub fn lookup(origin: &Arc<Origin>, name: &str, rcode: &str, ms: Option<u64>) -> Record {
    Record::Dns(Box::new(Dns {
        time: WallTime(BEGIN),
        origin: origin.clone(),
        name: name.into(),
        qtype: "A".into(),
        rcode: rcode.into(),
        server: "127.0.0.53:53".into(),
        attempts: 1,
        response_time_ms: ms.map(|ms| Millis(ms * 1_000_000)),
        quality: Quality::Exact,
    }))
}

pub fn call(origin: &Arc<Origin>, side: Side) -> Llm {
    Llm {
        time: WallTime(BEGIN),
        origin: origin.clone(),
        side,
        provider: "openai".into(),
        api: "chat",
        destination: Some("api.openai.com".into()),
        peer: "10.0.0.1:443".into(),
        tls: true,
        request_model: Some("gpt-4o".into()),
        response_model: Some("gpt-4o-2024-08-06".into()),
        stream: true,
        status_code: Some(200),
        error_type: None,
        finish_reason: Some("tool_calls".into()),
        input_tokens: Some(1_000),
        output_tokens: Some(200),
        cache_read_tokens: Some(100),
        cache_write_tokens: None,
        reasoning_tokens: Some(50),
        token_source: Some("reported"),
        cost_usd: Some(0.0045),
        cost_source: Some("prices"),
        response_time_ms: Some(Millis(2 * SECOND)),
        time_to_first_byte_ms: Some(Millis(SECOND / 10)),
        time_to_first_token_ms: Some(Millis(SECOND / 4)),
        output_tokens_per_second: Some(114.0),
        chunk_gap_max_ms: Some(Millis(SECOND / 50)),
        tool_calls: vec![ToolCall { id: Some("call_1".into()), name: "search".into() }],
        conversation_id: Some("conv".into()),
        agent_type: Some("helper".into()),
        agent_run_id: Some("run-1".into()),
        request_id: Some("req_1".into()),
        visibility: "plaintext",
        request_bytes: 5_000,
        response_bytes: 20_000,
        chunks: 200,
        trace_id: None,
        span_id: SpanId(0xaa),
    }
}

pub fn tool(origin: &Arc<Origin>, source: &'static str) -> Tool {
    Tool {
        time: WallTime(BEGIN + SECOND),
        origin: origin.clone(),
        tool_name: "search".into(),
        tool_call_id: Some("call_1".into()),
        source,
        transport: (source == "mcp").then_some("stdio"),
        server: None,
        execution_time_ms: Some(Millis(SECOND / 2)),
        success: Some(true),
        error_type: None,
        agent_type: Some("helper".into()),
        agent_run_id: Some("run-1".into()),
    }
}

pub fn process(origin: &Arc<Origin>, cpu_percent: f64) -> Record {
    Record::Process(Box::new(Process {
        time: WallTime(BEGIN),
        origin: origin.clone(),
        cpu_percent: Some(cpu_percent),
        memory_rss_bytes: 50 << 20,
        memory_percent: 1.0,
        memory_growth_bytes_per_hour: None,
        heap_bytes: None,
        threads: 4,
        threads_running: 1,
        threads_waiting: 3,
        run_queue_wait_ms: None,
        blocked_io_ms: None,
        open_files: Some(12),
        sockets: Some(3),
        connections: Some(2),
        read_bytes: Some(100),
        write_bytes: Some(200),
        context_switches: Some(10),
        page_faults: Some(1),
        uptime_s: 99.0,
        runtime: Some("node".into()),
        leak: None,
        interval_ms: Millis(SECOND),
    }))
}

pub fn system() -> Record {
    Record::System(Box::new(System {
        time: WallTime(BEGIN),
        origin: origin("host", 0),
        cpu_percent: Some(25.0),
        memory_percent: 60.0,
        memory_available_bytes: 1 << 30,
        swap_percent: Some(10.0),
        load_1m: 0.5,
        disks: vec![Disk {
            mount: "/".into(),
            used_percent: 40.0,
            free_bytes: 1,
            read_bytes: Some(1_000),
            write_bytes: Some(2_000),
            busy_percent: None,
            full_in_s: None,
        }],
        network: vec![Network { name: "eth0".into(), rx_bytes: 10, tx_bytes: 20 }],
        psi: None,
        interval_ms: Millis(SECOND),
    }))
}

pub fn run(origin: &Arc<Origin>, status: &'static str) -> Agent {
    Agent {
        time: WallTime(BEGIN),
        origin: origin.clone(),
        agent_type: Some("helper".into()),
        agent_run_id: "run-1".into(),
        conversation_id: Some("conv".into()),
        execution_time_ms: Millis(5 * SECOND),
        status,
        error_type: (status == "error").then(|| "timeout".into()),
        llm_calls: 2,
        tools_called: 1,
        tokens_used: Some(1_200),
        input_tokens: Some(1_000),
        output_tokens: Some(200),
        cost_usd: Some(0.0045),
        model_time_ms: Millis(4 * SECOND),
        tool_time_ms: Millis(SECOND / 2),
        local_time_ms: Millis(SECOND / 2),
    }
}

pub fn alert(id: &str, state: AlertState) -> Record {
    Record::Alert(Box::new(Alert {
        time: WallTime(BEGIN),
        origin: origin("host", 0),
        alert_id: id.into(),
        started_at: WallTime(BEGIN),
        fired_at: None,
        severity_since: None,
        flapping: false,
        acknowledged_by: None,
        resolved_by: None,
        note: None,
        rule: "error_rate_5min".into(),
        kind_name: "reliability".into(),
        severity: Severity::Critical,
        state,
        message: "7 % of requests fail.".into(),
        metric: "request.error_rate".into(),
        scope: "all".into(),
        value: Some(0.07),
        threshold: 0.05,
        escalation_level: 0,
        notified: vec![],
    }))
}

pub fn finding(id: &str, open: bool) -> Record {
    Record::Finding(Box::new(Finding {
        time: WallTime(BEGIN),
        origin: origin("shop", 7),
        finding_id: id.into(),
        kind_name: "event_loop_blocked",
        severity: Severity::Warning,
        scope: "shop".into(),
        message: "The loop waits.".into(),
        evidence: vec!["00000000000000aa".into()],
        first_seen: WallTime(BEGIN),
        last_seen: WallTime(BEGIN),
        open,
    }))
}
