//! A bounded table of cumulative series. In: labels and figures; out: all series. An owner (a service) may have as many series as are still
//! free, the rest is counted in an overflow series of the owner, or of all owners. Where room is needed, series that were silent for an hour
//! go: names that paths had before they were folded.
use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::aggregate::Quota;
use crate::counters::Counters;
use crate::limits;
use crate::record::WallTime;

/// A series without records for so long goes when room is needed.
const SILENT_NS: u64 = 3_600 * 1_000_000_000;
/// Shortest time between two searches for such series.
const SWEEP_NS: u64 = 60 * 1_000_000_000;

/// The labels of a series.
pub(super) trait CumulativeLabels: Clone + Eq + Hash {
    /// Who has the series.
    type Owner: Clone + Eq + Hash;

    fn owner(&self) -> Self::Owner;

    /// The overflow series of the owner.
    fn other(&self) -> Self;

    /// The overflow series of all owners that have none.
    fn other_owners(&self) -> Self;
}

/// What a series has counted.
pub(super) trait Cumulative: Clone + Default {
    /// Adds what another one counted.
    fn merge(&mut self, other: &Self);

    /// Number of records.
    fn count(&self) -> u64;

    /// Time of the newest one.
    fn last(&self) -> WallTime;
}

/// The table.
#[derive(Clone, Debug)]
pub(super) struct BoundedSeries<L: CumulativeLabels, F> {
    series: FxHashMap<L, F>,
    quota: Quota<L::Owner>,
    swept: WallTime,
}

impl<L: CumulativeLabels, F: Cumulative> Default for BoundedSeries<L, F> {
    fn default() -> Self {
        Self { series: FxHashMap::default(), quota: Quota::new(limits::METRIC_SERIES), swept: WallTime::default() }
    }
}

impl<L: CumulativeLabels, F: Cumulative> BoundedSeries<L, F> {
    /// All series, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&L, &F)> {
        self.series.iter()
    }

    /// Adds to a series, or to an overflow series.
    pub fn add(&mut self, labels: L, figures: &F, counters: &Counters) {
        if let Some(known) = self.series.get_mut(&labels) {
            return known.merge(figures);
        }
        let owner = labels.owner();
        if !self.quota.has_room(&owner) {
            self.sweep(figures.last());
        }
        if self.quota.take(&owner) {
            self.series.insert(labels, figures.clone());
            return;
        }
        counters.metric_series_overflowed.add(figures.count());
        let own = labels.other();
        let has_own = self.series.contains_key(&own) || (self.quota.knows(&owner) && self.quota.take_any(&owner));
        self.series.entry(if has_own { own } else { labels.other_owners() }).or_default().merge(figures);
    }

    /// Drops the series that were silent for long.
    fn sweep(&mut self, now: WallTime) {
        if now.0 < self.swept.0 + SWEEP_NS {
            return;
        }
        self.swept = now;
        let quota = &mut self.quota;
        self.series.retain(|labels, figures| {
            let stays = figures.last().0 + SILENT_NS > now.0;
            if !stays {
                quota.give_back(&labels.owner());
            }
            stays
        });
    }
}
