//! Where each record is taken apart into its series. In: records and gauges; out, when asked: the cells counted since the last time. Records
//! of a second are mostly alike, with the same texts in memory: the series of such a record is found by the addresses of its texts, without
//! touching them. A cell holds what a series counted of one detail (`record::SeriesDetail`). Bounded: with too many series in a second those
//! that are new are counted as overflow series of their service, with too many details those that are new in a mixed cell of their series.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cell::Cell;
use super::cell_start;
use super::custom::CustomFeed;
use crate::aggregate::Histogram;
use crate::limits;
use crate::record::custom::CustomMetrics;
use crate::record::kind::{LABELS, LabelText};
use crate::record::metric::{Field, RecordKind, Unit};
use crate::record::{Gauges, Millis, Record, SeriesDetail, SeriesKey, System, WallTime};

/// What one series counted in a part of one cell's time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesCell {
    /// Start of the cell, seconds since 1970.
    pub start_s: u64,
    /// Whose.
    pub key: SeriesKey,
    /// Of which of its records.
    pub detail: SeriesDetail,
    /// What was counted.
    pub cell: Cell,
    /// Distributions of tokens, by the field's id: only views of deltas show them, histories and rules do not keep them.
    pub sizes: Vec<(u8, Histogram)>,
}

impl SeriesCell {
    /// Of all records of a series.
    pub fn new(start_s: u64, key: SeriesKey, cell: Cell) -> Self {
        Self { start_s, key, detail: SeriesDetail::Mixed, cell, sizes: Vec::new() }
    }

    fn add(&mut self, record: &Record) {
        let kind = self.key.kind;
        self.cell.add(kind, record);
        if kind == RecordKind::Request {
            return;
        }
        for field in Field::of(kind).filter(|field| field.unit == Unit::Tokens) {
            let Some(value) = field.value(record) else { continue };
            let at = self.sizes.iter().position(|(id, _)| *id == field.id).unwrap_or_else(|| {
                self.sizes.push((field.id, Histogram::default()));
                self.sizes.len() - 1
            });
            self.sizes[at].1.record(value as u64);
        }
    }
}

/// What was counted since the last delta.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesDelta {
    /// When it was taken.
    pub until: WallTime,
    /// By series, detail and time; each may come several times.
    pub cells: Vec<SeriesCell>,
    /// Records in it.
    pub records: u64,
}

/// Records of one detail whose labels are the same texts in memory, which the cell's key keeps alive, and that belong to the same time.
type TextAddresses = (RecordKind, u64, u64, [usize; LABELS]);

/// Series and the start of their cells.
type CellKey = (u64, SeriesKey);

/// The feed.
#[derive(Debug, Default)]
pub struct SeriesFeed {
    cells: Vec<SeriesCell>,
    /// By the addresses of the texts in the keys of `cells`.
    alike: FxHashMap<TextAddresses, u32>,
    by_key: FxHashMap<CellKey, Vec<(SeriesDetail, u32)>>,
    /// Cells beyond the first of their series.
    further: usize,
    records: u64,
    custom: CustomFeed,
}

impl SeriesFeed {
    /// Counts for these business metrics from now on.
    pub fn set_custom(&mut self, metrics: &CustomMetrics) {
        self.custom.set(metrics);
    }

    /// Records of business metrics in overflow series since the last call.
    pub fn take_custom_overflowed(&mut self) -> u64 {
        self.custom.take_overflowed()
    }

    /// Counts a record.
    pub fn add(&mut self, record: &Record) {
        self.custom.add(record, || cell_start(ended_s(record)), &mut self.cells);
        if let Record::System(system) = record {
            self.disks(system);
        }
        let Some(kind) = RecordKind::of(record) else { return };
        self.records += 1;
        let start_s = cell_start(ended_s(record));
        let labels = kind.labels();
        let address = |index: usize| labels.get(index).and_then(|label| label.value(record)).map_or(0, LabelText::address);
        let alike = SeriesDetail::number(record).map(|detail| (kind, start_s, detail, std::array::from_fn(address)));
        let known = alike.and_then(|alike| self.alike.get(&alike).copied());
        let index = known.or_else(|| Some(self.place((start_s, SeriesKey::of(record)?), SeriesDetail::of(record), alike)));
        if let Some(index) = index {
            self.cells[index as usize].add(record);
        }
    }

