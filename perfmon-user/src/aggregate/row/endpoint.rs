//! Endpoint rows.
use std::sync::Arc;

use super::{UnderWay, WindowContext};
use crate::aggregate::endpoint::RowName;
use crate::aggregate::exchange::{HttpSeries, QUEUE, STREAM, TTFB, ms, quantile_ms, ratio};
use crate::aggregate::snapshot::{EndpointRow, Window};
use crate::record::{RepeatedQuery, SpanId};

/// The row of an endpoint in a window.
pub fn endpoint_row(
    name: &RowName,
    row: &HttpSeries,
    repeated: Option<&(RepeatedQuery, SpanId)>,
    window: Window,
    view: &WindowContext,
    under_way: UnderWay,
) -> EndpointRow {
    let figures = row.figures(window);
    let (counts, spreads) = (&figures.counts, &figures.spreads);
    EndpointRow {
        service: name.service.clone(),
        method: name.method.clone(),
        endpoint: name.endpoint.clone(),
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
        stream_p50_ms: quantile_ms(&spreads[STREAM], |spread| spread.p50.min(counts.stream_max)),
        stream_p95_ms: quantile_ms(&spreads[STREAM], |spread| spread.p95.min(counts.stream_max)),
        stream_max_ms: (spreads[STREAM].count > 0).then(|| ms(counts.stream_max)),
        request_size_mean_bytes: ratio(counts.request_size_sum, counts.request_sized),
        response_size_mean_bytes: ratio(counts.response_size_sum, counts.response_sized),
        categories: figures.categories(),
        error_classes: figures.error_classes(),
        correlation: figures.correlation(),
        share_of_time: view.share(counts.latency_sum),
        concurrency_peak: figures.concurrency_peak,
        in_flight: under_way.count,
        oldest_in_flight_ms: under_way.oldest_ms(),
        completeness: figures.completeness(),
        losses: figures.losses(),
        downstream: figures.downstream(repeated),
        slowest_span_ids: row.sample_ids(),
    }
}

/// The row of an endpoint with requests in flight only.
pub fn hanging_row(name: RowName, under_way: UnderWay) -> EndpointRow {
    EndpointRow {
        service: name.service,
        method: name.method,
        endpoint: name.endpoint,
        in_flight: under_way.count,
        oldest_in_flight_ms: under_way.oldest_ms(),
        concurrency_peak: under_way.count,
        ..EndpointRow::default()
    }
}

/// The bottleneck order: share of time, then requests, then name.
pub fn sort(rows: &mut [Arc<EndpointRow>]) {
    rows.sort_by(|a, b| {
        let by_name = || (&a.service, &a.endpoint, &a.method).cmp(&(&b.service, &b.endpoint, &b.method));
        b.share_of_time.total_cmp(&a.share_of_time).then(b.count.cmp(&a.count)).then_with(by_name)
    });
}
