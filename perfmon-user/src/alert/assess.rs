//! Judgements that need more than a value and a limit: spikes, forecasts, absence, and error budgets, which are looked at over two windows.
use crate::record::WallTime;
use crate::record::custom::CustomValue;
use crate::record::metric::{Measure, Metric as Named, Unit};

use super::baseline::Usual;
use super::figures::MetricView;
use super::judgement::{one_figure, subject};
use super::machine::Machine;
use super::metric::{AlertMetric, MetricReading};
use super::rule::{Condition, Rule};

/// What was seen within this time and is absent now is missed.
const MISSED_NS: u64 = 86_400 * 1_000_000_000;

impl Machine {
    /// Adds to readings what the rule's condition needs of the past.
    pub(super) fn assess(&mut self, now: WallTime, rule: &Rule, readings: &mut Vec<MetricReading>, view: &impl MetricView) {
        match rule.condition {
            Condition::Absent => self.assess_absence(now, rule, readings),
            Condition::Spike(factor) => self.assess_spikes(now, rule, factor, readings),
            Condition::Burn { .. } => assess_budgets(rule, readings, view),
            Condition::Above(_) | Condition::Below(_) if rule.forecast.is_some() => self.assess_forecasts(now, rule, readings),
            Condition::Above(_) | Condition::Below(_) => {}
        }
    }

    /// What was there in the last day, or is named by the rule, and is not there now.
    fn assess_absence(&mut self, now: WallTime, rule: &Rule, readings: &mut Vec<MetricReading>) {
        for reading in &mut *readings {
            reading.verdict = Some(reading.samples == 0);
            if reading.samples > 0 {
                self.baselines.note(now, rule, &(rule.name.clone(), reading.scope.clone()), None);
            }
        }
        for (_, scope) in self.baselines.scopes(now, rule, MISSED_NS) {
            if !readings.iter().any(|reading| reading.scope == scope) {
                readings.push(MetricReading { value: Some(0.0), verdict: Some(true), ..MetricReading::unread(scope) });
            }
        }
    }

    fn assess_spikes(&mut self, now: WallTime, rule: &Rule, factor: f64, readings: &mut [MetricReading]) {
        for reading in readings {
            let key = (rule.name.clone(), reading.scope.clone());
            let judged = reading.value.filter(|_| reading.samples >= rule.min_samples);
            let usual = self.baselines.usual(now, rule, &key);
            self.baselines.note(now, rule, &key, judged);
            let (Some(value), Some(Usual { median, noise })) = (judged, usual) else {
                reading.verdict = Some(false);
                continue;
            };
            let limit = factor * median.max(least(rule.metric));
            reading.limit = Some(limit);
            reading.verdict = Some(value > limit && value > noise);
        }
    }

    fn assess_forecasts(&mut self, now: WallTime, rule: &Rule, readings: &mut [MetricReading]) {
        let ahead_s = rule.forecast.unwrap_or_default().as_secs_f64();
        for reading in readings.iter_mut() {
            let key = (rule.name.clone(), reading.scope.clone());
            self.baselines.note(now, rule, &key, reading.value);
            let Some(value) = reading.value.filter(|value| !rule.condition.holds(*value)) else { continue };
            let Some(slope) = self.baselines.slope(now, rule, &key) else {
                reading.verdict = Some(false);
                continue;
            };
            let bad = rule.condition.holds(value + slope * ahead_s);
            reading.verdict = Some(bad);
            if bad {
                let (is, limit) = (one_figure(rule, value), one_figure(rule, rule.condition.limit()));
                let hours = (rule.condition.limit() - value) / slope / 3_600.0;
                let when = if hours < 1.0 { format!("{:.0} min", (hours * 60.0).max(1.0)) } else { format!("{hours:.1} h") };
                reading.reason = Some(format!(
                    "{} is {is} and reaches {limit} in about {when}, if it goes on.",
                    subject(rule, &reading.scope, self.host())
                ));
            }
        }
    }
}

/// The budget is spent now too, and not only within the long window.
fn assess_budgets(rule: &Rule, readings: &mut [MetricReading], view: &impl MetricView) {
    let Some(short_s) = rule.condition.short_window_s(rule.window_s()) else { return };
    let short = view.read(rule, short_s);
    for reading in readings {
        let now = short.iter().find(|short| short.scope == reading.scope).and_then(|short| short.value);
        let over = reading.value.filter(|_| reading.samples >= rule.min_samples).map(|value| rule.condition.holds(value));
        if let Some(over) = over {
            reading.verdict = Some(over && now.is_some_and(|value| rule.condition.holds(value)));
        }
    }
}

/// Below this a value is as good as none, and no measure of spikes.
fn least(metric: AlertMetric) -> f64 {
    match metric {
        AlertMetric::Observed(Named { measure: Measure::ErrorRate | Measure::Availability, .. }) => 0.01,
        AlertMetric::Observed(Named { measure: Measure::Custom(custom), .. }) => match (custom.value(), custom.unit()) {
            (CustomValue::Ratio(_), _) => 0.01,
            (_, Some("usd")) => 0.001,
            _ => 1.0,
        },
        AlertMetric::Observed(Named { measure: Measure::Field(field, _), .. })
            if field.unit != Unit::Duration && field.name.ends_with("usage") =>
        {
            0.01
        }
        AlertMetric::Observed(Named { measure: Measure::Field(field, _), .. }) if field.name.ends_with("_usd") => 0.001,
        _ => 1.0,
    }
}
