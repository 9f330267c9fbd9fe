//! Tables of endpoints and destinations.
use std::sync::Arc;

use super::super::column::{Column, count, figure, largest, millis, percent, plain};
use super::super::detail::{destination_detail, endpoint_detail};
use super::{RowTable, error_tone, latency_tone, more, number, text};
use crate::aggregate::snapshot::{DestinationRow, EndpointRow};

pub(in super::super) static ENDPOINTS: [Column<Arc<EndpointRow>>; 16] = [
    text("SERVICE", 10, 5, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)),
    Column {
        flexible: true,
        ..text(
            "ENDPOINT",
            16,
            0,
            |row| format!("{} {}", row.method, row.endpoint),
            |a, b| (&a.endpoint, &a.method).cmp(&(&b.endpoint, &b.method)),
        )
    },
    number("COUNT", 4, |row| count(row.count), |a, b| b.count.cmp(&a.count), plain),
    number("REQ/S", 0, |row| figure(row.requests_per_minute / 60.0), |a, b| b.requests_per_minute.total_cmp(&a.requests_per_minute), plain),
    number("ERR%", 0, |row| percent(row.error_rate), |a, b| largest(a.error_rate, b.error_rate), |row| error_tone(row.error_rate)),
    number("P50", 9, |row| millis(row.latency.p50_ms), |a, b| largest(a.latency.p50_ms, b.latency.p50_ms), plain),
    number(
        "P95",
        0,
        |row| millis(row.latency.p95_ms),
        |a, b| largest(a.latency.p95_ms, b.latency.p95_ms),
        |row| latency_tone(row.latency.p95_ms),
    ),
    number("P99", 6, |row| millis(row.latency.p99_ms), |a, b| largest(a.latency.p99_ms, b.latency.p99_ms), plain),
    number("QUEUE", 8, |row| millis(row.queue_p95_ms), |a, b| largest(a.queue_p95_ms, b.queue_p95_ms), plain),
    number("SHARE%", 7, |row| percent(Some(row.share_of_time)), |a, b| b.share_of_time.total_cmp(&a.share_of_time), plain),
    number("NOW", 10, |row| count(row.in_flight), |a, b| b.in_flight.cmp(&a.in_flight), plain),
    more("MEAN", |row| millis(row.latency.mean_ms), |a, b| largest(a.latency.mean_ms, b.latency.mean_ms)),
    more("MAX", |row| millis(row.latency.max_ms), |a, b| largest(a.latency.max_ms, b.latency.max_ms)),
    more("TTFB95", |row| millis(row.ttfb_p95_ms), |a, b| largest(a.ttfb_p95_ms, b.ttfb_p95_ms)),
    more("PEAK/S", |row| figure(row.rate_peak_per_second), |a, b| b.rate_peak_per_second.total_cmp(&a.rate_peak_per_second)),
    more("SLOW", |row| count(row.categories.slow), |a, b| b.categories.slow.cmp(&a.categories.slow)),
];

pub(in super::super) static ENDPOINT_TABLE: RowTable<Arc<EndpointRow>> = RowTable {
    columns: &ENDPOINTS,
    name: |row| format!("{} {} of {}", row.method, row.endpoint, row.service),
    detail: endpoint_detail,
    empty: "No requests in this window. Requests to the watched services appear here.",
};

pub(in super::super) static DESTINATIONS: [Column<Arc<DestinationRow>>; 14] = [
    text("SERVICE", 10, 5, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)),
    Column { flexible: true, ..text("DESTINATION", 16, 0, |row| row.destination.to_string(), |a, b| a.destination.cmp(&b.destination)) },
    number("COUNT", 4, |row| count(row.count), |a, b| b.count.cmp(&a.count), plain),
    number("REQ/S", 0, |row| figure(row.requests_per_minute / 60.0), |a, b| b.requests_per_minute.total_cmp(&a.requests_per_minute), plain),
    number("ERR%", 0, |row| percent(row.error_rate), |a, b| largest(a.error_rate, b.error_rate), |row| error_tone(row.error_rate)),
    number("AVAIL%", 8, |row| percent(row.availability), |a, b| largest(b.availability, a.availability), plain),
    number("P50", 9, |row| millis(row.latency.p50_ms), |a, b| largest(a.latency.p50_ms, b.latency.p50_ms), plain),
    number(
        "P95",
        0,
        |row| millis(row.latency.p95_ms),
        |a, b| largest(a.latency.p95_ms, b.latency.p95_ms),
        |row| latency_tone(row.latency.p95_ms),
    ),
    number("P99", 6, |row| millis(row.latency.p99_ms), |a, b| largest(a.latency.p99_ms, b.latency.p99_ms), plain),
    more("CONN95", |row| millis(row.connect_p95_ms), |a, b| largest(a.connect_p95_ms, b.connect_p95_ms)),
    more("TTFB95", |row| millis(row.ttfb_p95_ms), |a, b| largest(a.ttfb_p95_ms, b.ttfb_p95_ms)),
    more("MEAN", |row| millis(row.latency.mean_ms), |a, b| largest(a.latency.mean_ms, b.latency.mean_ms)),
    more("MAX", |row| millis(row.latency.max_ms), |a, b| largest(a.latency.max_ms, b.latency.max_ms)),
    more("ERRORS", |row| count(row.errors), |a, b| b.errors.cmp(&a.errors)),
];

pub(in super::super) static DESTINATION_TABLE: RowTable<Arc<DestinationRow>> = RowTable {
    columns: &DESTINATIONS,
    name: |row| format!("{} called by {}", row.destination, row.service),
    detail: destination_detail,
    empty: "No outgoing requests in this window. Calls from the watched services to others appear here.",
};
