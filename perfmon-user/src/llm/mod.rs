//! Model calls seen in HTTP exchanges: [`Part`]s of a connection in, one `llm` record for each call out (docs/records.md), and beside it
//! the shape of its history for `agent`. Recognised by host and by path with body shape; bodies are scanned as they pass, in bounded
//! memory. No text of a prompt or an answer and no header beyond the named ones is kept; nothing here reads a clock.
//!
//! [`api`] is the table of APIs. [`LlmTracker`] holds the state shared by all calls; each connection has its own [`Calls`].
mod answer;
pub mod api;
mod body;
mod call;
pub mod coding;
mod detail;
pub mod json;
pub mod price;
pub mod provider;
pub mod request;
pub mod sse;
pub mod usage;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Once};

use genai_prices::Calculator;

use crate::budget::Allowance;
use crate::heap;
use crate::proto::exchange::{BodyPiece, Exchange, ExchangeId, Part};
use crate::record::{Llm, Origin, SpanId, WallTime};

use call::{ModelCall, Permit, candidate};
use coding::work::{DecodingWork, WorkLimits};

pub use detail::{CallDetail, MessageRole, PREFIXES, TOOL_RESULTS, ToolResult};

#[cfg(test)]
pub(crate) mod tests;

/// Caps, from `limits`.
#[derive(Clone, Copy, Debug)]
pub struct LlmOptions {
    /// Calls under way at once; a call's state is below 64 KiB, and usually 3.
    pub calls: usize,
    /// Of those, on one connection.
    pub calls_per_connection: usize,
    /// What the bodies of one connection may cost.
    pub work: WorkLimits,
    /// CPU time of this thread so far, read around a piece of a coded body; always 0 where results must not depend on it.
    pub cpu_ns: fn() -> u64,
}

/// Losses, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LlmCounts {
    /// Bodies of calls whose JSON was broken, or whose coding could not be undone.
    pub bodies_broken: u64,
    /// Calls not followed because too many were under way.
    pub calls_refused: u64,
    /// Connections whose coded bodies are no longer decoded because they grew or cost too much.
    pub decoders_given_up: u64,
}

/// Facts of the connection and the request record.
#[derive(Clone, Copy, Debug)]
pub struct CallContext<'a> {
    /// The process.
    pub origin: &'a Arc<Origin>,
    /// Whether it is encrypted.
    pub tls: bool,
    /// The other end's address.
    pub peer: &'a Arc<str>,
    /// The called service.
    pub destination: Option<&'a Arc<str>>,
    /// All bytes of the request on the connection, encrypted ones where it is.
    pub request_bytes: u64,
    /// All bytes of the answer, likewise.
    pub response_bytes: u64,
}

/// Ids of the request record of the same exchange.
#[derive(Clone, Debug)]
pub struct Ids {
    /// Trace.
    pub trace_id: Option<Arc<str>>,
    /// Span.
    pub span_id: SpanId,
}

/// A call that ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its record; `agent` adds the run's ids.
    pub record: Box<Llm>,
    /// The shape of its history.
    pub detail: Box<CallDetail>,
    broken_bodies: usize,
}

/// Calls under way on one connection; costs nothing until there is one.
#[derive(Default)]
pub struct Calls {
    open: Vec<ModelCall>,
    /// A call ended here.
    had: bool,
    /// What its bodies cost so far.
    work: Option<Box<DecodingWork>>,
}

impl Calls {
    /// Whether the connection must be captured in full: a call is or was under way. Without full capture the request of the next call
    /// would be cut before it is recognised.
    pub fn need_all(&self) -> bool {
        self.had || !self.open.is_empty()
    }

    /// Calls under way.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// No call is under way.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        self.open.iter().map(ModelCall::heap_bytes).sum::<usize>()
    }

    fn get(&mut self, exchange: ExchangeId) -> Option<&mut ModelCall> {
        self.open.iter_mut().find(|call| call.exchange == exchange)
    }

    fn take(&mut self, exchange: ExchangeId) -> Option<ModelCall> {
        let at = self.open.iter().position(|call| call.exchange == exchange)?;
        Some(self.open.swap_remove(at))
    }
}

