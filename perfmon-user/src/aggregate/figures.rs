//! Figures of one series in one window: its counts and the quantiles of each histogram. A [`Merger`] merges the slices; its histograms have all
//! buckets, so that a bucket of a slice is added without a search.
use super::accumulator::{Accumulator, CountSet};
use super::histogram::{self, DenseHistogram};
use super::varint::VarintReader;

/// Quantiles of one histogram, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Values.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
}

/// One row in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowFigures<C, const H: usize> {
    /// Named numbers.
    pub counts: C,
    /// Highest rate of a second, in thousandths per second.
    pub rate_peak_milli: u64,
    /// Most under way at once.
    pub concurrency_peak: u64,
    /// Quantiles, by the constants of the kind of row.
    pub spreads: [Quantiles; H],
}

impl<C: CountSet, const H: usize> Default for WindowFigures<C, H> {
    fn default() -> Self {
        Self { counts: C::default(), rate_peak_milli: 0, concurrency_peak: 0, spreads: [Quantiles::default(); H] }
    }
}

impl<C: CountSet, const H: usize> WindowFigures<C, H> {
    /// True when the window holds nothing.
    pub fn is_empty(&self) -> bool {
        self.counts == C::default() && self.spreads.iter().all(|spread| spread.count == 0)
    }
}

/// Merges slices into figures; reused, since a histogram of all buckets is large.
#[derive(Debug)]
pub struct Merger<C, const H: usize> {
    counts: C,
    rate_peak_milli: u64,
    concurrency_peak: u64,
    shapes: [DenseHistogram; H],
}

impl<C: CountSet, const H: usize> Default for Merger<C, H> {
    fn default() -> Self {
        Self { counts: C::default(), rate_peak_milli: 0, concurrency_peak: 0, shapes: std::array::from_fn(|_| DenseHistogram::default()) }
    }
}

impl<C: CountSet, const H: usize> Merger<C, H> {
    /// Adds an open slice.
    pub fn add(&mut self, accumulator: &Accumulator<C, H>) {
        self.counts.merge(&accumulator.counts);
        self.peaks(accumulator.rate_peak_milli, accumulator.concurrency_peak);
        self.shapes.iter_mut().zip(&accumulator.shapes).for_each(|(sum, shape)| sum.merge(shape));
    }

    /// Adds a closed slice, which [`Accumulator::pack`] wrote.
    pub fn absorb(&mut self, bytes: &[u8]) {
        let mut reader = VarintReader::new(bytes);
        let Some(counts) = C::read(&mut reader) else { return };
        self.counts.merge(&counts);
        let (rate, concurrency) = (reader.next().unwrap_or(0), reader.next().unwrap_or(0));
        self.peaks(rate, concurrency);
        for sum in &mut self.shapes {
            histogram::read(&mut reader, |index, count| sum.add(index, count));
        }
    }

    /// The figures of everything added; the merger is empty after it.
    pub fn finish(&mut self) -> WindowFigures<C, H> {
        let mut figures = WindowFigures {
            counts: std::mem::take(&mut self.counts),
            rate_peak_milli: std::mem::take(&mut self.rate_peak_milli),
            concurrency_peak: std::mem::take(&mut self.concurrency_peak),
            ..WindowFigures::default()
        };
        for (sum, spread) in self.shapes.iter_mut().zip(&mut figures.spreads) {
            if let Some((count, [p50, p95, p99])) = sum.take_quantiles([0.5, 0.95, 0.99]) {
                *spread = Quantiles { count, p50, p95, p99 };
            }
        }
        figures
    }

    fn peaks(&mut self, rate_milli: u64, concurrency: u64) {
        self.rate_peak_milli = self.rate_peak_milli.max(rate_milli);
        self.concurrency_peak = self.concurrency_peak.max(concurrency);
    }
}
