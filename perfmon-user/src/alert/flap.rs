//! Flap damping. In: when alerts fired; out: whether one flaps. An alert of the same rule and scope that fires again and again within a window
//! is one problem, not many: the firing that makes it so says it, and the alert then stays open until its condition was false for longer.
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::limits;
use crate::record::WallTime;

use super::machine::AlertKey;

/// When an alert flaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlapSettings {
    /// Number of firings within the window, the newest included; 0 switches damping off.
    pub firings: u32,
    /// The window.
    pub window: Duration,
}

impl FlapSettings {
    /// How long the condition of a flapping alert must be false before the alert is over.
    pub fn hold(&self) -> Duration {
        self.window / 3
    }

    /// What the message of a flapping alert says beside the figures.
    pub fn words(&self) -> String {
        let minutes = |duration: Duration| duration.as_secs().div_ceil(60);
        let (window, hold) = (minutes(self.window), minutes(self.hold()));
        format!(
            " It flaps: it fired {} times or more in {window} min, so it stays open until its condition was false for {hold} min.",
            self.firings
        )
    }
}

/// The last firings of each rule and scope, oldest first.
#[derive(Debug, Default)]
pub(super) struct FlapHistory {
    firings: BTreeMap<AlertKey, VecDeque<WallTime>>,
}

impl FlapHistory {
    /// Notes that an alert fired.
    pub fn fired(&mut self, settings: &FlapSettings, key: &AlertKey, at: WallTime) {
        if settings.firings == 0 {
            return;
        }
        if !self.firings.contains_key(key) && self.firings.len() >= limits::ALERTS_FLAPPING {
            self.forget_oldest();
        }
        let times = self.firings.entry(key.clone()).or_default();
        times.push_back(at);
        let excess = times.len().saturating_sub(settings.firings as usize);
        times.drain(..excess);
    }

    /// Whether an alert flaps now.
    pub fn flaps(&self, settings: &FlapSettings, key: &AlertKey, now: WallTime) -> bool {
        let window = u64::try_from(settings.window.as_nanos()).unwrap_or(u64::MAX);
        settings.firings > 0
            && self.firings.get(key).is_some_and(|times| {
                times.len() >= settings.firings as usize && times.iter().all(|at| now.0.saturating_sub(at.0) <= window)
            })
    }

    /// Forgets an alert that a user ended.
    pub fn forget(&mut self, key: &AlertKey) {
        self.firings.remove(key);
    }

    fn forget_oldest(&mut self) {
        let oldest = self.firings.iter().min_by_key(|(_, times)| times.back().copied()).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.firings.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: FlapSettings = FlapSettings { firings: 3, window: Duration::from_secs(1_800) };

    fn key(number: usize) -> AlertKey {
        ("rule".into(), number.to_string().into())
    }

    fn at(second: u64) -> WallTime {
        WallTime(second * 1_000_000_000)
    }

    #[test]
    fn the_third_firing_in_the_window_flaps_and_an_older_one_does_not_count() {
        let mut history = FlapHistory::default();
        for (second, flaps) in [(0, false), (600, false), (1_900, false), (2_000, true), (5_000, false)] {
            history.fired(&SETTINGS, &key(0), at(second));
            assert_eq!(history.flaps(&SETTINGS, &key(0), at(second)), flaps, "{second}");
        }
        history.forget(&key(0));
        assert!(!history.flaps(&SETTINGS, &key(0), at(2_000)));
    }

    #[test]
    fn switched_off_nothing_is_kept_and_many_scopes_are_bounded() {
        let mut history = FlapHistory::default();
        history.fired(&FlapSettings::default(), &key(0), at(0));
        assert!(history.firings.is_empty());
        (0..3 * limits::ALERTS_FLAPPING).for_each(|number| history.fired(&SETTINGS, &key(number), at(number as u64)));
        assert_eq!(history.firings.len(), limits::ALERTS_FLAPPING);
        assert!(history.firings.contains_key(&key(3 * limits::ALERTS_FLAPPING - 1)));
    }
}
