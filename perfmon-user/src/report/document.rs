//! The report as headings, tables and charts, the same for Markdown and HTML. Cells hold plain text; who renders them escapes it.
use jiff::tz::TimeZone;

use super::changes::{ChangeScope, FigureChange};
use super::chart::{self, ChartPicture};
use super::database::{operations_table, queries_table};
use super::summary::{PeriodVerdict, before_words, moved};
use super::text::{amount, bytes, change, count, days, dollars, moment, moment_of, percent, plain_share, share, span, time};
use super::{HostSummary, LatencySummary, Report, Traffic, Trend, WorkSummary};

/// The report to be rendered.
pub struct ReportDocument {
    /// Heading of all.
    pub title: String,
    /// The period as text.
    pub period: String,
    /// How it was.
    pub verdict: PeriodVerdict,
    /// Why.
    pub reasons: Vec<String>,
    /// The period in sentences.
    pub sentences: Vec<String>,
    /// The figures that everybody knows.
    pub tiles: Vec<Tile>,
    /// What moved; true: for the worse.
    pub changes: Vec<(bool, String)>,
    /// Sections with content.
    pub sections: Vec<Section>,
}

/// A figure of the first page.
pub struct Tile {
    /// What it is.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// How it was before, or a remark.
    pub note: String,
}

/// A part.
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// What has to be known to read it.
    pub note: String,
    /// Courses.
    pub charts: Vec<Chart>,
    /// Its table.
    pub table: Table,
}

/// A course.
pub struct Chart {
    /// What it shows.
    pub title: &'static str,
    /// The drawing.
    pub picture: ChartPicture,
    /// The largest value as text.
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
    let title = report.host.as_ref().map_or("Performance report".into(), |host| format!("Performance of {host}"));
    let head = ReportDocument {
        title,
        period: format!("{from} to {to}"),
        verdict: report.verdict,
        reasons: report.reasons.clone(),
        sentences: report.summary.clone(),
        tiles: tiles(report),
        changes: report.changes.iter().map(|change| (change.worse, changed(change, report))).collect(),
        sections: vec![],
    };
    if report.is_empty() {
        return ReportDocument { period: format!("No data between {from} and {to}."), ..head };
    }
    let sections = [
        section("Traffic", traffic(report), charts(report, &REQUESTS, zone)),
        section("Endpoints by their share of all time", endpoints(report), vec![]),
        section("Slowest requests", slowest(report, zone), vec![]),
        section("Errors", errors(report), vec![]),
        section("External services", destinations(report), vec![]),
        section("Database commands by their share of the time of all", operations_table(&report.databases), vec![]),
        section("Queries that were slow or failed", queries_table(&report.slow_queries), vec![]),
        section("Resources", resources(report), charts(report, &HOST, zone)),
        Section { note: METHOD.into(), ..section("Capacity", capacity(report), vec![]) },
        section("Business metrics", super::custom::table(&report.custom), vec![]),
        section("Processes", processes(report), vec![]),
        section("Models", models(report), charts(report, &COST, zone)),
        section("Model cost by service", model_cost(report), vec![]),
        section("Model cost by tool", tool_cost(report), vec![]),
        section("Agents", work("agent", &report.agents), vec![]),
        section("Tools", work("tool", &report.tools), vec![]),
        Section { note: alerts_note(report), ..section("Alerts", alerts(report, zone), vec![]) },
        section("Findings", findings(report, zone), vec![]),
        section("Coverage of the data", coverage(report), vec![]),
    ];
    ReportDocument { sections: sections.into_iter().filter(|section| !section.table.rows.is_empty()).collect(), ..head }
}

const REQUESTS: [(&str, &str); 3] = [
    ("request.per_minute", "Requests per minute"),
    ("request.response_time_ms.p95", "Response time, 95th percentile"),
    ("request.errors", "Errors"),
];
const HOST: [(&str, &str); 2] = [("system.cpu_percent.mean", "CPU"), ("system.memory_percent.mean", "Memory")];
const COST: [(&str, &str); 1] = [("llm.cost_usd.sum", "Cost")];
const METHOD: &str = "An estimate: the maximum is where the host's CPU would be 80 % busy. Locks, pools and databases may limit earlier.";

