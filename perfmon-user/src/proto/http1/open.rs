//! One exchange under way: how far its two messages are, and what its end says of it (docs/records.md, `request`, `error`).
use std::sync::Arc;

use crate::budget::Charge;
use crate::proto::exchange::Exchange;
use crate::stream::Failure;

use super::MessageSide;

/// When the ends of a connection were seen to close.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CloseTimes {
    pub(super) client_ns: Option<u64>,
    pub(super) server_ns: Option<u64>,
}

/// How the last exchanges of a connection end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// In order.
    Closed,
    /// The client reset.
    ClientReset,
    /// The server reset.
    ServerReset,
    /// perfmon gave the connection up.
    Forgotten,
}

/// How far a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing of it was seen.
    #[default]
    Awaited,
    /// Under way; its end will be recognised.
    Going,
    /// Under way; only what comes after can tell that it ended.
    Lost,
    /// Complete.
    Done,
}

/// A message under way.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) stage: Stage,
    /// Bytes of the body so far.
    pub(super) body: u64,
    /// The size of the body is unknown.
    pub(super) unsized_body: bool,
    /// It may be over; what comes next decides.
    pub(super) held: bool,
    /// Number of the run of operations in which it was last seen.
    pub(super) run: Option<u16>,
    /// It is spread over runs.
    pub(super) in_runs: bool,
    /// When its first byte passed.
    pub(super) first_ns: u64,
    /// When its last byte so far passed.
    pub(super) last_ns: u64,
}

impl Half {
    fn size(&self, unseen: Option<u64>) -> Option<u64> {
        match self.stage {
            Stage::Awaited => unseen,
            _ => (!self.unsized_body).then_some(self.body),
        }
    }

    /// It is complete for certain.
    pub(super) fn is_whole(&self) -> bool {
        self.stage == Stage::Done && !self.held
    }

    /// Its end will not be recognised.
    pub(super) fn lose(&mut self) {
        self.stage = Stage::Lost;
        self.unsized_body = true;
        self.held = false;
    }
}

/// An exchange under way.
#[derive(Debug)]
pub(super) struct OpenExchange {
    pub(super) exchange: Box<Exchange>,
    pub(super) request: Half,
    pub(super) answer: Half,
    /// The end of the connection ends the answer.
    pub(super) until_close: bool,
    /// Bytes were lost before the request.
    pub(super) after_loss: bool,
    /// The request was lost at an unknown time.
    pub(super) start_unknown: bool,
    /// Its memory, where it is not the only one of its connection.
    pub(super) charge: Charge,
}

/// What a shared text takes beside its bytes, at most.
const SHARED: usize = 3 * size_of::<usize>();

impl OpenExchange {
    /// With nothing of the answer.
    pub(super) fn new(exchange: Box<Exchange>, stage: Stage, first_ns: u64, last_ns: u64) -> Self {
        let request = Half { stage, unsized_body: stage == Stage::Lost, first_ns, last_ns, ..Half::default() };
        let (answer, charge) = (Half::default(), Charge::default());
        Self { exchange, request, answer, until_close: false, after_loss: false, start_unknown: false, charge }
    }

