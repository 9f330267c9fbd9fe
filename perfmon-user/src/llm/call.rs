//! One model call under way. In: heads and body pieces of an exchange; out: whether the exchange is a model call, and its record.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use genai_prices::Calculator;

use crate::budget::{Allowance, Charge};
use crate::proto::exchange::{BodyPiece, Exchange, ExchangeId, RequestHead, ResponseHead};
use crate::record::{Llm, Millis, Side, WallTime};
use crate::redact;
use crate::stream::Content;

use super::answer::{Answer, AnswerField};
use super::api::{self, Api};
use super::body::{Body, MediaType, Outcome};
use super::coding::work::DecodingWork;
use super::detail::{identifier, shared_bytes, word};
use super::price::{Priced, cost};
use super::provider::{COMPATIBLE, OLLAMA_PORT, of_host, split_authority};
use super::request::{ModelRequest, RequestField};
use super::usage::{Convention, UsageField};
use super::{CallContext, Finished, Ids};

/// Headers in which agents put the id of their session.
const SESSIONS: [&str; 5] = ["x-claude-code-session-id", "x-session-id", "session_id", "session-id", "conversation_id"];
/// Headers in which providers put the id of the request.
const REQUEST_IDS: [&str; 2] = ["x-request-id", "request-id"];

/// What a piece of a body can add to a call's state: at least, and at most.
const GROWTH: [usize; 2] = [1024, 96 * 1024];
/// The same for one byte: a nested array costs most.
const GROWTH_A_BYTE: usize = 20;

/// A slot in the limit of open calls, released when the call is dropped.
pub(super) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// A permit if fewer than `most` are out.
    pub(super) fn take(open: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        if open.fetch_add(1, Ordering::Relaxed) < most {
            return Some(Self(Arc::clone(open)));
        }
        open.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the request is one of its API.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Yes,
    No,
    /// Not enough of the body was seen.
    Unknown,
}

/// A call, or an exchange that may be one.
pub(super) struct ModelCall {
    pub(super) exchange: ExchangeId,
    api: &'static Api,
    /// Provider by the host's name.
    known: Option<&'static str>,
    is_ollama_port: bool,
    request: ModelRequest,
    request_body: Body<RequestField>,
    answer: Answer,
    answer_body: Option<Body<AnswerField>>,
    answer_media: MediaType,
    request_id: Option<Arc<str>>,
    charge: Charge,
    of: Allowance,
    _permit: Permit,
}

/// The API and, by its host, the provider that a request may be for. `Authorization` and other secrets are not looked at.
pub(super) fn candidate(head: &RequestHead<'_>, destination: Option<&str>) -> Option<(&'static Api, Option<&'static str>)> {
    if head.method != "POST" {
        return None;
    }
    let api = api::at_path(path_of(head.target))?;
    let authority = authority_of(head).or(destination).unwrap_or_default();
    Some((api, of_host(split_authority(authority).0)))
}

impl ModelCall {
    /// A call whose memory is charged to `of`; `None` when there is none.
    pub(super) fn new(
        head: &RequestHead<'_>,
        (api, known): (&'static Api, Option<&'static str>),
        permit: Permit,
        of: Allowance,
    ) -> Option<Self> {
        let mut charge = Charge::default();
        charge.resize(2 * size_of::<Self>() + GROWTH[0], || of.clone()).ok()?;
        let mut request = ModelRequest::default();
        request.detail.user_agent = head.headers.text("user-agent").and_then(product);
        request.detail.conversation = SESSIONS.iter().find_map(|name| head.headers.text(name).and_then(identifier));
        let coding = head.headers.get("content-encoding").unwrap_or_default();
        Some(Self {
            exchange: head.exchange,
            api,
            known,
            is_ollama_port: authority_of(head).is_some_and(|authority| split_authority(authority).1 == Some(OLLAMA_PORT)),
            request,
            request_body: Body::new(&api.request, coding, MediaType::Other, of.clone()),
            answer: Answer::default(),
            answer_body: None,
            answer_media: MediaType::Other,
            request_id: None,
            charge,
            of,
            _permit: permit,
        })
    }