fn section(title: &'static str, table: Table, charts: Vec<Chart>) -> Section {
    Section { title, note: String::new(), charts, table }
}

/// Figures that need no explanation.
fn tiles(report: &Report) -> Vec<Tile> {
    let before = |text: Option<String>| text.map(|text| format!("{text} {}", before_words(report))).unwrap_or_default();
    let earlier = report.traffic_before.as_ref();
    let mut tiles = Vec::new();
    if let Some(now) = &report.traffic {
        tiles.push(Tile { name: "Requests", value: count(now.count), note: before(earlier.map(|t| count(t.count))) });
        let failed = |traffic: &Traffic| traffic.error_rate.map(plain_share);
        tiles.push(Tile { name: "Failed", value: failed(now).unwrap_or_default(), note: before(earlier.and_then(failed)) });
        let typical = |traffic: &Traffic| traffic.latency.p50_ms.map(|ms| time(Some(ms)));
        tiles.push(Tile { name: "Typical answer", value: typical(now).unwrap_or_default(), note: before(earlier.and_then(typical)) });
        let slow = |traffic: &Traffic| traffic.latency.p95_ms.map(|ms| time(Some(ms)));
        tiles.push(Tile { name: "19 of 20 within", value: slow(now).unwrap_or_default(), note: before(earlier.and_then(slow)) });
    }
    if let Some(host) = &report.resources {
        let earlier = report.resources_before.as_ref().and_then(|host| host.cpu_percent_mean);
        tiles.push(Tile { name: "CPU busy", value: percent(host.cpu_percent_mean), note: before(earlier.map(|cpu| percent(Some(cpu)))) });
    }
    let cost: f64 = report.models.iter().filter_map(|model| model.cost_usd).sum();
    if cost > 0.0 {
        tiles.push(Tile {
            name: "Model calls",
            value: dollars(Some(cost)),
            note: before(report.model_cost_before.map(|cost| dollars(Some(cost)))),
        });
    }
    if report.alerts_total.fired > 0 {
        let note = if report.alerts_total.open > 0 { format!("{} still open", report.alerts_total.open) } else { "all over".into() };
        tiles.push(Tile { name: "Alerts", value: count(report.alerts_total.fired), note });
    }
    tiles
}

/// A change as a sentence.
fn changed(change: &FigureChange, report: &Report) -> String {
    let what = match change.scope {
        ChangeScope::Requests => "All requests".to_string(),
        ChangeScope::Endpoint | ChangeScope::Destination => change.name.clone(),
        ChangeScope::Model => format!("Model {}", change.name),
    };
    let figures = if change.figure == "p95_ms" {
        format!(" (19 of 20 within {} instead of {})", time(Some(change.now)), time(Some(change.before)))
    } else {
        String::new()
    };
    format!("{what}: {}{figures}.", moved(change, report))
}

fn charts(report: &Report, wanted: &[(&'static str, &'static str)], zone: &TimeZone) -> Vec<Chart> {
    let chart = |(metric, title): &(&str, &'static str)| {
        let trend = report.trends.iter().find(|trend| trend.metric == *metric)?;
        let most = trend.values.iter().flatten().copied().reduce(f64::max)?;
        let picture = chart::draw(&trend.values, trend.start.0 / 1_000_000_000, trend.step_s, zone, |value| axis(trend, value, most));
        Some(Chart { title, picture, most: at_most(trend, most) })
    };
    wanted.iter().filter_map(chart).collect()
}

fn at_most(trend: &Trend, most: f64) -> String {
    match trend.metric.as_str() {
        "request.response_time_ms.p95" => time(Some(most)),
        "llm.cost_usd.sum" => dollars(Some(most)),
        metric if metric.starts_with("system.") => percent(Some(most)),
        _ if most < 10.0 => format!("{most:.1}"),
        _ => count(most.round() as u64),
    }
}

