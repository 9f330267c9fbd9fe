//! Losses: what a gap does in each state. A gap in a body of known length costs nothing; elsewhere the place may be lost, and then the
//! exchange is inferred and its message ends by what comes after.
use super::{MessageStream, StreamContext, StreamState};
use crate::proto::http1::MessageSide;
use crate::proto::http1::body::Gapped;
use crate::proto::http1::line::{self, Line};
use crate::stream::{Content, OperationRun, Stamp};

impl MessageStream {
    /// `n` bytes passed that were not captured: the rest of an operation, or a whole one.
    pub(super) fn gap(&mut self, now: Stamp, n: u64, cx: &mut StreamContext<'_>) {
        match self.state {
            _ if n == 0 => {}
            StreamState::Start | StreamState::Search => {
                // The rest of an operation whose beginning was captured: more would have been there to capture.
                cx.pairing.wants_full |= now.time_ns == self.seen_ns;
                self.lose_place(now, Some(n), cx);
            }
            StreamState::Head { sure } => {
                cx.pairing.wants_full = true;
                self.lose_head(now, sure, Some(n), cx);
            }
            StreamState::Skip { .. } => {
                self.wire(now, n, cx);
                self.state = StreamState::Search;
                self.lost = Some(Box::new(now));
                cx.pairing.doubt = true;
            }
            StreamState::Length(left) => {
                let taken = left.min(n);
                if n == left {
                    // An operation that ends where the body ends is its rest.
                    self.see(cx);
                }
                self.gap_in_length(now, left, taken, cx);
                self.gap(now, n - taken, cx);
            }
            StreamState::Chunked(mut chunked) => {
                let gapped = chunked.gap(n);
                cx.pairing.wants_full |= matches!(gapped, Gapped::Lost(_));
                self.state = StreamState::Chunked(chunked);
                self.gap_in_chunks(now, n, gapped, cx);
            }
            StreamState::LostChunks => {
                self.wire(now, n, cx);
                cx.pairing.miss(self.exchange, n);
            }
            StreamState::MaybeOver if self.begins_run => {
                self.settle(false, cx);
                self.gap(now, n, cx);
            }
            StreamState::MaybeOver => {
                self.go_on(now, &[], cx);
                self.gap(now, n, cx);
            }
            StreamState::UntilClose => {
                self.piece(now, Content::Gap(n), cx);
                self.wire(now, n, cx);
            }
        }
    }

    /// Handles `n` bytes that passed at an unknown time before `at`. The message under way ends at its last known byte; bytes lost between
    /// messages may have been whole messages.
    pub(super) fn lose_operations(&mut self, at: Stamp, n: u64, cx: &mut StreamContext<'_>) {
        let run = self.run.map(|number| OperationRun { number, begins: false });
        let now = Stamp { time_ns: self.seen_ns.min(at.time_ns), run, ..at };
        cx.pairing.doubt = true;
        if let (StreamState::Start | StreamState::Search, Some(run)) = (&self.state, at.run) {
            let is_sure = matches!(self.state, StreamState::Start) || self.run.is_none();
            cx.pairing.note_lost_between(self.direction, self.run, run, is_sure);
        }
        // What is lost of the message under way is of its run; what is lost behind it, of any later one.
        cx.pairing.runs[self.direction.index()] = self.run;
        if at.run.is_some_and(|run| Some(run.number) != self.run) {
            self.leave_uncertain(at, now.time_ns, cx);
        }
        match self.state {
            StreamState::Start | StreamState::Search
                if self.side(cx) == Some(MessageSide::Response) && (self.exchange.is_none() || at.run.is_some()) =>
            {
                self.state = StreamState::Search;
                self.lost = Some(Box::new(at));
                if let Some(run) = at.run {
                    cx.pairing.runs[self.direction.index()] = Some(run.number);
                }
                self.exchange = cx.pairing.lose_between(n, at, cx.sink);
            }
            StreamState::Start | StreamState::Search => self.lose_place(at, Some(n), cx),
            StreamState::Head { sure } => {
                self.lose_head(now, sure, Some(n), cx);
                self.lost = Some(Box::new(at));
            }
            StreamState::Length(left) if n >= left => {
                cx.pairing.infer_end(self.exchange);
                self.gap_in_length(now, left, left, cx);
                if n > left {
                    self.lose_operations(at, n - left, cx);
                }
            }
            StreamState::Chunked(mut chunked) => {
                let gapped = chunked.gap(n);
                match gapped {
                    Gapped::Inside(_) => {}
                    Gapped::MaybeEnded(_) => cx.pairing.infer_end(self.exchange),
                    Gapped::Lost(_) => self.lost = Some(Box::new(at)),
                }
                self.state = StreamState::Chunked(chunked);
                self.gap_in_chunks(now, n, gapped, cx);
            }
            StreamState::MaybeOver => {
                // They may be its last ones.
                self.settle(false, cx);
                self.lose_operations(at, n, cx);
            }
            StreamState::Skip { .. } | StreamState::LostChunks => {
                self.gap(now, n, cx);
                self.lost = Some(Box::new(at));
            }
            StreamState::Length(_) | StreamState::UntilClose => self.gap(now, n, cx),
        }
    }

