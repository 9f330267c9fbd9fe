//! Where each record is taken apart into its series. In: records and gauges; out, when asked: the cells counted since the last time. Records
//! of a second are mostly alike, with the same texts in memory: the series of such a record is found by the addresses of its texts, without
//! touching them. Bounded: with too many series in a second those that are new are counted as overflow series of their service.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cell::Cell;
use super::cell_start;
use super::custom::CustomFeed;
use crate::limits;
use crate::record::custom::CustomMetrics;
use crate::record::kind::{LABELS, LabelText};
use crate::record::metric::{Field, RecordKind};
use crate::record::{Gauges, Millis, Record, SeriesKey, System, WallTime};

/// What one series counted in a part of one cell's time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesCell {
    /// Start of the cell, seconds since 1970.
    pub start_s: u64,
    /// Whose.
    pub key: SeriesKey,
    /// What was counted.
    pub cell: Cell,
}

/// What was counted since the last delta.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesDelta {
    /// When it was taken.
    pub until: WallTime,
    /// By series and time; a series may come several times.
    pub cells: Vec<SeriesCell>,
    /// Records in it.
    pub records: u64,
}

/// Records whose labels are the same texts in memory, which the cell's key keeps alive, and that belong to the same time.
type TextAddresses = (RecordKind, u64, [usize; LABELS]);

/// The feed.
#[derive(Debug, Default)]
pub struct SeriesFeed {
    cells: Vec<SeriesCell>,
    /// By the addresses of the texts in the keys of `cells`.
    alike: FxHashMap<TextAddresses, u32>,
    by_key: FxHashMap<(u64, SeriesKey), u32>,
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
        let alike = (kind, start_s, std::array::from_fn(address));
        let known = self.alike.get(&alike).copied();
        let index = known.or_else(|| Some(self.place(start_s, SeriesKey::of(record)?, alike)));
        if let Some(index) = index {
            self.cells[index as usize].cell.add(kind, record);
        }
    }

    /// The place of a series that is not found by addresses.
    fn place(&mut self, start_s: u64, key: SeriesKey, alike: TextAddresses) -> u32 {
        if let Some(index) = self.by_key.get(&(start_s, key.clone())) {
            return *index;
        }
        if self.by_key.len() < limits::SERIES_IN_DELTA {
            let index = self.push(start_s, key);
            self.alike.insert(alike, index);
            return index;
        }
        let own = (start_s, key.other());
        match self.by_key.get(&own) {
            Some(index) => *index,
            None if self.by_key.len() < 2 * limits::SERIES_IN_DELTA => self.push(start_s, own.1),
            None => {
                let all = (start_s, key.other_services());
                self.by_key.get(&all).copied().unwrap_or_else(|| self.push(start_s, all.1))
            }
        }
    }

    fn push(&mut self, start_s: u64, key: SeriesKey) -> u32 {
        let index = self.cells.len() as u32;
        self.by_key.insert((start_s, key.clone()), index);
        self.cells.push(SeriesCell { start_s, key, cell: Cell::default() });
        index
    }

    /// Counts exchanges that are known to have been lost.
    pub fn lost(&mut self, now: WallTime, lost: Vec<(SeriesKey, u64)>) {
        let Some(field) = Field::named(RecordKind::Request, "lost") else { return };
        for (key, count) in lost {
            let mut cell = Cell::default();
            cell.add_value(field, count as f64);
            self.cells.push(SeriesCell { start_s: cell_start(now.0 / NS), key, cell });
        }
    }

    fn disks(&mut self, system: &System) {
        let start_s = cell_start(system.time.0 / NS);
        for disk in &system.disks {
            let mut cell = Cell::default();
            cell.add_one(RecordKind::Disk, |field| field.of_disk(disk));
            self.cells.push(SeriesCell { start_s, key: SeriesKey::of_disk(disk), cell });
        }
    }

    /// Counts the number of open connections; while it is not known there is no value.
    pub fn gauges(&mut self, gauges: &Gauges) {
        let (Some(field), Some(count)) = (Field::named(RecordKind::System, "active_connections"), gauges.active_connections) else {
            return;
        };
        let mut cell = Cell::default();
        cell.add_value(field, count as f64);
        self.cells.push(SeriesCell { start_s: cell_start(gauges.time.0 / NS), key: SeriesKey::system(), cell });
    }

    /// What was counted since the last call.
    pub fn take(&mut self, now: WallTime) -> Arc<SeriesDelta> {
        self.alike.clear();
        self.by_key.clear();
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
        Record::Process(_) | Record::System(_) | Record::Finding(_) | Record::Alert(_) => None,
    };
    record.time().0.saturating_add(lasted.unwrap_or(Millis(0)).0) / NS
}
