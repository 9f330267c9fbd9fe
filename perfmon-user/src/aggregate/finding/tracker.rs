//! Turns detections into findings that do not flap. A finding opens and closes after ticks in a row with and without it (`Steadiness`).
//! While it is open, a record repeats it at most every thirty seconds, or at once when the severity rises. At most `limits::FINDINGS` are
//! open.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Detection;
use crate::limits;
use crate::record::{Finding, WallTime};

/// Time between two records of an open finding.
const UPDATE_NS: u64 = 30 * 1_000_000_000;
/// Ids of evidence.
const EVIDENCE: usize = 5;

/// Conditions that are true, or were within the last thirty ticks.
#[derive(Debug, Default)]
pub struct FindingTracker {
    tracked: BTreeMap<(&'static str, Arc<str>), TrackedFinding>,
    refused: u64,
}

#[derive(Debug)]
struct TrackedFinding {
    detection: Detection,
    first_seen: WallTime,
    last_seen: WallTime,
    held: u32,
    missed: u32,
    /// Time of the last record, once open.
    told: Option<WallTime>,
}

impl FindingTracker {
    /// Takes the verdicts of a tick; returns the records to publish: opened, updated, closed.
    pub fn judge(&mut self, now: WallTime, detections: Vec<Detection>) -> Vec<Finding> {
        self.tracked.values_mut().for_each(|tracked| tracked.missed += 1);
        let mut records: Vec<Finding> = detections.into_iter().filter_map(|detection| self.holds(now, detection)).collect();
        self.tracked.retain(|_, tracked| {
            let over = tracked.missed >= if tracked.told.is_some() { tracked.detection.steadiness.close_after } else { 1 };
            if over && tracked.told.is_some() {
                records.push(tracked.finding(now, false));
            }
            !over
        });
        records
    }

    fn holds(&mut self, now: WallTime, detection: Detection) -> Option<Finding> {
        let key = (detection.kind_name, detection.scope.clone());
        if self.tracked.len() >= limits::FINDINGS && !self.tracked.contains_key(&key) {
            self.refused += 1;
            return None;
        }
        let tracked = self.tracked.entry(key).or_insert_with(|| TrackedFinding {
            detection: detection.clone(),
            first_seen: now,
            last_seen: now,
            held: 0,
            missed: 0,
            told: None,
        });
        let worse = detection.severity > tracked.detection.severity;
        tracked.detection = detection;
        tracked.last_seen = now;
        (tracked.held, tracked.missed) = (tracked.held + 1, 0);
        let due = match tracked.told {
            None => tracked.held >= tracked.detection.steadiness.open_after,
            Some(told) => worse || now.0.saturating_sub(told.0) >= UPDATE_NS,
        };
        due.then(|| {
            tracked.told = Some(now);
            tracked.finding(now, true)
        })
    }

    /// The open findings, most costly first.
    pub fn open(&self, now: WallTime) -> Vec<Arc<Finding>> {
        let mut open: Vec<&TrackedFinding> = self.tracked.values().filter(|tracked| tracked.told.is_some()).collect();
        open.sort_by(|a, b| b.detection.cost.total_cmp(&a.detection.cost));
        open.into_iter().map(|tracked| Arc::new(tracked.finding(now, true))).collect()
    }

