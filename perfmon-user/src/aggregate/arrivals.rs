//! Exchanges since the last tick, added up by what they have in common: an endpoint, or who asked whom. A record costs one entry here;
//! its rows (endpoint, service and totals, or destination) get the sums at the tick. Nothing reads rows between two ticks, so they are the
//! same as if each record had been added to each of them.
use rustc_hash::FxHashMap;

use super::accumulator::CountSet;
use super::exchange::{self, HttpAccumulator, HttpCounts, LATENCY, SHAPES};
use super::histogram::{DenseHistogram, FreshHistogram};
use super::sample::Samples;
use crate::record::Request;

/// Entries whose memory is kept for the next second.
const SPARE: usize = 1_024;

/// Entries by key. The key is two numbers that mean the same thing until the next tick: numbers of rows, or addresses of strings that
/// the entry's label keeps alive.
#[derive(Debug)]
pub struct Arrivals<L> {
    by_key: FxHashMap<(usize, usize), u32>,
    /// Those in use, and after them memory for more.
    entries: Vec<Arrival<L>>,
    used: usize,
}

/// The exchanges of one key.
#[derive(Debug)]
pub struct Arrival<L> {
    /// What they have in common.
    pub label: L,
    /// Their sums.
    pub sums: Sums,
    /// The slowest of them.
    pub samples: Samples,
}

/// Counts and histograms of some exchanges.
#[derive(Debug, Default)]
pub struct Sums {
    counts: HttpCounts,
    shapes: [FreshHistogram; SHAPES],
}

impl<L> Default for Arrivals<L> {
    fn default() -> Self {
        Self { by_key: FxHashMap::default(), entries: Vec::new(), used: 0 }
    }
}

impl<L> Arrivals<L> {
    /// The entry of a key; `label` makes its label when it is new.
    pub fn entry(&mut self, key: (usize, usize), label: impl FnOnce() -> L) -> &mut Arrival<L> {
        let Self { by_key, entries, used } = self;
        let at = *by_key.entry(key).or_insert_with(|| {
            match entries.get_mut(*used) {
                Some(entry) => entry.label = label(),
                None => entries.push(Arrival { label: label(), sums: Sums::default(), samples: Samples::default() }),
            }
            *used += 1;
            *used as u32 - 1
        });
        &mut entries[at as usize]
    }

    /// Changes labels; `change` says which ones it changed. Further exchanges with such a key get an entry of their own.
    pub fn relabel(&mut self, mut change: impl FnMut(&mut L) -> bool) {
        let changed: Vec<bool> = self.entries[..self.used].iter_mut().map(|entry| change(&mut entry.label)).collect();
        self.by_key.retain(|_, at| !changed[*at as usize]);
    }

    /// Hands each entry to `each`, those with the same `group` one after the other; there are none after it.
    pub fn drain(&mut self, group: impl Fn(&L) -> u32, mut each: impl FnMut(&mut Arrival<L>)) {
        self.by_key.clear();
        let mut order: Vec<(u32, usize)> = self.entries[..self.used].iter().map(|entry| group(&entry.label)).zip(0..).collect();
        order.sort_unstable();
        for (_, at) in order {
            let entry = &mut self.entries[at];
            each(entry);
            entry.sums.clear();
            entry.samples.clear();
        }
        self.entries.truncate(self.used.max(SPARE));
        self.used = 0;
    }
}

impl Sums {
    /// Adds an exchange; returns its latency, if that is known.
    pub fn add(&mut self, request: &Request) -> Option<u64> {
        let values = exchange::count(request, &mut self.counts);
        for (shape, value) in self.shapes.iter_mut().zip(values) {
            if let Some(ns) = value {
                shape.record(ns);
            }
        }
        values[LATENCY]
    }

    /// Exchanges.
    pub fn count(&self) -> u32 {
        self.counts.count as u32
    }

    /// Adds them to a slice.
    pub fn add_to(&mut self, slice: &mut HttpAccumulator) {
        slice.counts.merge(&self.counts);
        self.shapes.iter_mut().zip(&mut slice.shapes).for_each(|(shape, into)| into.merge(shape.settle()));
    }

    /// Adds them to the sums of many.
    pub fn add_to_all(&mut self, all: &mut DenseSums) {
        all.counts.merge(&self.counts);
        self.shapes.iter_mut().zip(&mut all.shapes).for_each(|(shape, into)| into.merge(shape.settle()));
    }

    fn clear(&mut self) {
        self.counts = HttpCounts::default();
        self.shapes.iter_mut().for_each(FreshHistogram::clear);
    }
}

/// Counts and histograms of many entries, to which one is added without a search for its buckets.
#[derive(Debug, Default)]
pub struct DenseSums {
    counts: HttpCounts,
    shapes: [DenseHistogram; SHAPES],
}

impl DenseSums {
    /// Exchanges.
    pub fn count(&self) -> u32 {
        self.counts.count as u32
    }

    /// Moves them to a slice.
    pub fn move_to(&mut self, slice: &mut HttpAccumulator) {
        slice.counts.merge(&std::mem::take(&mut self.counts));
        self.shapes.iter_mut().zip(&mut slice.shapes).for_each(|(shape, into)| into.merge(&shape.take()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_label_gets_a_new_entry() {
        let mut arrivals = Arrivals::default();
        arrivals.entry((1, 0), || "a").sums.counts.count = 1;
        arrivals.entry((1, 0), || unreachable!()).sums.counts.count += 1;
        arrivals.relabel(|label| std::mem::replace(label, "b") == "a");
        arrivals.entry((1, 0), || "new").sums.counts.count = 7;
        let mut seen = Vec::new();
        arrivals.drain(|_| 0, |entry| seen.push((entry.label, entry.sums.count())));
        assert_eq!(seen, [("b", 2), ("new", 7)]);
        arrivals.drain(|_| 0, |_| unreachable!());
        assert_eq!(arrivals.entry((1, 0), || "again").sums.count(), 0);
    }
}
