//! Counts of one series in one slice of time: sums, maxima and histograms. Accumulators merge. A closed slice is kept as bytes, in which a
//! zero takes one byte: a host has many series and most are quiet.
use super::histogram::Histogram;
use super::varint::{self, VarintReader};

/// The counters of one kind of series; implemented by [`counts!`].
pub trait CountSet: Copy + Default + PartialEq + std::fmt::Debug {
    /// Adds the sums and takes the larger maxima.
    fn merge(&mut self, other: &Self);
    /// Appends the counters as varints.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads what `write` appended; `None` when the bytes are damaged.
    fn read(reader: &mut VarintReader<'_>) -> Option<Self>;
}

/// Declares a struct of `u64` counters: a merge adds `sums` and keeps the larger of `maxima`.
macro_rules! counts {
    ($(#[$meta:meta])* $name:ident { sums { $($(#[doc = $sum_doc:literal])+ $sum:ident),* $(,)? } maxima { $($(#[doc = $max_doc:literal])+ $max:ident),* $(,)? } }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[doc = $sum_doc])+ pub $sum: u64,)* $($(#[doc = $max_doc])+ pub $max: u64,)* }

        impl $crate::aggregate::accumulator::CountSet for $name {
            fn merge(&mut self, other: &Self) {
                $(self.$sum += other.$sum;)*
                $(self.$max = self.$max.max(other.$max);)*
            }
            fn write(&self, out: &mut Vec<u8>) {
                $($crate::aggregate::varint::put(out, self.$sum);)*
                $($crate::aggregate::varint::put(out, self.$max);)*
            }
            fn read(reader: &mut $crate::aggregate::varint::VarintReader<'_>) -> Option<Self> {
                Some(Self { $($sum: reader.next()?,)* $($max: reader.next()?,)* })
            }
        }
    };
}
pub(super) use counts;

/// Sums, maxima and histograms of one slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulator<C, const H: usize> {
    /// Named numbers.
    pub counts: C,
    /// Highest rate of one second, in thousandths per second.
    pub rate_peak_milli: u64,
    /// Most exchanges in flight at once.
    pub concurrency_peak: u64,
    /// Histograms, indexed by the constants of the series' kind.
    pub shapes: [Histogram; H],
}

impl<C: CountSet, const H: usize> Default for Accumulator<C, H> {
    fn default() -> Self {
        Self { counts: C::default(), rate_peak_milli: 0, concurrency_peak: 0, shapes: std::array::from_fn(|_| Histogram::default()) }
    }
}

impl<C: CountSet, const H: usize> Accumulator<C, H> {
    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts == C::default() && self.concurrency_peak == 0 && self.shapes.iter().all(Histogram::is_empty)
    }

    /// Adds another slice of the same series.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.rate_peak_milli = self.rate_peak_milli.max(other.rate_peak_milli);
        self.concurrency_peak = self.concurrency_peak.max(other.concurrency_peak);
        self.shapes.iter_mut().zip(&other.shapes).for_each(|(mine, its)| mine.merge(its));
    }

    /// Serialises the slice; [`absorb`](Self::absorb) reads it.
    pub fn pack(&self) -> Box<[u8]> {
        let mut out = Vec::with_capacity(128);
        self.counts.write(&mut out);
        varint::put(&mut out, self.rate_peak_milli);
        varint::put(&mut out, self.concurrency_peak);
        self.shapes.iter().for_each(|shape| shape.write(&mut out));
        out.into_boxed_slice()
    }

    /// Adds a packed slice of the same series; `None` when the bytes are damaged.
    pub fn absorb(&mut self, bytes: &[u8]) -> Option<()> {
        let mut reader = VarintReader::new(bytes);
        self.counts.merge(&C::read(&mut reader)?);
        self.rate_peak_milli = self.rate_peak_milli.max(reader.next()?);
        self.concurrency_peak = self.concurrency_peak.max(reader.next()?);
        self.shapes.iter_mut().try_for_each(|shape| shape.absorb(&mut reader))
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.shapes.iter().map(Histogram::heap_bytes).sum()
    }
}
