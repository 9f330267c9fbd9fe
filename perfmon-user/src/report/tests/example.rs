//! The example of the documentation: two simulated weeks of a shop with an agent, of which the report tells the second. `UPDATE_DOCS=1` writes
//! docs/report-example.html, and the test says when it is out of date.
use super::*;
use crate::record::{Agent, Category, Db, Disk, Llm, Millis, Process, System, Tool, ToolCall, WallTime};

/// Monday, 2026-11-23T06:00:00Z: 07:00 in Berlin.
const END: u64 = 1_795_413_600;
const WEEK: u64 = 7 * 86_400;
const STEP: u64 = 600;
const SERVICE: &str = "shop";

/// Method, endpoint, requests a step at noon, median in milliseconds.
const ENDPOINTS: [(&str, &str, f64, f64); 6] = [
    ("GET", "/products/{id}", 40.0, 18.0),
    ("GET", "/search", 14.0, 85.0),
    ("POST", "/cart/{id}/items", 9.0, 34.0),
    ("POST", "/ask", 6.0, 420.0),
    ("POST", "/checkout", 4.0, 190.0),
    ("GET", "/customers/{customer_id}/orders/{order_id}/invoices/latest", 3.0, 61.0),
];
const MODELS: [(&str, &str, f64); 3] =
    [("openai", "gpt-5-mini", 0.004), ("anthropic", "claude-sonnet-4-5", 0.021), ("ollama", "llama3.1:8b-instruct-q4_K_M", 0.0)];

struct Shop {
    records: Vec<Record>,
    state: u64,
}

impl Shop {
    fn random(&mut self) -> f64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn around(&mut self, median: f64) -> Millis {
        let normal: f64 = (0..12).map(|_| self.random()).sum::<f64>() - 6.0;
        Millis((median * (0.5 * normal).exp() * 1e6) as u64)
    }

    fn step(&mut self, begin: u64) {
        let second_week = begin >= END - WEEK;
        let hour = ((begin + 3_600) % 86_400) as f64 / 3_600.0;
        let load = (1.0 + 0.85 * ((hour - 8.0) / 24.0 * std::f64::consts::TAU).sin()) * if second_week { 1.08 } else { 1.0 };
        for (method, endpoint, at_noon, median) in ENDPOINTS {
            let slow = if second_week && endpoint == "/ask" { 1.9 } else { 1.0 };
            let failing = if second_week && endpoint == "/checkout" { 0.03 } else { 0.002 };
            for _ in 0..(at_noon * load / 1.85 + self.random()) as usize {
                self.served(begin, method, endpoint, median * slow, failing);
            }
        }
        for _ in 0..(3.0 * load) as usize {
            self.asked(begin, "pay.example.com", 140.0, if second_week { 0.02 } else { 0.001 });
            self.asked(begin, "api.openai.com", 800.0, 0.003);
        }
        self.commands(begin, (4.0 * load) as u64);
        for _ in 0..(2.0 * load + self.random()) as usize {
            self.agent(begin);
        }
        self.host(begin, load);
    }

    fn served(&mut self, begin: u64, method: &str, endpoint: &str, median: f64, failing: f64) {
        let Record::Request(shape) = request(begin, SERVICE, endpoint, 1, 200) else { unreachable!() };
        let (second, latency, fails) = (begin + (self.random() * STEP as f64) as u64, self.around(median), self.random() < failing);
        self.records.push(Record::Request(Request {
            time: WallTime(second * SECOND),
            method: Some(method.into()),
            response_time_ms: Some(latency),
            performance_category: Some(Category::of(latency)),
            status_code: Some(if fails { 503 } else { 200 }),
            response_bytes: 4_200,
            ..shape
        }));
    }

    fn asked(&mut self, begin: u64, destination: &str, median: f64, failing: f64) {
        let Record::Request(shape) = request(begin, SERVICE, "/v1", 1, 200) else { unreachable!() };
        let status = if self.random() < failing { 502 } else { 200 };
        let latency = Some(self.around(median));
        let destination = Some(destination.into());
        let time = WallTime(begin * SECOND);
        self.records.push(Record::Request(Request {
            time,
            side: Side::Client,
            destination,
            response_time_ms: latency,
            status_code: Some(status),
            ..shape
        }));
    }

