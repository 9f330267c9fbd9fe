//! Details of endpoints and destinations.
use std::sync::Arc;

use super::super::model::ScreenModel;
use super::super::tables::error_tone;
use super::{RowDetail, Tone, bytes_or_dash, count, figure, millis, percent, share};
use crate::aggregate::snapshot::{Correlation, DestinationRow, DownstreamRow, EndpointRow, ErrorClasses};

pub(in super::super) fn endpoint_detail(row: &Arc<EndpointRow>, _: &ScreenModel) -> RowDetail {
    let slowest: Vec<String> = row.slowest_span_ids.iter().map(ToString::to_string).collect();
    let slowest = (!slowest.is_empty()).then(|| slowest.join(" "));
    let size = |mean: Option<f64>| bytes_or_dash(mean.map(|mean| mean.round() as u64));
    RowDetail::default()
        .latency("Response time, ms", &row.latency)
        .toned(
            "Requests",
            [
                ("count", count(row.count), Tone::Plain),
                ("per minute", figure(row.requests_per_minute), Tone::Plain),
                ("now, per second", figure(row.rate_now_per_second), Tone::Plain),
                ("peak, per second", figure(row.rate_peak_per_second), Tone::Plain),
                ("share of all time", share(Some(row.share_of_time)), Tone::Plain),
                ("in flight", count(row.in_flight), Tone::Plain),
                ("oldest in flight, ms", millis(row.oldest_in_flight_ms), super::super::tables::latency_tone(row.oldest_in_flight_ms)),
                ("peak concurrency", count(row.concurrency_peak), Tone::Plain),
                ("fully seen", share(row.completeness), Tone::Plain),
            ],
        )
        .errors(row.errors, row.error_rate, &row.error_classes)
        .downstream(row.downstream.as_ref())
        .values(
            "Waiting and first byte, ms",
            [
                ("queue, mean", millis(row.queue_mean_ms)),
                ("queue, median", millis(row.queue_p50_ms)),
                ("queue, 95th percentile", millis(row.queue_p95_ms)),
                ("first byte, median", millis(row.ttfb_p50_ms)),
                ("first byte, 95th pct.", millis(row.ttfb_p95_ms)),
            ],
        )
        .values(
            "Streams, whole duration, ms",
            [("median", millis(row.stream_p50_ms)), ("95th percentile", millis(row.stream_p95_ms)), ("longest", millis(row.stream_max_ms))],
        )
        .values(
            "Speed and size",
            [
                ("up to 500 ms", count(row.categories.fast)),
                ("up to 1,000 ms", count(row.categories.moderate)),
                ("slower", count(row.categories.slow)),
                ("request body, mean", size(row.request_size_mean_bytes)),
                ("response body, mean", size(row.response_size_mean_bytes)),
            ],
        )
        .correlation(&row.correlation)
        .lines("Slowest requests of the last 5 minutes (span_id)", slowest)
}

pub(in super::super) fn destination_detail(row: &Arc<DestinationRow>, _: &ScreenModel) -> RowDetail {
    RowDetail::default()
        .latency("Response time, ms", &row.latency)
        .toned(
            "Requests",
            [
                ("count", count(row.count), Tone::Plain),
                ("per minute", figure(row.requests_per_minute), Tone::Plain),
                ("availability", share(row.availability), Tone::Plain),
                ("fully seen", share(row.completeness), Tone::Plain),
            ],
        )
        .values(
            "Connections opened",
            [
                ("count", count(row.connects)),
                ("connect p50, ms", millis(row.connect_p50_ms)),
                ("connect p95, ms", millis(row.connect_p95_ms)),
                ("TLS handshake p50, ms", millis(row.tls_p50_ms)),
                ("TLS handshake p95, ms", millis(row.tls_p95_ms)),
                ("first byte p50, ms", millis(row.ttfb_p50_ms)),
                ("first byte p95, ms", millis(row.ttfb_p95_ms)),
            ],
        )
        .values(
            "Network",
            [
                ("name look-up p95, ms", millis(row.dns_p95_ms)),
                ("round trip, mean, ms", millis(row.round_trip_ms)),
                ("round trip, longest, ms", millis(row.round_trip_max_ms)),
                ("TCP segments sent", count(row.segments)),
                ("of these sent again", count(row.retransmits)),
                ("retries", count(row.retries)),
            ],
        )
        .errors(row.errors, row.error_rate, &row.error_classes)
}

impl RowDetail {
    /// What its requests called, per request.
    fn downstream(self, called: Option<&DownstreamRow>) -> Self {
        let Some(called) = called else { return self };
        let calls = |number: Option<f64>| number.map_or("-".into(), figure);
        self.values(
            "Calls per request",
            [
                ("database commands", calls(called.db_calls_per_request)),
                ("their time, ms", millis(called.db_ms_per_request)),
                ("requests to others", calls(called.http_calls_per_request)),
                ("their time, ms", millis(called.http_ms_per_request)),
                ("model calls", calls(called.llm_calls_per_request)),
                ("their time, ms", millis(called.llm_ms_per_request)),
            ],
        )
    }

    fn errors(self, errors: u64, rate: Option<f64>, classes: &ErrorClasses) -> Self {
        let tone = error_tone(rate);
        let classes = [
            ("status 5xx", classes.status_5xx),
            ("4xx (not an error)", classes.status_4xx),
            ("client closed", classes.client_closed),
            ("reset", classes.reset),
            ("timeout", classes.timeout),
            ("truncated", classes.truncated),
            ("not HTTP", classes.protocol),
            ("gRPC status", classes.grpc),
            ("connect refused", classes.connect_refused),
            ("connect unreachable", classes.connect_unreachable),
            ("connect timeout", classes.connect_timeout),
        ];
        let happened = classes.into_iter().filter(|(_, number)| *number > 0).map(|(label, number)| (label, count(number), Tone::Plain));
        self.toned("Errors", [("errors", count(errors), tone), ("error rate", share(rate), tone)].into_iter().chain(happened))
    }

    fn correlation(self, correlation: &Correlation) -> Self {
        if correlation.error_mean_ms.is_none() {
            return self;
        }
        let rate = |rate: Option<f64>| rate.map_or("-".into(), |rate| format!("{}%", percent(Some(rate))));
        self.values(
            "Errors and slowness",
            [
                ("mean without error, ms", millis(correlation.ok_mean_ms)),
                ("mean with error, ms", millis(correlation.error_mean_ms)),
                ("error rate, fast", rate(correlation.fast_error_rate)),
                ("error rate, slow", rate(correlation.slow_error_rate)),
            ],
        )
    }
}
