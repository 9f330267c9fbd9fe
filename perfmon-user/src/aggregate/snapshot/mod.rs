//! What `aggregate` publishes once a second: immutable, shared by HTTP, the live table, alerts, export and reports. The field names of
//! serialised rows are those of docs/records.md and the HTTP API; `perfmon top` reads them back from the API of another perfmon.
mod downstream;
mod name;
mod query;
mod work;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::downstream::{DownstreamRow, RepeatedRow};
pub use self::name::{NameRow, RcodeCounts};
pub use self::query::QueryRow;
pub use self::work::{AgentRow, LlmRow, ToolRow, WorkTotals, WorkflowRow};
use crate::record::{Degradation, Finding, Gauges, Origin, Pool, Process, SpanId, System, WallTime};

/// The windows that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// 60 s.
    Minute,
    /// 300 s.
    FiveMinutes,
    /// 3,600 s.
    Hour,
}

impl Window {
    /// All of them, in the order of `Snapshot::windows`.
    pub const ALL: [Self; 3] = [Self::Minute, Self::FiveMinutes, Self::Hour];

    /// Its length.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
        }
    }
}

/// State of all series at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was made.
    pub time: WallTime,
    /// Seconds since capture started.
    pub uptime_s: f64,
    /// One view a window, as in `Window::ALL`; empty before the first tick.
    pub windows: Vec<WindowView>,
    /// Newest sample of the host.
    pub system: Option<Arc<System>>,
    /// Newest sample of each target process.
    pub processes: Vec<Arc<Process>>,
    /// Their connection pools: those that are saturated first, then the largest.
    pub pools: Vec<Arc<Pool>>,
    /// Open findings, most costly first.
    pub findings: Vec<Arc<Finding>>,
    /// Newest gauges.
    pub gauges: Arc<Gauges>,
    /// Parts of perfmon that do not work as they should.
    pub degraded: Arc<[Degradation]>,
}

impl Snapshot {
    /// The view of a window, `None` before the first tick.
    pub fn window(&self, window: Window) -> Option<&WindowView> {
        self.windows.iter().find(|view| view.window_s == window.seconds())
    }
}

/// One window.
#[derive(Clone, Debug, Default)]
pub struct WindowView {
    /// Its length.
    pub window_s: u64,
    /// Seconds covered: less than `window_s` after the start, later up to one slice (a tenth) more. Rates divide by this.
    pub covered_s: f64,
    /// Server-side totals.
    pub totals: Arc<Totals>,
    /// Server-side rows, by share of total time, largest first.
    pub endpoints: Vec<Arc<EndpointRow>>,
    /// Client-side rows, busiest first.
    pub destinations: Vec<Arc<DestinationRow>>,
    /// Server-side totals of each service, by share of total time, largest first.
    pub services: Vec<Arc<ServiceRow>>,
    /// Model calls, agents, tools and workflows in all.
    pub work: Arc<WorkTotals>,
    /// Model calls, most calls first.
    pub llm: Vec<Arc<LlmRow>>,
    /// Agent runs, most runs first.
    pub agents: Vec<Arc<AgentRow>>,
    /// Tool executions, most first.
    pub tools: Vec<Arc<ToolRow>>,
    /// Workflows, most first.
    pub workflows: Vec<Arc<WorkflowRow>>,
    /// Database commands by query, by the time that all take together, largest first.
    pub queries: Vec<Arc<QueryRow>>,
    /// Questions for names, most first.
    pub names: Vec<Arc<NameRow>>,
}

/// Latency figures of a set of exchanges; all null when there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Mean.
    pub mean_ms: Option<f64>,
    /// Median.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Largest.
    pub max_ms: Option<f64>,
}

/// How many exchanges were fast, moderate, slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Categories {
    /// Up to 500 ms.
    pub fast: u64,
    /// Up to 1,000 ms.
    pub moderate: u64,
    /// More.
    pub slow: u64,
}

/// Errors by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorClasses {
    /// Status 400–499. Not errors of the service; listed separately.
    pub status_4xx: u64,
    /// Status 500–599.
    pub status_5xx: u64,
    /// The client went away.
    pub client_closed: u64,
    /// Reset by the server.
    pub reset: u64,
    /// No answer in time.
    pub timeout: u64,
    /// Closed before the answer was complete.
    pub truncated: u64,
    /// Not HTTP.
    pub protocol: u64,
    /// gRPC status that counts as an error.
    pub grpc: u64,
    /// The connect() was refused. Only clients have attempts to connect.
    pub connect_refused: u64,
    /// The connect() found no way to the destination.
    pub connect_unreachable: u64,
    /// The connect() had no answer in time.
    pub connect_timeout: u64,
}

impl ErrorClasses {
    /// Connections that could not be opened.
    pub fn connect(&self) -> u64 {
        self.connect_refused + self.connect_unreachable + self.connect_timeout
    }
}

