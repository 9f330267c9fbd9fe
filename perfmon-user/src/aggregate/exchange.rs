//! What one HTTP exchange adds to a series: that of its endpoint, from which it comes to its service and the totals, or of its destination. The latency
//! of a streaming exchange is its first byte; unknown values are counted and enter no percentile.
use super::accumulator::{Accumulator, counts};
use super::figures::{Quantiles, WindowFigures};
use super::series::Series;
use super::snapshot::{Categories, Correlation, DownstreamRow, ErrorClasses, Latency, Losses, RepeatedRow};
use crate::record::{Category, Downstream, Failure, Millis, Quality, RepeatedQuery, Request, SpanId};

/// Histogram of latencies.
pub const LATENCY: usize = 0;
/// Histogram of times to the first byte.
pub const TTFB: usize = 1;
/// Histogram of queue times.
pub const QUEUE: usize = 2;
/// Histogram of the times that connect() took, of a destination: its exchanges wait in no queue of this host.
pub const CONNECT: usize = QUEUE;
/// Histogram of whole durations of streaming exchanges.
pub const STREAM: usize = 3;
/// Histogram of the times that TLS handshakes took, of a destination.
pub const HANDSHAKE: usize = 4;
/// Histograms of a set of exchanges.
pub const SHAPES: usize = 5;

/// Open slice of exchanges.
pub type HttpAccumulator = Accumulator<HttpCounts, SHAPES>;
/// Row of exchanges.
pub type HttpSeries = Series<HttpCounts, SHAPES>;
/// Figures of exchanges.
pub type HttpFigures = WindowFigures<HttpCounts, SHAPES>;

counts! {
    /// Numbers of a set of exchanges; times in nanoseconds.
    HttpCounts {
        sums {
            /// Exchanges.
            count,
            /// Failed ones and 5xx.
            errors,
            /// Fully seen.
            exact,
            /// Status 400–499.
            status_4xx,
            /// Status 500–599.
            status_5xx,
            /// Client went away.
            client_closed,
            /// Reset.
            reset,
            /// No answer in time.
            timeout,
            /// Cut short.
            truncated,
            /// Not HTTP.
            protocol,
            /// The connect() was refused.
            connect_refused,
            /// The connect() had no way to the destination.
            connect_unreachable,
            /// The connect() had no answer in time.
            connect_timeout,
            /// gRPC status that counts as an error.
            grpc,
            /// Up to 500 ms.
            fast,
            /// Up to 1,000 ms.
            moderate,
            /// More.
            slow,
            /// Sum of latencies.
            latency_sum,
            /// Sum of latencies of failed exchanges.
            error_latency_sum,
            /// Failed exchanges of known latency.
            error_timed,
            /// Failed and slow.
            slow_errors,
            /// Failed and fast.
            fast_errors,
            /// Sum of queue times.
            queue_sum,
            /// Sum of request body sizes.
            request_size_sum,
            /// Exchanges with a known one.
            request_sized,
            /// Sum of response body sizes.
            response_size_sum,
            /// Exchanges with a known one.
            response_sized,
            /// Exchanges of which all calls are known.
            linked,
            /// Exchanges of which some calls may be another's.
            unsure,
            /// Database commands of the former.
            db_calls,
            /// Their time.
            db_time,
            /// HTTP requests.
            http_calls,
            /// Their time.
            http_time,
            /// Model calls.
            llm_calls,
            /// Their time.
            llm_time,
            /// Exchanges, of all, within which a command came again and again.
            repeated,
            /// Exchanges that repeat one that failed.
            retries,
            /// Exchanges that passed while the ring was full; not in `count`.
            lost,
        }
        maxima {
            /// Largest latency.
            latency_max,
            /// Largest duration of a stream.
            stream_max,
        }
    }
}

