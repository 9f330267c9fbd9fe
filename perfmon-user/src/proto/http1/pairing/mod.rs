//! Pairs answers with requests in the queue of a connection's exchanges under way. In: heads, body pieces and losses of both streams; out:
//! [`Message`]s. It never inspects bytes. RFC 9112, 9.3: answers come in the order of the requests.
mod outcome;

use std::collections::VecDeque;

use outcome::Overlap;

use super::body::{self, BodyFraming};
use super::head::{FirstLine, Head};
use super::open::{CloseTimes, ConnectionEnd, OpenExchange, Stage};
use super::target::{self, LastTexts};
use super::{MessageSide, PIPELINE, SWAP_NS};
use crate::proto::exchange::{BodyPiece, Exchange, ExchangeId, Part, RequestHead, ResponseHead};
use crate::proto::kept::Kept;
use crate::proto::websocket::Handshake;
use crate::proto::{PendingExchange, Sink, Stats};
use crate::redact;
use crate::stream::{Content, Direction, Stamp};

/// Bytes of an exchange that is charged though it is a connection's only one.
const LARGE: usize = 2 * 1024;

/// The exchanges of a connection.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    /// Whether the process is the server; `None` before the first head.
    pub(super) server: Option<bool>,
    /// Heads that were understood.
    pub(super) heads: u64,
    /// Each request of the connection is known: one began when all before it were answered.
    pub(super) in_step: bool,
    has_requests: bool,
    /// Something was needed and not captured: capture everything.
    pub(super) wants_full: bool,
    /// The connection speaks HTTP no more.
    pub(super) tunnel: bool,
    /// The handshake that made it WebSocket.
    pub(super) websocket: Option<Box<Handshake>>,
    /// What came after the last message of a connection that speaks HTTP no more.
    pub(super) unread: Kept,
    /// What answers that have no request mean: `None`: wait for the request, else see [`Orphans`].
    pub(super) orphans: Option<Orphans>,
    /// Losses since they were last taken, counted. There are seldom any.
    stats: Option<Box<Stats>>,
    /// Oldest first; ids without holes. Only the first one can have a part of its answer.
    open: VecDeque<OpenExchange>,
    next_id: ExchangeId,
    /// Answers that belong to evicted exchanges.
    answers_to_skip: u64,
    /// The client was seen to send requests without waiting for answers.
    pipelines: bool,
    /// Bytes were lost since an answer was last seen to follow its request.
    pub(super) doubt: bool,
    /// The place in a stream was lost once.
    pub(super) torn: bool,
    /// So many requests still have to begin when all before them were answered: until then, what is no HTTP, or has no end, may be
    /// perfmon's mistake. One is not enough: where messages overlap, an answer can have been taken for that to another request.
    pub(super) unsure: u8,
    overlap: Overlap,
    /// The run in which a client goes on that was told to: it begins with a body.
    pub(super) continued: Option<u16>,
    /// When the connection's ends closed.
    pub(super) closing: CloseTimes,
    /// The last run of operations of each stream.
    pub(super) runs: [Option<u16>; 2],
    /// So many exchanges more may be told with what belongs to a neighbour: the kernel skipped a program and did not count a run.
    pub(super) uncounted: u8,
    /// The request of the answer whose head came last was in a run that was not seen.
    pub(super) request_unseen: bool,
    texts: LastTexts,
}

/// Handling of an answer without its request.
#[derive(Debug)]
pub(super) enum Orphans {
    /// Its request was before this parser's time, or there is none.
    Drop,
    /// Its request was lost, here if that is known.
    Infer(Option<Box<Stamp>>),
}

/// Position and times of a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadPosition {
    pub(super) direction: Direction,
    /// Segment of the first byte.
    pub(super) start: Stamp,
    /// Segment of the last byte.
    pub(super) now: Stamp,
    /// All bytes of the head, and of empty lines before it.
    pub(super) wire: u64,
    /// The head's end was seen.
    pub(super) whole: bool,
    /// Where bytes were lost before it.
    pub(super) lost: Option<Stamp>,
}

/// The consequences of a head for its stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    /// Exchange that it belongs to; `None`: to none that is recorded.
    pub(super) id: Option<ExchangeId>,
    pub(super) framing: BodyFraming,
    /// A body is announced, yet may not come.
    pub(super) may_lack_body: bool,
    /// Another protocol may follow the message.
    pub(super) may_switch: bool,
}

