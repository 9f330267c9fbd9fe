//! A compiled filter: tests on fields of one kind of record. In: field names and patterns as written; out: whether a record passes, or every
//! problem of the patterns. A pattern is a text in which `*` stands for any part, a number, a comparison like `>= 500`, or `!= pattern`; of
//! several patterns for a field one must fit, of several fields all.
use super::nearest;
use crate::record::readable::{FieldForm, FieldValue, RecordField, RecordShape};
use crate::record::{Record, matches};

/// Patterns by field name, as written.
pub type WrittenFilter = Vec<(String, Vec<String>)>;

/// The filter.
#[derive(Debug, Default)]
pub struct FieldFilter(Vec<(&'static RecordField, Vec<FieldTest>)>);

#[derive(Debug, PartialEq)]
enum FieldTest {
    Is(String),
    Not(String),
    Equals(f64),
    Above(f64),
    AtLeast(f64),
    Below(f64),
    AtMost(f64),
}

/// Fields with few values.
const WORDS: [(&str, &[&str]); 10] = [
    ("side", &["server", "client"]),
    ("tls", &["true", "false"]),
    ("streaming", &["true", "false"]),
    ("stream", &["true", "false"]),
    ("success", &["true", "false"]),
    ("performance_category", &["fast", "moderate", "slow"]),
    ("quality", &["exact", "inferred", "estimated"]),
    ("severity", &["info", "warning", "critical"]),
    ("state", &["pending", "firing", "acknowledged", "resolved", "silenced"]),
    ("token_source", &["reported", "estimated"]),
];

/// Values that codes can have.
const CODES: [(&str, f64, f64); 2] = [("status_code", 100.0, 599.0), ("grpc_status", 0.0, 16.0)];

impl FieldFilter {
    /// Compiles patterns; the errors name the field.
    pub fn new(shape: &RecordShape, written: &WrittenFilter) -> Result<Self, Vec<String>> {
        let (mut tests, mut faults) = (Vec::new(), Vec::new());
        for (name, patterns) in written {
            let Some(field) = shape.field(name) else {
                let known = nearest(name, shape.fields.iter().map(|field| field.name));
                faults.push(format!("records of kind {} have no field {name}; {known}", shape.name));
                continue;
            };
            let (mut of_field, mut wrong) = (Vec::new(), false);
            for pattern in patterns {
                match FieldTest::new(field, pattern) {
                    Ok(test) => of_field.push(test),
                    Err(why) => {
                        wrong = true;
                        faults.push(format!("{name}: {why}"));
                    }
                }
            }
            if patterns.is_empty() && !wrong {
                faults.push(format!("{name}: the list is empty, so nothing would pass; name a value or leave the field out"));
            }
            tests.push((field, of_field));
        }
        let given = |name: &str| tests.iter().any(|(field, _)| field.name == name);
        // As alert rules do: what is served here. Calls and commands that this host makes and answers itself are counted once.
        let side = match shape.name {
            "request" if given("destination") => Some("client"),
            "request" => Some("server"),
            "llm" | "db" => Some("client"),
            _ => None,
        };
        if let Some((side, field)) = side.filter(|_| !given("side")).zip(shape.field("side")) {
            tests.push((field, vec![FieldTest::Is(side.into())]));
        }
        if faults.is_empty() { Ok(Self(tests)) } else { Err(faults) }
    }

    /// Whether a record passes.
    pub fn takes(&self, record: &Record) -> bool {
        self.0.iter().all(|(field, tests)| field.value(record).is_some_and(|value| tests.iter().any(|test| test.holds(value))))
    }
}

impl FieldTest {
    fn new(field: &RecordField, written: &str) -> Result<Self, String> {
        let written = written.trim();
        let comparisons: [(&str, fn(f64) -> Self); 4] =
            [(">=", Self::AtLeast), ("<=", Self::AtMost), (">", Self::Above), ("<", Self::Below)];
        if let Some((sign, make)) = comparisons.into_iter().find(|(sign, _)| written.starts_with(sign)) {
            let number = written[sign.len()..].trim();
            return match number.parse::<f64>().ok().filter(|number| number.is_finite()) {
                _ if field.form == FieldForm::Text => {
                    Err(format!("{written:?} compares numbers, and the field is a text; use a pattern like \"shop*\""))
                }
                None => Err(format!("{number:?} is not a number; write for example \"{sign} 500\"")),
                Some(number) => possible(field, make(number), written),
            };
        }
        if let Some(pattern) = written.strip_prefix("!=") {
            return Ok(Self::Not(checked_text(field, pattern.trim(), true)?));
        }
        match field.form {
            FieldForm::Text => Ok(Self::Is(checked_text(field, written, false)?)),
            FieldForm::Code if written.contains('*') => Ok(Self::Is(checked_text(field, written, false)?)),
            _ => match written.parse::<f64>().ok().filter(|number| number.is_finite()) {
                Some(number) => possible(field, Self::Equals(number), written),
                None => Err(format!("{written:?} is not a number; write for example 200 or \">= 500\"")),
            },
        }
    }

    fn holds(&self, value: FieldValue<'_>) -> bool {
        match (self, value) {
            (Self::Is(pattern), FieldValue::Text(text)) => matches(pattern, text),
            (Self::Is(pattern), FieldValue::Word(word)) => matches(pattern, word),
            (Self::Is(pattern), FieldValue::Whole(number)) => matches(pattern, &number.to_string()),
            (Self::Not(pattern), FieldValue::Text(text)) => !matches(pattern, text),
            (Self::Not(pattern), FieldValue::Word(word)) => !matches(pattern, word),
            (Self::Not(pattern), FieldValue::Whole(number)) => !matches(pattern, &number.to_string()),
            (Self::Is(pattern), FieldValue::Number(number)) => pattern.parse() == Ok(number),
            (Self::Not(pattern), FieldValue::Number(number)) => pattern.parse() != Ok(number),
            (test, FieldValue::Whole(number)) => test.compares(number as f64),
            (test, FieldValue::Number(number)) => test.compares(number),
            (_, FieldValue::Text(_) | FieldValue::Word(_)) => false,
        }
    }

    fn compares(&self, value: f64) -> bool {
        match self {
            Self::Equals(number) => value == *number,
            Self::Above(number) => value > *number,
            Self::AtLeast(number) => value >= *number,
            Self::Below(number) => value < *number,
            Self::AtMost(number) => value <= *number,
            Self::Is(_) | Self::Not(_) => false,
        }
    }
}

/// A pattern of a text that can fit at all.
fn checked_text(field: &RecordField, pattern: &str, negated: bool) -> Result<String, String> {
    let words = WORDS.iter().find(|(name, _)| *name == field.name).map(|(_, words)| *words);
    if let Some(words) = words.filter(|words| !words.iter().any(|word| matches(pattern, word))) {
        return Err(format!("{pattern:?} is none of its values; {}", nearest(pattern, words.iter().copied())));
    }
    if matches!(field.name, "endpoint" | "path") && !negated && !pattern.starts_with(['/', '*']) {
        return Err(format!("{pattern:?} fits nothing, because it begins with \"/\"; write \"/{pattern}\" or \"*{pattern}\""));
    }
    let is_code = field.form == FieldForm::Code;
    if is_code && !pattern.chars().all(|letter| letter.is_ascii_digit() || letter == '*') {
        return Err(format!("{pattern:?} is no pattern of numbers; write for example 201, \"5*\" or \">= 500\""));
    }
    Ok(if field.name == "method" { pattern.to_uppercase() } else { pattern.to_owned() })
}

/// A comparison that can hold at all.
fn possible(field: &RecordField, test: FieldTest, written: &str) -> Result<FieldTest, String> {
    let (least, most) =
        CODES.iter().find(|(name, ..)| *name == field.name).map_or((0.0, f64::INFINITY), |(_, least, most)| (*least, *most));
    // A growth is below 0 too.
    let signed = field.name.contains("growth");
    let never = match test {
        FieldTest::Equals(number) => number < least || number > most,
        FieldTest::Above(number) => number >= most,
        FieldTest::AtLeast(number) => number > most,
        FieldTest::Below(number) => number <= least,
        FieldTest::AtMost(number) => number < least,
        FieldTest::Is(_) | FieldTest::Not(_) => false,
    };
    if never && !signed {
        let range = if most.is_finite() { format!("from {least} to {most}") } else { format!("{least} or more") };
        return Err(format!("{written} never holds: its values are {range}"));
    }
    Ok(test)
}
