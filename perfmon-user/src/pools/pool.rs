//! One pool: how many connections are open and in use, and what came of it over an interval.

/// Samples of use times of an interval.
const SAMPLES: usize = 1_024;
/// Threads that are told apart.
const THREADS: usize = 256;
/// Share of an interval for which all connections must be in use: the moments between two uses do not count against it.
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
    /// All in use nearly all the time, and more to do than connections.
    pub saturated: bool,
}

/// The state.
#[derive(Debug)]
pub(super) struct ClientPool {
    figures: PoolFigures,
    /// Since when all are in use.
    full_since_ns: Option<u64>,
    /// For how long all were, in this interval.
    full_ns: u64,
    /// Of the uses that ended each `stride`th.
    times_ns: Vec<u64>,
    stride: u64,
    threads: Vec<u32>,
    /// Most requests that the process served at once.
    work: usize,
    uses_in_all: u64,
    opened_in_all: u64,
}

impl ClientPool {
    pub(super) fn new(now_ns: u64) -> Self {
        Self {
            figures: PoolFigures { since_ns: now_ns, ..PoolFigures::default() },
            full_since_ns: None,
            full_ns: 0,
            times_ns: Vec::new(),
            stride: 1,
            threads: Vec::new(),
            work: 0,
            uses_in_all: 0,
            opened_in_all: 0,
        }
    }

    pub(super) fn open(&mut self, now_ns: u64) {
        self.figures.open += 1;
        self.figures.opened += 1;
        self.opened_in_all += 1;
        self.figures.size = self.figures.size.max(self.figures.open);
        self.judge(now_ns);
    }

    pub(super) fn close(&mut self, since_ns: Option<u64>, now_ns: u64) {
        if let Some(since_ns) = since_ns {
            self.give_back(since_ns, now_ns);
        }
        self.figures.open = self.figures.open.saturating_sub(1);
        self.figures.closed += 1;
        self.judge(now_ns);
    }

    pub(super) fn take(&mut self, thread: u32, now_ns: u64) {
        self.figures.in_use += 1;
        self.figures.peak_in_use = self.figures.peak_in_use.max(self.figures.in_use);
        if self.threads.len() < THREADS && !self.threads.contains(&thread) {
            self.threads.push(thread);
        }
        self.judge(now_ns);
    }

    pub(super) fn give_back(&mut self, since_ns: u64, now_ns: u64) {
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
        self.judge(now_ns);
    }

    /// Whether all are in use from now on.
    fn judge(&mut self, now_ns: u64) {
        let is_full = self.figures.open > 0 && self.figures.in_use >= self.figures.open;
        match self.full_since_ns {
            None if is_full => self.full_since_ns = Some(now_ns),
            Some(since_ns) if !is_full => {
                self.full_ns += now_ns.saturating_sub(since_ns);
                self.full_since_ns = None;
            }
            _ => {}
        }
    }

    pub(super) fn observe(&mut self, work: usize) {
        self.work = self.work.max(work);
    }

    /// Neither open connections nor anything to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.figures.open == 0
    }

    /// Ends the interval. Nothing is told of a peer that never had two connections, nor one for two uses: that is no pool.
    pub(super) fn interval(&mut self, now_ns: u64, work: usize) -> Option<PoolFigures> {
        self.observe(work);
        let full_ns = self.full_ns + self.full_since_ns.map_or(0, |since_ns| now_ns.saturating_sub(since_ns));
        let length_ns = now_ns.saturating_sub(self.figures.since_ns).max(1);
        let has_more = self.threads.len().max(self.work) as u64 > self.figures.open;
        let is_settled = self.figures.opened == 0 && self.figures.closed == 0;
        self.times_ns.sort_unstable();
        let rank = (self.times_ns.len() * 95).div_ceil(100).saturating_sub(1);
        let told = PoolFigures {
            use_time_p95_ns: self.times_ns.get(rank).copied(),
            saturated: has_more && is_settled && full_ns as f64 >= length_ns as f64 * FULL,
            ..self.figures.clone()
        };
        let is_pool = told.size > 1 || self.uses_in_all >= self.opened_in_all * KEPT;
        self.figures = PoolFigures {
            since_ns: now_ns,
            open: told.open,
            in_use: told.in_use,
            peak_in_use: told.in_use,
            size: told.size,
            ..PoolFigures::default()
        };
        self.full_since_ns = self.full_since_ns.map(|_| now_ns);
        (self.full_ns, self.stride, self.work) = (0, 1, 0);
        self.times_ns.clear();
        self.threads.clear();
        is_pool.then_some(told)
    }
}
