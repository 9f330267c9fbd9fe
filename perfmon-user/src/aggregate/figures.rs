//! Figures of one series in one window: its counts and the quantiles of each histogram. A [`Merger`] merges the slices; its histograms are
//! HDR histograms of two digits, which represent the values of slices exactly.
use super::accumulator::{Accumulator, CountSet};
use super::histogram::{self, MAX_NS};
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

/// Merges slices into figures; reused, since an HDR histogram is large.
#[derive(Debug)]
pub struct Merger<C, const H: usize> {
    counts: C,
    rate_peak_milli: u64,
    concurrency_peak: u64,
    shapes: [hdrhistogram::Histogram<u32>; H],
}

impl<C: CountSet, const H: usize> Default for Merger<C, H> {
    fn default() -> Self {
        let hdr = || hdrhistogram::Histogram::new_with_bounds(1, MAX_NS, 2).expect("1 ≥ 1, MAX_NS ≥ 2 and 2 ≤ 5 digits are what it asks");
        Self { counts: C::default(), rate_peak_milli: 0, concurrency_peak: 0, shapes: std::array::from_fn(|_| hdr()) }
    }
}

impl<C: CountSet, const H: usize> Merger<C, H> {
    /// Adds an open slice.
    pub fn add(&mut self, accumulator: &Accumulator<C, H>) {
        self.counts.merge(&accumulator.counts);
        self.peaks(accumulator.rate_peak_milli, accumulator.concurrency_peak);
        for (hdr, shape) in self.shapes.iter_mut().zip(&accumulator.shapes) {
            shape.each(|index, count| hdr.saturating_record_n(histogram::middle_of(index), count));
        }
    }

    /// Adds a closed slice, which [`Accumulator::pack`] wrote.
    pub fn absorb(&mut self, bytes: &[u8]) {
        let mut reader = VarintReader::new(bytes);
        let Some(counts) = C::read(&mut reader) else { return };
        self.counts.merge(&counts);
        let (rate, concurrency) = (reader.next().unwrap_or(0), reader.next().unwrap_or(0));
        self.peaks(rate, concurrency);
        for hdr in &mut self.shapes {
            histogram::read(&mut reader, |index, count| hdr.saturating_record_n(histogram::middle_of(index), count));
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
        for (hdr, spread) in self.shapes.iter_mut().zip(&mut figures.spreads) {
            if !hdr.is_empty() {
                let at = |quantile| hdr.value_at_quantile(quantile);
                *spread = Quantiles { count: hdr.len(), p50: at(0.5), p95: at(0.95), p99: at(0.99) };
                hdr.reset();
            }
        }
        figures
    }

    fn peaks(&mut self, rate_milli: u64, concurrency: u64) {
        self.rate_peak_milli = self.rate_peak_milli.max(rate_milli);
        self.concurrency_peak = self.concurrency_peak.max(concurrency);
    }
}