impl Pairing {
    /// What is counted.
    pub(super) fn stats(&mut self) -> &mut Stats {
        self.stats.get_or_insert_default()
    }

    /// Takes what was counted.
    pub(super) fn take_stats(&mut self) -> Stats {
        self.stats.take().map(|stats| *stats).unwrap_or_default()
    }

    /// Gives memory back that only an exchange under way needs.
    pub(super) fn rest(&mut self) {
        if self.open.is_empty() {
            self.open = VecDeque::new();
        }
    }

    /// Takes a head. `None`: it is an answer, and there is no request that it could belong to.
    pub(super) fn head(&mut self, head: &Head<'_>, place: &HeadPosition, sink: &mut dyn Sink) -> Option<Accepted> {
        self.heads += 1;
        match head.line {
            FirstLine::Request { method, target } => {
                self.server = Some(place.direction == Direction::In);
                self.in_step |= self.has_requests && self.open.is_empty();
                self.has_requests = true;
                Some(self.request(method, target, head, place, sink))
            }
            FirstLine::Response { status } => {
                self.server = Some(place.direction == Direction::Out);
                self.answer(status, head, place, sink)
            }
        }
    }

    fn request(&mut self, method: &str, target: &str, head: &Head<'_>, place: &HeadPosition, sink: &mut dyn Sink) -> Accepted {
        self.before_request(place, sink);
        let (path, authority) = target::split(target);
        let mut exchange = self.new_exchange(place, head.minor, sink);
        let texts = &mut self.texts;
        exchange.method = Some(texts.method(method, sink));
        exchange.path = Some(sink.path(target::path(path)));
        exchange.host = head.host().or(authority.map(str::as_bytes)).map(|host| texts.host(redact::host_bytes(host), sink));
        exchange.user_agent = head.user_agent().map(|user_agent| texts.user_agent(user_agent, sink));
        exchange.traceparent = head.traceparent().map(|traceparent| target::value(traceparent).into());
        let id = exchange.id;
        let time_ns = place.now.time_ns;
        let request = RequestHead {
            exchange: id,
            time_ns,
            start_ns: exchange.start_ns,
            thread: exchange.thread,
            direction: place.direction,
            method,
            target,
            headers: head.headers,
        };
        sink.message(Part::Request(request).into());
        let mut open = OpenExchange::new(exchange, Stage::Going, place.start.time_ns, time_ns);
        open.after_loss = place.lost.is_some();
        open.request.run = place.now.run.map(|run| run.number);
        self.add(open, sink);
        let framing = if place.whole { body::of_request(head.fields) } else { BodyFraming::Unknown };
        Accepted {
            id: Some(id),
            framing,
            may_lack_body: head.fields.expects_continue,
            may_switch: method == "CONNECT" || head.fields.upgrade,
        }
    }

    fn new_exchange(&mut self, place: &HeadPosition, minor: u8, sink: &mut dyn Sink) -> Box<Exchange> {
        let server = self.server == Some(true);
        let start = place.start;
        let id = self.next_id;
        self.next_id += 1;
        let exchange = Exchange {
            id,
            server,
            protocol: if minor == 0 { "http/1.0" } else { "http/1.1" },
            request_wire: place.wire,
            thread: start.thread,
            start_ns: if server { start.arrival_ns.unwrap_or(start.time_ns) } else { start.time_ns },
            first_read_ns: server.then_some(start.time_ns),
            arrival_known: server && start.arrival_ns.is_some(),
            ..Exchange::default()
        };
        let mut new = sink.exchange();
        *new = exchange;
        new
    }

