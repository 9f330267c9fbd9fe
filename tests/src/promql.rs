//! The expressions of `deploy/`: those of Grafana's dashboards and of Prometheus' rules, and the metrics that an expression names.
use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::metrics_engine::deployed;
use crate::workspace;

/// Words of PromQL that stand where a metric could.
const WORDS: [&str; 14] =
    ["and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "inf", "nan", "atan2"];
/// Words before a list of labels.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// File and panel, or the rule's name.
    pub place: String,
    /// PromQL; that of a dashboard with its variables replaced.
    pub text: String,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsRule {
    /// Name of the recorded series, or of the alert.
    pub name: String,
    /// Whether it records.
    pub records: bool,
    /// What it evaluates.
    pub expression: String,
}

/// A YAML file as JSON.
pub fn yaml(text: &str) -> Result<Value> {
    Ok(serde_saphyr::from_str(text)?)
}

/// The documents of a YAML file as JSON.
pub fn yaml_documents(text: &str) -> Result<Vec<Value>> {
    Ok(serde_saphyr::from_multiple(text)?)
}

/// The rules of both files.
pub fn rules() -> Result<Vec<MetricsRule>> {
    let mut rules = Vec::new();
    for name in ["recording", "alerts"] {
        let file = yaml(&deployed(&format!("prometheus/rules/{name}.yml"))?)?;
        for group in file["groups"].as_array().context("no groups")? {
            for rule in group["rules"].as_array().context("no rules")? {
                let records = rule["record"].is_string();
                let name = rule[if records { "record" } else { "alert" }].as_str().context("a rule without name")?;
                let expression = rule["expr"].as_str().context("a rule without expression")?;
                rules.push(MetricsRule { name: name.into(), records, expression: expression.into() });
            }
        }
    }
    Ok(rules)
}

/// The dashboards: file name and content.
pub fn dashboards() -> Result<Vec<(String, Value)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(workspace().join("deploy/grafana"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            let text = deployed(&format!("grafana/{name}"))?;
            all.push((name.clone(), serde_json::from_str(&text).with_context(|| format!("{name} is no JSON"))?));
        }
    }
    all.sort_by(|one: &(String, Value), other| one.0.cmp(&other.0));
    Ok(all)
}

/// The expressions of the dashboards' panels, as Grafana asks them for one host and all services.
pub fn panels(host: &str) -> Result<Vec<Expression>> {
    let mut all = Vec::new();
    for (name, board) in dashboards()? {
        for panel in board["panels"].as_array().context("no panels")? {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let text = target["expr"].as_str().with_context(|| format!("{name}: a target without expression"))?;
                // The page of one host compares by `=`, the others by `=~`.
                let text = text.replace("host=\"$host\"", &format!("host=\"{host}\"")).replace("$host", ".*").replace("$service", ".*");
                let text = text.replace("$__rate_interval", "1m").replace("$__range", "5m");
                ensure!(!text.contains('$'), "{name}: a variable that this test does not know in {text}");
                all.push(Expression { place: format!("{name}: {}", panel["title"].as_str().unwrap_or_default()), text });
            }
        }
    }
    Ok(all)
}

/// The metrics that an expression names: words that are no function, label, keyword or text.
pub fn metrics(expression: &str) -> BTreeSet<String> {
    let bytes = expression.as_bytes();
    let (mut found, mut at, mut before) = (BTreeSet::new(), 0, String::new());
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = after(bytes, at, b'"'),
            b'{' => at = after_matchers(bytes, at),
            b'[' => at = after(bytes, at, b']'),
            b'(' if BEFORE_LABELS.contains(&before.as_str()) => at = after(bytes, at, b')'),
            first if is_word(first) && !first.is_ascii_digit() => {
                let end = bytes[at..].iter().position(|byte| !is_word(*byte)).map_or(bytes.len(), |length| at + length);
                before = expression[at..end].to_ascii_lowercase();
                let next = bytes[end..].iter().find(|byte| !byte.is_ascii_whitespace());
                // An aggregation may have its labels first: `sum by (host) (…)`.
                let aggregates = ["by", "without"].iter().any(|word| expression[end..].trim_start().starts_with(&format!("{word} (")));
                if !WORDS.contains(&before.as_str()) && next != Some(&b'(') && !aggregates {
                    found.insert(expression[at..end].to_owned());
                }
                at = end;
                continue;
            }
            first if first.is_ascii_digit() => {
                at = bytes[at..].iter().position(|byte| !is_word(*byte) && *byte != b'.').map_or(bytes.len(), |length| at + length);
                continue;
            }
            _ => at += 1,
        }
        if !bytes.get(at.wrapping_sub(1)).is_some_and(u8::is_ascii_whitespace) {
            before.clear();
        }
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

/// Behind the next `close`.
fn after(bytes: &[u8], at: usize, close: u8) -> usize {
    bytes[at + 1..].iter().position(|byte| *byte == close).map_or(bytes.len(), |length| at + 1 + length + 1)
}

/// Behind the matchers in braces, whose texts may hold braces.
fn after_matchers(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'}' {
        at = if bytes[at] == b'"' { after(bytes, at, b'"') } else { at + 1 };
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_among_functions_labels_and_texts() {
        let found = |text| metrics(text).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(found("sum by (host, le) (rate(a_bucket{host=~\"b}c\", d=\"e\"}[5m]))"), "a_bucket");
        assert_eq!(found("topk(10, x:y:rate5m) > on (host) group_left () 5 * quantile by (z) (0.5, q) offset 30m"), "q x:y:rate5m");
        assert_eq!(found("(sum(a{b=\"\"}) or vector(0)) / ignoring (c) group_left () sum(d) == 1e3"), "a d");
        assert_eq!(found("3600 * a and b unless c"), "a b c");
    }
}
