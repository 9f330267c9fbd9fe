//! From the store to a report.
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::capacity::{Capacity, CapacityCourses, estimate};
use super::changes::{ComparedPeriods, changes};
use super::coverage::coverage;
use super::database::{databases, slow_queries};
use super::incidents::incidents;
use super::schedule::ReportPeriod;
use super::summary::{PeriodVerdict, sentences, verdict};
use super::{
    DestinationSummary, EndpointSummary, FindingSummary, HostSummary, LatencySummary, ModelCost, ModelSummary, ProcessSummary, Report,
    Slow, ToolCost, Traffic, Trend, WorkSummary,
};
use crate::record::WallTime;
use crate::record::metric::{Field, Metric, RecordKind, Statistic};
use crate::store::{Cell, HistoryQuery, SeriesLabels, StoreError, StoreReader};

/// Rows of a list.
const ROWS: usize = 20;
/// Maximum of records read of a kind.
const RECORDS: usize = 20_000;
/// Steps of a course, about.
const STEPS: u64 = 120;
const COURSES: [&str; 6] = [
    "request.per_minute",
    "request.response_time_ms.p95",
    "request.errors",
    "system.cpu_percent.mean",
    "system.memory_percent.mean",
    "llm.cost_usd.sum",
];
const NS: u64 = 1_000_000_000;

/// Makes the report on a period; `now` is in seconds since 1970.
///
/// # Errors
/// When the store cannot be read.
pub fn collect(reader: &StoreReader, period: &ReportPeriod, now: u64) -> Result<Report, StoreError> {
    let ReportPeriod { before, from, to } = *period;
    let totals = |kind: RecordKind| reader.totals(kind, from, to, now);
    let totals_before = |kind: RecordKind| reader.totals(kind, before, from, now);
    let (requests, requests_before) = (totals(RecordKind::Request)?, totals_before(RecordKind::Request)?);
    let (calls, calls_before) = (totals(RecordKind::Llm)?, totals_before(RecordKind::Llm)?);
    let changes =
        changes(&ComparedPeriods { requests: &requests, requests_before: &requests_before, calls: &calls, calls_before: &calls_before });
    let ((served, asked), (served_before, asked_before)) = (by_side(requests), by_side(requests_before));
    let (host, host_before) = (merged(&totals(RecordKind::System)?), merged(&totals_before(RecordKind::System)?));
    let all_served = merged(&served);
    let (in_period, in_period_before) =
        (traffic(&all_served, span(&host, to - from)), traffic(&merged(&served_before), span(&host_before, from - before)));
    let of_processes = totals(RecordKind::Process)?;
    let courses = courses(reader, from, to, now)?;
    let models = models(&calls);
    let (alerts, alerts_total) = incidents(records(reader, "alert", from, to)?);
    let capacity = Capacity {
        requests_per_cpu_second: per_cpu_second(&all_served, &of_processes, &host),
        traffic_trend: trend_of(in_period.as_ref(), in_period_before.as_ref()),
        ..estimate(&courses.capacity())
    };
    let unpriced = models.iter().map(|model| model.unpriced_calls).sum();
    let mut report = Report {
        host: None,
        verdict: PeriodVerdict::default(),
        reasons: vec![],
        summary: vec![],
        from: WallTime(from * NS),
        to: WallTime(to * NS),
        before: WallTime(before * NS),
        changes,
        traffic: in_period,
        traffic_before: in_period_before,
        endpoints: endpoints(&served, |row| row.share_of_time),
        errors: endpoints(&served, |row| row.errors as f64).into_iter().filter(|row| row.errors > 0).collect(),
        slowest: slowest(reader, from, to)?,
        coverage: coverage(to - from, &host, &all_served, unpriced, courses.values("system.cpu_percent.mean"), courses.step_s),
        capacity,
        processes: processes(&of_processes, host.count),
        resources: resources(&host),
        resources_before: resources(&host_before),
        destinations: destinations(&asked, &asked_before),
        databases: databases(&totals(RecordKind::Db)?),
        slow_queries: slow_queries(reader, from, to)?,
        models,
        model_cost: model_cost(&calls),
        model_cost_before: cost(&merged(&calls_before), RecordKind::Llm),
        agents: work(&totals(RecordKind::Agent)?, RecordKind::Agent, "agent_type"),
        tools: work(&totals(RecordKind::Tool)?, RecordKind::Tool, "tool_name"),
        tool_cost: tool_cost(reader, from, to)?,
        alerts,
        alerts_total,
        custom: Vec::new(),
        findings: last_states(reader, "finding", from, to, |finding: &FindingSummary| finding.finding_id.clone())?,
        trends: courses.trends,
    };
    (report.verdict, report.reasons) = verdict(&report);
    report.summary = sentences(&report);
    Ok(report)
}

