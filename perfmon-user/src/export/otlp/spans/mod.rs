//! Spans. Slow and failed requests and database commands, model calls, agent runs and tools always become one; other requests are sampled by their trace at the
//! configured rate; spans over the limit are counted. A model call and its request are one span.
//!
//! A request that carries `traceparent` joins that trace. Model calls and tools of an agent run are children of the run's span, in the
//! run's own trace, unless the call carries a trace.
mod agent;
mod database;
mod http;
mod model;

use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use rustc_hash::{FxHashMap, FxHashSet};

use super::attribute::Attributes;
use super::identity;
use super::resource::{self, Resources};
use crate::limits;
use crate::record::{Category, Db, Millis, Origin, Record, Request, Side, SpanId, WallTime};

/// Longest name or message.
const TEXT_BYTES: usize = 512;

/// Spans that wait for the next delivery.
#[derive(Debug)]
pub struct Spans {
    rate: f64,
    waiting: FxHashMap<Arc<Origin>, Vec<Span>>,
    count: usize,
    left_out: u64,
}

/// How bad a span or log record is, by the numbers of OpenTelemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeverityNumber {
    /// As it should be.
    Info = 9,
    /// Worth a look.
    Warn = 13,
    /// Failed.
    Error = 17,
}

/// Trace, span and parent of a span.
#[derive(Clone, Copy, Debug)]
struct SpanContext {
    trace: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
}

impl Spans {
    /// None yet; `rate` is the share of ordinary requests.
    pub fn new(rate: f64) -> Self {
        Self { rate, waiting: FxHashMap::default(), count: 0, left_out: 0 }
    }

    /// Takes records that finished together: a model call always comes with its request.
    pub fn add(&mut self, records: &[Record]) {
        let calls: FxHashSet<SpanId> = records.iter().filter_map(call_span_id).collect();
        let mut requests: FxHashMap<SpanId, &Request> = FxHashMap::default();
        for record in records {
            match record {
                Record::Request(request) if calls.contains(&request.span_id) => {
                    requests.insert(request.span_id, request);
                }
                Record::Request(request) => self.request(request),
                Record::Db(command) => self.command(command),
                _ => {}
            }
        }
        for record in records {
            match record {
                Record::Llm(call) => {
                    let request = requests.get(&call.span_id).copied();
                    self.push(&call.origin, limits::EXPORT_SPANS, || model::span(call, request));
                }
                Record::Agent(run) => self.push(&run.origin, limits::EXPORT_SPANS, || agent::run_span(run)),
                Record::Tool(tool) => self.push(&tool.origin, limits::EXPORT_SPANS, || agent::tool_span(tool)),
                _ => {}
            }
        }
    }

    fn request(&mut self, request: &Request) {
        if !request.counts() {
            return;
        }
        let always = request.is_error() || request.performance_category == Some(Category::Slow);
        if always || identity::position(http::context(request).trace) < self.rate {
            self.push(&request.origin, limits::EXPORT_REQUEST_SPANS, || http::span(request));
        } else {
            self.left_out += 1;
        }
    }

    /// The client's side: its spans join those of the requests for which the commands were made.
    fn command(&mut self, command: &Db) {
        if command.side != Side::Client {
            return;
        }
        let is_slow = command.latency().is_some_and(|latency| Category::of(latency) == Category::Slow);
        if command.error.is_some() || is_slow || identity::position(database::context(command).trace) < self.rate {
            self.push(&command.origin, limits::EXPORT_COMMAND_SPANS, || database::span(command));
        } else {
            self.left_out += 1;
        }
    }

    fn push(&mut self, origin: &Arc<Origin>, most: usize, make: impl FnOnce() -> Span) {
        if self.count >= most {
            self.left_out += 1;
            return;
        }
        self.count += 1;
        self.waiting.entry(origin.clone()).or_default().push(make());
    }

    /// The spans by resource, and how many were left out; none wait after it.
    pub fn take(&mut self, resources: &mut Resources) -> (Vec<ResourceSpans>, u64) {
        self.count = 0;
        let of_resource = |(origin, spans): (Arc<Origin>, Vec<Span>)| ResourceSpans {
            resource: Some(resources.resource(&origin)),
            scope_spans: vec![ScopeSpans { scope: Some(resource::scope("perfmon")), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        };
        (self.waiting.drain().map(of_resource).collect(), std::mem::take(&mut self.left_out))
    }
}

/// The span of a model call.
fn call_span_id(record: &Record) -> Option<SpanId> {
    match record {
        Record::Llm(call) => Some(call.span_id),
        _ => None,
    }
}

/// What every span has.
struct SpanDraft {
    context: SpanContext,
    name: String,
    kind: opentelemetry_proto::tonic::trace::v1::span::SpanKind,
    start: WallTime,
    duration: Option<Millis>,
    severity: SeverityNumber,
    /// Text in lists of spans; the name when empty.
    message: String,
    /// What kind of failure it was.
    error_type: Option<String>,
    attributes: Attributes,
}

impl SpanDraft {
    fn finish(mut self) -> Span {
        let name = cut(self.name);
        let message = if self.message.is_empty() { name.clone() } else { cut(self.message) };
        let failed = self.severity == SeverityNumber::Error;
        let status = failed.then(|| Status { code: StatusCode::Error as i32, message: self.error_type.clone().unwrap_or_default() });
        self.attributes
            .maybe("error.type", self.error_type)
            .add("logfire.msg", message)
            .add("logfire.level_num", self.severity as u64)
            .add("logfire.span_type", "span");
        Span {
            trace_id: self.context.trace.to_vec(),
            span_id: self.context.span.to_vec(),
            parent_span_id: self.context.parent.map(Vec::from).unwrap_or_default(),
            name,
            kind: self.kind as i32,
            start_time_unix_nano: self.start.0,
            end_time_unix_nano: self.start.0 + self.duration.map_or(0, |duration| duration.0),
            attributes: self.attributes.take(),
            status,
            ..Span::default()
        }
    }
}

/// Truncates a long text at a character boundary.
pub fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES {
        let end = (0..=TEXT_BYTES - '…'.len_utf8()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("short".into()), "short");
        for text in ["x".repeat(600), "é".repeat(300), format!("x{}", "é".repeat(300))] {
            let cut = cut(text.clone());
            assert!(cut.len() <= TEXT_BYTES && cut.len() > TEXT_BYTES - 5 && cut.ends_with('…'));
            assert!(text.starts_with(cut.trim_end_matches('…')));
        }
    }
}
