//! The share of events that the full ring refused in the last ten seconds. In: numbers that only grow, once a second; out: a reason when the
//! share is too large.
use std::collections::VecDeque;

/// Seconds that count.
const WINDOW: usize = 10;
/// Share of the events from which perfmon is degraded.
pub const RING_LOSS_SHARE: f64 = 0.05;
/// Fewer lost events mean nothing.
const LEAST: u64 = 100;

/// Numbers since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingFigures {
    /// Events that were read.
    pub seen: u64,
    /// Events that found the ring full.
    pub lost: u64,
}

/// The last seconds.
#[derive(Debug, Default)]
pub struct RingShare(VecDeque<RingFigures>);

impl RingShare {
    /// A second has passed; the reason when too much of it was lost.
    pub fn add(&mut self, now: RingFigures) -> Option<String> {
        self.0.push_back(now);
        if self.0.len() > WINDOW + 1 {
            self.0.pop_front();
        }
        let first = self.0.front().copied().unwrap_or(now);
        let (seen, lost) = (now.seen.saturating_sub(first.seen), now.lost.saturating_sub(first.lost));
        let share = lost as f64 / (seen + lost).max(1) as f64;
        (lost >= LEAST && share > RING_LOSS_SHARE)
            .then(|| format!("{:.0} % of the events of the last {WINDOW} s found the ring full and are lost", share * 100.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_share_of_the_last_seconds_is_told() {
        let mut ring = RingShare::default();
        let (mut figures, mut told) = (RingFigures::default(), Vec::new());
        for second in 0..60 {
            figures.seen += 9_000;
            figures.lost += match second {
                20 => 4_500,
                30..33 => 9_000,
                _ => 10,
            };
            told.extend(ring.add(figures).map(|reason| (second, reason)));
        }
        let seconds: Vec<i32> = told.iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds, (30..42).collect::<Vec<_>>(), "until ten seconds after the last of it");
        assert_eq!(told[2].1, "23 % of the events of the last 10 s found the ring full and are lost");
        let mut idle = RingShare::default();
        idle.add(RingFigures::default());
        assert_eq!(idle.add(RingFigures { seen: 0, lost: 99 }), None);
        assert!(idle.add(RingFigures { seen: 0, lost: 100 }).is_some());
    }
}
