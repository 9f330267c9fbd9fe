//! What is usual: earlier values of what a rule reads. A spike is judged against the median of the same hour of earlier days or, until two of
//! them are known, of the last values; a forecast goes on with the median of all slopes between values (Theil–Sen). Both shrug off single
//! values far off. Bounded: so many values a reading, so many readings; the longest unread goes.
use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::limits;
use crate::record::WallTime;

use super::machine::AlertKey;
use super::rule::Rule;

const NS: u64 = 1_000_000_000;
/// Values kept.
const VALUES: usize = 120;
/// Values that a judgement needs.
const LEAST: usize = 10;
/// Days of which an hour's median is kept.
const DAYS: usize = 7;
/// Days that are enough to go by the hour.
const LEAST_DAYS: usize = 2;
/// A spike stands out of the spread by so many deviations.
const DEVIATIONS: f64 = 4.0;
/// Makes a median deviation a standard one.
const NORMAL: f64 = 1.4826;
/// Share of pairs of values that agree on whether they rise.
const AGREEMENT: f64 = 0.7;
/// A reading that was not made for so long is forgotten.
const FORGOTTEN_NS: u64 = 7 * 86_400 * NS;

/// Earlier values of one reading.
#[derive(Clone, Debug, Default)]
struct Track {
    /// Oldest first.
    values: VecDeque<(WallTime, f64)>,
    /// By hour of the day: medians of earlier days.
    hours: FxHashMap<u64, VecDeque<f64>>,
    /// Values of the hour that runs.
    hour: (u64, Vec<f64>),
    read: WallTime,
}

/// What is usual for a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    /// Median.
    pub median: f64,
    /// Above this a value stands out of the noise.
    pub noise: f64,
}

/// Earlier values by rule and scope.
#[derive(Debug, Default)]
pub(super) struct Baselines(FxHashMap<AlertKey, Track>);

impl Baselines {
    /// Notes a value, at most once in a part of the rule's window.
    pub fn note(&mut self, now: WallTime, rule: &Rule, key: &AlertKey, value: Option<f64>) {
        if !self.0.contains_key(key) && self.0.len() >= limits::ALERT_BASELINES {
            self.0.retain(|_, track| track.read.0 + FORGOTTEN_NS > now.0);
            if self.0.len() >= limits::ALERT_BASELINES {
                return;
            }
        }
        let track = self.0.entry(key.clone()).or_default();
        track.read = now;
        let Some(value) = value else { return };
        let step_ns = (rule.window_s() * NS / 30).max(10 * NS);
        if track.values.back().is_some_and(|(last, _)| now.0 < last.0 + step_ns) {
            return;
        }
        track.values.push_back((now, value));
        if track.values.len() > VALUES {
            track.values.pop_front();
        }
        let hour = now.0 / NS / 3_600;
        if track.hour.0 != hour {
            let (before, values) = std::mem::replace(&mut track.hour, (hour, Vec::new()));
            if let Some(median) = median(values) {
                let days = track.hours.entry(before % 24).or_default();
                days.push_back(median);
                if days.len() > DAYS {
                    days.pop_front();
                }
            }
        }
        if track.hour.1.len() < 4 * VALUES {
            track.hour.1.push(value);
        }
    }

    /// Scopes of a rule that were read within a time.
    pub fn scopes(&self, now: WallTime, rule: &Rule, within_ns: u64) -> Vec<AlertKey> {
        let mine = self.0.iter().filter(|((name, _), track)| *name == rule.name && track.read.0 + within_ns > now.0);
        mine.map(|(key, _)| key.clone()).collect()
    }

    /// What is usual at this time of the day.
    pub fn usual(&self, now: WallTime, rule: &Rule, key: &AlertKey) -> Option<Usual> {
        let track = self.0.get(key)?;
        // A window that reaches into the time that is judged would hide what is unusual.
        let until = now.0.saturating_sub(rule.window_s() * NS);
        let earlier: Vec<f64> = track.values.iter().filter(|(time, _)| time.0 <= until).map(|(_, value)| *value).collect();
        let spread = |median: f64| self::median(earlier.iter().map(|value| (value - median).abs()).collect());
        let days = track.hours.get(&(now.0 / NS / 3_600 % 24)).filter(|days| days.len() >= LEAST_DAYS);
        if let Some(days) = days {
            let median = median(days.iter().copied().collect())?;
            let far = days.iter().map(|value| (value - median).abs()).fold(0.0, f64::max);
            return Some(Usual { median, noise: median + 2.0 * far });
        }
        if earlier.len() < LEAST {
            return None;
        }
        let median = median(earlier.clone())?;
        Some(Usual { median, noise: median + DEVIATIONS * NORMAL * spread(median)? })
    }

    /// How much a value changes in a second, when most of the last values agree on that.
    pub fn slope(&self, now: WallTime, rule: &Rule, key: &AlertKey) -> Option<f64> {
        let since = now.0.saturating_sub(rule.window_s() * NS);
        let values: Vec<(f64, f64)> =
            self.0.get(key)?.values.iter().filter(|(time, _)| time.0 >= since).map(|(t, v)| (t.0 as f64 / 1e9, *v)).collect();
        let (first, last) = (values.first()?.0, values.last()?.0);
        if values.len() < LEAST || (last - first) < rule.window_s() as f64 / 2.0 {
            return None;
        }
        let pairs =
            values.iter().enumerate().flat_map(|(index, (t0, v0))| values[index + 1..].iter().map(move |(t1, v1)| (v1 - v0) / (t1 - t0)));
        let slopes: Vec<f64> = pairs.filter(|slope| slope.is_finite()).collect();
        let count = slopes.len() as f64;
        let slope = median(slopes.clone())?;
        let agreeing = slopes.iter().filter(|other| **other * slope > 0.0).count() as f64;
        (agreeing >= AGREEMENT * count).then_some(slope)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    Some(if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) })
}
