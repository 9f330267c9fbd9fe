//! Many histograms → their sum. Counts stand by index of their bucket, so that adding one looks for no place in a sorted list: a chart of a week
//! adds up ten thousand. Of memory it takes what all buckets take.
use super::{BUCKETS, Histogram};

/// The sum so far.
#[derive(Debug)]
pub struct DenseHistogram {
    counts: Vec<u32>,
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
    /// Counts everything that a histogram counted.
    pub fn add(&mut self, histogram: &Histogram) {
        let (Some((first, _)), Some((last, _))) = (histogram.buckets.first(), histogram.buckets.last()) else { return };
        self.from = self.from.min(usize::from(*first));
        self.to = self.to.max(usize::from(*last) + 1);
        for &(index, count) in &histogram.buckets {
            let counted = &mut self.counts[usize::from(index)];
            *counted = counted.saturating_add(count);
        }
    }

    /// The sum; begins anew.
    pub fn take(&mut self) -> Histogram {
        let Some(counts) = self.counts.get_mut(self.from..self.to) else { return Histogram::default() };
        let mut buckets = Vec::with_capacity(counts.iter().filter(|count| **count > 0).count());
        for (place, count) in counts.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            buckets.push(((self.from + place) as u16, std::mem::take(count)));
        }
        (self.from, self.to) = (BUCKETS, 0);
        Histogram { buckets }
    }
}
