//! The routes, called through the router without a socket; `tests/live.rs` tests the stream and the server over a socket.
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};

use axum::body::Body;
use axum::http::{Method, Request as HttpRequest, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::aggregate::snapshot::{DestinationRow, EndpointRow, Latency, LlmRow, Totals, Window, WindowView, WorkTotals};
use crate::record::{
    Category, Failure, Finding, Gauges, InFlight, Millis, Origin, Quality, Request, Severity, Side, SpanId, System, TargetCoverage,
};
use crate::series::SeriesFeed;
pub(crate) use bench::SeriesBench;

const SECOND: u64 = 1_000_000_000;
const TOKEN: &str = "0123456789abcdef";

fn origin(service: &str) -> Arc<Origin> {
    Arc::new(Origin { pid: 7, comm: "app".into(), service: service.into(), container: None })
}

fn request(second: u64, service: &str, latency_ms: u64) -> Request {
    Request {
        time: WallTime(second * SECOND),
        origin: origin(service),
        side: Side::Server,
        protocol: "http/1.1",
        tls: false,
        local: "127.0.0.1:80".into(),
        peer: "127.0.0.1:5000".into(),
        host: Some("localhost".into()),
        destination: None,
        method: Some("GET".into()),
        path: Some("/users/1".into()),
        endpoint: Some("/users/{id}".into()),
        user_agent: None,
        status_code: Some(200),
        error: None,
        request_size: Some(0),
        response_size: Some(2),
        request_bytes: 50,
        response_bytes: 100,
        response_time_ms: Some(Millis(latency_ms * 1_000_000)),
        streaming: false,
        grpc_status: None,
        connect_time_ms: None,
        tls_time_ms: None,
        resend_count: None,
        queue_time_ms: None,
        time_to_first_byte_ms: None,
        performance_category: Some(Category::of(Millis(latency_ms * 1_000_000))),
        trace_id: None,
        span_id: SpanId(second),
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

fn finding(second: u64, service: &str) -> Finding {
    Finding {
        time: WallTime(second * SECOND),
        origin: origin(service),
        finding_id: "f1".into(),
        kind_name: "event_loop_blocked",
        severity: Severity::Warning,
        scope: service.into(),
        message: "The loop waits.".into(),
        evidence: vec![],
        first_seen: WallTime(second * SECOND),
        last_seen: WallTime(second * SECOND),
        open: true,
    }
}

fn system(second: u64, memory_percent: f64) -> System {
    System {
        time: WallTime(second * SECOND),
        origin: origin("host"),
        cpu_percent: Some(12.34567),
        memory_percent,
        memory_available_bytes: 1,
        swap_percent: None,
        load_1m: 0.5,
        disks: vec![],
        network: vec![],
        psi: None,
        interval_ms: Millis(SECOND),
    }
}

fn endpoint(service: &str, name: &str, count: u64, p95: Option<f64>, share: f64) -> Arc<EndpointRow> {
    let latency = Latency { p95_ms: p95, ..Latency::default() };
    let (service, method, endpoint) = (service.into(), "GET".into(), name.into());
    Arc::new(EndpointRow { service, method, endpoint, count, latency, share_of_time: share, ..EndpointRow::default() })
}

fn llm_row() -> LlmRow {
    LlmRow {
        service: "shop".into(),
        side: Side::Client,
        provider: "openai".into(),
        request_model: Some("gpt-5".into()),
        destination: None,
        calls: 4,
        errors: 0,
        rate_limited: 0,
        error_rate: Some(0.0),
        requests_per_minute: 1.0,
        input_tokens: Some(10),
        output_tokens: None,
        cache_read_tokens: None,
        cost_usd: Some(0.25),
        unpriced_calls: 0,
        latency: Latency::default(),
        ttfb_p50_ms: None,
        ttfb_p95_ms: None,
        ttft_p50_ms: None,
        ttft_p95_ms: None,
    }
}

fn snapshot() -> Snapshot {
    let latency = Latency { mean_ms: Some(1_200.0), p50_ms: Some(1_000.0), p95_ms: Some(2_000.0), ..Latency::default() };
    let totals =
        Arc::new(Totals { requests: 100, errors: 2, error_rate: Some(0.02), requests_per_minute: 150.0, latency, ..Totals::default() });
    let endpoints = vec![
        endpoint("shop", "/a", 5, Some(10.0), 0.7),
        endpoint("shop", "/b", 50, None, 0.2),
        endpoint("blog", "/c", 45, Some(90.0), 0.1),
    ];
    let destinations = ["db", "api"]
        .map(|name| Arc::new(DestinationRow { service: "shop".into(), destination: name.into(), ..DestinationRow::default() }));
    let work = Arc::new(WorkTotals { llm_calls: 4, avg_agent_time_ms: Some(6_000.0), ..WorkTotals::default() });
    let llm = Arc::new(llm_row());
    let view = |window: Window| WindowView {
        window_s: window.seconds(),
        covered_s: 40.0,
        totals: totals.clone(),
        endpoints: endpoints.clone(),
        destinations: destinations.to_vec(),
        work: work.clone(),
        llm: vec![llm.clone()],
        ..WindowView::default()
    };
    let in_flight = vec![InFlight { origin: origin("shop"), method: "GET".into(), path: "/a".into(), since: WallTime(1) }];
    let targets = vec![TargetCoverage { completeness: Some(0.5), exchanges: 2, incomplete: 1, ..TargetCoverage::named("shop", 7) }];
    Snapshot {
        time: WallTime(1_000 * SECOND),
        uptime_s: 40.0,
        windows: Window::ALL.map(view).to_vec(),
        system: Some(Arc::new(system(999, 90.0))),
        findings: vec![Arc::new(finding(998, "shop"))],
        gauges: Arc::new(Gauges { active_connections: Some(12), in_flight, targets, ..Gauges::default() }),
        ..Snapshot::default()
    }
}

struct Server {
    state: Arc<HttpState>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    shutdown: watch::Sender<bool>,
}

impl Server {
    /// Passes records on as the hub does, and what their series counted.
    fn push(&self, records: Vec<Record>) {
        let mut feed = SeriesFeed::default();
        records.iter().for_each(|record| feed.add(record));
        self.state.push(&Arc::new(records));
        self.state.series(&feed.take((self.state.parts.now)()));
    }
}

/// Alerts over the standing thresholds, with nowhere to go.
fn alert_service() -> Arc<AlertService> {
    let settings = crate::config::Alerts::default().settings();
    AlertService::new(&settings, vec![], crate::alert::RetryPolicy::default(), Arc::new(Counters::default()))
}

fn server_with(snapshot: Snapshot, listen: &str, token: Option<&str>, ready: bool) -> Server {
    server_over(alert_service(), snapshot, listen, token, ready)
}

fn server_over(alerts: Arc<AlertService>, snapshot: Snapshot, listen: &str, token: Option<&str>, ready: bool) -> Server {
    let (snapshots, receiver) = watch::channel(Arc::new(snapshot));
    let (shutdown, asked) = watch::channel(false);
    let reasons = if ready { vec![] } else { vec!["no process listens on port 8000 yet".to_string()] };
    let readiness = Readiness { ready, reasons };
    let degraded = if ready { vec![] } else { vec![crate::record::Degradation { part: "hub", reason: "hangs".into() }] };
    let degraded: Arc<[crate::record::Degradation]> = degraded.into();
    let lost = EventsLost { total: 3, by_reason: BTreeMap::from([("ring_full".to_string(), 3)]) };
    let probes = vec![ProbeStatus { name: "sock_recv_length".into(), state: "attached".into(), reason: None }];
    let report = SelfReport { capture_tier: Some(1), events_seen: 9, events_lost: lost, probes, ..SelfReport::default() };
    let state = HttpState::new(HttpParts {
        custom: tokio::sync::watch::channel(crate::record::custom::CustomMetrics::default()).1,
        access: Access::new(listen.starts_with("127."), &["Box.lan".to_string()], token.map(String::from)).admitting(admitted(), false),
        snapshot: receiver,
        counters: Arc::new(Counters::default()),
        self_report: Box::new(move || report.clone()),
        readiness: Box::new(move || readiness.clone()),
        degraded: Arc::new(move || degraded.clone()),
        heartbeat: crate::heartbeat::Heartbeat::unwatched(),
        alerts,
        now: || WallTime(1_795_341_599_123_456_789),
        shutdown: asked,
        spare: Arc::default(),
        history: None,
        audit: None,
    });
    Server { state, snapshots, shutdown }
}

fn server() -> Server {
    server_with(snapshot(), "127.0.0.1:9911", None, true)
}

/// A host with `ann` and `bob`, of whom `ann` is admitted.
fn admitted() -> Admitted {
    let files = AccountFiles { passwd: "root:x:0:0::/:\nann:x:1001:1001::/:\nbob:x:1002:1002::/:\n".into(), group: String::new() };
    Admitted::new(&files, &[], &["ann".into()], &[]).unwrap()
}

fn peer(caller: Caller) -> caller::Peer {
    caller::Peer { from: "127.0.0.1:5000".into(), caller, reserved: false, clear_text: Arc::default(), clock: Arc::default() }
}

/// Root asks.
async fn ask(server: &Server, request: axum::http::request::Builder) -> Response {
    ask_as(server, Caller::User(0), request.body(Body::empty()).unwrap()).await
}

async fn ask_as(server: &Server, caller: Caller, mut request: HttpRequest<Body>) -> Response {
    request.extensions_mut().insert(peer(caller));
    router(server.state.clone()).oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn get_json(server: &Server, path: &str) -> (StatusCode, Value) {
    let response = ask(server, HttpRequest::get(path).header("host", "localhost:9911")).await;
    let status = response.status();
    (status, serde_json::from_str(&text(response).await).unwrap())
}

async fn ok(server: &Server, path: &str) -> Value {
    let (status, body) = get_json(server, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

#[tokio::test]
async fn health_judges_the_snapshot() {
    let body = ok(&server(), "/health/performance").await;
    let want = serde_json::json!({
        "status": "unhealthy",
        "timestamp": "2026-11-22T09:59:59.123Z",
        "performance_metrics": {
            "avg_response_time": 1200.0, "error_rate": 0.02, "memory_percent": 90.0, "cpu_percent": 12.346, "avg_agent_time": 6000.0,
            "active_connections": 12, "requests_per_minute": 150.0
        },
        "health_indicators": {"response_time": "red", "error_rate": "yellow", "resource_usage": "red", "agent_performance": "yellow"},
        "recommendations": ["Consider response time optimization", "Monitor memory usage - approaching limits"],
        "perfmon": {"status": "ok", "degraded": []}
    });
    assert_eq!(body, want);
}

#[tokio::test]
async fn strict_health_is_503_only_when_unhealthy() {
    assert_eq!(get_json(&server(), "/health/performance?strict=1").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get_json(&server(), "/health/performance?strict=0").await.0, StatusCode::OK);
    let calm = server_with(Snapshot::default(), "127.0.0.1:9911", None, true);
    assert_eq!(get_json(&calm, "/health/performance?strict=1").await.0, StatusCode::OK);
}

#[tokio::test]
async fn readiness_says_why_not() {
    assert_eq!(get_json(&server(), "/readyz").await.0, StatusCode::OK);
    let (status, body) = get_json(&server_with(snapshot(), "127.0.0.1:9911", None, false), "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["reasons"][0], "no process listens on port 8000 yet");
    let health = ok(&server_with(Snapshot::default(), "127.0.0.1:9911", None, false), "/health/performance").await;
    let want = serde_json::json!({"status": "degraded", "degraded": [{"part": "hub", "reason": "hangs"}]});
    assert_eq!((&health["status"], &health["perfmon"]), (&"healthy".into(), &want), "a field of its own");
    assert_eq!(ok(&server(), "/healthz").await["status"], "alive");
}

#[tokio::test]
async fn summary_has_totals_of_the_window() {
    let body = ok(&server(), "/api/v1/summary?window=1m").await;
    assert_eq!((&body["window_s"], &body["requests"], &body["p95_ms"]), (&60.into(), &100.into(), &2_000.0.into()));
    assert_eq!((&body["active_connections"], &body["in_flight"], &body["findings_open"]), (&12.into(), &1.into(), &1.into()));
    assert_eq!((&body["llm_calls"], &body["cost_usd"], &body["alerts_firing"]), (&4.into(), &Value::Null, &0.into()));
    assert_eq!(ok(&server(), "/api/v1/summary").await["window_s"], 300);
    let empty = ok(&server_with(Snapshot::default(), "127.0.0.1:9911", None, true), "/api/v1/summary").await;
    assert_eq!((&empty["requests"], &empty["error_rate"], &empty["active_connections"]), (&0.into(), &Value::Null, &Value::Null));
}

#[tokio::test]
async fn endpoints_are_filtered_sorted_and_cut() {
    let server = server();
    let names = |body: &Value| {
        body["items"].as_array().unwrap().iter().map(|row| row["endpoint"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    let all = ok(&server, "/api/v1/endpoints?window=1h").await;
    assert_eq!((&all["window_s"], &all["total"]), (&3_600.into(), &3.into()));
    assert_eq!(names(&all), ["/a", "/b", "/c"]);
    assert_eq!(names(&ok(&server, "/api/v1/endpoints?sort=count").await), ["/b", "/c", "/a"]);
    assert_eq!(names(&ok(&server, "/api/v1/endpoints?sort=p95_ms").await), ["/c", "/a", "/b"]);
    assert_eq!(names(&ok(&server, "/api/v1/endpoints?service=blog").await), ["/c"]);
    assert_eq!(names(&ok(&server, "/api/v1/endpoints?service=shop&method=GET&endpoint=/b").await), ["/b"]);
    let cut = ok(&server, "/api/v1/endpoints?limit=1").await;
    assert_eq!((names(&cut).len(), &cut["total"]), (1, &3.into()));
    assert_eq!(ok(&server, "/api/v1/destinations?sort=destination").await["items"][0]["destination"], "api");
}

#[tokio::test]
async fn model_calls_agents_tools_and_workflows_are_listed() {
    let server = server();
    let body = ok(&server, "/api/v1/llm?sort=cost_usd").await;
    assert_eq!(
        (&body["total"], &body["items"][0]["cost_usd"], &body["items"][0]["output_tokens"]),
        (&1.into(), &0.25.into(), &Value::Null)
    );
    for path in ["/api/v1/agents?sort=count", "/api/v1/tools?sort=errors", "/api/v1/workflows?window=1h"] {
        assert_eq!(ok(&server, path).await["total"], 0);
    }
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let server = server();
    for (path, part) in [
        ("/api/v1/endpoints?window=7m", "window: \"7m\" is not a window; use 1m, 5m or 1h"),
        ("/api/v1/endpoints?windw=1m", "windw: unknown parameter; this route takes window, sort, limit, service, method, endpoint"),
        ("/api/v1/stream?follow=weather", "follow: \"weather\" cannot be followed; routes are health, summary"),
        ("/api/v1/stream?follow=llm@7m", "follow: \"7m\" is not a window; use 1m, 5m or 1h"),
        ("/api/v1/stream?follow=llm,llm", "follow: \"llm\" is given more than once"),
        ("/api/v1/stream?fields.weather=rain", "fields.weather: unknown parameter"),
        ("/api/v1/system?step=0s", "step: \"0s\" must be from 1s to 3600s"),
        ("/api/v1/endpoints?sort=colour", "sort: \"colour\" is not one of share_of_time, count"),
        ("/api/v1/endpoints?window=1m&window=5m", "window: is given more than once"),
        ("/api/v1/records?limit=0", "limit: must be an integer from 1 to 10000"),
        ("/api/v1/records?kind=dream", "kind: \"dream\" is not one of request"),
        ("/api/v1/records?since=yesterday", "since: \"yesterday\" is not an RFC 3339 time"),
        ("/api/v1/records?slow=perhaps", "slow: must be 1 or 0"),
        ("/api/v1/records?slow=1&kind=llm", "slow: applies to requests only"),
        ("/healthz?x=1", "x: unknown parameter; this route takes none"),
        ("/health/performance?strict=yes", "strict: must be 1 or 0"),
    ] {
        let (status, body) = get_json(&server, path).await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &"bad_parameter".into()), "{path}");
        assert!(body["error"]["message"].as_str().unwrap().starts_with(part), "{path}: {body}");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_answer_in_the_api_form() {
    let server = server();
    let (status, body) = get_json(&server, "/api/v1/nothing").await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &"not_found".into()));
    let response = ask(&server, HttpRequest::builder().method(Method::DELETE).uri("/api/v1/summary").header("host", "localhost")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(response.headers()[header::ALLOW].to_str().unwrap().contains("GET"));
    assert!(text(response).await.contains("method_not_allowed"));
    let response = ask(&server, HttpRequest::head("/healthz").header("host", "localhost")).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn records_are_newest_first_and_filtered() {
    let server = server();
    server.push(vec![Record::Request(request(1, "shop", 5)), Record::Finding(Box::new(finding(2, "shop")))]);
    server.push(vec![Record::Request(request(3, "blog", 1_500)), Record::System(Box::new(system(4, 1.0)))]);
    let all = ok(&server, "/api/v1/records").await;
    let kinds: Vec<_> = all["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["system", "request", "finding", "request"]);
    assert_eq!((&all["total"], &all["window_s"]), (&4.into(), &Value::Null));
    for (path, total, first) in [
        ("/api/v1/records?kind=request", 2, "blog"),
        ("/api/v1/records?kind=finding", 1, "shop"),
        ("/api/v1/records?slow=1", 1, "blog"),
        ("/api/v1/records?kind=request&service=shop", 1, "shop"),
        ("/api/v1/records?kind=request&limit=1", 2, "blog"),
        ("/api/v1/records?kind=request&since=1970-01-01T00:00:02Z", 1, "blog"),
        ("/api/v1/records?kind=request&since=1970-01-01T01:00:02%2B01:00", 1, "blog"),
        ("/api/v1/records?span_id=0000000000000003", 1, "blog"),
        ("/api/v1/records?kind=request&endpoint=/users/{id}&method=GET", 2, "blog"),
    ] {
        let body = ok(&server, path).await;
        assert_eq!((&body["total"], &body["items"][0]["service"]), (&total.into(), &first.into()), "{path}");
    }
}

#[tokio::test]
async fn a_flood_of_requests_leaves_bounded_records_and_the_finding() {
    let server = server();
    server.push(vec![Record::Finding(Box::new(finding(1, "shop")))]);
    let flood: Vec<_> = (0..1_000).map(|second| Record::Request(request(second, "shop", 1))).collect();
    for _ in 0..25 {
        server.push(flood.clone());
    }
    assert_eq!(ok(&server, "/api/v1/records?kind=request&limit=1").await["total"], limits::RECENT_RECORDS);
    assert_eq!(ok(&server, "/api/v1/records?kind=finding").await["total"], 1);
    assert!(text(ask(&server, HttpRequest::get("/metrics").header("host", "localhost")).await).await.contains(
        "_count{service_name=\"shop\",http_route=\"/users/{id}\",http_request_method=\"GET\",http_response_status_code=\"200\"} 25000\n"
    ));
}

#[tokio::test]
async fn resources_findings_and_self() {
    let server = server();
    server.push(vec![Record::System(Box::new(system(600, 1.0))), Record::System(Box::new(system(999, 2.0)))]);
    let body = ok(&server, "/api/v1/system").await;
    assert_eq!((&body["latest"]["memory_percent"], body["trend"].as_array().unwrap().len()), (&90.0.into(), 1));
    server.push((990..999).map(|second| Record::System(Box::new(system(second, second as f64)))).collect());
    let thinned = ok(&server, "/api/v1/system?window=1h&step=5s").await;
    let of_each_step: Vec<_> = thinned["trend"].as_array().unwrap().iter().map(|point| point["memory_percent"].as_f64().unwrap()).collect();
    assert_eq!(of_each_step, [1.0, 2.0, 994.0, 998.0]);
    assert_eq!(ok(&server, "/api/v1/processes").await["total"], 0);
    assert_eq!(ok(&server, "/api/v1/findings").await["items"][0]["type"], "event_loop_blocked");
    let own = ok(&server, "/api/v1/self").await;
    assert_eq!(
        (&own["events_lost"]["total"], &own["events_lost"]["by_reason"]["ring_full"], &own["capture_tier"]),
        (&3.into(), &3.into(), &1.into())
    );
    assert_eq!(
        (&own["targets"][0]["completeness"], &own["probes"][0]["state"], &own["rss_bytes"]),
        (&0.5.into(), &"attached".into(), &Value::Null)
    );
    assert_eq!(own["counters"]["batches_dropped"], 0);
}

/// Waits until it is opened, ten seconds at most.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    /// False: nobody opened it.
    fn wait(&self) -> bool {
        *self.1.wait_timeout_while(self.0.lock().unwrap(), Duration::from_secs(10), |open| !*open).unwrap().0
    }
}

#[tokio::test]
async fn a_report_that_waits_for_a_file_makes_nobody_else_wait() {
    let (mut server, gate) = (server(), Arc::new(Gate::default()));
    let stalls = gate.clone();
    let report = move || SelfReport { events_seen: u64::from(stalls.wait()), ..SelfReport::default() };
    Arc::get_mut(&mut server.state).unwrap().parts.self_report = Box::new(report);
    let stalled = ["/metrics", "/api/v1/self", "/metrics", "/api/v1/self"].map(|path| {
        let request = ask(&server, HttpRequest::get(path).header("host", "localhost"));
        async { text(request.await).await }
    });
    let others = async {
        for path in ["/health/performance", "/readyz", "/api/v1/endpoints", "/api/v1/records", "/api/v1/alerts", "/api/v1/findings"] {
            ok(&server, path).await;
        }
        gate.open();
    };
    let (reports, ()) = tokio::join!(futures_util::future::join_all(stalled), others);
    let own: Value = serde_json::from_str(&reports[1]).unwrap();
    assert_eq!(own["events_seen"], 1, "the others were answered while the reports waited");
    assert!(reports[0].contains("perfmon_uptime_seconds 40"), "{}", reports[0]);
}

#[tokio::test]
async fn metrics_count_requests_by_side() {
    let server = server();
    let failed = Request { status_code: Some(500), trace_id: Some("4bf92f".into()), span_id: SpanId(7), ..request(1, "shop", 5) };
    let odd = Request { method: Some("BREW".into()), error: Some(Failure::Reset), status_code: None, ..request(1, "shop", 20_000) };
    let unknown = Request { response_time_ms: None, quality: Quality::Inferred, ..request(1, "shop", 5) };
    let client = Request { side: Side::Client, destination: Some("db".into()), ..request(1, "shop", 5) };
    let closed = Request { protocol: "websocket", ..request(1, "shop", 5) };
    let batch = [request(1, "shop", 5), failed, odd, unknown, client, closed].map(Record::Request);
    server.push(batch.to_vec());
    let body = text(ask(&server, HttpRequest::get("/metrics").header("host", "localhost")).await).await;
    for line in [
        r#"http_server_request_duration_seconds_bucket{service_name="shop",http_route="/users/{id}",http_request_method="GET",http_response_status_code="200",le="0.005"} 1"#,
        r#"http_server_request_duration_seconds_count{service_name="shop",http_route="/users/{id}",http_request_method="GET",http_response_status_code="500",error_type="500"} 1"#,
        r#"http_server_request_duration_seconds_bucket{service_name="shop",http_route="/users/{id}",http_request_method="_OTHER",error_type="reset",le="10.0"} 0"#,
        r#"http_server_request_duration_seconds_sum{service_name="shop",http_route="/users/{id}",http_request_method="_OTHER",error_type="reset"} 20"#,
        r#"http_client_request_duration_seconds_count{service_name="shop",server_address="db",http_request_method="GET",http_response_status_code="200"} 1"#,
        r#"perfmon_exchanges_total{side="server",quality="exact"} 3"#,
        r#"perfmon_exchanges_total{side="server",quality="inferred"} 1"#,
        r#"http_server_active_requests{service_name="shop"} 1"#,
        r#"perfmon_findings_open{type="event_loop_blocked",severity="warning"} 1"#,
        r#"perfmon_events_lost_total{reason="ring_full"} 3"#,
        "perfmon_active_connections 12",
        "system_memory_utilization_ratio 0.9",
        "perfmon_batches_dropped_total 0",
        "perfmon_degraded 0",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is not in\n{body}");
    }
    let stalled = server_with(Snapshot::default(), "127.0.0.1:9911", None, false);
    let stalled = text(ask(&stalled, HttpRequest::get("/metrics").header("host", "localhost")).await).await;
    assert!(stalled.lines().any(|line| line == "perfmon_degraded 1"), "{stalled}");
    let empty = server_with(Snapshot::default(), "127.0.0.1:9911", None, true);
    let unknown = text(ask(&empty, HttpRequest::get("/metrics").header("host", "localhost")).await).await;
    assert!(!unknown.lines().any(|line| line.starts_with("perfmon_active_connections ")), "{unknown}");
    let open =
        ask(&server, HttpRequest::get("/metrics").header("host", "localhost").header("accept", "application/openmetrics-text")).await;
    assert_eq!(open.headers()[header::CONTENT_TYPE], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let open = text(open).await;
    let exemplars: Vec<&str> = open.lines().filter(|line| line.contains(" # {")).collect();
    let exemplar =
        r#"http_response_status_code="500",error_type="500",le="0.005"} 1 # {trace_id="4bf92f",span_id="0000000000000007"} 0.005 1.005"#;
    assert!(matches!(exemplars.as_slice(), [one] if one.ends_with(exemplar)), "{exemplars:?}");
    assert!(open.ends_with("# EOF\n") && !body.contains(" # {"));
}

#[tokio::test]
async fn series_of_metrics_are_bounded() {
    let server = server();
    let batch: Vec<_> = (0..limits::METRIC_SERIES + 10)
        .map(|index| Record::Request(Request { endpoint: Some(format!("/{index}").into()), ..request(1, "shop", 5) }))
        .collect();
    server.push(batch);
    let body = text(ask(&server, HttpRequest::get("/metrics").header("host", "localhost")).await).await;
    let rest = limits::METRIC_SERIES / 2 + 10;
    let other = "http_server_request_duration_seconds_count{service_name=\"shop\",http_route=\"(other)\"}";
    assert!(body.contains(&format!("{other} {rest}\n")), "half is left for others");
    assert!(body.contains(&format!("perfmon_metric_series_overflowed_total {rest}\n")));
}

#[tokio::test]
async fn failed_connects_of_a_service_leave_room_for_the_next_one() {
    let server = server();
    let attempt = |service: &str, destination: String| {
        let refused = Request { protocol: Request::TCP, error: Some(Failure::ConnectRefused), ..request(1, service, 5) };
        Record::Request(Request { side: Side::Client, destination: Some(destination.into()), method: None, status_code: None, ..refused })
    };
    let scan = (0..limits::METRIC_SERIES + 10).map(|port| attempt("scanner", format!("host:{port}")));
    server.push(scan.chain([attempt("shop", "db:5432".into())]).collect());
    let body = text(ask(&server, HttpRequest::get("/metrics").header("host", "localhost")).await).await;
    let count = |labels: &str| format!("perfmon_connect_failures_total{{{labels}}} ");
    assert!(
        body.contains(&count("service_name=\"shop\",server_address=\"db\",server_port=\"5432\",error_type=\"connect_refused\"")),
        "the next service"
    );
    assert!(body.contains(&(count("service_name=\"scanner\",server_address=\"(other)\"") + "2510\n")), "half is left for others");
}

#[tokio::test]
async fn only_known_hosts_and_origins_may_ask() {
    let local = server();
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:9911", 200),
        ("127.0.0.1:9911", 200),
        ("127.8.8.8", 200),
        ("[::1]:9911", 200),
        ("box.lan:80", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("192.168.1.5", 421),
        ("[::1", 421),
        ("", 421),
    ] {
        assert_eq!(ask(&local, HttpRequest::get("/api/v1/summary").header("host", host)).await.status(), status, "{host}");
    }
    assert_eq!(ask(&local, HttpRequest::get("/healthz")).await.status(), 421);
    assert_eq!(ask(&local, HttpRequest::get("http://evil.example/healthz").header("host", "localhost")).await.status(), 421);
    for (origin, status) in
        [("http://localhost:9911", 200), ("http://127.0.0.1", 200), ("https://evil.example", 403), ("null", 403), ("", 403)]
    {
        let response = ask(&local, HttpRequest::get("/healthz").header("host", "localhost").header("origin", origin)).await;
        assert_eq!(response.status(), status, "{origin}");
    }
}

#[tokio::test]
async fn an_open_address_needs_the_token() {
    let open = server_with(snapshot(), "0.0.0.0:9911", Some(TOKEN), true);
    let remote = Caller::Remote("192.168.1.7".parse().unwrap());
    for (authorization, status) in [
        ("", 401),
        ("Bearer wrong", 401),
        ("Basic 0123456789abcdef", 401),
        ("Bearer 0123456789abcdef", 200),
        ("bearer 0123456789abcdef", 200),
    ] {
        let request = HttpRequest::get("/api/v1/summary").header("host", "192.168.1.5:9911").header("authorization", authorization);
        let response = ask_as(&open, remote, request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), status, "{authorization}");
        assert_eq!(response.headers().contains_key(header::WWW_AUTHENTICATE), status == 401);
    }
    for open_route in ["/healthz", "/readyz"] {
        let request = HttpRequest::get(open_route).header("host", "192.168.1.5").body(Body::empty()).unwrap();
        assert_eq!(ask_as(&open, remote, request).await.status(), 200, "{open_route}");
    }
    assert_eq!(ask(&open, HttpRequest::get("/healthz").header("host", "evil.example")).await.status(), 421);
}

#[tokio::test]
async fn the_page_links_only_routes_that_exist() {
    let server = server();
    let response = ask(&server, HttpRequest::get("/").header("host", "localhost")).await;
    assert!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    let policy = response.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap().to_string();
    assert!(!policy.contains("unsafe"), "{policy}");
    let page = text(response).await;
    let linked = page.split("href=\"").chain(page.split("src=\"")).filter(|rest| !rest.starts_with("<!doctype"));
    let links: Vec<_> =
        linked.map(|rest| rest.split('"').next().unwrap().trim_start_matches("./")).filter(|link| !link.starts_with('#')).collect();
    assert!(links.len() >= 5, "{links:?}");
    let links = links.into_iter().map(|link| format!("/{link}"));
    for link in links {
        assert_eq!(ask(&server, HttpRequest::get(link.as_str()).header("host", "localhost")).await.status(), 200, "{link}");
    }
}

mod access;
mod alerts;
mod bench;
mod custom;
mod follow;
mod history;
mod live;
mod made_up;
mod metrics;
mod reports;
mod transport;
mod wire;