    /// Holds memory for all that a piece of a body can add to its state; false when there is none.
    pub(super) fn expect(&mut self, piece: &BodyPiece<'_>) -> bool {
        let Content::Bytes(bytes) = piece.content else { return true };
        let growth = if self.is_coded() { GROWTH[1] } else { (GROWTH[0] + bytes.len() * GROWTH_A_BYTE).min(GROWTH[1]) };
        self.charge.resize(self.own_bytes() + growth, || self.of.clone()).is_ok()
    }

    /// Holds what its state takes now.
    pub(super) fn settle(&mut self) {
        self.charge.shrink(self.own_bytes());
    }

    /// Whether a body of it passes a decoder.
    pub(super) fn is_coded(&self) -> bool {
        self.request_body.is_coded() || self.answer_body.as_ref().is_some_and(Body::is_coded)
    }

    /// Reads a piece of the request's body; false when it is no model call.
    pub(super) fn request_piece(&mut self, piece: &BodyPiece<'_>, work: &mut DecodingWork) -> bool {
        match piece.content {
            Content::Bytes(bytes) => self.request_body.push(bytes, work, &mut self.request),
            Content::Gap(_) | Content::Lost(_) | Content::Unknown => self.request_body.gap(),
        }
        let is_complete = self.request_body.outcome().documents > 0;
        self.known.is_some() || !is_complete || self.request_fit() != Fit::No
    }

    pub(super) fn response(&mut self, head: &ResponseHead<'_>) {
        let header = |name| head.headers.get(name).unwrap_or_default();
        self.answer_media = MediaType::of(header("content-type"));
        self.answer_body = Some(Body::new(&self.api.answer, header("content-encoding"), self.answer_media, self.of.clone()));
        self.request_id = REQUEST_IDS.iter().find_map(|name| head.headers.text(name).and_then(identifier));
        if header("server").starts_with(b"llama.cpp") {
            self.answer.engine = Some("llama_cpp");
        }
    }

    /// Reads a piece of the answer's body.
    pub(super) fn response_piece(&mut self, piece: &BodyPiece<'_>, work: &mut DecodingWork) -> bool {
        let Some(body) = &mut self.answer_body else { return true };
        self.answer.now_ns = piece.time_ns;
        match piece.content {
            Content::Bytes(bytes) => body.push(bytes, work, &mut self.answer),
            Content::Gap(_) | Content::Lost(_) | Content::Unknown => body.gap(),
        }
        true
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let decoder = |own, all| all - own;
        let request = decoder(self.request_body.own_bytes(), self.request_body.heap_bytes());
        let answer = self.answer_body.as_ref().map_or(0, |body| decoder(body.own_bytes(), body.heap_bytes()));
        self.own_bytes() + request + answer
    }

    /// The same without the decoders, which have their own charges.
    fn own_bytes(&self) -> usize {
        let texts = self.request.heap_bytes() + self.answer.heap_bytes() + shared_bytes(&self.request_id);
        // The list that it stands in grows to twice its size.
        2 * size_of::<Self>() + texts + self.request_body.own_bytes() + self.answer_body.as_ref().map_or(0, Body::own_bytes)
    }

    fn request_fit(&self) -> Fit {
        let outcome = self.request_body.outcome();
        let has = |parts: &u8| self.request.parts & parts == *parts;
        if self.api.request_parts.iter().any(has) {
            Fit::Yes
        } else if outcome.has_gap || outcome.undecodable || !outcome.has_bytes {
            Fit::Unknown
        } else {
            Fit::No
        }
    }