/// A round number beside the axis, whose largest value is `most`.
fn axis(trend: &Trend, value: f64, most: f64) -> String {
    let short = |value: f64| {
        let text = if value >= 1_000.0 { count(value as u64) } else { format!("{:.4}", value) };
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
    };
    match trend.metric.as_str() {
        "request.response_time_ms.p95" if most >= 2_000.0 => format!("{} s", short(value / 1_000.0)),
        "request.response_time_ms.p95" => format!("{} ms", short(value)),
        "llm.cost_usd.sum" => format!("${}", short(value)),
        metric if metric.starts_with("system.") => format!("{} %", short(value)),
        _ => short(value),
    }
}

/// Columns whose heading ends in `#` hold numbers.
pub(super) fn table(columns: &[&'static str], rows: Vec<Vec<String>>) -> Table {
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
        row("Incomplete responses", |t| Some(t.failed as f64), whole),
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
        let names = [format!("{} {}", row.method, row.endpoint), row.service.clone()];
        [&names[..], &[count(row.count), share(row.error_rate), p50, p95, max, share(Some(row.share_of_time))]].concat()
    });
    table(&["endpoint", "service", "requests#", "errors#", "P50#", "P95#", "longest#", "share of time#"], rows.collect())
}

pub(super) fn spread(latency: &LatencySummary) -> [String; 3] {
    [time(latency.p50_ms), time(latency.p95_ms), time(latency.max_ms)]
}

fn slowest(report: &Report, zone: &TimeZone) -> Table {
    let rows = report.slowest.iter().map(|row| {
        let status = row.status_code.map_or(super::text::UNKNOWN.into(), |status| status.to_string());
        vec![row.request.clone(), row.service.clone(), moment_of(&row.time, zone), status, time(Some(row.response_time_ms))]
    });
    table(&["request", "service", "time", "status#", "response time#"], rows.collect())
}

fn errors(report: &Report) -> Table {
    let rows = report.errors.iter().map(|row| {
        vec![format!("{} {}", row.method, row.endpoint), row.service.clone(), count(row.errors), count(row.count), share(row.error_rate)]
    });
    table(&["endpoint", "service", "errors#", "requests#", "error rate#"], rows.collect())
}

fn resources(report: &Report) -> Table {
    let Some(now) = &report.resources else { return Table::default() };
    let before = report.resources_before.as_ref();
    let row = |name, pick: fn(&HostSummary) -> Option<f64>| compared(name, pick(now), before.and_then(pick), percent);
    let load = |load: Option<f64>| load.map_or(super::text::UNKNOWN.into(), |load| format!("{load:.2}"));
    let watched = |seconds: Option<f64>| seconds.map_or(super::text::UNKNOWN.into(), span);
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
        let figures = [count(row.count), count(row.errors), share(row.availability), share(row.availability_before)];
        [&[row.destination.clone(), row.service.clone()][..], &figures, &spread(&row.latency)].concat()
    });
    table(&["service asked", "by", "requests#", "errors#", "available#", "before#", "P50#", "P95#", "longest#"], rows.collect())
}

fn models(report: &Report) -> Table {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for row in &report.models {
        let whole = |tokens: Option<f64>| tokens.map_or(super::text::UNKNOWN.into(), |tokens| count(tokens as u64));
        let model = row.model.clone().unwrap_or_else(|| super::text::UNKNOWN.into());
        let tokens = [whole(row.input_tokens), whole(row.output_tokens)];
        let figures = [dollars(row.cost_usd), count(row.unpriced_calls), time(row.latency.p95_ms), time(row.ttft_p95_ms)];
        rows.push([&[model, row.provider.clone(), count(row.calls), count(row.errors)][..], &tokens, &figures].concat());
    }
    let columns = [
        "model",
        "provider",
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
        let names = [row.name.clone().unwrap_or_else(|| super::text::UNKNOWN.into()), row.service.clone()];
        let figures = [count(row.count), count(row.errors), share(row.success_rate), dollars(row.cost_usd), time(row.latency.mean_ms)];
        [&names[..], &figures, &spread(&row.latency)].concat()
    });
    table(&[name, "service", "runs#", "errors#", "success#", "cost#", "mean#", "P50#", "P95#", "longest#"], rows.collect())
}

