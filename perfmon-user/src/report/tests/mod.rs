use jiff::tz::TimeZone;

use super::*;
use crate::record::{self, AlertState, Llm, Record, Request, Severity, Side};
use crate::store::tests::{DAY, File, SECOND, call, file, origin, request, system, write};

mod example;
mod scale;

const HOUR: u64 = 3_600;

/// Two days of a shop: the second has twice the requests, a slow checkout and a model.
fn shop() -> File {
    let file = file();
    let mut rollup = file.rollup();
    for hour in 0..48 {
        let begin = DAY + hour * HOUR;
        let mut records = vec![system(begin, 10.0), system(begin + 1, if hour < 24 { 20.0 } else { 40.0 })];
        for i in 0..if hour < 24 { 10 } else { 20 } {
            records.push(request(begin + i * 7, "shop", "/users/{id}", 10_000, 200));
        }
        if hour >= 24 {
            records.push(request(begin + 60, "shop", "/checkout", 1_500_000, if hour % 6 == 0 { 503 } else { 200 }));
            records.push(asked(begin + 70, 40_000));
            records.push(call(begin + 80, Side::Client, 0.012_345_678_9));
            records.push(Record::Llm(Box::new(Llm { error_type: Some("rate_limit_error".into()), ..unpriced(begin + 90) })));
        }
        records.extend((0..3).flat_map(|n| [("GET user:?", None, 1), ("SELECT * FROM items", (n == 0).then_some("57014"), 1_200)]).map(
            |(query, error, ms)| {
                let shape = crate::aggregate::tests::query::command(Side::Client, query, ms);
                let (operation, system) = if ms == 1 { ("GET", "redis") } else { ("SELECT", "postgresql") };
                Record::Db(Box::new(record::Db {
                    time: record::WallTime((begin + 100) * SECOND),
                    system,
                    operation: Some(operation.into()),
                    error: error.map(Into::into),
                    ..shape
                }))
            },
        ));
        write(&mut rollup, &records);
        rollup.complete(begin + HOUR).unwrap();
    }
    let of_alert = [(AlertState::Firing, 30), (AlertState::Resolved, 31)];
    write(&mut rollup, &of_alert.map(|(state, hour)| alert(DAY + hour * HOUR, state)));
    file
}

fn asked(second: u64, us: u64) -> Record {
    let Record::Request(served) = request(second, "shop", "/pay", us, 200) else { unreachable!() };
    Record::Request(Request { side: Side::Client, destination: Some("pay.example".into()), ..served })
}

fn unpriced(second: u64) -> Llm {
    let Record::Llm(known) = call(second, Side::Client, 0.0) else { unreachable!() };
    Llm { provider: "local".into(), request_model: None, cost_usd: None, input_tokens: None, ..*known }
}

fn alert(second: u64, state: AlertState) -> Record {
    Record::Alert(Box::new(record::Alert {
        time: record::WallTime(second * SECOND),
        origin: origin("shop"),
        alert_id: "a1".into(),
        started_at: record::WallTime(second * SECOND),
        fired_at: None,
        severity_since: None,
        flapping: false,
        acknowledged_by: None,
        resolved_by: None,
        note: None,
        rule: "response_time_p95".into(),
        kind_name: "performance".into(),
        severity: Severity::Warning,
        state,
        message: "P95 was 1,500 ms over 5 minutes.".into(),
        metric: "response_time_p95".into(),
        scope: "all".into(),
        value: Some(1_500.0),
        threshold: 1_000.0,
        escalation_level: 0,
        notified: vec![],
    }))
}

fn second_day(file: &File) -> Report {
    collect(&file.reader(), &ReportPeriod::between(DAY + 24 * HOUR, DAY + 48 * HOUR), DAY + 48 * HOUR).unwrap()
}

