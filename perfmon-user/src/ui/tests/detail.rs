//! An opened row.
use super::*;
use crate::aggregate::snapshot::DownstreamRow;

fn opened(width: u16, height: u16, tab: Tab) -> (ViewState, Vec<String>) {
    let (mut view, model) = (on(tab), model());
    screen(width, height, &mut view, &model);
    press(&mut view, &[KeyCode::Enter]);
    let lines = screen(width, height, &mut view, &model);
    (view, lines)
}

/// The value behind a label.
fn value(lines: &[String], label: &str) -> String {
    let line = lines.iter().find(|line| line.contains(label)).unwrap_or_else(|| panic!("no {label} in {lines:#?}"));
    let rest = &line[line.find(label).unwrap() + label.len()..];
    rest.split_whitespace().next().unwrap().to_string()
}

#[test]
fn enter_opens_the_row_and_esc_closes_it() {
    let (mut view, lines) = opened(80, 24, Tab::Endpoints);
    assert!(lines[4].starts_with("┌ GET /items/000/{id} of shop ─"), "{}", lines[4]);
    assert!(lines.iter().all(|line| !line.contains("/items/001")), "{lines:#?}");
    assert_eq!((value(&lines, "median"), value(&lines, "slowest")), ("1.50".into(), "-".into()));
    assert_eq!((value(&lines, "in flight"), value(&lines, "share of all time")), ("1".into(), "1.0%".into()));
    assert!(lines[23].starts_with("q quit  Esc close"), "{}", lines[23]);
    press(&mut view, &[KeyCode::Down]);
    assert!(screen(80, 24, &mut view, &model())[4].contains("GET /items/001/{id}"));
    press(&mut view, &[KeyCode::Esc]);
    assert!(screen(80, 24, &mut view, &model())[10].contains("/items/000/{id}"));
}

#[test]
fn a_wide_terminal_has_the_detail_beside_the_table() {
    let (_, lines) = opened(160, 30, Tab::Endpoints);
    let row = lines.iter().find(|line| line.contains("/items/002")).unwrap();
    assert!(row.contains('│') && row.contains("95th percentile"), "{row}");
}

#[test]
fn a_tall_terminal_has_the_detail_of_the_selected_row_below() {
    let mut view = on(Tab::Models);
    let lines = screen(160, 50, &mut view, &model());
    let at = lines.iter().position(|line| line.contains("┌ claude-haiku-4-5 called by shop at api.anthropic.com ─")).unwrap();
    assert!(lines[..at].iter().any(|line| line.contains("unheard-of")));
    assert_eq!(value(&lines[at..], "cost per call"), "$0.0011");
    press(&mut view, &[KeyCode::Down]);
    assert!(screen(160, 50, &mut view, &model()).iter().any(|line| line.contains("┌ unheard-of called by shop")));
    let lines = screen(160, 50, &mut on(Tab::Endpoints), &model());
    assert!(lines.iter().all(|line| !line.contains('┌')), "rows go before: {lines:#?}");
}

#[test]
fn each_kind_of_row_tells_what_is_known() {
    let (_, lines) = opened(80, 40, Tab::Models);
    assert_eq!(
        (value(&lines, "input tokens"), value(&lines, "output tokens"), value(&lines, "calls without a price")),
        ("35806".into(), "-".into(), "4".into())
    );
    let (_, lines) = opened(80, 40, Tab::Agents);
    assert_eq!(
        (value(&lines, "model calls per run"), value(&lines, "order_status"), value(&lines, "POST /ask")),
        ("2.41".into(), "98".into(), "77".into())
    );
    let (_, lines) = opened(80, 40, Tab::Databases);
    assert_eq!(
        (value(&lines, "time in all, ms"), value(&lines, "share of all time"), value(&lines, "rows per command")),
        ("300".into(), "75%".into(), "20.0".into())
    );
    let (_, lines) = opened(80, 40, Tab::Pools);
    assert_eq!(
        (value(&lines, "in use, share"), value(&lines, "most open at once"), value(&lines, "longest silence, ms"), value(&lines, "peer")),
        ("80%".into(), "6".into(), "-".into(), "10.0.0.7:5432".into())
    );
    let (_, lines) = opened(80, 40, Tab::Names);
    assert_eq!((value(&lines, "NXDOMAIN"), value(&lines, "TIMEOUT"), value(&lines, "attempts")), ("3".into(), "2".into(), "24".into()));
    assert!(lines.iter().all(|line| !line.contains("SERVFAIL")), "codes that did not come are left out: {lines:#?}");
    let (_, lines) = opened(80, 40, Tab::Processes);
    assert_eq!(
        (value(&lines, "resident"), value(&lines, "open files"), value(&lines, "pid  ")),
        ("50.0M".into(), "-".into(), "4242".into())
    );
    let (_, lines) = opened(80, 40, Tab::Findings);
    assert!(lines.iter().any(|line| line.contains("Requests wait 80 ms of 100 ms.")));
    assert!(lines.iter().any(|line| line.contains("00000000000000ff")));
    let (_, lines) = opened(80, 40, Tab::Alerts);
    assert_eq!((value(&lines, "threshold"), value(&lines, "metric")), ("0.010".into(), "request.error_rate".into()));
    assert!(lines.iter().any(|line| line.contains("fired 2027-01-15 07:58:55 UTC, 1m05s ago")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("hook: failed, connection refused")));
    let (_, lines) = opened(80, 40, Tab::Destinations);
    assert_eq!((value(&lines, "availability"), value(&lines, "error rate")), ("99%".into(), "-".into()));
}

