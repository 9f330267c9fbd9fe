//! The recent past of series, for those who look at sliding windows. In: deltas; out: what each series of a kind counted in the last so many
//! seconds. A window is made of steps (a thirtieth of its length, ten seconds at least) and covers its length and at most one step more. Each
//! series has its sum ready: a delta is added to it, and a step that leaves the window is taken off it. Series are found by the
//! value of a label. A window keeps only the fields and tells series apart only by the labels that somebody asks for.
//! Bounded: a further series of a full window is counted in the overflow series of its service.
use std::collections::VecDeque;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::cell::{Cell, FieldSet};
use super::feed::{SeriesCell, SeriesDelta};
use super::{CELL_S, cell_start};
use crate::limits;
use crate::record::metric::RecordKind;
use crate::record::{LabelSet, SeriesKey, WallTime};

const NS: u64 = 1_000_000_000;
/// A clock that goes back further was set back.
const SET_BACK_S: u64 = 60;
/// Steps of a window.
const STEPS: u64 = 30;

/// What a window is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesShare {
    /// Kind of records.
    pub kind: RecordKind,
    /// Its length in seconds.
    pub length_s: u64,
    /// What of each series is kept; distributions take most of the memory and time.
    pub fields: FieldSet,
    /// By what series are told apart.
    pub labels: LabelSet,
}

impl SeriesShare {
    fn is_like(&self, other: &Self) -> bool {
        (self.kind, self.length_s) == (other.kind, other.length_s)
    }

    /// Whether a window of this serves for `other`.
    fn serves(&self, other: &Self) -> bool {
        self.is_like(other) && self.fields.has(other.fields) && self.labels.has(other.labels)
    }

    /// One that serves for both.
    fn with(self, other: &Self) -> Self {
        Self { fields: self.fields.with(other.fields), labels: self.labels.with(other.labels), ..self }
    }
}

/// Series of one kind in one window.
#[derive(Debug)]
pub struct RecentWindow {
    share: SeriesShare,
    step_s: u64,
    series: IndexMap<SeriesKey, RecentCells, FxBuildHasher>,
    /// Places of what comes, by its key with all labels.
    places: FxHashMap<SeriesKey, u32>,
    /// Places of the series that have a value in one of their labels.
    with_value: FxHashMap<Arc<str>, Vec<u32>>,
    /// Where its data begins.
    since_s: u64,
    now_s: u64,
}

#[derive(Debug, Default)]
struct RecentCells {
    /// Number of the step and what it counted, oldest first.
    steps: VecDeque<(u64, Cell)>,
    sum: Cell,
}

impl RecentCells {
    fn add(&mut self, step: u64, cell: &Cell, fields: FieldSet) {
        self.sum.merge_part(cell, fields);
        // Mostly the newest.
        if let Some((_, newest)) = self.steps.back_mut().filter(|(number, _)| *number == step) {
            return newest.merge_part(cell, fields);
        }
        let at = self.steps.partition_point(|(number, _)| *number < step);
        if self.steps.get(at).is_none_or(|(number, _)| *number != step) {
            self.steps.insert(at, (step, Cell::default()));
        }
        self.steps[at].1.merge_part(cell, fields);
    }

    /// Drops steps before `oldest`.
    fn expire(&mut self, oldest: u64) {
        while let Some((_, gone)) = self.steps.pop_front_if(|(number, _)| *number < oldest) {
            self.sum.take_off(&gone, self.steps.iter().map(|(_, cell)| cell));
        }
    }
}

impl RecentWindow {
    fn new(share: SeriesShare, now_s: u64) -> Self {
        let step_s = share.length_s.div_ceil(STEPS).next_multiple_of(CELL_S);
        let (series, places, with_value) = Default::default();
        Self { share, step_s, series, places, with_value, since_s: now_s, now_s }
    }

    /// Number of the oldest step in the window.
    fn oldest(&self) -> u64 {
        (self.now_s / self.step_s).saturating_sub(self.share.length_s.div_ceil(self.step_s))
    }

    fn add(&mut self, cell: &SeriesCell) {
        let step = cell.start_s / self.step_s;
        if cell.key.kind != self.share.kind || step < self.oldest() {
            return;
        }
        let known = self.places.get(&cell.key).map(|place| *place as usize);
        let place = known.unwrap_or_else(|| self.place(&cell.key));
        self.series[place].add(step, &cell.cell, self.share.fields);
    }

    /// The place of a series that is not known by its key.
    fn place(&mut self, whole: &SeriesKey) -> usize {
        let mut key = whole.part(self.share.labels);
        if self.series.len() >= limits::SERIES_RECENT && !self.series.contains_key(&key) {
            key = key.other_services();
        }
        let known = self.series.len();
        let entry = self.series.entry(key);
        let place = entry.index();
        entry.or_default();
        if place == known {
            self.note_values(place);
        }
        if self.places.len() < limits::SERIES_IN_DELTA {
            self.places.insert(whole.clone(), place as u32);
        }
        place
    }

