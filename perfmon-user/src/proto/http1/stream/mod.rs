//! One direction of a connection: finds where messages begin, where their heads and bodies end, and what was lost. Understands a body
//! by its framing only. Where nothing is known (late attach, loss), a message is looked for at the beginning of each segment.
mod bodies;
mod heads;
mod losses;

use super::MessageSide;
use super::body::{BodyFraming, Chunked};
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
    lost: Option<Stamp>,
    /// When the last bytes passed of which that is known.
    seen_ns: u64,
    /// A segment began no message where one was looked for.
    missed: bool,
    /// The first bytes are of another protocol.
    foreign: bool,
    /// A whole answer's head that has no request yet, and what came after it.
    waiting: Waiting,
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
            seen_ns: 0,
            missed: false,
            foreign: false,
            waiting: Waiting::default(),
        }
    }

    /// Takes the next segment.
    pub(super) fn push(&mut self, now: Stamp, content: Content<'_>, cx: &mut StreamContext<'_>) {
        let segment = Segment { direction: self.direction, stamp: now, content };
        if cx.pairing.tunnel {
            return cx.pairing.unread.push(segment, || cx.sink.allowance());
        }
        if self.waiting.since.is_some() {
            return self.waiting.keep(segment, || cx.sink.allowance());
        }
        match content {
            Content::Bytes(bytes) => self.bytes(now, bytes, cx),
            Content::Gap(n) => self.gap(now, n, cx),
            Content::Lost(n) => return self.lose_operations(now, n, cx),
            Content::Unknown | Content::Datagram(_) => return self.unknown(now, cx),
        }
        self.seen_ns = now.time_ns;
    }

    /// When the head passed that waits for its request.
    pub(super) fn waits_since(&self) -> Option<u64> {
        self.waiting.since.map(|since| since.time_ns)
    }

    /// It waits, and no more can be kept.
    pub(super) fn holds_too_much(&self) -> bool {
        self.waiting.is_full()
    }

    /// Goes on with the head that waited.
    pub(super) fn resume(&mut self, cx: &mut StreamContext<'_>) {
        let (head, waiting) = (std::mem::take(&mut self.head), std::mem::take(&mut self.waiting));
        let now = waiting.since.unwrap_or_default();
        self.deliver(MessageSide::Response, &head, now, cx);
        waiting.release(|segment| self.push(segment.stamp, segment.content, cx));
    }

    /// Where bytes were lost since the last message began.
    pub(super) fn lost_at(&self) -> Option<Stamp> {
        self.lost
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
        self.begin_anew(bytes, cx);
        let mut rest = bytes;
        while !rest.is_empty() && self.waiting.since.is_none() && !cx.pairing.tunnel {
            rest = match self.state {
                StreamState::Start | StreamState::Search => self.begin(now, rest, cx),
                StreamState::Head { sure } => self.continue_head(now, sure, rest, cx),
                StreamState::Skip { empty_line } => self.skip(now, empty_line, rest, cx),
                StreamState::Length(left) => self.length(now, left, rest, cx),
                StreamState::Chunked(chunked) => self.chunked(now, chunked, rest, cx),
                StreamState::LostChunks => self.lost_chunks(now, rest, cx),
                StreamState::UntilClose => {
                    self.body(now, rest, cx);
                    &[]
                }
            };
        }
        if rest.is_empty() {
            return;
        }
        let segment = Segment { direction: self.direction, stamp: now, content: Content::Bytes(rest) };
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
    fn begin_anew(&mut self, bytes: &[u8], cx: &mut StreamContext<'_>) {
        let side = self.side(cx);
        let begins = || match line::is_start(bytes) {
            Some(Line::Request) => side != Some(MessageSide::Response),
            Some(Line::Response) => side != Some(MessageSide::Request),
            _ => false,
        };
        match self.state {
            StreamState::Head { sure: false } if begins() && !self.head.contains(&b'\n') => {}
            StreamState::Skip { .. } | StreamState::LostChunks if begins() => {}
            StreamState::Length(_) | StreamState::Chunked(_) | StreamState::UntilClose if self.may_lack_body && begins() => {
                if side == Some(MessageSide::Request) && !cx.pairing.is_answered(self.exchange) {
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
        self.may_lack_body = accepted.may_lack_body;
        self.may_switch = accepted.may_switch;
        self.blank = 0;
        self.lost = None;
        match accepted.framing {
            BodyFraming::Interim => self.state = StreamState::Start,
            BodyFraming::Length(0) => self.finish(now.time_ns, cx),
            BodyFraming::Length(length) => self.state = StreamState::Length(length),
            BodyFraming::Chunked => self.state = StreamState::Chunked(Chunked::START),
            BodyFraming::UntilClose => self.state = StreamState::UntilClose,
            BodyFraming::Tunnel => cx.pairing.switch(self.exchange, now.time_ns, cx.sink),
            BodyFraming::Unknown => {
                self.state = StreamState::Search;
                cx.pairing.lose(side, self.exchange, None, now.time_ns, cx.sink);
            }
            BodyFraming::Invalid => {
                self.state = StreamState::Search;
                cx.pairing.fail(side, self.exchange, cx.sink);
            }
        }
    }
}
