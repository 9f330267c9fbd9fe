//! Sums by key, bounded: what finds no room in an interval goes to the one overflow series of its kind (OpenTelemetry's
//! `otel.metric.overflow`) and is counted, so that totals stay right.
use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::limits;

/// What tells series apart.
pub trait SumKey: Eq + Hash {
    /// The key that stands for all that find no room.
    fn overflow() -> Self;
}

/// Room for series in one interval.
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
