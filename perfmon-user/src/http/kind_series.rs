//! Cumulative series of everything that happened but requests (model calls, agent runs, tools, workflows) for `/metrics`, as the table of
//! kinds has their labels, fields and failures; made of the deltas of the series.
use std::sync::{Arc, Mutex, PoisonError};

use super::bounded::{BoundedSeries, Cumulative, CumulativeLabels};
use crate::aggregate::Histogram;
use crate::counters::Counters;
use crate::record::metric::{Field, RecordKind, Unit};
use crate::record::{SeriesDetail, SeriesKey, WallTime};
use crate::series::{SeriesCell, SeriesDelta};

/// Upper bounds of the buckets of durations, in seconds, and of tokens, as the conventions for generative AI advise.
const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKENS: [f64; 14] =
    [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0];

/// Series of one kind.
pub(super) type KindTable = BoundedSeries<KindLabels, KindSums>;

/// What a series is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct KindLabels {
    pub key: SeriesKey,
    /// Why its records failed.
    pub failure: Option<Arc<str>>,
}

impl CumulativeLabels for KindLabels {
    type Owner = (RecordKind, Option<Arc<str>>);

    fn owner(&self) -> Self::Owner {
        (self.key.kind, self.key.service())
    }

    fn other(&self) -> Self {
        Self { key: self.key.other(), failure: None }
    }

    fn other_owners(&self) -> Self {
        Self { key: self.key.other_services(), failure: None }
    }
}

/// What a series has counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct KindSums {
    count: u64,
    /// In the order of the kind's fields.
    fields: Vec<FieldSums>,
    last: WallTime,
}

/// Values of one field, in the unit of its metric: durations in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct FieldSums {
    pub sum: f64,
    /// In each bucket, not cumulative; the last is above all bounds. Of numbers that have no bounds, in the last.
    pub buckets: [u64; 15],
}

impl FieldSums {
    fn of(field: &Field, counted: &SeriesCell) -> Self {
        let Some((count, sum, times)) = counted.cell.values(field) else { return Self::default() };
        match field.unit {
            Unit::Duration => Self { sum: sum / 1e3, buckets: in_buckets(times, &SECONDS, 1e9) },
            Unit::Tokens => {
                let tokens = counted.sizes.iter().find(|(id, _)| *id == field.id);
                Self { sum, buckets: tokens.map_or([0; 15], |(_, tokens)| in_buckets(tokens, &TOKENS, 1.0)) }
            }
            Unit::Amount | Unit::Number => {
                let mut buckets = [0; 15];
                buckets[14] = count;
                Self { sum, buckets }
            }
        }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Counts by upper bounds; a bound is `scale` units of the values. All values of a bucket count as its first one, so that a value that equals
/// a bound lies below it, as `le` says.
fn in_buckets(values: &Histogram, bounds: &[f64; 14], scale: f64) -> [u64; 15] {
    let mut buckets = [0; 15];
    for bucket in values.buckets() {
        buckets[bounds.partition_point(|bound| (*bound * scale).round() < bucket.low_ns as f64)] += bucket.count;
    }
    buckets
}

/// A sum of decimal numbers, which binary ones only approach, without the digits behind the last decimal: 0.3 instead of 0.30000000000000004.
/// Costs go down to 10⁻¹² dollars, times to microseconds. At least two digits of the number's own precision are left, so that errors do not add up.
fn without_rounding_error(sum: f64) -> f64 {
    const EXACT: f64 = 1e14;
    let steps = [1e12, 1e9, 1e6].into_iter().find(|steps| (sum * steps).abs() < EXACT);
    steps.map_or(sum, |steps| (sum * steps).round() / steps)
}

/// Whether series of a kind are here: of what happened, and of samples that add up. Requests and business metrics have series of their own.
pub(super) fn is_counted(kind: RecordKind) -> bool {
    (!kind.is_sample() || kind == RecordKind::Tcp) && !matches!(kind, RecordKind::Request | RecordKind::Custom)
}

/// Upper bounds of the buckets of a unit.
pub(super) fn bounds(unit: Unit) -> Option<&'static [f64; 14]> {
    match unit {
        Unit::Duration => Some(&SECONDS),
        Unit::Tokens => Some(&TOKENS),
        Unit::Amount | Unit::Number => None,
    }
}

impl KindSums {
    fn of(counted: &SeriesCell, last: WallTime) -> Self {
        let fields = Field::of(counted.key.kind).map(|field| FieldSums::of(field, counted)).collect();
        Self { count: counted.cell.count, fields, last }
    }

    /// Values of a field of the kind.
    pub fn field(&self, field: &Field) -> Option<&FieldSums> {
        self.fields.get(Field::of(field.kind).position(|known| known == field)?)
    }
}

impl Cumulative for KindSums {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.last = self.last.max(other.last);
        self.fields.resize(self.fields.len().max(other.fields.len()), FieldSums::default());
        for (mine, its) in self.fields.iter_mut().zip(&other.fields) {
            mine.sum = without_rounding_error(mine.sum + its.sum);
            mine.buckets.iter_mut().zip(its.buckets).for_each(|(mine, its)| *mine += its);
        }
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn last(&self) -> WallTime {
        self.last
    }
}

/// All series.
#[derive(Default)]
pub(super) struct KindSeries(Mutex<KindTable>);

impl KindSeries {
    /// Counts the records of a delta that happened, requests aside: they have series of their own.
    pub fn count(&self, delta: &SeriesDelta, counters: &Counters) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for counted in delta.cells.iter().filter(|counted| is_counted(counted.key.kind) && counted.cell.count > 0) {
            let failure = if let SeriesDetail::Outcome(failure) = &counted.detail { failure.clone() } else { None };
            table.add(KindLabels { key: counted.key.clone(), failure }, &KindSums::of(counted, delta.until), counters);
        }
    }

    /// A copy to write from.
    pub fn table(&self) -> KindTable {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_have_the_decimals_of_what_was_added() {
        for (value, times, expected) in
            [(0.1, 3, 0.3), (0.000_000_15, 700, 0.000_105), (0.000_003_456_7, 100_000, 0.345_67), (8.191_123, 1_000, 8_191.123)]
        {
            let mut sums = KindSums::default();
            for _ in 0..times {
                let fields = vec![FieldSums { sum: value, ..FieldSums::default() }];
                sums.merge(&KindSums { count: 1, fields, ..KindSums::default() });
            }
            assert_eq!(sums.fields[0].sum, expected, "{times} times {value}");
        }
        for whole in [0.0, 1_234_567.0, 1e15, 9e300] {
            assert_eq!(without_rounding_error(whole), whole);
        }
    }
}
