//! Keys of `metrics`, the user's own figures. In: entries as written; out: compiled metrics, or every problem of every entry at its line.
//! `where` and `of` take any field of the kind of record, so their keys are checked with the metric and not by the table of keys.
use super::key::{About, Key, show_list, show_tables, show_text, tables};
use super::keys::{about, words};
use super::node::{Checked, ConfigNode, Fault, RawValue};
use super::settings::Config;
use crate::limits;
use crate::record::custom::{CustomDefinition, CustomMetric, CustomMetrics, WrittenFilter};

/// The configured metrics, as written and compiled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BusinessMetrics {
    entries: Vec<CustomDefinition>,
    /// Compiled.
    pub compiled: CustomMetrics,
}

pub(super) const METRICS: Key<Config> = Key {
    about: About {
        inner: || METRIC_KEYS.iter().map(|key| key.about).collect(),
        ..about(
            "metrics",
            None,
            "list of tables",
            "Business metrics: figures of your own over filtered records of any kind. Each is used like a built-in one, as `custom.` and its name: in alert rules, assertions, the history, `/metrics`, telemetry and reports.",
        )
    },
    set: |config, node| read(node).map(|metrics| config.metrics = metrics),
    show: |config| show_tables(&config.metrics.entries, METRIC_KEYS),
};

static METRIC_KEYS: &[Key<CustomDefinition>] = &[
    Key {
        about: about("name", None, "lower-case letters, digits and `_`, required", "Name of the metric, without `custom.`."),
        set: |metric, node| node.text().map(|text| metric.name = text.into()),
        show: |metric| Some(show_text(&metric.name)),
    },
    Key {
        about: about(
            "from",
            None,
            "`request`, `db`, `dns`, `llm`, `agent`, `tool`, `workflow`, `process`, `system`, `finding` or `alert`, required",
            "The kind of record that it is made of; docs/records.md has their fields.",
        ),
        set: |metric, node| node.text().map(|text| metric.from = text.into()),
        show: |metric| Some(show_text(&metric.from)),
    },
    Key {
        about: about(
            "where",
            None,
            "table of fields and patterns",
            "The records that are meant: each field has to fit. A pattern is a text in which `*` stands for any part, a number, a comparison like `\">= 500\"`, `\"!= pattern\"`, or a list of these of which one has to fit. Requests are those served here, unless `side` or `destination` is given; model calls and database commands are those made here, unless `side` is.",
        ),
        set: |metric, node| filter(node).map(|written| metric.wanted = written),
        show: |metric| show_filter(&metric.wanted),
    },
    Key {
        about: about(
            "of",
            None,
            "table of fields and patterns, with `value = \"ratio\"` required",
            "The whole of a ratio: the number of records that fit `where` is divided by the number of those that fit this.",
        ),
        set: |metric, node| filter(node).map(|written| metric.of = Some(written)),
        show: |metric| metric.of.as_ref().map(|of| show_filter(of).unwrap_or_else(|| "{}".into())),
    },
    Key {
        about: about(
            "value",
            None,
            "`count`, `ratio`, or a statistic of a field like `sum of response_bytes`, required",
            "What is measured. Statistics are `sum`, `mean`, `min`, `max`, and of durations (`…_ms`) `p50`, `p90`, `p95`, `p99`; `response_bytes.sum` is the same as `sum of response_bytes`.",
        ),
        set: |metric, node| node.text().map(|text| metric.value = text.trim().into()),
        show: |metric| Some(show_text(&metric.value)),
    },
    Key {
        about: about(
            "by",
            None,
            "list of at most 5 fields",
            "Labels: each combination of their values is a series. A metric keeps 200 series; what comes later is counted in one more, `(other)`, until others were silent for an hour.",
        ),
        set: |metric, node| node.list(words).map(|names| metric.by = names),
        show: |metric| show_list(&metric.by, |name| show_text(name)),
    },
];

/// Every entry, checked by itself and beside the others.
fn read(node: &ConfigNode) -> Checked<BusinessMetrics> {
    let entries: Vec<CustomDefinition> = tables(node, METRIC_KEYS, &["name", "from", "value"])?;
    let lines = node.list(|item| Ok(item.line))?;
    let (mut compiled, mut faults): (Vec<&'static CustomMetric>, Vec<Fault>) = (Vec::new(), Vec::new());
    let fault = |line: Option<usize>, key: &str, message: String| Fault { line, key: key.into(), message };
    for (index, entry) in entries.iter().enumerate() {
        let line = lines.get(index).copied().flatten();
        if entries[..index].iter().any(|earlier| earlier.name == entry.name) {
            faults.push(fault(line, "name", format!("{} is the name of an earlier entry too; names must be unique", entry.name)));
        }
        match entry.check() {
            Ok(metric) => compiled.push(metric),
            Err(wrong) => faults.extend(wrong.into_iter().map(|(key, message)| fault(line, key, format!("{}: {message}", entry.name)))),
        }
    }
    if entries.len() > limits::CUSTOM_METRICS {
        let message = format!("{} metrics are too many; at most {} are kept", entries.len(), limits::CUSTOM_METRICS);
        faults.push(fault(node.line, "", message));
    }
    if faults.is_empty() { Ok(BusinessMetrics { entries, compiled: CustomMetrics::new(compiled) }) } else { Err(faults) }
}

/// Fields and patterns of `where` or `of`.
fn filter(node: &ConfigNode) -> Checked<WrittenFilter> {
    let RawValue::Table(table) = &node.value else {
        return node.fault("is a table of fields, like { method = \"POST\", status_code = 201 }");
    };
    let (mut written, mut faults) = (WrittenFilter::new(), Vec::new());
    for (name, value) in table {
        let read = if matches!(value.value, RawValue::List(_)) { value.list(pattern) } else { pattern(value).map(|one| vec![one]) };
        match read {
            Ok(patterns) => written.push((name.clone(), patterns)),
            Err(wrong) => faults.extend(wrong.into_iter().map(|fault| Fault { key: name.clone(), ..fault })),
        }
    }
    if faults.is_empty() { Ok(written) } else { Err(faults) }
}

/// A pattern as text.
pub(super) fn pattern(node: &ConfigNode) -> Checked<String> {
    match &node.value {
        RawValue::Integer(number) => Ok(number.to_string()),
        RawValue::Float(number) => Ok(number.to_string()),
        RawValue::Bool(value) => Ok(value.to_string()),
        RawValue::List(_) | RawValue::Table(_) | RawValue::Date(_) => node.fault("is not a pattern; give a text, a number, true or false"),
        RawValue::Text(_) | RawValue::Word(_) => node.text().map(str::to_owned),
    }
}

fn show_filter(written: &WrittenFilter) -> Option<String> {
    let field = |(name, patterns): &(String, Vec<String>)| {
        let shown = match patterns.as_slice() {
            [one] => show_text(one),
            many => show_list(many, |pattern| show_text(pattern)).unwrap_or_else(|| "[]".into()),
        };
        format!("{} = {shown}", toml_key(name))
    };
    (!written.is_empty()).then(|| format!("{{ {} }}", written.iter().map(field).collect::<Vec<_>>().join(", ")))
}

/// A name as a key of TOML.
fn toml_key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
    if is_bare { name.into() } else { show_text(name) }
}
