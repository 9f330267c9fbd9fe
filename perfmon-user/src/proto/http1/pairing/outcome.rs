//! How messages and exchanges end: complete, lost, broken, pushed out, or with the connection.
use super::{Ending, ExchangeId, Message, Open, Pairing, Side, Sink, Stage};
use crate::proto::{Content, Failure};

impl Pairing {
    /// A message is complete.
    pub(in crate::proto::http1) fn finish(&mut self, side: Side, id: Option<ExchangeId>, time_ns: u64, sink: &mut dyn Sink) {
        let Some(open) = self.get(id) else { return };
        open.half(side).stage = Stage::Done;
        if side == Side::Request {
            open.exchange.request_end_ns = Some(time_ns);
        } else {
            open.exchange.end_ns = Some(time_ns);
        }
        while self.open.front().is_some_and(Open::is_over) {
            self.close_front(sink);
        }
    }

    /// The exchange whose answer comes next, if none of it came.
    pub(in crate::proto::http1) fn awaited(&self) -> Option<ExchangeId> {
        self.open.front().filter(|front| front.answer.stage == Stage::Awaited).map(|front| front.exchange.id)
    }

    /// A message's end cannot be recognised any more, since `missing` of its bytes were not captured (`None`: nobody knows how many).
    pub(in crate::proto::http1) fn lose(
        &mut self,
        side: Side,
        id: Option<ExchangeId>,
        missing: Option<u64>,
        time_ns: u64,
        sink: &mut dyn Sink,
    ) {
        self.stats.desyncs += 1;
        let Some(open) = self.get(id) else { return };
        open.exchange.inferred = true;
        open.exchange.missing_bytes += missing.unwrap_or(0);
        if side == Side::Request || open.exchange.status.is_some() {
            self.body(side, id, Content::Unknown, time_ns, sink);
        }
        self.open_end(side, id, sink);
    }

    /// A message is not HTTP.
    pub(in crate::proto::http1) fn fail(&mut self, side: Side, id: Option<ExchangeId>, sink: &mut dyn Sink) {
        let Some(open) = self.get(id) else { return };
        open.exchange.failure = Some(Failure::Protocol);
        self.open_end(side, id, sink);
    }

    /// A message's end will not be recognised.
    pub(in crate::proto::http1) fn open_end(&mut self, side: Side, id: Option<ExchangeId>, sink: &mut dyn Sink) {
        let Some(open) = self.get(id) else { return };
        open.half(side).lose();
        open.until_close &= side == Side::Request;
        if side == Side::Response && self.open.len() > 1 {
            // Which of the waiting exchanges the next answers belong to cannot be told.
            while let Some(front) = self.open.front_mut() {
                front.exchange.inferred = true;
                self.close_front(sink);
            }
        }
    }

    /// Bytes of a message that were needed and not captured.
    pub(in crate::proto::http1) fn miss(&mut self, id: Option<ExchangeId>, n: u64) {
        if let Some(open) = self.get(id) {
            open.exchange.missing_bytes += n;
        }
    }

    /// A message's framing was found again.
    pub(in crate::proto::http1) fn regain(&mut self, side: Side, id: Option<ExchangeId>) {
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
        self.finish(Side::Response, id, time_ns, sink);
    }

    /// The connection ended: so do all exchanges.
    pub(in crate::proto::http1) fn end(&mut self, ending: Ending, time_ns: u64, sink: &mut dyn Sink) {
        while let Some(front) = self.open.front_mut() {
            front.end(ending, self.closing, time_ns);
            self.close_front(sink);
        }
    }

    /// Removes the first exchange and tells it.
    pub(in crate::proto::http1) fn close_front(&mut self, sink: &mut dyn Sink) {
        if let Some(exchange) = self.open.pop_front().and_then(Open::into_exchange) {
            sink.message(Message::Done(exchange));
        }
    }

    /// Makes room by the oldest exchange; its answer, when it comes, is nobody's.
    pub(in crate::proto::http1) fn evict(&mut self, sink: &mut dyn Sink) {
        let Some(front) = self.open.front_mut() else { return };
        front.exchange.inferred = true;
        self.answers_to_skip += u64::from(front.answer.stage == Stage::Awaited);
        self.stats.evicted += 1;
        self.close_front(sink);
    }
}