    /// Whether it was a model call, by its host or by the fields of request and answer.
    fn is_call(&self, exchange: &Exchange, answer: Outcome) -> bool {
        let is_error = exchange.status.is_some_and(|status| status >= 400) || self.answer.error.seen;
        let is_other = answer.documents > 0 && !answer.has_gap && !self.answer.fits && !is_error;
        match (self.known, self.request_fit()) {
            (Some(_), _) => true,
            (None, Fit::Yes) => !is_other,
            (None, Fit::Unknown) => self.answer.fits,
            (None, Fit::No) => false,
        }
    }

    /// The record, if it was a model call, and how many bodies could not be read.
    pub(super) fn finish(
        mut self,
        exchange: &Exchange,
        context: &CallContext<'_>,
        ids: Ids,
        prices: &Calculator,
        wall: impl Fn(u64) -> WallTime,
    ) -> Option<Finished> {
        self.request_body.finish(&mut self.request);
        if let Some(body) = &mut self.answer_body {
            body.finish(&mut self.answer);
        }
        let outcome = self.answer_body.as_ref().map(Body::outcome).unwrap_or_default();
        if !self.is_call(exchange, outcome) {
            return None;
        }
        let broken_bodies = [self.request_body.outcome(), outcome].iter().filter(|o| o.broken > 0 || o.undecodable).count();
        let mut record = self.record(exchange, context, ids, wall(exchange.start_ns), outcome);
        self.tokens_and_cost(&mut record, prices);
        let detail = &mut self.request.detail;
        detail.response = self.answer.id.take();
        detail.thread = exchange.thread;
        (detail.start_ns, detail.end_ns) = (exchange.start_ns, exchange.end_ns.unwrap_or(exchange.start_ns));
        record.conversation_id = detail.conversation.clone();
        Some(Finished { record: Box::new(record), detail: Box::new(self.request.detail), broken_bodies })
    }

    fn record(&self, exchange: &Exchange, context: &CallContext<'_>, ids: Ids, time: WallTime, outcome: Outcome) -> Llm {
        let since_start = |at: u64| Millis(at.saturating_sub(exchange.start_ns));
        let is_streamed = match self.answer_media {
            MediaType::Events => outcome.is_events || outcome.documents == 0,
            MediaType::Lines => true,
            MediaType::Other => outcome.is_events || outcome.documents > 1,
        };
        let stream = is_streamed || (!outcome.has_bytes && self.request.stream == Some(true));
        let timely = is_streamed && self.answer_body.as_ref().is_some_and(Body::is_timely);
        let content = &self.answer.content;
        Llm {
            time,
            origin: Arc::clone(context.origin),
            side: if exchange.server { Side::Server } else { Side::Client },
            provider: self.provider().into(),
            api: self.api.name,
            destination: context.destination.cloned(),
            peer: Arc::clone(context.peer),
            tls: context.tls,
            request_model: self.request.model.clone(),
            response_model: self.answer.model.clone(),
            stream,
            status_code: exchange.status,
            error_type: self.error_type(exchange, outcome, is_streamed),
            finish_reason: self.answer.finish.clone().or_else(|| self.answer.status.clone()),
            input_tokens: None,
            output_tokens: None,
            cache_read_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            token_source: None,
            cost_usd: None,
            cost_source: None,
            response_time_ms: exchange.end_ns.map(since_start),
            time_to_first_byte_ms: exchange.first_byte_ns.map(since_start),
            time_to_first_token_ms: content.first_ns.filter(|_| timely).map(since_start),
            output_tokens_per_second: None,
            chunk_gap_max_ms: content.gap_max_ns.filter(|_| timely).map(Millis),
            tool_calls: self.answer.tools.clone(),
            conversation_id: None,
            agent_type: None,
            agent_run_id: None,
            request_id: self.request_id.clone().or_else(|| self.answer.id.clone()),
            visibility: "plaintext",
            request_bytes: context.request_bytes,
            response_bytes: context.response_bytes,
            chunks: if is_streamed { content.events } else { 0 },
            trace_id: ids.trace_id,
            span_id: ids.span_id,
        }
    }

