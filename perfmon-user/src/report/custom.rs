//! Business metrics of the configuration over a period, beside the period before. In: the store and the metrics; out: a row for each metric,
//! then rows for its largest series. Figures of an earlier definition under the same name are not among them.
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::document::Table;
use super::schedule::ReportPeriod;
use super::text::{UNKNOWN, amount, bytes, dollars, percent, share, time};
use crate::record::custom::{CustomMetric, CustomMetrics};
use crate::record::metric::RecordKind;
use crate::record::{DEFINITION, METRIC};
use crate::store::{Cell, SeriesLabels, StoreError, StoreReader};

/// Rows of the series of one metric.
const SERIES: usize = 10;

/// A metric, or one of its series, over the period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomSummary {
    /// Name, like `custom.orders_created`.
    pub metric: String,
    /// Labels of the series; empty: all together.
    pub labels: BTreeMap<String, String>,
    /// Over the period.
    pub value: Option<f64>,
    /// Over the period before.
    pub value_before: Option<f64>,
    /// `ms` `bytes` `tokens` `usd` `percent` `ratio`; null: a number.
    pub unit: Option<String>,
    /// Records behind the value; of a ratio those of the whole.
    pub count: u64,
}

/// Cells by the labels of the series.
type CustomCells = BTreeMap<BTreeMap<String, String>, Cell>;

/// The rows of all metrics; `now` is in seconds since 1970.
///
/// # Errors
/// When the store cannot be read.
pub fn custom(reader: &StoreReader, period: &ReportPeriod, now: u64, metrics: &CustomMetrics) -> Result<Vec<CustomSummary>, StoreError> {
    if metrics.is_empty() {
        return Ok(Vec::new());
    }
    let cells = reader.totals(RecordKind::Custom, period.from, period.to, now)?;
    let before = reader.totals(RecordKind::Custom, period.before, period.from, now)?;
    Ok(metrics.iter().flat_map(|metric| rows(metric, &of_metric(metric, &cells), &of_metric(metric, &before))).collect())
}

fn of_metric(metric: &CustomMetric, rows: &[(SeriesLabels, Cell)]) -> CustomCells {
    let is = |labels: &SeriesLabels, name: &str, value: &str| labels.get(name).is_some_and(|known| known == value);
    let mut cells = CustomCells::new();
    for (labels, cell) in rows.iter().filter(|(labels, _)| is(labels, METRIC, metric.name()) && is(labels, DEFINITION, metric.definition()))
    {
        let own = labels.iter().filter(|(name, _)| *name != METRIC && *name != DEFINITION);
        cells.entry(own.map(|(name, value)| (name.clone(), value.clone())).collect()).or_default().merge(cell);
    }
    cells
}

fn rows(metric: &'static CustomMetric, now: &CustomCells, before: &CustomCells) -> Vec<CustomSummary> {
    let value = |cell: Option<&Cell>| cell.and_then(|cell| cell.value(&metric.metric(), 0.0));
    let unit = metric.measured_in();
    let row = |labels: BTreeMap<String, String>, cell: Option<&Cell>, earlier: Option<&Cell>| CustomSummary {
        metric: metric.metric().to_string(),
        labels,
        value: value(cell),
        value_before: value(earlier),
        unit: unit.map(String::from),
        count: cell.map_or(0, |cell| cell.count),
    };
    let all = |cells: &CustomCells| {
        cells.values().fold(None, |sum: Option<Cell>, cell| {
            let mut sum = sum.unwrap_or_default();
            sum.merge(cell);
            Some(sum)
        })
    };
    let (all_now, all_before) = (all(now), all(before));
    if all_now.is_none() && all_before.is_none() {
        return Vec::new(); // it was not configured then
    }
    let mut rows = vec![row(BTreeMap::new(), all_now.as_ref(), all_before.as_ref())];
    let labels: BTreeSet<&BTreeMap<String, String>> = now.keys().chain(before.keys()).filter(|labels| !labels.is_empty()).collect();
    let mut series: Vec<CustomSummary> =
        labels.into_iter().map(|labels| row(labels.clone(), now.get(labels), before.get(labels))).collect();
    series.sort_by_key(|row| Reverse(row.count));
    series.truncate(SERIES);
    rows.extend(series);
    rows
}

/// As a table.
pub(super) fn table(rows: &[CustomSummary]) -> Table {
    let shown = |row: &CustomSummary, value: Option<f64>| match row.unit.as_deref() {
        Some("ms") => time(value),
        Some("bytes") => bytes(value),
        Some("usd") => dollars(value),
        Some("percent") => percent(value),
        Some("ratio") => share(value),
        _ => value.map_or(UNKNOWN.into(), |value| {
            if value.fract() == 0.0 && value >= 0.0 { super::text::count(value as u64) } else { amount(value) }
        }),
    };
    let change = |row: &CustomSummary| match (row.value, row.value_before) {
        (Some(now), Some(before)) if before != 0.0 => format!("{:+.0} %", (now / before - 1.0) * 100.0),
        _ => UNKNOWN.into(),
    };
    let labels = |row: &CustomSummary| row.labels.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ");
    let line = |row: &CustomSummary| {
        vec![
            row.metric.clone(),
            labels(row),
            shown(row, row.value),
            shown(row, row.value_before),
            change(row),
            super::text::count(row.count),
        ]
    };
    let columns = vec![("Metric", false), ("Of", false), ("Value", true), ("Before", true), ("Change", true), ("Records", true)];
    Table { columns, rows: rows.iter().map(line).collect() }
}
