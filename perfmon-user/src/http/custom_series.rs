//! Business metrics for `/metrics` and `/api/v1/metrics`: what each series counted since the start, and in the last five minutes. In: the
//! deltas of the feed; out: copies to write from. Bounded like the feed's series; a metric that the configuration no longer has goes.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::response::Response;
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::HttpState;
use super::answer::{ApiError, json};
use super::params::Params;
use crate::counters::Counters;
use crate::limits;
use crate::record::custom::{CustomMetric, CustomMetrics};
use crate::record::metric::RecordKind;
use crate::record::{LabelSet, SeriesKey, WallTime};
use crate::series::{Cell, FieldSet, RecentSeries, SeriesDelta, SeriesShare};

/// Length of the window of ratios, means, percentiles and extremes.
pub(super) const WINDOW_S: u64 = 300;
const WINDOW: SeriesShare = SeriesShare { kind: RecordKind::Custom, length_s: WINDOW_S, fields: FieldSet::ALL, labels: LabelSet::ALL };

/// All series of all metrics.
#[derive(Default)]
pub(super) struct CustomSeries(Mutex<CustomTable>);

#[derive(Default)]
struct CustomTable {
    metrics: CustomMetrics,
    totals: FxHashMap<SeriesKey, Cell>,
    recent: RecentSeries,
}

/// One series.
pub(super) struct CustomSample {
    /// Which.
    pub key: SeriesKey,
    /// Since the start.
    pub total: Cell,
    /// In the window.
    pub recent: Cell,
}

impl CustomSeries {
    /// Takes what the series counted.
    pub fn add(&self, delta: &SeriesDelta, metrics: &CustomMetrics, counters: &Counters) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.metrics != *metrics {
            table.totals.retain(|key, _| metrics.iter().any(|metric| key.custom() == Some(metric)));
            table.recent.keep((!metrics.is_empty()).then_some(WINDOW), delta.until);
            table.metrics = metrics.clone();
        }
        if metrics.is_empty() {
            return;
        }
        table.recent.add(delta);
        for cell in delta.cells.iter().filter(|cell| cell.key.custom().is_some_and(|one| metrics.iter().any(|metric| metric == one))) {
            let most = limits::CUSTOM_SERIES * (table.metrics.iter().count() + 1);
            let is_full = table.totals.len() >= most && !table.totals.contains_key(&cell.key);
            counters.metric_series_overflowed.add(if is_full { cell.cell.count } else { 0 });
            let key = if is_full { cell.key.other_services() } else { cell.key.clone() };
            table.totals.entry(key).or_default().merge(&cell.cell);
        }
    }

    /// Every metric, as configured, with its series in the order of their labels.
    pub fn samples(&self) -> Vec<(&'static CustomMetric, Vec<CustomSample>)> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent: FxHashMap<&SeriesKey, &Cell> = table.recent.window(&WINDOW).map(|window| window.series().collect()).unwrap_or_default();
        let of_metric = |metric: &'static CustomMetric| {
            // With labels, the series without them says only that the metric is counted.
            let is_one = |key: &SeriesKey| {
                key.custom() == Some(metric) && (metric.labels().is_empty() || key.labels().any(|(_, value)| value.is_some()))
            };
            let mut sorted: BTreeMap<String, CustomSample> = BTreeMap::new();
            for (key, total) in table.totals.iter().filter(|(key, _)| is_one(key)) {
                let recent = recent.get(key).map(|cell| (*cell).clone()).unwrap_or_default();
                sorted.insert(key.to_json(), CustomSample { key: key.clone(), total: total.clone(), recent });
            }
            (metric, sorted.into_values().collect())
        };
        table.metrics.iter().map(of_metric).collect()
    }
}

/// A business metric.
#[derive(Serialize)]
pub(super) struct MetricRow {
    /// As in rules and in the history.
    pub(super) metric: String,
    /// The definition in words.
    definition: String,
    /// `ms` | `bytes` | `tokens` | `usd` | `percent` | `ratio`; null of a number.
    unit: Option<&'static str>,
    series: Vec<SeriesRow>,
}

#[derive(Serialize)]
struct SeriesRow {
    labels: BTreeMap<&'static str, Arc<str>>,
    /// Over the window.
    value: Option<f64>,
    /// Records behind it; of a ratio those of the whole.
    count: u64,
}

#[derive(Serialize)]
struct MetricsAnswer {
    window_s: u64,
    time: WallTime,
    total: usize,
    items: Vec<MetricRow>,
}

/// A row for each metric, in the order of the configuration.
pub(super) fn rows(series: &CustomSeries) -> Vec<MetricRow> {
    let row = |(metric, samples): (&'static CustomMetric, Vec<CustomSample>)| MetricRow {
        metric: metric.metric().to_string(),
        definition: metric.summary().into(),
        unit: metric.measured_in(),
        series: samples.iter().map(|sample| series_row(metric, sample)).collect(),
    };
    series.samples().into_iter().map(row).collect()
}

/// `GET /api/v1/metrics`: the business metrics of the configuration, each with its value over five minutes.
pub(super) async fn metrics(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    params.only(&[])?;
    let items = rows(&state.custom);
    Ok(json(&MetricsAnswer { window_s: WINDOW_S, time: (state.parts.now)(), total: items.len(), items }))
}

fn series_row(metric: &'static CustomMetric, sample: &CustomSample) -> SeriesRow {
    SeriesRow {
        labels: sample.key.labels().filter_map(|(label, value)| Some((label.name, value?.clone()))).collect(),
        value: sample.recent.value(&metric.metric(), WINDOW_S as f64),
        count: sample.recent.count,
    }
}
