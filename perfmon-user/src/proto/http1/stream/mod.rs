//! One direction of a connection: finds where messages begin, where their heads and bodies end, and what was lost. Understands a body
//! by its framing only. Where nothing is known (late attach, loss), a message is looked for at the beginning of each segment.
mod bodies;
mod heads;
mod losses;

use heads::may_be;

use super::MessageSide;
use super::body::{BodyFraming, Chunked};
use super::head::LastLines;
use super::line::{self, Line};
use super::pairing::{Accepted, Pairing};
use super::wait::Waiting;
use crate::budget::HeldBytes;
use crate::proto::Sink;
use crate::proto::exchange::ExchangeId;
use crate::stream::{Content, Direction, Segment, Stamp};

/// What both streams share, and where messages go.
pub(super) struct StreamContext<'a> {
    pub(super) pairing: &'a mut Pairing,
    pub(super) sink: &'a mut dyn Sink,
}

/// One direction.
#[derive(Debug)]
pub(super) struct MessageStream {
    direction: Direction,
    state: StreamState,
    /// Exchange of the message under way.
    exchange: Option<ExchangeId>,
    /// Segment of that message's first byte.
    start: Stamp,
    /// Empty lines before its head.
    blank: u64,
    /// What there is of a head that did not come in one piece.
    head: HeldBytes,
    /// How far `head` was searched for its end.
    scanned: usize,
    /// A body was announced that may not come, and nothing of it came.
    may_lack_body: bool,
    /// Another protocol may follow this message.
    may_switch: bool,
    /// Segment in which bytes were lost that may have been a message; until the next message.
    lost: Option<Box<Stamp>>,
    /// Number of the last segment's run.
    run: Option<u16>,
    /// Bytes were lost behind the last segment, maybe those that begin the next run.
    broken_off: bool,
    /// The other direction had a segment since then.
    turned: bool,
    /// Number of the run in which bytes surely of the message under way last passed.
    of_run: Option<u16>,
    /// The next byte is the first one of a run of operations in this direction: a message begins here, unless messages overlap.
    begins_run: bool,
    /// Where the message under way ends will be known for certain.
    certain: bool,
    /// When the last bytes passed of which that is known.
    seen_ns: u64,
    /// A segment began no message where one was looked for.
    missed: bool,
    /// The first bytes are of another protocol.
    foreign: bool,
    /// A whole answer's head that has no request yet, and what came after it.
    waiting: Waiting,
    last_lines: LastLines,
}

/// Where in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamState {
    /// At the beginning of one.
    Start,
    /// Somewhere: the next one is looked for.
    Search,
    /// In a head, which began at a `Start` (`sure`) or where one was looked for.
    Head { sure: bool },
    /// In a head that is no longer kept, looking for its end; whether the present line is empty so far.
    Skip { empty_line: bool },
    /// In a body of so many more bytes.
    Length(u64),
    /// In a chunked body.
    Chunked(Chunked),
    /// In a chunked body, not knowing where.
    LostChunks,
    /// Behind a gap that took as many bytes as end a chunked body; more may follow.
    MaybeOver,
    /// In a body that ends with the connection.
    UntilClose,
}

