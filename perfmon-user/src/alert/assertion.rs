//! Assertions on a whole run, for tests in CI: `endpoint "GET /users/{id}" p95 < 200ms`, `error_rate < 1%`, `llm.cost_usd.sum <= 0.5`. In: the text;
//! out: a rule over everything since the start, and the verdict on its readings. Metrics are those of alert rules.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::figures::{MetricView, impossible};
use super::filter::RuleFilter;
use super::judgement::one_figure;
use super::metric::AlertMetric;
use super::rule::{Condition, Rule, Thresholds};
use crate::record::custom::CustomMetrics;
use crate::record::metric::{Field, Measure, Metric as Named, RecordKind, Statistic, Unit};

/// Longer than any run: the window never loses anything.
const WHOLE_RUN: Duration = Duration::from_secs(366 * 86_400);

/// How value and limit compare when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
}

const COMPARISONS: [(&str, Comparison); 4] =
    [("<=", Comparison::AtMost), (">=", Comparison::AtLeast), ("<", Comparison::Less), (">", Comparison::More)];

/// What may be looked at by itself: its word, the kind of its records and the label.
const SUBJECTS: [(&str, RecordKind, &str); 7] = [
    ("endpoint", RecordKind::Request, "endpoint"),
    ("service", RecordKind::Request, "service"),
    ("destination", RecordKind::Request, "destination"),
    ("model", RecordKind::Llm, "model"),
    ("agent", RecordKind::Agent, "agent"),
    ("tool", RecordKind::Tool, "tool"),
    ("workflow", RecordKind::Workflow, "workflow"),
];

/// Units that a limit may have, with what one is in the metric's own: `%` of shares of 1.
const UNITS: [(&str, f64); 6] = [("ms", 1.0), ("s", 1_000.0), ("%", 0.01), ("USD", 1.0), ("MB", 1e6), ("GB", 1e9)];

/// One assertion.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    text: Arc<str>,
    rule: Rule,
    comparison: Comparison,
    limit: f64,
}

/// What became of one assertion for one subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AssertionVerdict {
    /// As written.
    pub assertion: Arc<str>,
    /// What was looked at.
    pub scope: Arc<str>,
    /// Whether it holds.
    pub holds: bool,
    /// The value; null when nothing was measured, which holds for nothing.
    pub value: Option<f64>,
    /// The value in words.
    pub shown: String,
    /// Requests, calls or runs behind it; null for samples.
    pub samples: Option<u64>,
}

impl Assertion {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it and how it is written.
    pub fn parse(text: &str, custom: &CustomMetrics) -> Result<Self, String> {
        let at = text.rfind(['<', '>']).ok_or_else(|| format!("{text:?} has no comparison; write it like 'error_rate < 1%'"))?;
        let (left, rest) = text.split_at(at);
        let (sign, comparison) = COMPARISONS.into_iter().find(|(sign, _)| rest.starts_with(sign)).unwrap_or(COMPARISONS[2]);
        let (metric, filter) = left_side(left.trim(), custom)?;
        let limit = limit(rest[sign.len()..].trim(), &metric)?;
        let named = AlertMetric::Observed(metric);
        let condition = match comparison {
            Comparison::Less | Comparison::AtMost => Condition::Above(limit),
            Comparison::More | Comparison::AtLeast => Condition::Below(limit),
        };
        if let Some(why) = impossible(&metric, condition).filter(|why| why.starts_with("durations") || why.starts_with("it is always")) {
            return Err(format!("{text:?}: {why}"));
        }
        let template = Thresholds::default().rules().swap_remove(0);
        let window = if metric.kind.is_sample() { named.default_window() } else { WHOLE_RUN };
        let rule = Rule { name: text.into(), metric: named, filter, condition, window, min_samples: 0, ..template };
        Ok(Self { text: text.into(), rule, comparison, limit })
    }

    /// The rule whose window it is judged on.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Whether it holds, for each subject that it is about.
    pub fn judge(&self, view: &impl MetricView) -> Vec<AssertionVerdict> {
        let mut readings = view.read(&self.rule, self.rule.window_s());
        if readings.is_empty() {
            let scope = match &self.rule.metric {
                AlertMetric::Observed(named) => self.rule.filter.scope(named),
                AlertMetric::Degraded => "perfmon".into(),
            };
            readings.push(super::metric::MetricReading::unread(scope));
        }
        let verdict = |reading: super::metric::MetricReading| {
            let holds = reading.value.is_some_and(|value| self.comparison.holds(value, self.limit));
            let shown = reading.value.map_or_else(|| "nothing measured".into(), |value| one_figure(&self.rule, value));
            let samples = Some(reading.samples).filter(|samples| *samples != u64::MAX);
            AssertionVerdict { assertion: self.text.clone(), scope: reading.scope, holds, value: reading.value, shown, samples }
        };
        readings.into_iter().map(verdict).collect()
    }
}

impl Comparison {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::AtMost => value <= limit,
            Self::More => value > limit,
            Self::AtLeast => value >= limit,
        }
    }
}

