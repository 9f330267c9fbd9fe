//! Model rows: calls of one service to one model at one destination, each end of a call apart.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::work::{dollars, pico_dollars};
use super::{WindowContext, other};
use crate::aggregate::accumulator::{Accumulator, counts};
use crate::aggregate::exchange::{latency, quantile_ms, ratio};
use crate::aggregate::series::Series;
use crate::aggregate::snapshot::{LlmRow, Window, WorkTotals};
use crate::record::{Llm, Side};

const TIME: usize = 0;
const TTFB: usize = 1;
const TTFT: usize = 2;

counts! {
    /// Numbers of a set of model calls; times in nanoseconds.
    LlmCounts {
        sums {
            /// Calls.
            calls,
            /// Failed ones.
            errors,
            /// Failed ones that the provider's rate limit refused.
            rate_limited,
            /// Prompt tokens.
            input,
            /// Calls with a known value.
            input_known,
            /// Output tokens.
            output,
            /// Calls with a known value.
            output_known,
            /// Prompt tokens from the cache.
            cache_read,
            /// Calls with a known value.
            cache_read_known,
            /// Cost in 10⁻¹² US dollars.
            cost_pico,
            /// Calls that have a cost.
            priced,
            /// Calls that have a cost or, refused by a rate limit, have none.
            settled,
            /// Sum of durations.
            time_sum,
        }
        maxima {
            /// Longest call.
            time_max,
        }
    }
}

/// A row of model calls.
pub type LlmSeries = Series<LlmCounts, 3>;

/// Which calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LlmKey {
    service: Arc<str>,
    side: Side,
    provider: Arc<str>,
    model: Option<Arc<str>>,
    destination: Option<Arc<str>>,
}

impl LlmKey {
    /// Of a record.
    pub fn new(call: &Llm) -> Self {
        Self {
            service: call.origin.service.clone(),
            side: call.side,
            provider: call.provider.clone(),
            model: call.request_model.clone(),
            destination: call.destination.clone(),
        }
    }

    /// The overflow key of this service.
    pub fn other(&self) -> Self {
        Self { provider: other(), model: Some(other()), destination: Some(other()), ..self.clone() }
    }
}

/// Adds a call to a slice.
pub fn add(call: &Llm, accumulator: &mut Accumulator<LlmCounts, 3>) {
    let counts = &mut accumulator.counts;
    counts.calls += 1;
    counts.errors += u64::from(call.error_type.is_some());
    counts.rate_limited += u64::from(is_rate_limited(call));
    let tokens = |value: Option<u64>, sum: &mut u64, known: &mut u64| {
        *sum += value.unwrap_or(0);
        *known += u64::from(value.is_some());
    };
    tokens(call.input_tokens, &mut counts.input, &mut counts.input_known);
    tokens(call.output_tokens, &mut counts.output, &mut counts.output_known);
    tokens(call.cache_read_tokens, &mut counts.cache_read, &mut counts.cache_read_known);
    tokens(call.cost_usd.map(pico_dollars), &mut counts.cost_pico, &mut counts.priced);
    counts.settled += u64::from(call.cost_usd.is_some() || is_rate_limited(call));
    if let Some(time) = call.response_time_ms {
        counts.time_sum += time.0;
        counts.time_max = counts.time_max.max(time.0);
    }
    let values = [(TIME, call.response_time_ms), (TTFB, call.time_to_first_byte_ms), (TTFT, call.time_to_first_token_ms)];
    values.iter().filter_map(|&(shape, time)| Some((shape, time?))).for_each(|(shape, time)| accumulator.shapes[shape].record(time.0));
}

/// Refused by a rate limit: status 429, or an error event of this type within an answer.
fn is_rate_limited(call: &Llm) -> bool {
    call.status_code == Some(429) || call.error_type.as_deref().is_some_and(|kind| kind.starts_with("rate_limit"))
}

/// The row in a window.
pub fn llm_row(key: &LlmKey, row: &LlmSeries, window: Window, view: &WindowContext) -> LlmRow {
    let figures = row.figures(window);
    let (counts, spreads) = (&figures.counts, &figures.spreads);
    let known = |sum: u64, known: u64| (known > 0).then_some(sum);
    LlmRow {
        service: key.service.clone(),
        side: key.side,
        provider: key.provider.clone(),
        request_model: key.model.clone(),
        destination: key.destination.clone(),
        calls: counts.calls,
        errors: counts.errors,
        rate_limited: counts.rate_limited,
        error_rate: ratio(counts.errors, counts.calls),
        requests_per_minute: view.per_minute(counts.calls),
        input_tokens: known(counts.input, counts.input_known),
        output_tokens: known(counts.output, counts.output_known),
        cache_read_tokens: known(counts.cache_read, counts.cache_read_known),
        cost_usd: known(counts.cost_pico, counts.priced).map(dollars),
        unpriced_calls: counts.calls - counts.settled,
        latency: latency(&spreads[TIME], counts.time_sum, counts.time_max),
        ttfb_p50_ms: quantile_ms(&spreads[TTFB], |spread| spread.p50),
        ttfb_p95_ms: quantile_ms(&spreads[TTFB], |spread| spread.p95),
        ttft_p50_ms: quantile_ms(&spreads[TTFT], |spread| spread.p50),
        ttft_p95_ms: quantile_ms(&spreads[TTFT], |spread| spread.p95),
    }
}

/// Provider and model.
type ModelName = (Arc<str>, Option<Arc<str>>);

/// Adds the calls of a window to its totals. When both ends of the calls to a model were seen, the end with more calls counts.
pub fn add_totals<'a>(rows: impl Iterator<Item = (&'a LlmKey, &'a LlmSeries)>, window: Window, totals: &mut WorkTotals) {
    use crate::aggregate::accumulator::CountSet as _;
    let mut models: BTreeMap<ModelName, [LlmCounts; 2]> = BTreeMap::new();
    for (key, row) in rows {
        let ends = models.entry((key.provider.clone(), key.model.clone())).or_default();
        ends[usize::from(key.side == Side::Server)].merge(&row.figures(window).counts);
    }
    let mut all = LlmCounts::default();
    for [client, server] in models.into_values() {
        all.merge(if server.calls > client.calls { &server } else { &client });
    }
    totals.llm_calls = all.calls;
    totals.llm_errors = all.errors;
    totals.llm_rate_limited = all.rate_limited;
    totals.input_tokens = (all.input_known > 0).then_some(all.input);
    totals.output_tokens = (all.output_known > 0).then_some(all.output);
    totals.cost_usd = (all.priced > 0).then(|| dollars(all.cost_pico));
}
