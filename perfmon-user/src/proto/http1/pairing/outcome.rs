//! How messages and exchanges end: complete, lost, broken, pushed out, or with the connection.
use std::collections::VecDeque;

use super::{ConnectionEnd, ExchangeId, MessageSide, OpenExchange, Pairing, Part, Sink, Stage, is_later, next_run};
use crate::stream::{Content, Direction, Failure, OperationRun, Stamp};

/// Exchanges whose room a connection keeps when it has none under way.
const ROOM: usize = 16;

/// Most exchanges that are not told as exact after an uncounted run.
const MOST_UNCOUNTED: usize = 64;

/// Requests in step after a loss, from which on a failure is one.
const SURE_AGAIN: u8 = 2;

/// Whether the client begins a request, after answers, before it has those to all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Overlap {
    /// Not that anybody saw.
    #[default]
    None,
    /// There was an answer too many. The next request may tell that its own was lost.
    Supposed,
    /// It does.
    Seen,
}

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
        let front = self.open.front().filter(|front| front.answer.stage == Stage::Awaited)?;
        (!self.front_is_newer()).then_some(front.exchange.id)
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
        self.stats().desyncs += 1;
        self.tear();
        let Some(open) = self.get(id) else { return };
        open.exchange.inferred = true;
        open.exchange.missing_bytes += missing.unwrap_or(0);
        if side == MessageSide::Request || open.exchange.status.is_some() {
            self.body(side, id, Content::Unknown, time_ns, sink);
        }
        self.open_end(side, id, sink);
    }

    /// The place in a stream is lost.
    pub(in crate::proto::http1) fn tear(&mut self) {
        (self.torn, self.unsure) = (true, SURE_AGAIN);
    }

    /// Bytes were lost between two messages, before an operation of `run`; the message before them ended in run `before`, for certain or not. Where
    /// every run since then was seen and nothing more was to come in that one, they belong to none that was counted: the kernel skipped the
    /// program that would have told and counted it, and which exchange has the next message is not certain.
    pub(in crate::proto::http1) fn note_lost_between(
        &mut self,
        direction: Direction,
        before: Option<u16>,
        run: OperationRun,
        is_sure: bool,
    ) {
        let between = self.runs[direction.opposite().index()];
        // The first run of a connection has number 1.
        let all_seen = run.begins && next_run(between) == Some(run.number) && next_run(before.or(Some(0))) == between;
        let was_over = before.is_none_or(|before| {
            let asked = self.open.front().and_then(|front| front.request.run);
            asked.is_none_or(|asked| is_later(asked, before))
        });
        let is_sure = is_sure && (self.unsure == 0 || !self.pipelines);
        if all_seen && ((was_over && is_sure) || self.uncounted > 0) {
            self.uncounted = self.open.len().clamp(1, MOST_UNCOUNTED) as u8;
            if self.overlap == Overlap::Supposed && self.server == Some(direction == Direction::In) {
                self.overlap = Overlap::None;
            }
        }
    }

    /// The answer that waited has no request. Where none was lost before it, an earlier answer was taken, after a loss, for that to a later
    /// request: the client asks before it has its answers.
    pub(in crate::proto::http1) fn note_surplus(&mut self, lost: bool) {
        if self.torn && !lost && !self.request_unseen && !self.overlaps() {
            self.overlap = Overlap::Supposed;
        }
    }

    /// Whether messages overlap: where answers begin is then known from their framing alone.
    pub(in crate::proto::http1) fn overlaps(&self) -> bool {
        self.overlap != Overlap::None
    }

    /// Whether what is no HTTP, or has no end, may be perfmon's mistake. Where messages overlap and a request was lost, each answer that
    /// comes may be another one's, and nothing tells when it is not any longer.
    fn is_unsure(&self) -> bool {
        self.unsure > 0 || (self.torn && self.overlaps())
    }

    /// A message is not HTTP. Where the place was lost that may be perfmon's mistake.
    pub(in crate::proto::http1) fn fail(&mut self, side: MessageSide, id: Option<ExchangeId>, sink: &mut dyn Sink) {
        let unsure = self.is_unsure();
        let Some(open) = self.get(id) else { return };
        open.exchange.inferred |= unsure;
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

    /// `missing` bytes were lost before `at` where an answer was to begin; any number of answers, maybe none. Returns the exchange whose
    /// answer they must have been.
    pub(in crate::proto::http1) fn lose_between(&mut self, missing: u64, at: Stamp, sink: &mut dyn Sink) -> Option<ExchangeId> {
        let time_ns = at.time_ns;
        let was_sure = self.unsure == 0;
        self.tear();
        self.continued = None;
        let open = self.open.len();
        if at.run.is_some() {
            self.close_answered_before(at, sink);
        }
        let had_older = self.open.len() < open;
        let awaited = self.awaited()?;
        self.stats().desyncs += 1;
        if at.run.is_some_and(|run| run.begins) && !self.overlaps() {
            // They passed before its request. Where no request of before waited or was lost, they answer one of these: the kernel skipped the
            // program that would have told them and counted their run. Soon after another loss they may be the rest of an answer that it cut.
            if was_sure && !had_older && self.open.len() > 1 {
                self.open.iter_mut().for_each(|open| open.exchange.inferred = true);
                // They may be the answer to a request that was lost too.
                if !self.open[0].after_loss {
                    self.close_answered(sink);
                }
            }
            return None;
        }
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

    /// After a loss in a stream of answers, of which `answer` is the next segment: a client that waits has those to requests of earlier
    /// runs than that before it.
    pub(super) fn close_answered_before(&mut self, answer: Stamp, sink: &mut dyn Sink) {
        while !self.overlaps() && self.front_is_older(answer) {
            self.close_lost_front(sink);
        }
    }

    /// After a loss: a client that waits for answers has all but the newest; for a pipelining client it is unknown which it has.
    fn close_answered(&mut self, sink: &mut dyn Sink) {
        let by_run = self.open.front().is_some_and(|front| front.request.run.is_some()) && !self.overlaps();
        let kept = usize::from(!self.pipelines || by_run);
        self.in_step &= kept > 0;
        while self.open.len() > kept && !(by_run && self.front_is_newer()) {
            self.open[0].exchange.inferred = true;
            self.close_front(sink);
        }
    }

    /// An answer may be over: see `MessageStream::hold`.
    pub(in crate::proto::http1) fn hold(&mut self, id: Option<ExchangeId>) {
        if let Some(open) = self.get(id) {
            open.answer.held = true;
        }
    }

    /// Bytes of a request's body passed in this run.
    pub(in crate::proto::http1) fn see(&mut self, id: Option<ExchangeId>, run: Option<u16>) {
        if let Some(open) = self.get(id).filter(|open| open.request.run != run) {
            open.request.run = run;
            open.request.in_runs = true;
        }
    }

    /// The request may go on behind what was seen of it.
    pub(in crate::proto::http1) fn doubt_end(&mut self, id: Option<ExchangeId>) {
        if let Some(open) = self.get(id) {
            open.request.held = true;
        }
    }

    /// Something of the exchange is not known for certain.
    pub(in crate::proto::http1) fn infer(&mut self, id: Option<ExchangeId>) {
        if let Some(open) = self.get(id) {
            open.exchange.inferred = true;
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
        let unsure = self.is_unsure();
        while let Some(front) = self.open.front_mut() {
            front.end(ending, self.closing, answers_lost, time_ns);
            front.exchange.inferred |= unsure && front.exchange.failure.is_some();
            self.close_front(sink);
        }
    }

    /// Tells the first exchange, whose answer was lost, or its end.
    pub(super) fn close_lost_front(&mut self, sink: &mut dyn Sink) {
        if let Some(front) = self.open.front_mut()
            && matches!(front.answer.stage, Stage::Awaited | Stage::Going)
        {
            front.exchange.inferred = true;
            front.answer.lose();
        }
        if let Some(front) = self.open.front_mut() {
            front.exchange.inferred |= front.request.stage != Stage::Done;
        }
        self.close_front(sink);
    }

    /// Removes the first exchange and tells it.
    pub(in crate::proto::http1) fn close_front(&mut self, sink: &mut dyn Sink) {
        if let Some(mut exchange) = self.open.pop_front().and_then(OpenExchange::into_exchange) {
            if self.uncounted > 0 && exchange.path.is_some() {
                self.uncounted -= 1;
                exchange.inferred = true;
            }
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
        self.stats().evicted += 1;
        self.close_front(sink);
    }
}
