//! Definitions and what records add to them.
use super::*;
use crate::record::Side;
use crate::store::tests::{DAY, call, request};

fn filter(written: &[(&str, &[&str])]) -> WrittenFilter {
    written.iter().map(|(name, patterns)| ((*name).to_owned(), patterns.iter().map(|text| (*text).to_owned()).collect())).collect()
}

fn defined(name: &str, from: &str, value: &str) -> CustomDefinition {
    CustomDefinition { name: name.into(), from: from.into(), value: value.into(), ..CustomDefinition::default() }
}

fn why(definition: &CustomDefinition) -> String {
    definition.check().unwrap_err().into_iter().map(|(key, why)| format!("{key}: {why}")).collect::<Vec<_>>().join("\n")
}

#[test]
fn records_pass_when_every_field_fits() {
    let takes = |written: &[(&str, &[&str])], record: &Record| {
        CustomDefinition { wanted: filter(written), ..defined("passes", record.kind(), "count") }.check().unwrap().share(record).is_some()
    };
    let order = request(DAY, "shop", "/orders", 5_000, 201);
    for (written, fits) in [
        (&[("endpoint", &["/orders"] as &[&str]), ("status_code", &["201"])] as &[(&str, &[&str])], true),
        (&[("status_code", &[">= 200"]), ("method", &["get", "post"])], true),
        (&[("status_code", &["2*"]), ("service", &["sh*"])], true),
        (&[("status_code", &["200"])], false),
        (&[("status_code", &["200", "> 200"])], true),
        (&[("status_code", &["!= 5*"])], true),
        (&[("status_code", &["!= 201"])], false),
        (&[("response_time_ms", &["> 5.1"])], false),
        (&[("response_time_ms", &["<= 5"]), ("tls", &["false"])], true),
        (&[("grpc_status", &["0"])], false),
        (&[("side", &["client"])], false),
    ] {
        assert_eq!(takes(written, &order), fits, "{written:?}");
    }
    let cheap = call(DAY, Side::Client, 0.5);
    assert!(takes(&[("cost_usd", &["0.5"]), ("model", &["*"])], &cheap));
    assert!(!takes(&[("cost_usd", &["< 0.5"])], &cheap));
    assert!(!takes(&[], &call(DAY, Side::Server, 0.5)), "calls are counted where they are made");
}

#[test]
fn each_value_takes_its_share_of_a_record() {
    let order = request(DAY, "shop", "/orders", 5_000, 201);
    let share = |value: &str, of: Option<WrittenFilter>| {
        CustomDefinition { wanted: filter(&[("status_code", &["5*"])]), of, ..defined("shares", "request", value) }
            .check()
            .unwrap()
            .share(&order)
    };
    assert_eq!(share("count", None), None);
    assert_eq!(share("ratio", Some(filter(&[]))), Some(CustomShare::Ratio { part: false, whole: true }));
    let all = |value: &str| defined("all", "request", value).check().unwrap().share(&order);
    assert_eq!(all("count"), Some(CustomShare::One));
    assert_eq!(all("p95 of response_time_ms"), Some(CustomShare::Value(5.0)));
    assert_eq!(all("response_bytes.sum"), all("sum of response_bytes"));
    assert_eq!(all("mean of queue_time_ms"), None, "it is not known");
}

#[test]
fn a_changed_definition_is_another_metric_and_an_equal_one_the_same() {
    let first = defined("changes", "request", "count").check().unwrap();
    let again = defined("changes", "request", "count").check().unwrap();
    let changed = CustomDefinition { wanted: filter(&[("tls", &["true"])]), ..defined("changes", "request", "count") }.check().unwrap();
    assert!(std::ptr::eq(first, again) && first != changed && first.name() == changed.name());
    // It is on disk: it must never change.
    assert_eq!(first.definition(), "001f790cdddcd0fd");
    assert_eq!(CustomMetric::known("changes", first.definition()), Some(first));
}

#[test]
fn every_problem_is_named_with_its_mend() {
    for (definition, parts) in [
        (defined("Orders Created", "request", "count"), &["name: \"Orders Created\"", "\"orders_created\" would do"] as &[&str]),
        (defined("9_lives", "request", "count"), &["\"lives\" would do"]),
        (defined("x", "requests", "count"), &["from: \"requests\" is not a kind of record; did you mean request?"]),
        (defined("x", "request", "counts"), &["value: \"counts\" is not a value; write \"count\", \"ratio\""]),
        (defined("x", "request", "ratio"), &["of: is missing: a ratio needs two filters"]),
        (
            defined("x", "request", "p95 of response_bytes"),
            &["no distribution is kept of response_bytes, only of durations (response_time_ms"],
        ),
        (defined("x", "request", "sum of status_code"), &["status_code is no number that can be summed up"]),
        (defined("x", "request", "sum of respons_bytes"), &["have no field respons_bytes; did you mean response_bytes?"]),
        (defined("x", "request", "p96 of response_time_ms"), &["\"p96\" is not a statistic; did you mean p9"]),
        (CustomDefinition { of: Some(filter(&[])), ..defined("x", "request", "count") }, &["of: goes with value = \"ratio\" only"]),
        (
            CustomDefinition { of: Some(filter(&[])), ..defined("x", "request", "p95 of response_byts") },
            &["value: records of kind request have no field response_byts", "of: goes with value = \"ratio\" only"],
        ),
        (
            CustomDefinition { by: vec!["endpont".into(), "response_bytes".into()], ..defined("x", "request", "count") },
            &[
                "by: records of kind request have no label endpont; did you mean endpoint?",
                "by: response_bytes is a number, and each of its values would be a series",
            ],
        ),
        (
            CustomDefinition {
                wanted: filter(&[
                    ("satus_code", &["201"]),
                    ("status_code", &["2001", "> 599", ">= abc", "20x"]),
                    ("endpoint", &["orders"]),
                    ("method", &["> 5"]),
                    ("side", &["severs"]),
                    ("request_bytes", &["< 0"]),
                ]),
                ..defined("x", "request", "count")
            },
            &[
                "where: records of kind request have no field satus_code; did you mean status_code?",
                "2001 never holds: its values are from 100 to 599",
                "> 599 never holds",
                "\"abc\" is not a number; write for example \">= 500\"",
                "\"20x\" is not a number",
                "\"orders\" fits nothing, because it begins with \"/\"; write \"/orders\"",
                "\"> 5\" compares numbers, and the field is a text",
                "\"severs\" is none of its values; did you mean server?",
                "< 0 never holds: its values are 0 or more",
            ],
        ),
    ] {
        let why = why(&definition);
        for part in parts {
            assert!(why.contains(part), "{part}\nis not in\n{why}");
        }
    }
}

#[test]
fn the_table_of_definitions_is_bounded() {
    let mut known = KnownMetrics(Vec::new());
    let of = |number: usize| {
        let metric = defined(&format!("bounded_{number}"), "request", "count");
        CustomMetric {
            name: metric.name.leak(),
            shape: RecordShape::named("request").unwrap(),
            wanted: FieldFilter::default(),
            value: CustomValue::Count,
            labels: Vec::new(),
            definition: "d",
            summary: String::new(),
        }
    };
    assert!((0..limits::CUSTOM_METRICS_KNOWN).all(|number| known.intern(of(number)).is_some()));
    assert!(known.intern(of(limits::CUSTOM_METRICS_KNOWN)).is_none() && known.intern(of(0)).is_some());
}
