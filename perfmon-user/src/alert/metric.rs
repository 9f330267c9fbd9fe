//! The metrics that a rule can use, and how each is read from a snapshot. Names are those of `record::metric`; metrics that only history
//! has are refused. A metric of rows (endpoints, destinations, disks, processes) gives one reading for each row.
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::aggregate::snapshot::{DestinationRow, EndpointRow, Latency, ServiceRow, Snapshot, Totals, Window, WindowView, WorkTotals};
use crate::record::metric::{Field, Measure, Metric as Named, RecordKind, Statistic};
use crate::record::{Degradation, Disk, Origin};

use super::rule::{MIN_SAMPLES, RuleFilter};

/// What a metric is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricSource {
    /// Exchanges of a window: totals, or one row a service, endpoint or destination when `where` narrows it.
    Requests,
    /// Model calls, agent runs and tools of a window, all together.
    Work,
    /// The newest sample of the host.
    Host,
    /// The newest sample of each target process.
    Processes,
    /// Current state.
    Now,
    /// perfmon itself.
    Own,
}

/// A metric that can be judged.
#[derive(Clone, Copy, PartialEq)]
pub enum AlertMetric {
    /// A metric of records.
    Observed(Named),
    /// A part of perfmon does not work as it should: 1 for each such part.
    Degraded,
}

/// Name of the metric about perfmon itself, and of the rule on it.
pub const DEGRADED: &str = "perfmon_degraded";

/// A value that was read.
#[derive(Clone, Debug)]
pub struct MetricReading {
    /// What it is about.
    pub scope: Arc<str>,
    /// The process, when the metric is about one.
    pub origin: Option<Arc<Origin>>,
    /// The value, when there is one.
    pub value: Option<f64>,
    /// Exchanges behind it; `u64::MAX` for a sample, which is never too few.
    pub samples: u64,
    /// What the message says instead of the figures.
    pub reason: Option<String>,
}

impl MetricReading {
    /// Of something of which there is no figure.
    pub fn unread(scope: Arc<str>) -> Self {
        Self { scope, origin: None, value: None, samples: 0, reason: None }
    }
}

/// The figures that totals, endpoints and destinations share.
#[derive(Default)]
struct ExchangeFigures {
    count: u64,
    errors: u64,
    error_rate: Option<f64>,
    requests_per_minute: f64,
    latency: Latency,
    availability: Option<f64>,
}

impl ExchangeFigures {
    /// Value of a request metric; `Err` when a snapshot does not have it.
    fn value(&self, measure: Measure) -> Result<Option<f64>, ()> {
        let latency = &self.latency;
        Ok(match measure {
            Measure::Count => Some(self.count as f64),
            Measure::PerMinute => Some(self.requests_per_minute),
            Measure::Errors => Some(self.errors as f64),
            Measure::ErrorRate => self.error_rate,
            Measure::Availability => self.availability,
            Measure::Field(field, statistic) if field.name == "response_time_ms" => match statistic {
                Statistic::Mean => latency.mean_ms,
                Statistic::Quantile(0.5) => latency.p50_ms,
                Statistic::Quantile(0.95) => latency.p95_ms,
                Statistic::Quantile(0.99) => latency.p99_ms,
                Statistic::Max => latency.max_ms,
                _ => return Err(()),
            },
            Measure::Field(..) => return Err(()),
        })
    }
}

/// Value of a metric of model calls, agent runs or tools, and the number of samples; `Err` when a snapshot does not have it.
fn work(kind: RecordKind, measure: Measure, totals: &WorkTotals) -> Result<(Option<f64>, u64), ()> {
    let (count, errors) = match kind {
        RecordKind::Llm => (totals.llm_calls, totals.llm_errors),
        RecordKind::Agent => (totals.agent_runs, totals.agent_errors),
        RecordKind::Tool => (totals.tool_calls, totals.tool_errors),
        _ => return Err(()),
    };
    let rate = (count > 0).then(|| errors as f64 / count as f64);
    let value = match measure {
        Measure::Count => Some(count as f64),
        Measure::Errors => Some(errors as f64),
        Measure::ErrorRate => rate,
        Measure::Availability => rate.map(|rate| 1.0 - rate),
        Measure::Field(field, statistic) => match (kind, field.name, statistic) {
            (RecordKind::Llm, "cost_usd", Statistic::Sum) => totals.cost_usd,
            (RecordKind::Llm, "input_tokens", Statistic::Sum) => totals.input_tokens.map(|tokens| tokens as f64),
            (RecordKind::Llm, "output_tokens", Statistic::Sum) => totals.output_tokens.map(|tokens| tokens as f64),
            (RecordKind::Agent, "execution_time_ms", Statistic::Mean) => totals.avg_agent_time_ms,
            _ => return Err(()),
        },
        Measure::PerMinute => return Err(()),
    };
    Ok((value, count))
}

