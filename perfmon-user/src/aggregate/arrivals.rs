//! Exchanges since the last tick, added up by what they have in common: an endpoint, or who asked whom. A record costs one entry here;
//! its rows (endpoint, service and totals, or destination) get the sums at the tick. Nothing reads rows between two ticks, so they are the
//! same as if each record had been added to each of them.
use rustc_hash::FxHashMap;

use super::accumulator::CountSet;
use super::exchange::{HttpAccumulator, HttpCounts, HttpObservation, SHAPES};
use super::histogram::{self, Histogram};
use super::sample::Samples;

/// A histogram with more filled buckets becomes an array: below that, the search in a short list is cheap and takes less memory.
const LIST: usize = 32;
/// Entries whose memory is kept for the next second.
const SPARE: usize = 64;

/// Entries by key. The key is two numbers that mean the same thing until the next tick: numbers of rows, or addresses of strings that
/// the entry's label keeps alive.
#[derive(Debug)]
pub struct Arrivals<L> {
    by_key: FxHashMap<(usize, usize), u32>,
    entries: Vec<Arrival<L>>,
    spare: Vec<Sums>,
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
    shapes: [Shape; SHAPES],
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
            entries.push(Arrival { label: label(), sums: spare.pop().unwrap_or_default(), samples: Samples::default() });
            entries.len() as u32 - 1
        });
        &mut entries[at as usize]
    }

    /// Changes labels; `change` says which ones it changed. Further exchanges with such a key get an entry of their own.
    pub fn relabel(&mut self, mut change: impl FnMut(&mut L) -> bool) {
        let changed: Vec<bool> = self.entries.iter_mut().map(|entry| change(&mut entry.label)).collect();
        self.by_key.retain(|_, at| !changed[*at as usize]);
    }

    /// Hands each entry, in the order in which they began, to `each`; there are none after it.
    pub fn drain(&mut self, mut each: impl FnMut(&Arrival<L>)) {
        self.by_key.clear();
        for mut entry in self.entries.drain(..) {
            each(&entry);
            if self.spare.len() < SPARE {
                entry.sums.clear();
                self.spare.push(entry.sums);
            }
        }
    }
}

impl Sums {
    /// Adds an exchange.
    pub fn add(&mut self, exchange: &HttpObservation) {
        self.counts.merge(exchange.counts());
        for (shape, value) in self.shapes.iter_mut().zip(exchange.values()) {
            if let Some(ns) = value {
                shape.record(histogram::index_of(ns));
            }
        }
    }

    /// Exchanges.
    pub fn count(&self) -> u32 {
        self.counts.count as u32
    }

    /// Adds them to a slice.
    pub fn add_to(&self, slice: &mut HttpAccumulator) {
        slice.counts.merge(&self.counts);
        self.shapes.iter().zip(&mut slice.shapes).for_each(|(shape, into)| shape.add_to(into));
    }

    fn clear(&mut self) {
        self.counts = HttpCounts::default();
        self.shapes.iter_mut().for_each(Shape::clear);
    }
}

/// A histogram that is cheap to add to: a list of buckets, and once that is long an array over the octaves in use.
#[derive(Debug, Default)]
struct Shape {
    list: Histogram,
    /// Counts of the buckets from `first` on; empty while the list is short.
    counts: Vec<u32>,
    first: usize,
}

impl Shape {
    fn record(&mut self, bucket: u16) {
        let at = usize::from(bucket).wrapping_sub(self.first);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        } else if self.counts.is_empty() {
            self.list.add(bucket, 1);
            if self.list.len() > LIST {
                let list = std::mem::take(&mut self.list);
                list.each(|bucket, count| self.cover(bucket, count));
            }
        } else {
            self.cover(bucket, 1);
        }
    }

    /// Adds to the array, which grows to hold the bucket's octave.
    fn cover(&mut self, bucket: u16, count: u32) {
        let (bucket, octave) = (usize::from(bucket), usize::from(bucket) / 64 * 64);
        if self.counts.is_empty() {
            self.first = octave;
        }
        if octave < self.first {
            self.counts.splice(0..0, std::iter::repeat_n(0, self.first - octave));
            self.first = octave;
        }
        if self.counts.len() < octave + 64 - self.first {
            self.counts.resize(octave + 64 - self.first, 0);
        }
        self.counts[bucket - self.first] += count;
    }

    fn add_to(&self, into: &mut Histogram) {
        into.merge(&self.list);
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.for_each(|(at, &count)| into.add((self.first + at) as u16, count));
    }

    fn clear(&mut self) {
        self.list.clear();
        self.counts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(values: &[u64]) -> Shape {
        let mut shape = Shape::default();
        values.iter().for_each(|&ns| shape.record(histogram::index_of(ns)));
        shape
    }

    #[test]
    fn a_shape_is_the_histogram_of_its_values() {
        let scattered: Vec<u64> = (0..500_u64).map(|n| (n * 7_919 % 500 + 1) * (n * n + 1)).collect();
        for values in [&scattered[..LIST], &scattered[..], &[1, u64::MAX, 0, 5_000_000][..]] {
            let (mut direct, mut added) = (Histogram::default(), Histogram::default());
            values.iter().for_each(|&ns| direct.record(ns));
            shape(values).add_to(&mut added);
            assert_eq!(added, direct);
        }
    }

    #[test]
    fn a_cleared_shape_holds_nothing() {
        let mut shape = shape(&(0..200).map(|n| n * 1_000).collect::<Vec<_>>());
        assert!(!shape.counts.is_empty());
        shape.clear();
        shape.record(3);
        let mut added = Histogram::default();
        shape.add_to(&mut added);
        assert_eq!(added.count(), 1);
    }

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