#[test]
fn a_row_that_ends_is_said_to_be_gone() {
    let (mut view, _) = opened(80, 24, Tab::Endpoints);
    let others = ScreenModel { endpoints: model().endpoints[1..].to_vec(), ..model() };
    let lines = screen(80, 24, &mut view, &others);
    assert!(lines[4].contains("GET /items/000/{id} of shop"), "{}", lines[4]);
    assert!(lines[5].contains("no longer in the window"), "{}", lines[5]);
}

#[test]
fn a_long_detail_is_scrolled_to_its_end_and_no_further() {
    let (mut view, lines) = opened(50, 16, Tab::Endpoints);
    assert!(lines.iter().any(|line| line.contains("PgDn for more")), "{lines:#?}");
    press(&mut view, &[KeyCode::PageDown; 50]);
    let end = screen(50, 16, &mut view, &model());
    assert!(end.iter().all(|line| !line.contains("PgDn for more")), "{end:#?}");
    press(&mut view, &[KeyCode::PageUp; 50]);
    assert_eq!(screen(50, 16, &mut view, &model()), lines);
}

#[test]
fn errors_by_class_and_the_slowest_requests_are_listed() {
    let row = EndpointRow {
        errors: 4,
        error_classes: crate::aggregate::snapshot::ErrorClasses { status_5xx: 3, timeout: 1, ..Default::default() },
        slowest_span_ids: [crate::record::SpanId(0xabc), crate::record::SpanId(0xdef)].into(),
        ..(*endpoint(1)).clone()
    };
    let model = ScreenModel { endpoints: vec![Arc::new(row)], ..model() };
    let mut view = view();
    screen(80, 40, &mut view, &model);
    press(&mut view, &[KeyCode::Enter]);
    let lines = screen(80, 40, &mut view, &model);
    assert_eq!((value(&lines, "status 5xx"), value(&lines, "timeout")), ("3".into(), "1".into()));
    assert!(lines.iter().all(|line| !line.contains("client closed")), "classes that did not happen are left out: {lines:#?}");
    assert!(lines.iter().any(|line| line.contains("0000000000000abc 0000000000000def")), "{lines:#?}");
}

#[test]
fn an_endpoint_tells_what_its_requests_call() {
    let downstream = DownstreamRow { db_calls_per_request: Some(3.5), db_ms_per_request: Some(0.7), ..DownstreamRow::default() };
    let row = EndpointRow { downstream: Some(downstream), ..(*endpoint(1)).clone() };
    let model = ScreenModel { endpoints: vec![Arc::new(row)], ..model() };
    let mut view = ViewState { opened: true, ..view() };
    let lines = screen(80, 40, &mut view, &model);
    assert_eq!((value(&lines, "database commands"), value(&lines, "requests to others")), ("3.50".into(), "-".into()));
}

#[test]
fn nothing_opens_without_a_row() {
    let mut view = view();
    screen(80, 24, &mut view, &ScreenModel::default());
    press(&mut view, &[KeyCode::Enter]);
    assert!(!view.opened);
}