    /// Heap bytes, about.
    pub(super) fn heap_bytes(&self) -> usize {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len() + SHARED);
        let e = &self.exchange;
        size_of::<Exchange>() + text(&e.method) + text(&e.path) + text(&e.host) + text(&e.user_agent) + text(&e.traceparent)
    }

    /// Keeps no text of it: there is no memory for them.
    #[cold]
    pub(super) fn drop_texts(&mut self) {
        let e = &mut self.exchange;
        (e.path, e.host, e.user_agent, e.traceparent, e.inferred) = (None, None, None, None, true);
    }

    pub(super) fn half(&mut self, side: MessageSide) -> &mut Half {
        match side {
            MessageSide::Request => &mut self.request,
            MessageSide::Response => &mut self.answer,
        }
    }

    /// Bytes on the wire.
    pub(super) fn wire(&mut self, side: MessageSide) -> &mut u64 {
        match side {
            MessageSide::Request => &mut self.exchange.request_wire,
            MessageSide::Response => &mut self.exchange.response_wire,
        }
    }

    /// Both messages are complete, as far as that can be told.
    pub(super) fn is_over(&self) -> bool {
        self.answer.stage == Stage::Done && matches!(self.request.stage, Stage::Done | Stage::Lost)
    }

    /// The connection ended.
    pub(super) fn end(&mut self, ending: ConnectionEnd, closing: CloseTimes, answers_lost: bool, time_ns: u64) {
        let unknown = ending == ConnectionEnd::Forgotten && closing.client_ns.is_none() && closing.server_ns.is_none();
        if unknown {
            self.exchange.inferred = true;
            self.answer.unsized_body |= self.answer.stage != Stage::Done;
            self.request.unsized_body |= self.request.stage != Stage::Done;
        } else if self.answer.stage == Stage::Awaited && (answers_lost || self.exchange.inferred) {
            // An answer that was not seen is no error.
            self.exchange.inferred = true;
        } else if self.answer.stage == Stage::Lost {
            self.exchange.end_ns = Some(self.answer.last_ns);
        } else if self.until_close && self.is_ended_in_order(ending, closing) {
            self.answer.stage = Stage::Done;
            self.exchange.end_ns = Some(self.answer.last_ns);
        } else if self.answer.stage != Stage::Done {
            self.fail(ending, closing, time_ns);
        }
    }

    /// Whether the end of the connection is what the server wanted.
    fn is_ended_in_order(&self, ending: ConnectionEnd, closing: CloseTimes) -> bool {
        let orderly = matches!(ending, ConnectionEnd::Closed | ConnectionEnd::Forgotten);
        orderly && (self.exchange.server || closing.server_ns.is_some() || closing.client_ns.is_none())
    }

    /// The answer is not complete and never will be.
    fn fail(&mut self, ending: ConnectionEnd, closing: CloseTimes, time_ns: u64) {
        let by_client = match (closing.client_ns, closing.server_ns) {
            (Some(client), Some(server)) => client <= server,
            (client, _) => client.is_some() || ending == ConnectionEnd::ClientReset,
        };
        let (failure, closed_ns) = match (by_client, ending) {
            (true, _) => (Failure::ClientClosed, closing.client_ns),
            (false, ConnectionEnd::ServerReset) => (Failure::Reset, None),
            (false, _) => (Failure::Truncated, closing.server_ns),
        };
        self.exchange.end_ns = Some(closed_ns.unwrap_or(time_ns).max(self.answer.last_ns));
        if self.exchange.method.is_some() {
            self.exchange.failure = self.exchange.failure.or(Some(failure));
        }
    }

    /// The exchange to report; `None` when only lost bytes are known of it.
    pub(super) fn into_exchange(self) -> Option<Box<Exchange>> {
        let Self { mut exchange, request, answer, start_unknown, .. } = self;
        if exchange.inferred {
            // What perfmon did not see is no failure.
            exchange.failure = None;
        }
        if exchange.method.is_none() && exchange.status.is_none() && exchange.failure.is_none() {
            return None;
        }
        let misread = request.unsized_body && !answer.unsized_body && exchange.status.is_some_and(|status| status < 400);
        if exchange.failure == Some(Failure::Protocol) && misread {
            // The server understood the request all the same.
            exchange.failure = None;
            exchange.inferred = true;
        }
        if answer.stage == Stage::Lost && exchange.end_ns.is_none() && !matches!(answer.last_ns, 0) {
            exchange.end_ns = Some(answer.last_ns);
        }
        if request.stage == Stage::Lost && exchange.request_end_ns.is_none() {
            exchange.request_end_ns = Some(request.last_ns);
        }
        if start_unknown {
            (exchange.first_read_ns, exchange.first_byte_ns, exchange.end_ns) = (None, None, None);
        }
        exchange.request_body = request.size(None);
        exchange.response_body = answer.size(exchange.failure.map(|_| 0));
        Some(exchange)
    }
}
