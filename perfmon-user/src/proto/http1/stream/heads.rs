//! Heads: in one piece, in many, not valid, too long, or cut by a loss.
use super::{MessageStream, StreamContext, StreamState};
use crate::proto::http1::head::{self, LastLines, Parsed};
use crate::proto::http1::line::{self, Line};
use crate::proto::http1::pairing::{HeadPosition, Orphans};
use crate::proto::http1::{HEAD_BYTES, MessageSide};
use crate::stream::Stamp;

impl MessageStream {
    /// At the beginning of a message, or looking for one.
    pub(super) fn begin<'b>(&mut self, now: Stamp, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        let sure = self.state == StreamState::Start;
        if !sure && !self.may_begin(now, cx) {
            return self.pass_by(now, bytes, cx);
        }
        let (blank, bytes) = bytes.split_at(line::blank(bytes));
        self.blank += blank.len() as u64;
        if bytes.is_empty() {
            return bytes;
        }
        self.start = now;
        let Some(side) = self.side_by(bytes, cx) else {
            return self.keep(now, sure, None, bytes, cx);
        };
        match self.deliver(side, bytes, now, cx) {
            Parsed::Whole(len) => &bytes[len..],
            Parsed::Partial => self.keep(now, sure, Some(side), bytes, cx),
            Parsed::Malformed(len) if sure || is_line(side, bytes) => {
                self.broken(side, &bytes[..len], now, cx);
                &bytes[len..]
            }
            Parsed::Malformed(_) => self.discard(now, bytes, cx),
        }
    }

    /// Keeps what may be the beginning of a head.
    fn keep<'b>(&mut self, now: Stamp, sure: bool, side: Option<MessageSide>, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        if !may_be(side, bytes) {
            return match side.filter(|_| sure) {
                Some(side) => {
                    self.broken(side, bytes, now, cx);
                    self.state = StreamState::Skip { empty_line: is_at_line_start(bytes) };
                    &[]
                }
                None => self.discard(now, bytes, cx),
            };
        }
        self.state = StreamState::Head { sure };
        self.head.clear();
        self.scanned = 0;
        self.continue_head(now, sure, bytes, cx)
    }

    /// In a head that did not come in one piece.
    pub(super) fn continue_head<'b>(&mut self, now: Stamp, sure: bool, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        let had = self.head.len();
        let (taken, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - had));
        let is_kept = self.head.extend(taken, || cx.sink.allowance()).is_ok();
        if !is_kept {
            self.head.extend_briefly(taken);
        }
        let side = self.side_by(&self.head, cx);
        if let Some(end) = head::find_end(&self.head, &mut self.scanned) {
            self.complete_head(now, sure, side, end, cx);
            return &bytes[end.saturating_sub(had)..];
        }
        if !may_be(side, &self.head) {
            let head = std::mem::take(&mut self.head);
            self.state = if sure { StreamState::Start } else { StreamState::Search };
            let Some(side) = side.filter(|_| sure) else {
                // Where a message is only looked for, the new segment may begin one.
                self.discard(now, &head[..had], cx);
                return bytes;
            };
            self.broken(side, &head, now, cx);
            self.state = StreamState::Skip { empty_line: is_at_line_start(&head) };
            return rest;
        }
        if !is_kept {
            self.give_up_head(now, sure, side, cx);
        } else if self.head.len() == HEAD_BYTES {
            let head = std::mem::take(&mut self.head);
            if let Some(side) = side {
                self.broken(side, &head, now, cx);
            }
            self.state = StreamState::Skip { empty_line: is_at_line_start(&head) };
        }
        rest
    }

    /// There is no memory for the head that comes. What there is of it makes its exchange; the rest is only counted.
    fn give_up_head(&mut self, now: Stamp, sure: bool, side: Option<MessageSide>, cx: &mut StreamContext<'_>) {
        let empty_line = is_at_line_start(&self.head);
        self.lose_head(now, sure, None, cx);
        if sure && side.is_some() {
            self.state = StreamState::Skip { empty_line };
        }
    }

    /// Keeps an answer's head that has no request yet, if there is memory for it.
    fn holds(&mut self, head: &[u8], cx: &mut StreamContext<'_>) -> bool {
        self.head.clear();
        self.head.extend(head, || cx.sink.allowance()).is_ok()
    }

    /// The head that was kept ends at `end`.
    fn complete_head(&mut self, now: Stamp, sure: bool, side: Option<MessageSide>, end: usize, cx: &mut StreamContext<'_>) {
        let mut head = std::mem::take(&mut self.head);
        head.truncate(end);
        self.state = if sure { StreamState::Start } else { StreamState::Search };
        let Some(side) = side else { return };
        match self.deliver(side, &head, now, cx) {
            Parsed::Whole(_) => {}
            Parsed::Partial | Parsed::Malformed(_) if sure || is_line(side, &head) => self.broken(side, &head, now, cx),
            Parsed::Partial | Parsed::Malformed(_) => {
                self.discard(now, &head, cx);
            }
        }
    }

    /// Parses a head and hands it on. An answer without a request waits.
    pub(super) fn deliver(&mut self, side: MessageSide, bytes: &[u8], now: Stamp, cx: &mut StreamContext<'_>) -> Parsed<usize> {
        let (direction, start, blank, lost) = (self.direction, self.start, self.blank, self.lost_at());
        let parsed = head::parse(side, bytes, &mut self.last_lines, |head| {
            let place = HeadPosition { direction, start, now, wire: blank + head.len as u64, whole: true, lost };
            (head.len, cx.pairing.head(head, &place, cx.sink))
        });
        match parsed {
            Parsed::Whole((len, Some(accepted))) => {
                self.accept(side, accepted, now, cx);
                Parsed::Whole(len)
            }
            Parsed::Whole((len, None)) if !self.holds(&bytes[..len], cx) => {
                cx.pairing.orphans = Some(Orphans::Drop);
                self.deliver(side, bytes, now, cx);
                cx.pairing.orphans = None;
                Parsed::Whole(len)
            }
            Parsed::Whole((len, None)) => {
                self.waiting.begin(now);
                Parsed::Whole(len)
            }
            Parsed::Partial => Parsed::Partial,
            Parsed::Malformed(len) => Parsed::Malformed(len),
        }
    }

    /// Whether a message may begin here, where the place is not known. Text can look like a message, so where the kernel counts runs
    /// only the beginning of a run will do, of a client that is not known to ask before it has its answers.
    fn may_begin(&self, now: Stamp, cx: &StreamContext<'_>) -> bool {
        let Some(run) = now.run else { return true };
        let goes_on = match self.side(cx) {
            Some(MessageSide::Response) => cx.pairing.overlaps(),
            _ => cx.pairing.continued == Some(run.number),
        };
        self.blank > 0 || (self.begins_run && !goes_on)
    }

    /// Bytes of a run whose place in a message is not known.
    fn pass_by<'b>(&mut self, now: Stamp, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        self.state = StreamState::Search;
        if self.side(cx) == Some(MessageSide::Response) {
            cx.pairing.continued = None;
        }
        self.pass_unread(now, bytes.len() as u64, Some(0), cx);
        &[]
    }

    /// Bytes where a message should begin or was looked for, and that are none.
    fn discard<'b>(&mut self, now: Stamp, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        self.state = StreamState::Search;
        self.missed = true;
        let wire = std::mem::take(&mut self.blank) + bytes.len() as u64;
        self.pass_unread(now, wire, Some(0), cx);
        &[]
    }

    /// A head that is not valid: its exchange fails.
    fn broken(&mut self, side: MessageSide, bytes: &[u8], now: Stamp, cx: &mut StreamContext<'_>) {
        cx.pairing.stats().desyncs += 1;
        cx.pairing.stats().heads_too_long += u64::from(bytes.len() >= HEAD_BYTES);
        let wire = self.blank + bytes.len() as u64;
        if !self.salvage(side, bytes, wire, now, cx) {
            self.exchange = match side {
                MessageSide::Request => {
                    let place =
                        HeadPosition { direction: self.direction, start: self.start, now, wire, whole: false, lost: self.lost_at() };
                    Some(cx.pairing.broken_request(&place, cx.sink))
                }
                MessageSide::Response => cx.pairing.awaited(),
            };
            if side == MessageSide::Response {
                cx.pairing.wire(side, self.exchange, wire, now.time_ns);
            }
        }
        cx.pairing.fail(side, self.exchange, cx.sink);
        self.blank = 0;
        self.state = StreamState::Search;
        self.missed = true;
    }

    /// Makes the most of a head that is not whole or not valid. Whether there is an exchange that it belongs to.
    pub(super) fn salvage(&mut self, side: MessageSide, bytes: &[u8], wire: u64, now: Stamp, cx: &mut StreamContext<'_>) -> bool {
        let Some(head) = head::salvage(side, bytes) else { return false };
        let place = HeadPosition { direction: self.direction, start: self.start, now, wire, whole: false, lost: self.lost_at() };
        let Parsed::Whole(Some(accepted)) =
            head::parse(side, &head, &mut LastLines::default(), |head| cx.pairing.head(head, &place, cx.sink))
        else {
            return false;
        };
        self.exchange = accepted.id;
        self.blank = 0;
        self.lost = None;
        self.certain = false;
        true
    }

    /// Takes a head as far as it came for one that does not go on, since its answer is there or the connection ended. Whether a request
    /// came of it; of an answer only the bytes are counted.
    pub(in crate::proto::http1) fn promote(&mut self, cx: &mut StreamContext<'_>) -> bool {
        let StreamState::Head { .. } = self.state else { return false };
        let wire = self.blank + self.head.len() as u64;
        let side = match self.side_by(&self.head, cx) {
            Some(side @ MessageSide::Request) if self.head.contains(&b'\n') => side,
            Some(side @ MessageSide::Response) => {
                cx.pairing.wire(side, cx.pairing.awaited(), wire, self.start.time_ns);
                return false;
            }
            _ => return false,
        };
        let head = std::mem::take(&mut self.head);
        self.state = StreamState::Skip { empty_line: is_at_line_start(&head) };
        let known = self.salvage(side, &head, wire, self.start, cx);
        cx.pairing.open_end(side, self.exchange.filter(|_| known), cx.sink);
        known
    }
}

/// Whether `bytes` may be the beginning of a head, by their first line.
pub(super) fn may_be(side: Option<MessageSide>, bytes: &[u8]) -> bool {
    match line::classify(bytes) {
        Line::NeedMore => true,
        Line::No => false,
        line => side.is_none_or(|_| is_line_of(side, line)),
    }
}

/// Whether `bytes` begin with the first line of such a message.
fn is_line(side: MessageSide, bytes: &[u8]) -> bool {
    is_line_of(Some(side), line::classify(bytes))
}

fn is_line_of(side: Option<MessageSide>, line: Line) -> bool {
    matches!((side, line), (Some(MessageSide::Request), Line::Request) | (Some(MessageSide::Response), Line::Response))
}

/// Whether nothing but a CR follows the last line end.
fn is_at_line_start(head: &[u8]) -> bool {
    let line = head.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    line.iter().all(|byte| *byte == b'\r')
}
