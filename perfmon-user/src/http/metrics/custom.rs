//! The families of business metrics: `perfmon_custom_`, the metric's name and its unit. Counts and sums are counters, statistics of durations
//! are histograms, ratios and statistics of other numbers are gauges over the last five minutes.
use std::fmt::Display;

use super::family::{FamilyKind, MetricFamily};
use super::kinds::label_texts;
use super::text::{Exposition, HistogramValues, Label};
use crate::http::custom_series::{CustomSample, CustomSeries, WINDOW_S};
use crate::http::series::BOUNDS_S;
use crate::record::custom::{CustomMetric, CustomValue};
use crate::record::metric::Statistic;

/// The family of a metric. Its name ends in the unit, which is not repeated where the metric's own name ends in it.
fn family(metric: &CustomMetric) -> MetricFamily {
    let (kind, unit) = match metric.value() {
        CustomValue::Count => (FamilyKind::Counter, None),
        CustomValue::Ratio(_) => (FamilyKind::Gauge, Some("ratio")),
        CustomValue::Of(_, statistic) => {
            let unit = metric.unit().map(|unit| if unit == "ms" { "seconds" } else { unit });
            match statistic {
                Statistic::Sum => (FamilyKind::Counter, unit),
                _ if metric.is_duration() => (FamilyKind::Histogram, unit),
                _ => (FamilyKind::Gauge, unit),
            }
        }
    };
    // OpenMetrics: a counter's own name has no `_total`, and no other name may end like one of its samples.
    let mut stem = metric.name();
    for ending in ["_total", "_count", "_sum", "_bucket", "_ms"] {
        stem = stem.strip_suffix(ending).filter(|rest| !rest.is_empty()).unwrap_or(stem);
    }
    let name = match unit.filter(|unit| stem != *unit && !stem.ends_with(&format!("_{unit}"))) {
        Some(unit) => format!("perfmon_custom_{stem}_{unit}"),
        None => format!("perfmon_custom_{stem}"),
    };
    let minutes = WINDOW_S / 60;
    let over = if kind == FamilyKind::Gauge { format!(", over the last {minutes} minutes") } else { String::new() };
    MetricFamily { name: name.into(), kind, unit, help: format!("Business metric: {}{over}.", metric.summary()).into(), labels: "".into() }
}

/// Writes all of them. Two metrics that would share a family differ by their last part; the second keeps its whole name.
pub(super) fn write(out: &mut Exposition, series: &CustomSeries) {
    let mut names: Vec<String> = Vec::new();
    for (metric, samples) in series.samples() {
        let mut family = family(metric);
        if names.iter().any(|name| *name == family.name) {
            family.name = format!("perfmon_custom_{}_{}", metric.name(), metric.definition()).into();
            family.unit = None;
        }
        names.push(family.name.to_string());
        out.family(&family);
        samples.iter().for_each(|sample| write_sample(out, &family, metric, sample));
    }
}

fn write_sample(out: &mut Exposition, family: &MetricFamily, metric: &'static CustomMetric, sample: &CustomSample) {
    let texts = label_texts(&sample.key);
    let labels: Vec<Label<'_>> = texts.iter().map(|(name, value)| (&**name, value as &dyn Display)).collect();
    let scale = if metric.is_duration() { 1e-3 } else { 1.0 };
    match family.kind {
        FamilyKind::Histogram => {
            let Some((field, _)) = metric.cell_field() else { return };
            let mut buckets = [0; 15];
            for bucket in sample.total.buckets(field) {
                // The middle, which is within 1 % of the values.
                let seconds = (bucket.low_ns + (bucket.high_ns - bucket.low_ns) / 2) as f64 / 1e9;
                buckets[BOUNDS_S.partition_point(|bound| *bound < seconds)] += bucket.count;
            }
            let sum = sample.total.field(field, Statistic::Sum).unwrap_or_default() * scale;
            out.histogram(family, &labels, &HistogramValues { bounds: &BOUNDS_S, buckets: &buckets, sum: tidy(sum), exemplar: None });
        }
        FamilyKind::Counter => {
            if let Some(value) = sample.total.value(&metric.metric(), 0.0) {
                out.sample(family, &labels, tidy(value * scale));
            }
        }
        FamilyKind::Gauge => {
            if let Some(value) = sample.recent.value(&metric.metric(), WINDOW_S as f64) {
                out.sample(family, &labels, tidy(value * scale));
            }
        }
    }
}

/// Without the digits of rounding errors.
fn tidy(value: f64) -> f64 {
    if value.abs() < 1e6 { (value * 1e9).round() / 1e9 } else { value }
}
