//! Frames drawn into memory, keys pressed by hand.
mod detail;
mod graphs;
mod keys;
mod remote;

use std::sync::Arc;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};

use super::draw::{ScreenMessage, draw};
use super::look::Look;
use super::model::{FindingRow, PoolRow, ProcessRow, ScreenModel, ShownHost, ShownTool, ShownTotals};
use super::plain::{UNCUT, summary, tables};
use super::samples::{GraphHistory, GraphSample};
use super::view::{KeyAction, Tab, ViewState};
use crate::aggregate::snapshot::{
    AgentRow, DestinationRow, EndpointRow, Latency, LlmRow, Losses, NameRow, QueryRow, RcodeCounts, Snapshot, Window, WindowView,
    WorkflowRow,
};
use crate::record::{Alert, AlertState, Notified, Origin, Severity, Side, WallTime};

/// Nanoseconds of the model's time.
const NOW: u64 = 1_800_000_000 * 1_000_000_000;

fn latency(p95: f64) -> Latency {
    Latency { p50_ms: Some(1.5), p95_ms: Some(p95), ..Latency::default() }
}

fn endpoint(index: u64) -> Arc<EndpointRow> {
    Arc::new(EndpointRow {
        service: "shop".into(),
        method: "GET".into(),
        endpoint: format!("/items/{index:03}/{{id}}").into(),
        count: index * 1_000,
        requests_per_minute: 60.0 * index as f64,
        error_rate: Some(index as f64 / 1_000.0),
        latency: latency(index as f64 * 20.0),
        queue_p95_ms: Some(0.25),
        share_of_time: 0.01,
        in_flight: 1,
        ..EndpointRow::default()
    })
}

fn llm(model: &str, cost: Option<f64>) -> Arc<LlmRow> {
    Arc::new(LlmRow {
        rate_limited: 0,
        service: "shop".into(),
        side: Side::Client,
        provider: "anthropic".into(),
        request_model: Some(model.into()),
        destination: Some("api.anthropic.com".into()),
        calls: 30,
        errors: 3,
        error_rate: Some(0.1),
        requests_per_minute: 30.0,
        input_tokens: Some(35_806),
        output_tokens: None,
        cache_read_tokens: Some(14_336),
        cost_usd: cost,
        unpriced_calls: 4,
        latency: latency(188.0),
        ttfb_p50_ms: None,
        ttfb_p95_ms: None,
        ttft_p50_ms: None,
        ttft_p95_ms: Some(98.0),
    })
}

fn query(text: &str, time_total_ms: f64) -> Arc<QueryRow> {
    Arc::new(QueryRow {
        service: "shop".into(),
        side: Side::Client,
        system: "postgresql".into(),
        destination: Some("db.example:5432".into()),
        database: None,
        operation: Some("SELECT".into()),
        target: Some("orders".into()),
        query: Some(text.into()),
        query_id: Some("5f0e".into()),
        count: 40,
        errors: 1,
        error_rate: Some(0.025),
        requests_per_minute: 60.0,
        rows: Some(800),
        time_total_ms: Some(time_total_ms),
        latency: latency(8.0),
        completeness: Some(1.0),
        losses: Losses::new(40, 0),
    })
}

fn pool() -> PoolRow {
    PoolRow {
        service: "shop".into(),
        pid: 4_242,
        destination: "db.example:5432".into(),
        peer: "10.0.0.7:5432".into(),
        system: "postgresql".into(),
        open: 5,
        in_use: 4,
        idle: 1,
        peak_in_use: 5,
        size: 6,
        uses: 100,
        use_time_p95_ms: Some(9.9),
        saturated: true,
        interval_ms: 5_000.0,
        ..PoolRow::default()
    }
}

fn name() -> Arc<NameRow> {
    Arc::new(NameRow {
        service: "shop".into(),
        name: "db.example".into(),
        qtype: "AAAA".into(),
        count: 20,
        errors: 5,
        error_rate: Some(0.25),
        rcodes: RcodeCounts { noerror: 15, nxdomain: 3, timeout: 2, ..RcodeCounts::default() },
        attempts: 24,
        search_misses: 3,
        requests_per_minute: 120.0,
        latency: latency(2.0),
    })
}