    /// By host, else by what the answer shows, else by port, else the API's own.
    fn provider(&self) -> &'static str {
        let by_port = || (self.is_ollama_port && self.api.provider == COMPATIBLE).then_some("ollama");
        self.known.or(self.answer.engine).or_else(by_port).unwrap_or(self.api.provider)
    }

    /// The provider's error type, else the status, else the failure of the exchange; `None` on success.
    fn error_type(&self, exchange: &Exchange, outcome: Outcome, is_streamed: bool) -> Option<Arc<str>> {
        let status = exchange.status.filter(|&status| status >= 400);
        if self.answer.error.seen || status.is_some() {
            let status = || status.map_or_else(|| "error".into(), |status| status.to_string().into());
            return Some(self.answer.error.word().unwrap_or_else(status));
        }
        if self.answer.ended {
            return None;
        }
        let has_end = self.answer.finish.is_some() || self.answer.usage.is_reported() || outcome.has_gap || outcome.undecodable;
        match exchange.failure {
            Some(failure) => Some(failure.name().into()),
            // HTTP ended the stream before the end marker of the API.
            None if is_streamed && !has_end && exchange.end_ns.is_some() => Some("truncated".into()),
            None => None,
        }
    }

    fn tokens_and_cost(&self, record: &mut Llm, prices: &Calculator) {
        // xAI's reasoning tokens come on top of its completion tokens, in its chat API only.
        let is_xai_chat = &*record.provider == "x-ai" && self.api.name == "chat";
        let usage = self.answer.usage.unified(Convention { output_excludes_reasoning: is_xai_chat, ..self.api.convention });
        record.input_tokens = usage.get(UsageField::Input);
        record.output_tokens = usage.get(UsageField::Output);
        record.cache_read_tokens = usage.get(UsageField::CacheRead);
        record.cache_write_tokens = usage.get(UsageField::CacheWrite);
        record.reasoning_tokens = usage.get(UsageField::Reasoning);
        record.token_source = usage.is_reported().then_some("reported");
        record.output_tokens_per_second = tokens_per_second(record);
        if self.answer.cost.is_some() {
            (record.cost_usd, record.cost_source) = (self.answer.cost, Some("provider"));
            return;
        }
        let is_priced = usage.get(UsageField::Input).is_some() && (usage.get(UsageField::Output).is_some() || self.api.is_input_only);
        let Some(model) = record.response_model.as_deref().or(record.request_model.as_deref()).filter(|_| is_priced) else { return };
        let call = Priced { provider: &record.provider, model, usage: &usage, tier: self.answer.tier.as_deref(), time: record.time };
        record.cost_usd = cost(prices, &call);
        record.cost_source = record.cost_usd.map(|_| "prices");
    }
}

/// Over the time after the first token when streamed, over the whole call otherwise.
fn tokens_per_second(record: &Llm) -> Option<f64> {
    let before = if record.stream { record.time_to_first_token_ms? } else { Millis(0) };
    let time_ns = record.response_time_ms?.0.checked_sub(before.0).filter(|&time_ns| time_ns > 0)?;
    Some(record.output_tokens? as f64 * 1e9 / time_ns as f64)
}

/// Path of a request target: absolute form reduced, query dropped (it may hold a key).
fn path_of(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    path.split(['?', '#']).next().unwrap_or(path)
}

/// `Host`, else the authority of an absolute-form target.
fn authority_of<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    let authority = head.headers.text("host").or_else(|| head.target.split_once("://").and_then(|(_, rest)| rest.split('/').next()));
    authority.map(redact::host)
}

/// The first product of a `User-Agent` with its version.
fn product(user_agent: &str) -> Option<Arc<str>> {
    word(user_agent.split([' ', '(']).next().unwrap_or_default())
}
