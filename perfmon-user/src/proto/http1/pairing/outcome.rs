//! How messages and exchanges end: complete, lost, broken, pushed out, or with the connection.
use std::collections::VecDeque;

use super::{ConnectionEnd, ExchangeId, MessageSide, OpenExchange, Pairing, Part, Sink, Stage};
use crate::stream::{Content, Failure};

/// Exchanges whose room a connection keeps when it has none under way.
const ROOM: usize = 16;

impl Pairing {
    /// A message is complete.
    pub(in crate::proto::http1) fn finish(&mut self, side: MessageSide, id: Option<ExchangeId>, time_ns: u64, sink: &mut dyn Sink) {
        let Some(open) = self.get(id) else { return };
        open.half(side).stage = Stage::Done;
        if side == MessageSide::Request {
            open.exchange.request_end_ns = Some(time_ns);
        } else {
            open.exchange.end_ns = Some(time_ns);
        }
        self.close_over(sink);
    }

    /// Tells the exchanges that are over.
    pub(super) fn close_over(&mut self, sink: &mut dyn Sink) {
        while self.open.front().is_some_and(|front| front.is_over() || (front.answer.stage == Stage::Lost && self.open.len() > 1)) {
            self.close_front(sink);
        }
    }

    /// The exchange whose answer comes next, if none of it came.
    pub(in crate::proto::http1) fn awaited(&self) -> Option<ExchangeId> {
        self.open.front().filter(|front| front.answer.stage == Stage::Awaited).map(|front| front.exchange.id)
    }

    /// A message's end cannot be recognised any more, since `missing` of its bytes were not captured (`None`: an unknown number).
    pub(in crate::proto::http1) fn lose(
        &mut self,
        side: MessageSide,
        id: Option<ExchangeId>,
        missing: Option<u64>,
        time_ns: u64,
        sink: &mut dyn Sink,
    ) {
        self.stats.desyncs += 1;
        let Some(open) = self.get(id) else { return };
        open.exchange.inferred = true;
        open.exchange.missing_bytes += missing.unwrap_or(0);
        if side == MessageSide::Request || open.exchange.status.is_some() {
            self.body(side, id, Content::Unknown, time_ns, sink);
        }
        self.open_end(side, id, sink);
    }

    /// A message is not HTTP.
    pub(in crate::proto::http1) fn fail(&mut self, side: MessageSide, id: Option<ExchangeId>, sink: &mut dyn Sink) {
        let Some(open) = self.get(id) else { return };
        open.exchange.failure = Some(Failure::Protocol);
        self.open_end(side, id, sink);
    }

    /// A message's end will not be recognised.
    pub(in crate::proto::http1) fn open_end(&mut self, side: MessageSide, id: Option<ExchangeId>, sink: &mut dyn Sink) {
        let Some(open) = self.get(id) else { return };
        open.half(side).lose();
        open.until_close &= side == MessageSide::Request;
        if side == MessageSide::Response && self.open.len() > 1 {
            self.close_answered(sink);
        }
        self.close_over(sink);
    }

    /// `missing` bytes were lost where an answer was to begin; any number of answers, maybe none. Returns the exchange whose answer
    /// they must have been.
    pub(in crate::proto::http1) fn lose_between(&mut self, missing: u64, time_ns: u64, sink: &mut dyn Sink) -> Option<ExchangeId> {
        let awaited = self.awaited()?;
        self.stats.desyncs += 1;
        match self.open.len() {
            // They may be the answer to a request that was lost too.
            1 if self.open[0].after_loss => return None,
            1 => {
                self.lose(MessageSide::Response, Some(awaited), Some(missing), time_ns, sink);
                self.wire(MessageSide::Response, Some(awaited), missing, time_ns);
                return Some(awaited);
            }
            _ => {}
        }
        self.open[0].exchange.missing_bytes += missing;
        self.open[0].exchange.response_wire += missing;
        self.close_answered(sink);
        None
    }

    /// After a loss: a client that waits for answers has all but the newest; for a pipelining client it is unknown which it has.
    fn close_answered(&mut self, sink: &mut dyn Sink) {
        let kept = usize::from(!self.pipelines);
        self.in_step &= kept > 0;
        while self.open.len() > kept {
            self.open[0].exchange.inferred = true;
            self.close_front(sink);
        }
    }

    /// Ends the answer under way at an unknown time.
    pub(in crate::proto::http1) fn infer_end(&mut self, id: Option<ExchangeId>) {
        if let Some(open) = self.get(id).filter(|open| open.answer.stage == Stage::Going) {
            open.exchange.inferred = true;
        }
    }

    /// The newest exchange's request was cut short: what it is answered by may be another's.
    pub(in crate::proto::http1) fn doubt_newest(&mut self) {
        if let Some(newest) = self.open.back_mut() {
            newest.exchange.inferred = true;
        }
    }

    /// Bytes of a message that were needed and not captured.
    pub(in crate::proto::http1) fn miss(&mut self, id: Option<ExchangeId>, n: u64) {
        if let Some(open) = self.get(id) {
            open.exchange.missing_bytes += n;
        }
    }

    /// A message's framing was found again.
    pub(in crate::proto::http1) fn regain(&mut self, side: MessageSide, id: Option<ExchangeId>) {
        if let Some(open) = self.get(id) {
            open.half(side).stage = Stage::Going;
        }
    }

    /// Whether the message's figures are inferred already.
    pub(in crate::proto::http1) fn is_inferred(&mut self, id: Option<ExchangeId>) -> bool {
        self.get(id).is_none_or(|open| open.exchange.inferred)
    }

    /// The exchange whose answer just began is over as far as HTTP goes.
    pub(in crate::proto::http1) fn switch(&mut self, id: Option<ExchangeId>, time_ns: u64, sink: &mut dyn Sink) {
        self.tunnel = true;
        if let Some(open) = self.get(id) {
            open.request.stage = Stage::Done;
        }
        self.finish(MessageSide::Response, id, time_ns, sink);
    }

    /// The connection ended: so do all exchanges.
    pub(in crate::proto::http1) fn end(&mut self, ending: ConnectionEnd, answers_lost: bool, time_ns: u64, sink: &mut dyn Sink) {
        while let Some(front) = self.open.front_mut() {
            front.end(ending, self.closing, answers_lost, time_ns);
            self.close_front(sink);
        }
    }

    /// Tells the first exchange, whose answer was lost, or its end.
    pub(super) fn close_lost_front(&mut self, sink: &mut dyn Sink) {
        if let Some(front) = self.open.front_mut()
            && front.answer.stage == Stage::Awaited
        {
            front.exchange.inferred = true;
            front.answer.lose();
        }
        self.close_front(sink);
    }

    /// Removes the first exchange and tells it.
    pub(in crate::proto::http1) fn close_front(&mut self, sink: &mut dyn Sink) {
        if let Some(mut exchange) = self.open.pop_front().and_then(OpenExchange::into_exchange) {
            sink.message(Part::Done(&mut exchange).into());
            sink.reuse(exchange);
        }
        if self.open.capacity() > ROOM && self.open.is_empty() {
            self.open = VecDeque::new();
        }
    }

    /// Evicts the oldest exchange; its answer will belong to no exchange.
    pub(in crate::proto::http1) fn evict(&mut self, sink: &mut dyn Sink) {
        let Some(front) = self.open.front_mut() else { return };
        front.exchange.inferred = true;
        self.answers_to_skip += u64::from(front.answer.stage == Stage::Awaited);
        self.stats.evicted += 1;
        self.close_front(sink);
    }
}
