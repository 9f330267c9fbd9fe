//! Sums by key, bounded: beyond the limit of an interval, records go to the overflow series of their kind (OpenTelemetry's
//! `otel.metric.overflow`) and are counted, so that totals stay correct.
use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::limits;

/// Key of a series.
pub trait SumKey: Eq + Hash {
    /// The key of the overflow series.
    fn overflow() -> Self;
}

/// Number of series that one interval may have.
#[derive(Debug, Default)]
pub struct SeriesBudget {
    taken: usize,
    /// Records that found none.
    pub overflowed: u64,
}

/// Sums by key.
#[derive(Debug)]
pub struct KeyedSums<K, V>(FxHashMap<K, V>);

impl<K, V> Default for KeyedSums<K, V> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<K: SumKey, V: Default> KeyedSums<K, V> {
    /// The sums of a key, or of the overflow.
    pub fn at(&mut self, key: K, budget: &mut SeriesBudget) -> &mut V {
        let known = self.0.contains_key(&key);
        let full = !known && budget.taken >= limits::EXPORT_SERIES;
        budget.taken += usize::from(!known && !full);
        budget.overflowed += u64::from(full);
        self.0.entry(if full { K::overflow() } else { key }).or_default()
    }

    /// All keys with their sums.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }
}
