//! What a rule is narrowed to: patterns for labels of its metric's kind, and the labels by which matching series are told apart. Each group
//! of series is judged by itself.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::SeriesKey;
use crate::record::metric::RecordKind;

/// Names that people use for labels.
const SECOND_NAMES: [(&str, &str); 4] =
    [("model", "request_model"), ("agent", "agent_type"), ("tool", "tool_name"), ("workflow", "workflow_name")];

/// The filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFilter {
    /// Patterns by label; `*` stands for any text.
    wanted: BTreeMap<&'static str, String>,
    by: Vec<&'static str>,
}

/// A label of a kind under one of its names.
fn label(kind: RecordKind, name: &str) -> Option<&'static str> {
    let name = SECOND_NAMES.iter().find(|(second, _)| *second == name).map_or(name, |(_, first)| first);
    kind.labels().iter().map(|label| label.name).find(|known| *known == name)
}

/// Names of a kind's labels, as they are offered.
pub fn label_names(kind: RecordKind) -> Vec<&'static str> {
    let first = |name: &'static str| SECOND_NAMES.iter().find(|(_, known)| *known == name).map_or(name, |(second, _)| *second);
    kind.labels().iter().map(|label| first(label.name)).collect()
}

/// Whether a text is what a pattern says; `*` stands for any part.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

impl RuleFilter {
    /// A filter for the labels of a kind; the error names the label that it does not have.
    pub fn new(kind: RecordKind, wanted: &BTreeMap<String, String>, by: &[String]) -> Result<Self, Vec<String>> {
        let mut filter = Self::default();
        let mut unknown = Vec::new();
        for (name, pattern) in wanted {
            match label(kind, name) {
                Some("method") => drop(filter.wanted.insert("method", pattern.to_uppercase())),
                Some(label) => drop(filter.wanted.insert(label, pattern.clone())),
                None => unknown.push(format!("where.{name}")),
            }
        }
        for name in by {
            match label(kind, name) {
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
    pub fn group(&self, kind: RecordKind) -> Vec<&'static str> {
        let named = |label: &str| self.wanted.contains_key(label) || self.by.contains(&label);
        match kind {
            RecordKind::Request if named("destination") => vec!["service", "destination"],
            RecordKind::Request if named("endpoint") || named("method") => vec!["service", "method", "endpoint"],
            RecordKind::Process => vec!["service", "pid"],
            RecordKind::Disk => vec!["mount"],
            kind => kind.labels().iter().map(|label| label.name).filter(|label| *label != "side" && named(label)).collect(),
        }
    }

    /// What the alert is about when nothing of it was seen.
    pub fn scope(&self, kind: RecordKind) -> Arc<str> {
        scope(kind, &self.group(kind), |label| self.pattern(label).map(Arc::from))
    }
}

/// What a group of series is about, in words.
pub fn scope(kind: RecordKind, group: &[&str], value: impl Fn(&str) -> Option<Arc<str>>) -> Arc<str> {
    let known = |label: &&str| value(label);
    let of = |label: &str| value(label).unwrap_or_else(|| "unknown".into());
    match (kind, group) {
        (RecordKind::System, _) => "host".into(),
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
    fn a_star_stands_for_any_part() {
        let cases = [("*", "", true), ("/a/*", "/a/b", true), ("/a/*", "/b", false), ("*/b", "/a/b", true), ("a*b*c", "axxbyyc", true)];
        for (pattern, text, fits) in cases.into_iter().chain([("a*b*c", "axxbyy", false), ("ab", "abc", false), ("a*a", "a", false)]) {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn labels_have_the_names_that_people_use() {
        let wanted = BTreeMap::from([("model".to_owned(), "gpt-*".to_owned())]);
        let filter = RuleFilter::new(RecordKind::Llm, &wanted, &["service".to_owned()]).unwrap();
        assert_eq!((filter.pattern("request_model"), filter.group(RecordKind::Llm)), (Some("gpt-*"), vec!["service", "request_model"]));
        assert_eq!(RuleFilter::new(RecordKind::Tool, &wanted, &["mount".to_owned()]), Err(vec!["where.model".into(), "by: mount".into()]));
        assert!(label_names(RecordKind::Llm).contains(&"model"));
    }
}
