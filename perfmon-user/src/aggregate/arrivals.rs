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
    entries: Vec<Arrival<L>>,
    spare: Vec<(Sums, Samples)>,
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
        Self { by_key: FxHashMap::default(), entries: Vec::new(), spare: Vec::new() }
    }
}

impl<L> Arrivals<L> {
    /// The entry of a key; `label` makes its label when it is new.
    pub fn entry(&mut self, key: (usize, usize), label: impl FnOnce() -> L) -> &mut Arrival<L> {
        let Self { by_key, entries, spare } = self;
        let at = *by_key.entry(key).or_insert_with(|| {
            let (sums, samples) = spare.pop().unwrap_or_default();
            entries.push(Arrival { label: label(), sums, samples });
            entries.len() as u32 - 1
        });
        &mut entries[at as usize]
    }

    /// Changes labels; `change` says which ones it changed. Further exchanges with such a key get an entry of their own.
    pub fn relabel(&mut self, mut change: impl FnMut(&mut L) -> bool) {
        let changed: Vec<bool> = self.entries.iter_mut().map(|entry| change(&mut entry.label)).collect();
        self.by_key.retain(|_, at| !changed[*at as usize]);
    }

    /// Puts those with the same `of` next to each other.
    pub fn group(&mut self, of: impl Fn(&L) -> u32) {
        self.by_key.clear();
        self.entries.sort_by_key(|entry| of(&entry.label));
    }

    /// Hands each entry, in the order in which they began, to `each`; there are none after it.
    pub fn drain(&mut self, mut each: impl FnMut(&mut Arrival<L>)) {
        self.by_key.clear();
        for mut entry in self.entries.drain(..) {
            each(&mut entry);
            if self.spare.len() < SPARE {
                entry.sums.clear();
                entry.samples.clear();
                self.spare.push((entry.sums, entry.samples));
            }
        }
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
        arrivals.drain(|entry| seen.push((entry.label, entry.sums.count())));
        assert_eq!(seen, [("b", 2), ("new", 7)]);
        arrivals.drain(|_| unreachable!());
        assert_eq!(arrivals.entry((1, 0), || "again").sums.count(), 0);
    }
}
