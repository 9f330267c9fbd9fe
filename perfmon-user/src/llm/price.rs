//! What a call cost, by the price table of crate genai-prices. An unknown model has no cost; it is never 0.
use std::time::{Duration, UNIX_EPOCH};

use genai_prices::{Calculator, PriceRequest, UsageKey};

use crate::record::WallTime;

use super::provider::{COMPATIBLE, LOCAL};
use super::usage::{Usage, UsageField};

/// A call, as far as its price depends on it.
pub(super) struct Priced<'a> {
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    /// In the one convention.
    pub(super) usage: &'a Usage,
    pub(super) tier: Option<&'a str>,
    pub(super) time: WallTime,
}

const KEYS: [(UsageField, UsageKey); 10] = [
    (UsageField::Input, UsageKey::INPUT_TOKENS),
    (UsageField::Output, UsageKey::OUTPUT_TOKENS),
    (UsageField::CacheRead, UsageKey::CACHE_READ_TOKENS),
    (UsageField::CacheWrite, UsageKey::CACHE_WRITE_TOKENS),
    (UsageField::CacheWrite5m, UsageKey::CACHE_WRITE_5M_TOKENS),
    (UsageField::CacheWrite1h, UsageKey::CACHE_WRITE_1H_TOKENS),
    (UsageField::Reasoning, UsageKey::OUTPUT_REASONING_TOKENS),
    (UsageField::InputAudio, UsageKey::INPUT_AUDIO_TOKENS),
    (UsageField::OutputAudio, UsageKey::OUTPUT_AUDIO_TOKENS),
    (UsageField::WebSearches, UsageKey::WEB_SEARCHES),
];

/// US dollars; `None` when the model has no price, or the counts contradict one another.
pub(super) fn cost(prices: &Calculator, call: &Priced<'_>) -> Option<f64> {
    if LOCAL.contains(&call.provider) {
        return None;
    }
    let counts = KEYS.into_iter().filter_map(|(count, key)| Some((key, call.usage.get(count)? as f64)));
    let usage: genai_prices::Usage = counts.collect();
    let mut request = PriceRequest::new(call.model, &usage).with_timestamp(UNIX_EPOCH + Duration::from_nanos(call.time.0));
    if call.provider != COMPATIBLE {
        request = request.with_provider_id(call.provider);
    }
    if let Some(tier) = call.tier {
        request = request.with_price_context("service_tier", tier);
    }
    prices.calculate(&request).ok().map(|price| round(price.total_price))
}

/// Dollars to the nearest pico-dollar: the table's prices of a token have no digit beyond it, so what is left is the decimal number that
/// they give, without what binary fractions add.
pub fn round(usd: f64) -> f64 {
    (usd * 1e12).round() / 1e12
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime(1_795_341_599_000_000_000);

    fn usage(counts: &[(UsageField, u64)]) -> Usage {
        let mut usage = Usage::default();
        counts.iter().for_each(|&(count, value)| usage.set(count, value));
        usage
    }

    fn cost_of(provider: &str, model: &str, counts: &[(UsageField, u64)]) -> Option<f64> {
        cost(Calculator::bundled(), &Priced { provider, model, usage: &usage(counts), tier: None, time: NOW })
    }

    #[test]
    fn known_prices() {
        let gpt = [(UsageField::Input, 1_200), (UsageField::CacheRead, 1_024), (UsageField::Output, 20)];
        assert!((cost_of("openai", "gpt-5", &gpt).unwrap() - 0.000_548).abs() < 1e-12);
        assert_eq!(cost_of(COMPATIBLE, "gpt-5", &gpt), cost_of("openai", "gpt-5", &gpt));
        let claude = [(UsageField::Input, 5_112), (UsageField::CacheWrite, 100), (UsageField::CacheRead, 5_000), (UsageField::Output, 50)];
        assert!((cost_of("anthropic", "claude-sonnet-4-5", &claude).unwrap() - 0.002_661).abs() < 1e-12);
    }

    #[test]
    fn a_cost_is_the_decimal_number() {
        let counts = [(UsageField::Input, 1_310), (UsageField::CacheWrite, 1_024), (UsageField::CacheRead, 0), (UsageField::Output, 19)];
        assert_eq!(cost_of("anthropic", "claude-haiku-4-5", &counts), Some(0.001_661));
        assert_eq!([0.1 + 0.2, 0.000_036_5 * 3.0, 0.0].map(round), [0.3, 0.000_109_5, 0.0]);
    }

    #[test]
    fn what_is_not_known_has_no_cost() {
        let counts = [(UsageField::Input, 10), (UsageField::Output, 10)];
        assert_eq!(cost_of("openai", "no-such-model", &counts), None);
        assert_eq!(cost_of(COMPATIBLE, "my-finetune", &counts), None);
        assert_eq!(cost_of("ollama", "gpt-5", &counts), None);
        let contradiction = [(UsageField::Input, 10), (UsageField::CacheRead, 20), (UsageField::Output, 10)];
        assert_eq!(cost_of("openai", "gpt-5", &contradiction), None);
    }

    #[test]
    fn the_tier_has_its_price() {
        let usage = usage(&[(UsageField::Input, 1_000_000), (UsageField::Output, 1_000_000)]);
        let call = |tier| Priced { provider: "openai", model: "o3", usage: &usage, tier, time: NOW };
        let prices = Calculator::bundled();
        assert!(cost(prices, &call(Some("flex"))).unwrap() < cost(prices, &call(Some("default"))).unwrap());
    }
}
