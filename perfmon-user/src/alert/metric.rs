//! The metrics that a rule can use: all of `record::metric`, and that of perfmon itself; their words and units in messages.
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::record::custom::{CustomMetric, CustomMetrics, CustomValue, PREFIX};
use crate::record::kind::SeriesLabel;
use crate::record::metric::{Field, Measure, Metric as Named, RecordKind, Statistic, Unit};
use crate::record::{Degradation, Origin};

use super::figures::MetricView;
use super::rule::{MIN_SAMPLES, Rule, WINDOW, WINDOW_OF_SAMPLES};

/// Names that an error offers.
const NEAREST: usize = 4;

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
    /// Whether the value is an estimate: more than one exchange in a hundred was lost.
    pub estimated: bool,
    /// The limit, when it is not that of the rule.
    pub limit: Option<f64>,
    /// The verdict, when it does not follow from value and limit.
    pub verdict: Option<bool>,
}

impl MetricReading {
    /// Of something of which there is no figure.
    pub fn unread(scope: Arc<str>) -> Self {
        Self { scope, origin: None, value: None, samples: 0, reason: None, estimated: false, limit: None, verdict: None }
    }
}

impl fmt::Debug for AlertMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl AlertMetric {
    /// The built-in metric of a name; the error names the nearest ones.
    pub fn named(name: &str) -> Result<Self, String> {
        Self::among(name, &CustomMetrics::default())
    }

    /// The metric of a name, built in or one of these; the error names the nearest ones.
    pub fn among(name: &str, custom: &CustomMetrics) -> Result<Self, String> {
        let known = if name == DEGRADED { Some(Self::Degraded) } else { custom.parse(name).map(Self::of) };
        known.ok_or_else(|| {
            if name.starts_with(PREFIX) && custom.is_empty() {
                return format!("{name:?} is not a metric; the configuration defines none: add it as an entry of [[metrics]]");
            }
            let mut names = custom.names();
            // Of a name with this beginning only those of the configuration are meant.
            names.retain(|known| !name.starts_with(PREFIX) || known.starts_with(PREFIX));
            names.push(DEGRADED.into());
            names.sort_by(|a, b| strsim::jaro_winkler(b, name).total_cmp(&strsim::jaro_winkler(a, name)));
            names.truncate(NEAREST);
            format!("{name:?} is not a metric; the nearest names are {}; all are in docs/http-api.md", names.join(", "))
        })
    }

    /// A metric of records. Of file systems each is judged, where history has the fullest.
    fn of(named: Named) -> Self {
        let of_disk = |name| Field::named(RecordKind::Disk, name).map(|field| Measure::Field(field, Statistic::Mean));
        let disk = match named {
            Named { kind: RecordKind::System, measure: Measure::Field(field, Statistic::Mean) } => match field.name {
                "disk_usage" => of_disk("usage"),
                "disk_used_percent" => of_disk("used_percent"),
                _ => None,
            },
            _ => None,
        };
        Self::Observed(disk.map_or(named, |measure| Named { kind: RecordKind::Disk, measure }))
    }

    /// Its name, the first of its names; of a sample without a statistic.
    pub fn name(&self) -> String {
        let Self::Observed(named) = self else { return DEGRADED.into() };
        let name = match (named.kind, named.to_string()) {
            (RecordKind::Disk, name) if name == "disk.usage.mean" => "system.disk_usage".into(),
            (RecordKind::Disk, name) if name == "disk.used_percent.mean" => "system.disk_used_percent".into(),
            (_, name) => name,
        };
        if self.of_window() { name } else { name.trim_end_matches(".mean").into() }
    }

    /// What it is in a sentence, like `error rate`.
    pub fn words(&self) -> String {
        let Self::Observed(named) = self else { return "number of degraded parts".into() };
        let things = named.kind.things();
        let of = if named.kind == RecordKind::Request { String::new() } else { format!(" of {things}") };
        match named.measure {
            Measure::Custom(custom) => format!("metric {}", custom.name()),
            Measure::Count => format!("number of {things}"),
            Measure::PerMinute => format!("{things} per minute"),
            Measure::Errors => format!("number of failed {things}"),
            Measure::ErrorRate => format!("error rate{of}"),
            Measure::Availability => format!("availability{of}"),
            Measure::Field(field, statistic) => match statistic {
                Statistic::Mean if self.of_window() => format!("mean {}", words(field)),
                Statistic::Max if field.unit != Unit::Duration => format!("highest {}", words(field)),
                Statistic::Min if field.unit != Unit::Duration => format!("lowest {}", words(field)),
                Statistic::Min => format!("shortest {}", words(field)),
                Statistic::Count => format!("number of {things} with a {}", words(field)),
                Statistic::Quantile(0.5) => format!("median {}", words(field)),
                Statistic::Quantile(share) => format!("{:.0}th percentile of {}", share * 100.0, words(field)),
                Statistic::Max => format!("longest {}", words(field)),
                Statistic::Mean | Statistic::Sum => words(field).into_owned(),
            },
        }
    }

