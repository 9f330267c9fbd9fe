//! The body of a webhook by the user's template: text with fields like `{{message}}`. A template that begins with `{` or `[` is JSON, and
//! values are escaped for it. Parsing finds unknown fields, braces that are not closed, and JSON that is none.
use serde_json::Value;

use super::notification::Notification;

/// Likeness from which a name is probably meant, 0..1.
const LIKELY: f64 = 0.5;

type FieldReader = fn(&Notification) -> String;

/// Fields and how each is read.
const FIELDS: [(&str, FieldReader); 16] = [
    ("text", Notification::text),
    ("title", Notification::title),
    ("message", |it| it.alert.message.clone()),
    ("rule", |it| it.alert.rule.to_string()),
    ("state", |it| it.alert.state.name().into()),
    ("severity", |it| it.severity().to_lowercase()),
    ("type", |it| it.alert.kind_name.to_string()),
    ("metric", |it| it.alert.metric.to_string()),
    ("scope", |it| it.alert.scope.to_string()),
    ("service", |it| it.alert.origin.service.to_string()),
    ("host", |it| it.sender.host.to_string()),
    ("value", |it| it.alert.value.map(|value| value.to_string()).unwrap_or_default()),
    ("threshold", |it| it.alert.threshold.to_string()),
    ("alert_id", |it| it.alert.alert_id.to_string()),
    ("time", |it| it.alert.time.to_string()),
    ("link", |it| it.link().unwrap_or_default()),
];

enum TemplatePiece {
    Text(String),
    Field(FieldReader),
}

/// A checked template.
pub(super) struct Template {
    pieces: Vec<TemplatePiece>,
    is_json: bool,
}

impl Template {
    /// Reads a template; the error says what to change.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                return Err("a field is not closed; write fields like {{message}}".into());
            };
            pieces.push(TemplatePiece::Text(before.into()));
            pieces.push(TemplatePiece::Field(field(name.trim())?));
            rest = behind;
        }
        pieces.push(TemplatePiece::Text(rest.into()));
        let template = Self { pieces, is_json: text.trim_start().starts_with(['{', '[']) };
        if template.is_json
            && let Err(error) = serde_json::from_str::<Value>(&template.filled(|_| "0".into()))
        {
            return Err(format!("is no JSON when its fields are filled in: {error}"));
        }
        Ok(template)
    }

    /// The body of a notification.
    pub fn fill(&self, notification: &Notification) -> String {
        self.filled(|field| field(notification))
    }

    /// Media type of the body.
    pub fn content_type(&self) -> &'static str {
        if self.is_json { "application/json" } else { "text/plain; charset=utf-8" }
    }

    fn filled(&self, read: impl Fn(FieldReader) -> String) -> String {
        let piece = |piece: &TemplatePiece| match piece {
            TemplatePiece::Text(text) => text.clone(),
            TemplatePiece::Field(field) if self.is_json => escaped(read(*field)),
            TemplatePiece::Field(field) => read(*field),
        };
        self.pieces.iter().map(piece).collect()
    }
}

fn field(name: &str) -> Result<FieldReader, String> {
    if let Some((_, read)) = FIELDS.iter().find(|(known, _)| *known == name) {
        return Ok(*read);
    }
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
    let nearest = FIELDS.iter().map(|(known, _)| (likeness(known), *known)).max_by(|a, b| a.0.total_cmp(&b.0));
    Err(match nearest {
        Some((likeness, known)) if likeness >= LIKELY => format!("no field is named {name:?}; did you mean {known}?"),
        _ => format!("no field is named {name:?}; the fields are {}", FIELDS.map(|(known, _)| known).join(", ")),
    })
}

/// As the inside of a JSON string.
fn escaped(text: String) -> String {
    let quoted = Value::String(text).to_string();
    quoted[1..quoted.len() - 1].into()
}