#[test]
fn the_second_day_is_told_and_compared_with_the_first() {
    let report = second_day(&shop());
    let (now, before) = (report.traffic.clone().unwrap(), report.traffic_before.clone().unwrap());
    assert_eq!((now.count, now.errors, now.status_5xx, now.slow), (504, 4, 4, 24));
    assert_eq!((before.count, before.errors, before.latency.max_ms), (240, 0, Some(10.0)));
    assert_eq!(now.latency.max_ms, Some(1_500.0));
    let checkout = &report.endpoints[0];
    assert_eq!((checkout.endpoint.as_str(), checkout.count, checkout.errors), ("/checkout", 24, 4));
    assert!((checkout.share_of_time - 36.0 / 40.8).abs() < 1e-9);
    assert_eq!(report.errors.len(), 1);
    assert_eq!((report.slowest.len(), report.slowest[0].request.as_str()), (10, "GET /checkout"));
    assert_eq!((report.destinations[0].destination.as_str(), report.destinations[0].count), ("pay.example", 24));
    let told: Vec<_> = report.databases.iter().map(|row| (&*row.system, &*row.operation, row.count, row.errors)).collect();
    assert_eq!(told, [("postgresql", "SELECT", 72, 24), ("redis", "GET", 72, 0)]);
    assert!(report.databases[0].share_of_time.is_some_and(|share| share > 0.99));
    let slow: Vec<_> = report.slow_queries.iter().map(|row| (&*row.query, row.count, row.errors, row.max_ms)).collect();
    assert_eq!(slow, [("SELECT * FROM items", 72, 24, Some(1_200.0))]);
    assert_eq!((report.models[0].model.as_deref(), report.models[0].cost_usd), (Some("gpt-5"), Some(0.296_296_293_6)));
    assert_eq!((report.models[1].cost_usd, report.models[1].unpriced_calls, report.models[1].errors), (None, 24, 24));
    assert_eq!((report.model_cost[0].calls, report.model_cost_before), (48, None));
    let host = report.resources.clone().unwrap();
    assert_eq!((host.cpu_percent_mean, host.cpu_percent_max, host.watched_s), (Some(25.0), Some(40.0), Some(48.0)));
    assert_eq!((report.alerts.len(), report.alerts[0].state.as_str()), (1, "resolved"));
    assert!(report.trends.iter().any(|trend| trend.metric == "request.response_time_ms.p95"));
    assert!(serde_json::to_value(&report).unwrap()["trends"].is_array());
}

#[test]
fn the_golden_report_in_markdown() {
    let made = second_day(&shop()).markdown(&TimeZone::fixed(jiff::tz::offset(2)));
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/tests/golden.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(golden, &made).unwrap();
    }
    assert_eq!(made, std::fs::read_to_string(golden).unwrap(), "run the tests with UPDATE_DOCS=1 when the change is meant");
}

#[test]
fn html_stands_alone_and_json_is_json() {
    let report = second_day(&shop());
    let page = report.html(&TimeZone::UTC);
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains("<svg") && page.contains("/<wbr>checkout") && page.contains("$0.296296"));
    for foreign in ["http://", "https://", "src=", "<script", "<link", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["from"], &json["traffic"]["count"]), (&"2024-10-05T00:00:00.000000000Z".into(), &504.into()));
}

#[test]
fn hostile_names_stay_names() {
    let file = file();
    let name = "/<script>alert(1)</script>|`[x](http://evil)\"'&\n# owned\u{202e}";
    write(&mut file.rollup(), &[request(DAY, name, name, 2_000_000, 500)]);
    let report = collect(&file.reader(), &ReportPeriod::between(DAY, DAY + HOUR), DAY + HOUR).unwrap();
    let page = report.html(&TimeZone::UTC);
    assert!(!page.contains("<script>") && page.contains("&#60;script&#62;"));
    assert!(!page.contains('\u{202e}') && page.contains("\\u{202e}"));
    let text = report.markdown(&TimeZone::UTC);
    assert!(text.contains("\\<script\\>") && text.contains("\\|\\`\\[x\\]") && !text.contains("\n# owned"), "{text}");
    // Every row of the table of endpoints has its eight cells.
    let rows = text.split("## Endpoints by their share").nth(1).unwrap().split("\n## ").next().unwrap();
    let cells = rows.lines().filter(|line| line.starts_with('|')).map(|line| line.replace("\\|", "").matches('|').count());
    assert_eq!(cells.collect::<Vec<_>>(), [9, 9, 9], "{rows}");
}

#[test]
fn an_empty_store_says_so() {
    let file = file();
    drop(file.rollup());
    let report = collect(&file.reader(), &ReportPeriod::between(DAY, DAY + HOUR), DAY + HOUR).unwrap();
    assert!(report.is_empty());
    let said = "No data between 2024-10-04 00:00:00 UTC and 2024-10-04 01:00:00 UTC.";
    assert!(report.markdown(&TimeZone::UTC).contains(said));
    assert!(report.html(&TimeZone::UTC).contains(said));
}

#[test]
fn a_report_is_made_while_the_store_is_written() {
    let file = file();
    let mut rollup = file.rollup();
    write(&mut rollup, &[request(DAY, "shop", "/", 1_000, 200)]);
    let count = || collect(&file.reader(), &ReportPeriod::between(DAY, DAY + HOUR), DAY + HOUR).unwrap().traffic.unwrap().count;
    assert_eq!(count(), 1);
    write(&mut rollup, &[request(DAY, "shop", "/", 1_000, 200)]);
    assert_eq!(count(), 2);
}