    /// How its figures are shown when the largest is `largest`: a factor, and what is written after the number.
    pub fn shown_as(&self, largest: f64) -> (f64, &'static str) {
        let Self::Observed(Named { measure, .. }) = self else { return (1.0, "") };
        let name = match measure {
            Measure::ErrorRate | Measure::Availability => return (100.0, " %"),
            Measure::Custom(custom) => return shown_custom(custom, largest),
            Measure::Field(field, _) => field.name,
            _ => return (1.0, ""),
        };
        let units = [("_ms", 1.0, " ms"), ("_percent", 1.0, " %"), ("usage", 100.0, " %"), ("_usd", 1.0, " USD")];
        if name.ends_with("_bytes") {
            return shown_bytes(largest);
        }
        units.into_iter().find(|(ending, ..)| name.ends_with(ending)).map_or((1.0, ""), |(_, factor, unit)| (factor, unit))
    }

    /// Kind of its records; none of what is about perfmon itself.
    pub fn kind(&self) -> Option<RecordKind> {
        if let Self::Observed(named) = self { Some(named.kind) } else { None }
    }

    /// Labels of its series; none of what is about perfmon itself.
    pub fn labels(&self) -> Option<&'static [SeriesLabel]> {
        if let Self::Observed(named) = self { Some(named.labels()) } else { None }
    }

    /// Whether it is about perfmon itself.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Degraded)
    }

    /// True for a metric of things that happened, false for one of samples.
    pub fn of_window(&self) -> bool {
        self.kind().is_some_and(|kind| !kind.is_sample())
    }

    /// Window of a rule that names none.
    pub fn default_window(&self) -> Duration {
        if self.of_window() { WINDOW } else { WINDOW_OF_SAMPLES }
    }

    /// Default of the smallest number of requests, calls or runs; counts and sums need no minimum.
    pub fn min_samples(&self) -> u64 {
        match self {
            Self::Observed(named) if self.of_window() && !named.is_amount() => MIN_SAMPLES,
            _ => 0,
        }
    }
}

fn shown_bytes(largest: f64) -> (f64, &'static str) {
    let sizes = [(1e9, 1e-9, " GB"), (1e6, 1e-6, " MB"), (0.0, 1.0, " bytes")];
    sizes.into_iter().find(|(from, ..)| largest >= *from).map_or((1.0, " bytes"), |(_, factor, unit)| (factor, unit))
}

/// Of a business metric.
fn shown_custom(custom: &CustomMetric, largest: f64) -> (f64, &'static str) {
    match (custom.value(), custom.unit()) {
        (CustomValue::Ratio(_), _) => (100.0, " %"),
        (_, Some("bytes")) => shown_bytes(largest),
        (_, Some("ms")) => (1.0, " ms"),
        (_, Some("percent")) => (1.0, " %"),
        (_, Some("usd")) => (1.0, " USD"),
        (_, Some("tokens")) => (1.0, " tokens"),
        _ => (1.0, ""),
    }
}

/// A field in a sentence: its own words, or those of its name.
fn words(field: &Field) -> Cow<'static, str> {
    let words = match (field.kind, field.name) {
        (RecordKind::Agent, "execution_time_ms") => "time of agent runs",
        (RecordKind::Llm, "cost_usd") => "cost of model calls",
        (RecordKind::Llm, "input_tokens") => "number of input tokens",
        (RecordKind::Llm, "output_tokens") => "number of output tokens",
        (RecordKind::Db, "rows") => "number of rows",
        (RecordKind::System, "cpu_percent") => "CPU",
        (RecordKind::System, "cpu_usage") => "CPU",
        (RecordKind::System, "memory_percent") => "memory",
        (RecordKind::System, "memory_usage") => "memory",
        (RecordKind::System, "memory_available_bytes") => "available memory",
        (RecordKind::System, "swap_percent") => "swap use",
        (RecordKind::System, "load_1m") => "load of one minute",
        (RecordKind::System, "disk_usage" | "disk_used_percent") => "disk use",
        (RecordKind::Disk, "usage" | "used_percent") => "disk use",
        (RecordKind::Disk, "free_bytes") => "free space",
        (RecordKind::Disk, "busy_percent") => "busy time of the disk",
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

/// What perfmon tells of itself.
pub(super) struct OwnState<'a>(pub &'a [Degradation]);

impl MetricView for OwnState<'_> {
    fn read(&self, _: &Rule, _: u64) -> Vec<MetricReading> {
        let origin = Arc::new(Origin::of_perfmon());
        let reading = |one: &Degradation| MetricReading {
            reason: Some(one.message()),
            origin: Some(origin.clone()),
            value: Some(1.0),
            samples: u64::MAX,
            ..MetricReading::unread(one.part.into())
        };
        self.0.iter().map(reading).collect()
    }

    fn is_covered(&self, _: &Rule) -> bool {
        true
    }

    fn is_empty(&self, _: &Rule) -> bool {
        self.0.is_empty()
    }

    fn watched_s(&self, _: &Rule) -> f64 {
        f64::INFINITY
    }
}
