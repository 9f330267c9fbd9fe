//! Findings: conditions that need attention, detected once a second in the snapshot.
//!
//! To add a detector: a file here with a small struct that implements [`Detector`] (no state, no clock: a snapshot in, detections out; the
//! message is one sentence with the figures), and a line in [`detectors`]. The detector reports what is true now; [`tracker`] opens and
//! closes late and limits repetitions. Test it with a hand-made snapshot on both sides of each limit.
pub mod degraded;
pub mod event_loop;
pub mod n_plus_one;
pub mod pool;
pub mod tracker;

use std::sync::Arc;

use crate::aggregate::snapshot::Snapshot;
use crate::record::{Origin, Severity};

/// A condition that is true now.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// `event_loop_blocked` …
    pub kind_name: &'static str,
    /// What it is about; with the kind it identifies the finding.
    pub scope: Arc<str>,
    /// Process or host that it is about.
    pub origin: Arc<Origin>,
    /// How bad.
    pub severity: Severity,
    /// A sentence with the figures.
    pub message: String,
    /// `span_id` of records that show it.
    pub evidence: Vec<Arc<str>>,
    /// What it costs, in milliseconds of waiting a minute: the order of the list.
    pub cost: f64,
    /// When it opens and closes a finding.
    pub steadiness: Steadiness,
}

/// Ticks in a row that open and close a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steadiness {
    /// With it.
    pub open_after: u32,
    /// Without it.
    pub close_after: u32,
}

impl Steadiness {
    /// Of figures, which go up and down.
    pub const MEASURED: Self = Self { open_after: 3, close_after: 30 };
    /// Of what somebody else has judged.
    pub const STATED: Self = Self { open_after: 1, close_after: 5 };
}

/// Judges a snapshot.
pub trait Detector: std::fmt::Debug + Send {
    /// The conditions that are true in a snapshot.
    fn judge(&self, snapshot: &Snapshot) -> Vec<Detection>;
}

/// All detectors.
pub fn detectors() -> Vec<Box<dyn Detector>> {
    vec![
        Box::new(degraded::PerfmonDegraded),
        Box::new(event_loop::EventLoopBlocked),
        Box::new(n_plus_one::NPlusOne),
        Box::new(pool::PoolTroubles),
    ]
}
