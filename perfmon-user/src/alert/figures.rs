//! What rules read: the sliding windows of series that they need, fed with deltas. One reading for each group of series that a rule's filter
//! tells apart. Where exchanges were lost, counts and rates are estimates of all of them.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::metric::{Field, Measure, Metric as Named, RecordKind, Statistic, Unit};
use crate::record::{LabelSet, Origin, SeriesKey, WallTime};
use crate::series::{Cell, FieldSet, ModelEnd, RecentSeries, RecentWindow, SeriesCell, SeriesDelta, SeriesShare, one_end};

use super::filter::scope;
use super::metric::{AlertMetric, MetricReading};
use super::rule::{Condition, Rule};

/// Where rules are read.
pub trait MetricView {
    /// Readings of a rule over its window, or over another length.
    fn read(&self, rule: &Rule, length_s: u64) -> Vec<MetricReading>;

    /// Whether data has come for all of a rule's window.
    fn is_covered(&self, rule: &Rule) -> bool;

    /// Whether there is nothing of the rule's kind at all.
    fn is_empty(&self, rule: &Rule) -> bool;

    /// Seconds for which that kind has been looked at.
    fn watched_s(&self, rule: &Rule) -> f64;
}

/// The windows of rules.
#[derive(Debug, Default)]
pub struct RuleFigures {
    recent: RecentSeries,
}

/// Estimates are given from this share of lost exchanges on.
const ESTIMATED_FROM: f64 = 0.01;

impl RuleFigures {
    /// Windows for these rules; those that others needed and nobody does now go.
    pub fn keep(&mut self, rules: &[Rule], now: WallTime) {
        self.recent.keep(rules.iter().flat_map(shares), now);
    }

    /// Takes what the series counted.
    pub fn add(&mut self, delta: &SeriesDelta) {
        self.recent.add(delta);
    }

    /// Takes what was counted of a kind before, from this second on.
    pub fn begin_with(&mut self, kind: RecordKind, from_s: u64, cells: &[SeriesCell]) {
        self.recent.begin_with(kind, from_s, cells);
    }

    fn window(&self, rule: &Rule, length_s: u64) -> Option<&RecentWindow> {
        self.recent.window(&share(rule, length_s)?)
    }
}

/// Windows that a rule looks at.
pub fn shares(rule: &Rule) -> impl Iterator<Item = SeriesShare> + use<'_> {
    let short = rule.condition.short_window_s(rule.window_s());
    [Some(rule.window_s()), short].into_iter().flatten().filter_map(|length_s| share(rule, length_s))
}

fn share(rule: &Rule, length_s: u64) -> Option<SeriesShare> {
    let AlertMetric::Observed(named) = rule.metric else { return None };
    // Each reading of requests is an estimate where exchanges were lost.
    let lost = lost_field(&named).map(FieldSet::of_values).unwrap_or_default();
    Some(SeriesShare { kind: named.kind, length_s, fields: FieldSet::of(&named).with(lost), labels: labels(rule, &named) })
}

/// The labels that reading a rule's figures looks at.
fn labels(rule: &Rule, named: &Named) -> LabelSet {
    if named.kind == RecordKind::Custom {
        return LabelSet::ALL;
    }
    let group = rule.filter.group(named);
    // Beside what the rule names: which end counts, and whose process it is.
    let of_process = LabelSet::of(named.kind, |label| label == "pid") != LabelSet::default();
    let always = |label: &str| match label {
        "side" | "pid" => true,
        "service" => of_process,
        label => named.kind == RecordKind::Llm && MODEL.contains(&label),
    };
    LabelSet::of(named.kind, |label| group.contains(&label) || rule.filter.pattern(label).is_some() || always(label))
}

/// Labels that tell models apart.
const MODEL: [&str; 2] = ["provider", "request_model"];

fn lost_field(named: &Named) -> Option<&'static Field> {
    Field::named(RecordKind::Request, "lost").filter(|_| named.kind == RecordKind::Request)
}

/// Series of one group, added up.
#[derive(Default)]
struct SeriesGroup {
    sum: Cell,
    pid: Option<Arc<str>>,
    service: Option<Arc<str>>,
}

