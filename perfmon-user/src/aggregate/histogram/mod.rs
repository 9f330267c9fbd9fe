//! A sparse, mergeable histogram of durations in nanoseconds; the same type serves live windows, the store and the export.
//!
//! Buckets are those of an HDR histogram with 64 steps an octave: values below 128 ns are exact, above that a bucket [low, low + width) has
//! width = low's power of two ÷ 64. A quantile is reported as the middle of its bucket, so its relative error is at most (width ÷ 2) ÷ low
//! ≤ 1 ÷ 128 = 0.79 %. Values above one hour count in the last bucket; keep their true maximum separately.
//! Bytes: number of buckets, then one byte a bucket (3 bits distance to the previous one, 5 bits count) with LEB128 escapes, about 1.2
//! bytes a bucket in practice.
mod dense;
mod fresh;

use std::sync::LazyLock;

pub use dense::DenseHistogram;
pub use fresh::FreshHistogram;

use super::varint::{self, VarintReader};

/// Longest duration with its own bucket: one hour.
pub const MAX_NS: u64 = 3_600_000_000_000;
/// Buckets that exist.
pub const BUCKETS: usize = index_of(MAX_NS) as usize + 1;

const DISTANCE_ESCAPE: u64 = 7;
const COUNT_ESCAPE: u64 = 31;
/// Values that are noted before a histogram is settled on its own.
const NOTED: usize = 64;
/// Values that the first memory of a histogram has room for.
const FEW: usize = 4;
/// Buckets that a merge looks at one by one before it searches.
const NEAR: usize = 8;

/// A bucket with something in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its first value.
    pub low_ns: u64,
    /// First value of the next bucket.
    pub high_ns: u64,
    /// Values in it.
    pub count: u64,
}

impl Bucket {
    /// The value in its middle.
    pub fn middle(&self) -> u64 {
        self.low_ns + (self.high_ns - self.low_ns) / 2
    }

    /// Its logarithm, taken once for all buckets; `None` of the first bucket, which is that of 0.
    pub fn middle_log2(&self) -> Option<f64> {
        static LOG2: LazyLock<Vec<f64>> = LazyLock::new(|| {
            let of = |index: usize| {
                let (low, width) = bounds_of(index as u16);
                ((low + width / 2) as f64).log2()
            };
            (0..BUCKETS).map(of).collect()
        });
        Some(LOG2[usize::from(index_of(self.low_ns))]).filter(|log2| log2.is_finite())
    }
}

