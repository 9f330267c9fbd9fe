//! The report as headings, tables and charts, the same for Markdown and HTML. Cells hold plain text; who renders them escapes it.
use jiff::tz::TimeZone;

use super::text::{bytes, change, count, dollars, moment, moment_of, percent, share, time};
use super::{HostSummary, LatencySummary, Report, Traffic, Trend, WorkSummary};

/// The report to be rendered.
pub struct ReportDocument {
    /// Heading of all.
    pub title: String,
    /// The period as text.
    pub period: String,
    /// Sections with content.
    pub sections: Vec<Section>,
}

/// A part.
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// Courses.
    pub charts: Vec<Chart>,
    /// Its table.
    pub table: Table,
}

/// A course to be drawn.
pub struct Chart {
    /// What it shows.
    pub title: &'static str,
    /// Values from left to right.
    pub values: Vec<Option<f64>>,
    /// The largest one as text.
    pub most: String,
}

/// Rows of text; numbers are aligned right.
#[derive(Default)]
pub struct Table {
    /// Headings; true: a column of numbers.
    pub columns: Vec<(&'static str, bool)>,
    /// Rows.
    pub rows: Vec<Vec<String>>,
}

/// The document of a report.
pub fn document(report: &Report, zone: &TimeZone) -> ReportDocument {
    let (from, to) = (moment(report.from, zone), moment(report.to, zone));
    if report.is_empty() {
        return ReportDocument {
            title: "Performance report".into(),
            period: format!("No data between {from} and {to}."),
            sections: vec![],
        };
    }
    let sections = [
        section("Traffic", traffic(report), charts(report, &REQUESTS)),
        section("Slowest endpoints", endpoints(report), vec![]),
        section("Slowest requests", slowest(report, zone), vec![]),
        section("Errors", errors(report), vec![]),
        section("Resources", resources(report), charts(report, &HOST)),
        section("Processes", processes(report), vec![]),
        section("Destinations", destinations(report), vec![]),
        section("Models", models(report), charts(report, &COST)),
        section("Model cost by service", model_cost(report), vec![]),
        section("Agents", work("agent", &report.agents), vec![]),
        section("Tools", work("tool", &report.tools), vec![]),
        section("Alerts", alerts(report, zone), vec![]),
        section("Findings", findings(report, zone), vec![]),
    ];
    ReportDocument {
        title: "Performance report".into(),
        period: format!("{from} to {to}"),
        sections: sections.into_iter().filter(|section| !section.table.rows.is_empty()).collect(),
    }
}

const REQUESTS: [(&str, &str); 3] = [
    ("request.per_minute", "Requests per minute"),
    ("request.response_time_ms.p95", "Response time, 95th percentile"),
    ("request.errors", "Errors"),
];
const HOST: [(&str, &str); 2] = [("system.cpu_percent.mean", "CPU"), ("system.memory_percent.mean", "Memory")];
const COST: [(&str, &str); 1] = [("llm.cost_usd.sum", "Cost")];

fn section(title: &'static str, table: Table, charts: Vec<Chart>) -> Section {
    Section { title, charts, table }
}

fn charts(report: &Report, wanted: &[(&'static str, &'static str)]) -> Vec<Chart> {
    let chart = |(metric, title): &(&str, &'static str)| {
        let trend = report.trends.iter().find(|trend| trend.metric == *metric)?;
        Some(Chart { title, values: trend.values.clone(), most: most(trend) })
    };
    wanted.iter().filter_map(chart).collect()
}

fn most(course: &Trend) -> String {
    let most = course.values.iter().flatten().copied().reduce(f64::max);
    match course.metric.as_str() {
        "request.response_time_ms.p95" => time(most),
        "llm.cost_usd.sum" => dollars(most),
        metric if metric.starts_with("system.") => percent(most),
        _ => most.map_or(String::new(), |most| if most < 10.0 { format!("{most:.1}") } else { format!("{most:.0}") }),
    }
}

/// Columns whose heading ends in `#` hold numbers.
fn table(columns: &[&'static str], rows: Vec<Vec<String>>) -> Table {
    let columns = columns.iter().map(|name| name.strip_suffix('#').map_or((*name, false), |name| (name, true))).collect();
    Table { columns, rows }
}

/// A row of a figure now and before.
fn compared(name: &str, now: Option<f64>, before: Option<f64>, show: impl Fn(Option<f64>) -> String) -> Vec<String> {
    vec![name.into(), show(now), show(before), change(now, before)]
}

fn traffic(report: &Report) -> Table {
    let Some(now) = &report.traffic else { return Table::default() };
    let before = report.traffic_before.as_ref();
    let row =
        |name, pick: fn(&Traffic) -> Option<f64>, show: fn(Option<f64>) -> String| compared(name, pick(now), before.and_then(pick), show);
    let whole: fn(Option<f64>) -> String = |value| value.map_or(super::text::UNKNOWN.into(), |value| count(value as u64));
    let decimal: fn(Option<f64>) -> String = |value| value.map_or(super::text::UNKNOWN.into(), |value| format!("{value:.2}"));
    let rows = vec![
        row("Requests", |t| Some(t.count as f64), whole),
        row("Requests per minute", |t| Some(t.per_minute), decimal),
        row("Errors", |t| Some(t.errors as f64), whole),
        row("Error rate", |t| t.error_rate, share),
        row("Status 4xx", |t| Some(t.status_4xx as f64), whole),
        row("Status 5xx", |t| Some(t.status_5xx as f64), whole),
        row("Without a whole answer", |t| Some(t.failed as f64), whole),
        row("Slower than a second", |t| Some(t.slow as f64), whole),
        row("Mean", |t| t.latency.mean_ms, time),
        row("P50", |t| t.latency.p50_ms, time),
        row("P95", |t| t.latency.p95_ms, time),
        row("P99", |t| t.latency.p99_ms, time),
        row("Longest", |t| t.latency.max_ms, time),
        row("Received", |t| Some(t.request_bytes), bytes),
        row("Sent", |t| Some(t.response_bytes), bytes),
    ];
    table(&["", "this period#", "period before#", "change#"], rows)
}

fn endpoints(report: &Report) -> Table {
    let rows = report.endpoints.iter().map(|row| {
        let [p50, p95, max] = spread(&row.latency);
        let names = [row.service.clone(), row.method.clone(), row.endpoint.clone()];
        [&names[..], &[count(row.count), share(row.error_rate), p50, p95, max, share(Some(row.share_of_time))]].concat()
    });
    table(&["service", "method", "endpoint", "requests#", "errors#", "P50#", "P95#", "longest#", "share of time#"], rows.collect())
}

fn spread(latency: &LatencySummary) -> [String; 3] {
    [time(latency.p50_ms), time(latency.p95_ms), time(latency.max_ms)]
}

fn slowest(report: &Report, zone: &TimeZone) -> Table {
    let rows = report.slowest.iter().map(|row| {
        let status = row.status_code.map_or(super::text::UNKNOWN.into(), |status| status.to_string());
        vec![moment_of(&row.time, zone), row.service.clone(), row.request.clone(), status, time(Some(row.response_time_ms))]
    });
    table(&["time", "service", "request", "status#", "response time#"], rows.collect())
}

fn errors(report: &Report) -> Table {
    let rows = report.errors.iter().map(|row| {
        vec![row.service.clone(), row.method.clone(), row.endpoint.clone(), count(row.errors), count(row.count), share(row.error_rate)]
    });
    table(&["service", "method", "endpoint", "errors#", "requests#", "error rate#"], rows.collect())
}

fn resources(report: &Report) -> Table {
    let Some(now) = &report.resources else { return Table::default() };
    let before = report.resources_before.as_ref();
    let row = |name, pick: fn(&HostSummary) -> Option<f64>| compared(name, pick(now), before.and_then(pick), percent);
    let load = |load: Option<f64>| load.map_or(super::text::UNKNOWN.into(), |load| format!("{load:.2}"));
    let watched = |seconds: Option<f64>| time(seconds.map(|seconds| seconds * 1_000.0));
    let rows = vec![
        row("CPU, mean", |r| r.cpu_percent_mean),
        row("CPU, highest", |r| r.cpu_percent_max),
        row("Memory, mean", |r| r.memory_percent_mean),
        row("Memory, highest", |r| r.memory_percent_max),
        row("Fullest disk", |r| r.disk_used_percent_max),
        compared("Load of a minute, highest", now.load_1m_max, before.and_then(|r| r.load_1m_max), load),
        compared("Time watched", now.watched_s, before.and_then(|r| r.watched_s), watched),
    ];
    table(&["", "this period#", "period before#", "change#"], rows)
}

fn processes(report: &Report) -> Table {
    let rows = report.processes.iter().map(|row| {
        let figures = [percent(row.cpu_percent_mean), percent(row.cpu_percent_max), bytes(row.memory_rss_bytes_max)];
        [&[row.service.clone(), count(row.processes)][..], &figures].concat()
    });
    table(&["service", "processes#", "CPU, mean#", "CPU of one, highest#", "memory of one, highest#"], rows.collect())
}

fn destinations(report: &Report) -> Table {
    let rows = report.destinations.iter().map(|row| {
        let figures = [count(row.count), share(row.error_rate)];
        [&[row.service.clone(), row.destination.clone()][..], &figures, &spread(&row.latency)].concat()
    });
    table(&["service", "destination", "requests#", "errors#", "P50#", "P95#", "longest#"], rows.collect())
}

fn models(report: &Report) -> Table {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for row in &report.models {
        let whole = |tokens: Option<f64>| tokens.map_or(super::text::UNKNOWN.into(), |tokens| count(tokens as u64));
        let model = row.model.clone().unwrap_or_else(|| super::text::UNKNOWN.into());
        let tokens = [whole(row.input_tokens), whole(row.output_tokens)];
        let figures = [dollars(row.cost_usd), count(row.unpriced_calls), time(row.latency.p95_ms), time(row.ttft_p95_ms)];
        rows.push([&[row.provider.clone(), model, count(row.calls), count(row.errors)][..], &tokens, &figures].concat());
    }
    let columns = [
        "provider",
        "model",
        "calls#",
        "errors#",
        "input tokens#",
        "output tokens#",
        "cost#",
        "without a price#",
        "P95#",
        "first token P95#",
    ];
    table(&columns, rows)
}

fn model_cost(report: &Report) -> Table {
    let mut rows: Vec<_> = report.model_cost.iter().map(|row| vec![row.service.clone(), count(row.calls), dollars(row.cost_usd)]).collect();
    if let Some(before) = report.model_cost_before {
        rows.push(vec!["(all, period before)".into(), String::new(), dollars(Some(before))]);
    }
    table(&["service", "calls#", "cost#"], rows)
}

fn work(name: &'static str, items: &[WorkSummary]) -> Table {
    let rows = items.iter().map(|row| {
        let names = [row.service.clone(), row.name.clone().unwrap_or_else(|| super::text::UNKNOWN.into())];
        [&names[..], &[count(row.count), count(row.errors), dollars(row.cost_usd), time(row.latency.mean_ms)], &spread(&row.latency)]
            .concat()
    });
    table(&["service", name, "runs#", "errors#", "cost#", "mean#", "P50#", "P95#", "longest#"], rows.collect())
}

fn alerts(report: &Report, zone: &TimeZone) -> Table {
    let rows = report.alerts.iter().map(|alert| {
        let time = moment_of(&alert.time, zone);
        vec![time, alert.rule.clone(), alert.severity.clone(), alert.state.clone(), alert.message.clone()]
    });
    table(&["time", "rule", "severity", "state", "message"], rows.collect())
}

fn findings(report: &Report, zone: &TimeZone) -> Table {
    let rows = report
        .findings
        .iter()
        .map(|finding| vec![moment_of(&finding.time, zone), finding.kind.clone(), finding.severity.clone(), finding.message.clone()]);
    table(&["time", "type", "severity", "message"], rows.collect())
}
