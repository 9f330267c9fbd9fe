//! Peaks of concurrency. An exchange in flight between two ticks has either ended since the last tick (there is a record) or is still in
//! flight (the gauges list it), so one sweep over both gives the exact peaks of endpoints, services and the host. Not counted: exchanges
//! that the gauges do not list (`limits::IN_FLIGHT`) and those whose end is unknown.
use rustc_hash::FxHashMap;

use crate::limits;

/// Start and end of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeInterval {
    /// Start, wall nanoseconds.
    pub start_ns: u64,
    /// End, wall nanoseconds.
    pub end_ns: u64,
    /// Number of its endpoint row, if it has one.
    pub row: Option<u32>,
    /// Number of its service.
    pub service: u32,
}

/// Peaks since the last tick.
#[derive(Debug, Default)]
pub struct Peaks {
    /// All services together.
    pub total: u64,
    /// By endpoint row.
    pub rows: FxHashMap<u32, u64>,
    /// By service.
    pub services: FxHashMap<u32, u64>,
}

/// Collects the exchanges that ended since the last tick.
#[derive(Debug, Default)]
pub struct Concurrency {
    ended: Vec<ExchangeInterval>,
    edges: Vec<Edge>,
    rows: Levels,
    services: Levels,
}

/// Begin or end of an interval: the time since `from_ns`, one bit that is set for a begin, so that an end sorts before a begin of the same
/// moment, and the interval's number. One integer, because sorting them is most of the sweep's cost.
type Edge = u64;

/// Bits of an interval's number; of the time 44 bits are left, which is five hours.
const NUMBER_BITS: u32 = 19;
const LATEST_NS: u64 = (1 << (63 - NUMBER_BITS)) - 1;
const _: () = assert!(limits::INTERVALS + limits::IN_FLIGHT < 1 << NUMBER_BITS);

impl Concurrency {
    /// Adds an exchange that ended. Exchanges beyond `limits::INTERVALS` are dropped, and the peaks are lower bounds.
    pub fn ended(&mut self, interval: ExchangeInterval) {
        if self.ended.len() < limits::INTERVALS {
            self.ended.push(interval);
        }
    }

    /// Moves the exchanges of row `from` to row `into`.
    pub fn merge(&mut self, from: u32, into: u32) {
        self.ended.iter_mut().filter(|interval| interval.row == Some(from)).for_each(|interval| interval.row = Some(into));
    }

    /// Returns the peaks since `from_ns`. `open` were in flight at `seen_ns`; their `end_ns` is ignored.
    pub fn sweep(&mut self, from_ns: u64, seen_ns: u64, open: &[ExchangeInterval]) -> Peaks {
        let Self { ended, edges, rows, services } = self;
        edges.clear();
        let mut edge = |number: usize, start_ns: u64, end_ns: u64| {
            if start_ns < end_ns {
                let at = |ns: u64| (ns - from_ns).min(LATEST_NS) << (NUMBER_BITS + 1) | number as u64;
                edges.extend([at(start_ns) | 1 << NUMBER_BITS, at(end_ns)]);
            }
        };
        for (number, interval) in ended.iter().enumerate() {
            // What ended after the gauges were taken is among `open` until then.
            let listed_until = if interval.end_ns > seen_ns && !open.is_empty() { seen_ns } else { 0 };
            edge(number, interval.start_ns.max(from_ns).max(listed_until), interval.end_ns);
        }
        for (number, interval) in open.iter().take(limits::IN_FLIGHT).enumerate() {
            edge(ended.len() + number, interval.start_ns.max(from_ns), seen_ns);
        }
        edges.sort_unstable();
        let mut total = ConcurrencyLevel::default();
        for edge in &*edges {
            let (begins, number) = (edge >> NUMBER_BITS & 1 == 1, (edge & ((1 << NUMBER_BITS) - 1)) as usize);
            let interval = ended.get(number).unwrap_or_else(|| &open[number - ended.len()]);
            total.step(begins);
            services.step(interval.service, begins);
            if let Some(row) = interval.row {
                rows.step(row, begins);
            }
        }
        ended.clear();
        Peaks { total: total.peak, rows: rows.take(), services: services.take() }
    }
}

/// A level for each row or service, by number.
#[derive(Debug, Default)]
struct Levels {
    all: Vec<ConcurrencyLevel>,
    /// Those with a peak.
    used: Vec<u32>,
}

impl Levels {
    fn step(&mut self, number: u32, begins: bool) {
        let at = number as usize;
        if at >= self.all.len() {
            self.all.resize(at + 1, ConcurrencyLevel::default());
        }
        if begins && self.all[at].peak == 0 {
            self.used.push(number);
        }
        self.all[at].step(begins);
    }

    /// The peaks; there are none after it.
    fn take(&mut self) -> FxHashMap<u32, u64> {
        let all = &mut self.all;
        self.used.drain(..).map(|number| (number, std::mem::take(&mut all[number as usize]).peak)).collect()
    }
}

#[derive(Clone, Debug, Default)]
struct ConcurrencyLevel {
    now: u64,
    peak: u64,
}

impl ConcurrencyLevel {
    fn step(&mut self, begins: bool) {
        self.now = if begins { self.now + 1 } else { self.now.saturating_sub(1) };
        self.peak = self.peak.max(self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(start_ns: u64, end_ns: u64, row: u32) -> ExchangeInterval {
        ExchangeInterval { start_ns, end_ns, row: Some(row), service: 0 }
    }

    #[test]
    fn one_after_the_other_is_one_at_a_time() {
        let mut concurrency = Concurrency::default();
        (0..10).for_each(|at| concurrency.ended(interval(at * 10, at * 10 + 10, 1)));
        let peaks = concurrency.sweep(0, 100, &[]);
        assert_eq!((peaks.total, peaks.rows[&1], peaks.services[&0]), (1, 1, 1));
    }

    #[test]
    fn overlaps_are_counted_by_row_and_in_all() {
        let mut concurrency = Concurrency::default();
        [(0, 50, 1), (10, 60, 1), (20, 30, 2), (55, 90, 2)].iter().for_each(|&(from, to, row)| concurrency.ended(interval(from, to, row)));
        let peaks = concurrency.sweep(0, 100, &[]);
        assert_eq!((peaks.total, peaks.rows[&1], peaks.rows[&2]), (3, 2, 1));
    }

    #[test]
    fn requests_under_way_count_once_though_they_end_before_the_tick() {
        let mut concurrency = Concurrency::default();
        concurrency.ended(interval(10, 95, 1));
        let open = [interval(10, 0, 1), interval(20, 0, 1)];
        assert_eq!(concurrency.sweep(0, 90, &open).total, 2);
        assert_eq!(concurrency.sweep(90, 180, &open[1..]).total, 1);
    }
}
