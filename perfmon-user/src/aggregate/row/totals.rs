//! Server-side totals.
use super::WindowContext;
use crate::aggregate::exchange::HttpSeries;
use crate::aggregate::snapshot::{Totals, Window};

/// The totals of a window.
pub fn totals(row: &HttpSeries, window: Window, view: &WindowContext) -> Totals {
    let figures = row.figures(window);
    Totals {
        requests: figures.counts.count,
        errors: figures.counts.errors,
        error_rate: figures.error_rate(),
        requests_per_minute: view.per_minute(figures.estimate()),
        rate_now_per_second: row.rate_now(),
        rate_peak_per_second: figures.rate_peak_milli as f64 / 1_000.0,
        concurrency_peak: figures.concurrency_peak,
        latency: figures.latency(),
        error_classes: figures.error_classes(),
        categories: figures.categories(),
        correlation: figures.correlation(),
        completeness: figures.completeness(),
        losses: figures.losses(),
    }
}
