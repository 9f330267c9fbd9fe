//! Names of metrics, the same in `/api/v1/history`, in alert rules and in reports: `<record kind>.<field>.<statistic>`, made from the kinds
//! and fields of records, and short names of the common ones. One table lists the fields and the value that a record adds. A new field of a record gets a line here with its own id; ids are stored on disk and never reused.
use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use super::custom::{CustomMetric, CustomValue};
pub use super::kind::RecordKind;
use super::kind::SeriesLabel;
use super::{Agent, Db, Disk, Dns, Finding, Llm, Millis, Pool, Process, Record, Request, System, Tcp, Tool, Workflow};

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds, with a stored distribution.
    Duration,
    /// Tokens of models, which add up.
    Tokens,
    /// Other numbers that add up.
    Amount,
    /// Any other number: a level, a share, a rate.
    Number,
}

/// A field with numbers.
pub struct Field {
    /// Stored on disk; never changes.
    pub id: u8,
    /// Kind of record.
    pub kind: RecordKind,
    /// Name as in the records, or of the counted condition.
    pub name: &'static str,
    /// What its values are.
    pub unit: Unit,
    value: MetricValue,
}

/// How the value is found in a record of its kind.
enum MetricValue {
    Request(fn(&Request) -> Option<f64>),
    Llm(fn(&Llm) -> Option<f64>),
    Agent(fn(&Agent) -> Option<f64>),
    Tool(fn(&Tool) -> Option<f64>),
    Workflow(fn(&Workflow) -> Option<f64>),
    Process(fn(&Process) -> Option<f64>),
    System(fn(&System) -> Option<f64>),
    Disk(fn(&Disk) -> Option<f64>),
    Finding(fn(&Finding) -> Option<f64>),
    Db(fn(&Db) -> Option<f64>),
    Pool(fn(&Pool) -> Option<f64>),
    Dns(fn(&Dns) -> Option<f64>),
    Tcp(fn(&Tcp) -> Option<f64>),
    #[cfg(test)]
    MadeUp(fn(&Dns) -> Option<f64>),
    /// The business metric says what a record adds.
    Custom(fn(()) -> Option<f64>),
}

impl Field {
    /// The value in a record; durations in milliseconds.
    pub fn value(&self, record: &Record) -> Option<f64> {
        match (&self.value, record) {
            (MetricValue::Request(value), Record::Request(request)) => value(request),
            (MetricValue::Llm(value), Record::Llm(call)) => value(call),
            (MetricValue::Agent(value), Record::Agent(run)) => value(run),
            (MetricValue::Tool(value), Record::Tool(run)) => value(run),
            (MetricValue::Workflow(value), Record::Workflow(run)) => value(run),
            (MetricValue::Process(value), Record::Process(process)) => value(process),
            (MetricValue::System(value), Record::System(system)) => value(system),
            (MetricValue::Finding(value), Record::Finding(finding)) => value(finding),
            (MetricValue::Db(value), Record::Db(command)) => value(command),
            (MetricValue::Pool(value), Record::Pool(pool)) => value(pool),
            (MetricValue::Dns(value), Record::Dns(question)) => value(question),
            (MetricValue::Tcp(value), Record::Tcp(tcp)) => value(tcp),
            #[cfg(test)]
            (MetricValue::MadeUp(value), Record::Dns(question)) => value(question),
            (MetricValue::Custom(value), _) => value(()),
            _ => None,
        }
    }

    /// The value of a file system.
    pub fn of_disk(&self, disk: &Disk) -> Option<f64> {
        if let MetricValue::Disk(value) = &self.value { value(disk) } else { None }
    }

    /// The field of a kind with this name.
    pub fn named(kind: RecordKind, name: &str) -> Option<&'static Self> {
        Self::of(kind).find(|field| field.name == name)
    }

    /// The fields of a kind.
    pub fn of(kind: RecordKind) -> impl Iterator<Item = &'static Self> {
        FIELDS[RANGES[kind as usize].clone()].iter()
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind.name(), self.name)
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.id) == (other.kind, other.id)
    }
}