    /// Detections refused for lack of space since the last call.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}

impl TrackedFinding {
    fn finding(&self, now: WallTime, open: bool) -> Finding {
        let detection = &self.detection;
        Finding {
            time: now,
            origin: detection.origin.clone(),
            finding_id: id(detection, self.first_seen),
            kind_name: detection.kind_name,
            severity: detection.severity,
            scope: detection.scope.clone(),
            message: detection.message.clone(),
            evidence: detection.evidence.iter().take(EVIDENCE).cloned().collect(),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            open,
        }
    }
}

/// Stable while the finding is open, different when it opens again: FNV-1a of kind, scope and start.
fn id(detection: &Detection, first_seen: WallTime) -> Arc<str> {
    let text = detection.kind_name.bytes().chain([0]).chain(detection.scope.bytes()).chain(first_seen.0.to_be_bytes());
    let hash = text.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::finding::Steadiness;
    use crate::record::{Origin, Severity};

    fn detection(scope: &str, severity: Severity, cost: f64) -> Detection {
        Detection {
            kind_name: "event_loop_blocked",
            scope: scope.into(),
            origin: Arc::new(Origin::unknown(1)),
            severity,
            message: "It waits.".into(),
            evidence: (0..9).map(|id| id.to_string().into()).collect(),
            cost,
            steadiness: Steadiness::MEASURED,
        }
    }

    fn at(second: u64) -> WallTime {
        WallTime(second * 1_000_000_000)
    }

    #[test]
    fn a_finding_opens_late_updates_seldom_and_closes_late() {
        let mut tracker = FindingTracker::default();
        let told: Vec<(u64, bool, Arc<str>)> = (0..160)
            .flat_map(|second| {
                let detections = if second < 100 { vec![detection("shop", Severity::Warning, 1.0)] } else { vec![] };
                tracker.judge(at(second), detections).into_iter().map(move |finding| (second, finding.open, finding.finding_id))
            })
            .collect();
        assert_eq!(
            told.iter().map(|(second, open, _)| (*second, *open)).collect::<Vec<_>>(),
            [(2, true), (32, true), (62, true), (92, true), (129, false)]
        );
        assert!(told.iter().all(|(_, _, id)| *id == told[0].2 && id.len() == 16));
        assert!(tracker.open(at(160)).is_empty());
    }

    #[test]
    fn what_somebody_else_has_judged_opens_at_once_and_closes_soon() {
        let mut tracker = FindingTracker::default();
        let stated = || Detection { steadiness: Steadiness::STATED, ..detection("ring", Severity::Warning, 1.0) };
        let told = (0..20).flat_map(|second| {
            let detections = if second < 4 { vec![stated()] } else { vec![] };
            tracker.judge(at(second), detections).into_iter().map(move |finding| (second, finding.open))
        });
        assert_eq!(told.collect::<Vec<_>>(), [(0, true), (8, false)]);
    }

    #[test]
    fn what_comes_and_goes_neither_opens_nor_closes_anything() {
        let mut tracker = FindingTracker::default();
        for second in 0..60 {
            let detections = if second % 3 < 2 { vec![detection("flicker", Severity::Warning, 1.0)] } else { vec![] };
            assert_eq!(tracker.judge(at(second), detections), []);
        }
        let mut records = 0;
        for second in 0..120 {
            let steady = second < 5 || second % 20 == 0;
            records += tracker.judge(at(second), steady.then(|| detection("open", Severity::Warning, 1.0)).into_iter().collect()).len();
        }
        assert_eq!(records, 3, "opened at 2 s, updated at 40 and 80 s");
        assert_eq!(tracker.open(at(120)).len(), 1);
    }

    #[test]
    fn getting_worse_is_told_at_once_and_the_costly_come_first() {
        let mut tracker = FindingTracker::default();
        let both = |severity| vec![detection("a", Severity::Warning, 1.0), detection("b", severity, 9.0)];
        (0..4).for_each(|second| drop(tracker.judge(at(second), both(Severity::Warning))));
        let told = tracker.judge(at(4), both(Severity::Critical));
        assert_eq!(told.iter().map(|finding| (&*finding.scope, finding.severity)).collect::<Vec<_>>(), [("b", Severity::Critical)]);
        assert_eq!(told[0].evidence.len(), 5);
        assert_eq!(tracker.open(at(4)).iter().map(|finding| &*finding.scope).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn there_are_not_more_than_the_limit() {
        let mut tracker = FindingTracker::default();
        for second in 0..5 {
            tracker.judge(at(second), (0..500).map(|at| detection(&at.to_string(), Severity::Info, 0.0)).collect());
        }
        assert_eq!(tracker.open(at(5)).len(), limits::FINDINGS);
        assert_eq!(tracker.take_refused(), 1_500);
    }
}