fn alert(rule: &str, state: AlertState, severity: Severity) -> Alert {
    Alert {
        time: WallTime(NOW),
        origin: Arc::new(Origin::unknown(0)),
        alert_id: "a1b2".into(),
        rule: rule.into(),
        kind_name: "reliability".into(),
        severity,
        state,
        message: format!("{rule} is 0.026, above 0.01 over 5 min."),
        metric: "request.error_rate".into(),
        scope: "all services".into(),
        value: Some(0.026),
        threshold: 0.01,
        escalation_level: 0,
        notified: vec![Notified {
            channel: "hook".into(),
            ok: false,
            error: Some("connection refused".into()),
            state: None,
            severity: None,
            level: None,
        }],
        started_at: WallTime(NOW - 125_000_000_000),
        fired_at: Some(WallTime(NOW - 65_000_000_000)),
        severity_since: None,
        flapping: false,
        acknowledged_by: None,
        resolved_by: None,
        note: None,
    }
}

fn model() -> ScreenModel {
    ScreenModel {
        totals: ShownTotals {
            time: WallTime(NOW),
            window_s: 60,
            uptime_s: 75.0,
            requests: 1_234,
            error_rate: Some(0.021),
            rate_now_per_second: 20.5,
            p95_ms: Some(1_234.0),
            completeness: Some(0.981),
            active_connections: Some(12),
            in_flight: 3,
            llm_calls: 132,
            input_tokens: Some(160_000),
            output_tokens: Some(8_000),
            cost_usd: Some(0.154_7),
            agent_runs: 55,
            ..ShownTotals::default()
        },
        host: Some(ShownHost { cpu_percent: Some(12.4), memory_percent: 68.0, load_1m: 0.5 }),
        endpoints: (0..100).map(endpoint).collect(),
        destinations: vec![Arc::new(DestinationRow {
            service: "shop".into(),
            destination: "api.example:443".into(),
            availability: Some(0.99),
            ..DestinationRow::default()
        })],
        queries: vec![query("SELECT * FROM orders WHERE id = ?", 300.0), query("COMMIT", 100.0)],
        pools: vec![pool()],
        names: vec![name()],
        models: vec![llm("claude-haiku-4-5", Some(0.029_3)), llm("unheard-of", None)],
        agents: vec![Arc::new(AgentRow {
            service: "shop".into(),
            agent_type: Some("clerk".into()),
            count: 76,
            llm_calls: 183,
            tools_called: 98,
            ..AgentRow::default()
        })],
        tools: vec![ShownTool { service: "shop".into(), tool_name: "order_status".into(), count: 98, ..ShownTool::default() }],
        workflows: vec![Arc::new(WorkflowRow {
            service: "shop".into(),
            workflow_name: "POST /ask".into(),
            count: 77,
            ..WorkflowRow::default()
        })],
        processes: vec![ProcessRow {
            service: "shop".into(),
            pid: 4_242,
            comm: "python3".into(),
            memory_rss_bytes: 50 << 20,
            connections: Some(6),
            ..ProcessRow::default()
        }],
        findings: vec![FindingRow {
            severity: Severity::Warning,
            kind: "event_loop_blocked".into(),
            scope: "shop".into(),
            message: "Requests wait 80 ms of 100 ms.".into(),
            first_seen: None,
            last_seen: None,
            evidence: vec!["00000000000000ff".into()],
        }],
        events_lost: 7,
        ..ScreenModel::default()
    }
    .with_alerts(vec![
        alert("error_rate_5min", AlertState::Firing, Severity::Critical),
        alert("cpu_usage", AlertState::Pending, Severity::Warning),
    ])
}

/// No alert and no finding.
fn healthy() -> ScreenModel {
    ScreenModel { findings: Vec::new(), events_lost: 0, ..model() }.with_alerts(Vec::new())
}

fn samples() -> GraphHistory {
    let mut samples = GraphHistory::default();
    (0..60).for_each(|second| {
        let rate = Some(f64::from(second));
        samples.push(GraphSample { second: 1_000 + second as u64, rate, p95_ms: Some(10.0), cpu_percent: Some(100.0) });
    });
    samples
}

/// Colours and braille, one of them, neither.
fn coloured() -> Look {
    Look::new(None, Some("C.UTF-8"), Some("xterm"))
}

fn monochrome() -> Look {
    Look::new(None, Some("C.UTF-8"), Some("vt100"))
}

fn view() -> ViewState {
    ViewState::new(coloured())
}

fn on(tab: Tab) -> ViewState {
    ViewState { tab, ..view() }
}

