//! One pool: how many connections are open and in use, and what came of it over an interval.
use std::sync::Arc;

/// Samples of use times of an interval.
const SAMPLES: usize = 1_024;
/// Threads that are told apart.
const THREADS: usize = 256;
/// A thread that used the pool no longer ago wants it still: one that waits is held up by those that are quicker.
const WANTED_NS: u64 = 60 * 1_000_000_000;
/// Share of their time for which connections are in use when nothing but the next use is waited for: between two uses the process works.
const FULL: f64 = 0.8;
/// Uses of a connection from which on it is kept for more than one.
const KEPT: u64 = 2;

/// A pool over an interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolFigures {
    /// Start.
    pub since_ns: u64,
    /// Open at its end.
    pub open: u64,
    /// In use at its end.
    pub in_use: u64,
    /// Most in use at once.
    pub peak_in_use: u64,
    /// Most open at once so far.
    pub size: u64,
    /// Connections that came.
    pub opened: u64,
    /// Connections that went.
    pub closed: u64,
    /// Uses that ended.
    pub uses: u64,
    /// 95th percentile of how long they lasted.
    pub use_time_p95_ns: Option<u64>,
    /// In use nearly all the time, and more to do than connections.
    pub saturated: bool,
    /// It had two connections at once, or one for two uses.
    pub is_pool: bool,
    /// Whom it called, if its last connection has ended.
    pub name: Option<Arc<str>>,
    /// What TCP told of its connections, if it told anything.
    pub tcp: Option<TcpSums>,
}

/// Sums of what TCP told of connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpSums {
    /// Segments sent.
    pub segments: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Smoothed round-trip times that were read.
    pub round_trips: u64,
    /// Their sum.
    pub round_trip_sum_us: u64,
    /// Largest of them.
    pub round_trip_max_us: u32,
}

impl TcpSums {
    /// Their mean.
    pub fn round_trip_ns(&self) -> Option<u64> {
        self.round_trip_sum_us.saturating_mul(1_000).checked_div(self.round_trips)
    }
}

/// The state.
#[derive(Debug)]
pub(super) struct ClientPool {
    figures: PoolFigures,
    /// Time in use of all connections, and their time in all, of this interval, until `counted_ns`.
    used_ns: u64,
    open_ns: u64,
    counted_ns: u64,
    /// Of the uses that ended each `stride`th.
    times_ns: Vec<u64>,
    stride: u64,
    /// Threads that used it lately, and when last.
    threads: Vec<(u32, u64)>,
    /// Most requests that the process served at once.
    work: usize,
    uses_in_all: u64,
    opened_in_all: u64,
}

impl ClientPool {
    pub(super) fn new(now_ns: u64) -> Self {
        Self {
            figures: PoolFigures { since_ns: now_ns, ..PoolFigures::default() },
            used_ns: 0,
            open_ns: 0,
            counted_ns: now_ns,
            times_ns: Vec::new(),
            stride: 1,
            threads: Vec::new(),
            work: 0,
            uses_in_all: 0,
            opened_in_all: 0,
        }
    }

    pub(super) fn open(&mut self, now_ns: u64) {
        self.count(now_ns);
        self.figures.open += 1;
        self.figures.opened += 1;
        self.opened_in_all += 1;
        self.figures.size = self.figures.size.max(self.figures.open);
    }

    pub(super) fn close(&mut self, since_ns: Option<u64>, now_ns: u64) {
        self.count(now_ns);
        if let Some(since_ns) = since_ns {
            self.give_back(since_ns, now_ns);
        }
        self.figures.open = self.figures.open.saturating_sub(1);
        self.figures.closed += 1;
    }

    pub(super) fn be_called(&mut self, name: Option<Arc<str>>) {
        self.figures.name = name;
    }

    pub(super) fn take(&mut self, thread: u32, now_ns: u64) {
        self.count(now_ns);
        self.figures.in_use += 1;
        self.figures.peak_in_use = self.figures.peak_in_use.max(self.figures.in_use);
        if let Some((_, last_ns)) = self.threads.iter_mut().find(|(known, _)| *known == thread) {
            *last_ns = now_ns;
        } else if self.threads.len() < THREADS {
            self.threads.push((thread, now_ns));
        }
    }

    pub(super) fn give_back(&mut self, since_ns: u64, now_ns: u64) {
        self.count(now_ns);
        self.figures.in_use = self.figures.in_use.saturating_sub(1);
        self.figures.uses += 1;
        self.uses_in_all += 1;
        if self.figures.uses.is_multiple_of(self.stride) {
            if self.times_ns.len() >= SAMPLES {
                let mut place = 0_usize;
                self.times_ns.retain(|_| {
                    place += 1;
                    place.is_multiple_of(2)
                });
                self.stride *= 2;
            }
            self.times_ns.push(now_ns.saturating_sub(since_ns));
        }
    }

    /// Segments sent since it was last told, those that were sent again, and the round-trip time if it is known.
    pub(super) fn sent(&mut self, segments: u64, retransmits: u64, round_trip_us: u32) {
        let sums = self.figures.tcp.get_or_insert_default();
        sums.segments += segments;
        sums.retransmits += retransmits;
        sums.round_trips += u64::from(round_trip_us > 0);
        sums.round_trip_sum_us += u64::from(round_trip_us);
        sums.round_trip_max_us = sums.round_trip_max_us.max(round_trip_us);
    }

    /// Adds the time since the last change. To be called before each.
    fn count(&mut self, now_ns: u64) {
        let passed_ns = now_ns.saturating_sub(self.counted_ns);
        self.used_ns = self.used_ns.saturating_add(passed_ns.saturating_mul(self.figures.in_use));
        self.open_ns = self.open_ns.saturating_add(passed_ns.saturating_mul(self.figures.open));
        self.counted_ns = self.counted_ns.max(now_ns);
    }

    pub(super) fn observe(&mut self, work: usize) {
        self.work = self.work.max(work);
    }

    /// Neither open connections nor anything to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.figures.open == 0
    }

    /// Ends the interval. A peer that never had two connections, nor one for two uses, is no pool: of it nothing is told but what TCP did.
    pub(super) fn interval(&mut self, now_ns: u64, work: usize) -> Option<PoolFigures> {
        self.observe(work);
        self.count(now_ns);
        self.threads.retain(|(_, last_ns)| now_ns.saturating_sub(*last_ns) <= WANTED_NS);
        let has_more = self.threads.len().max(self.work) as u64 > self.figures.open;
        let is_settled = self.figures.opened == 0 && self.figures.closed == 0;
        self.times_ns.sort_unstable();
        let rank = (self.times_ns.len() * 95).div_ceil(100).saturating_sub(1);
        let told = PoolFigures {
            is_pool: self.figures.size > 1 || self.uses_in_all >= self.opened_in_all * KEPT,
            use_time_p95_ns: self.times_ns.get(rank).copied(),
            saturated: has_more && is_settled && self.open_ns > 0 && self.used_ns as f64 >= self.open_ns as f64 * FULL,
            ..self.figures.clone()
        };
        self.figures = PoolFigures {
            since_ns: now_ns,
            open: told.open,
            in_use: told.in_use,
            peak_in_use: told.in_use,
            size: told.size,
            ..PoolFigures::default()
        };
        (self.used_ns, self.open_ns, self.stride, self.work) = (0, 0, 1, 0);
        self.times_ns.clear();
        (told.is_pool || told.tcp.is_some()).then_some(told)
    }
}
