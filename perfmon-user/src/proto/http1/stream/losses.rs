//! Losses: what a gap does in each state. A gap in a body of known length costs nothing; elsewhere the place may be lost, and then the
//! exchange is inferred and its message ends by what comes after.
use super::{Context, State, Stream};
use crate::proto::Content;
use crate::proto::http1::body::Gapped;
use crate::proto::http1::line::{self, Line};
use crate::proto::http1::{Moment, Side};

impl Stream {
    /// `n` bytes passed that were not captured.
    pub(super) fn gap(&mut self, now: Moment, n: u64, cx: &mut Context<'_>) {
        match self.state {
            _ if n == 0 => {}
            State::Start | State::Search => self.lose_place(now, Some(n), cx),
            State::Head { .. } => self.lose_head(now, Some(n), cx),
            State::Skip { .. } => {
                self.wire(now, n, cx);
                self.state = State::Search;
            }
            State::Length(left) => {
                let taken = left.min(n);
                self.piece(now, Content::Gap(taken), cx);
                self.wire(now, taken, cx);
                self.state = State::Length(left - taken);
                if taken == left {
                    self.finish(now.time_ns, cx);
                }
                if n > taken {
                    self.lose_place(now, Some(n - taken), cx);
                }
            }
            State::Chunked(mut chunked) => {
                let gapped = chunked.gap(n);
                self.state = State::Chunked(chunked);
                self.gap_in_chunks(now, n, gapped, cx);
            }
            State::LostChunks => {
                self.wire(now, n, cx);
                cx.pairing.miss(self.exchange, n);
            }
            State::UntilClose => {
                self.piece(now, Content::Gap(n), cx);
                self.wire(now, n, cx);
            }
        }
    }

    fn gap_in_chunks(&mut self, now: Moment, n: u64, gapped: Gapped, cx: &mut Context<'_>) {
        let (Gapped::Inside(data) | Gapped::Ended(data) | Gapped::Lost(data)) = gapped;
        if data > 0 {
            self.piece(now, Content::Gap(data), cx);
        }
        self.wire(now, n, cx);
        match gapped {
            Gapped::Inside(_) => {}
            Gapped::Ended(_) => self.finish(now.time_ns, cx),
            Gapped::Lost(_) => {
                cx.pairing.wants_full = true;
                self.lose_message(now, State::LostChunks, Some(n - data), cx);
            }
        }
    }

    /// Bytes were lost, nobody knows how many.
    pub(super) fn unknown(&mut self, now: Moment, cx: &mut Context<'_>) {
        match self.state {
            State::Start | State::Search => self.lose_place(now, None, cx),
            State::Head { .. } => self.lose_head(now, None, cx),
            State::Skip { .. } => self.state = State::Search,
            State::Chunked(_) | State::LostChunks => self.lose_message(now, State::LostChunks, None, cx),
            State::Length(_) | State::UntilClose => self.lose_message(now, State::Search, None, cx),
        }
        self.lost = Some(now);
    }

    /// The message under way goes on, but where in it the stream is cannot be told.
    fn lose_message(&mut self, now: Moment, state: State, missing: Option<u64>, cx: &mut Context<'_>) {
        self.state = state;
        self.may_lack_body = false;
        if let Some(side) = self.side(cx) {
            cx.pairing.lose(side, self.exchange, missing, now.time_ns, cx.sink);
        }
    }

    /// Bytes of a head were lost. What came of it is kept.
    fn lose_head(&mut self, now: Moment, missing: Option<u64>, cx: &mut Context<'_>) {
        let head = std::mem::take(&mut self.head);
        let wire = self.blank + head.len() as u64 + missing.unwrap_or(0);
        cx.pairing.wants_full |= missing.is_some();
        self.state = State::Search;
        let side = self.side_by(&head, cx).or(match line::is_start(&head) {
            Some(Line::Request) => Some(Side::Request),
            _ => None,
        });
        match side.filter(|side| self.salvage(*side, &head, wire, now, cx)) {
            Some(side) => cx.pairing.lose(side, self.exchange, missing, now.time_ns, cx.sink),
            None => self.lose_place(now, missing, cx),
        }
    }

    /// Bytes were lost where a message begins or was looked for.
    fn lose_place(&mut self, now: Moment, missing: Option<u64>, cx: &mut Context<'_>) {
        // The rest of an operation whose beginning was captured: more would have been there to capture.
        cx.pairing.wants_full |= missing.is_some() && now.time_ns == self.captured_ns;
        self.state = State::Search;
        self.lost = Some(now);
        self.pass_unread(now, missing.unwrap_or(0), missing, cx);
    }

    /// Counts bytes that nobody understands: to the message whose end was lost, or to the answer that should have come.
    pub(super) fn pass_unread(&mut self, now: Moment, wire: u64, missing: Option<u64>, cx: &mut Context<'_>) {
        if let (Some(Side::Response), Some(id)) = (self.side(cx), cx.pairing.awaited()) {
            self.exchange = Some(id);
            cx.pairing.lose(Side::Response, self.exchange, missing, now.time_ns, cx.sink);
        } else {
            cx.pairing.miss(self.exchange, missing.unwrap_or(0));
        }
        self.wire(now, wire, cx);
    }
}
