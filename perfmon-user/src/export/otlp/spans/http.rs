//! Spans of HTTP exchanges (semantic conventions for HTTP spans).
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::{SeverityNumber, SpanContext, SpanDraft};
use crate::export::otlp::attribute::Attributes;
use crate::export::otlp::metrics::http::{method, version};
use crate::export::otlp::{failure, identity};
use crate::record::{Quality, Request, Side, SpanId, address};

/// The trace that the exchange carries, else one of its own.
pub fn context(request: &Request) -> SpanContext {
    let span = identity::of_record(request.span_id);
    let carried = request.trace_id.as_deref().and_then(identity::trace_id);
    let parent = request.parent_span_id.as_deref().filter(|_| carried.is_some() || request.link.is_some());
    let parent = parent.and_then(identity::span_id).filter(|parent| *parent != span);
    // A request that carries no trace has its own, which its calls join.
    let trace = carried.unwrap_or_else(|| identity::trace_of_record(parent.map_or(request.span_id, |id| SpanId(u64::from_be_bytes(id)))));
    SpanContext { trace, span, parent }
}

/// The span of a connect() that failed.
fn attempt_span(request: &Request) -> Span {
    let destination = request.destination.as_deref().unwrap_or(&request.peer);
    let (server, peer) = (address(destination), address(&request.peer));
    let mut attributes = Attributes::default();
    attributes
        .add("network.transport", "tcp")
        .add("network.peer.address", peer.0)
        .maybe("network.peer.port", peer.1)
        .add("server.address", server.0)
        .maybe("server.port", server.1);
    SpanDraft {
        context: context(request),
        name: "connect".into(),
        kind: kind(request.side),
        start: request.time,
        duration: request.connect_time_ms,
        severity: severity(request),
        message: format!("connect {destination}"),
        error_type: failure::of(request).map(failure::name),
        attributes,
    }
    .finish()
}

/// The span of an exchange.
pub fn span(request: &Request) -> Span {
    if request.is_attempt() {
        return attempt_span(request);
    }
    let method = method(request.method.as_deref());
    let verb = if method == "_OTHER" { "HTTP" } else { method };
    let template = request.endpoint.as_deref().filter(|_| request.side == Side::Server);
    let shown = request.path.as_deref().or(request.endpoint.as_deref()).unwrap_or("(unknown)");
    let status = request.status_code.map_or(String::new(), |status| format!(" → {status}"));
    let place_of_client = request.destination.as_deref().filter(|_| request.side == Side::Client).unwrap_or("");
    let failure = failure::of(request);
    let mut attributes = Attributes::default();
    attributes.maybe("network.peer.address", Some(address(&request.peer).0)).maybe("network.peer.port", address(&request.peer).1);
    add(&mut attributes, request);
    SpanDraft {
        context: context(request),
        name: template.map_or_else(|| verb.to_string(), |template| format!("{verb} {template}")),
        kind: kind(request.side),
        start: request.time,
        duration: request.response_time_ms.or(request.time_to_first_byte_ms),
        severity: severity(request),
        message: format!("{verb} {place_of_client}{shown}{status}"),
        error_type: failure.map(failure::name),
        attributes,
    }
    .finish()
}

/// SERVER or CLIENT.
pub fn kind(side: Side) -> SpanKind {
    match side {
        Side::Server => SpanKind::Server,
        Side::Client => SpanKind::Client,
    }
}

/// Failed exchanges are errors, 4xx a warning.
pub fn severity(request: &Request) -> SeverityNumber {
    match request.status_code {
        _ if request.is_error() => SeverityNumber::Error,
        Some(400..) => SeverityNumber::Warn,
        _ => SeverityNumber::Info,
    }
}

/// The attributes of the exchange, except those of its failure.
pub fn add(attributes: &mut Attributes, request: &Request) {
    let scheme = if request.tls { "https" } else { "http" };
    attributes
        .add("http.request.method", method(request.method.as_deref()))
        .add("url.scheme", scheme)
        .add("network.protocol.name", "http")
        .add("network.protocol.version", version(request.protocol))
        .maybe("url.path", request.path.as_deref())
        .maybe("http.response.status_code", request.status_code.map(u64::from))
        .maybe("http.request.body.size", request.request_size)
        .maybe("http.response.body.size", request.response_size)
        .maybe("rpc.grpc.status_code", request.grpc_status.map(u64::from))
        .maybe("user_agent.original", request.user_agent.as_deref())
        .maybe("perfmon.time_to_first_byte_ms", request.time_to_first_byte_ms.map(|time| time.as_f64()))
        .maybe("perfmon.connect_time_ms", request.connect_time_ms.map(|time| time.as_f64()))
        .maybe("http.request.resend_count", request.resend_count.map(u64::from))
        .maybe("perfmon.tls_time_ms", request.tls_time_ms.map(|time| time.as_f64()))
        .maybe("perfmon.queue_time_ms", request.queue_time_ms.map(|time| time.as_f64()))
        .maybe("perfmon.streaming", request.streaming.then_some(true))
        .maybe("perfmon.quality", quality(request.quality));
    match request.side {
        Side::Server => {
            let host = request.host.as_deref().map(address);
            attributes
                .maybe("http.route", request.endpoint.as_deref())
                .add("client.address", address(&request.peer).0)
                .maybe("server.address", host.map(|(name, _)| name))
                .maybe("server.port", host.and_then(|(_, port)| port));
        }
        Side::Client => {
            let destination = request.destination.as_deref();
            let server = destination.map(address);
            let full = destination.zip(request.path.as_deref()).map(|(server, path)| format!("{scheme}://{server}{path}"));
            attributes
                .maybe("url.full", full)
                .maybe("server.address", server.map(|(name, _)| name))
                .maybe("server.port", server.and_then(|(_, port)| port));
        }
    }
}

/// How far to trust it, unless it is exact.
fn quality(quality: Quality) -> Option<&'static str> {
    match quality {
        Quality::Exact => None,
        Quality::Inferred => Some("inferred"),
        Quality::Estimated => Some("estimated"),
    }
}