fn tool_cost(report: &Report) -> Table {
    let rows = report.tool_cost.iter().map(|row| vec![row.tool.clone(), count(row.asked), dollars(row.cost_usd)]);
    table(&["tool", "asked for#", "cost of the calls#"], rows.collect())
}

fn alerts(report: &Report, zone: &TimeZone) -> Table {
    let after = |seconds: Option<f64>| seconds.map_or(super::text::UNKNOWN.into(), span);
    let rows = report.alerts.iter().map(|alert| {
        let times = [after(alert.acknowledged_after_s), after(alert.resolved_after_s)];
        let names = [alert.rule.clone(), moment_of(&alert.time, zone), alert.severity.clone(), alert.state.clone()];
        [&names[..], &times, std::slice::from_ref(&alert.message)].concat()
    });
    table(&["rule", "time", "severity", "state", "taken after#", "over after#", "message"], rows.collect())
}

fn alerts_note(report: &Report) -> String {
    let total = &report.alerts_total;
    let mean = |what: &str, seconds: Option<f64>| {
        seconds.map(|seconds| format!("; {what} after {} on average", span(seconds))).unwrap_or_default()
    };
    let times = [mean("acknowledged", total.mean_acknowledged_s), mean("over", total.mean_resolved_s)].concat();
    format!("{} fired, {} of them critical{times}.", count(total.fired), count(total.critical))
}

fn capacity(report: &Report) -> Table {
    let capacity = &report.capacity;
    let rate = |rate: f64| format!("{} a minute", amount(rate));
    let method = if capacity.method.as_deref() == Some("line") { "by the line through load and CPU" } else { "in proportion" };
    let rows = [
        ("Requests per second of CPU time", capacity.requests_per_cpu_second.map(amount)),
        ("Busiest load", capacity.peak_per_minute.map(rate)),
        ("Estimated maximum", capacity.maximum_per_minute.map(|most| format!("{}, {method}", rate(most)))),
        ("The busiest load fits into it", capacity.headroom.map(|times| format!("{times:.1} times"))),
        ("Traffic against the period before", capacity.traffic_trend.map(|trend| format!("{:+.1} %", trend * 100.0))),
        ("Fullest disk is full in about", capacity.disk_full_days.map(days)),
        ("Memory is full in about", capacity.memory_full_days.map(days)),
    ];
    table(&["", "estimate#"], rows.into_iter().filter_map(|(name, value)| Some(vec![name.into(), value?])).collect())
}

fn coverage(report: &Report) -> Table {
    let coverage = &report.coverage;
    let seen = report.traffic.as_ref().map_or(0, |traffic| traffic.count);
    let gap = if coverage.longest_gap_s == 0 { "none".into() } else { span(coverage.longest_gap_s as f64) };
    let rows = [
        ("Time watched", format!("{} ({})", span(coverage.watched_s), plain_share(coverage.watched_share))),
        ("Longest gap", gap),
        ("Requests seen whole", share(coverage.exact_share)),
        ("Requests not seen", format!("{} ({})", count(coverage.lost_requests), plain_share(coverage.lost_share(seen)))),
        ("Model calls without a known price", count(coverage.unpriced_calls)),
    ];
    table(&["", "value#"], rows.into_iter().map(|(name, value)| vec![name.into(), value]).collect())
}

fn findings(report: &Report, zone: &TimeZone) -> Table {
    let rows = report
        .findings
        .iter()
        .map(|finding| vec![finding.kind.clone(), moment_of(&finding.time, zone), finding.severity.clone(), finding.message.clone()]);
    table(&["type", "time", "severity", "message"], rows.collect())
}