    /// Commands of the shop's databases, without chance.
    fn commands(&mut self, begin: u64, times: u64) {
        let round = begin / STEP;
        let all = [
            ("postgresql", "SELECT", "items", "SELECT name, price FROM items WHERE id IN (?)", 1_400),
            (
                "postgresql",
                "SELECT",
                "orders",
                "SELECT * FROM orders WHERE customer = ? ORDER BY created DESC",
                if round % 40 == 7 { 1_900_000 } else { 21_000 },
            ),
            ("postgresql", "INSERT", "orders", "INSERT INTO orders VALUES (?)", 2_300),
            ("redis", "GET", "session", "GET session:?", 240),
        ];
        for (system, operation, target, query, us) in all.into_iter().cycle().take(times as usize * all.len()) {
            let shape = crate::aggregate::tests::query::command(Side::Client, query, 1);
            self.records.push(Record::Db(Box::new(Db {
                time: WallTime(begin * SECOND),
                origin: origin(SERVICE),
                system,
                operation: Some(operation.into()),
                target: Some(target.into()),
                response_time_ms: Some(Millis(us * 1_000 * (10 + round % 7) / 10)),
                destination: Some(format!("{system}.internal").into()),
                ..shape
            })));
        }
    }

    fn agent(&mut self, begin: u64) {
        let (provider, model, price) = MODELS[(self.random() * 3.0) as usize];
        let tool = ["search_products", "get_order_status", "create_refund"][(self.random() * 3.0) as usize];
        let (asked, worked) = (self.around(1_400.0), self.around(240.0));
        let fails = self.random() < 0.02;
        let time = WallTime(begin * SECOND);
        let Record::Llm(shape) = call(begin, Side::Client, price * (0.5 + self.random())) else { unreachable!() };
        self.records.push(Record::Llm(Box::new(Llm {
            provider: provider.into(),
            request_model: Some(model.into()),
            cost_usd: shape.cost_usd.filter(|_| price > 0.0),
            input_tokens: Some(1_850),
            output_tokens: Some(240),
            response_time_ms: Some(asked),
            time_to_first_token_ms: Some(Millis(asked.0 / 4)),
            tool_calls: vec![ToolCall { id: None, name: tool.into() }],
            agent_type: Some("shop-assistant".into()),
            error_type: fails.then(|| "overloaded_error".into()),
            ..*shape
        })));
        self.records.push(Record::Tool(Box::new(Tool {
            time,
            origin: origin(SERVICE),
            tool_name: tool.into(),
            tool_call_id: None,
            source: "mcp",
            transport: Some("http"),
            server: Some("shop-tools".into()),
            execution_time_ms: Some(worked),
            success: Some(!fails),
            error_type: fails.then(|| "timeout".into()),
            agent_type: Some("shop-assistant".into()),
            agent_run_id: None,
        })));
        self.records.push(Record::Agent(Box::new(Agent {
            time,
            origin: origin(SERVICE),
            agent_type: Some("shop-assistant".into()),
            agent_run_id: "r".into(),
            conversation_id: None,
            execution_time_ms: Millis(asked.0 * 2 + worked.0),
            status: if fails { "error" } else { "success" },
            error_type: None,
            llm_calls: 2,
            tools_called: 1,
            tokens_used: Some(4_180),
            input_tokens: Some(3_700),
            output_tokens: Some(480),
            cost_usd: Some(price * 2.0).filter(|cost| *cost > 0.0),
            model_time_ms: Millis(asked.0 * 2),
            tool_time_ms: worked,
            local_time_ms: Millis(0),
        })));
    }

    fn host(&mut self, begin: u64, load: f64) {
        let Record::System(shape) = system(begin, 6.0 + 14.0 * load + self.random()) else { unreachable!() };
        let used = 61.0 + 22.0 * (begin + 2 * WEEK - END) as f64 / (2 * WEEK) as f64;
        let disk = Disk {
            mount: "/".into(),
            used_percent: used,
            free_bytes: 1,
            read_bytes: None,
            write_bytes: None,
            busy_percent: None,
            full_in_s: None,
        };
        let interval_ms = Millis(STEP * SECOND);
        self.records.push(Record::System(Box::new(System { disks: vec![disk], memory_percent: 48.0 + 3.0 * load, interval_ms, ..*shape })));
        self.records.push(Record::Process(Box::new(Process {
            time: WallTime(begin * SECOND),
            origin: origin(SERVICE),
            cpu_percent: Some(22.0 + 40.0 * load),
            memory_rss_bytes: 412 << 20,
            memory_percent: 5.0,
            memory_growth_bytes_per_hour: None,
            heap_bytes: None,
            threads: 24,
            threads_running: 1,
            threads_waiting: 23,
            run_queue_wait_ms: None,
            blocked_io_ms: None,
            open_files: Some(90),
            sockets: Some(40),
            connections: Some(35),
            read_bytes: None,
            write_bytes: None,
            context_switches: None,
            page_faults: None,
            uptime_s: 86_400.0,
            runtime: Some("python".into()),
            leak: None,
            interval_ms,
        })));
    }