/// Accessor of a field of one disk; `None` when the field is not about disks.
fn of_disk(field: &Field) -> Option<fn(&Disk) -> f64> {
    match field.name {
        "disk_usage" => Some(|disk| disk.used_percent / 100.0),
        "disk_used_percent" => Some(|disk| disk.used_percent),
        _ => None,
    }
}

impl fmt::Debug for AlertMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl AlertMetric {
    /// The metric of a name; the error names those that there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let parsed = |name: &str| Named::parse(name).map(Self::Observed).filter(Self::can_be_judged);
        let known = if name == DEGRADED { Some(Self::Degraded) } else { parsed(name) };
        known.ok_or_else(|| {
            let all = Named::names().into_iter().filter_map(|name| parsed(&name)).chain([Self::Degraded]);
            let mut names: Vec<String> = all.map(|metric| metric.name()).collect();
            names.sort();
            names.dedup();
            format!("{name:?} cannot be evaluated by a rule; the metrics are {}", names.join(", "))
        })
    }

    fn can_be_judged(&self) -> bool {
        let Self::Observed(Named { kind, measure }) = *self else { return true };
        match self.source() {
            MetricSource::Own => false,
            MetricSource::Requests => ExchangeFigures::default().value(measure).is_ok(),
            MetricSource::Work => work(kind, measure, &WorkTotals::default()).is_ok(),
            // A sample is its own mean.
            MetricSource::Host | MetricSource::Processes | MetricSource::Now => {
                matches!(measure, Measure::Field(field, Statistic::Mean) if field.name != "interval_ms")
            }
        }
    }

    /// Its name, the first of its names; of a sample without a statistic.
    pub fn name(&self) -> String {
        let Self::Observed(named) = self else { return DEGRADED.into() };
        let name = named.to_string();
        if self.of_window() { name } else { name.trim_end_matches(".mean").into() }
    }

    /// What it is in a sentence, like `error rate`.
    pub fn words(&self) -> String {
        let Self::Observed(named) = self else { return "number of degraded parts".into() };
        let things = match named.kind {
            RecordKind::Request => "requests",
            RecordKind::Llm => "model calls",
            RecordKind::Agent => "agent runs",
            RecordKind::Tool => "tool calls",
            RecordKind::Workflow | RecordKind::Process | RecordKind::System => "",
        };
        let of = if named.kind == RecordKind::Request { String::new() } else { format!(" of {things}") };
        match named.measure {
            Measure::Count => format!("number of {things}"),
            Measure::PerMinute => format!("{things} per minute"),
            Measure::Errors => format!("number of failed {things}"),
            Measure::ErrorRate => format!("error rate{of}"),
            Measure::Availability => format!("availability{of}"),
            Measure::Field(field, statistic) => match statistic {
                Statistic::Mean if self.of_window() => format!("mean {}", words(field)),
                Statistic::Quantile(0.5) => format!("median {}", words(field)),
                Statistic::Quantile(share) => format!("{:.0}th percentile of {}", share * 100.0, words(field)),
                Statistic::Max => format!("longest {}", words(field)),
                Statistic::Mean | Statistic::Min | Statistic::Sum | Statistic::Count => words(field).into_owned(),
            },
        }
    }

    /// How its figures are shown when the largest is `largest`: a factor, and what is written after the number.
    pub fn shown_as(&self, largest: f64) -> (f64, &'static str) {
        let Self::Observed(Named { measure, .. }) = self else { return (1.0, "") };
        let name = match measure {
            Measure::ErrorRate | Measure::Availability => return (100.0, " %"),
            Measure::Field(field, _) => field.name,
            _ => return (1.0, ""),
        };
        let units = [("_ms", 1.0, " ms"), ("_percent", 1.0, " %"), ("_usage", 100.0, " %"), ("_usd", 1.0, " USD")];
        let sizes = [(1e9, 1e-9, " GB"), (1e6, 1e-6, " MB"), (0.0, 1.0, " bytes")];
        if name.ends_with("_bytes") {
            return sizes.into_iter().find(|(from, ..)| largest >= *from).map_or((1.0, " bytes"), |(_, factor, unit)| (factor, unit));
        }
        units.into_iter().find(|(ending, ..)| name.ends_with(ending)).map_or((1.0, ""), |(_, factor, unit)| (factor, unit))
    }

    /// What it is read from.
    pub fn source(&self) -> MetricSource {
        let Self::Observed(named) = *self else { return MetricSource::Own };
        match named {
            Named { kind: RecordKind::Request, .. } => MetricSource::Requests,
            Named { kind: RecordKind::Llm | RecordKind::Agent | RecordKind::Tool | RecordKind::Workflow, .. } => MetricSource::Work,
            Named { kind: RecordKind::Process, .. } => MetricSource::Processes,
            Named { kind: RecordKind::System, measure: Measure::Field(field, _) } if field.name == "active_connections" => {
                MetricSource::Now
            }
            Named { kind: RecordKind::System, .. } => MetricSource::Host,
        }
    }

    /// True for a metric of a window, false for one of a sample.
    pub fn of_window(&self) -> bool {
        matches!(self.source(), MetricSource::Requests | MetricSource::Work)
    }

    /// Default of the smallest number of requests, calls or runs; counts and sums need no minimum.
    pub fn min_samples(&self) -> u64 {
        match self {
            Self::Observed(named) if self.of_window() && !named.is_amount() => MIN_SAMPLES,
            _ => 0,
        }
    }

    /// All readings. A row that no longer exists gives none.
    pub fn read(&self, snapshot: &Snapshot, window: Window, wanted: &RuleFilter) -> Vec<MetricReading> {
        let Self::Observed(Named { kind, measure }) = *self else { return degraded(snapshot) };
        match (self.source(), measure) {
            (MetricSource::Requests, _) => snapshot.window(window).map_or_else(Vec::new, |view| requests(view, wanted, measure)),
            (MetricSource::Work, _) => {
                let read = |view: &WindowView| {
                    let (value, samples) = work(kind, measure, &view.work).unwrap_or_default();
                    MetricReading { value, samples, ..MetricReading::unread("all services".into()) }
                };
                snapshot.window(window).map(read).into_iter().collect()
            }
            (MetricSource::Host, Measure::Field(field, _)) => match of_disk(field) {
                Some(read) => {
                    let disks = snapshot.system.iter().flat_map(|system| system.disks.iter().map(move |disk| (system, disk)));
                    disks.map(|(system, disk)| sampled(disk.mount.clone(), Some(&system.origin), Some(read(disk)))).collect()
                }
                None => {
                    let read = |system| field.of_system(system);
                    snapshot.system.iter().map(|system| sampled("host".into(), Some(&system.origin), read(system))).collect()
                }
            },
            (MetricSource::Processes, Measure::Field(field, _)) => {
                let mine = snapshot.processes.iter().filter(|process| matches(wanted.service.as_deref(), &process.origin.service));
                mine.map(|process| {
                    let scope = format!("{} (pid {})", process.origin.service, process.origin.pid);
                    sampled(scope.into(), Some(&process.origin), field.of_process(process))
                })
                .collect()
            }
            (MetricSource::Now, _) => {
                vec![sampled("all services".into(), None, snapshot.gauges.active_connections.map(|count| count as f64))]
            }
            (MetricSource::Host | MetricSource::Processes | MetricSource::Own, _) => Vec::new(),
        }
    }
}

