//! The reading side. Opens the file for each query, so that any blocking task can read, beside a writer or without one. Answers are cells:
//! of one series, of several merged, of the whole range or step by step.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use serde::Serialize;

use super::cell_reader::{each_cell, series};
use super::merged;
use super::record_blocks;
use super::resolution::{Resolution, ResolutionRange, Retention};
use super::rollup::complete_until;
use super::schema::{self, StoreError};
use super::step_sums::{CellPart, StepSums};
use super::{SharedReport, StoreReport};
use crate::record::metric::{Field, Measure, Metric, RecordKind, Statistic};
use crate::record::{DEFINITION, METRIC, WallTime};
use crate::series::{Cell, ModelEnd, one_end};

/// Labels of a series, by name; those that are not known are not there.
pub type SeriesLabels = BTreeMap<String, String>;

const NS: u64 = 1_000_000_000;

/// Reads a store.
#[derive(Clone, Debug)]
pub struct StoreReader {
    path: PathBuf,
    pub(super) retention: Retention,
    shared: Option<Arc<SharedReport>>,
}

/// A query of history. Times are seconds since 1970.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    /// Of what.
    pub metric: Metric,
    /// Start; rounded down to the start of its step.
    pub from: u64,
    /// End, not included; taken forth to the end of its step.
    pub to: u64,
    /// Seconds of a step; made longer when that time is only kept more coarsely.
    pub step: u64,
    /// Current time; selects the resolution that still reaches back to `from`.
    pub now: u64,
    /// Only series with these labels.
    pub labels: SeriesLabels,
}

/// A step of history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistoryPoint {
    /// Start of the step.
    pub time: WallTime,
    /// The value; `None` where nothing is known.
    pub value: Option<f64>,
}

/// History of one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// Length of a step.
    pub step_s: u64,
    /// Steps, gaps too, oldest first.
    pub points: Vec<HistoryPoint>,
}

impl StoreReader {
    /// Of a file that some perfmon writes or wrote, and how long it keeps what.
    pub fn of_file(path: PathBuf, retention: Retention) -> Self {
        Self { path, retention, shared: None }
    }

    pub(super) fn of_running(path: PathBuf, retention: Retention, shared: Arc<SharedReport>) -> Self {
        Self { path, retention, shared: Some(shared) }
    }

    /// How the store is, when this is the reader of a running one.
    pub fn report(&self) -> Option<StoreReport> {
        self.shared.as_ref().map(|shared| shared.with(|report| report.clone()))
    }

    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        schema::open_read_only(&self.path)
    }

    /// The step that an answer has: the wanted one, or the next that is stored for times from `from` on.
    pub fn stored_step(&self, from: u64, step: u64, now: u64) -> u64 {
        step.max(1).next_multiple_of(Resolution::reaching(from, now, &self.retention).seconds())
    }

    /// A metric over time.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn history(&self, query: &HistoryQuery) -> Result<History, StoreError> {
        let step = self.stored_step(query.from, query.step, query.now);
        let (from, to) = (query.from - query.from % step, query.to.checked_next_multiple_of(step).unwrap_or(query.to));
        let coarsest =
            Resolution::ALL.into_iter().rev().find(|resolution| step.is_multiple_of(resolution.seconds())).unwrap_or(Resolution::Finest);
        let db = self.open()?;
        let steps = db.unchecked_transaction()?;
        let pieces = coarsest.cover(from, to, &complete_until(&steps)?);
        let part = match query.metric.measure {
            Measure::Custom(_) => CellPart::Whole,
            Measure::Field(field, _) => CellPart::Field(Some(field)),
            _ => CellPart::Field(None),
        };
        let values = by_step(&steps, &pieces, query.metric.kind, &labels_of(query), step, part)?;
        let running = by_step(&steps, &pieces, RecordKind::System, &SeriesLabels::new(), step, CellPart::Field(interval()))?;
        let configured = configured(&steps, &pieces, query, step)?;
        let nothing = Cell::default();
        let points = (from..to).step_by(step as usize).map(|start| {
            let host = running.get(&start);
            let was_counted = match query.metric.kind {
                RecordKind::System => false,
                RecordKind::Custom => configured.contains_key(&start),
                _ => host.is_some(),
            };
            let known = was_counted && query.metric.is_amount();
            let cell = values.get(&start).or(known.then_some(&nothing));
            let seconds = host.and_then(watched_s).unwrap_or(step as f64);
            HistoryPoint { time: WallTime(start.saturating_mul(NS)), value: cell.and_then(|cell| cell.value(&query.metric, seconds)) }
        });
        Ok(History { step_s: step, points: points.collect() })
    }

    /// Every series of a kind over a range, merged in time; one end of each model call.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn totals(&self, kind: RecordKind, from: u64, to: u64, now: u64) -> Result<Vec<(SeriesLabels, Cell)>, StoreError> {
        let resolution = Resolution::reaching(from, now, &self.retention);
        let (from, to) = (resolution.floor(from), resolution.ceil(to));
        let db = self.open()?;
        let db = db.unchecked_transaction()?;
        let wanted = series(&db, kind, &SeriesLabels::new())?;
        let mut cells: BTreeMap<i64, Cell> = BTreeMap::new();
        for piece in Resolution::Hour.cover(from, to, &complete_until(&db)?) {
            each_cell(&db, kind as u8, piece, &wanted, |_, id, bytes| {
                Cell::from_bytes(bytes).into_iter().for_each(|cell| cells.entry(id).or_default().merge(&cell));
            })?;
        }
        let found = cells.into_iter().filter_map(|(id, cell)| Some((wanted.get(&id)?.clone(), cell))).collect();
        Ok(if kind == RecordKind::Llm { one_end(found, model_end) } else { found })
    }

    /// Stored records of a kind that started in a range, as JSON, newest first. Times are nanoseconds since 1970.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn records(&self, kind: &str, from: WallTime, to: WallTime, limit: usize) -> Result<Vec<String>, StoreError> {
        let db = self.open()?;
        let db = db.unchecked_transaction()?;
        record_blocks::newest(&db, kind, from.0, to.0, limit)
    }
}