/// The histogram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Index and count, ascending by index, no zero counts.
    buckets: Vec<(u16, u32)>,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, ns: u64) {
        self.add(index_of(ns), 1);
    }

    /// Counts one duration for those who count much more often than they read: its bucket stands at the end until the histogram is settled,
    /// which it has to be before anything else is done with it.
    pub fn note(&mut self, ns: u64) {
        let room = self.buckets.capacity();
        if self.buckets.len() == room {
            if room >= NOTED {
                self.settle();
            }
            if self.buckets.len() > room / 2 || room == 0 {
                self.buckets.reserve(room.max(FEW));
            }
        }
        self.buckets.push((index_of(ns), 1));
    }

    /// Puts what was noted into its place.
    pub fn settle(&mut self) {
        if !self.buckets.is_sorted_by(|one, next| one.0 < next.0) {
            self.buckets.sort_unstable_by_key(|&(index, _)| index);
            self.buckets.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                kept.1 = kept.1.saturating_add(if same { next.1 } else { 0 });
                same
            });
        }
    }

    /// Counts everything that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.extend_from_slice(&other.buckets);
            return;
        }
        let (mut at, mut missing) = (0, 0);
        for &(index, count) in &other.buckets {
            // Both ascend, and the next one is mostly near.
            let rest = &self.buckets[at..];
            let near = rest.iter().take(NEAR).position(|&(known, _)| known >= index);
            at += near.unwrap_or_else(|| rest.partition_point(|&(known, _)| known < index));
            match self.buckets.get_mut(at) {
                Some((known, counted)) if *known == index => *counted = counted.saturating_add(count),
                _ => missing += 1,
            }
        }
        self.insert(&other.buckets, missing);
    }

    /// Puts those of `buckets`, of which so many are `missing`, into their places; the others are counted already. Each bucket behind them
    /// moves once.
    fn insert(&mut self, buckets: &[(u16, u32)], missing: usize) {
        let mut from = self.buckets.len();
        self.buckets.resize(from + missing, (0, 0));
        let mut to = from + missing;
        for &(index, count) in buckets.iter().rev() {
            // Nothing is missing before this place.
            if to == from {
                return;
            }
            while from > 0 && self.buckets[from - 1].0 > index {
                (from, to) = (from - 1, to - 1);
                self.buckets[to] = self.buckets[from];
            }
            if from == 0 || self.buckets[from - 1].0 < index {
                to -= 1;
                self.buckets[to] = (index, count);
            }
        }
    }

    /// Takes away what `part` counted, which is part of it.
    pub fn subtract(&mut self, part: &Self) {
        let (mut at, mut emptied) = (0, false);
        for &(index, count) in &part.buckets {
            at += self.buckets[at..].partition_point(|&(known, _)| known < index);
            if let Some((_, counted)) = self.buckets.get_mut(at).filter(|(known, _)| *known == index) {
                *counted = counted.saturating_sub(count);
                emptied |= *counted == 0;
            }
        }
        if emptied {
            self.buckets.retain(|&(_, count)| count > 0);
        }
    }

    /// Values counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&(_, count)| u64::from(count)).sum()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The smallest value that at least the share `quantile` (0..1) of all values does not exceed, within 1 %; `None` when empty.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let target = ((self.count() as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.buckets.iter().find(|&&(_, count)| {
            seen += u64::from(count);
            seen >= target
        });
        reached.or(self.buckets.last()).map(|&(index, _)| middle_of(index))
    }

    /// The buckets that are not empty, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.buckets.iter().map(|&(index, count)| {
            let (low_ns, width) = bounds_of(index);
            Bucket { low_ns, high_ns: low_ns + width, count: u64::from(count) }
        })
    }

    /// Appends the bytes of the histogram.
    pub fn write(&self, out: &mut Vec<u8>) {
        varint::put(out, self.buckets.len() as u64);
        let mut next = 0;
        for &(index, count) in &self.buckets {
            let (distance, more) = (u64::from(index - next), u64::from(count) - 1);
            out.push((distance.min(DISTANCE_ESCAPE) << 5 | more.min(COUNT_ESCAPE)) as u8);
            if distance >= DISTANCE_ESCAPE {
                varint::put(out, distance - DISTANCE_ESCAPE);
            }
            if more >= COUNT_ESCAPE {
                varint::put(out, more - COUNT_ESCAPE);
            }
            next = index + 1;
        }
    }

    /// Serialises the histogram alone, as in the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + 2 * self.buckets.len());
        self.write(&mut out);
        out
    }

    /// The histogram of [`to_bytes`](Self::to_bytes); `None` when the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = VarintReader::new(bytes);
        let mut histogram = Self::default();
        histogram.absorb(&mut reader)?;
        reader.rest().is_empty().then_some(histogram)
    }

    /// Counts everything that the histogram at `reader` counted.
    pub fn absorb(&mut self, reader: &mut VarintReader<'_>) -> Option<()> {
        if self.buckets.is_empty() {
            let buckets = { *reader }.next()?;
            // Each has a byte at least.
            self.buckets.reserve(usize::try_from(buckets).ok()?.min(reader.rest().len()));
        }
        read(reader, |index, count| self.add(index, count))
    }

    /// Reads past a histogram.
    pub fn skip(reader: &mut VarintReader<'_>) -> Option<()> {
        read(reader, |_, _| ())
    }

    /// Counts `count` values in a bucket.
    pub(super) fn add(&mut self, index: u16, count: u32) {
        // Buckets that are read come in order.
        match self.buckets.last_mut() {
            Some((last, counted)) if *last == index => return *counted = counted.saturating_add(count),
            Some((last, _)) if *last > index => {}
            _ => return self.buckets.push((index, count)),
        }
        match self.buckets.binary_search_by_key(&index, |&(index, _)| index) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
            Err(at) => self.buckets.insert(at, (index, count)),
        }
    }

    /// Buckets that are not empty.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        self.buckets.clear();
    }

    /// Calls `each` with the index and count of each bucket.
    pub(super) fn each(&self, mut each: impl FnMut(u16, u32)) {
        self.buckets.iter().for_each(|&(index, count)| each(index, count));
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<(u16, u32)>()
    }
}

/// Reads the buckets of one histogram without building it; `None` when the bytes are damaged.
pub(super) fn read(reader: &mut VarintReader<'_>, mut each: impl FnMut(u16, u32)) -> Option<()> {
    // Its own copy, which stays in registers.
    let mut bytes = *reader;
    let mut next = 0_u64;
    for _ in 0..bytes.next()? {
        let packed = u64::from(bytes.byte()?);
        let (mut distance, mut more) = (packed >> 5, packed & COUNT_ESCAPE);
        if distance == DISTANCE_ESCAPE {
            distance = distance.checked_add(bytes.next()?)?;
        }
        if more == COUNT_ESCAPE {
            more = more.checked_add(bytes.next()?)?;
        }
        let index = next.checked_add(distance).filter(|&index| index < BUCKETS as u64)?;
        each(index as u16, u32::try_from(more).ok()?.checked_add(1)?);
        next = index + 1;
    }
    *reader = bytes;
    Some(())
}

/// The bucket of a duration.
pub(super) const fn index_of(ns: u64) -> u16 {
    let ns = if ns > MAX_NS { MAX_NS } else { ns };
    let shift = (ns | 64).ilog2() - 6;
    ((shift << 6) as u64 + (ns >> shift)) as u16
}

/// First value and width of a bucket.
const fn bounds_of(index: u16) -> (u64, u64) {
    if index < 128 {
        return (index as u64, 1);
    }
    let shift = (index >> 6) - 1;
    (((index & 63) as u64 + 64) << shift, 1 << shift)
}

/// The representative value of a bucket: the last of its lower half, which is also what an `hdrhistogram` of two digits reports for every
/// value in that half.
pub(super) const fn middle_of(index: u16) -> u64 {
    let (low, width) = bounds_of(index);
    low + (width / 2).saturating_sub(1)
}

#[cfg(test)]
mod tests;