    /// The place of a series and detail that is not found by addresses.
    fn place(&mut self, key: CellKey, detail: SeriesDetail, alike: Option<TextAddresses>) -> u32 {
        let Some(details) = self.by_key.get(&key) else {
            if self.by_key.len() >= limits::SERIES_IN_DELTA {
                return self.overflow(&key);
            }
            return self.push(key, detail, alike);
        };
        let at = |wanted: &SeriesDetail| details.iter().find(|(known, _)| known == wanted).map(|(_, index)| *index);
        if let Some(index) = at(&detail) {
            return index;
        }
        if self.further < limits::DETAILS_IN_DELTA && details.len() < limits::DETAILS_OF_SERIES {
            self.further += 1;
            return self.push(key, detail, alike);
        }
        at(&SeriesDetail::Mixed).unwrap_or_else(|| self.push(key, SeriesDetail::Mixed, None))
    }

    /// The place of a series for which there is no room.
    fn overflow(&mut self, (start_s, key): &CellKey) -> u32 {
        let first = |feed: &Self, key: &CellKey| Some(feed.by_key.get(key)?.first()?.1);
        let own = (*start_s, key.other());
        if let Some(index) = first(self, &own) {
            return index;
        }
        if self.by_key.len() < 2 * limits::SERIES_IN_DELTA {
            return self.push(own, SeriesDetail::Mixed, None);
        }
        let all = (*start_s, key.other_services());
        first(self, &all).unwrap_or_else(|| self.push(all, SeriesDetail::Mixed, None))
    }

    fn push(&mut self, key: CellKey, detail: SeriesDetail, alike: Option<TextAddresses>) -> u32 {
        let index = self.cells.len() as u32;
        if let Some(alike) = alike {
            self.alike.insert(alike, index);
        }
        self.cells.push(SeriesCell { detail: detail.clone(), ..SeriesCell::new(key.0, key.1.clone(), Cell::default()) });
        self.by_key.entry(key).or_default().push((detail, index));
        index
    }

    /// Counts exchanges that are known to have been lost.
    pub fn lost(&mut self, now: WallTime, lost: Vec<(SeriesKey, u64)>) {
        let Some(field) = Field::named(RecordKind::Request, "lost") else { return };
        for (key, count) in lost {
            let mut cell = Cell::default();
            cell.add_value(field, count as f64);
            self.cells.push(SeriesCell::new(cell_start(now.0 / NS), key, cell));
        }
    }

    fn disks(&mut self, system: &System) {
        let start_s = cell_start(system.time.0 / NS);
        for disk in &system.disks {
            let mut cell = Cell::default();
            cell.add_one(RecordKind::Disk, |field| field.of_disk(disk));
            self.cells.push(SeriesCell::new(start_s, SeriesKey::of_disk(disk), cell));
        }
    }

    /// Counts the number of open connections; while it is not known there is no value.
    pub fn gauges(&mut self, gauges: &Gauges) {
        let (Some(field), Some(count)) = (Field::named(RecordKind::System, "active_connections"), gauges.active_connections) else {
            return;
        };
        let mut cell = Cell::default();
        cell.add_value(field, count as f64);
        self.cells.push(SeriesCell::new(cell_start(gauges.time.0 / NS), SeriesKey::system(), cell));
    }

    /// What was counted since the last call.
    pub fn take(&mut self, now: WallTime) -> Arc<SeriesDelta> {
        self.alike.clear();
        self.by_key.clear();
        self.further = 0;
        self.custom.take(now, &mut self.cells);
        Arc::new(SeriesDelta { until: now, cells: std::mem::take(&mut self.cells), records: std::mem::take(&mut self.records) })
    }
}

const NS: u64 = 1_000_000_000;

/// When a record ended, seconds since 1970: the time at which it counts.
fn ended_s(record: &Record) -> u64 {
    let lasted = match record {
        Record::Request(request) => request.response_time_ms,
        Record::Db(command) => command.response_time_ms,
        Record::Dns(question) => question.response_time_ms,
        Record::Llm(call) => call.response_time_ms,
        Record::Agent(run) => Some(run.execution_time_ms),
        Record::Tool(run) => run.execution_time_ms,
        Record::Workflow(run) => Some(run.execution_time_ms),
        // An interval belongs to the cell in which it started, so that a cell of ten seconds holds ten of them.
        Record::Process(_) | Record::System(_) | Record::Pool(_) | Record::Tcp(_) | Record::Finding(_) | Record::Alert(_) => None,
    };
    record.time().0.saturating_add(lasted.unwrap_or(Millis(0)).0) / NS
}