/// A field in a sentence: its own words, or those of its name.
fn words(field: &Field) -> Cow<'static, str> {
    let words = match (field.kind, field.name) {
        (RecordKind::Agent, "execution_time_ms") => "time of agent runs",
        (RecordKind::Llm, "cost_usd") => "cost of model calls",
        (RecordKind::Llm, "input_tokens") => "number of input tokens",
        (RecordKind::Llm, "output_tokens") => "number of output tokens",
        (RecordKind::System, "cpu_percent") => "CPU",
        (RecordKind::System, "cpu_usage") => "CPU",
        (RecordKind::System, "memory_percent") => "memory",
        (RecordKind::System, "memory_usage") => "memory",
        (RecordKind::System, "memory_available_bytes") => "available memory",
        (RecordKind::System, "swap_percent") => "swap use",
        (RecordKind::System, "load_1m") => "load of one minute",
        (RecordKind::System, "disk_usage") => "disk use",
        (RecordKind::System, "disk_used_percent") => "disk use",
        (RecordKind::System, "active_connections") => "number of open connections",
        (RecordKind::Process, "cpu_percent") => "CPU use (100 = one core)",
        (RecordKind::Process, "memory_percent") => "share of memory",
        (RecordKind::Process, "memory_rss_bytes") => "resident memory",
        (RecordKind::Process, "threads") => "number of threads",
        (RecordKind::Process, "open_files") => "number of open descriptors",
        (RecordKind::Process, "connections") => "number of connections",
        (_, name) => return name.trim_end_matches("_ms").trim_end_matches("_bytes").replace('_', " ").into(),
    };
    words.into()
}

