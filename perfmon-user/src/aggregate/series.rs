//! All series of one kind: key in, windowed series out. Bounded: a new key beyond the share of its owner goes to that owner's overflow series
//! and is counted; a series without data in the last hour is dropped. Figures are recomputed only when something was counted or a slice left the
//! window.
use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::accumulator::{Accumulator, CountSet};
use super::figures::{Merger, WindowFigures};
use super::quota::Quota;
use super::sample::Samples;
use super::snapshot::Window;
use super::window::{SliceClock, Windows};
use crate::record::{SpanId, WallTime};

/// Parameters of a tick, the same for every series.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Time of the tick.
    pub now: WallTime,
    /// The slice that was open until now.
    pub from: u32,
    /// The slice that is open from now on.
    pub to: u32,
    /// Windows that lose a slice.
    pub moved: [bool; 3],
    /// Seconds since rates were last taken, when they are taken now.
    pub second_s: Option<f64>,
}

impl Tick {
    /// The tick of `clock`, whose open slice was `from` before it advanced.
    pub fn new(now: WallTime, from: u32, clock: &SliceClock, second_s: Option<f64>) -> Self {
        Self { now, from, to: clock.slice(), moved: clock.moved(from), second_s }
    }
}

/// One row.
#[derive(Clone, Debug)]
pub struct Series<C, const H: usize> {
    windows: Windows<C, H>,
    figures: [WindowFigures<C, H>; 3],
    samples: Samples,
    /// Events counted since rates were last computed.
    in_second: u32,
    rate_now: f64,
    touched: bool,
}

impl<C: CountSet, const H: usize> Default for Series<C, H> {
    fn default() -> Self {
        Self {
            windows: Windows::default(),
            figures: Default::default(),
            samples: Samples::default(),
            in_second: 0,
            rate_now: 0.0,
            touched: false,
        }
    }
}

impl<C: CountSet, const H: usize> Series<C, H> {
    /// The open slice, for one more event that counts in the rate.
    pub fn count(&mut self) -> &mut Accumulator<C, H> {
        self.in_second += 1;
        self.amend()
    }

    /// The open slice, for so many things more that count in the rate.
    pub fn count_all(&mut self, count: u32) -> &mut Accumulator<C, H> {
        self.in_second += count;
        self.amend()
    }

    /// The open slice, for something that does not count in the rate.
    pub fn amend(&mut self) -> &mut Accumulator<C, H> {
        self.touched = true;
        &mut self.windows.open
    }

    /// What the open slice counted.
    pub fn open_counts(&self) -> &C {
        &self.windows.open.counts
    }

    /// Its slowest exchanges.
    pub fn samples(&mut self) -> &mut Samples {
        &mut self.samples
    }

    /// Ids of its slowest exchanges.
    pub fn sample_ids(&self) -> std::sync::Arc<[SpanId]> {
        self.samples.ids()
    }

    /// Notes how many were under way at once.
    pub fn concurrency(&mut self, peak: u64) {
        let open = self.amend();
        open.concurrency_peak = open.concurrency_peak.max(peak);
    }

    /// Its figures in a window.
    pub fn figures(&self, window: Window) -> &WindowFigures<C, H> {
        &self.figures[window as usize]
    }

    /// Rate in the last full second.
    pub fn rate_now(&self) -> f64 {
        self.rate_now
    }

    /// Ends the second and the slice as the tick requires, and recomputes the figures that changed.
    pub fn tick(&mut self, tick: &Tick, merger: &mut Merger<C, H>) {
        if let Some(seconds) = tick.second_s {
            self.rate_now = f64::from(std::mem::take(&mut self.in_second)) / seconds;
            let open = &mut self.windows.open;
            open.rate_peak_milli = open.rate_peak_milli.max((self.rate_now * 1_000.0).round() as u64);
        }
        self.windows.roll(tick.from, tick.to);
        let touched = std::mem::take(&mut self.touched);
        for window in Window::ALL {
            let figures = &mut self.figures[window as usize];
            if touched || (tick.moved[window as usize] && !figures.is_empty()) {
                self.windows.collect(window, tick.to, merger);
                *figures = merger.finish();
            }
        }
        if tick.moved[0] {
            self.samples.expire(tick.now);
        }
    }

