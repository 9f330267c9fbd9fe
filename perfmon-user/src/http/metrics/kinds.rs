//! The families of the kinds of records, made from the table of kinds: the number of records, a histogram of each duration, a counter of
//! each amount; under the names of the OpenTelemetry conventions where there are some.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

use super::family::{FamilyKind, MetricFamily};
use super::text::{Exposition, HistogramValues, Label};
use crate::http::bounded::Cumulative;
use crate::http::kind_series::{KindLabels, KindSums, KindTable, bounds, is_counted};
use crate::record::metric::{Field, RecordKind, Unit};
use crate::record::{OutsideName, SeriesKey, Side, address};

/// What the samples of a family are made of.
enum Source {
    /// Number of records.
    Count,
    /// A field of the records of one side; of both where the side is not given.
    Field(&'static Field, Option<Side>, Option<&'static OutsideName>),
}

/// A family of a kind, and where its samples come from: tokens in and out are two sources of one family.
struct KindFamily {
    kind: RecordKind,
    family: MetricFamily,
    sources: Vec<Source>,
}

fn families() -> Vec<KindFamily> {
    let mut families: Vec<KindFamily> = Vec::new();
    for kind in RecordKind::ALL.into_iter().filter(|kind| is_counted(*kind)) {
        let count = family(
            kind,
            None,
            format!("perfmon_{}", kind.counted()),
            FamilyKind::Counter,
            None,
            format!("All {}; failed ones have an error_type.", kind.things()),
        );
        families.push(KindFamily { kind, family: count, sources: vec![Source::Count] });
        for field in Field::of(kind).filter(|field| field.unit != Unit::Number) {
            for (source, family) in of_field(kind, field) {
                match families.iter_mut().find(|known| known.family.name == family.name) {
                    Some(known) => known.sources.push(source),
                    None => families.push(KindFamily { kind, family, sources: vec![source] }),
                }
            }
        }
    }
    families
}

/// The families of a field: one of each side that a convention names, and one of what no convention names.
fn of_field(kind: RecordKind, field: &'static Field) -> Vec<(Source, MetricFamily)> {
    let words = field.name.trim_end_matches("_ms").replace('_', " ");
    let mut all = Vec::new();
    let sides = [Side::Client, Side::Server].map(|side| (side, field.convention(side.name())));
    for (side, convention) in sides {
        let Some(convention) = convention else { continue };
        let unit = (field.unit == Unit::Duration).then_some("seconds");
        let name = convention.name.replace('.', "_") + unit.map_or("", |_| "_seconds");
        let made = of_side(side);
        let help = if convention.label.is_some() {
            format!("Tokens of {} {made}.", kind.things())
        } else {
            format!("{} of {} {made}.", capital(&words), kind.things())
        };
        all.push((
            Source::Field(field, Some(side), Some(convention)),
            family(kind, Some(convention), name, FamilyKind::Histogram, unit, help),
        ));
    }
    let unnamed: Vec<Side> = sides.into_iter().filter(|(_, convention)| convention.is_none()).map(|(side, _)| side).collect();
    let side = match unnamed.as_slice() {
        [] => return all,
        [side] => Some(*side),
        _ => None,
    };
    let stem = format!("perfmon_{}_{}", kind.name(), field.name.trim_end_matches("_ms"));
    // Of one side where a convention names the other one's.
    let made = side.map_or(String::new(), |side| format!(" {}", of_side(side)));
    let help = format!("{} of {}{made}.", capital(&words), kind.things());
    let family = match field.unit {
        Unit::Duration => family(kind, None, stem + "_seconds", FamilyKind::Histogram, Some("seconds"), help),
        _ => family(kind, None, stem, FamilyKind::Counter, None, help),
    };
    all.push((Source::Field(field, side, None), family));
    all
}

