//! Frames drawn into memory, keys pressed by hand.
use std::sync::Arc;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::draw::draw;
use super::model::{FindingRow, ProcessRow, ScreenModel, ShownDestination, ShownEndpoint, ShownHost, ShownSeverity, ShownTotals};
use super::plain::{UNCUT, summary, tables};
use super::view::{KeyAction, Tab, ViewState};
use crate::aggregate::snapshot::{EndpointRow, Snapshot, Window, WindowView};

fn endpoint(index: u64) -> ShownEndpoint {
    ShownEndpoint {
        service: "shop".into(),
        method: "GET".into(),
        endpoint: format!("/items/{index:03}/{{id}}").into(),
        count: index * 1_000,
        requests_per_minute: 60.0 * index as f64,
        error_rate: Some(index as f64 / 1_000.0),
        p50_ms: Some(1.5),
        p95_ms: Some(index as f64 * 20.0),
        p99_ms: None,
        queue_p95_ms: Some(0.25),
        share_of_time: 0.01,
        in_flight: 1,
    }
}

fn model() -> ScreenModel {
    ScreenModel {
        totals: ShownTotals {
            window_s: 60,
            uptime_s: 75.0,
            requests: 1_234,
            error_rate: Some(0.021),
            rate_now_per_second: 20.5,
            p95_ms: Some(1_234.0),
            completeness: Some(0.981),
            active_connections: Some(12),
            in_flight: 3,
            ..ShownTotals::default()
        },
        host: Some(ShownHost { cpu_percent: Some(12.4), memory_percent: 68.0, load_1m: 0.5 }),
        endpoints: (0..100).map(endpoint).collect(),
        destinations: vec![ShownDestination {
            service: "shop".into(),
            destination: "api.example:443".into(),
            availability: Some(0.99),
            ..ShownDestination::default()
        }],
        processes: vec![ProcessRow {
            service: "shop".into(),
            pid: 4_242,
            comm: "python3".into(),
            memory_rss_bytes: 50 << 20,
            ..ProcessRow::default()
        }],
        findings: vec![FindingRow {
            severity: ShownSeverity::Warning,
            kind: "event_loop_blocked".into(),
            scope: "shop".into(),
            message: "Requests wait 80 ms of 100 ms.".into(),
        }],
        events_lost: 7,
    }
}

fn screen(width: u16, height: u16, view: &mut ViewState, model: &ScreenModel) -> (Vec<String>, Vec<Color>) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view, model, None)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_string();
    ((0..height).map(line).collect(), buffer.content.iter().map(|cell| cell.fg).collect())
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
    let (lines, _) = screen(80, 24, &mut ViewState::new(true), &model());
    assert_eq!(lines[0], "perfmon up 1m15s | host cpu 12% mem 68% load 0.50 | seen 98% | lost 7 events | c");
    assert!(lines[1].starts_with("1m00s: 1234 req 20.5/s err 2.1% p50 - p95 1234 p99 - ms"), "{}", lines[1]);
    assert_eq!(lines[2], " Endpoints  Destinations  Processes  Findings (1)");
    assert_eq!(
        lines[3].split_whitespace().collect::<Vec<_>>(),
        ["SERVICE", "ENDPOINT", "COUNT", "REQ/S", "ERR%", "P95", "P99", "QUEUE", "SHARE%"]
    );
    assert_eq!(
        lines[4].split_whitespace().collect::<Vec<_>>(),
        ["shop", "GET", "/items/000/{id}", "0", "0.00", "0", "0.00", "-", "0.25", "1.0"]
    );
    assert_eq!(lines[22], "shop: Requests wait 80 ms of 100 ms.");
    assert!(lines[23].starts_with("q quit"));
}

#[test]
fn a_wide_terminal_shows_every_column() {
    let (lines, _) = screen(120, 40, &mut ViewState::new(true), &model());
    assert_eq!(lines[3].split_whitespace().count(), 11);
    assert!(lines[0].ends_with("conns 12 under way 3"), "{}", lines[0]);
    assert!(lines[37].contains("/items/033/{id}"));
}

#[test]
fn a_narrow_terminal_drops_columns() {
    let (lines, _) = screen(40, 10, &mut ViewState::new(true), &model());
    assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["ENDPOINT", "REQ/S", "ERR%", "P95"]);
    assert!(lines[4].starts_with("GET /items/000/{id}"), "{}", lines[4]);
}

#[test]
fn any_size_is_drawn() {
    for (width, height) in [(1, 1), (3, 2), (10, 5), (20, 3), (500, 4), (5, 200)] {
        for tab in Tab::ALL {
            let mut view = ViewState { tab, help: width > 5, ..ViewState::new(true) };
            screen(width, height, &mut view, &model());
            screen(width, height, &mut view, &ScreenModel::default());
        }
    }
}

