//! Business metrics over OTLP, as `perfmon.custom.` and the metric's name, under the host's resource. In: what the series counted; out: the
//! metrics of an interval. Counts and sums are deltas, statistics of durations distributions, the others values of the interval.
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use rustc_hash::FxHashMap;

use super::exponential::Distribution;
use super::instrument::{Instrument, InstrumentKind};
use super::metrics::{MetricSet, TimeSpan};
use super::resource::Resources;
use crate::limits;
use crate::record::custom::{CustomMetric, CustomValue};
use crate::record::metric::Statistic;
use crate::record::{SeriesKey, WallTime};
use crate::series::{Cell, SeriesDelta};

/// What was counted since the last interval.
#[derive(Clone, Debug, Default)]
pub struct CustomSums(Arc<Mutex<FxHashMap<SeriesKey, Cell>>>);

impl CustomSums {
    /// Takes what the series counted.
    pub fn add(&self, delta: &SeriesDelta) {
        let counted = delta.cells.iter().filter(|cell| cell.key.custom().is_some() && cell.cell != Cell::default());
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for cell in counted {
            let is_full = sums.len() >= limits::EXPORT_SERIES && !sums.contains_key(&cell.key);
            let key = if is_full { cell.key.other_services() } else { cell.key.clone() };
            sums.entry(key).or_default().merge(&cell.cell);
        }
    }

    fn take(&self) -> FxHashMap<SeriesKey, Cell> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes metrics of intervals.
#[derive(Debug)]
pub struct CustomIntervals {
    sums: CustomSums,
    /// Kept for the life of the process, like the metrics.
    instruments: FxHashMap<&'static CustomMetric, &'static Instrument>,
    began: WallTime,
    since: WallTime,
}

impl CustomIntervals {
    /// Of these sums.
    pub fn new(sums: CustomSums, now: WallTime) -> Self {
        Self { sums, instruments: FxHashMap::default(), began: now, since: now }
    }

    /// Ends an interval.
    pub fn end(&mut self, now: WallTime, resources: &mut Resources) -> Option<ResourceMetrics> {
        let span = TimeSpan { began: self.began, since: self.since, until: now };
        self.since = now;
        let mut metric_set = MetricSet::new(span);
        for (key, cell) in self.sums.take() {
            let Some(metric) = key.custom() else { continue };
            let instrument = *self.instruments.entry(metric).or_insert_with(|| Box::leak(Box::new(instrument(metric))));
            write(metric, instrument, &key, &cell, &mut metric_set);
        }
        let host = resources.host();
        let resource = Some(resources.resource(&host));
        metric_set.finish().map(|metrics| ResourceMetrics { resource, scope_metrics: vec![metrics], ..ResourceMetrics::default() })
    }
}

fn instrument(metric: &'static CustomMetric) -> Instrument {
    let (kind, unit) = match (metric.value(), metric.unit()) {
        (CustomValue::Count, _) => (InstrumentKind::Counter, "{record}"),
        (CustomValue::Ratio(_), _) => (InstrumentKind::Gauge, "1"),
        (CustomValue::Of(_, Statistic::Sum), unit) => (InstrumentKind::Counter, ucum(unit)),
        (CustomValue::Of(..), unit) if metric.is_duration() => (InstrumentKind::Histogram, ucum(unit)),
        (CustomValue::Of(..), unit) => (InstrumentKind::Gauge, ucum(unit)),
    };
    let name = format!("perfmon.{}", metric.metric()).leak();
    Instrument { name, unit, kind, scale: 1e-9, text: metric.summary() }
}

fn ucum(unit: Option<&str>) -> &'static str {
    match unit {
        Some("ms") => "s",
        Some("bytes") => "By",
        Some("tokens") => "{token}",
        Some("usd") => "{USD}",
        Some("percent") => "%",
        _ => "1",
    }
}

fn write(metric: &'static CustomMetric, instrument: &'static Instrument, key: &SeriesKey, cell: &Cell, metric_set: &mut MetricSet) {
    let attribute = |name: &str, text: &str| KeyValue {
        key: name.into(),
        value: Some(AnyValue { value: Some(Value::StringValue(text.into())) }),
        ..KeyValue::default()
    };
    let attributes: Vec<KeyValue> = key.labels().filter_map(|(label, value)| Some(attribute(label.attribute, value?))).collect();
    let scale = if metric.is_duration() { 1e-3 } else { 1.0 };
    match instrument.kind {
        InstrumentKind::Histogram => {
            let Some((field, _)) = metric.cell_field() else { return };
            let ns = |statistic| cell.field(field, statistic).map_or(0, |ms| (ms * 1e6) as u64);
            if let Some(histogram) = cell.distribution(field) {
                let values = Distribution::of(histogram.clone(), ns(Statistic::Sum), ns(Statistic::Min), ns(Statistic::Max));
                metric_set.distribution(instrument, &values, attributes);
            }
        }
        _ if matches!(metric.value(), CustomValue::Count) => metric_set.count(instrument, cell.count, attributes),
        _ => {
            if let Some(value) = cell.value(&metric.metric(), 0.0) {
                metric_set.value(instrument, value * scale, attributes);
            }
        }
    }
}
