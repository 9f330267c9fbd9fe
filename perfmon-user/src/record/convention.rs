//! Names of fields by the OpenTelemetry conventions (semantic-conventions, `docs/gen-ai/gen-ai-metrics.md`,
//! `docs/db/database-metrics.md`), where there is one. The others
//! are `perfmon.<kind>.<field>`.
use super::Side;
use super::kind::RecordKind;
use super::metric::Field;

/// How a field of one side is called outside.
#[derive(Debug)]
pub struct OutsideName {
    kind: RecordKind,
    field: &'static str,
    side: Side,
    /// Name of the metric.
    pub name: &'static str,
    /// What tells it apart from other fields under this name.
    pub label: Option<(&'static str, &'static str)>,
}

static CONVENTIONS: &[OutsideName] = &[
    llm("response_time_ms", Side::Client, "gen_ai.client.operation.duration", None),
    llm("response_time_ms", Side::Server, "gen_ai.server.request.duration", None),
    llm("time_to_first_token_ms", Side::Client, "gen_ai.client.operation.time_to_first_chunk", None),
    llm("time_to_first_token_ms", Side::Server, "gen_ai.server.time_to_first_token", None),
    db("response_time_ms", "db.client.operation.duration"),
    llm("input_tokens", Side::Client, "gen_ai.client.token.usage", Some(("gen_ai.token.type", "input"))),
    llm("output_tokens", Side::Client, "gen_ai.client.token.usage", Some(("gen_ai.token.type", "output"))),
];

const fn llm(field: &'static str, side: Side, name: &'static str, label: Option<(&'static str, &'static str)>) -> OutsideName {
    OutsideName { kind: RecordKind::Llm, field, side, name, label }
}

const fn db(field: &'static str, name: &'static str) -> OutsideName {
    OutsideName { kind: RecordKind::Db, field, side: Side::Client, name, label: None }
}

impl Field {
    /// The convention for this field of a side.
    pub fn convention(&self, side: &str) -> Option<&'static OutsideName> {
        let mut conventions = CONVENTIONS.iter();
        conventions.find(|known| known.kind == self.kind && known.field == self.name && known.side.name() == side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_about_a_field() {
        for convention in CONVENTIONS {
            assert!(Field::named(convention.kind, convention.field).is_some(), "{convention:?}");
        }
    }
}
