//! The check of a definition: every problem with its mend, by the key that it is about; else the compiled metric.
use std::fmt::Write as _;
use std::sync::PoisonError;

use super::filter::{FieldFilter, WrittenFilter};
use super::{CustomMetric, CustomValue, KNOWN, nearest};
use crate::limits;
use crate::record::kind::{LABELS, RecordKind, SeriesLabel};
use crate::record::metric::Statistic;
use crate::record::readable::{FieldForm, RecordField, RecordShape};

/// An entry of `metrics` as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CustomDefinition {
    /// Name, without `custom.`.
    pub name: String,
    /// Kind of record.
    pub from: String,
    /// The records that are meant.
    pub wanted: WrittenFilter,
    /// Of a ratio: the records that are the whole.
    pub of: Option<WrittenFilter>,
    /// What is measured of them.
    pub value: String,
    /// Labels of its series.
    pub by: Vec<String>,
}

/// Key and message.
pub type CustomFault = (&'static str, String);

/// Most characters of a name.
const NAME_LENGTH: usize = 64;

/// A second name of the mean.
const MEAN_TOO: &str = "avg";

/// Attributes of the OpenTelemetry conventions for labels that the table of kinds does not have.
const ATTRIBUTES: [(&str, &str); 8] = [
    ("status_code", "http.response.status_code"),
    ("grpc_status", "rpc.grpc.status_code"),
    ("host", "server.address"),
    ("user_agent", "user_agent.original"),
    ("system", "db.system.name"),
    ("operation", "db.operation.name"),
    ("database", "db.namespace"),
    ("error_type", "error.type"),
];

impl CustomDefinition {
    /// The compiled metric, or every problem.
    ///
    /// # Errors
    /// Key and message of each problem.
    pub fn check(&self) -> Result<&'static CustomMetric, Vec<CustomFault>> {
        if let Some(known) = CustomMetric::known(&self.name, &self.hash()) {
            return Ok(known); // it was checked before
        }
        let mut faults: Vec<CustomFault> = ill_formed(&self.name).into_iter().map(|why| ("name", why)).collect();
        let Some(shape) = RecordShape::named(&self.from) else {
            faults.push(("from", format!("{:?} is not a kind of record; {}", self.from, nearest(&self.from, RecordShape::names()))));
            return Err(faults);
        };
        let wanted = FieldFilter::new(shape, &self.wanted).map_err(|all| faults.extend(all.into_iter().map(|why| ("where", why))));
        let value = self.value(shape).map_err(|all| faults.extend(all));
        let by = self.by(shape).map_err(|all| faults.extend(all.into_iter().map(|why| ("by", why))));
        let (Ok(wanted), Ok(value), Ok(by), true) = (wanted, value, by, faults.is_empty()) else { return Err(faults) };
        let labels = by.into_iter().map(|field| SeriesLabel::of_field(field, attribute(shape, field))).collect();
        let metric = CustomMetric {
            name: self.name.clone().leak(),
            shape,
            wanted,
            value,
            labels,
            definition: self.hash().leak(),
            summary: self.summary(),
        };
        let interned = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).intern(metric);
        interned.ok_or_else(|| {
            let most = limits::CUSTOM_METRICS_KNOWN;
            vec![("name", format!("more than {most} definitions were read since perfmon started; restart it to use further ones"))]
        })
    }

    fn value(&self, shape: &'static RecordShape) -> Result<CustomValue, Vec<CustomFault>> {
        match (self.value.trim(), &self.of) {
            ("ratio", None) => {
                Err(vec![("of", "is missing: a ratio needs two filters, `where` for the part and `of` for the whole".into())])
            }
            ("ratio", Some(of)) => match FieldFilter::new(shape, of) {
                Ok(of) => Ok(CustomValue::Ratio(of)),
                Err(all) => Err(all.into_iter().map(|why| ("of", why)).collect()),
            },
            (text, of) => {
                let value = if text == "count" { Ok(CustomValue::Count) } else { statistic_of(shape, text).map_err(|why| ("value", why)) };
                let misplaced = of.is_some().then(|| ("of", "goes with value = \"ratio\" only; leave it out".into()));
                match (value, misplaced) {
                    (Ok(value), None) => Ok(value),
                    (value, misplaced) => Err(value.err().into_iter().chain(misplaced).collect()),
                }
            }
        }
    }

    fn by(&self, shape: &'static RecordShape) -> Result<Vec<&'static RecordField>, Vec<String>> {
        let (mut fields, mut faults): (Vec<&'static RecordField>, _) = (Vec::new(), Vec::new());
        for name in &self.by {
            let labels = || shape.fields.iter().filter(|field| is_label(field)).map(|field| field.name);
            match shape.field(name) {
                Some(field) if !is_label(field) => faults.push(format!(
                    "{name} is a number, and each of its values would be a series; use a label such as {}",
                    labels().take(4).collect::<Vec<_>>().join(", ")
                )),
                Some(field) if fields.iter().any(|known| known.name == field.name) => {
                    faults.push(format!("{name} is given twice; leave one out"))
                }
                Some(field) => fields.push(field),
                None => faults.push(format!("records of kind {} have no label {name}; {}", shape.name, nearest(name, labels()))),
            }
        }
        if self.by.len() > LABELS {
            faults.push(format!("has {} labels; at most {LABELS} are kept", self.by.len()));
        }
        if faults.is_empty() { Ok(fields) } else { Err(faults) }
    }

    /// The definition in a form that is the same for equal ones.
    fn canonical(&self) -> String {
        let filter = |written: &WrittenFilter| {
            let mut sorted = written.clone();
            sorted.sort();
            sorted
        };
        format!("{:?} {:?} {:?} {:?} {:?}", self.from, filter(&self.wanted), self.of.as_ref().map(filter), self.value.trim(), self.by)
    }

    /// FNV-1a, 64 bits: it is kept on disk and must not change with the compiler.
    fn hash(&self) -> String {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        format!("{:016x}", self.canonical().bytes().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    fn summary(&self) -> String {
        let mut text = format!("{} of {} records", self.value.trim(), self.from);
        for (word, filter) in [("where", Some(&self.wanted)), ("of", self.of.as_ref())] {
            let Some(filter) = filter.filter(|filter| !filter.is_empty()) else { continue };
            let tests: Vec<String> = filter.iter().map(|(name, patterns)| format!("{name} {}", patterns.join(" or "))).collect();
            // Writing into a String does not fail.
            write!(text, " {word} {}", tests.join(", ")).ok();
        }
        if !self.by.is_empty() {
            write!(text, " by {}", self.by.join(", ")).ok();
        }
        text
    }
}

/// Whether the values of a field may tell series apart.
fn is_label(field: &RecordField) -> bool {
    matches!(field.form, FieldForm::Text | FieldForm::Code)
}

fn ill_formed(name: &str) -> Option<String> {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let mended = || {
        let plain: String = name.to_lowercase().chars().map(|letter| if fits(letter) { letter } else { '_' }).collect();
        plain.trim_start_matches(|letter: char| !letter.is_ascii_lowercase()).trim_end_matches('_').to_owned()
    };
    if name.is_empty() {
        return None; // said where the key is missing
    }
    let well_formed = name.chars().all(fits) && name.starts_with(|letter: char| letter.is_ascii_lowercase()) && !name.ends_with('_');
    if !well_formed {
        let offer = Some(mended()).filter(|name| !name.is_empty()).map_or(String::new(), |name| format!("; {name:?} would do"));
        return Some(format!("{name:?}: a name is lower-case letters, digits and _, begins with a letter and does not end with _{offer}"));
    }
    (name.len() > NAME_LENGTH).then(|| format!("is longer than {NAME_LENGTH} characters"))
}

/// `sum of response_bytes` or `response_bytes.sum`.
fn statistic_of(shape: &'static RecordShape, text: &str) -> Result<CustomValue, String> {
    const FORMS: &str =
        "write \"count\", \"ratio\", or a statistic of a field like \"sum of response_bytes\" or \"p95 of response_time_ms\"";
    // The number of values is that of records, `count`.
    let names = || Statistic::names().filter(|name| *name != "count").chain([MEAN_TOO]);
    let parts = text.split_once(" of ").or_else(|| text.rsplit_once('.').map(|(field, statistic)| (statistic, field)));
    let Some((statistic, name)) = parts.map(|(statistic, name)| (statistic.trim(), name.trim())) else {
        return Err(format!("{text:?} is not a value; {FORMS}"));
    };
    let known = Statistic::named(if statistic == MEAN_TOO { "mean" } else { statistic });
    let Some(statistic) = known.filter(|known| *known != Statistic::Count) else {
        return Err(format!("{statistic:?} is not a statistic; {}", nearest(statistic, names())));
    };
    let numbers = || shape.fields.iter().filter(|field| !is_label(field)).map(|field| field.name);
    let Some(field) = shape.field(name) else {
        return Err(format!("records of kind {} have no field {name}; {}", shape.name, nearest(name, numbers())));
    };
    match (field.form, statistic) {
        (FieldForm::Text | FieldForm::Code, _) => {
            let offer = numbers().collect::<Vec<_>>().join(", ");
            Err(format!("{name} is no number that can be summed up; use `where` with value = \"count\", or one of {offer}"))
        }
        (FieldForm::Number, Statistic::Quantile(_)) => {
            let durations: Vec<&str> =
                shape.fields.iter().filter(|field| field.form == FieldForm::Duration).map(|field| field.name).collect();
            Err(format!("no distribution is kept of {name}, only of durations ({}); use sum, mean, min or max", durations.join(", ")))
        }
        (_, statistic) => Ok(CustomValue::Of(field, statistic)),
    }
}

/// The attribute of a label outside.
fn attribute(shape: &RecordShape, field: &RecordField) -> &'static str {
    let kind = RecordKind::ALL.into_iter().find(|kind| kind.name() == shape.name);
    let of_kind = kind.and_then(|kind| kind.labels().iter().find(|label| label.name == field.name)).map(|label| label.attribute);
    let other = ATTRIBUTES.iter().find(|(name, _)| *name == field.name).map(|(_, attribute)| *attribute);
    let common = [("service", "service.name"), ("pid", "process.pid"), ("side", "side"), ("destination", "server.address")];
    let common = common.into_iter().find(|(name, _)| *name == field.name).map(|(_, attribute)| attribute);
    of_kind.or(common).or(other).unwrap_or_else(|| format!("perfmon.{}.{}", shape.name, field.name).leak())
}