fn frame(width: u16, height: u16, view: &mut ViewState, model: &ScreenModel, message: Option<ScreenMessage<'_>>) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view, model, &samples(), message)).unwrap();
    terminal.backend().buffer().clone()
}

fn lines_of(buffer: &Buffer) -> Vec<String> {
    let line = |y: u16| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_string();
    (0..buffer.area.height).map(line).collect()
}

fn screen(width: u16, height: u16, view: &mut ViewState, model: &ScreenModel) -> Vec<String> {
    lines_of(&frame(width, height, view, model, None))
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn press(view: &mut ViewState, codes: &[KeyCode]) {
    for code in codes {
        assert_eq!(view.key(KeyEvent::new(*code, KeyModifiers::NONE)), KeyAction::Nothing, "{code:?}");
    }
}

fn keys(text: &str) -> Vec<KeyCode> {
    text.chars().map(KeyCode::Char).collect()
}

#[test]
fn an_ordinary_terminal_shows_the_figures() {
    let lines = screen(80, 24, &mut view(), &model());
    assert_eq!(lines[0], "perfmon up 1m15s  7 events lost  98% fully seen  host CPU 12% memory 68%");
    assert_eq!(lines[1], "last 1m: 1234 requests 20.5/s  errors 2.1%  p95 1234 ms  p50 -  p99 -");
    assert_eq!(lines[2], " 1 ALERT FIRING   cost $0.1547 in 1m  model calls 132  agent runs 55");
    assert_eq!(lines[8], " Endpoints Dest DB Pools Names Models Agents Procs Findings (1) Alerts (1)");
    assert_eq!(words(&lines[9]), ["SERVICE", "ENDPOINT", "COUNT", "REQ/S", "ERR%", "P95", "P99", "QUEUE", "SHARE%"]);
    assert_eq!(words(&lines[10]), ["shop", "GET", "/items/000/{id}", "0", "0.00", "0", "0.00", "-", "0.25", "1.0"]);
    assert_eq!(lines[22], "error_rate_5min: error_rate_5min is 0.026, above 0.01 over 5 min.");
    assert_eq!(lines[23], "q quit  Tab table  Enter open  s sort  r reverse  / filter  w window  ? help");
}

#[test]
fn without_an_alert_the_head_says_so_and_the_finding_is_told() {
    let lines = screen(80, 24, &mut view(), &ScreenModel { findings: model().findings, ..healthy() });
    assert!(lines[2].starts_with("no alerts firing  cost $0.1547 in 1m"), "{}", lines[2]);
    assert_eq!(lines[22], "shop: Requests wait 80 ms of 100 ms.");
}

#[test]
fn trouble_is_told_before_everything_else_and_an_alert_before_the_log() {
    let news = |model: &ScreenModel, message| lines_of(&frame(80, 24, &mut view(), model, Some(message)))[22].clone();
    assert_eq!(news(&model(), ScreenMessage::Trouble("nobody answers")), "nobody answers");
    assert!(news(&model(), ScreenMessage::Log("a line")).starts_with("error_rate_5min"));
    assert_eq!(news(&healthy(), ScreenMessage::Log("a line")), "a line");
}

#[test]
fn a_wide_terminal_is_filled() {
    let lines = screen(160, 50, &mut view(), &model());
    let title = lines.iter().find(|line| line.contains("ENDPOINT")).unwrap();
    assert_eq!(words(title)[8..], ["QUEUE", "SHARE%", "NOW", "MEAN", "MAX", "TTFB95", "PEAK/S", "SLOW"]);
    assert!(title.len() >= 155, "{title}");
    assert!(lines[0].ends_with("load 0.50  in flight 3  connections 12"), "{}", lines[0]);
    assert!(lines[47].contains("/items/033/{id}"), "{}", lines[47]);
}

#[test]
fn a_narrow_terminal_drops_columns_and_segments() {
    let lines = screen(40, 10, &mut view(), &model());
    assert_eq!(lines[0], "last 1m: 1234 requests 20.5/s");
    assert_eq!(lines[1], " 1 ALERT FIRING   cost $0.1547 in 1m");
    assert_eq!(words(&lines[3]), ["ENDPOINT", "REQ/S", "ERR%", "P95"]);
    assert!(lines[4].starts_with("GET /items/000/{id}"), "{}", lines[4]);
}

#[test]
fn any_size_is_drawn() {
    let sizes = [1, 2, 5, 13, 29].map(|width| [1, 2, 4, 6, 9, 18, 29].map(|height| (width, height)));
    for (width, height) in sizes.into_iter().flatten().chain([(500, 4), (5, 200), (20, 5), (139, 50), (140, 50)]) {
        for tab in Tab::ALL {
            for (help, opened, look) in [(true, false, coloured()), (false, true, coloured()), (false, false, monochrome())] {
                let mut view = ViewState { tab, help, opened, ..ViewState::new(look) };
                screen(width, height, &mut view, &model());
                screen(width, height, &mut view, &ScreenModel::default());
            }
        }
    }
}

#[test]
fn each_tab_shows_its_rows() {
    let cases: [(Tab, &[&str]); 9] = [
        (
            Tab::Databases,
            &["shop", "postgresql", "SELECT", "*", "FROM", "orders", "WHERE", "i~", "300", "40", "2.5", "1.50", "8.00", "-", "800"],
        ),
        (Tab::Pools, &["shop", "4242", "db.example:5432", "postgresql", "saturated", "4", "5", "5", "6", "9.90"]),
        (Tab::Names, &["shop", "db.example", "AAAA", "20", "2.00", "25", "24", "1.50", "2.00", "3"]),
        (Tab::Destinations, &["shop", "api.example:443", "0", "0.00", "-", "99", "-", "-", "-"]),
        (Tab::Models, &["claude-haiku-4-5", "anthropic", "shop", "30", "10", "$0.0293", "35806", "-", "98.0", "188"]),
        (Tab::Agents, &["clerk", "shop", "76", "-", "$0", "-", "183", "98", "-", "-"]),
        (Tab::Processes, &["shop", "4242", "python3", "-", "50.0M", "0", "-", "6"]),
        (Tab::Findings, &["warning", "event_loop_blocked", "shop", "Requests", "wait"]),
        (Tab::Alerts, &["firing", "critical", "error_rate_5min", "all", "services", "0.026", "0.010"]),
    ];
    for (tab, wanted) in cases {
        let lines = screen(100, 24, &mut on(tab), &model());
        let wanted: Vec<&str> = wanted.iter().map(|word| if tab == Tab::Agents && *word == "$0" { "-" } else { word }).collect();
        assert_eq!(words(&lines[10])[..wanted.len()], wanted, "{tab:?}");
    }
}

#[test]
fn all_titles_are_long_where_they_fit_and_the_chosen_one_is_always_there() {
    let tabs = |width, tab| screen(width, 24, &mut on(tab), &model())[8].clone();
    let long = " Endpoints  Destinations  Databases  Pools  Names  Models  Agents  Processes  Findings (1)  Alerts (1)";
    assert_eq!(tabs(103, Tab::Endpoints), long);
    assert_eq!(tabs(80, Tab::Alerts), tabs(102, Tab::Endpoints), "80 columns hold all");
    assert_eq!(tabs(40, Tab::Alerts), " Agents Procs Findings (1) Alerts (1)");
    assert_eq!(tabs(40, Tab::Pools), " Endpoints Dest DB Pools Names Models Ag");
}

#[test]
fn what_is_not_known_is_a_dash() {
    let lines = screen(120, 24, &mut on(Tab::Models), &model());
    let title = words(&lines[9]);
    let row = words(&lines[11]);
    let value = |name: &str| row[title.iter().position(|title| *title == name).unwrap()];
    assert_eq!((row[0], value("COST"), value("OUT"), value("P95")), ("unheard-of", "-", "-", "188"));
    let empty = screen(80, 24, &mut view(), &ScreenModel::default());
    assert!(empty[1].starts_with("last -: 0 requests") && empty[1].contains("errors -%"), "{}", empty[1]);
    assert!(empty[2].contains("cost - in -"), "{}", empty[2]);
}

#[test]
fn an_empty_table_says_what_would_stand_there() {
    let told = |tab, model: &ScreenModel| screen(100, 24, &mut on(tab), model)[10].clone();
    let nothing = ScreenModel::default();
    assert!(told(Tab::Endpoints, &nothing).starts_with("No requests in this window."));
    assert!(told(Tab::Models, &nothing).starts_with("No model calls in this window."));
    assert_eq!(told(Tab::Alerts, &nothing), "No alerts.");
    assert_eq!(told(Tab::Models, &ScreenModel { only: Some(Tab::Agents), ..ScreenModel::default() }), "Loading ...");
}

#[test]
fn colours_only_where_wanted() {
    let painted = frame(80, 24, &mut view(), &model(), None);
    assert!(painted.content.iter().any(|cell| cell.fg == Color::Red) && painted.content.iter().any(|cell| cell.fg == Color::Yellow));
    for tab in Tab::ALL {
        let mut view = ViewState { tab, help: tab == Tab::Agents, opened: tab == Tab::Models, ..ViewState::new(monochrome()) };
        let buffer = frame(80, 24, &mut view, &model(), None);
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "{tab:?}");
        assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()), "{tab:?}");
    }
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let hostile = EndpointRow { endpoint: "/\u{1b}[2J\u{7}x".into(), ..(*endpoint(1)).clone() };
    let model = ScreenModel { endpoints: vec![Arc::new(hostile)], ..ScreenModel::default() };
    assert!(screen(120, 24, &mut view(), &model)[10].contains("GET /\\u{1b}[2J\\u{7}x"));
    let opened = frame(120, 24, &mut ViewState { opened: true, ..view() }, &model, None);
    assert!(opened.content.iter().all(|cell| !cell.symbol().contains(char::is_control)));
}