    /// What the begin of a request tells of the exchanges before it.
    fn before_request(&mut self, place: &HeadPosition, sink: &mut dyn Sink) {
        if self.open.is_empty() && place.lost.is_none() {
            self.unsure = self.unsure.saturating_sub(1);
        }
        if self.overlap == Overlap::Supposed {
            self.overlap = Overlap::Seen;
        }
        if let Some(last) = self.open.back_mut() {
            // Complete in the segment that this one begins in.
            let same_chunk = last.exchange.request_end_ns == Some(place.start.time_ns);
            self.pipelines |= same_chunk && last.answer.stage == Stage::Awaited;
            if last.request.stage != Stage::Done {
                last.request.lose();
            }
        }
        self.close_over(sink);
        if self.doubt && !self.pipelines && place.start.run.is_none() {
            // The client has their answers, so they were lost.
            for open in self.open.iter_mut().filter(|open| open.answer.stage == Stage::Awaited) {
                open.exchange.inferred = true;
                open.answer.lose();
            }
        }
        while self.front_is_lost() {
            self.close_front(sink);
        }
        if self.open.len() >= PIPELINE {
            self.evict(sink);
        }
    }

    /// A request that is not HTTP: an exchange of which only the failure is known.
    pub(super) fn broken_request(&mut self, place: &HeadPosition, sink: &mut dyn Sink) -> ExchangeId {
        self.before_request(place, sink);
        let exchange = self.new_exchange(place, 1, sink);
        let id = exchange.id;
        let mut open = OpenExchange::new(exchange, Stage::Lost, place.start.time_ns, place.now.time_ns);
        open.request.run = place.now.run.map(|run| run.number);
        self.add(open, sink);
        id
    }

    /// Adds an exchange. The first one belongs to what a connection costs unless it is large; where there is no memory for more, older ones
    /// go, and a large one keeps no texts.
    fn add(&mut self, mut open: OpenExchange, sink: &mut dyn Sink) {
        // The queue grows to twice its size.
        let bytes = 2 * size_of::<OpenExchange>() + open.heap_bytes();
        while (!self.open.is_empty() || bytes > LARGE) && open.charge.resize(bytes, || sink.allowance()).is_err() {
            if self.open.is_empty() {
                open.drop_texts();
                self.stats().evicted += 1;
                break;
            }
            self.evict(sink);
        }
        if self.open.capacity() == 0 {
            // Most connections have one exchange at a time.
            self.open.reserve_exact(1);
        }
        self.open.push_back(open);
    }

    fn answer(&mut self, status: u16, head: &Head<'_>, place: &HeadPosition, sink: &mut dyn Sink) -> Option<Accepted> {
        let interim = is_interim(status);
        self.continued = next_run(place.start.run.map(|run| run.number)).filter(|_| status == 100);
        let id = self.answered(status, head.minor, place, sink)?;
        let time_ns = place.now.time_ns;
        self.wire(MessageSide::Response, id, place.wire, time_ns);
        let framing = |method| match (interim, place.whole) {
            (true, _) => BodyFraming::Interim,
            (false, true) => body::of_response(method, status, head.fields),
            (false, false) => BodyFraming::Unknown,
        };
        let Some(open) = self.get(id) else {
            return Some(Accepted { id: None, framing: framing(None), may_lack_body: true, may_switch: false });
        };
        let exchange = &mut open.exchange;
        let method = exchange.method.as_deref();
        let framing = framing(method);
        let accepted = Accepted { id, framing, may_lack_body: method.is_none(), may_switch: false };
        if interim {
            return Some(accepted);
        }
        // What was lost since the request began may have been its answer, and this one another's, unless the runs say otherwise.
        let is_next = next_run(open.request.run) == place.start.run.map(|run| run.number);
        let follows = is_next && place.start.run.is_some() && open.request.stage == Stage::Done && !open.request.in_runs;
        exchange.inferred |= !follows && place.lost.is_some_and(|lost| lost.time_ns >= open.request.first_ns);
        open.answer.stage = Stage::Going;
        open.until_close = framing == BodyFraming::UntilClose;
        exchange.status = Some(status);
        exchange.first_byte_ns = Some(place.start.time_ns);
        exchange.streaming = head.fields.streaming || status == 101;
        exchange.grpc_status = head.fields.grpc_status;
        self.websocket = if status == 101 { Handshake::of(exchange, head.headers).map(Box::new) } else { None };
        let Some(open) = self.get(id) else { return Some(accepted) };
        let exchange = &mut open.exchange;
        let response = ResponseHead { exchange: exchange.id, time_ns, status, headers: head.headers };
        sink.message(Part::Response(response).into());
        Some(accepted)
    }

