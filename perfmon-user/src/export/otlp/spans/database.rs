//! Spans of database commands (semantic conventions for database client spans).
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::{SeverityNumber, SpanContext, SpanDraft};
use crate::export::otlp::identity;
use crate::export::otlp::metrics::database::KnownCommand;
use crate::record::{Db, address};

/// The trace of the request for which it was made, else one of its own.
pub fn context(command: &Db) -> SpanContext {
    let carried = command.trace_id.as_deref().and_then(identity::trace_id);
    SpanContext {
        trace: carried.unwrap_or_else(|| identity::trace_of_record(command.parent_span_id.unwrap_or(command.span_id))),
        span: identity::of_record(command.span_id),
        parent: command.parent_span_id.map(identity::of_record),
    }
}

/// The span of a command.
pub fn span(command: &Db) -> Span {
    let operation = command.operation.as_deref().unwrap_or(command.system);
    let mut attributes = KnownCommand::of(command).attributes();
    attributes
        .maybe("db.query.text", command.query.as_deref())
        .maybe("db.response.returned_rows", command.rows)
        .add("network.peer.address", address(&command.peer).0)
        .maybe("network.peer.port", address(&command.peer).1);
    SpanDraft {
        context: context(command),
        name: command.target.as_deref().map_or_else(|| operation.to_owned(), |target| format!("{operation} {target}")),
        kind: SpanKind::Client,
        start: command.time,
        duration: command.response_time_ms.or(command.time_to_first_byte_ms),
        severity: if command.error.is_some() { SeverityNumber::Error } else { SeverityNumber::Info },
        message: command.query.as_deref().unwrap_or_default().to_owned(),
        error_type: command.error.as_deref().map(str::to_owned),
        attributes,
    }
    .finish()
}