fn family(
    kind: RecordKind,
    convention: Option<&OutsideName>,
    name: String,
    of: FamilyKind,
    unit: Option<&'static str>,
    help: String,
) -> MetricFamily {
    let labels = kind.labels().iter().flat_map(|label| match label.attribute {
        "server.address" => vec!["server_address".into(), "server_port".into()],
        "side" if convention.is_some() => vec![],
        attribute => vec![attribute.replace('.', "_")],
    });
    let own = convention.and_then(|convention| convention.label).map(|(name, _)| name.replace('.', "_"));
    let labels: Vec<String> = labels.chain(["error_type".into()]).chain(own).collect();
    MetricFamily { name: name.into(), kind: of, unit, help: help.into(), labels: labels.join(", ").into() }
}

fn of_side(side: Side) -> &'static str {
    if side == Side::Client { "that the service made" } else { "that the service answered" }
}

fn capital(words: &str) -> String {
    let mut characters = words.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// The families, for the documentation.
pub(super) fn described() -> Vec<MetricFamily> {
    families().into_iter().map(|known| known.family).collect()
}

/// Writes all families and their samples.
pub(super) fn write(out: &mut Exposition, table: &KindTable) {
    let mut sorted: BTreeMap<(RecordKind, String, Option<&str>), (&KindLabels, &KindSums)> = BTreeMap::new();
    for (labels, sums) in table.iter() {
        sorted.insert((labels.key.kind, labels.key.to_json(), labels.failure.as_deref()), (labels, sums));
    }
    for known in families() {
        out.family(&known.family);
        for source in &known.sources {
            let of_kind = sorted.values().filter(|(labels, _)| labels.key.kind == known.kind);
            of_kind.for_each(|(labels, sums)| sample(out, &known.family, source, labels, sums));
        }
    }
}

fn sample(out: &mut Exposition, family: &MetricFamily, source: &Source, labels: &KindLabels, sums: &KindSums) {
    let mut texts = texts(labels);
    if matches!(source, Source::Field(_, _, Some(_))) {
        texts.retain(|(name, _)| name != "side"); // the name of the family says it
    }
    let mut shown: Vec<Label<'_>> = texts.iter().map(|(name, value)| (&**name, value as &dyn Display)).collect();
    match source {
        Source::Count => out.sample(family, &shown, sums.count()),
        Source::Field(field, side, convention) => {
            let given = labels.key.value("side");
            if side.is_some_and(|side| given.is_some_and(|given| **given != *side.name())) {
                return;
            }
            let Some(values) = sums.field(field).filter(|values| values.count() > 0) else { return };
            let own = convention.and_then(|convention| convention.label);
            let own_name = own.map(|(name, _)| name.replace('.', "_")).unwrap_or_default();
            if let Some((_, value)) = &own {
                shown.push((&own_name, value));
            }
            match bounds(field.unit).filter(|_| family.kind == FamilyKind::Histogram) {
                Some(bounds) => {
                    out.histogram(family, &shown, &HistogramValues { bounds, buckets: &values.buckets, sum: values.sum, exemplar: None })
                }
                None => out.sample(family, &shown, values.sum),
            }
        }
    }
}

/// Names and values of a series' labels; those that are not known are empty.
pub(super) fn label_texts(key: &SeriesKey) -> Vec<(Cow<'static, str>, String)> {
    let mut texts: Vec<(Cow<'static, str>, String)> = Vec::new();
    for (label, value) in key.labels() {
        let value = value.map_or("", |value| value);
        if label.attribute == "server.address" {
            let (host, port) = address(value);
            texts.push(("server_address".into(), host.into()));
            texts.push(("server_port".into(), port.map_or_else(String::new, |port| port.to_string())));
        } else {
            texts.push((label.attribute.replace('.', "_").into(), value.into()));
        }
    }
    texts
}

/// The same of a kind, with the failure.
fn texts(labels: &KindLabels) -> Vec<(Cow<'static, str>, String)> {
    let mut texts = label_texts(&labels.key);
    texts.push(("error_type".into(), labels.failure.as_deref().unwrap_or("").into()));
    texts
}
