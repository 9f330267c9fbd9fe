//! Sums by key, bounded: beyond the limit of an interval, records go to the overflow series of their kind (OpenTelemetry's
//! `otel.metric.overflow`) and are counted, so that totals stay correct. A service with many series of a kind leaves room for others.
use std::hash::Hash;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::aggregate::Quota;
use crate::limits;

/// What the series of a table count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeriesKind {
    /// HTTP exchanges.
    Http,
    /// Connections that could not be opened.
    Attempt,
    /// Model calls.
    Model,
    /// Tool calls over MCP.
    Mcp,
    /// Database commands.
    Command,
    /// Questions for names.
    Lookup,
}

/// Key of a series.
pub trait SumKey: Eq + Hash {
    /// What its series count.
    const KIND: SeriesKind;

    /// The key of the overflow series.
    fn overflow() -> Self;
}

/// What a series counted.
pub trait SeriesSums: Default {
    /// Whether that is nothing.
    fn is_empty(&self) -> bool;

    /// Forgets everything but its memory.
    fn clear(&mut self);
}

/// Series that one interval may have.
#[derive(Debug)]
pub struct SeriesBudget {
    quota: Quota<(Arc<str>, SeriesKind)>,
    /// Records that found none.
    pub overflowed: u64,
}

impl Default for SeriesBudget {
    fn default() -> Self {
        Self { quota: Quota::new(limits::EXPORT_SERIES), overflowed: 0 }
    }
}

/// Sums by key.
#[derive(Debug)]
pub struct KeyedSums<K, V>(IndexMap<K, V, FxBuildHasher>);

impl<K, V> Default for KeyedSums<K, V> {
    fn default() -> Self {
        Self(IndexMap::default())
    }
}

impl<K: SumKey, V: SeriesSums> KeyedSums<K, V> {
    /// The place of the sums of a key of `service`, or of the overflow; the same until the interval ends.
    pub fn place(&mut self, key: K, service: &Arc<str>, budget: &mut SeriesBudget) -> usize {
        let full = !self.0.contains_key(&key) && !budget.quota.take(&(service.clone(), K::KIND));
        budget.overflowed += u64::from(full);
        let entry = self.0.entry(if full { K::overflow() } else { key });
        let place = entry.index();
        entry.or_default();
        place
    }

    /// The sums at a place.
    pub fn at(&mut self, place: usize) -> &mut V {
        &mut self.0[place]
    }

    /// Keys with something counted, and their sums.
    pub fn filled(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().filter(|(_, sums)| !sums.is_empty())
    }

    /// How many series there are, and how many of them counted nothing.
    pub fn len_and_idle(&self) -> [usize; 2] {
        [self.0.len(), self.0.values().filter(|sums| sums.is_empty()).count()]
    }

    /// Begins anew with the same series.
    pub fn clear(&mut self) {
        self.0.values_mut().for_each(V::clear);
    }
}
