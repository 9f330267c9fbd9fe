//! Latest samples of the host and of its processes. A process that was not sampled for ten seconds is dropped.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::{Process, System, WallTime};

const GONE_NS: u64 = 10 * 1_000_000_000;

/// Newest samples.
#[derive(Debug, Default)]
pub struct LatestSamples {
    system: Option<Arc<System>>,
    /// By pid, with the time of the tick before they came.
    processes: BTreeMap<u32, (WallTime, Arc<Process>)>,
}

impl LatestSamples {
    /// A sample of the host.
    pub fn add_system(&mut self, system: &System) {
        self.system = Some(Arc::new(system.clone()));
    }

    /// A sample of a process.
    pub fn add_process(&mut self, process: &Process, now: WallTime) {
        self.processes.insert(process.origin.pid, (now, Arc::new(process.clone())));
    }

    /// Drops processes that were not sampled lately.
    pub fn expire(&mut self, now: WallTime) {
        self.processes.retain(|_, (seen, _)| now.0.saturating_sub(seen.0) <= GONE_NS);
    }

    /// The host.
    pub fn system(&self) -> Option<Arc<System>> {
        self.system.clone()
    }

    /// The processes by pid.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        self.processes.values().map(|(_, process)| process.clone()).collect()
    }
}
