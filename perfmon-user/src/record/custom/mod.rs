//! Business metrics: figures that the user defines over filtered records of any kind. In: the definition as written; out: a compiled metric
//! that says what a record adds to it, or every problem. A metric is known by its name and a hash of its definition, so that figures of an
//! earlier definition under the same name are never mixed with new ones. Compiled metrics stay for the life of the process, as names of
//! metrics are copied freely; their number is bounded, over reloads too.
mod definition;
mod filter;
#[cfg(test)]
mod tests;

use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};

pub use self::definition::{CustomDefinition, CustomFault};
pub use self::filter::{FieldFilter, WrittenFilter};
use super::Record;
use super::kind::{RecordKind, SeriesLabel};
use super::metric::{Field, Measure, Metric, Statistic};
use super::readable::{FieldForm, RecordField, RecordShape};
use crate::limits;

/// What is measured of the records that pass.
#[derive(Debug)]
pub enum CustomValue {
    /// Their number.
    Count,
    /// A statistic of a field.
    Of(&'static RecordField, Statistic),
    /// Their number, divided by the number of those that pass this filter.
    Ratio(FieldFilter),
}

/// What one record adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CustomShare {
    /// One more.
    One,
    /// A value.
    Value(f64),
    /// Of a ratio: whether it is one of the part, and whether it is one of the whole.
    Ratio {
        /// It passes the metric's filter.
        part: bool,
        /// It passes the filter of the whole.
        whole: bool,
    },
}

/// One metric.
#[derive(Debug)]
pub struct CustomMetric {
    name: &'static str,
    shape: &'static RecordShape,
    wanted: FieldFilter,
    value: CustomValue,
    labels: Vec<SeriesLabel>,
    /// Hash of the definition, in hexadecimal digits.
    definition: &'static str,
    /// As configured, in words.
    summary: String,
}

impl PartialEq for CustomMetric {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.definition) == (other.name, other.definition)
    }
}

impl Eq for CustomMetric {}

impl Hash for CustomMetric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.hash(state);
    }
}

impl CustomMetric {
    /// Its name, without `custom.`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Tells definitions under one name apart.
    pub fn definition(&self) -> &'static str {
        self.definition
    }

    /// The kind of records that it is made of.
    pub fn from(&self) -> &'static str {
        self.shape.name
    }

    /// What it measures.
    pub fn value(&self) -> &CustomValue {
        &self.value
    }

    /// What it measures, in words.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The labels that tell its series apart.
    pub fn labels(&self) -> &[SeriesLabel] {
        &self.labels
    }

    /// As a metric.
    pub fn metric(&'static self) -> Metric {
        Metric { kind: RecordKind::Custom, measure: Measure::Custom(self) }
    }

    /// Whether its values add up, so that nothing counted means 0.
    pub fn is_amount(&self) -> bool {
        matches!(self.value, CustomValue::Count | CustomValue::Of(_, Statistic::Sum))
    }

    /// Whether its values are durations in milliseconds.
    pub fn is_duration(&self) -> bool {
        matches!(&self.value, CustomValue::Of(field, _) if field.form == FieldForm::Duration)
    }

    /// The unit at the end of a name of its field: `ms`, `bytes`, `tokens`, `usd`, `percent`; none of a number.
    pub fn unit(&self) -> Option<&'static str> {
        let CustomValue::Of(field, _) = &self.value else { return None };
        let units =
            [("_ms", "ms"), ("_bytes", "bytes"), ("_size", "bytes"), ("_tokens", "tokens"), ("tokens_used", "tokens"), ("_usd", "usd")];
        units.into_iter().chain([("_percent", "percent")]).find(|(ending, _)| field.name.ends_with(ending)).map(|(_, unit)| unit)
    }

    /// The unit of what it measures: as of its field, `ratio` of a ratio.
    pub fn measured_in(&self) -> Option<&'static str> {
        if matches!(self.value, CustomValue::Ratio(_)) { Some("ratio") } else { self.unit() }
    }

    /// The field of cells that has its values, and the statistic.
    pub fn cell_field(&self) -> Option<(&'static Field, Statistic)> {
        let CustomValue::Of(field, statistic) = &self.value else { return None };
        let name = if field.form == FieldForm::Duration { "duration_ms" } else { "value" };
        Some((Field::named(RecordKind::Custom, name)?, *statistic))
    }

    /// What a record adds; `None`: nothing.
    pub fn share(&self, record: &Record) -> Option<CustomShare> {
        match &self.value {
            CustomValue::Count => self.wanted.takes(record).then_some(CustomShare::One),
            CustomValue::Of(field, _) => {
                let value = field.number(record).filter(|value| value.is_finite())?;
                self.wanted.takes(record).then_some(CustomShare::Value(value))
            }
            CustomValue::Ratio(of) => {
                let (part, whole) = (self.wanted.takes(record), of.takes(record));
                (part || whole).then_some(CustomShare::Ratio { part, whole })
            }
        }
    }

    /// The metric of a name and the hash of a definition, if it was configured since the start.
    pub fn known(name: &str, definition: &str) -> Option<&'static Self> {
        KNOWN
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .iter()
            .find(|known| known.definition == definition && known.name == name)
            .copied()
    }
}

/// Metrics since the start. Equal definitions are one metric.
static KNOWN: Mutex<KnownMetrics> = Mutex::new(KnownMetrics(Vec::new()));

struct KnownMetrics(Vec<&'static CustomMetric>);

impl KnownMetrics {
    /// `None` when the table is full.
    fn intern(&mut self, metric: CustomMetric) -> Option<&'static CustomMetric> {
        let known = self.0.iter().find(|known| ***known == metric).copied();
        if known.is_some() {
            return known;
        }
        if self.0.len() >= limits::CUSTOM_METRICS_KNOWN {
            return None;
        }
        self.0.push(Box::leak(Box::new(metric)));
        self.0.last().copied()
    }
}

/// The configured metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomMetrics(Vec<&'static CustomMetric>);

impl CustomMetrics {
    /// Of these metrics.
    pub fn new(metrics: Vec<&'static CustomMetric>) -> Self {
        Self(metrics)
    }

    /// All, as configured.
    pub fn iter(&self) -> impl Iterator<Item = &'static CustomMetric> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The metric of a name like `custom.orders_created`, or a built-in one.
    pub fn parse(&self, name: &str) -> Option<Metric> {
        match name.strip_prefix(PREFIX) {
            Some(own) => self.iter().find(|metric| metric.name == own).map(CustomMetric::metric),
            None => Metric::parse(name),
        }
    }

    /// Every name, built-in ones and those of the configuration.
    pub fn names(&self) -> Vec<String> {
        let own = self.iter().map(|metric| metric.metric().to_string());
        Metric::names().into_iter().chain(own).collect()
    }
}

/// Begins the names of business metrics.
pub const PREFIX: &str = "custom.";

/// Names that a message offers.
const LISTED: usize = 40;
/// Likeness from which a name is probably meant, 0..1.
const LIKELY: f64 = 0.7;

/// What a message says about the right names.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let likeness = |candidate: &str| strsim::jaro_winkler(candidate, name);
    match known.iter().map(|candidate| (likeness(candidate), candidate)).max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((likeness, candidate)) if likeness >= LIKELY => format!("did you mean {candidate}?"),
        _ if known.len() <= LISTED => format!("they are {}", known.join(", ")),
        _ => "docs/records.md lists them".into(),
    }
}

/// Whether a record counts at all: of a finding the first, of a WebSocket the handshake, as for every other metric.
pub fn counts(record: &Record) -> bool {
    RecordKind::of(record).is_some() || matches!(record, Record::Alert(_))
}