    /// True when the last hour is empty.
    fn is_idle(&self) -> bool {
        self.figures[Window::Hour as usize].is_empty()
    }

    /// Takes everything over that another row counted.
    fn merge(&mut self, other: Self) {
        self.windows.merge(other.windows);
        self.samples.merge(&other.samples);
        self.in_second += other.in_second;
        self.touched = true;
    }

    /// Bytes on the heap.
    fn heap_bytes(&self) -> usize {
        self.windows.heap_bytes() + self.samples.heap_bytes()
    }
}

/// The rows of a kind.
#[derive(Debug)]
pub struct SeriesTable<K, C, const H: usize> {
    rows: FxHashMap<K, Series<C, H>>,
    /// The overflow row of a key, which names its owner.
    other: fn(&K) -> K,
    /// Shares of the rows, overflow rows aside.
    quota: Quota<K>,
    overflowed: u64,
    merger: Merger<C, H>,
}

impl<K: Eq + Hash + Clone, C: CountSet, const H: usize> SeriesTable<K, C, H> {
    /// Keeps at most `cap` rows, overflow rows aside. `other` gives the overflow row of a key; keys with the same one share it, and their rows.
    pub fn new(cap: usize, other: fn(&K) -> K) -> Self {
        Self { rows: FxHashMap::default(), other, quota: Quota::new(cap), overflowed: 0, merger: Merger::default() }
    }

    /// Keeps every row.
    pub fn unbounded() -> Self {
        Self::new(0, K::clone)
    }

    /// The row of `key`, or its overflow row when its owner has too many.
    pub fn row(&mut self, key: K) -> &mut Series<C, H> {
        self.row_for(key, 1)
    }

    /// The same for so many things at once.
    pub fn row_for(&mut self, key: K, count: u32) -> &mut Series<C, H> {
        let key = if self.rows.contains_key(&key) { key } else { self.admit(key, count) };
        self.rows.entry(key).or_default()
    }

    /// The key of the row for a key that has none.
    fn admit(&mut self, key: K, count: u32) -> K {
        let owner = (self.other)(&key);
        if owner == key || self.quota.take(&owner) {
            return key;
        }
        self.overflowed += u64::from(count);
        owner
    }

    /// Adds the row `from` to the row `into` and drops it.
    pub fn merge(&mut self, from: &K, into: K) {
        if let Some(row) = self.rows.remove(from) {
            self.give_back(from);
            self.row_for(into, 0).merge(row);
        }
    }

    fn give_back(&mut self, key: &K) {
        let owner = (self.other)(key);
        if owner != *key {
            self.quota.give_back(&owner);
        }
    }

    /// Passes the tick to all series; drops those that were idle for an hour and returns their keys.
    pub fn tick(&mut self, tick: &Tick) -> Vec<K> {
        let merger = &mut self.merger;
        self.rows.values_mut().for_each(|row| row.tick(tick, merger));
        let idle: Vec<K> = self.rows.extract_if(|_, row| row.is_idle()).map(|(key, _)| key).collect();
        idle.iter().for_each(|key| self.give_back(key));
        idle
    }

    /// All rows, in no order.
    pub fn rows(&self) -> impl Iterator<Item = (&K, &Series<C, H>)> {
        self.rows.iter()
    }

    /// Rows with anything in `window`, in no order.
    pub fn in_window(&self, window: Window) -> impl Iterator<Item = (&K, &Series<C, H>)> {
        self.rows.iter().filter(move |(_, row)| !row.figures(window).is_empty())
    }

    /// The row of `key`, if it has one.
    pub fn get(&self, key: &K) -> Option<&Series<C, H>> {
        self.rows.get(key)
    }

    /// Events that went to overflow series since the last call.
    pub fn take_overflowed(&mut self) -> u64 {
        std::mem::take(&mut self.overflowed)
    }

    /// Bytes that the rows take.
    pub fn memory_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<(K, Series<C, H>)>() + self.rows.values().map(Series::heap_bytes).sum::<usize>()
    }
}