/// Seconds that the host was sampled, of a period as long as this.
fn span(host: &Cell, seconds: u64) -> f64 {
    sum(host, RecordKind::System, "interval_ms").filter(|ms| *ms > 0.0).map_or(seconds as f64, |ms| ms / 1_000.0)
}

/// Requests to services of this host, and those that they made.
fn by_side(requests: SeriesRows) -> (SeriesRows, SeriesRows) {
    requests.into_iter().partition(|(labels, _)| is_server(labels))
}

/// Requests for each second of CPU time of the services that answered them.
fn per_cpu_second(served: &Cell, of_processes: &Rows, host: &Cell) -> Option<f64> {
    let seconds = sum(host, RecordKind::System, "interval_ms")? / 1_000.0 / host.count.max(1) as f64;
    let cpu: f64 = of_processes.iter().filter_map(|(_, cell)| sum(cell, RecordKind::Process, "cpu_percent")).sum();
    let cpu_seconds = cpu / 100.0 * seconds;
    (cpu_seconds > 1.0 && served.count > 0).then(|| (served.count as f64 / cpu_seconds * 10.0).round() / 10.0)
}

fn trend_of(now: Option<&Traffic>, before: Option<&Traffic>) -> Option<f64> {
    let (now, before) = (now?.per_minute, before?.per_minute);
    (before > 0.0).then(|| ((now / before - 1.0) * 1_000.0).round() / 1_000.0)
}

/// Cells of series.
pub type SeriesRows = Vec<(SeriesLabels, Cell)>;
pub(super) type Rows = [(SeriesLabels, Cell)];

/// Whether it is of the side that answers.
pub(super) fn is_server(labels: &SeriesLabels) -> bool {
    labels.get("side").is_some_and(|side| side == "server")
}

/// A label.
pub(super) fn label(labels: &SeriesLabels, name: &str) -> Option<String> {
    labels.get(name).cloned()
}

/// A label that most records have.
pub(super) fn named(labels: &SeriesLabels, name: &str) -> String {
    label(labels, name).unwrap_or_else(|| "(unknown)".into())
}

/// All of them in one.
pub(super) fn merged(rows: &Rows) -> Cell {
    let mut sum = Cell::default();
    rows.iter().for_each(|(_, cell)| sum.merge(cell));
    sum
}

/// Rows of the same key merged.
fn grouped<K: Ord>(rows: &Rows, key: impl Fn(&SeriesLabels) -> K) -> BTreeMap<K, Cell> {
    let mut groups: BTreeMap<K, Cell> = BTreeMap::new();
    rows.iter().for_each(|(labels, cell)| groups.entry(key(labels)).or_default().merge(cell));
    groups
}

/// A statistic of a field.
pub(super) fn field(cell: &Cell, kind: RecordKind, name: &str, statistic: Statistic) -> Option<f64> {
    Field::named(kind, name).and_then(|field| cell.field(field, statistic))
}

pub(super) fn sum(cell: &Cell, kind: RecordKind, name: &str) -> Option<f64> {
    field(cell, kind, name, Statistic::Sum)
}

/// A sum as a whole number.
pub(super) fn whole(cell: &Cell, kind: RecordKind, name: &str) -> u64 {
    sum(cell, kind, name).unwrap_or(0.0) as u64
}

/// The sum, if any record has a value.
fn known_sum(cell: &Cell, kind: RecordKind, name: &str) -> Option<f64> {
    let known = field(cell, kind, name, Statistic::Count).is_some_and(|count| count > 0.0);
    sum(cell, kind, name).filter(|_| known)
}