/// A subject or none, and a metric.
fn left_side(text: &str, custom: &CustomMetrics) -> Result<(Named, RuleFilter), String> {
    let subject = SUBJECTS.into_iter().find_map(|(word, kind, label)| Some((text.strip_prefix(word)?.trim_start(), kind, label)));
    let quoted = subject.and_then(|(rest, kind, label)| Some((rest.strip_prefix('"')?.split_once('"')?, kind, label)));
    let Some(((name, rest), kind, label)) = quoted else {
        let metric = custom.parse(text).or_else(|| short(RecordKind::Request, text));
        return match metric {
            Some(metric) => Ok((metric, RuleFilter::default())),
            None => Err(AlertMetric::among(text, custom).err().unwrap_or_default()),
        };
    };
    let metric = short(kind, rest.trim()).or_else(|| Named::parse(rest.trim()).filter(|metric| metric.kind == kind)).ok_or_else(|| {
        format!("{:?} is no metric of {}; use p50, p95, p99, mean, max, error_rate, count or a full name", rest.trim(), kind.things())
    })?;
    let mut wanted = BTreeMap::new();
    match name.split_once(' ').filter(|_| label == "endpoint") {
        Some((method, path)) => {
            wanted.insert("method".to_owned(), method.to_owned());
            wanted.insert(label.to_owned(), path.trim().to_owned());
        }
        None => drop(wanted.insert(label.to_owned(), name.to_owned())),
    }
    let filter =
        RuleFilter::new(kind.labels(), &wanted, &[]).map_err(|unknown| format!("{} does not go with {metric}", unknown.join(", ")))?;
    Ok((metric, filter))
}

/// `p95` and the like: of the time that things of a kind take, or of their number.
fn short(kind: RecordKind, word: &str) -> Option<Named> {
    let time = ["response_time_ms", "execution_time_ms"].into_iter().find(|name| Field::named(kind, name).is_some())?;
    let long =
        if matches!(word, "p50" | "p90" | "p95" | "p99" | "mean" | "max" | "min") { format!("{time}.{word}") } else { word.to_owned() };
    Named::parse(&format!("{}.{long}", kind.name()))
}

fn limit(text: &str, metric: &Named) -> Result<f64, String> {
    let unit = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit));
    let number = unit.map_or(text, |(unit, _)| text[..text.len() - unit.len()].trim_end());
    let value: f64 = number.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| format!("{text:?} is not a number"))?;
    let (is_duration, is_percent) = match metric.measure {
        Measure::Field(field, statistic) => {
            (field.unit == Unit::Duration && statistic != Statistic::Count, field.name.ends_with("_percent"))
        }
        Measure::Custom(custom) => (custom.is_duration(), custom.unit() == Some("percent")),
        _ => (false, false),
    };
    match unit {
        Some(("ms" | "s", _)) if !is_duration => Err(format!("{text:?} is a time, and {metric} is none")),
        Some(("%", _)) if is_percent => Ok(value),
        Some(("%", factor)) if is_duration => Err(format!("{text:?} is a share ({factor}), and {metric} is a time")),
        Some((_, factor)) => Ok(value * factor),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::RuleFigures;
    use crate::record::WallTime;
    use crate::series::SeriesDelta;
    use crate::store::tests::{DAY, SECOND, delta, request};

    fn judged(texts: &[&str]) -> Vec<(String, bool, String)> {
        let assertions: Vec<Assertion> = texts.iter().map(|text| Assertion::parse(text, &CustomMetrics::default()).unwrap()).collect();
        let mut figures = RuleFigures::default();
        let rules: Vec<Rule> = assertions.iter().map(|assertion| assertion.rule().clone()).collect();
        figures.keep(&rules, WallTime(DAY * SECOND));
        // A run of three hours.
        for second in (0..10_800).step_by(30) {
            let records: Vec<_> = (0..20)
                .map(|n| {
                    request(
                        DAY + second,
                        "shop",
                        if n == 0 { "/slow" } else { "/users/{id}" },
                        if n == 0 { 900_000 } else { 5_000 },
                        if n == 1 { 500 } else { 200 },
                    )
                })
                .collect();
            figures.add(&SeriesDelta { until: WallTime((DAY + second + 1) * SECOND), ..(*delta(&records)).clone() });
        }
        let verdicts = assertions.iter().flat_map(|assertion| assertion.judge(&figures));
        verdicts.map(|verdict| (verdict.scope.to_string(), verdict.holds, verdict.shown)).collect()
    }

    #[test]
    fn each_form_is_judged_over_the_whole_run() {
        let found = judged(&[
            "endpoint \"GET /users/{id}\" p95 < 200ms",
            "endpoint \"/slow\" max <= 0.5 s",
            "endpoint \"*\" error_rate < 1%",
            "error_rate <= 5 %",
            "request.count >= 7200",
            "service \"shop\" count > 7200",
            "llm.cost_usd.sum < 0.5",
            "model \"gpt-5\" p95 < 2s",
        ]);
        let wanted = [
            ("shop GET /users/{id}", true, "5 ms"),
            ("shop GET /slow", false, "900 ms"),
            ("shop GET /slow", true, "0 %"),
            ("shop GET /users/{id}", false, "5.3 %"),
            ("all services", true, "5 %"),
            ("all services", true, "7200"),
            ("shop", false, "7200"),
            ("all services", true, "0 USD"),
            ("gpt-5", false, "nothing measured"),
        ];
        assert_eq!(found, wanted.map(|(scope, holds, shown)| (scope.to_owned(), holds, shown.to_owned())));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("error_rate", "has no comparison"),
            ("error_rate < x", "\"x\" is not a number"),
            ("error_rat < 1", "the nearest names are"),
            ("error_rate < 5ms", "is a time, and request.error_rate is none"),
            ("endpoint \"/\" cost < 1", "is no metric of requests; use p50"),
            ("request.response_time_ms.p95 < 90000s", "up to one hour"),
        ] {
            let why = Assertion::parse(text, &CustomMetrics::default()).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
