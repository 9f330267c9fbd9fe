//! Spans of agent runs and their tools (semantic conventions for generative AI agents).
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::{SeverityNumber, SpanContext, SpanDraft};
use crate::export::otlp::attribute::Attributes;
use crate::export::otlp::identity;
use crate::export::otlp::metrics::model::network_transport;
use crate::record::{Agent, Tool};

/// A run has a trace of its own.
pub fn context(run_id: &str) -> SpanContext {
    SpanContext { trace: identity::derived_trace(&["run", run_id]), span: identity::derived_span(&["run", run_id]), parent: None }
}

/// The span of a run.
pub fn run_span(run: &Agent) -> Span {
    // The agents view of Logfire needs a name.
    let name = run.agent_type.as_deref().unwrap_or(&run.origin.service);
    let mut attributes = Attributes::default();
    attributes
        .add("gen_ai.operation.name", "invoke_agent")
        .add("gen_ai.agent.name", name)
        .maybe("gen_ai.conversation.id", run.conversation_id.as_deref())
        .maybe("gen_ai.aggregated_usage.input_tokens", run.input_tokens)
        .maybe("gen_ai.aggregated_usage.output_tokens", run.output_tokens)
        .add("perfmon.agent_run_id", &*run.agent_run_id)
        .add("perfmon.status", run.status)
        .add("perfmon.llm_calls", run.llm_calls)
        .add("perfmon.tools_called", run.tools_called)
        // Not `operation.cost`: the calls carry it, and it would be summed twice.
        .maybe("perfmon.cost_usd", run.cost_usd)
        .add("perfmon.model_time_ms", run.model_time_ms.as_f64())
        .add("perfmon.tool_time_ms", run.tool_time_ms.as_f64())
        .add("perfmon.local_time_ms", run.local_time_ms.as_f64());
    let severity = match run.status {
        "error" => SeverityNumber::Error,
        "abandoned" => SeverityNumber::Warn,
        _ => SeverityNumber::Info,
    };
    let message = format!("{name}: {} model calls, {} tools", run.llm_calls, run.tools_called);
    SpanDraft {
        context: context(&run.agent_run_id),
        name: format!("invoke_agent {name}"),
        kind: SpanKind::Internal,
        start: run.time,
        duration: Some(run.execution_time_ms),
        severity,
        message,
        error_type: run.error_type.as_deref().map(str::to_owned),
        attributes,
    }
    .finish()
}

/// The span of a tool execution.
pub fn tool_span(tool: &Tool) -> Span {
    let is_mcp = tool.source == "mcp";
    let (call, time) = (tool.tool_call_id.as_deref().unwrap_or(""), tool.time.0.to_string());
    let run_id = tool.agent_run_id.as_deref();
    let parts = ["tool", run_id.unwrap_or(""), call, &tool.tool_name, &time];
    let run = run_id.map(context);
    let context = SpanContext {
        trace: run.map_or_else(|| identity::derived_trace(&parts), |run| run.trace),
        span: identity::derived_span(&parts),
        parent: run.map(|run| run.span),
    };
    let mut attributes = Attributes::default();
    attributes
        .add("gen_ai.operation.name", "execute_tool")
        .add("gen_ai.tool.name", &*tool.tool_name)
        .maybe("gen_ai.tool.call.id", tool.tool_call_id.as_deref())
        .add("gen_ai.tool.type", if is_mcp { "extension" } else { "function" })
        .maybe("gen_ai.agent.name", tool.agent_type.as_deref())
        .maybe("mcp.method.name", is_mcp.then_some("tools/call"))
        .maybe("network.transport", tool.transport.filter(|_| is_mcp).map(network_transport))
        .maybe("perfmon.mcp.server", tool.server.as_deref())
        .maybe("perfmon.agent_run_id", run_id)
        .add("perfmon.tool.source", tool.source);
    let failed = tool.success == Some(false);
    let error_type = tool.error_type.as_deref().map(str::to_owned).or_else(|| failed.then(|| "tool_error".to_string()));
    SpanDraft {
        context,
        name: if is_mcp { format!("tools/call {}", tool.tool_name) } else { format!("execute_tool {}", tool.tool_name) },
        kind: if is_mcp { SpanKind::Client } else { SpanKind::Internal },
        start: tool.time,
        duration: tool.execution_time_ms,
        severity: if error_type.is_some() { SeverityNumber::Error } else { SeverityNumber::Info },
        message: String::new(),
        error_type,
        attributes,
    }
    .finish()
}
