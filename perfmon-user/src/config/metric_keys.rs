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

#[cfg(test)]
mod tests {
    use crate::alert::{MetricView, RuleFigures};
    use crate::config::{File, Sources, load};
    use crate::record::WallTime;
    use crate::series::{SeriesDelta, SeriesFeed};
    use crate::store::tests::{DAY, SECOND, request};

    fn sources(text: &str) -> Sources {
        Sources { file: Some(File { path: "p.toml".into(), text: text.into() }), ..Sources::default() }
    }

    /// Rules stand before the metrics that they name, as in a file in the order of its names.
    const SHOP: &str = r#"
[[alerts.rules]]
name = "orders fail"
metric = "custom.cfg_failures"
above = 0.2
by = ["endpoint"]
where = { status_code = "5*" }

[[alerts.rules]]
name = "no orders"
metric = "custom.cfg_orders"
absent = true

[[metrics]]
name = "cfg_orders"
from = "request"
where = { method = "post", endpoint = "/orders", status_code = [201, 202] }
value = "count"

[[metrics]]
name = "cfg_failures"
from = "request"
where = { status_code = ">= 500" }
of = { tls = false }
value = "ratio"
by = ["endpoint", "status_code"]
"#;

    #[test]
    fn rules_read_the_metrics_of_their_configuration() {
        let config = load(&sources(SHOP)).unwrap().config;
        let rules: Vec<_> = config.alerts.settings().rules.into_iter().filter(|rule| rule.name.contains("orders")).collect();
        let mut feed = SeriesFeed::default();
        feed.set_custom(&config.metrics.compiled);
        let mut figures = RuleFigures::default();
        figures.keep(&rules, WallTime(DAY * SECOND));
        let read = |figures: &RuleFigures, rule: usize| -> Vec<(String, Option<f64>, u64)> {
            let readings = figures.read(&rules[rule], rules[rule].window_s());
            readings.into_iter().map(|reading| (reading.scope.to_string(), reading.value, reading.samples)).collect()
        };
        figures.add(&feed.take(WallTime(DAY * SECOND)));
        assert_eq!(read(&figures, 0), [], "nothing is in a group yet");
        assert_eq!(read(&figures, 1), [("all".into(), Some(0.0), 0)], "absent");
        for number in 0..10 {
            feed.add(&request(DAY, "shop", "/orders", 5, if number < 3 { 503 } else { 201 }));
            feed.add(&request(DAY, "shop", "/", 5, 200));
        }
        let delta = feed.take(WallTime(DAY * SECOND));
        figures.add(&SeriesDelta { until: WallTime((DAY + 1) * SECOND), ..(*delta).clone() });
        assert_eq!(read(&figures, 0), [("/orders 503".into(), Some(1.0), 3)]);
        assert_eq!(read(&figures, 1), [("all".into(), Some(0.0), 0)], "the example's requests are GET");
    }

    #[test]
    fn what_is_printed_reads_back() {
        let loaded = load(&sources(SHOP)).unwrap();
        let again = load(&sources(&crate::config::print(&loaded))).unwrap();
        assert_eq!(again.config.metrics, loaded.config.metrics);
        assert_eq!(again.config.alerts, loaded.config.alerts);
    }

    #[test]
    fn problems_of_all_entries_are_named_with_their_lines() {
        let text = r#"
[[metrics]]
name = "a"
from = "requests"
value = "count"

[[metrics]]
name = "cfg_b"
from = "request"
where = { staus_code = 201, method = [] }
value = "p95 of response_bytes"

[[metrics]]
name = "a"
from = "llm"
valu = "count"
"#;
        let told = |text: &str| load(&sources(text)).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let first = told(text);
        for part in ["p.toml:13: metrics.value: is missing", "metrics.valu: unknown; did you mean value?"] {
            assert!(first.contains(part), "{part}\nis not in\n{first}");
        }
        let second = told(&text.replace("valu =", "value ="));
        for part in [
            "p.toml:2: metrics.from: a: \"requests\" is not a kind of record; did you mean request?",
            "p.toml:7: metrics.where: cfg_b: records of kind request have no field staus_code; did you mean status_code?",
            "p.toml:7: metrics.where: cfg_b: method: the list is empty",
            "p.toml:7: metrics.value: cfg_b: no distribution is kept of response_bytes",
            "p.toml:13: metrics.name: a is the name of an earlier entry too",
        ] {
            assert!(second.contains(part), "{part}\nis not in\n{second}");
        }
        let rules = SHOP.replace("custom.cfg_orders", "custom.cfg_oders").replace("by = [\"endpoint\"]\n", "by = [\"service\"]\n");
        let third = told(&rules);
        for part in [
            "no orders: \"custom.cfg_oders\" is not a metric; the nearest names are custom.cfg_orders",
            "orders fail: where: by: service does not go with custom.cfg_failures; its labels are endpoint, status_code",
        ] {
            assert!(third.contains(part), "{part}\nis not in\n{third}");
        }
        let none = "[[alerts.rules]]\nname = \"x\"\nmetric = \"custom.x\"\nabove = 1\n";
        assert!(told(none).contains("the configuration defines none: add it as an entry of [[metrics]]"), "{}", told(none));
    }
}
