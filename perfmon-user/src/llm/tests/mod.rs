//! Whole exchanges as the providers' APIs send them, played as messages of the HTTP parser.
mod anthropic;
mod bounds;
mod budgets;
mod ollama;
mod openai;
mod recognise;

use std::sync::Arc;

use crate::budget::Allowance;
use crate::proto::exchange::{BodyPiece, Exchange, Part, RequestHead, ResponseHead};
use crate::proto::headers::Headers;
use crate::record::{Llm, Origin, SpanId, WallTime};
use crate::stream::{Content, Failure};

use super::*;

const MS: u64 = 1_000_000;
const WALL: u64 = 1_795_341_599_000_000_000;

/// An exchange; times are milliseconds after its start.
#[derive(Clone)]
pub(crate) struct Talk {
    pub(crate) host: &'static str,
    pub(crate) target: &'static str,
    pub(crate) request_headers: Vec<(&'static str, &'static str)>,
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) answer: Vec<(u64, Vec<u8>)>,
    pub(crate) failure: Option<Failure>,
    pub(crate) end_ms: u64,
    /// Of the request; all other times are after it.
    pub(crate) start_ms: u64,
    pub(crate) thread: u32,
    pub(crate) server: bool,
}

impl Talk {
    pub(crate) fn new(host: &'static str, target: &'static str, request: impl Into<Vec<u8>>) -> Self {
        Self {
            host,
            target,
            request_headers: vec![("content-type", "application/json")],
            request: request.into(),
            status: 200,
            headers: vec![("content-type", "application/json")],
            answer: vec![],
            failure: None,
            end_ms: 0,
            start_ms: 1_000,
            thread: 42,
            server: false,
        }
    }

    /// A piece of the answer, at this time.
    pub(crate) fn at(mut self, ms: u64, bytes: impl Into<Vec<u8>>) -> Self {
        self.answer.push((ms, bytes.into()));
        self.end_ms = ms;
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    pub(crate) fn request_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.request_headers.push((name, value));
        self
    }

    pub(crate) fn fails(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }

    /// Server-sent events, one piece each: data of unnamed ones, or `event: name` and data.
    pub(crate) fn events(mut self, events: &[(u64, &str)]) -> Self {
        self = self.header("content-type", "text/event-stream; charset=utf-8");
        for (ms, event) in events {
            let text = if event.starts_with("event:") { format!("{event}\n\n") } else { format!("data: {event}\n\n") };
            self = self.at(*ms, text);
        }
        self
    }

    pub(crate) fn exchange(&self) -> Exchange {
        let body = self.answer.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        Exchange {
            id: 7,
            protocol: "http/1.1",
            status: Some(self.status).filter(|&status| status > 0),
            failure: self.failure,
            request_wire: self.request.len() as u64 + 200,
            response_wire: body + 150,
            server: self.server,
            thread: self.thread,
            start_ns: self.start_ms * MS,
            first_byte_ns: self.answer.first().map(|(ms, _)| (self.start_ms + ms) * MS),
            end_ns: Some((self.start_ms + self.end_ms) * MS),
            ..Exchange::default()
        }
    }

    /// Plays it with bodies cut into pieces of this size.
    pub(crate) fn play(&self, tracker: &mut LlmTracker, calls: &mut Calls, piece: usize, each: impl FnMut(&Calls)) -> Option<Finished> {
        self.play_charged(tracker, calls, piece, &Allowance::default(), each)
    }

