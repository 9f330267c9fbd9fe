//! Where each record is taken apart into its series. In: records and gauges; out, when asked: the cells counted since the last time. Records
//! are mostly alike, with the same texts in memory, for longer than a second: the series of such a record is found by the addresses of its
//! texts, without touching them. A cell holds what a series counted of one detail (`record::SeriesDetail`). Bounded: with too many series in a
//! second those that are new are counted as overflow series of their service, with too many details those that are new in a mixed cell of
//! their series.
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cell::Cell;
use super::cell_start;
use super::custom::CustomFeed;
use super::exemplar::Exemplar;
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
    /// Of requests: one that stands for them.
    pub exemplar: Option<Box<Exemplar>>,
    /// Distributions of tokens, by the field's id: only views of deltas show them, histories and rules do not keep them.
    pub sizes: Vec<(u8, Histogram)>,
}

impl SeriesCell {
    /// Of all records of a series.
    pub fn new(start_s: u64, key: SeriesKey, cell: Cell) -> Self {
        Self { start_s, key, detail: SeriesDetail::Mixed, cell, exemplar: None, sizes: Vec::new() }
    }

    fn is_of(&self, key: &SeriesKey, detail: &SeriesDetail) -> bool {
        self.detail == *detail && self.key == *key
    }

    fn count(&mut self, record: &Record) {
        let kind = self.key.kind;
        self.cell.note(kind, record);
        if kind == RecordKind::Request {
            return Exemplar::offer(&mut self.exemplar, record);
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

/// Records of one kind and detail whose labels are the same texts in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TextAddresses {
    /// Kind and detail.
    what: u64,
    texts: [usize; LABELS],
}

impl TextAddresses {
    /// Of a record; `None` for failures that are texts.
    fn of(kind: RecordKind, record: &Record) -> Option<Self> {
        let labels = kind.labels();
        let address = |index: usize| labels.get(index).and_then(|label| label.value(record)).map_or(0, LabelText::address);
        let what = SeriesDetail::number(record)? | (kind as u64) << 56;
        Some(Self { what, texts: std::array::from_fn(address) })
    }
}

impl Hash for TextAddresses {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.what);
        self.texts.iter().for_each(|text| state.write_usize(*text));
    }
}

/// The series of such records.
#[derive(Debug)]
struct AlikeSeries {
    /// Keeps the texts alive, so that an address cannot become another text's.
    key: SeriesKey,
    detail: SeriesDetail,
    /// Number of the delta in which it was counted last, start of the cell, and its place.
    cell: (u64, u64, u32),
}

/// Series and the start of their cells.
type CellKey = (u64, SeriesKey);

/// Places of the cells of a series, one for each detail.
#[derive(Debug)]
struct SeriesCells {
    first: u32,
    count: u32,
}

/// After the last cell of a series.
const NONE: u32 = u32::MAX;

/// Deltas after which a series that was not counted is forgotten: with it go texts that records have no more.
const FORGOTTEN: u64 = 10;
/// Series that are found by addresses.
const ALIKE: usize = 2 * limits::SERIES_IN_DELTA;

