//! A report on a period: verdict and three sentences, traffic, endpoints, errors, resources, capacity, destinations, model calls with their
//! cost, agents, alerts, coverage, and what changed against the period before beyond noise. In: a store reader and times; out: a [`Report`],
//! which serialises to JSON and renders as Markdown or as an HTML page. `schedule` says when reports are due, `kept` how they are stored.
//! Reads no clock and writes no file. Names come from traffic: every format escapes them.
mod capacity;
mod changes;
mod chart;
mod collect;
mod coverage;
mod custom;
mod database;
mod document;
mod incidents;
mod kept;
mod markdown;
mod page;
mod schedule;
mod summary;
#[cfg(test)]
mod tests;
mod text;

use serde::{Deserialize, Serialize};

pub use self::capacity::Capacity;
pub use self::changes::{ChangeScope, FigureChange};
pub use self::collect::collect;
pub use self::coverage::DataCoverage;
pub use self::custom::{CustomSummary, custom};
pub use self::database::{DatabaseSummary, SlowQuery};
pub use self::incidents::{AlertSummary, AlertTotals};
pub use self::kept::{KeptReport, ReportHeading, ReportId, headings};
pub use self::schedule::{ReportPeriod, ReportRhythm, ReportTime};
pub use self::summary::PeriodVerdict;
use crate::record::WallTime;

/// The report. Unknown is null; lists hold the largest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the host, where it is known.
    #[serde(default)]
    pub host: Option<String>,
    /// How the period was.
    #[serde(default)]
    pub verdict: PeriodVerdict,
    /// Why, the gravest reason first.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// The period in sentences.
    #[serde(default)]
    pub summary: Vec<String>,
    /// Start of the period.
    pub from: WallTime,
    /// End of the period.
    pub to: WallTime,
    /// Start of the period before, which ends where this one starts.
    #[serde(default)]
    pub before: WallTime,
    /// What moved against the period before, beyond noise; the worst first.
    #[serde(default)]
    pub changes: Vec<FigureChange>,
    /// Requests to the services.
    pub traffic: Option<Traffic>,
    /// The same in the period before, as long as this one.
    pub traffic_before: Option<Traffic>,
    /// Endpoints by their share of the time of all requests.
    pub endpoints: Vec<EndpointSummary>,
    /// Endpoints by errors.
    pub errors: Vec<EndpointSummary>,
    /// Slowest requests.
    pub slowest: Vec<Slow>,
    /// The host.
    pub resources: Option<HostSummary>,
    /// The same in the period before.
    pub resources_before: Option<HostSummary>,
    /// How much more the host could take.
    #[serde(default)]
    pub capacity: Capacity,
    /// Services by CPU time.
    pub processes: Vec<ProcessSummary>,
    /// Called services, by total time.
    pub destinations: Vec<DestinationSummary>,
    /// Database commands by their share of the time of all.
    #[serde(default)]
    pub databases: Vec<DatabaseSummary>,
    /// Queries by the time of their slow and failed commands.
    #[serde(default)]
    pub slow_queries: Vec<SlowQuery>,
    /// Models by cost.
    pub models: Vec<ModelSummary>,
    /// Cost of model calls by the service that made them.
    pub model_cost: Vec<ModelCost>,
    /// Dollars for model calls in the period before.
    pub model_cost_before: Option<f64>,
    /// Agents by runs.
    pub agents: Vec<WorkSummary>,
    /// Tools by executions.
    pub tools: Vec<WorkSummary>,
    /// Cost of the model calls that asked for a tool, by tool; a call that asked for several is divided among them.
    #[serde(default)]
    pub tool_cost: Vec<ToolCost>,
    /// Alerts, newest first: the last state of each.
    pub alerts: Vec<AlertSummary>,
    /// What they add up to.
    #[serde(default)]
    pub alerts_total: AlertTotals,
    /// Business metrics, each with its largest series.
    #[serde(default)]
    pub custom: Vec<CustomSummary>,
    /// Findings, newest first: the last state of each.
    pub findings: Vec<FindingSummary>,
    /// Metrics over the period.
    pub trends: Vec<Trend>,
    /// How much of the period the data covers.
    #[serde(default)]
    pub coverage: DataCoverage,
}

impl Report {
    /// With its business metrics.
    pub fn with_custom(mut self, custom: Vec<CustomSummary>) -> Self {
        self.custom = custom;
        self
    }

    /// Whether the store knows nothing of the period.
    pub fn is_empty(&self) -> bool {
        let lists =
            [self.endpoints.len(), self.destinations.len(), self.databases.len(), self.models.len(), self.agents.len(), self.tools.len()];
        let records = [self.alerts.len(), self.findings.len(), self.processes.len()];
        self.traffic.is_none() && self.resources.is_none() && lists.iter().chain(&records).all(|count| *count == 0)
    }

    /// Names the host that it is about.
    pub fn on_host(self, host: &str) -> Self {
        Self { host: Some(host.trim().to_owned()).filter(|host| !host.is_empty()), ..self }
    }

    /// As Markdown, with times in a zone.
    pub fn markdown(&self, zone: &jiff::tz::TimeZone) -> String {
        markdown::render(&document::document(self, zone))
    }

    /// Renders a self-contained HTML page.
    pub fn html(&self, zone: &jiff::tz::TimeZone) -> String {
        page::render(&document::document(self, zone))
    }

