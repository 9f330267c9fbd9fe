//! What agents, tools and workflows have in common: runs with a duration, an outcome, and what they used.
use crate::aggregate::accumulator::{Accumulator, counts};
use crate::aggregate::exchange::{latency, ratio};
use crate::aggregate::figures::WindowFigures;
use crate::aggregate::series::Series;
use crate::aggregate::snapshot::Latency;
use crate::record::Millis;

counts! {
    /// Numbers of a set of runs; times in nanoseconds.
    WorkCounts {
        sums {
            /// Runs.
            count,
            /// Failed ones.
            errors,
            /// Given up.
            abandoned,
            /// Runs with a known outcome.
            judged,
            /// Agent runs in them.
            agents,
            /// Model calls in them.
            llm_calls,
            /// Tools executed in them.
            tools_called,
            /// Tokens.
            tokens,
            /// Runs with a known value.
            tokens_known,
            /// Cost in 10⁻¹² US dollars.
            cost_pico,
            /// Runs that have a cost.
            priced,
            /// Sum of durations.
            time_sum,
        }
        maxima {
            /// Longest run.
            time_max,
        }
    }
}

/// A row of runs.
pub type WorkSeries = Series<WorkCounts, 1>;
/// A slice of runs.
pub type WorkAccumulator = Accumulator<WorkCounts, 1>;

/// Adds a run: its duration, its status, its tokens, its cost.
pub fn add(accumulator: &mut WorkAccumulator, time: Option<Millis>, status: Option<&str>, tokens: Option<u64>, cost_usd: Option<f64>) {
    let counts = &mut accumulator.counts;
    counts.count += 1;
    counts.judged += u64::from(status.is_some());
    counts.errors += u64::from(status == Some("error"));
    counts.abandoned += u64::from(status == Some("abandoned"));
    counts.tokens += tokens.unwrap_or(0);
    counts.tokens_known += u64::from(tokens.is_some());
    counts.cost_pico += cost_usd.map_or(0, pico_dollars);
    counts.priced += u64::from(cost_usd.is_some());
    if let Some(time) = time {
        counts.time_sum += time.0;
        counts.time_max = counts.time_max.max(time.0);
        accumulator.shapes[0].record(time.0);
    }
}

impl WindowFigures<WorkCounts, 1> {
    /// Durations.
    pub fn time(&self) -> Latency {
        latency(&self.spreads[0], self.counts.time_sum, self.counts.time_max)
    }

    /// Failed ÷ judged.
    pub fn failed(&self) -> Option<f64> {
        ratio(self.counts.errors, self.counts.judged)
    }

    /// Tokens, if known for any run.
    pub fn tokens(&self) -> Option<u64> {
        (self.counts.tokens_known > 0).then_some(self.counts.tokens)
    }

    /// Cost, if any run has one.
    pub fn cost_usd(&self) -> Option<f64> {
        (self.counts.priced > 0).then(|| dollars(self.counts.cost_pico))
    }
}

/// Whole 10⁻¹² dollars: sums of them have no rounding error of their own.
pub fn pico_dollars(usd: f64) -> u64 {
    (usd * 1e12).round() as u64
}

/// Back to dollars.
pub fn dollars(pico: u64) -> f64 {
    pico as f64 / 1e12
}