    fn alert(&mut self, id: &str, rule: &str, severity: Severity, fired: u64, message: &str, steps: &[(AlertState, u64)]) {
        for (state, after) in steps {
            let Record::Alert(shape) = alert(fired + after, *state) else { unreachable!() };
            self.records.push(Record::Alert(Box::new(record::Alert {
                alert_id: id.into(),
                rule: rule.into(),
                severity,
                message: message.into(),
                fired_at: Some(WallTime(fired * SECOND)),
                ..*shape
            })));
        }
    }
}

/// The second week.
pub fn week() -> Report {
    let file = file();
    let mut rollup = file.rollup();
    let mut shop = Shop { records: Vec::new(), state: 11 };
    for begin in (END - 2 * WEEK..END).step_by(STEP as usize) {
        shop.step(begin);
        if begin % 21_600 == 0 {
            write(&mut rollup, &std::mem::take(&mut shop.records));
            rollup.complete(begin).unwrap();
        }
    }
    use AlertState::{Acknowledged, Firing, Resolved};
    let slow = "P95 of POST /ask of web-1 is 1,620 ms, limit 1,000 ms, over 5 min.";
    shop.alert(
        "a1",
        "response_time_p95",
        Severity::Warning,
        END - 4 * 86_400,
        slow,
        &[(Firing, 0), (Acknowledged, 240), (Resolved, 2_700)],
    );
    let failing = "Error rate of web-1 is 6.2 %, limit 5 %, over 5 min.";
    shop.alert(
        "a2",
        "error_rate_5min",
        Severity::Critical,
        END - 2 * 86_400,
        failing,
        &[(Firing, 0), (Acknowledged, 95), (Resolved, 1_260)],
    );
    write(&mut rollup, &shop.records);
    rollup.complete(END).unwrap();
    let period = ReportPeriod { before: END - 2 * WEEK, from: END - WEEK, to: END };
    collect(&file.reader(), &period, END).unwrap().on_host("web-1")
}

#[test]
fn the_example_of_the_documentation() {
    let report = week();
    let page = report.html(&TimeZone::get("Europe/Berlin").unwrap());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report-example.html");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(report.verdict, PeriodVerdict::Bad, "{:?}", report.reasons);
    let [requests, speed, host] = &report.summary[..] else { panic!("{:?}", report.summary) };
    assert!(requests.contains("more than the week before") && requests.contains("mostly because of POST /checkout of shop"), "{requests}");
    assert!(speed.contains("slower than the week before") && speed.contains("mostly because of POST /ask of shop"), "{speed}");
    assert!(host.contains("could take about") && host.contains("a disk is full in about 11 days"), "{host}");
    assert_eq!((report.alerts_total.fired, report.alerts_total.mean_resolved_s), (2, Some(1_980.0)));
    assert_eq!(report.capacity.method.as_deref(), Some("line"), "{:?}", report.capacity);
    assert!(report.coverage.watched_share > 0.99 && report.coverage.longest_gap_s == 0, "{:?}", report.coverage);
    assert_eq!(page, std::fs::read_to_string(path).unwrap(), "run the tests with UPDATE_DOCS=1 when the change is meant");
}

#[test]
fn a_report_is_read_back_as_it_was_written() {
    let report = week();
    let json = serde_json::to_string(&report).unwrap();
    // Numbers may differ in their last digit, which nobody is shown.
    let read = serde_json::from_str::<Report>(&json).unwrap();
    assert_eq!(read.html(&TimeZone::UTC), report.html(&TimeZone::UTC));
    assert_eq!(read.plain_text(), report.plain_text());
}
