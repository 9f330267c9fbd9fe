//! Turns figures into the rows of a snapshot; one file for each kind of row. To add a kind: its counts and row here, its row type in
//! `snapshot`, a series table in `Aggregate`.
pub mod agent;
pub mod destination;
pub mod dns;
pub mod endpoint;
pub mod llm;
pub mod query;
pub mod query_arrivals;
pub mod service;
pub mod tcp;
pub mod tool;
pub mod totals;
pub mod work;
pub mod workflow;

use std::sync::Arc;

/// What a row needs to know of its window.
#[derive(Clone, Copy, Debug)]
pub struct WindowContext {
    /// Seconds covered by the window, never 0.
    pub covered_s: f64,
    /// Sum of the latencies of all requests in it, nanoseconds.
    pub latency_sum: u64,
}

impl WindowContext {
    /// Per minute, rounded to a thousandth: further digits say nothing and are long in answers.
    pub fn per_minute(&self, count: u64) -> f64 {
        (count as f64 * 60_000.0 / self.covered_s).round() / 1_000.0
    }

    /// Share of the time that all requests took.
    pub fn share(&self, latency_sum: u64) -> f64 {
        if self.latency_sum == 0 { 0.0 } else { latency_sum as f64 / self.latency_sum as f64 }
    }
}

/// Requests under way of one row.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnderWay {
    /// How many.
    pub count: u64,
    /// Age of the oldest.
    pub oldest_ns: u64,
}

impl UnderWay {
    /// One more.
    pub fn add(&mut self, age_ns: u64) {
        self.count += 1;
        self.oldest_ns = self.oldest_ns.max(age_ns);
    }

    /// Age of the oldest, if there is one.
    pub fn oldest_ms(&self) -> Option<f64> {
        (self.count > 0).then(|| super::exchange::ms(self.oldest_ns))
    }
}

/// Name of overflow rows.
pub fn other() -> Arc<str> {
    "(other)".into()
}