/// When a business metric was configured: it has a cell then, whatever its labels. Without labels in the query that is the answer itself.
fn configured(db: &Connection, pieces: &[ResolutionRange], query: &HistoryQuery, step: u64) -> Result<BTreeMap<u64, Cell>, StoreError> {
    if query.metric.custom().is_none() || query.labels.is_empty() {
        return Ok(BTreeMap::new());
    }
    let whole = HistoryQuery { labels: SeriesLabels::new(), ..query.clone() };
    by_step(db, pieces, RecordKind::Custom, &labels_of(&whole), step, CellPart::Field(None))
}

/// Labels of the series that are meant: of a business metric those of its definition.
fn labels_of(query: &HistoryQuery) -> SeriesLabels {
    let own = query.metric.custom().into_iter().flat_map(|custom| [(METRIC, custom.name()), (DEFINITION, custom.definition())]);
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    query.labels.clone().into_iter().chain(own).collect()
}

fn interval() -> Option<&'static Field> {
    Field::named(RecordKind::System, "interval_ms")
}

/// Seconds for which the host was sampled.
fn watched_s(host: &Cell) -> Option<f64> {
    host.field(interval()?, Statistic::Sum).map(|ms| ms / 1_000.0).filter(|seconds| *seconds > 0.0)
}

/// Cells of all matching series, merged step by step. Requests default to the server side.
fn by_step(
    db: &Connection,
    pieces: &[ResolutionRange],
    kind: RecordKind,
    labels: &SeriesLabels,
    step: u64,
    part: CellPart,
) -> Result<BTreeMap<u64, Cell>, StoreError> {
    let mut labels = labels.clone();
    if kind == RecordKind::Request && !labels.contains_key("side") {
        // Only requests that go out have a destination.
        labels.insert("side".into(), if labels.contains_key("destination") { "client" } else { "server" }.into());
    }
    let begin = pieces.first().map_or(0, |piece| piece.from);
    let (code, wanted) = match merged::answering(db, kind, &labels, begin)? {
        Some((code, id)) => (code, BTreeMap::from([(id, SeriesLabels::new())])),
        None => (kind as u8, series(db, kind, &labels)?),
    };
    let mut sums = StepSums::of(part);
    for piece in pieces {
        each_cell(db, code, *piece, &wanted, |time, id, bytes| {
            // Only model calls need to be kept apart until the end.
            sums.add(time - time % step, if kind == RecordKind::Llm { id } else { 0 }, bytes);
        })?;
    }
    let merged = sums.finish().into_iter().map(|(start, mut cells)| {
        if kind != RecordKind::Llm {
            return (start, cells.pop_first().map(|(_, cell)| cell).unwrap_or_default());
        }
        let found: Vec<_> = cells.into_iter().map(|(id, cell)| (wanted.get(&id).cloned().unwrap_or_default(), cell)).collect();
        let found = if labels.contains_key("side") { found } else { one_end(found, model_end) };
        let mut sum = Cell::default();
        found.iter().for_each(|(_, cell)| sum.merge(cell));
        (start, sum)
    });
    Ok(merged.collect())
}

fn model_end((labels, cell): &(SeriesLabels, Cell)) -> ModelEnd<Option<String>> {
    let [provider, model] = ["provider", "request_model"].map(|label| labels.get(label).cloned());
    ModelEnd { model: [provider, model], is_server: labels.get("side").is_some_and(|side| side == "server"), calls: cell.count }
}