    /// The same with memory from this share.
    pub(crate) fn play_charged(
        &self,
        tracker: &mut LlmTracker,
        calls: &mut Calls,
        piece: usize,
        of: &Allowance,
        mut each: impl FnMut(&Calls),
    ) -> Option<Finished> {
        let origin = Arc::new(Origin::unknown(77));
        let (peer, destination): (Arc<str>, Arc<str>) = ("192.0.2.7:443".into(), self.host.into());
        let context =
            CallContext { origin: &origin, tls: true, peer: &peer, destination: Some(&destination), request_bytes: 0, response_bytes: 0 };
        let request_lines = lines([("Host", self.host)].iter().chain(&self.request_headers));
        let start_ns = self.start_ms * MS;
        let head = RequestHead {
            exchange: 7,
            time_ns: start_ns,
            start_ns,
            thread: self.thread,
            direction: crate::stream::Direction::Out,
            method: "POST",
            target: self.target,
            headers: Headers::new(&request_lines),
        };
        let mut send = |message: Part<'_>| {
            tracker.on_part(calls, &message, context.destination.map(|name| &**name), || of.clone());
            each(calls);
        };
        send(Part::Request(head));
        for bytes in self.request.chunks(piece) {
            send(Part::RequestBody(BodyPiece { exchange: 7, time_ns: start_ns, content: content(bytes) }));
        }
        if self.status > 0 {
            let lines = lines(&self.headers);
            send(Part::Response(ResponseHead { exchange: 7, time_ns: start_ns + MS, status: self.status, headers: Headers::new(&lines) }));
        }
        for (ms, bytes) in &self.answer {
            for bytes in bytes.chunks(piece) {
                send(Part::ResponseBody(BodyPiece { exchange: 7, time_ns: start_ns + ms * MS, content: content(bytes) }));
            }
        }
        let ids = || Ids { trace_id: None, span_id: SpanId(start_ns) };
        tracker.on_done(calls, &self.exchange(), &context, ids, |at| WallTime(WALL + at))
    }

    pub(crate) fn finished(&self) -> Option<Finished> {
        self.play(&mut tracker(), &mut Calls::default(), usize::MAX, |_| {})
    }

    /// Its record and detail, the same for every piece size.
    pub(crate) fn call(&self) -> (Llm, CallDetail) {
        let whole = self.finished().expect("a model call");
        for piece in [1, 2, 3, 5, 17, 64, 1_000] {
            let cut = self.play(&mut tracker(), &mut Calls::default(), piece, |_| {}).expect("a model call");
            assert_eq!(cut.record, whole.record, "in pieces of {piece}");
            assert_eq!(cut.detail, whole.detail, "in pieces of {piece}");
        }
        (*whole.record, *whole.detail)
    }

    pub(crate) fn record(&self) -> Llm {
        self.call().0
    }
}

/// `GAP` in a body stands for bytes that were not captured.
pub(crate) const GAP: &[u8] = b"<<gap>>";

fn content(bytes: &[u8]) -> Content<'_> {
    if bytes == GAP { Content::Gap(1_000) } else { Content::Bytes(bytes) }
}

pub(crate) fn tracker() -> LlmTracker {
    LlmTracker::new(LlmOptions { calls: 4_096, ..options() })
}

fn options() -> LlmOptions {
    let work = WorkLimits { free_bytes: 1 << 20, ratio: 100, free_ns: 1_000_000, ns_a_byte: 100 };
    LlmOptions { calls: 3, calls_per_connection: 128, work, cpu_ns: || 0 }
}

/// A request of the chat API.
pub(crate) fn chat(model: &str, stream: bool) -> String {
    format!(
        r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"Say \"hi\""}}]}}"#
    )
}

fn text(value: &Option<Arc<str>>) -> Option<&str> {
    value.as_deref()
}

fn tokens(record: &Llm) -> [Option<u64>; 5] {
    [record.input_tokens, record.output_tokens, record.cache_read_tokens, record.cache_write_tokens, record.reasoning_tokens]
}

fn ms(value: Option<crate::record::Millis>) -> Option<f64> {
    value.map(|value| value.as_f64())
}

fn tools(record: &Llm) -> Vec<(Option<&str>, &str)> {
    record.tool_calls.iter().map(|tool| (tool.id.as_deref(), &*tool.name)).collect()
}

fn assert_cost(record: &Llm, expected: f64) {
    let cost = record.cost_usd.expect("a cost");
    assert!((cost - expected).abs() < 1e-12, "{cost} is not {expected}");
}

/// What genai-prices itself makes of a whole answer.
fn reference_cost(body: &str, provider: &str, flavor: &str) -> f64 {
    let request = genai_prices::ExtractRequest::new(body).with_provider_id(provider).with_api_flavor(flavor);
    let usage = genai_prices::extract_usage(&request).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(WALL);
    genai_prices::calculate(&usage.price_request().unwrap().with_timestamp(time)).unwrap().total_price
}

/// The lines of fields.
fn lines<'a>(fields: impl IntoIterator<Item = &'a (&'static str, &'a str)>) -> Vec<u8> {
    fields.into_iter().flat_map(|(name, value)| format!("{name}: {value}\r\n").into_bytes()).collect()
}
