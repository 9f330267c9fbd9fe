//! Connection pools of clients, inferred from their sockets. In: connections of a process to a peer that come and go, the begins and ends of
//! their uses (a command under way, a transaction open) in order of time; out: what each pool was over an interval. A pool is what one
//! process holds to one peer, however it is kept there.
mod pool;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::limits;
use pool::ClientPool;

pub use pool::{PoolFigures, TcpSums};

/// A pool, as long as it has connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(u32);

/// A process, whom it calls, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The process.
    pub pid: u32,
    /// The address that is called.
    pub peer: Arc<str>,
    /// `http`, `postgresql`, `mysql`, `redis`.
    pub system: &'static str,
}

/// The pools of all processes.
#[derive(Debug, Default)]
pub struct PoolTracker {
    pools: FxHashMap<PoolId, (PoolKey, ClientPool)>,
    known: FxHashMap<PoolKey, PoolId>,
    last: u32,
    refused: u64,
}

impl PoolTracker {
    /// A connection speaks for the first time. `None` where there are too many pools: it is in none.
    pub fn joined(&mut self, key: &PoolKey, now_ns: u64) -> Option<PoolId> {
        let id = match self.known.get(key) {
            Some(id) => *id,
            None if self.known.len() >= limits::POOLS => {
                self.refused += 1;
                return None;
            }
            None => {
                self.last = self.last.wrapping_add(1);
                let id = PoolId(self.last);
                self.known.insert(key.clone(), id);
                self.pools.insert(id, (key.clone(), ClientPool::new(now_ns)));
                id
            }
        };
        self.of(id)?.open(now_ns);
        Some(id)
    }

    /// A connection ended, in use since `since_ns` or idle. `name`: whom it called, asked for at the last one; its process may be forgotten when
    /// that is told.
    pub fn left(&mut self, id: PoolId, since_ns: Option<u64>, now_ns: u64, name: impl FnOnce() -> Option<Arc<str>>) {
        if let Some(pool) = self.of(id) {
            pool.close(since_ns, now_ns);
            if pool.is_empty() {
                pool.be_called(name());
            }
        }
    }

    /// A use begins, by this thread.
    pub fn taken(&mut self, id: PoolId, thread: u32, now_ns: u64) {
        if let Some(pool) = self.of(id) {
            pool.take(thread, now_ns);
        }
    }

    /// A use ends that began at `since_ns`.
    pub fn given_back(&mut self, id: PoolId, since_ns: u64, now_ns: u64) {
        if let Some(pool) = self.of(id) {
            pool.give_back(since_ns, now_ns);
        }
    }

    /// What TCP told of a connection since it was last asked.
    pub fn sent(&mut self, id: PoolId, segments: u64, retransmits: u64, round_trip_us: u32) {
        if let Some(pool) = self.of(id) {
            pool.sent(segments, retransmits, round_trip_us);
        }
    }

    /// Ends the interval of every pool. `work`: requests that a process serves at this moment. Pools without connections are forgotten.
    pub fn interval(&mut self, now_ns: u64, work: impl Fn(u32) -> usize) -> Vec<(PoolId, PoolKey, PoolFigures)> {
        let mut told = Vec::new();
        for (id, (key, pool)) in &mut self.pools {
            told.extend(pool.interval(now_ns, work(key.pid)).map(|figures| (*id, key.clone(), figures)));
        }
        let known = &mut self.known;
        self.pools.retain(|_, (key, pool)| {
            let is_kept = !pool.is_empty();
            if !is_kept {
                known.remove(key);
            }
            is_kept
        });
        told.sort_unstable_by_key(|(id, ..)| *id);
        told
    }

    /// Notes how much a process has to do, between two intervals.
    pub fn observe(&mut self, work: impl Fn(u32) -> usize) {
        for (key, pool) in self.pools.values_mut() {
            pool.observe(work(key.pid));
        }
    }

    /// Connections since the last call that are in no pool.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    fn of(&mut self, id: PoolId) -> Option<&mut ClientPool> {
        self.pools.get_mut(&id).map(|(_, pool)| pool)
    }
}