macro_rules! fields {
    ($($kind:ident($record:ident) { $($(#[$attribute:meta])? $id:literal $name:ident $unit:ident = $value:expr;)* })*) => {
        &[$($($(#[$attribute])? Field {
            id: $id,
            kind: RecordKind::$kind,
            name: stringify!($name),
            unit: Unit::$unit,
            value: MetricValue::$kind(|$record| $value),
        },)*)*]
    };
}

static FIELDS: &[Field] = fields! {
    Request(r) {
        1 response_time_ms Duration = ms(r.latency());
        2 time_to_first_byte_ms Duration = ms(r.time_to_first_byte_ms);
        3 queue_time_ms Duration = ms(r.queue_time_ms);
        4 request_bytes Amount = Some(r.request_bytes as f64);
        5 response_bytes Amount = Some(r.response_bytes as f64);
        6 status_4xx Amount = one(r.status_code.is_some_and(|status| (400..500).contains(&status)));
        7 status_5xx Amount = one(r.status_code.is_some_and(|status| (500..600).contains(&status)));
        8 failed Amount = one(r.error.is_some());
        9 slow Amount = one(r.performance_category == Some(super::Category::Slow));
        10 exact Amount = one(r.quality == super::Quality::Exact);
        11 lost Amount = { let _ = r; None };
        12 connect_time_ms Duration = ms(r.connect_time_ms.filter(|_| !r.is_attempt()));
        13 tls_time_ms Duration = ms(r.tls_time_ms);
    }
    Llm(r) {
        1 response_time_ms Duration = ms(r.response_time_ms);
        2 time_to_first_byte_ms Duration = ms(r.time_to_first_byte_ms);
        3 time_to_first_token_ms Duration = ms(r.time_to_first_token_ms);
        4 input_tokens Tokens = number(r.input_tokens);
        5 output_tokens Tokens = number(r.output_tokens);
        6 cache_read_tokens Tokens = number(r.cache_read_tokens);
        7 cache_write_tokens Tokens = number(r.cache_write_tokens);
        8 reasoning_tokens Tokens = number(r.reasoning_tokens);
        9 cost_usd Amount = r.cost_usd;
        10 output_tokens_per_second Number = r.output_tokens_per_second;
    }
    Agent(r) {
        1 execution_time_ms Duration = ms(Some(r.execution_time_ms));
        2 llm_calls Amount = Some(r.llm_calls as f64);
        3 tools_called Amount = Some(r.tools_called as f64);
        4 tokens_used Tokens = number(r.tokens_used);
        5 cost_usd Amount = r.cost_usd;
        6 model_time_ms Duration = ms(Some(r.model_time_ms));
        7 tool_time_ms Duration = ms(Some(r.tool_time_ms));
        8 local_time_ms Duration = ms(Some(r.local_time_ms));
    }
    Tool(r) {
        1 execution_time_ms Duration = ms(r.execution_time_ms);
    }
    Workflow(r) {
        1 execution_time_ms Duration = ms(Some(r.execution_time_ms));
        2 llm_calls Amount = Some(r.llm_calls as f64);
        3 tools_called Amount = Some(r.tools_called as f64);
        4 tokens_used Tokens = number(r.tokens_used);
        5 cost_usd Amount = r.cost_usd;
    }
    Process(r) {
        1 cpu_percent Number = r.cpu_percent;
        2 memory_rss_bytes Number = Some(r.memory_rss_bytes as f64);
        3 memory_percent Number = Some(r.memory_percent);
        4 threads Number = Some(r.threads as f64);
        5 open_files Number = number(r.open_files);
        6 connections Number = number(r.connections);
        7 read_bytes Amount = number(r.read_bytes);
        8 write_bytes Amount = number(r.write_bytes);
        9 run_queue_wait_ms Number = ms(r.run_queue_wait_ms);
        10 blocked_io_ms Number = ms(r.blocked_io_ms);
    }
    System(r) {
        1 cpu_percent Number = r.cpu_percent;
        2 memory_percent Number = Some(r.memory_percent);
        3 memory_available_bytes Number = Some(r.memory_available_bytes as f64);
        4 swap_percent Number = r.swap_percent;
        5 load_1m Number = Some(r.load_1m);
        6 disk_used_percent Number = r.disks.iter().map(|disk| disk.used_percent).reduce(f64::max);
        7 rx_bytes Amount = Some(r.network.iter().map(|network| network.rx_bytes as f64).sum());
        8 tx_bytes Amount = Some(r.network.iter().map(|network| network.tx_bytes as f64).sum());
        9 interval_ms Number = ms(Some(r.interval_ms));
        10 active_connections Number = { let _ = r; None };
        11 cpu_usage Number = r.cpu_percent.map(|percent| percent / 100.0);
        12 memory_usage Number = Some(r.memory_percent / 100.0);
        13 disk_usage Number = r.disks.iter().map(|disk| disk.used_percent / 100.0).reduce(f64::max);
    }
    Disk(r) {
        1 used_percent Number = Some(r.used_percent);
        2 usage Number = Some(r.used_percent / 100.0);
        3 free_bytes Number = Some(r.free_bytes as f64);
        4 read_bytes Amount = number(r.read_bytes);
        5 write_bytes Amount = number(r.write_bytes);
        6 busy_percent Number = r.busy_percent;
    }
    Finding(r) {
        1 critical Amount = one(r.severity == super::Severity::Critical);
    }
    Custom(_r) {
        1 duration_ms Duration = None;
        2 value Amount = None;
        3 part Amount = None;
    }
    Db(r) {
        1 response_time_ms Duration = ms(r.latency());
        2 time_to_first_byte_ms Duration = ms(r.time_to_first_byte_ms.filter(|_| !r.is_blocking()));
        3 rows Amount = number(r.rows);
        4 request_bytes Amount = Some(r.request_bytes as f64);
        5 response_bytes Amount = Some(r.response_bytes as f64);
    }
    MadeUp(r) {
        #[cfg(test)]
        1 response_time_ms Duration = ms(r.response_time_ms);
        #[cfg(test)]
        2 attempts Amount = Some(f64::from(r.attempts));
    }
    Pool(r) {
        1 open Number = Some(r.open as f64);
        2 in_use Number = Some(r.in_use as f64);
        3 idle Number = Some(r.idle as f64);
        4 peak_in_use Number = Some(r.peak_in_use as f64);
        5 size Number = Some(r.size as f64);
        6 opened Amount = Some(r.opened as f64);
        7 closed Amount = Some(r.closed as f64);
        8 uses Amount = Some(r.uses as f64);
        9 use_time_p95_ms Number = ms(r.use_time_p95_ms);
        10 saturated Number = Some(f64::from(u8::from(r.saturated)));
        11 silent_in_use_ms Number = ms(r.silent_in_use_ms);
    }
    Dns(r) {
        1 response_time_ms Duration = ms(r.response_time_ms);
        2 attempts Amount = Some(f64::from(r.attempts));
    }
    Tcp(r) {
        1 segments Amount = Some(r.segments as f64);
        2 retransmits Amount = Some(r.retransmits as f64);
        3 round_trip_ms Number = ms(r.round_trip_ms);
        4 round_trip_max_ms Number = ms(r.round_trip_max_ms);
    }
};

/// More than the highest number of a kind.
const NUMBERS: usize = 16;

/// The fields of each kind, by its number.
static RANGES: LazyLock<[Range<usize>; NUMBERS]> = LazyLock::new(|| {
    std::array::from_fn(|number| {
        let mine = |field: &Field| field.kind as usize == number;
        let start = FIELDS.iter().position(mine).unwrap_or_default();
        start..start + FIELDS.iter().filter(|field| mine(field)).count()
    })
});

fn ms(time: Option<Millis>) -> Option<f64> {
    time.map(|time| time.0 as f64 / 1e6)
}

fn number(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

/// One if the condition is true: summed, it is a count.
fn one(holds: bool) -> Option<f64> {
    holds.then_some(1.0)
}

/// How values are combined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// How many values.
    Count,
    /// Added up.
    Sum,
    /// Average.
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// The value that this share (0..1) does not exceed; only of durations.
    Quantile(f64),
}

const STATISTICS: [(&str, Statistic); 9] = [
    ("count", Statistic::Count),
    ("sum", Statistic::Sum),
    ("mean", Statistic::Mean),
    ("min", Statistic::Min),
    ("max", Statistic::Max),
    ("p50", Statistic::Quantile(0.5)),
    ("p90", Statistic::Quantile(0.9)),
    ("p95", Statistic::Quantile(0.95)),
    ("p99", Statistic::Quantile(0.99)),
];

impl Statistic {
    /// That of a name.
    pub fn named(name: &str) -> Option<Self> {
        STATISTICS.iter().find(|(known, _)| *known == name).map(|(_, statistic)| *statistic)
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        STATISTICS.iter().map(|(name, _)| *name)
    }
}

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// Records.
    Count,
    /// Records per minute.
    PerMinute,
    /// Failed ones.
    Errors,
    /// Failed ÷ all, 0..1.
    ErrorRate,
    /// The others ÷ all, 0..1.
    Availability,
    /// Of a field.
    Field(&'static Field, Statistic),
    /// What a business metric defines.
    Custom(&'static CustomMetric),
}

const MEASURES: [(&str, Measure); 5] = [
    ("count", Measure::Count),
    ("per_minute", Measure::PerMinute),
    ("errors", Measure::Errors),
    ("error_rate", Measure::ErrorRate),
    ("availability", Measure::Availability),
];

/// Short names, and second ones.
const ALIASES: [(&str, &str); 16] = [
    ("response_time_p50", "request.response_time_ms.p50"),
    ("response_time_p95", "request.response_time_ms.p95"),
    ("response_time_p99", "request.response_time_ms.p99"),
    ("avg_response_time", "request.response_time_ms.mean"),
    ("error_rate", "request.error_rate"),
    ("requests_per_minute", "request.per_minute"),
    ("memory_percent", "system.memory_percent.mean"),
    ("cpu_percent", "system.cpu_percent.mean"),
    ("active_connections", "system.active_connections.mean"),
    ("avg_agent_time", "agent.execution_time_ms.mean"),
    ("cost_usd", "llm.cost_usd.sum"),
    ("cpu_usage", "system.cpu_usage.mean"),
    ("memory_usage", "system.memory_usage.mean"),
    ("disk_usage", "system.disk_usage.mean"),
    ("request.requests_per_minute", "request.per_minute"),
    ("llm.calls", "llm.count"),
];

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Kind of the records.
    pub kind: RecordKind,
    /// What of them.
    pub measure: Measure,
}

impl Metric {
    /// The built-in metric of a name; a field without a statistic is its mean.
    pub fn parse(name: &str) -> Option<Self> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, full)| full);
        let (kind, rest) = name.split_once('.')?;
        let kind = RecordKind::ALL.into_iter().find(|known| known.name() == kind && *known != RecordKind::Custom)?;
        let measure = MEASURES.iter().find(|(known, _)| *known == rest).map(|(_, measure)| *measure);
        let measure = measure.or_else(|| {
            let (field, statistic) = rest.split_once('.').unwrap_or((rest, "mean"));
            let statistic = Statistic::named(statistic)?;
            Some(Measure::Field(Field::named(kind, field)?, statistic))
        });
        measure.map(|measure| Self { kind, measure }).filter(|metric| metric.makes_sense())
    }

    fn makes_sense(&self) -> bool {
        match self.measure {
            Measure::Errors | Measure::ErrorRate | Measure::Availability => !self.kind.is_sample(),
            Measure::Field(field, Statistic::Quantile(_)) => field.unit == Unit::Duration,
            _ => true,
        }
    }

    /// Labels of its series.
    pub fn labels(&self) -> &'static [SeriesLabel] {
        if let Measure::Custom(custom) = self.measure { custom.labels() } else { self.kind.labels() }
    }

    /// The business metric that it is.
    pub fn custom(&self) -> Option<&'static CustomMetric> {
        if let Measure::Custom(custom) = self.measure { Some(custom) } else { None }
    }

    /// Whether it needs distributions.
    pub fn is_shaped(&self) -> bool {
        match self.measure {
            Measure::Field(_, statistic) => matches!(statistic, Statistic::Quantile(_)),
            Measure::Custom(custom) => matches!(custom.value(), CustomValue::Of(_, Statistic::Quantile(_))),
            _ => false,
        }
    }

    /// Every built-in name: the short ones, then all others.
    pub fn names() -> Vec<String> {
        let short = ALIASES.iter().map(|(alias, _)| (*alias).to_string());
        let kinds = || RecordKind::ALL.into_iter().filter(|kind| *kind != RecordKind::Custom);
        let of_kinds = kinds().flat_map(|kind| MEASURES.map(|(_, measure)| Self { kind, measure }));
        let fields = kinds()
            .flat_map(Field::of)
            .flat_map(|field| STATISTICS.map(|(_, statistic)| Measure::Field(field, statistic)).map(|m| (field, m)));
        let of_fields = fields.map(|(field, measure)| Self { kind: field.kind, measure });
        short.chain(of_kinds.chain(of_fields).filter(Self::makes_sense).map(|metric| metric.to_string())).collect()
    }

    /// Whether nothing counted means 0, and not "unknown".
    pub fn is_amount(&self) -> bool {
        match self.measure {
            Measure::Count | Measure::PerMinute | Measure::Errors | Measure::Field(_, Statistic::Count | Statistic::Sum) => true,
            Measure::Custom(custom) => custom.is_amount(),
            _ => false,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.name();
        match self.measure {
            Measure::Field(field, statistic) => {
                let name = STATISTICS.iter().find(|(_, known)| *known == statistic).map_or("", |(name, _)| name);
                write!(f, "{kind}.{}.{name}", field.name)
            }
            Measure::Custom(custom) => write!(f, "{kind}.{}", custom.name()),
            other => write!(f, "{kind}.{}", MEASURES.iter().find(|(_, known)| *known == other).map_or("", |(name, _)| name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_read_back_and_none_is_given_twice() {
        let names = Metric::names();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.len() > 100);
        for name in &names[ALIASES.len()..] {
            assert_eq!(Metric::parse(name).unwrap().to_string(), *name);
        }
        for (alias, full) in ALIASES {
            assert_eq!(Metric::parse(alias).unwrap().to_string(), full);
        }
    }

    #[test]
    fn nonsense_is_no_metric() {
        for name in ["", "request", "request.", "names.count", "request.path.p95", "system.cpu_percent.p95", "system.error_rate", "a.b.c.d"]
        {
            assert_eq!(Metric::parse(name), None, "{name}");
        }
        assert_eq!(Metric::parse("system.memory_percent").unwrap().to_string(), "system.memory_percent.mean");
    }

    #[test]
    fn ids_are_unique_in_their_kind() {
        let ids: BTreeSet<_> = FIELDS.iter().map(|field| (field.kind, field.id)).collect();
        assert_eq!(ids.len(), FIELDS.len());
        assert!(FIELDS.iter().all(|field| field.id < 32), "a `FieldSet` has a bit for each");
        assert!(RecordKind::ALL.iter().all(|kind| Field::of(*kind).is_sorted_by_key(|field| field.id)), "cells rely on it");
        let ranged: Vec<_> = RecordKind::ALL.into_iter().flat_map(Field::of).collect();
        assert!(ranged.len() == FIELDS.len() && RecordKind::ALL.iter().all(|kind| Field::of(*kind).all(|field| field.kind == *kind)));
    }
}
