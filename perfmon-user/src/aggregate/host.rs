//! Latest samples of the host, of its processes and of their connection pools. What was not sampled for ten seconds is dropped.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::{Pool, Process, System, WallTime};

const GONE_NS: u64 = 10 * 1_000_000_000;

/// Newest samples.
#[derive(Debug, Default)]
pub struct LatestSamples {
    system: Option<Arc<System>>,
    /// By pid, with the time of the tick before they came.
    processes: BTreeMap<u32, (WallTime, Arc<Process>)>,
    /// By process, destination and system.
    pools: BTreeMap<(u32, Arc<str>, &'static str), (WallTime, Arc<Pool>)>,
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

    /// A sample of a pool.
    pub fn add_pool(&mut self, pool: &Pool, now: WallTime) {
        self.pools.insert((pool.origin.pid, pool.peer.clone(), pool.system), (now, Arc::new(pool.clone())));
    }

    /// Drops what was not sampled lately.
    pub fn expire(&mut self, now: WallTime) {
        self.pools.retain(|_, (seen, _)| now.0.saturating_sub(seen.0) <= GONE_NS);
        self.processes.retain(|_, (seen, _)| now.0.saturating_sub(seen.0) <= GONE_NS);
    }

    /// The host.
    pub fn system(&self) -> Option<Arc<System>> {
        self.system.clone()
    }

    /// The pools: those that are saturated first, then the largest.
    pub fn pools(&self) -> Vec<Arc<Pool>> {
        let mut pools: Vec<_> = self.pools.values().map(|(_, pool)| pool.clone()).collect();
        pools.sort_by_key(|pool| std::cmp::Reverse((pool.saturated, pool.open)));
        pools
    }

    /// The processes by pid.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        self.processes.values().map(|(_, process)| process.clone()).collect()
    }
}