    fn note_values(&mut self, place: usize) {
        let Some((key, _)) = self.series.get_index(place) else { return };
        for value in key.labels().filter_map(|(_, value)| value) {
            let places = self.with_value.entry(value.clone()).or_default();
            // A value may stand in two labels.
            if places.last() != Some(&(place as u32)) {
                places.push(place as u32);
            }
        }
    }

    fn advance(&mut self, now_s: u64) {
        if now_s + SET_BACK_S < self.now_s {
            // The clock was set back: what was counted lies in the future.
            self.series.clear();
            self.places.clear();
            self.with_value.clear();
            (self.since_s, self.now_s) = (now_s, now_s);
        }
        let before = self.oldest();
        self.now_s = self.now_s.max(now_s);
        let oldest = self.oldest();
        if oldest > before {
            let known = self.series.len();
            self.places.clear();
            self.series.retain(|_, series| {
                series.expire(oldest);
                !series.steps.is_empty()
            });
            if self.series.len() < known {
                self.with_value.clear();
                (0..self.series.len()).for_each(|place| self.note_values(place));
            }
        }
    }

    /// Its series and what each counted.
    pub fn series(&self) -> impl Iterator<Item = (&SeriesKey, &Cell)> {
        self.series.iter().map(|(key, series)| (key, &series.sum))
    }

    /// Its series that may have all these values in their labels: those that have the rarest of them, all when there is none.
    pub fn series_with<'a>(&'a self, values: impl Iterator<Item = &'a str>) -> impl Iterator<Item = (&'a SeriesKey, &'a Cell)> {
        let places = |value: &str| self.with_value.get(value).map_or(&[][..], Vec::as_slice);
        let rarest = values.map(places).min_by_key(|places| places.len());
        let all = if rarest.is_none() { 0..self.series.len() } else { 0..0 };
        let at = |place: usize| self.series.get_index(place).map(|(key, series)| (key, &series.sum));
        rarest.unwrap_or_default().iter().map(|place| *place as usize).chain(all).filter_map(at)
    }

    /// Seconds that its figures are of: of a window that has just begun fewer than its length.
    pub fn covered_s(&self) -> f64 {
        let from = (self.oldest() * self.step_s).max(self.since_s);
        self.now_s.saturating_sub(from) as f64
    }

    /// Seconds since its data begins.
    pub fn watched_s(&self) -> f64 {
        self.now_s.saturating_sub(self.since_s) as f64
    }

    /// Whether data has come for the whole length.
    pub fn is_full(&self) -> bool {
        self.now_s.saturating_sub(self.since_s) >= self.share.length_s
    }
}

/// The windows that somebody looks at: of a kind and length mostly one.
#[derive(Debug, Default)]
pub struct RecentSeries {
    windows: Vec<RecentWindow>,
}

impl RecentSeries {
    /// Keeps these windows from now on; those that it had keep their data. Shares of one kind and length have a window in common, but one with
    /// a field or label that an older window lacks begins anew, and the older one stays for the others.
    pub fn keep(&mut self, shares: impl IntoIterator<Item = SeriesShare>, now: WallTime) {
        let mut before = std::mem::take(&mut self.windows);
        before.sort_by_key(|window| window.since_s);
        let mut wanted: Vec<Option<FieldSet>> = vec![None; before.len()];
        let mut new: Vec<RecentWindow> = Vec::new();
        for share in shares {
            if let Some(at) = before.iter().position(|window| window.share.serves(&share)) {
                wanted[at] = Some(wanted[at].unwrap_or_default().with(share.fields));
            } else if let Some(like) = new.iter_mut().find(|window| window.share.is_like(&share)) {
                like.share = like.share.with(&share);
            } else {
                new.push(RecentWindow::new(share, now.0 / NS));
            }
        }
        for (mut window, fields) in before.into_iter().zip(wanted) {
            if let Some(fields) = fields {
                window.share.fields = fields;
                self.windows.push(window);
            }
        }
        self.windows.append(&mut new);
    }

    /// Takes a delta: time goes on to its end.
    pub fn add(&mut self, delta: &SeriesDelta) {
        for window in &mut self.windows {
            window.advance(delta.until.0 / NS);
            delta.cells.iter().for_each(|cell| window.add(cell));
        }
    }

    /// Takes cells of a kind and an earlier time, which make its windows begin there.
    pub fn begin_with(&mut self, kind: RecordKind, from_s: u64, cells: &[SeriesCell]) {
        for window in self.windows.iter_mut().filter(|window| window.share.kind == kind) {
            window.since_s = window.since_s.min(cell_start(from_s));
            cells.iter().for_each(|cell| window.add(cell));
        }
    }

    /// A window that is kept: of those that have the share's fields and labels, the one with the oldest data.
    pub fn window(&self, share: &SeriesShare) -> Option<&RecentWindow> {
        self.windows.iter().filter(|window| window.share.serves(share)).min_by_key(|window| window.since_s)
    }
}