    /// The exchange that an answer now belongs to: `Some(None)` if to none that is recorded, `None` if that is open.
    fn answered(&mut self, status: u16, minor: u8, place: &HeadPosition, sink: &mut dyn Sink) -> Option<Option<ExchangeId>> {
        if self.answers_to_skip > 0 {
            self.answers_to_skip -= u64::from(!is_interim(status));
            return Some(None);
        }
        self.request_unseen = self.skips_runs(place);
        if self.front_is_going() {
            // Its end passed unseen.
            self.close_lost_front(sink);
        }
        let torn = place.lost.is_some() || self.front_is_lost() || self.uncounted > 0;
        if torn {
            self.close_answered_before(place.start, sink);
        } else {
            let is_one = self.open.front().is_some_and(|front| front.request.stage == Stage::Done && !front.request.in_runs);
            if place.whole && is_one && self.open.len() > 1 && self.front_is_older(place.start) {
                self.overlap = Overlap::Seen;
            }
        }
        if torn && self.open.len() == 1 && !self.open[0].request.is_whole() && self.front_skips_to(place.start) {
            // The unseen run may have been the rest of its request, or another one.
            self.close_lost_front(sink);
            self.stats().orphans += 1;
            return Some(None);
        }
        if (self.front_is_lost() && !self.front_lacks_its_head()) || (self.request_unseen && self.open.len() == 1 && torn) {
            self.close_lost_front(sink);
        }
        if self.is_awaiting() && self.follows_request(place) {
            self.pipelines |= self.open.len() > 1 && place.whole && !self.doubt;
            self.doubt &= self.open.len() > 1 || self.front_is_lost() || !place.whole;
            return Some(self.open.front().map(|front| front.exchange.id));
        }
        if !place.whole {
            return Some(None);
        }
        let start = match self.orphans.as_ref()? {
            // Some servers say 408 to a client that asks nothing.
            Orphans::Infer(start) if self.open.is_empty() && (start.is_some() || status != 408) => start.as_deref().copied(),
            Orphans::Drop | Orphans::Infer(_) => {
                self.stats().orphans += 1;
                return Some(None);
            }
        };
        // Of a loss that showed only after the answer, the time is not known.
        let start = start.filter(|start| start.time_ns <= place.start.time_ns);
        let at = start.unwrap_or(place.start);
        let mut exchange = self.new_exchange(&HeadPosition { start: at, wire: 0, ..*place }, minor, sink);
        exchange.inferred = true;
        let id = exchange.id;
        let mut open = OpenExchange::new(exchange, Stage::Lost, at.time_ns, at.time_ns);
        open.start_unknown = start.is_none();
        open.request.run = place.start.run.map(|run| run.number.wrapping_sub(1));
        self.open.push_back(open);
        Some(Some(id))
    }

    /// Whether an answer that comes now belongs to a request that was seen.
    pub(super) fn is_awaiting(&self) -> bool {
        let awaited = self.open.front().is_some_and(|front| front.answer.stage == Stage::Awaited);
        awaited || self.answers_to_skip > 0 || self.front_lacks_its_head()
    }

    /// Whether an answer began after the request that waits for one, up to what events may be swapped by.
    fn follows_request(&self, place: &HeadPosition) -> bool {
        let Some(front) = self.open.front() else { return false };
        let (asked_ns, answer) = (front.request.first_ns, place.start);
        // Runs, where they are known, tell which of two came first.
        let is_swapped = || front.request.run.zip(answer.run).is_none_or(|(asked, answer)| is_later(answer.number, asked));
        asked_ns <= answer.time_ns || (asked_ns <= answer.time_ns + SWAP_NS && is_swapped())
    }

    /// Whether the first exchange's request is of an earlier run than that before `answer`: a client that waits has its answer.
    fn front_is_older(&self, answer: Stamp) -> bool {
        let is_whole = self.open.front().is_some_and(|front| front.request.is_whole() || self.open.len() > 1);
        is_whole && self.front_skips_to(answer)
    }

    /// Whether runs passed between the first exchange's request, as far as it was seen, and `answer`.
    fn front_skips_to(&self, answer: Stamp) -> bool {
        let runs = self.open.front().and_then(|front| next_run(front.request.run)).zip(answer.run);
        runs.is_some_and(|(expected, run)| is_later(run.number, expected))
    }

