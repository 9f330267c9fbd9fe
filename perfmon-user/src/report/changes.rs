//! What became worse or better than in the period before, beyond noise. In: cells of both periods; out: one [`FigureChange`] for each figure that
//! moved, worst first. A percentile counts as moved when the bands in which it lies with 99.7 % (order statistics, no distribution assumed)
//! do not overlap; a rate when the two differ by three standard errors (two-proportion test). Both have to differ by a size that people
//! care about too.
use serde::{Deserialize, Serialize};

use super::collect::{SeriesRows, field, is_server, label, merged};
use crate::record::metric::{Field, RecordKind, Statistic};
use crate::store::Cell;

/// Fewer records say nothing.
const LEAST: u64 = 100;
/// Standard errors.
const ERRORS: f64 = 3.0;
/// Relative change of a percentile from which it counts.
const SLOWER: f64 = 0.10;
/// The same in milliseconds.
const SLOWER_MS: f64 = 2.0;
/// Change of a rate, of all records, from which it counts.
const FAILING: f64 = 0.001;
/// Rows of the list.
const ROWS: usize = 10;
/// The percentile that is compared.
const SHARE: f64 = 0.95;

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeScope {
    /// All requests to the services.
    Requests,
    /// Those to an endpoint.
    Endpoint,
    /// Those to an external service.
    Destination,
    /// Calls of a model.
    Model,
}

/// A figure that moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureChange {
    /// What it is about.
    pub scope: ChangeScope,
    /// Its name; empty for all requests.
    pub name: String,
    /// `p95_ms` or `error_rate`.
    pub figure: String,
    /// Value in this period.
    pub now: f64,
    /// Value in the period before.
    pub before: f64,
    /// Larger than before.
    pub worse: bool,
    /// How much of all time (latency) or of all errors it is about, 0..1.
    pub share: f64,
}

impl FigureChange {
    /// Relative change.
    pub fn ratio(&self) -> Option<f64> {
        (self.before > 0.0).then(|| self.now / self.before - 1.0)
    }

    fn weight(&self) -> f64 {
        self.share * self.ratio().map_or(10.0, |ratio| ratio.abs().min(10.0))
    }
}

/// Series of the two periods: requests, then model calls.
pub struct ComparedPeriods<'a> {
    /// Requests of this period.
    pub requests: &'a SeriesRows,
    /// Those of the period before.
    pub requests_before: &'a SeriesRows,
    /// Model calls of this period.
    pub calls: &'a SeriesRows,
    /// Those of the period before.
    pub calls_before: &'a SeriesRows,
}

/// Everything that moved, that of all requests first, then the worst.
pub fn changes(periods: &ComparedPeriods<'_>) -> Vec<FigureChange> {
    let (requests, before) = (periods.requests, periods.requests_before);
    let served = |labels: &_| is_server(labels).then(String::new);
    let endpoint = |labels: &crate::store::SeriesLabels| {
        let part = |name| label(labels, name).unwrap_or_else(|| "?".into());
        is_server(labels).then(|| format!("{} {} of {}", part("method"), part("endpoint"), part("service")))
    };
    let destination = |labels: &crate::store::SeriesLabels| {
        let name = label(labels, "destination")?;
        (!is_server(labels)).then(|| format!("{name} from {}", label(labels, "service").unwrap_or_default()))
    };
    let model = |labels: &crate::store::SeriesLabels| label(labels, "request_model");
    let mut first = moved(ChangeScope::Requests, RecordKind::Request, requests, before, served);
    let mut others = moved(ChangeScope::Endpoint, RecordKind::Request, requests, before, endpoint);
    others.extend(moved(ChangeScope::Destination, RecordKind::Request, requests, before, destination));
    others.extend(moved(ChangeScope::Model, RecordKind::Llm, periods.calls, periods.calls_before, model));
    others.sort_by(|a, b| b.worse.cmp(&a.worse).then(b.weight().total_cmp(&a.weight())));
    others.truncate(ROWS);
    first.extend(others);
    first
}

fn moved(
    scope: ChangeScope,
    kind: RecordKind,
    now: &SeriesRows,
    before: &SeriesRows,
    name: impl Fn(&crate::store::SeriesLabels) -> Option<String>,
) -> Vec<FigureChange> {
    let grouped = |rows: &SeriesRows| {
        let mut groups = std::collections::BTreeMap::<String, Cell>::new();
        for (labels, cell) in rows {
            if let Some(name) = name(labels) {
                groups.entry(name).or_default().merge(cell);
            }
        }
        groups
    };
    let (now, before) = (grouped(now), grouped(before));
    let cells: Vec<_> = now.values().cloned().map(|cell| (crate::store::SeriesLabels::new(), cell)).collect();
    let all = merged(&cells);
    let time = |cell: &Cell| field(cell, kind, "response_time_ms", Statistic::Sum).unwrap_or(0.0);
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let mut found = Vec::new();
    for (name, cell) in &now {
        let Some(earlier) = before.get(name) else { continue };
        let change = |figure: &str, (now, before): (f64, f64), share| FigureChange {
            scope,
            name: name.clone(),
            figure: figure.into(),
            now,
            before,
            worse: now > before,
            share,
        };
        if let Some(values) = latency_moved(cell, earlier, kind) {
            found.push(change("p95_ms", values, share(time(cell), time(&all))));
        }
        if let Some(values) = errors_moved(cell, earlier) {
            found.push(change("error_rate", values, share(cell.errors.max(1) as f64, all.errors.max(1) as f64)));
        }
    }
    found
}

/// The percentile and the band in which it lies.
fn band(cell: &Cell, kind: RecordKind) -> Option<[f64; 3]> {
    let field = Field::named(kind, "response_time_ms")?;
    let count = cell.field(field, Statistic::Count)?;
    if count < LEAST as f64 {
        return None;
    }
    let reach = ERRORS * (SHARE * (1.0 - SHARE) / count).sqrt();
    let at = |share: f64| cell.field(field, Statistic::Quantile(share.clamp(0.0, 1.0)));
    Some([at(SHARE - reach)?, at(SHARE)?, at(SHARE + reach)?])
}

fn latency_moved(now: &Cell, before: &Cell, kind: RecordKind) -> Option<(f64, f64)> {
    let ([low, value, high], [low_before, value_before, high_before]) = (band(now, kind)?, band(before, kind)?);
    let apart = low > high_before || high < low_before;
    let matters = (value - value_before).abs() >= (value_before * SLOWER).max(SLOWER_MS);
    (apart && matters).then_some((value, value_before))
}

fn errors_moved(now: &Cell, before: &Cell) -> Option<(f64, f64)> {
    let (rate, rate_before) = (now.error_rate()?, before.error_rate()?);
    let (count, count_before) = (now.count as f64, before.count as f64);
    let pooled = (now.errors + before.errors) as f64 / (count + count_before);
    let error = (pooled * (1.0 - pooled) * (1.0 / count + 1.0 / count_before)).sqrt();
    let difference = (rate - rate_before).abs();
    let is_counted = now.count >= LEAST && before.count >= LEAST;
    (is_counted && difference > ERRORS * error && difference >= FAILING).then_some((rate, rate_before))
}