impl MessageStream {
    /// Of a connection of which nothing is known.
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            state: StreamState::Search,
            exchange: None,
            start: Stamp::default(),
            blank: 0,
            head: HeldBytes::default(),
            scanned: 0,
            may_lack_body: false,
            may_switch: false,
            lost: None,
            run: None,
            broken_off: false,
            turned: false,
            of_run: None,
            begins_run: false,
            certain: true,
            seen_ns: 0,
            missed: false,
            foreign: false,
            waiting: Waiting::default(),
            last_lines: LastLines::default(),
        }
    }

    /// Takes the next segment. `turned`: the last one was of the other direction.
    pub(super) fn push(&mut self, now: Stamp, content: Content<'_>, turned: bool, cx: &mut StreamContext<'_>) {
        let segment = Segment { direction: self.direction, stamp: now, content };
        if cx.pairing.tunnel {
            return cx.pairing.unread.push(segment, || cx.sink.allowance());
        }
        if self.waiting.since().is_some() {
            return self.waiting.keep(segment, || cx.sink.allowance());
        }
        self.turned |= turned;
        match content {
            Content::Bytes(_) | Content::Gap(_) => {}
            Content::Lost(n) => {
                self.broken_off = true;
                return self.lose_operations(now, n, cx);
            }
            Content::Unknown => {
                self.broken_off = true;
                return self.unknown(now, cx);
            }
        }
        self.begins_run = match now.run {
            Some(run) => run.begins || (self.run != Some(run.number) && !self.broken_off),
            None => self.turned,
        };
        self.turned = false;
        if self.begins_run {
            self.leave_uncertain(now, now.time_ns, cx);
        }
        self.run = now.run.map(|run| run.number);
        self.broken_off = false;
        match content {
            Content::Bytes(bytes) => self.bytes(now, bytes, cx),
            content => self.gap(now, content.len(), cx),
        }
        self.seen_ns = now.time_ns;
    }

    /// When the head passed that waits for its request.
    pub(super) fn waits_since(&self) -> Option<u64> {
        self.waiting.since().map(|since| since.time_ns)
    }

    /// It waits, and no more can be kept.
    pub(super) fn holds_too_much(&self) -> bool {
        self.waiting.is_full()
    }

    /// Goes on with the head that waited.
    pub(super) fn resume(&mut self, cx: &mut StreamContext<'_>) {
        let (head, waiting) = (std::mem::take(&mut self.head), std::mem::take(&mut self.waiting));
        let now = waiting.since().unwrap_or_default();
        self.deliver(MessageSide::Response, &head, now, cx);
        waiting.release(|segment| self.push(segment.stamp, segment.content, false, cx));
    }

    /// Where bytes were lost since the last message began.
    pub(super) fn lost_at(&self) -> Option<Stamp> {
        self.lost.as_deref().copied()
    }

    /// Whether a segment began no message where one was looked for, since the last call.
    pub(super) fn take_missed(&mut self) -> bool {
        std::mem::take(&mut self.missed)
    }

    /// The connection speaks TLS or HTTP/2.
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Heap bytes, about.
    pub(super) fn heap_bytes(&self) -> usize {
        self.head.heap_bytes() + self.waiting.heap_bytes()
    }

    fn bytes(&mut self, now: Stamp, bytes: &[u8], cx: &mut StreamContext<'_>) {
        if self.state == StreamState::Search && cx.pairing.server.is_none() && line::is_foreign(bytes) {
            self.foreign = true;
            return;
        }
        self.begin_anew(now, bytes, cx);
        let mut rest = bytes;
        while !rest.is_empty() && self.waiting.since().is_none() && !cx.pairing.tunnel {
            self.begins_run &= rest.len() == bytes.len();
            rest = match self.state {
                StreamState::Start | StreamState::Search => self.begin(now, rest, cx),
                StreamState::Head { sure } => self.continue_head(now, sure, rest, cx),
                StreamState::Skip { empty_line } => self.skip(now, empty_line, rest, cx),
                StreamState::Length(left) => self.length(now, left, rest, cx),
                StreamState::Chunked(chunked) => self.chunked(now, chunked, rest, cx),
                StreamState::LostChunks => self.lost_chunks(now, rest, cx),
                StreamState::MaybeOver => self.go_on(now, rest, cx),
                StreamState::UntilClose => {
                    self.body(now, rest, cx);
                    &[]
                }
            };
        }
        if rest.is_empty() {
            return;
        }
        let segment = Segment { direction: self.direction, stamp: now.within(), content: Content::Bytes(rest) };
        if cx.pairing.tunnel {
            cx.pairing.unread.push(segment, || cx.sink.allowance());
        } else {
            self.waiting.keep(segment, || cx.sink.allowance());
        }
    }

    /// Which messages this stream carries, once that is known.
    fn side(&self, cx: &StreamContext<'_>) -> Option<MessageSide> {
        let server = cx.pairing.server?;
        Some(if server == (self.direction == Direction::In) { MessageSide::Request } else { MessageSide::Response })
    }

    /// The messages that this stream carries; while unknown, the kind that `bytes` begin.
    fn side_by(&self, bytes: &[u8], cx: &StreamContext<'_>) -> Option<MessageSide> {
        self.side(cx).or_else(|| match line::classify(bytes) {
            Line::Request => Some(MessageSide::Request),
            Line::Response => Some(MessageSide::Response),
            Line::NeedMore | Line::No => None,
        })
    }

    /// Leaves a message whose end was lost, or whose body does not come, when the next one begins with `bytes`.
    fn begin_anew(&mut self, now: Stamp, bytes: &[u8], cx: &mut StreamContext<'_>) {
        let is_rest = matches!(self.state, StreamState::Head { sure: false }) && now.run.is_none();
        if !self.begins_run && !is_rest {
            return;
        }
        if self.state == StreamState::MaybeOver && may_be(Some(MessageSide::Response), bytes) {
            return self.settle(!cx.pairing.overlaps(), cx);
        }
        let side = self.side(cx);
        let begins = || match line::is_start(bytes) {
            Some(Line::Request) => side != Some(MessageSide::Response),
            Some(Line::Response) => side != Some(MessageSide::Request),
            _ => false,
        };
        match self.state {
            StreamState::Head { sure: false } if begins() && !self.head.contains(&b'\n') => {}
            StreamState::Skip { .. } | StreamState::LostChunks if begins() => {}
            StreamState::Length(_) | StreamState::Chunked(_) | StreamState::UntilClose
                if (self.may_lack_body || !self.certain) && begins() =>
            {
                if side == Some(MessageSide::Request) && self.certain && !cx.pairing.is_answered(self.exchange) {
                    return;
                }
                self.finish(self.seen_ns, cx);
            }
            _ => return,
        }
        self.state = StreamState::Search;
        self.exchange = None;
        self.head.clear();
        self.blank = 0;
    }

    fn accept(&mut self, side: MessageSide, accepted: Accepted, now: Stamp, cx: &mut StreamContext<'_>) {
        self.exchange = accepted.id;
        self.of_run = self.run;
        self.may_lack_body = accepted.may_lack_body;
        self.may_switch = accepted.may_switch;
        self.certain = side == MessageSide::Request || !accepted.may_lack_body;
        self.blank = 0;
        if accepted.id.is_some() {
            self.lost = None;
        }
        match accepted.framing {
            BodyFraming::Interim => self.state = StreamState::Start,
            BodyFraming::Length(0) => self.finish(now.time_ns, cx),
            BodyFraming::Length(length) => self.state = StreamState::Length(length),
            BodyFraming::Chunked => self.state = StreamState::Chunked(Chunked::START),
            BodyFraming::UntilClose => self.state = StreamState::UntilClose,
            BodyFraming::Tunnel => cx.pairing.switch(self.exchange, now.time_ns, cx.sink),
            BodyFraming::Unknown => {
                self.state = StreamState::Search;
                self.certain = false;
                cx.pairing.lose(side, self.exchange, None, now.time_ns, cx.sink);
            }
            BodyFraming::Invalid => {
                self.state = StreamState::Search;
                cx.pairing.fail(side, self.exchange, cx.sink);
            }
        }
    }
}