/// Do errors and slowness go together?
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Correlation {
    /// Mean latency of exchanges without error.
    pub ok_mean_ms: Option<f64>,
    /// Mean latency of failed exchanges.
    pub error_mean_ms: Option<f64>,
    /// Error rate among exchanges over 1,000 ms, 0..1.
    pub slow_error_rate: Option<f64>,
    /// Error rate among exchanges up to 500 ms, 0..1.
    pub fast_error_rate: Option<f64>,
}

/// Exchanges that perfmon could not see, because its ring was full, and what follows for the figures beside them. Counts, errors and
/// latencies are of the exchanges that were seen; rates are of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Losses {
    /// Exchanges that passed unseen. For an endpoint or a destination: its share of those of its service.
    pub lost: u64,
    /// Exchanges seen and unseen.
    pub estimated_count: u64,
    /// More than 1 % were lost: the rates are estimates.
    pub rates_estimated: bool,
}

impl Losses {
    /// Of so many that were seen, and so many that were not.
    pub fn new(seen: u64, lost: u64) -> Self {
        let estimated_count = seen + lost;
        Self { lost, estimated_count, rates_estimated: lost * 100 > estimated_count }
    }
}

/// Server-side totals of a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Exchanges.
    pub requests: u64,
    /// Failed ones and 5xx.
    pub errors: u64,
    /// `errors` ÷ `requests`, 0..1; null without requests.
    pub error_rate: Option<f64>,
    /// Over the window (or the time since the start).
    pub requests_per_minute: f64,
    /// In the last full second.
    pub rate_now_per_second: f64,
    /// Highest second of the window.
    pub rate_peak_per_second: f64,
    /// Most requests under way at once.
    pub concurrency_peak: u64,
    /// Latency of all.
    #[serde(flatten)]
    pub latency: Latency,
    /// By class.
    pub error_classes: ErrorClasses,
    /// By speed.
    pub categories: Categories,
    /// Errors and slowness.
    pub correlation: Correlation,
    /// Exchanges fully seen ÷ exchanges, those that were lost too, 0..1.
    pub completeness: Option<f64>,
    /// What was lost.
    #[serde(flatten)]
    pub losses: Losses,
}

/// One endpoint of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointRow {
    /// Service name.
    pub service: Arc<str>,
    /// Method.
    pub method: Arc<str>,
    /// Template. `(other)` is the overflow row, `(not found)` holds paths that were only answered with 400, 404, 405, 410 or 414, and
    /// `(unknown)` holds exchanges whose request was not seen. These have the method `*`.
    pub endpoint: Arc<str>,
    /// Exchanges.
    pub count: u64,
    /// Failed ones and 5xx.
    pub errors: u64,
    /// 0..1; null in a row that only has requests under way.
    pub error_rate: Option<f64>,
    /// Over the window.
    pub requests_per_minute: f64,
    /// In the last full second.
    pub rate_now_per_second: f64,
    /// Highest second of the window.
    pub rate_peak_per_second: f64,
    /// Latency (first byte for streaming exchanges).
    #[serde(flatten)]
    pub latency: Latency,
    /// Time to the first byte of the answer.
    pub ttfb_p50_ms: Option<f64>,
    /// 95th percentile.
    pub ttfb_p95_ms: Option<f64>,
    /// Time that requests waited for the application.
    pub queue_p50_ms: Option<f64>,
    /// 95th percentile.
    pub queue_p95_ms: Option<f64>,
    /// Mean of it.
    pub queue_mean_ms: Option<f64>,
    /// Whole duration of streaming exchanges.
    pub stream_p50_ms: Option<f64>,
    /// 95th percentile.
    pub stream_p95_ms: Option<f64>,
    /// Maximum.
    pub stream_max_ms: Option<f64>,
    /// Mean request body.
    pub request_size_mean_bytes: Option<f64>,
    /// Mean response body.
    pub response_size_mean_bytes: Option<f64>,
    /// By speed.
    pub categories: Categories,
    /// By class.
    pub error_classes: ErrorClasses,
    /// Errors and slowness.
    pub correlation: Correlation,
    /// Share of the time that all requests of the window took, 0..1; sorting by it shows the bottleneck first.
    #[serde(serialize_with = "millionths")]
    pub share_of_time: f64,
    /// Most under way at once in the window.
    pub concurrency_peak: u64,
    /// Under way now.
    pub in_flight: u64,
    /// Age of the oldest of them.
    pub oldest_in_flight_ms: Option<f64>,
    /// Exchanges fully seen ÷ exchanges, those that were lost too, 0..1.
    pub completeness: Option<f64>,
    /// What was lost.
    #[serde(flatten)]
    pub losses: Losses,
    /// What its requests called; null where its process calls nobody.
    pub downstream: Option<DownstreamRow>,
    /// `span_id` of its slowest exchanges in the last five minutes, at most five, slowest first.
    pub slowest_span_ids: Arc<[SpanId]>,
}

