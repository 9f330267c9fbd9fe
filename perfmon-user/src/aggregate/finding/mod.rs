//! Findings: conditions that need attention, detected once a second in the snapshot.
//!
//! To add a detector: a file here with a small struct that implements [`Detector`] (no state, no clock: a snapshot in, detections out; the
//! message is one sentence with the figures), and a line in [`detectors`]. The detector reports what is true now; [`tracker`] opens and
//! closes late and limits repetitions. Test it with a hand-made snapshot on both sides of each limit.
pub mod event_loop;
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
}

/// Judges a snapshot.
pub trait Detector: std::fmt::Debug + Send {
    /// The conditions that are true in a snapshot.
    fn judge(&self, snapshot: &Snapshot) -> Vec<Detection>;
}

/// All detectors.
pub fn detectors() -> Vec<Box<dyn Detector>> {
    vec![Box::new(event_loop::EventLoopBlocked)]
}