impl MetricView for RuleFigures {
    fn read(&self, rule: &Rule, length_s: u64) -> Vec<MetricReading> {
        let (AlertMetric::Observed(named), Some(window)) = (rule.metric, self.window(rule, length_s)) else { return Vec::new() };
        let labels = rule.filter.group(&named);
        let mut groups: BTreeMap<Arc<str>, SeriesGroup> = BTreeMap::new();
        let meant: Vec<(&SeriesKey, &Cell)> = window
            .series_with(rule.filter.exact_values())
            .filter(|(key, _)| is_of(key, &named, &labels) && rule.filter.takes(key))
            .collect();
        let meant = if named.kind == RecordKind::Llm && rule.filter.pattern("side").is_none() { one_end(meant, model_end) } else { meant };
        for (key, cell) in meant {
            let group = groups.entry(scope(named.kind, &labels, |label| key.value(label).cloned())).or_default();
            group.sum.merge(cell);
            (group.pid, group.service) = (key.value("pid").cloned(), key.service());
        }
        // Of something that is known not to have happened there is a figure too.
        let is_thing = !named.kind.is_sample();
        if groups.is_empty() && is_thing && (rule.filter.is_exact() || labels.is_empty()) {
            groups.insert(rule.filter.scope(&named), SeriesGroup::default());
        }
        groups.into_iter().map(|(scope, group)| reading(&named, scope, &group, window.covered_s(), &labels)).collect()
    }

    fn is_covered(&self, rule: &Rule) -> bool {
        self.window(rule, rule.window_s()).is_some_and(RecentWindow::is_full)
    }

    fn is_empty(&self, rule: &Rule) -> bool {
        self.window(rule, rule.window_s()).is_none_or(|window| window.series().next().is_none())
    }

    fn watched_s(&self, rule: &Rule) -> f64 {
        self.window(rule, rule.window_s()).map_or(0.0, RecentWindow::watched_s)
    }
}

/// Of business metrics, whether a series is the metric's; the one that says that nothing was counted yet belongs to no group.
fn is_of(key: &SeriesKey, named: &Named, group: &[&str]) -> bool {
    named
        .custom()
        .is_none_or(|custom| key.custom() == Some(custom) && (group.is_empty() || group.iter().any(|label| key.value(label).is_some())))
}

fn reading(named: &Named, scope: Arc<str>, group: &SeriesGroup, covered_s: f64, labels: &[&str]) -> MetricReading {
    let seen = group.sum.count;
    let lost = lost_field(named).and_then(|field| group.sum.field(field, Statistic::Sum)).unwrap_or_default();
    let estimated = lost > ESTIMATED_FROM * (lost + seen as f64);
    let factor = if estimated && seen > 0 { (seen as f64 + lost) / seen as f64 } else { 1.0 };
    let value = group.sum.value(named, covered_s).map(|value| match named.measure {
        Measure::Count | Measure::PerMinute | Measure::Errors => (value * factor * 1e3).round() / 1e3,
        _ => value,
    });
    let of_service = |pid: u32| Origin { service: group.service.clone().unwrap_or_default(), ..Origin::unknown(pid) };
    let origin = match (named.kind, &group.pid) {
        (RecordKind::System | RecordKind::Disk, _) => Some(Origin { service: "host".into(), ..Origin::unknown(0) }),
        (_, Some(pid)) => Some(of_service(pid.parse().unwrap_or_default())),
        (_, None) if labels.contains(&"service") => Some(of_service(0)),
        _ => None,
    };
    let samples = if named.kind.is_sample() { u64::MAX } else { seen };
    MetricReading { origin: origin.map(Arc::new), value, samples, estimated, ..MetricReading::unread(scope) }
}

fn model_end((key, cell): &(&SeriesKey, &Cell)) -> ModelEnd<Option<Arc<str>>> {
    let [provider, model] = MODEL.map(|label| key.value(label).cloned());
    ModelEnd { model: [provider, model], is_server: key.value("side").is_some_and(|side| &**side == "server"), calls: cell.count }
}

/// Whether a limit can be reached by a metric at all; the reason when it cannot.
pub fn impossible(named: &Named, condition: Condition) -> Option<String> {
    let (limit, above) = match condition {
        Condition::Above(limit) => (limit, true),
        Condition::Below(limit) => (limit, false),
        _ => return None,
    };
    let most = match named.measure {
        Measure::ErrorRate | Measure::Availability => Some(1.0),
        Measure::Custom(custom) if custom.unit() == Some("percent") && !custom.is_amount() && custom.from() == "system" => Some(100.0),
        Measure::Field(field, statistic) if statistic != Statistic::Sum && field.kind != RecordKind::Process => {
            [("_percent", 100.0), ("usage", 1.0)].into_iter().find(|(ending, _)| field.name.ends_with(ending)).map(|(_, most)| most)
        }
        _ => None,
    };
    let duration = match named.measure {
        Measure::Field(field, _) => field.unit == Unit::Duration,
        Measure::Custom(custom) => custom.is_duration() && !custom.is_amount(),
        _ => false,
    };
    match (above, most) {
        (true, Some(most)) if limit >= most => Some(format!("it is never above {limit}: its largest value is {most}")),
        (false, _) if limit <= 0.0 => Some(format!("it is never below {limit}: its smallest value is 0")),
        (true, _) if limit < 0.0 => Some(format!("it is always above {limit}")),
        (true, _) if duration && limit > 3_600_000.0 => Some("durations are counted up to one hour, 3600000 ms".into()),
        _ => None,
    }
}
