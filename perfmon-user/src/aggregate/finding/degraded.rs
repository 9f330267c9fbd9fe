//! `perfmon_degraded`: a part of perfmon does not work as it should, as the supervisor says. In: the parts in the snapshot, with the wording
//! of `/health/performance`; out: a detection for each. It has no limit of its own: the supervisor waits before it calls a part degraded.
use std::sync::Arc;

use super::{Detection, Detector, Steadiness};
use crate::aggregate::snapshot::Snapshot;
use crate::record::{Degradation, Origin, Severity};

/// The detector.
#[derive(Clone, Copy, Debug)]
pub struct PerfmonDegraded;

impl Detector for PerfmonDegraded {
    fn judge(&self, snapshot: &Snapshot) -> Vec<Detection> {
        let origin = Arc::new(Origin::of_perfmon());
        let detection = |one: &Degradation| Detection {
            kind_name: "perfmon_degraded",
            scope: one.part.into(),
            origin: origin.clone(),
            severity: Severity::Warning,
            message: one.message(),
            evidence: Vec::new(),
            // All other figures depend on it.
            cost: f64::INFINITY,
            steadiness: Steadiness::STATED,
        };
        snapshot.degraded.iter().map(detection).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_own_with_the_reason_of_health() {
        let degraded: Arc<[Degradation]> =
            Arc::new([Degradation { part: "hub", reason: "hangs".into() }, Degradation { part: "ring", reason: "loses".into() }]);
        let detections = PerfmonDegraded.judge(&Snapshot { degraded, ..Snapshot::default() });
        let told: Vec<(&str, &str)> = detections.iter().map(|one| (&*one.scope, &*one.message)).collect();
        let message = |part: &str| format!("A part of perfmon does not work as it should: {part}.");
        assert_eq!(told, [("hub", &*message("hub: hangs")), ("ring", &*message("ring: loses"))]);
        assert_eq!(&*detections[0].origin.service, "perfmon");
        assert_eq!(PerfmonDegraded.judge(&Snapshot::default()), []);
    }
}
