//! Model calls: duration, tokens, first content, cost; and tool calls over MCP. Tokens and cost are counted on the caller's side only, so
//! that a model server on the same host does not count them twice.
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::metric_set::MetricSet;
use super::series::{SeriesKind, SeriesSums, SumKey};
use crate::export::otlp::attribute::Attributes;
use crate::export::otlp::exponential::Distribution;
use crate::export::otlp::instrument as of;
use crate::export::otlp::provider;
use crate::record::{Llm, Side, Tool, address};

/// Key of a series of model calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelKey(Option<KnownModel>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct KnownModel {
    side: Side,
    provider: Arc<str>,
    operation: &'static str,
    request_model: Option<Arc<str>>,
    response_model: Option<Arc<str>>,
    destination: Option<Arc<str>>,
    error_type: Option<Arc<str>>,
}

impl ModelKey {
    /// The series of a call.
    pub fn of(call: &Llm) -> Self {
        Self(Some(KnownModel {
            side: call.side,
            provider: call.provider.clone(),
            operation: provider::operation(call.api),
            request_model: call.request_model.clone(),
            response_model: call.response_model.clone(),
            destination: call.destination.clone(),
            error_type: call.error_type.clone(),
        }))
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = Attributes::default();
        let Some(known) = &self.0 else { return attributes.add("otel.metric.overflow", true).take() };
        let place = known.destination.as_deref().map(address);
        attributes
            .add("gen_ai.operation.name", known.operation)
            .add("gen_ai.provider.name", provider::name(&known.provider))
            .add("gen_ai.system", &*known.provider)
            .maybe("gen_ai.request.model", known.request_model.as_deref())
            .maybe("gen_ai.response.model", known.response_model.as_deref())
            .maybe("server.address", place.map(|(host, _)| host))
            .maybe("server.port", place.and_then(|(_, port)| port))
            .maybe("error.type", known.error_type.as_deref());
        attributes.take()
    }
}

impl SumKey for ModelKey {
    const KIND: SeriesKind = SeriesKind::Model;

    fn overflow() -> Self {
        Self(None)
    }
}

/// What a series of model calls counted.
#[derive(Debug, Default)]
pub struct ModelSums {
    duration: Distribution,
    input: Distribution,
    output: Distribution,
    first_chunk: Distribution,
    cost: Distribution,
    server_duration: Distribution,
    server_first_token: Distribution,
}

impl SeriesSums for ModelSums {
    fn is_empty(&self) -> bool {
        let Self { duration, input, output, first_chunk, cost, server_duration, server_first_token } = self;
        [duration, input, output, first_chunk, cost, server_duration, server_first_token].into_iter().all(Distribution::is_empty)
    }

    fn clear(&mut self) {
        let Self { duration, input, output, first_chunk, cost, server_duration, server_first_token } = self;
        [duration, input, output, first_chunk, cost, server_duration, server_first_token].into_iter().for_each(Distribution::clear);
    }
}

impl ModelSums {
    /// Counts a call.
    pub fn add(&mut self, call: &Llm) {
        let (duration, first) = match call.side {
            Side::Client => (&mut self.duration, &mut self.first_chunk),
            Side::Server => (&mut self.server_duration, &mut self.server_first_token),
        };
        call.response_time_ms.into_iter().for_each(|time| duration.record(time.0));
        call.time_to_first_token_ms.into_iter().for_each(|time| first.record(time.0));
        if call.side == Side::Client {
            call.input_tokens.into_iter().for_each(|tokens| self.input.record(tokens));
            call.output_tokens.into_iter().for_each(|tokens| self.output.record(tokens));
            let nano_dollars = call.cost_usd.map(|cost| (cost / of::MODEL_COST.scale).round() as u64);
            nano_dollars.into_iter().for_each(|cost| self.cost.record(cost));
        }
    }

    /// Adds the sums to the metric set.
    pub fn write(&self, key: &ModelKey, metric_set: &mut MetricSet) {
        let attributes = key.attributes();
        for (tokens, of_type) in [(&self.input, "input"), (&self.output, "output")] {
            let mut attributes_of_type = attributes.clone();
            attributes_of_type.extend(Attributes::default().add("gen_ai.token.type", of_type).take());
            metric_set.distribution(&of::MODEL_TOKENS, tokens, attributes_of_type);
        }
        let distributions = [
            (&of::MODEL_DURATION, &self.duration),
            (&of::MODEL_FIRST_CHUNK, &self.first_chunk),
            (&of::MODEL_COST, &self.cost),
            (&of::MODEL_SERVER_DURATION, &self.server_duration),
            (&of::MODEL_SERVER_FIRST_TOKEN, &self.server_first_token),
        ];
        metric_set.distributions(distributions, attributes);
    }
}

/// Key of a series of MCP tools.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct McpKey(Option<McpTool>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct McpTool {
    name: Arc<str>,
    transport: Option<&'static str>,
    error_type: Option<Arc<str>>,
}

impl McpKey {
    /// The series of a tool call; `None` when it is not over MCP.
    pub fn of(tool: &Tool) -> Option<Self> {
        let Tool { tool_name, transport, error_type, .. } = tool;
        let key = || McpTool { name: tool_name.clone(), transport: *transport, error_type: error_type.clone() };
        (tool.source == "mcp").then(|| Self(Some(key())))
    }
}

impl SumKey for McpKey {
    const KIND: SeriesKind = SeriesKind::Mcp;

    fn overflow() -> Self {
        Self(None)
    }
}

/// What a series of MCP tools counted.
#[derive(Debug, Default)]
pub struct McpSums(Distribution);

impl SeriesSums for McpSums {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl McpSums {
    /// Counts a tool call.
    pub fn add(&mut self, tool: &Tool) {
        tool.execution_time_ms.into_iter().for_each(|time| self.0.record(time.0));
    }

    /// Adds the sums to the metric set.
    pub fn write(&self, key: &McpKey, metric_set: &mut MetricSet) {
        let mut attributes = Attributes::default();
        match &key.0 {
            None => {
                attributes.add("otel.metric.overflow", true);
            }
            Some(McpTool { name, transport, error_type }) => {
                attributes
                    .add("mcp.method.name", "tools/call")
                    .add("gen_ai.tool.name", &**name)
                    .maybe("network.transport", transport.map(network_transport))
                    .maybe("error.type", error_type.as_deref());
            }
        }
        metric_set.distribution(&of::MCP_DURATION, &self.0, attributes.take());
    }
}

/// `network.transport` of an MCP transport.
pub fn network_transport(transport: &str) -> &'static str {
    if transport == "stdio" { "pipe" } else { "tcp" }
}