/// Dollars, if any record has a cost.
fn cost(cell: &Cell, kind: RecordKind) -> Option<f64> {
    known_sum(cell, kind, "cost_usd")
}

pub(super) fn latency(cell: &Cell, kind: RecordKind, name: &str) -> LatencySummary {
    let at = |statistic| field(cell, kind, name, statistic);
    LatencySummary {
        mean_ms: at(Statistic::Mean),
        p50_ms: at(Statistic::Quantile(0.5)),
        p95_ms: at(Statistic::Quantile(0.95)),
        p99_ms: at(Statistic::Quantile(0.99)),
        max_ms: at(Statistic::Max),
    }
}

/// The largest first, not too many.
fn largest<T>(mut rows: Vec<T>, key: impl Fn(&T) -> f64) -> Vec<T> {
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    rows.truncate(ROWS);
    rows
}

fn traffic(all: &Cell, seconds: f64) -> Option<Traffic> {
    (all.count > 0).then(|| Traffic {
        count: all.count,
        errors: all.errors,
        error_rate: all.error_rate(),
        status_4xx: whole(all, RecordKind::Request, "status_4xx"),
        status_5xx: whole(all, RecordKind::Request, "status_5xx"),
        failed: whole(all, RecordKind::Request, "failed"),
        slow: whole(all, RecordKind::Request, "slow"),
        per_minute: (all.count as f64 * 60_000.0 / seconds).round() / 1_000.0,
        latency: latency(all, RecordKind::Request, "response_time_ms"),
        request_bytes: sum(all, RecordKind::Request, "request_bytes").unwrap_or(0.0),
        response_bytes: sum(all, RecordKind::Request, "response_bytes").unwrap_or(0.0),
    })
}

fn endpoints(served: &Rows, key: impl Fn(&EndpointSummary) -> f64) -> Vec<EndpointSummary> {
    let time = |cell: &Cell| sum(cell, RecordKind::Request, "response_time_ms").unwrap_or(0.0);
    let all: f64 = served.iter().map(|(_, cell)| time(cell)).sum();
    let row = |(labels, cell): &(SeriesLabels, Cell)| EndpointSummary {
        service: named(labels, "service"),
        method: named(labels, "method"),
        endpoint: named(labels, "endpoint"),
        count: cell.count,
        errors: cell.errors,
        error_rate: cell.error_rate(),
        latency: latency(cell, RecordKind::Request, "response_time_ms"),
        share_of_time: if all > 0.0 { time(cell) / all } else { 0.0 },
    };
    largest(served.iter().map(row).collect(), key)
}

fn destinations(asked: &Rows, before: &Rows) -> Vec<DestinationSummary> {
    let available = |cell: &Cell| cell.error_rate().map(|rate| 1.0 - rate);
    let row = |(labels, cell): &(SeriesLabels, Cell)| DestinationSummary {
        service: named(labels, "service"),
        destination: named(labels, "destination"),
        count: cell.count,
        errors: cell.errors,
        error_rate: cell.error_rate(),
        availability: available(cell),
        availability_before: before.iter().find(|(earlier, _)| earlier == labels).and_then(|(_, cell)| available(cell)),
        latency: latency(cell, RecordKind::Request, "response_time_ms"),
    };
    largest(asked.iter().map(row).collect(), |row| row.latency.mean_ms.unwrap_or(0.0) * row.count as f64)
}

fn resources(host: &Cell) -> Option<HostSummary> {
    let at = |name, statistic| field(host, RecordKind::System, name, statistic);
    (host.count > 0).then(|| HostSummary {
        cpu_percent_mean: at("cpu_percent", Statistic::Mean),
        cpu_percent_max: at("cpu_percent", Statistic::Max),
        memory_percent_mean: at("memory_percent", Statistic::Mean),
        memory_percent_max: at("memory_percent", Statistic::Max),
        disk_used_percent_max: at("disk_used_percent", Statistic::Max),
        load_1m_max: at("load_1m", Statistic::Max),
        watched_s: at("interval_ms", Statistic::Sum).map(|ms| ms / 1_000.0),
    })
}

