//! Sums by key, bounded: beyond the limit of an interval, records go to the overflow series of their kind (OpenTelemetry's
//! `otel.metric.overflow`) and are counted, so that totals stay correct. A service with many series of a kind leaves room for others.
use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashMap;

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
pub struct KeyedSums<K, V>(FxHashMap<K, V>);

impl<K, V> Default for KeyedSums<K, V> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<K: SumKey, V: Default> KeyedSums<K, V> {
    /// The sums of a key of `service`, or of the overflow.
    pub fn at(&mut self, key: K, service: &Arc<str>, budget: &mut SeriesBudget) -> &mut V {
        let full = !self.0.contains_key(&key) && !budget.quota.take(&(service.clone(), K::KIND));
        budget.overflowed += u64::from(full);
        self.0.entry(if full { K::overflow() } else { key }).or_default()
    }

    /// All keys with their sums.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }
}