/// Builds the tables of the interfaces, so that no call has to wait for that.
pub fn prepare() {
    api::prepare();
}

/// Decodes the price table beside the first call: the call does not wait some 25 ms, and hosts without model calls save 6 MB. The crate reads
/// its table through a tree of JSON values, 10 MB that are freed at the end and go back to the system here.
fn prepare_prices() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let decode = || {
            std::hint::black_box(Calculator::bundled());
            heap::give_back();
        };
        if let Err(error) = std::thread::Builder::new().name("prices".into()).spawn(decode) {
            tracing::debug!(%error, "The price table is decoded at the end of the first call.");
        }
    });
}

/// State shared by all calls.
pub struct LlmTracker {
    options: LlmOptions,
    open: Arc<AtomicUsize>,
    counts: LlmCounts,
}

impl LlmTracker {
    /// No call is open.
    pub fn new(options: LlmOptions) -> Self {
        Self { options, open: Arc::default(), counts: LlmCounts::default() }
    }

    /// Losses so far.
    pub fn counts(&self) -> LlmCounts {
        self.counts
    }

    /// Takes a part of an exchange before its end; `Done` goes to [`Self::on_done`]. `destination`: the called service, for requests without `Host`.
    /// `of` is the share of the budget that the call's state is charged to; a call for which there is no memory is no longer followed.
    pub fn on_part(&mut self, calls: &mut Calls, part: &Part<'_>, destination: Option<&str>, of: impl FnOnce() -> Allowance) {
        match part {
            Part::Request(head) => {
                if let Some(candidate) = candidate(head, destination) {
                    prepare_prices();
                    match self.permit(calls).and_then(|permit| ModelCall::new(head, candidate, permit, of())) {
                        Some(call) => calls.open.push(call),
                        None => self.counts.calls_refused += 1,
                    }
                }
            }
            Part::RequestBody(piece) => self.piece(calls, piece, ModelCall::request_piece),
            Part::Response(head) => {
                if let Some(call) = calls.get(head.exchange) {
                    call.response(head);
                }
            }
            Part::ResponseBody(piece) => self.piece(calls, piece, ModelCall::response_piece),
            Part::Done(_) => {}
        }
    }

    /// Hands a piece of a body to its call. A call for which there is no memory, or that is none, is forgotten.
    fn piece(
        &mut self,
        calls: &mut Calls,
        piece: &BodyPiece<'_>,
        read: impl FnOnce(&mut ModelCall, &BodyPiece<'_>, &mut DecodingWork) -> bool,
    ) {
        let Some(at) = calls.open.iter().position(|call| call.exchange == piece.exchange) else { return };
        let call = &mut calls.open[at];
        let work = calls.work.get_or_insert_with(|| Box::new(DecodingWork::new(self.options.work)));
        let was_given_up = work.is_given_up();
        let begun_ns = call.is_coded().then(self.options.cpu_ns);
        let goes_on = call.expect(piece) && read(call, piece, work);
        if let Some(begun_ns) = begun_ns {
            work.cost((self.options.cpu_ns)().saturating_sub(begun_ns));
        }
        self.counts.decoders_given_up += u64::from(work.is_given_up() && !was_given_up);
        if goes_on {
            call.settle();
        } else {
            calls.open.swap_remove(at);
        }
    }

    /// The exchange ended: its record, if it was a model call. `wall` maps a time of the exchange to wall-clock time.
    pub fn on_done(
        &mut self,
        calls: &mut Calls,
        exchange: &Exchange,
        context: &CallContext<'_>,
        ids: impl FnOnce() -> Ids,
        wall: impl Fn(u64) -> WallTime,
    ) -> Option<Finished> {
        let finished = calls.take(exchange.id)?.finish(exchange, context, ids(), Calculator::bundled(), wall)?;
        calls.had = true;
        self.counts.bodies_broken += finished.broken_bodies as u64;
        Some(finished)
    }

    fn permit(&self, calls: &Calls) -> Option<Permit> {
        if calls.open.len() >= self.options.calls_per_connection {
            return None;
        }
        Permit::take(&self.open, self.options.calls)
    }
}