#[test]
fn control_characters_do_not_reach_plain_tables() {
    let evil = "evil\u{1b}[2J\u{202e}\nforged";
    let finding = FindingRow { scope: evil.into(), message: evil.into(), ..model().findings.remove(0) };
    let row = EndpointRow { service: evil.into(), endpoint: evil.into(), ..(*endpoint(1)).clone() };
    let model = ScreenModel { endpoints: vec![Arc::new(row)], findings: vec![finding], ..ScreenModel::default() };
    let text = tables(&model, UNCUT, 10);
    assert!(!text.contains(['\u{1b}', '\u{202e}']) && !text.contains("\nforged"), "{text}");
    assert_eq!(text.matches(r"evil\u{1b}[2J\u{202e}\nforged").count(), 4, "{text}");
}

#[test]
fn plain_tables_have_the_database_commands_and_cut_long_ones() {
    let text = tables(&ScreenModel { queries: vec![query(&"x".repeat(5_000), 1.0)], ..ScreenModel::default() }, UNCUT, 10);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(words(lines[1])[..4], ["SERVICE", "SYSTEM", "QUERY", "TIME"]);
    assert!(lines[2].contains("xxx~ ") && lines[2].len() < 220, "{}", lines[2]);
}

#[test]
fn the_summary_is_plain_text() {
    let row = EndpointRow {
        service: "shop".into(),
        method: "GET".into(),
        endpoint: "/a".into(),
        count: 5,
        share_of_time: 1.0,
        ..EndpointRow::default()
    };
    let view = WindowView { window_s: 3_600, endpoints: vec![Arc::new(row)], ..WindowView::default() };
    let text = summary(&Snapshot { uptime_s: 30.0, windows: vec![view], ..Snapshot::default() }, 100);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("0 requests in 30s, - % errors"), "{}", lines[0]);
    assert!(lines[1].starts_with("SERVICE") && lines[2].contains("GET /a"), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn messages_are_kept_bounded_until_drained() {
    use std::io::Write;
    let messages = super::Messages::default();
    for index in 0..crate::limits::SCREEN_MESSAGES + 5 {
        messages.clone().write_all(format!("WARN message {index}\n").as_bytes()).unwrap();
    }
    assert_eq!(messages.newest().as_deref(), Some("WARN message 104"));
    assert_eq!((messages.drain().len(), messages.newest()), (crate::limits::SCREEN_MESSAGES, None));
}

#[test]
fn a_table_without_a_width_cuts_no_name() {
    let service = "a-service-with-a-name-that-no-terminal-of-eighty-columns-would-show".repeat(3);
    let row = EndpointRow { service: service.as_str().into(), endpoint: format!("/{service}").into(), ..(*endpoint(1)).clone() };
    let model = ScreenModel { endpoints: vec![Arc::new(row)], ..ScreenModel::default() };
    let text = tables(&model, UNCUT, 10);
    assert!(text.contains(&format!("{service} GET /{service} ")), "{text}");
    assert_eq!(text.lines().nth(1).unwrap().split_whitespace().count(), 11, "{text}");
    assert!(!tables(&model, 160, 10).contains(&service));
}