/// Server-side totals of one service; fields as in [`EndpointRow`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServiceRow {
    /// Service name.
    pub service: Arc<str>,
    /// The process of the service that was seen last.
    #[serde(skip)]
    pub origin: Option<Arc<Origin>>,
    /// Exchanges.
    pub count: u64,
    /// Failed ones and 5xx.
    pub errors: u64,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// Over the window.
    pub requests_per_minute: f64,
    /// In the last full second.
    pub rate_now_per_second: f64,
    /// Highest second of the window.
    pub rate_peak_per_second: f64,
    /// Latency (first byte for streaming exchanges).
    #[serde(flatten)]
    pub latency: Latency,
    /// Time to the first byte of the answer.
    pub ttfb_p50_ms: Option<f64>,
    /// 95th percentile.
    pub ttfb_p95_ms: Option<f64>,
    /// Time that requests waited for the application.
    pub queue_p50_ms: Option<f64>,
    /// 95th percentile.
    pub queue_p95_ms: Option<f64>,
    /// Mean of it.
    pub queue_mean_ms: Option<f64>,
    /// By speed.
    pub categories: Categories,
    /// By class.
    pub error_classes: ErrorClasses,
    /// Errors and slowness.
    pub correlation: Correlation,
    /// Share of the time that all requests of the window took, 0..1.
    pub share_of_time: f64,
    /// Most under way at once in the window.
    pub concurrency_peak: u64,
    /// Under way now.
    pub in_flight: u64,
    /// Age of the oldest of them.
    pub oldest_in_flight_ms: Option<f64>,
    /// Exchanges fully seen ÷ exchanges, those that were lost too, 0..1.
    pub completeness: Option<f64>,
    /// What was lost.
    #[serde(flatten)]
    pub losses: Losses,
    /// `span_id` of its slowest exchanges in the last five minutes, at most five, slowest first.
    pub slowest_span_ids: Arc<[SpanId]>,
}

/// Written with six decimals at most: further ones say nothing and change with each request to any endpoint.
fn millionths<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1e6).round() / 1e6)
}

/// One external service, seen from the clients on this host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DestinationRow {
    /// Who asks.
    pub service: Arc<str>,
    /// Service that was called.
    pub destination: Arc<str>,
    /// Exchanges.
    pub count: u64,
    /// Failed ones and 5xx.
    pub errors: u64,
    /// Of these: connections that could not be opened.
    #[serde(default)]
    pub connect_errors: u64,
    /// By class.
    #[serde(default)]
    pub error_classes: ErrorClasses,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// 1 − failed attempts ÷ attempts, 0..1.
    pub availability: Option<f64>,
    /// Over the window.
    pub requests_per_minute: f64,
    /// Latency.
    #[serde(flatten)]
    pub latency: Latency,
    /// Median time to first byte.
    pub ttfb_p50_ms: Option<f64>,
    /// 95th percentile of it.
    pub ttfb_p95_ms: Option<f64>,
    /// Connections that were opened, seen from their beginning and used.
    pub connects: u64,
    /// Median of what their connect() took.
    pub connect_p50_ms: Option<f64>,
    /// 95th percentile of it.
    pub connect_p95_ms: Option<f64>,
    /// 99th percentile of it.
    pub connect_p99_ms: Option<f64>,
    /// Of these connections, those with a TLS handshake that was seen from its beginning.
    pub tls_handshakes: u64,
    /// Median of what a handshake took.
    pub tls_p50_ms: Option<f64>,
    /// 95th percentile of it.
    pub tls_p95_ms: Option<f64>,
    /// 99th percentile of it.
    pub tls_p99_ms: Option<f64>,
    /// Questions of the service for the destination's name that were answered.
    pub dns_lookups: u64,
    /// Median of what they took; where addresses of two families were asked for, of the slower one.
    pub dns_p50_ms: Option<f64>,
    /// 95th percentile of it.
    pub dns_p95_ms: Option<f64>,
    /// 99th percentile of it.
    pub dns_p99_ms: Option<f64>,
    /// Mean of the smoothed round-trip times of its connections.
    pub round_trip_ms: Option<f64>,
    /// Largest of them.
    pub round_trip_max_ms: Option<f64>,
    /// TCP segments sent to it.
    pub segments: u64,
    /// Of these, sent again.
    pub retransmits: u64,
    /// Segments sent again ÷ segments, 0..1.
    pub retransmit_rate: Option<f64>,
    /// Exchanges that repeat one that failed within the same served request.
    pub retries: u64,
    /// Exchanges fully seen ÷ exchanges, those that were lost too, 0..1.
    pub completeness: Option<f64>,
    /// What was lost.
    #[serde(flatten)]
    pub losses: Losses,
}