/// `samples`: host samples, one for each interval in which processes were sampled.
fn processes(rows: &Rows, samples: u64) -> Vec<ProcessSummary> {
    let mut pids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    rows.iter().for_each(|(labels, _)| {
        pids.entry(named(labels, "service")).or_default().insert(named(labels, "pid"));
    });
    let row = |(service, cell): (String, Cell)| ProcessSummary {
        processes: pids.get(&service).map_or(0, |pids| pids.len() as u64),
        cpu_percent_mean: sum(&cell, RecordKind::Process, "cpu_percent").filter(|_| samples > 0).map(|sum| sum / samples as f64),
        cpu_percent_max: field(&cell, RecordKind::Process, "cpu_percent", Statistic::Max),
        memory_rss_bytes_max: field(&cell, RecordKind::Process, "memory_rss_bytes", Statistic::Max),
        service,
    };
    let rows = grouped(rows, |labels| named(labels, "service")).into_iter().map(row).collect();
    largest(rows, |row| row.cpu_percent_mean.unwrap_or(0.0))
}

fn models(calls: &Rows) -> Vec<ModelSummary> {
    let row = |((provider, model), cell): ((String, Option<String>), Cell)| {
        let priced = field(&cell, RecordKind::Llm, "cost_usd", Statistic::Count).unwrap_or(0.0) as u64;
        ModelSummary {
            provider,
            model,
            calls: cell.count,
            errors: cell.errors,
            input_tokens: known_sum(&cell, RecordKind::Llm, "input_tokens"),
            output_tokens: known_sum(&cell, RecordKind::Llm, "output_tokens"),
            cost_usd: cost(&cell, RecordKind::Llm),
            unpriced_calls: cell.count.saturating_sub(priced),
            latency: latency(&cell, RecordKind::Llm, "response_time_ms"),
            ttft_p95_ms: field(&cell, RecordKind::Llm, "time_to_first_token_ms", Statistic::Quantile(0.95)),
        }
    };
    let groups = grouped(calls, |labels| (named(labels, "provider"), label(labels, "request_model")));
    let mut rows: Vec<ModelSummary> = groups.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.calls));
    largest(rows, |row| row.cost_usd.unwrap_or(0.0))
}

fn model_cost(calls: &Rows) -> Vec<ModelCost> {
    let groups = grouped(calls, |labels| named(labels, "service"));
    let row = |(service, cell): (String, Cell)| ModelCost { service, calls: cell.count, cost_usd: cost(&cell, RecordKind::Llm) };
    largest(groups.into_iter().map(row).collect(), |row| row.cost_usd.unwrap_or(0.0))
}

fn work(rows: &Rows, kind: RecordKind, name: &str) -> Vec<WorkSummary> {
    let row = |((service, name), cell): ((String, Option<String>), Cell)| WorkSummary {
        service,
        name,
        count: cell.count,
        errors: cell.errors,
        success_rate: cell.error_rate().map(|rate| 1.0 - rate),
        cost_usd: cost(&cell, kind),
        latency: latency(&cell, kind, "execution_time_ms"),
    };
    let groups = grouped(rows, |labels| (named(labels, "service"), label(labels, name)));
    largest(groups.into_iter().map(row).collect(), |row| row.count as f64)
}

pub(super) fn records<T: DeserializeOwned>(reader: &StoreReader, kind: &str, from: u64, to: u64) -> Result<Vec<T>, StoreError> {
    let kept = reader.records(kind, WallTime(from * NS), WallTime(to * NS), RECORDS)?;
    Ok(kept.iter().filter_map(|json| serde_json::from_str(json).ok()).collect())
}

/// The newest record of each id.
fn last_states<T: DeserializeOwned>(
    reader: &StoreReader,
    kind: &str,
    from: u64,
    to: u64,
    id: impl Fn(&T) -> String,
) -> Result<Vec<T>, StoreError> {
    let mut seen = BTreeSet::new();
    let newest = records(reader, kind, from, to)?.into_iter().filter(|record| seen.insert(id(record)));
    Ok(newest.take(ROWS).collect())
}