/// The parts of perfmon that do not work as they should.
fn degraded(snapshot: &Snapshot) -> Vec<MetricReading> {
    let origin = Arc::new(Origin::of_perfmon());
    let reading = |one: &Degradation| MetricReading { reason: Some(one.message()), ..sampled(one.part.into(), Some(&origin), Some(1.0)) };
    snapshot.degraded.iter().map(reading).collect()
}

fn sampled(scope: Arc<str>, origin: Option<&Arc<Origin>>, value: Option<f64>) -> MetricReading {
    MetricReading { origin: origin.cloned(), value, samples: u64::MAX, ..MetricReading::unread(scope) }
}

fn matches(wanted: Option<&str>, given: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == given)
}

/// Readings of the totals, or of the rows that the filter selects: destinations, endpoints or services.
fn requests(view: &WindowView, wanted: &RuleFilter, measure: Measure) -> Vec<MetricReading> {
    let reading = |scope: String, figures: ExchangeFigures| MetricReading {
        value: figures.value(measure).unwrap_or_default(),
        samples: figures.count,
        ..MetricReading::unread(scope.into())
    };
    let of_service = |service: &str| matches(wanted.service.as_deref(), service);
    if wanted.destination.is_some() {
        let named = |row: &DestinationRow| matches(wanted.destination.as_deref(), &row.destination);
        let rows = view.destinations.iter().filter(|row| of_service(&row.service) && named(row));
        rows.map(|row| reading(format!("{} → {}", row.service, row.destination), of_destination(row))).collect()
    } else if wanted.method.is_some() || wanted.endpoint.is_some() {
        let named =
            |row: &EndpointRow| matches(wanted.method.as_deref(), &row.method) && matches(wanted.endpoint.as_deref(), &row.endpoint);
        let rows = view.endpoints.iter().filter(|row| of_service(&row.service) && named(row));
        rows.map(|row| reading(format!("{} {} {}", row.service, row.method, row.endpoint), of_endpoint(row))).collect()
    } else if wanted.service.is_some() {
        let rows = view.services.iter().filter(|row| of_service(&row.service));
        rows.map(|row| MetricReading { origin: row.origin.clone(), ..reading(row.service.to_string(), of_one_service(row)) }).collect()
    } else {
        vec![reading("all services".into(), of_all(&view.totals))]
    }
}

fn of_all(totals: &Totals) -> ExchangeFigures {
    ExchangeFigures {
        count: totals.requests,
        errors: totals.errors,
        error_rate: totals.error_rate,
        requests_per_minute: totals.requests_per_minute,
        latency: totals.latency,
        availability: totals.error_rate.map(|rate| 1.0 - rate),
    }
}

fn of_one_service(row: &ServiceRow) -> ExchangeFigures {
    ExchangeFigures {
        count: row.count,
        errors: row.errors,
        error_rate: row.error_rate,
        requests_per_minute: row.requests_per_minute,
        latency: row.latency,
        availability: row.error_rate.map(|rate| 1.0 - rate),
    }
}

fn of_endpoint(row: &EndpointRow) -> ExchangeFigures {
    ExchangeFigures {
        count: row.count,
        errors: row.errors,
        error_rate: row.error_rate,
        requests_per_minute: row.requests_per_minute,
        latency: row.latency,
        availability: row.error_rate.map(|rate| 1.0 - rate),
    }
}

fn of_destination(row: &DestinationRow) -> ExchangeFigures {
    ExchangeFigures {
        count: row.count,
        errors: row.errors,
        error_rate: row.error_rate,
        requests_per_minute: row.requests_per_minute,
        latency: row.latency,
        availability: row.availability,
    }
}
