//! Totals of a service.
use std::sync::Arc;

use super::{UnderWay, WindowContext};
use crate::aggregate::exchange::{HttpSeries, QUEUE, TTFB, quantile_ms};
use crate::aggregate::snapshot::{ServiceRow, Window};
use crate::record::Origin;

/// The row of a service in a window.
pub fn service_row(
    name: &Arc<str>,
    origin: Option<Arc<Origin>>,
    row: &HttpSeries,
    window: Window,
    view: &WindowContext,
    under_way: UnderWay,
) -> ServiceRow {
    let figures = row.figures(window);
    let (counts, spreads) = (&figures.counts, &figures.spreads);
    ServiceRow {
        service: name.clone(),
        origin,
        count: counts.count,
        errors: counts.errors,
        error_rate: figures.error_rate(),
        requests_per_minute: view.per_minute(figures.estimate()),
        rate_now_per_second: row.rate_now(),
        rate_peak_per_second: figures.rate_peak_milli as f64 / 1_000.0,
        latency: figures.latency(),
        ttfb_p50_ms: quantile_ms(&spreads[TTFB], |spread| spread.p50),
        ttfb_p95_ms: quantile_ms(&spreads[TTFB], |spread| spread.p95),
        queue_p50_ms: quantile_ms(&spreads[QUEUE], |spread| spread.p50),
        queue_p95_ms: quantile_ms(&spreads[QUEUE], |spread| spread.p95),
        queue_mean_ms: figures.queue_mean_ms(),
        categories: figures.categories(),
        error_classes: figures.error_classes(),
        correlation: figures.correlation(),
        share_of_time: view.share(counts.latency_sum),
        concurrency_peak: figures.concurrency_peak,
        in_flight: under_way.count,
        oldest_in_flight_ms: under_way.oldest_ms(),
        completeness: figures.completeness(),
        losses: figures.losses(),
        slowest_span_ids: row.sample_ids(),
    }
}