fn slowest(reader: &StoreReader, from: u64, to: u64) -> Result<Vec<Slow>, StoreError> {
    /// The fields of a request that the report shows.
    #[derive(Deserialize)]
    struct KeptRequest {
        time: String,
        side: String,
        service: String,
        method: Option<String>,
        path: Option<String>,
        status_code: Option<u16>,
        streaming: bool,
        response_time_ms: Option<f64>,
    }
    let slow = |kept: KeptRequest| {
        let request = format!("{} {}", kept.method.as_deref().unwrap_or("?"), kept.path.as_deref().unwrap_or("?"));
        let (time, service, status_code) = (kept.time, kept.service, kept.status_code);
        kept.response_time_ms.map(|response_time_ms| Slow { time, service, request, status_code, response_time_ms })
    };
    let kept: Vec<KeptRequest> = records(reader, "request", from, to)?;
    let served = kept.into_iter().filter(|kept| kept.side == "server" && !kept.streaming);
    let mut rows = largest(served.filter_map(slow).filter(|row| row.response_time_ms > 1_000.0).collect(), |row| row.response_time_ms);
    rows.truncate(ROWS / 2);
    Ok(rows)
}

/// Cost of tools, from the newest calls that are kept as records.
fn tool_cost(reader: &StoreReader, from: u64, to: u64) -> Result<Vec<ToolCost>, StoreError> {
    /// The fields of a call that matter here.
    #[derive(Deserialize)]
    struct KeptCall {
        cost_usd: Option<f64>,
        #[serde(default)]
        tool_calls: Vec<AskedTool>,
    }
    #[derive(Deserialize)]
    struct AskedTool {
        name: String,
    }
    let mut tools: BTreeMap<String, (u64, Option<f64>)> = BTreeMap::new();
    for call in records::<KeptCall>(reader, "llm", from, to)? {
        let share = call.cost_usd.map(|cost| cost / call.tool_calls.len().max(1) as f64);
        for tool in call.tool_calls {
            let (asked, cost) = tools.entry(tool.name).or_default();
            *asked += 1;
            *cost = share.map_or(*cost, |share| Some(cost.unwrap_or(0.0) + share));
        }
    }
    let rows = tools.into_iter().map(|(tool, (asked, cost_usd))| ToolCost { tool, asked, cost_usd }).collect();
    Ok(largest(rows, |row| row.cost_usd.unwrap_or(0.0)))
}

/// Courses over the period, all with the same steps.
struct Courses {
    step_s: u64,
    trends: Vec<Trend>,
    /// Not drawn.
    disk: Vec<Option<f64>>,
}

impl Courses {
    fn values(&self, metric: &str) -> &[Option<f64>] {
        self.trends.iter().find(|trend| trend.metric == metric).map_or(&[], |trend| &trend.values)
    }

    fn capacity(&self) -> CapacityCourses<'_> {
        CapacityCourses {
            rate: self.values("request.per_minute"),
            cpu: self.values("system.cpu_percent.mean"),
            memory: self.values("system.memory_percent.mean"),
            disk: &self.disk,
            step_s: self.step_s,
        }
    }
}

fn courses(reader: &StoreReader, from: u64, to: u64, now: u64) -> Result<Courses, StoreError> {
    let step = [10, 60, 300, 600, 1_800, 3_600, 14_400, 86_400].into_iter().find(|step| (to - from) / step <= STEPS * 2).unwrap_or(604_800);
    let course = |metric: Metric| reader.history(&HistoryQuery { metric, from, to, step, now, labels: SeriesLabels::new() });
    let mut courses = Courses { step_s: step, trends: Vec::new(), disk: Vec::new() };
    for metric in COURSES.iter().filter_map(|name| Metric::parse(name)) {
        let history = course(metric)?;
        courses.step_s = history.step_s;
        let start = history.points.first().map_or(WallTime(from * NS), |point| point.time);
        let values: Vec<_> = history.points.into_iter().map(|point| point.value).collect();
        if values.iter().flatten().any(|value| *value != 0.0) {
            courses.trends.push(Trend { metric: metric.to_string(), start, step_s: history.step_s, values });
        }
    }
    if let Some(metric) = Metric::parse("system.disk_used_percent.max") {
        courses.disk = course(metric)?.points.into_iter().map(|point| point.value).collect();
    }
    Ok(courses)
}