    /// Verdict and sentences as plain text, for channels.
    pub fn plain_text(&self) -> String {
        let reasons = if self.reasons.is_empty() { String::new() } else { format!(" ({})", self.reasons.join("; ")) };
        format!("{}{reasons}. {}", self.verdict.words(), self.summary.join(" "))
    }
}

/// Requests of the server side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests.
    pub count: u64,
    /// Failed ones.
    pub errors: u64,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// Status 400–499.
    pub status_4xx: u64,
    /// Status 500–599.
    pub status_5xx: u64,
    /// Ended without a whole answer.
    pub failed: u64,
    /// Slower than a second.
    pub slow: u64,
    /// Mean over the period.
    pub per_minute: f64,
    /// Latency.
    #[serde(flatten)]
    pub latency: LatencySummary,
    /// All bytes received.
    pub request_bytes: f64,
    /// All bytes sent.
    pub response_bytes: f64,
}

/// Milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Average.
    pub mean_ms: Option<f64>,
    /// Median.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Longest.
    pub max_ms: Option<f64>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointSummary {
    /// Service.
    pub service: String,
    /// Method.
    pub method: String,
    /// Template of the path.
    pub endpoint: String,
    /// Requests.
    pub count: u64,
    /// Failed ones.
    pub errors: u64,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// Latency.
    #[serde(flatten)]
    pub latency: LatencySummary,
    /// Part of the time of all requests, 0..1.
    pub share_of_time: f64,
}

/// A slow request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    /// Start.
    pub time: String,
    /// Service.
    pub service: String,
    /// Method and path.
    pub request: String,
    /// Status, if there was an answer.
    pub status_code: Option<u16>,
    /// Duration.
    pub response_time_ms: f64,
}

/// The host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostSummary {
    /// Over all cores, 0..100.
    pub cpu_percent_mean: Option<f64>,
    /// Highest second.
    pub cpu_percent_max: Option<f64>,
    /// 0..100.
    pub memory_percent_mean: Option<f64>,
    /// Highest.
    pub memory_percent_max: Option<f64>,
    /// Fullest file system, 0..100.
    pub disk_used_percent_max: Option<f64>,
    /// Load average of one minute.
    pub load_1m_max: Option<f64>,
    /// Seconds of the period that perfmon observed.
    pub watched_s: Option<f64>,
}

/// Processes of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessSummary {
    /// Service.
    pub service: String,
    /// Different process ids.
    pub processes: u64,
    /// All of them together over the period, 100 = one core.
    pub cpu_percent_mean: Option<f64>,
    /// One of them in its highest second.
    pub cpu_percent_max: Option<f64>,
    /// The largest one.
    pub memory_rss_bytes_max: Option<f64>,
}

/// A called service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DestinationSummary {
    /// Calling service.
    pub service: String,
    /// Called service.
    pub destination: String,
    /// Requests.
    pub count: u64,
    /// Failed ones.
    pub errors: u64,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// Those that did not fail, 0..1.
    #[serde(default)]
    pub availability: Option<f64>,
    /// The same in the period before.
    #[serde(default)]
    pub availability_before: Option<f64>,
    /// Latency.
    #[serde(flatten)]
    pub latency: LatencySummary,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// Provider.
    pub provider: String,
    /// Requested model.
    pub model: Option<String>,
    /// Calls.
    pub calls: u64,
    /// Failed ones.
    pub errors: u64,
    /// Prompt tokens of the calls that report them.
    pub input_tokens: Option<f64>,
    /// Output tokens of the calls that report them.
    pub output_tokens: Option<f64>,
    /// Dollars; null when no call has a price.
    pub cost_usd: Option<f64>,
    /// Calls without a price.
    pub unpriced_calls: u64,
    /// Duration.
    #[serde(flatten)]
    pub latency: LatencySummary,
    /// Time to the first token.
    pub ttft_p95_ms: Option<f64>,
}

/// What model calls of a service cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCost {
    /// Service.
    pub service: String,
    /// Calls.
    pub calls: u64,
    /// Dollars; null when no call has a price.
    pub cost_usd: Option<f64>,
}

/// What model calls cost that asked for a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCost {
    /// Name of the tool.
    pub tool: String,
    /// How often it was asked for.
    pub asked: u64,
    /// Dollars; null when no call has a price.
    pub cost_usd: Option<f64>,
}

/// An agent or a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkSummary {
    /// Service.
    pub service: String,
    /// Name of the agent or tool.
    pub name: Option<String>,
    /// Runs.
    pub count: u64,
    /// Failed ones.
    pub errors: u64,
    /// The others, 0..1.
    #[serde(default)]
    pub success_rate: Option<f64>,
    /// Dollars, if any run has a cost.
    pub cost_usd: Option<f64>,
    /// Duration.
    #[serde(flatten)]
    pub latency: LatencySummary,
}

/// A finding's last state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingSummary {
    /// When it came into this state.
    pub time: String,
    /// Its id.
    pub finding_id: String,
    /// Type of the finding.
    #[serde(rename = "type")]
    pub kind: String,
    /// How bad.
    pub severity: String,
    /// A sentence.
    pub message: String,
}

/// One metric over the period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Name of the metric.
    pub metric: String,
    /// Start of the first step.
    #[serde(default)]
    pub start: WallTime,
    /// Seconds of a step.
    pub step_s: u64,
    /// A value a step, null where nothing is known.
    pub values: Vec<Option<f64>>,
}
