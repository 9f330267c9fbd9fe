//! What a rule is narrowed to: patterns for labels of its metric's kind, and the labels by which matching series are told apart. Each group
//! of series is judged by itself.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::kind::SeriesLabel;
use crate::record::metric::{Metric, RecordKind};
use crate::record::readable::SECOND_NAMES;
use crate::record::{SeriesKey, matches};

/// The filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFilter {
    /// Patterns by label; `*` stands for any text.
    wanted: BTreeMap<&'static str, String>,
    by: Vec<&'static str>,
}

/// A label under one of its names.
fn label(labels: &[SeriesLabel], name: &str) -> Option<&'static str> {
    let name = SECOND_NAMES.iter().find(|(second, _)| *second == name).map_or(name, |(_, first)| first);
    labels.iter().map(|label| label.name).find(|known| *known == name)
}

/// Names of labels, as they are offered.
pub fn label_names(labels: &[SeriesLabel]) -> Vec<&'static str> {
    let first = |name: &'static str| SECOND_NAMES.iter().find(|(_, known)| *known == name).map_or(name, |(second, _)| *second);
    labels.iter().map(|label| first(label.name)).collect()
}

impl RuleFilter {
    /// A filter for these labels; the error names the label that is none of them.
    pub fn new(labels: &[SeriesLabel], wanted: &BTreeMap<String, String>, by: &[String]) -> Result<Self, Vec<String>> {
        let mut filter = Self::default();
        let mut unknown = Vec::new();
        for (name, pattern) in wanted {
            match label(labels, name) {
                Some("method") => drop(filter.wanted.insert("method", pattern.to_uppercase())),
                Some(label) => drop(filter.wanted.insert(label, pattern.clone())),
                None => unknown.push(format!("where.{name}")),
            }
        }
        for name in by {
            match label(labels, name) {
                Some(label) => filter.by.push(label),
                None => unknown.push(format!("by: {name}")),
            }
        }
        if unknown.is_empty() { Ok(filter) } else { Err(unknown) }
    }

    /// The pattern of a label.
    pub fn pattern(&self, label: &str) -> Option<&str> {
        self.wanted.get(label).map(String::as_str)
    }

    /// The texts that it wants as they are.
    pub fn exact_values(&self) -> impl Iterator<Item = &str> {
        self.wanted.values().map(String::as_str).filter(|pattern| !pattern.contains('*'))
    }

    /// Whether it names what it wants, without patterns and groups.
    pub fn is_exact(&self) -> bool {
        self.by.is_empty() && self.wanted.values().all(|pattern| !pattern.contains('*'))
    }

    /// Whether a series is one of those meant. Requests are those served here unless something else is asked for.
    pub fn takes(&self, key: &SeriesKey) -> bool {
        let side = self.side(key.kind);
        key.labels().all(|(label, value)| {
            let wanted = self.wanted.get(label.name).map(String::as_str).or(side.filter(|_| label.name == "side"));
            wanted.is_none_or(|pattern| value.is_some_and(|value| matches(pattern, value)))
        })
    }

    /// The side that is meant although it is not named.
    fn side(&self, kind: RecordKind) -> Option<&'static str> {
        let of_client = self.wanted.contains_key("destination") || self.by.contains(&"destination");
        match kind {
            RecordKind::Request if of_client => Some("client"),
            RecordKind::Request => Some("server"),
            _ => None,
        }
    }

    /// Labels by which series are told apart: those that are named, and what belongs to them.
    pub fn group(&self, metric: &Metric) -> Vec<&'static str> {
        let named = |label: &str| self.wanted.contains_key(label) || self.by.contains(&label);
        match metric.kind {
            RecordKind::Request if named("destination") => vec!["service", "destination"],
            RecordKind::Request if named("endpoint") || named("method") => vec!["service", "method", "endpoint"],
            RecordKind::Process => vec!["service", "pid"],
            RecordKind::Disk => vec!["mount"],
            kind => {
                let is_one = |label: &&str| (*label != "side" || kind == RecordKind::Custom) && named(label);
                metric.labels().iter().map(|label| label.name).filter(is_one).collect()
            }
        }
    }

    /// What the alert is about when nothing of it was seen.
    pub fn scope(&self, metric: &Metric) -> Arc<str> {
        scope(metric.kind, &self.group(metric), |label| self.pattern(label).map(Arc::from))
    }
}

/// What a group of series is about, in words.
pub fn scope(kind: RecordKind, group: &[&str], value: impl Fn(&str) -> Option<Arc<str>>) -> Arc<str> {
    let known = |label: &&str| value(label);
    let of = |label: &str| value(label).unwrap_or_else(|| "unknown".into());
    match (kind, group) {
        (RecordKind::System, _) => "host".into(),
        (RecordKind::Custom, []) => "all".into(),
        (_, []) => "all services".into(),
        (RecordKind::Process, _) => format!("{} (pid {})", of("service"), of("pid")).into(),
        (RecordKind::Request, ["service", "destination"]) => format!("{} → {}", of("service"), of("destination")).into(),
        (_, group) => group.iter().filter_map(known).map(|value| value.to_string()).collect::<Vec<_>>().join(" ").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_the_names_that_people_use() {
        let wanted = BTreeMap::from([("model".to_owned(), "gpt-*".to_owned())]);
        let filter = RuleFilter::new(RecordKind::Llm.labels(), &wanted, &["service".to_owned()]).unwrap();
        assert_eq!(
            (filter.pattern("request_model"), filter.group(&Metric::parse("llm.count").unwrap())),
            (Some("gpt-*"), vec!["service", "request_model"])
        );
        assert_eq!(
            RuleFilter::new(RecordKind::Tool.labels(), &wanted, &["mount".to_owned()]),
            Err(vec!["where.model".into(), "by: mount".into()])
        );
        assert!(label_names(RecordKind::Llm.labels()).contains(&"model"));
    }
}