    /// Whether the first exchange's answer cannot be in the run of the last segment of answers: it comes later.
    fn front_is_newer(&self) -> bool {
        let Some(server) = self.server else { return false };
        let answers = if server { Direction::Out } else { Direction::In };
        let runs = self.open.front().and_then(|front| front.request.run).zip(self.runs[answers.index()]);
        runs.is_some_and(|(request, answer)| is_later(request, answer))
    }

    /// Whether whole runs of operations passed unseen between the last request and this answer, which is then another one's.
    fn skips_runs(&self, place: &HeadPosition) -> bool {
        let runs = self.runs[place.direction.opposite().index()].zip(place.start.run);
        runs.is_some_and(|(request, answer)| (2..1 << 15).contains(&answer.number.wrapping_sub(request)))
    }

    /// Only what comes after can tell that the answer under way ended. No other exchange waits behind it then: see `lose`.
    fn front_is_lost(&self) -> bool {
        self.open.front().is_some_and(|front| front.answer.stage == Stage::Lost)
    }

    /// The answer under way is the first exchange's.
    fn front_is_going(&self) -> bool {
        self.open.front().is_some_and(|front| front.answer.stage == Stage::Going)
    }

    /// Bytes passed where the first exchange's answer was to come, and its head was not among those captured.
    fn front_lacks_its_head(&self) -> bool {
        self.open.front().is_some_and(|front| front.answer.stage == Stage::Lost && front.exchange.status.is_none())
    }

    /// Whether the answer to this exchange is complete.
    pub(super) fn is_answered(&mut self, id: Option<ExchangeId>) -> bool {
        self.get(id).is_some_and(|open| open.answer.stage == Stage::Done)
    }

    /// Counts bytes on the wire.
    pub(super) fn wire(&mut self, side: MessageSide, id: Option<ExchangeId>, n: u64, time_ns: u64) {
        let Some(open) = self.get(id) else { return };
        *open.wire(side) += n;
        open.half(side).last_ns = time_ns;
    }

    /// Takes a piece of a body.
    pub(super) fn body(&mut self, side: MessageSide, id: Option<ExchangeId>, content: Content<'_>, time_ns: u64, sink: &mut dyn Sink) {
        let Some(open) = self.get(id) else { return };
        open.half(side).body += content.len();
        let piece = BodyPiece { exchange: open.exchange.id, time_ns, content };
        let part = match side {
            MessageSide::Request => Part::RequestBody(piece),
            MessageSide::Response => Part::ResponseBody(piece),
        };
        sink.message(part.into());
    }

    fn get(&mut self, id: Option<ExchangeId>) -> Option<&mut OpenExchange> {
        let first = self.open.front()?.exchange.id;
        self.open.get_mut(usize::try_from(id?.checked_sub(first)?).ok()?)
    }

    /// Calls `visit` for each exchange whose request is known.
    pub(super) fn pending(&self, visit: &mut dyn FnMut(PendingExchange<'_>)) {
        for OpenExchange { exchange, .. } in self.open.iter().filter(|open| !open.answer.held) {
            if let (Some(method), Some(path)) = (&exchange.method, &exchange.path) {
                visit(PendingExchange {
                    server: exchange.server,
                    method,
                    path,
                    start_ns: exchange.start_ns,
                    read_ns: exchange.first_read_ns.unwrap_or(exchange.start_ns),
                    thread: exchange.thread,
                    exchange: exchange.id,
                });
            }
        }
    }

    /// Heap bytes, about.
    pub(super) fn heap_bytes(&self) -> usize {
        self.open.capacity() * size_of::<OpenExchange>() + self.open.iter().map(OpenExchange::heap_bytes).sum::<usize>()
    }
}

/// Whether another head follows that answers the same request.
fn is_interim(status: u16) -> bool {
    (100..=199).contains(&status) && status != 101
}

/// The run after this one.
fn next_run(run: Option<u16>) -> Option<u16> {
    run.map(|run| run.wrapping_add(1))
}

/// Whether run `a` is later than run `b`; their numbers wrap.
fn is_later(a: u16, b: u16) -> bool {
    (1..1 << 15).contains(&a.wrapping_sub(b))
}