/// Counts a record that counts as a request; returns what it adds to the histograms, in their order.
pub fn count(request: &Request, counts: &mut HttpCounts) -> [Option<u64>; SHAPES] {
    counts.count += 1;
    counts.exact += u64::from(request.quality == Quality::Exact);
    let is_error = u64::from(request.is_error());
    classify(request, is_error, counts);
    if let Some(downstream) = &request.downstream {
        add_downstream(downstream, counts);
    }
    let latency_ns = request.latency().map(|latency| latency.0);
    latency_ns.into_iter().for_each(|ns| add_latency(ns, is_error, counts));
    counts.retries += u64::from(request.resend_count.is_some());
    counts.queue_sum += request.queue_time_ms.map_or(0, |time| time.0);
    if let Some(size) = request.request_size {
        counts.request_size_sum += size;
        counts.request_sized += 1;
    }
    if let Some(size) = request.response_size {
        counts.response_size_sum += size;
        counts.response_sized += 1;
    }
    // The record of an upgrade lasts as long as the handshake; the life of the connection comes with the record of its end.
    let stream_ns = request.response_time_ms.filter(|_| request.streaming && request.status_code != Some(101)).map(|time| time.0);
    counts.stream_max = counts.stream_max.max(stream_ns.unwrap_or(0));
    // A connect() that failed is counted by its error.
    let connect = request.connect_time_ms.filter(|_| !request.is_attempt());
    let queue_or_connect_ns = request.queue_time_ms.or(connect).map(|time| time.0);
    let [ttfb_ns, handshake_ns] = [request.time_to_first_byte_ms, request.tls_time_ms].map(|time| time.map(|time| time.0));
    [latency_ns, ttfb_ns, queue_or_connect_ns, stream_ns, handshake_ns]
}

/// Adds the end of a WebSocket, which does not count as a request.
pub fn add_stream_end(request: &Request, slice: &mut HttpAccumulator) {
    if let Some(time) = request.response_time_ms {
        slice.counts.stream_max = slice.counts.stream_max.max(time.0);
        slice.shapes[STREAM].record(time.0);
    }
}

/// Errors by class.
fn classify(request: &Request, is_error: u64, counts: &mut HttpCounts) {
    counts.errors += is_error;
    let is_5xx = matches!(request.status_code, Some(500..=599));
    counts.status_5xx += u64::from(is_5xx);
    counts.status_4xx += u64::from(matches!(request.status_code, Some(400..=499)));
    match request.error {
        Some(Failure::ClientClosed) => counts.client_closed += 1,
        Some(Failure::Reset) => counts.reset += 1,
        Some(Failure::Timeout) => counts.timeout += 1,
        Some(Failure::Truncated) => counts.truncated += 1,
        Some(Failure::Protocol) => counts.protocol += 1,
        Some(Failure::ConnectRefused) => counts.connect_refused += 1,
        Some(Failure::ConnectUnreachable) => counts.connect_unreachable += 1,
        Some(Failure::ConnectTimeout) => counts.connect_timeout += 1,
        None if !is_5xx => counts.grpc += is_error,
        None => {}
    }
}

/// What it called. Only exchanges of which all calls are known enter the means.
fn add_downstream(downstream: &Downstream, counts: &mut HttpCounts) {
    counts.repeated += u64::from(downstream.repeated.is_some());
    if !downstream.complete {
        counts.unsure += 1;
        return;
    }
    counts.linked += 1;
    counts.db_calls += downstream.db_calls;
    counts.db_time += downstream.db_time_ms.0;
    counts.http_calls += downstream.http_calls;
    counts.http_time += downstream.http_time_ms.0;
    counts.llm_calls += downstream.llm_calls;
    counts.llm_time += downstream.llm_time_ms.0;
}

/// Latency, its category, and whether errors go with it.
fn add_latency(latency_ns: u64, is_error: u64, counts: &mut HttpCounts) {
    counts.latency_sum += latency_ns;
    counts.latency_max = counts.latency_max.max(latency_ns);
    counts.error_latency_sum += latency_ns * is_error;
    counts.error_timed += is_error;
    match Category::of(Millis(latency_ns)) {
        Category::Fast => {
            counts.fast += 1;
            counts.fast_errors += is_error;
        }
        Category::Moderate => counts.moderate += 1,
        Category::Slow => {
            counts.slow += 1;
            counts.slow_errors += is_error;
        }
    }
}

impl HttpSeries {
    /// Exchanges passed that were not seen: they count in the rate, not among the exchanges.
    pub fn lose(&mut self, lost: u64) {
        self.count_all(lost.min(u64::from(u32::MAX)) as u32).counts.lost += lost;
    }
}

impl HttpFigures {
    /// Mean, percentiles and maximum of latency.
    pub fn latency(&self) -> Latency {
        latency(&self.spreads[LATENCY], self.counts.latency_sum, self.counts.latency_max)
    }