    /// Leaves an answer whose end will not be recognised when a run begins: what comes now is another one, unless messages overlap.
    pub(super) fn leave_uncertain(&mut self, at: Stamp, end_ns: u64, cx: &mut StreamContext<'_>) {
        let is_uncertain = match self.state {
            StreamState::Skip { .. } | StreamState::LostChunks => true,
            StreamState::Search | StreamState::Length(_) | StreamState::Chunked(_) | StreamState::UntilClose => !self.certain,
            _ => false,
        };
        if !is_uncertain || at.run.is_none() || cx.pairing.overlaps() || self.side(cx) != Some(MessageSide::Response) {
            return;
        }
        if matches!(self.state, StreamState::Length(_) | StreamState::Chunked(_)) {
            self.finish(end_ns, cx);
        }
        self.state = StreamState::Search;
        self.exchange = None;
        self.lost.get_or_insert_with(|| Box::new(at));
    }

    fn gap_in_length(&mut self, now: Stamp, left: u64, taken: u64, cx: &mut StreamContext<'_>) {
        self.piece(now, Content::Gap(taken), cx);
        self.wire(now, taken, cx);
        self.state = StreamState::Length(left - taken);
        if taken == left {
            self.finish(now.time_ns, cx);
        }
    }

    fn gap_in_chunks(&mut self, now: Stamp, n: u64, gapped: Gapped, cx: &mut StreamContext<'_>) {
        let (Gapped::Inside(data) | Gapped::MaybeEnded(data) | Gapped::Lost(data)) = gapped;
        if data > 0 {
            self.piece(now, Content::Gap(data), cx);
        }
        self.wire(now, n, cx);
        match gapped {
            Gapped::Inside(_) => {}
            Gapped::MaybeEnded(_) => self.hold(now, cx),
            Gapped::Lost(_) => self.lose_message(now, StreamState::LostChunks, Some(n - data), cx),
        }
    }

    /// Handles the loss of an unknown number of bytes.
    pub(super) fn unknown(&mut self, now: Stamp, cx: &mut StreamContext<'_>) {
        match self.state {
            StreamState::Start | StreamState::Search => self.lose_place(now, None, cx),
            StreamState::Head { sure } => self.lose_head(now, sure, None, cx),
            StreamState::Skip { .. } => self.state = StreamState::Search,
            StreamState::Chunked(_) | StreamState::LostChunks | StreamState::MaybeOver => {
                self.lose_message(now, StreamState::LostChunks, None, cx);
            }
            StreamState::Length(_) | StreamState::UntilClose => self.lose_message(now, StreamState::Search, None, cx),
        }
        self.lost = Some(Box::new(now));
        cx.pairing.doubt = true;
    }

    /// The message under way goes on, but where in it the stream is cannot be told.
    pub(super) fn lose_message(&mut self, now: Stamp, state: StreamState, missing: Option<u64>, cx: &mut StreamContext<'_>) {
        self.state = state;
        self.may_lack_body = false;
        self.certain = false;
        self.lost.get_or_insert_with(|| Box::new(now));
        if let Some(side) = self.side(cx) {
            cx.pairing.lose(side, self.exchange, missing, now.time_ns, cx.sink);
        }
    }

    /// Bytes of a head were lost. What came of it is kept, if it surely was one.
    pub(super) fn lose_head(&mut self, now: Stamp, sure: bool, missing: Option<u64>, cx: &mut StreamContext<'_>) {
        let head = std::mem::take(&mut self.head);
        let wire = self.blank + head.len() as u64 + missing.unwrap_or(0);
        self.state = StreamState::Search;
        let side = match line::is_start(&head) {
            Some(Line::Request) => self.side(cx).or(Some(MessageSide::Request)),
            Some(_) => self.side(cx).or(Some(MessageSide::Response)),
            None => self.side(cx).filter(|_| sure),
        };
        match side.filter(|side| self.salvage(*side, &head, wire, now, cx)) {
            Some(side) => cx.pairing.lose(side, self.exchange, missing, now.time_ns, cx.sink),
            None => self.lose_place(now, missing, cx),
        }
    }

    /// Bytes were lost where a message begins or was looked for.
    fn lose_place(&mut self, now: Stamp, missing: Option<u64>, cx: &mut StreamContext<'_>) {
        cx.pairing.doubt = true;
        cx.pairing.tear();
        self.state = StreamState::Search;
        self.lost = Some(Box::new(now));
        self.pass_unread(now, missing.unwrap_or(0), missing, cx);
    }

    /// Counts unparsed bytes to the message whose end was lost, or to the awaited answer.
    pub(super) fn pass_unread(&mut self, now: Stamp, wire: u64, missing: Option<u64>, cx: &mut StreamContext<'_>) {
        if let (Some(MessageSide::Response), Some(id)) = (self.side(cx), cx.pairing.awaited()) {
            self.exchange = Some(id);
            cx.pairing.lose(MessageSide::Response, self.exchange, missing, now.time_ns, cx.sink);
        } else {
            cx.pairing.miss(self.exchange, missing.unwrap_or(0));
        }
        self.wire(now, wire, cx);
    }
}