#[test]
fn keys_sort_reverse_and_filter() {
    let (mut view, model) = (ViewState::new(true), model());
    let first = |view: &mut ViewState| screen(80, 24, view, &model).0[4].clone();
    press(&mut view, &keys("3"));
    assert!(first(&mut view).contains("/items/099/{id}"));
    press(&mut view, &keys("3"));
    assert!(first(&mut view).contains("/items/000/{id}"));
    press(&mut view, &keys("0r"));
    assert!(first(&mut view).contains("/items/099/{id}"));
    press(&mut view, &keys("0/ITEMS/05"));
    press(&mut view, &[KeyCode::Enter]);
    assert!(first(&mut view).contains("/items/050/{id}"));
    assert_eq!(view.rows, 10);
    assert!(screen(80, 24, &mut view, &model).0[23].starts_with("[ITEMS/05] q quit"));
    press(&mut view, &[KeyCode::Esc]);
    first(&mut view);
    assert_eq!(view.rows, 100);
    press(&mut view, &keys("/zzz"));
    assert_eq!(first(&mut view), "nothing matches the filter");
}

#[test]
fn s_walks_through_the_columns_and_back_to_none() {
    let mut view = ViewState::new(true);
    for column in 0..11 {
        press(&mut view, &keys("s"));
        assert_eq!(view.position().sort, Some(column));
    }
    press(&mut view, &keys("s"));
    assert_eq!(view.position().sort, None);
}

#[test]
fn scrolling_stays_inside() {
    let (mut view, model) = (ViewState::new(true), model());
    let draw = |view: &mut ViewState| screen(80, 24, view, &model).0;
    draw(&mut view);
    press(&mut view, &[KeyCode::PageDown, KeyCode::Down]);
    assert!(draw(&mut view)[4].contains("/items/019/{id}"));
    press(&mut view, &[KeyCode::End, KeyCode::Down, KeyCode::PageDown]);
    assert!(draw(&mut view)[21].contains("/items/099/{id}"));
    press(&mut view, &[KeyCode::Home, KeyCode::Up]);
    assert!(draw(&mut view)[4].contains("/items/000/{id}"));
    press(&mut view, &[KeyCode::End]);
    let fewer = ScreenModel { endpoints: model.endpoints[..5].to_vec(), ..model.clone() };
    assert!(screen(80, 24, &mut view, &fewer).0[4].contains("/items/000/{id}"));
}

#[test]
fn every_table_is_reached() {
    let (mut view, model) = (ViewState::new(true), model());
    for part in ["api.example:443", "4242", "event_loop_blocked", "/items/000/{id}"] {
        press(&mut view, &[KeyCode::Tab]);
        let (lines, _) = screen(80, 24, &mut view, &model);
        assert!(lines[4].contains(part), "{part}: {}", lines[4]);
    }
    press(&mut view, &[KeyCode::BackTab]);
    assert_eq!(view.tab, Tab::Findings);
    press(&mut view, &keys("w"));
    assert_eq!(view.window, Window::FiveMinutes);
    press(&mut view, &keys("?"));
    assert!(screen(80, 24, &mut view, &model).0[0].starts_with("q, Ctrl-C   quit"));
}

#[test]
fn q_and_ctrl_c_end_it() {
    let mut view = ViewState::new(true);
    assert_eq!(view.key(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE)), KeyAction::Quit);
    press(&mut view, &keys("/q"));
    assert_eq!(view.filter, "q");
    assert_eq!(view.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), KeyAction::Quit);
}

#[test]
fn colours_only_where_wanted() {
    let coloured = screen(80, 24, &mut ViewState::new(true), &model()).1;
    assert!(coloured.contains(&Color::Red) && coloured.contains(&Color::Yellow));
    let mut plain = ViewState { help: true, ..ViewState::new(false) };
    assert!(screen(80, 24, &mut plain, &model()).1.iter().all(|colour| *colour == Color::Reset));
    assert!(super::colours(None) && super::colours(Some("")) && !super::colours(Some("1")));
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let hostile = ShownEndpoint { endpoint: "/\u{1b}[2J\u{7}x".into(), ..endpoint(1) };
    let model = ScreenModel { endpoints: vec![hostile], ..ScreenModel::default() };
    assert!(screen(120, 24, &mut ViewState::new(true), &model).0[4].contains("GET /?[2J?x"));
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
fn a_table_without_a_width_cuts_no_name() {
    let service = "a-service-with-a-name-that-no-terminal-of-eighty-columns-would-show".repeat(3);
    let rows = vec![ShownEndpoint { service: service.as_str().into(), endpoint: format!("/{service}").into(), ..endpoint(1) }];
    let model = ScreenModel { endpoints: rows, ..ScreenModel::default() };
    let text = tables(&model, UNCUT, 10);
    assert!(text.contains(&format!("{service} GET /{service} ")), "{text}");
    assert_eq!(text.lines().nth(1).unwrap().split_whitespace().count(), 11, "{text}");
    assert!(!tables(&model, 160, 10).contains(&service));
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