/// The feed.
#[derive(Debug, Default)]
pub struct SeriesFeed {
    cells: Vec<SeriesCell>,
    /// Over deltas.
    alike: FxHashMap<TextAddresses, AlikeSeries>,
    by_key: FxHashMap<CellKey, SeriesCells>,
    /// Of each of `cells` the next one of the series.
    next: Vec<u32>,
    /// Cells beyond the first of their series.
    further: usize,
    /// The delta before; when nobody looks at it any more, the memory of its cells serves for new ones.
    before: Option<Arc<SeriesDelta>>,
    /// Such cells, by kind.
    spare: FxHashMap<RecordKind, Vec<Cell>>,
    records: u64,
    /// Deltas taken so far.
    delta: u64,
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
        let alike = TextAddresses::of(kind, record);
        let known = alike.and_then(|alike| self.alike.get(&alike));
        let index = match known {
            Some(known) if (known.cell.0, known.cell.1) == (self.delta, start_s) => Some(known.cell.2),
            Some(known) => {
                let (key, detail) = ((start_s, known.key.clone()), known.detail.clone());
                Some(self.place_known(key, detail, alike))
            }
            None => SeriesKey::of(record).map(|key| self.place_new((start_s, key), SeriesDetail::of(record), alike)),
        };
        if let Some(index) = index {
            self.cells[index as usize].count(record);
        }
    }

    /// The place of a series that is known from an earlier delta, or another cell of time.
    fn place_known(&mut self, key: CellKey, detail: SeriesDetail, alike: Option<TextAddresses>) -> u32 {
        let (delta, start_s) = (self.delta, key.0);
        let index = self.place(&key, detail);
        if let Some(known) = alike.and_then(|alike| self.alike.get_mut(&alike))
            && self.cells[index as usize].is_of(&known.key, &known.detail)
        {
            known.cell = (delta, start_s, index);
        }
        index
    }

    /// The place of a series that is not found by addresses.
    fn place_new(&mut self, key: CellKey, detail: SeriesDetail, alike: Option<TextAddresses>) -> u32 {
        let index = self.place(&key, detail.clone());
        if let Some(alike) = alike
            && self.alike.len() < ALIKE
            && self.cells[index as usize].is_of(&key.1, &detail)
        {
            self.alike.insert(alike, AlikeSeries { key: key.1, detail, cell: (self.delta, key.0, index) });
        }
        index
    }

    fn place(&mut self, key: &CellKey, detail: SeriesDetail) -> u32 {
        let Some(known) = self.by_key.get(key) else {
            return if self.by_key.len() < limits::SERIES_IN_DELTA { self.push(key, detail) } else { self.overflow(key) };
        };
        let (cells, next, first, count) = (&self.cells, &self.next, known.first, known.count as usize);
        let places = || std::iter::successors(Some(first), |place| Some(next[*place as usize]).filter(|next| *next != NONE));
        let at = |wanted: &SeriesDetail| places().find(|place| cells[*place as usize].detail == *wanted);
        if let Some(index) = at(&detail) {
            return index;
        }
        if self.further < limits::DETAILS_IN_DELTA && count < limits::DETAILS_OF_SERIES {
            self.further += 1;
            return self.push(key, detail);
        }
        at(&SeriesDetail::Mixed).unwrap_or_else(|| self.push(key, SeriesDetail::Mixed))
    }

    /// The place of a series for which there is no room.
    fn overflow(&mut self, (start_s, key): &CellKey) -> u32 {
        let own = (*start_s, key.other());
        if let Some(known) = self.by_key.get(&own) {
            return known.first;
        }
        if self.by_key.len() < 2 * limits::SERIES_IN_DELTA {
            return self.push(&own, SeriesDetail::Mixed);
        }
        let all = (*start_s, key.other_services());
        self.by_key.get(&all).map(|known| known.first).unwrap_or_else(|| self.push(&all, SeriesDetail::Mixed))
    }

    fn push(&mut self, key: &CellKey, detail: SeriesDetail) -> u32 {
        let index = self.cells.len() as u32;
        let cell = self.spare.get_mut(&key.1.kind).and_then(Vec::pop).unwrap_or_default();
        self.cells.push(SeriesCell { detail, ..SeriesCell::new(key.0, key.1.clone(), cell) });
        // Business metrics and file systems put their cells among these.
        self.next.resize(index as usize + 1, NONE);
        match self.by_key.entry(key.clone()) {
            Entry::Occupied(known) => {
                let known = known.into_mut();
                known.count += 1;
                self.next[index as usize] = std::mem::replace(&mut self.next[known.first as usize], index);
            }
            Entry::Vacant(new) => {
                new.insert(SeriesCells { first: index, count: 1 });
            }
        }
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
        self.by_key.clear();
        self.next.clear();
        self.further = 0;
        self.delta += 1;
        if self.delta.is_multiple_of(FORGOTTEN) || self.alike.len() >= ALIKE {
            let since = self.delta - if self.alike.len() >= ALIKE { 1 } else { FORGOTTEN };
            self.alike.retain(|_, known| known.cell.0 >= since);
        }
        self.custom.take(now, &mut self.cells);
        self.cells.iter_mut().for_each(|cell| cell.cell.settle());
        let cells = self.reuse();
        let cells = std::mem::replace(&mut self.cells, cells);
        let delta = Arc::new(SeriesDelta { until: now, cells, records: std::mem::take(&mut self.records) });
        self.before = Some(delta.clone());
        delta
    }

    /// Memory of the delta before; an empty list of cells.
    fn reuse(&mut self) -> Vec<SeriesCell> {
        self.spare.values_mut().for_each(Vec::clear);
        let Some(mut before) = self.before.take().and_then(Arc::into_inner) else { return Vec::new() };
        for mut old in before.cells.drain(..) {
            old.cell.reset();
            self.spare.entry(old.key.kind).or_default().push(old.cell);
        }
        before.cells
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
