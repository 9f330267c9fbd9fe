//! Sliding windows of one series, made of slices: 5 s slices for the last minute, 30 s slices for five minutes, 5 min slices for the hour.
//! An event is added once, to the open slice. Closed slices are merged into the next coarser tier when its slice ends. A window is the
//! slices that it needs from each tier plus the open one: at least its length and at most one of its slices more.
use std::collections::VecDeque;

use super::accumulator::{Accumulator, CountSet};
use super::figures::Merger;
use super::snapshot::Window;
use crate::record::WallTime;

const NS: u64 = 1_000_000_000;
/// Length of the finest slice.
const SLICE_NS: u64 = 5 * NS;
/// Finest slices in a 30 s slice.
const PER_MEDIUM: u32 = 6;
/// 30 s slices in a 5 min slice.
const PER_COARSE: u32 = 10;
/// Closed slices of each tier that are kept: a minute, five minutes, an hour.
const KEPT: [u32; 3] = [12, 10, 12];

/// The time of all series: advances with the wall clock and stops while the wall clock is set back.
#[derive(Clone, Copy, Debug)]
pub struct SliceClock {
    wall: WallTime,
    now_ns: u64,
    start_ns: u64,
}

impl SliceClock {
    /// Starts at `now`.
    pub fn new(now: WallTime) -> Self {
        Self { wall: now, now_ns: now.0, start_ns: now.0 }
    }

    /// Moves to `now`; returns the nanoseconds that passed.
    pub fn advance(&mut self, now: WallTime) -> u64 {
        let passed = now.0.saturating_sub(self.wall.0);
        self.wall = now;
        self.now_ns += passed;
        passed
    }

    /// Number of the open slice.
    pub fn slice(&self) -> u32 {
        (self.now_ns / SLICE_NS) as u32
    }

    /// Seconds since the start.
    pub fn uptime_s(&self) -> f64 {
        (self.now_ns - self.start_ns) as f64 / NS as f64
    }

    /// Seconds covered by a window now: to its oldest slice or to the start.
    pub fn covered_s(&self, window: Window) -> f64 {
        let slice = self.slice();
        let oldest = match window {
            Window::Minute => slice.saturating_sub(KEPT[0]),
            Window::FiveMinutes => (slice / PER_MEDIUM).saturating_sub(KEPT[1]) * PER_MEDIUM,
            Window::Hour => (slice / (PER_MEDIUM * PER_COARSE)).saturating_sub(KEPT[2]) * PER_MEDIUM * PER_COARSE,
        };
        let from_ns = self.start_ns.max(u64::from(oldest) * SLICE_NS);
        (self.now_ns - from_ns) as f64 / NS as f64
    }

    /// Windows that lose a slice when the open slice advances from `from`.
    pub fn moved(&self, from: u32) -> [bool; 3] {
        let to = self.slice();
        let tier = |slices: u32| from / slices != to / slices;
        [tier(1), tier(PER_MEDIUM), tier(PER_MEDIUM * PER_COARSE)]
    }
}

/// A closed slice.
#[derive(Clone, Debug)]
struct Closed {
    number: u32,
    bytes: Box<[u8]>,
}

/// The slices of one row.
#[derive(Clone, Debug)]
pub struct Windows<C, const H: usize> {
    /// The slice under way.
    pub open: Accumulator<C, H>,
    tiers: [VecDeque<Closed>; 3],
}

impl<C: CountSet, const H: usize> Default for Windows<C, H> {
    fn default() -> Self {
        Self { open: Accumulator::default(), tiers: Default::default() }
    }
}

impl<C: CountSet, const H: usize> Windows<C, H> {
    /// Ends the open slice `from`; the slice under way is `to` now.
    pub fn roll(&mut self, from: u32, to: u32) {
        if from == to {
            return;
        }
        if !self.open.is_empty() {
            self.tiers[0].push_back(Closed { number: from, bytes: self.open.pack() });
            self.open = Accumulator::default();
        }
        self.cascade(0, PER_MEDIUM, from, to);
        self.cascade(1, PER_COARSE, from / PER_MEDIUM, to / PER_MEDIUM);
        let numbers = [to, to / PER_MEDIUM, to / PER_MEDIUM / PER_COARSE];
        for ((tier, number), kept) in self.tiers.iter_mut().zip(numbers).zip(KEPT) {
            while tier.front().is_some_and(|closed| closed.number + kept < number) {
                tier.pop_front();
            }
        }
    }

    /// Merges the slices of a tier into one of the next tier, when its time is over.
    fn cascade(&mut self, tier: usize, per: u32, from: u32, to: u32) {
        if from / per == to / per {
            return;
        }
        let mut merged = Accumulator::<C, H>::default();
        for closed in self.tiers[tier].iter().filter(|closed| closed.number / per == from / per) {
            merged.absorb(&closed.bytes);
        }
        if !merged.is_empty() {
            self.tiers[tier + 1].push_back(Closed { number: from / per, bytes: merged.pack() });
        }
    }

    /// Adds the slices of `window` to `into`; `slice` is the open slice.
    pub fn collect(&self, window: Window, slice: u32, into: &mut Merger<C, H>) {
        let (medium, coarse) = (slice / PER_MEDIUM, slice / PER_MEDIUM / PER_COARSE);
        let [fine_tier, medium_tier, coarse_tier] = &self.tiers;
        let mut take = |tier: &VecDeque<Closed>, wanted: &dyn Fn(u32) -> bool| {
            tier.iter().rev().take_while(|closed| wanted(closed.number)).for_each(|closed| into.absorb(&closed.bytes));
        };
        match window {
            Window::Minute => take(fine_tier, &|number| number + KEPT[0] >= slice),
            Window::FiveMinutes => {
                take(fine_tier, &|number| number / PER_MEDIUM == medium);
                take(medium_tier, &|number| number + KEPT[1] >= medium);
            }
            Window::Hour => {
                take(fine_tier, &|number| number / PER_MEDIUM == medium);
                take(medium_tier, &|number| number / PER_COARSE == coarse);
                take(coarse_tier, &|number| number + KEPT[2] >= coarse);
            }
        }
        into.add(&self.open);
    }

    /// Takes everything over that another row counted.
    pub fn merge(&mut self, other: Self) {
        self.open.merge(&other.open);
        for (mine, its) in self.tiers.iter_mut().zip(other.tiers) {
            for closed in its {
                match mine.binary_search_by_key(&closed.number, |closed| closed.number) {
                    Ok(at) => {
                        let mut both = Accumulator::<C, H>::default();
                        both.absorb(&mine[at].bytes);
                        both.absorb(&closed.bytes);
                        mine[at].bytes = both.pack();
                    }
                    Err(at) => mine.insert(at, closed),
                }
            }
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let closed =
            |tier: &VecDeque<Closed>| tier.capacity() * size_of::<Closed>() + tier.iter().map(|closed| closed.bytes.len()).sum::<usize>();
        self.open.heap_bytes() + self.tiers.iter().map(closed).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
