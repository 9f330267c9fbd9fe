//! Exchanges that the full ring hid → rows. In: each process's numbers of them, which only grow; out: what each endpoint, service and
//! destination lost since the last tick. Nothing is known of such an exchange but its process and which end that was, so an endpoint's or
//! a destination's share is its share of the exchanges that were seen.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::record::{LostExchanges, TargetCoverage};

/// Losses by process since the last tick.
#[derive(Debug, Default)]
pub struct LossTable {
    /// By process: what it had lost when last heard of.
    known: FxHashMap<u32, LostExchanges>,
    /// By process.
    waiting: FxHashMap<u32, WaitingLoss>,
}

/// Losses of a process that no row has yet.
#[derive(Debug)]
struct WaitingLoss {
    /// What it is called now: a process that is new has its service's name a little later.
    service: Arc<str>,
    lost: LostExchanges,
    /// Ticks since the first of them.
    ticks: u8,
}

/// How many ticks losses wait for a row: where perfmon hardly runs, they are known before the first exchange of their service.
const WAIT_TICKS: u8 = 60;

impl LossTable {
    /// Takes the numbers of all processes; `of` gives those of one.
    pub fn observe(&mut self, targets: &[TargetCoverage], of: impl Fn(&TargetCoverage) -> LostExchanges) {
        let mut known = FxHashMap::default();
        for target in targets {
            let now = of(target);
            let new = now.since(self.known.get(&target.pid).copied().unwrap_or_default());
            if new != LostExchanges::default() || self.waiting.contains_key(&target.pid) {
                let first = || WaitingLoss { service: target.service.clone(), lost: LostExchanges::default(), ticks: 0 };
                let waiting = self.waiting.entry(target.pid).or_insert_with(first);
                waiting.service.clone_from(&target.service);
                waiting.lost.unknown += new.unknown;
                waiting.lost.asked += new.asked;
                waiting.lost.served += new.served;
            }
            known.insert(target.pid, now);
        }
        self.known = known;
    }

    /// Calls `attribute` with the losses of each process and its service; what it returns has no row yet and waits.
    pub fn settle(&mut self, mut attribute: impl FnMut(&Arc<str>, LostExchanges) -> LostExchanges) {
        self.waiting.retain(|_, waiting| {
            waiting.lost = attribute(&waiting.service, waiting.lost);
            waiting.ticks += 1;
            waiting.lost != LostExchanges::default() && waiting.ticks < WAIT_TICKS
        });
    }
}

/// Distributes `lost` over rows in proportion to their weights, by largest remainders, so that the shares add up.
pub fn shares<K: Ord>(lost: u64, weights: Vec<(K, u64)>) -> impl Iterator<Item = (K, u64)> {
    let total: u128 = weights.iter().map(|(_, weight)| u128::from(*weight)).sum();
    let exact = |weight: u64| u128::from(lost) * u128::from(weight);
    let parts = weights.into_iter().filter(|_| total > 0);
    let mut parts: Vec<(K, u64, u128)> = parts.map(|(row, weight)| (row, (exact(weight) / total) as u64, exact(weight) % total)).collect();
    let rest = lost - parts.iter().map(|(_, share, _)| share).sum::<u64>();
    parts.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(&b.0)));
    parts.iter_mut().take(rest as usize).for_each(|(_, share, _)| *share += 1);
    parts.into_iter().map(|(row, share, _)| (row, share)).filter(|(_, share)| *share > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(pid: u32, served: u64) -> TargetCoverage {
        let mut target = TargetCoverage::named("shop", pid);
        target.add_losses(served * 2, [0, 0, served]);
        target
    }

    #[test]
    fn only_what_is_new_is_taken() {
        let mut losses = LossTable::default();
        losses.observe(&[target(1, 5), target(2, 0)], |target| target.lost_by_role);
        losses.observe(&[target(1, 7), target(2, 1)], |target| target.lost_by_role);
        let told = |losses: &mut LossTable, rest: u64| {
            let mut told = Vec::new();
            losses.settle(|service, lost| {
                told.push((service.to_string(), lost.served));
                LostExchanges { served: rest, ..LostExchanges::default() }
            });
            told
        };
        let mut both = told(&mut losses, 0);
        both.sort();
        assert_eq!(both, [("shop".to_owned(), 1), ("shop".to_owned(), 7)]);
        losses.observe(&[target(1, 7), target(2, 1)], |target| target.lost_by_role);
        assert_eq!(told(&mut losses, 0), []);
        losses.observe(&[target(1, 9), target(2, 1)], |target| target.lost_by_role);
        assert_eq!(told(&mut losses, 2), [("shop".to_owned(), 2)]);
        losses.observe(&[target(1, 10), target(2, 1)], |target| target.lost_by_role);
        for _ in 1..WAIT_TICKS {
            assert_eq!(told(&mut losses, 3), [("shop".to_owned(), 3)], "what has no row waits");
        }
        assert_eq!(told(&mut losses, 3), [], "for a while");
        losses.observe(&[TargetCoverage { service: "worker".into(), ..target(3, 4) }], |target| target.lost_by_role);
        assert_eq!(told(&mut losses, 4), [("worker".to_owned(), 4)]);
        losses.observe(&[target(3, 4)], |target| target.lost_by_role);
        assert_eq!(told(&mut losses, 0), [("shop".to_owned(), 4)], "its name was not known before");
    }

    #[test]
    fn a_process_under_the_id_of_another_inherits_nothing() {
        let mut losses = LossTable::default();
        let mut taken = |served| {
            losses.observe(&[target(1, served)], |target| target.lost_by_role);
            let mut told = 0;
            losses.settle(|_, lost| {
                told += lost.served;
                LostExchanges::default()
            });
            told
        };
        assert_eq!([7, 9, 3, 4].map(&mut taken), [7, 2, 3, 1]);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_are_proportional(lost in 0..1_000_000_u64, weights in prop::collection::vec(0..10_000_u64, 1..20)) {
            let rows: Vec<(usize, u64)> = weights.iter().copied().enumerate().collect();
            let total: u64 = weights.iter().sum();
            let shares: Vec<_> = shares(lost, rows).collect();
            prop_assert_eq!(shares.iter().map(|(_, share)| share).sum::<u64>(), if total == 0 { 0 } else { lost });
            for (row, share) in shares {
                let exact = lost as f64 * weights[row] as f64 / total as f64;
                prop_assert!((share as f64 - exact).abs() <= 1.0, "{} {}", share, exact);
            }
        }
    }
}
