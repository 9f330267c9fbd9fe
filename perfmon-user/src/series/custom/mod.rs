//! Business metrics in the feed: each record of the kind that a metric is made of is tested once, and what it adds goes into the cell of its
//! series. In: records; out: cells beside those of the kinds. Without metrics it costs one comparison a record. Bounded: a metric keeps a
//! number of series over the run, those that were silent for an hour make room; further ones are counted in its overflow series.
use rustc_hash::FxHashMap;

use super::cell::{Cell, rounded};
use super::cell_start;
use super::feed::SeriesCell;
use crate::limits;
use crate::record::custom::{CustomMetric, CustomMetrics, CustomShare, CustomValue, counts};
use crate::record::kind::{LABELS, LabelText, RecordKind};
use crate::record::metric::{Field, Statistic, Unit};
use crate::record::readable::RecordShape;
use crate::record::{Record, SeriesKey, WallTime};

/// A series without records for so long makes room.
const SILENT_S: u64 = 3_600;

/// The configured metrics by the kind of record that they are made of.
#[derive(Debug, Default)]
pub(super) struct CustomFeed {
    by_kind: [Vec<CustomCounter>; RecordShape::KINDS],
    /// Records in overflow series since it was last asked.
    overflowed: u64,
    /// Start of the newest cell of time that has one of each metric.
    marked_s: u64,
    is_changed: bool,
}

/// Start of a cell and the labels by their addresses, which the cell's key keeps alive.
type CellAddress = (u64, [usize; LABELS]);

#[derive(Debug)]
struct CustomCounter {
    metric: &'static CustomMetric,
    /// Series of the run, with the start of the newest cell.
    known: FxHashMap<SeriesKey, u64>,
    /// Since when the search for silent series is pointless.
    swept_s: u64,
    /// Cells of this delta.
    alike: FxHashMap<CellAddress, u32>,
    by_key: FxHashMap<(u64, SeriesKey), u32>,
}

impl CustomFeed {
    /// Counts for these metrics from now on; those that stay keep their series.
    pub fn set(&mut self, metrics: &CustomMetrics) {
        self.is_changed = true;
        let mut before: Vec<CustomCounter> = self.by_kind.iter_mut().flat_map(std::mem::take).collect();
        for metric in metrics.iter() {
            let known = before.iter().position(|counter| counter.metric == metric).map(|at| before.swap_remove(at));
            let Some(index) = RecordShape::names().position(|name| name == metric.from()) else { continue };
            self.by_kind[index].push(known.unwrap_or_else(|| CustomCounter::new(metric)));
        }
    }

    /// Counts a record that belongs to a cell's time.
    pub fn add(&mut self, record: &Record, start_s: impl Fn() -> u64, cells: &mut Vec<SeriesCell>) {
        let counters = &mut self.by_kind[RecordShape::index_of(record)];
        if counters.is_empty() || !counts(record) {
            return;
        }
        let start_s = start_s();
        for counter in counters {
            if let Some(share) = counter.metric.share(record) {
                self.overflowed += u64::from(counter.add(record, share, start_s, cells));
            }
        }
    }

    /// Ends a delta. Every cell of time has one of each metric, though nothing was counted: without it the metric was not configured then,
    /// and its value is unknown and not 0.
    pub fn take(&mut self, now: WallTime, cells: &mut Vec<SeriesCell>) {
        let start_s = cell_start(now.0 / 1_000_000_000);
        if self.marked_s != start_s || self.is_changed {
            (self.marked_s, self.is_changed) = (start_s, false);
            let metrics = self.by_kind.iter().flatten().map(|counter| counter.metric);
            cells.extend(metrics.map(|metric| SeriesCell::new(start_s, SeriesKey::without_labels(metric), Cell::default())));
        }
        for counter in self.by_kind.iter_mut().flatten() {
            counter.alike.clear();
            counter.by_key.clear();
        }
    }

    /// Records in overflow series since the last call.
    pub fn take_overflowed(&mut self) -> u64 {
        std::mem::take(&mut self.overflowed)
    }
}

impl CustomCounter {
    fn new(metric: &'static CustomMetric) -> Self {
        Self { metric, known: FxHashMap::default(), swept_s: 0, alike: FxHashMap::default(), by_key: FxHashMap::default() }
    }

    /// True when it went to the overflow series.
    fn add(&mut self, record: &Record, share: CustomShare, start_s: u64, cells: &mut Vec<SeriesCell>) -> bool {
        let labels = self.metric.labels();
        let address = |index: usize| labels.get(index).and_then(|label| label.value(record)).map_or(0, LabelText::address);
        let alike = (start_s, std::array::from_fn(address));
        let (index, overflows) = match self.alike.get(&alike) {
            Some(index) => (*index, false),
            None => self.place(SeriesKey::of_custom(self.metric, record), alike, cells),
        };
        self.count(&mut cells[index as usize].cell, share);
        overflows
    }

    fn place(&mut self, key: SeriesKey, alike: CellAddress, cells: &mut Vec<SeriesCell>) -> (u32, bool) {
        let start_s = alike.0;
        let overflows = !self.takes(&key, start_s);
        let key = if overflows { key.other_services() } else { key };
        if let Some(index) = self.by_key.get(&(start_s, key.clone())) {
            // Its texts are others in memory, which this delta does not keep alive.
            return (*index, overflows);
        }
        let index = cells.len() as u32;
        cells.push(SeriesCell::new(start_s, key.clone(), Cell::default()));
        self.by_key.insert((start_s, key), index);
        if !overflows {
            self.alike.insert(alike, index);
        }
        (index, overflows)
    }

    /// Whether the series has a place of its own.
    fn takes(&mut self, key: &SeriesKey, start_s: u64) -> bool {
        if let Some(newest) = self.known.get_mut(key) {
            *newest = start_s.max(*newest);
            return true;
        }
        if self.known.len() >= limits::CUSTOM_SERIES && start_s > self.swept_s {
            self.swept_s = start_s;
            self.known.retain(|_, newest| *newest + SILENT_S > start_s);
        }
        let has_room = self.known.len() < limits::CUSTOM_SERIES;
        if has_room {
            self.known.insert(key.clone(), start_s);
        }
        has_room
    }

    fn count(&self, cell: &mut Cell, share: CustomShare) {
        match share {
            CustomShare::One => cell.count += 1,
            CustomShare::Value(value) => {
                cell.count += 1;
                if let Some((field, _)) = self.metric.cell_field() {
                    cell.add_value(field, value);
                }
            }
            CustomShare::Ratio { part, whole } => {
                cell.count += u64::from(whole);
                if let Some(field) = part_field().filter(|_| part) {
                    cell.add_value(field, 1.0);
                }
            }
        }
    }
}

fn part_field() -> Option<&'static Field> {
    Field::named(RecordKind::Custom, "part")
}

impl Cell {
    /// What a business metric is for this cell.
    pub(super) fn custom(&self, metric: &CustomMetric) -> Option<f64> {
        match metric.value() {
            CustomValue::Count => Some(self.count as f64),
            CustomValue::Of(..) => metric.cell_field().and_then(|(field, statistic)| self.field(field, statistic)),
            CustomValue::Ratio(_) => (self.count > 0).then(|| rounded(self.custom_part() / self.count as f64, Unit::Number)),
        }
    }

    /// Of a ratio: records in its part.
    pub fn custom_part(&self) -> f64 {
        part_field().and_then(|field| self.field(field, Statistic::Sum)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