    /// By speed.
    pub fn categories(&self) -> Categories {
        Categories { fast: self.counts.fast, moderate: self.counts.moderate, slow: self.counts.slow }
    }

    /// By class.
    pub fn error_classes(&self) -> ErrorClasses {
        let counts = &self.counts;
        ErrorClasses {
            status_4xx: counts.status_4xx,
            status_5xx: counts.status_5xx,
            client_closed: counts.client_closed,
            reset: counts.reset,
            timeout: counts.timeout,
            truncated: counts.truncated,
            protocol: counts.protocol,
            grpc: counts.grpc,
            connect_refused: counts.connect_refused,
            connect_unreachable: counts.connect_unreachable,
            connect_timeout: counts.connect_timeout,
        }
    }

    /// Do errors and slowness go together?
    pub fn correlation(&self) -> Correlation {
        let (counts, timed) = (&self.counts, self.spreads[LATENCY].count);
        Correlation {
            ok_mean_ms: mean_ms(counts.latency_sum - counts.error_latency_sum, timed - counts.error_timed),
            error_mean_ms: mean_ms(counts.error_latency_sum, counts.error_timed),
            slow_error_rate: ratio(counts.slow_errors, counts.slow),
            fast_error_rate: ratio(counts.fast_errors, counts.fast),
        }
    }

    /// Failed ÷ all.
    pub fn error_rate(&self) -> Option<f64> {
        ratio(self.counts.errors, self.counts.count)
    }

    /// Fully seen ÷ all, those that were lost too.
    pub fn completeness(&self) -> Option<f64> {
        ratio(self.counts.exact, self.estimate())
    }

    /// All exchanges, as far as is known: those that were lost too.
    pub fn estimate(&self) -> u64 {
        self.counts.count + self.counts.lost
    }

    /// What was lost.
    pub fn losses(&self) -> Losses {
        Losses::new(self.counts.count, self.counts.lost)
    }

    /// What the exchanges called; `None` where no process of theirs calls others.
    pub fn downstream(&self, repeated: Option<&(RepeatedQuery, SpanId)>) -> Option<DownstreamRow> {
        let counts = &self.counts;
        let requests = counts.linked;
        let repeated = repeated.filter(|_| counts.repeated > 0).map(|(query, span_id)| RepeatedRow::new(counts.repeated, query, *span_id));
        (requests + counts.unsure > 0).then(|| DownstreamRow {
            requests,
            requests_unsure: counts.unsure,
            db_calls_per_request: ratio(counts.db_calls, requests),
            db_ms_per_request: mean_ms(counts.db_time, requests),
            http_calls_per_request: ratio(counts.http_calls, requests),
            http_ms_per_request: mean_ms(counts.http_time, requests),
            llm_calls_per_request: ratio(counts.llm_calls, requests),
            llm_ms_per_request: mean_ms(counts.llm_time, requests),
            repeated,
        })
    }

    /// Mean queue time.
    pub fn queue_mean_ms(&self) -> Option<f64> {
        mean_ms(self.counts.queue_sum, self.spreads[QUEUE].count)
    }
}

/// Latency of a histogram with its sum and exact maximum.
pub fn latency(spread: &Quantiles, sum_ns: u64, max_ns: u64) -> Latency {
    if spread.count == 0 {
        return Latency::default();
    }
    let at = |ns: u64| Some(ms(ns.min(max_ns)));
    Latency {
        mean_ms: mean_ms(sum_ns, spread.count),
        p50_ms: at(spread.p50),
        p95_ms: at(spread.p95),
        p99_ms: at(spread.p99),
        max_ms: Some(ms(max_ns)),
    }
}

/// A quantile of a histogram; `None` when the histogram is empty.
pub fn quantile_ms(spread: &Quantiles, pick: impl Fn(&Quantiles) -> u64) -> Option<f64> {
    (spread.count > 0).then(|| ms(pick(spread)))
}

/// Nanoseconds as milliseconds, rounded to microseconds.
pub fn ms(ns: u64) -> f64 {
    crate::record::Millis(ns).as_f64()
}

/// Mean of `count` durations, in milliseconds rounded to microseconds.
pub fn mean_ms(sum_ns: u64, count: u64) -> Option<f64> {
    sum_ns.checked_div(count).map(ms)
}

/// `part` ÷ `whole`, `None` of nothing.
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
