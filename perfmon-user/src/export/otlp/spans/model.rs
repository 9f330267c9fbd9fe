//! Spans of model calls (semantic conventions for generative AI). The HTTP exchange of the call is in the same span.
use opentelemetry_proto::tonic::trace::v1::Span;

use super::{SeverityNumber, SpanContext, SpanDraft, agent, http};
use crate::export::otlp::attribute::Attributes;
use crate::export::otlp::{identity, provider};
use crate::record::{Llm, Request, address};

/// The span of a call and its request.
pub fn span(call: &Llm, request: Option<&Request>) -> Span {
    let operation = provider::operation(call.api);
    let model = call.request_model.as_deref().or(call.response_model.as_deref());
    let name = model.map_or_else(|| operation.to_string(), |model| format!("{operation} {model}"));
    let mut attributes = Attributes::default();
    match request {
        Some(request) => http::add(&mut attributes, request),
        None => {
            let server = call.destination.as_deref().map(address);
            attributes
                .maybe("server.address", server.map(|(name, _)| name))
                .maybe("server.port", server.and_then(|(_, port)| port))
                .maybe("http.response.status_code", call.status_code.map(u64::from));
        }
    }
    add(&mut attributes, call, operation);
    SpanDraft {
        context: context(call, request),
        name,
        kind: http::kind(call.side),
        start: call.time,
        duration: call.response_time_ms.or(call.time_to_first_byte_ms),
        severity: if call.error_type.is_some() { SeverityNumber::Error } else { SeverityNumber::Info },
        message: model.map_or_else(String::new, |model| format!("{operation} with {model}")),
        error_type: call.error_type.as_deref().map(str::to_owned),
        attributes,
    }
    .finish()
}

/// The trace that the request carries, else that of the agent run, else one of its own.
fn context(call: &Llm, request: Option<&Request>) -> SpanContext {
    let span = identity::of_record(call.span_id);
    if let Some(request) = request
        && (request.trace_id.is_some() || request.parent_span_id.is_some())
    {
        return http::context(request);
    }
    if let Some(run) = &call.agent_run_id {
        let run = agent::context(run);
        return SpanContext { trace: run.trace, span, parent: Some(run.span) };
    }
    let trace = call.trace_id.as_deref().and_then(identity::trace_id).unwrap_or_else(|| identity::trace_of_record(call.span_id));
    SpanContext { trace, span, parent: None }
}

fn add(attributes: &mut Attributes, call: &Llm, operation: &str) {
    let seconds = |time: crate::record::Millis| time.0 as f64 / 1e9;
    attributes
        .add("gen_ai.operation.name", operation)
        .add("gen_ai.provider.name", provider::name(&call.provider))
        .add("gen_ai.system", &*call.provider)
        .maybe("gen_ai.request.model", call.request_model.as_deref())
        .maybe("gen_ai.response.model", call.response_model.as_deref())
        .maybe("gen_ai.response.id", call.request_id.as_deref())
        .maybe("gen_ai.response.finish_reasons", call.finish_reason.as_deref().as_ref().map(std::slice::from_ref))
        .maybe("gen_ai.usage.input_tokens", call.input_tokens)
        .maybe("gen_ai.usage.output_tokens", call.output_tokens)
        .maybe("gen_ai.usage.cache_read.input_tokens", call.cache_read_tokens)
        .maybe("gen_ai.usage.cache_creation.input_tokens", call.cache_write_tokens)
        .maybe("gen_ai.usage.reasoning.output_tokens", call.reasoning_tokens)
        .maybe("gen_ai.conversation.id", call.conversation_id.as_deref())
        .maybe("gen_ai.agent.name", call.agent_type.as_deref())
        .maybe("gen_ai.response.time_to_first_chunk", call.time_to_first_token_ms.map(seconds))
        .maybe("operation.cost", call.cost_usd)
        .maybe("perfmon.output_tokens_per_second", call.output_tokens_per_second)
        .maybe("perfmon.agent_run_id", call.agent_run_id.as_deref())
        .maybe("perfmon.visibility", Some(call.visibility).filter(|visibility| *visibility != "plaintext"));
    if !call.tool_calls.is_empty()
        && let Ok(calls) = serde_json::to_string(&call.tool_calls)
    {
        attributes
            .add("perfmon.tool_calls", calls)
            .add("logfire.json_schema", r#"{"type":"object","properties":{"perfmon.tool_calls":{"type":"array"}}}"#);
    }
}
