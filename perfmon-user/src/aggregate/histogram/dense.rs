//! Many histograms → their sum. Counts stand by index of their bucket, so that adding one looks for no place in a sorted list, and histograms
//! are added from their bytes: a chart of a week adds up ten thousand. Of memory it takes what all buckets take.
use super::{BUCKETS, Histogram, read};
use crate::aggregate::varint::VarintReader;

/// The sum so far.
#[derive(Debug)]
pub struct DenseHistogram {
    counts: Vec<u64>,
    /// Indices between which something was counted, the end not included.
    from: usize,
    to: usize,
}

impl Default for DenseHistogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], from: BUCKETS, to: 0 }
    }
}

impl DenseHistogram {
    /// Counts everything that the histogram at `reader` counted; `None`, and nothing of it, when it is damaged.
    pub fn absorb(&mut self, reader: &mut VarintReader<'_>) -> Option<()> {
        let mut again = *reader;
        let (mut from, mut to) = (self.from, self.to);
        let whole = read(reader, |index, count| {
            let index = usize::from(index);
            self.counts[index] += u64::from(count);
            (from, to) = (from.min(index), to.max(index + 1));
        });
        if whole.is_none() {
            // Ends where it ended before.
            return read(&mut again, |index, count| self.counts[usize::from(index)] -= u64::from(count));
        }
        (self.from, self.to) = (from, to);
        whole
    }

    /// Counts `count` values in a bucket.
    fn add(&mut self, index: u16, count: u32) {
        let index = usize::from(index);
        self.counts[index] += u64::from(count);
        (self.from, self.to) = (self.from.min(index), self.to.max(index + 1));
    }

    /// Counts everything that `other` counted.
    pub fn merge(&mut self, other: &Histogram) {
        other.each(|index, count| self.add(index, count));
    }

    /// The sum; begins anew.
    pub fn take(&mut self) -> Histogram {
        let Some(counts) = self.counts.get_mut(self.from..self.to) else { return Histogram::default() };
        let mut buckets = Vec::with_capacity(counts.iter().filter(|count| **count > 0).count());
        for (place, count) in counts.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            buckets.push(((self.from + place) as u16, u32::try_from(std::mem::take(count)).unwrap_or(u32::MAX)));
        }
        (self.from, self.to) = (BUCKETS, 0);
        Histogram { buckets }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_merging_and_what_is_damaged_counts_nothing(
            parts in prop::collection::vec((prop::collection::vec(0_u64..1 << 45, 0..40), any::<Option<u8>>()), 0..8),
        ) {
            let (mut sum, mut merged) = (DenseHistogram::default(), Histogram::default());
            for (values, cut) in &parts {
                let (part, mut bytes) = (of(values), of(values).to_bytes());
                if let Some(cut) = cut {
                    bytes.truncate(usize::from(*cut) % bytes.len());
                }
                let absorbed = sum.absorb(&mut VarintReader::new(&bytes));
                prop_assert_eq!(absorbed.is_some(), cut.is_none());
                if cut.is_none() {
                    merged.merge(&part);
                }
            }
            prop_assert_eq!(sum.take(), merged.clone());
            prop_assert_eq!(sum.take(), Histogram::default());
            sum.merge(&merged);
            prop_assert_eq!(sum.take(), merged);
        }
    }
}
