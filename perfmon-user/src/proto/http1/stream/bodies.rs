//! Bodies: by length, chunked, until the connection ends; and heads too long to keep, of which only the end matters.
use super::{MessageStream, StreamContext, StreamState};
use crate::proto::http1::MessageSide;
use crate::proto::http1::body::{ChunkStep, Chunked};
use crate::stream::{Content, Stamp};

impl MessageStream {
    /// The message is complete; its last byte passed at `time_ns`.
    pub(super) fn finish(&mut self, time_ns: u64, cx: &mut StreamContext<'_>) {
        if let Some(side) = self.side(cx) {
            cx.pairing.finish(side, self.exchange.take(), time_ns, cx.sink);
        }
        self.may_lack_body = false;
        self.state = if self.may_switch || !self.certain { StreamState::Search } else { StreamState::Start };
    }

    /// The chunked body ends here, or a chunk begins: what comes next decides.
    pub(super) fn hold(&mut self, now: Stamp, cx: &mut StreamContext<'_>) {
        self.state = StreamState::MaybeOver;
        self.seen_ns = now.time_ns;
        if self.side(cx) == Some(MessageSide::Response) {
            cx.pairing.hold(self.exchange);
        } else {
            // Its answer is there before anything else can tell.
            cx.pairing.doubt_end(self.exchange);
            self.settle(false, cx);
        }
    }

    /// Whether a message may be over of which nothing came since `time_ns`.
    pub(in crate::proto::http1) fn may_be_over(&self, time_ns: u64) -> bool {
        self.state == StreamState::MaybeOver && self.seen_ns < time_ns
    }

    /// Ends a message that may be over. `known`: no byte of it can follow.
    pub(in crate::proto::http1) fn settle(&mut self, known: bool, cx: &mut StreamContext<'_>) {
        if self.state != StreamState::MaybeOver {
            return;
        }
        if !known {
            self.certain = false;
            cx.pairing.infer(self.exchange);
        }
        self.finish(self.seen_ns, cx);
    }

    /// Bytes of the same run follow where a message may have been over: it was not.
    pub(super) fn go_on<'b>(&mut self, now: Stamp, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        cx.pairing.wants_full = true;
        self.lose_message(now, StreamState::LostChunks, Some(0), cx);
        bytes
    }

    /// Bytes of a body that are counted as they stand.
    pub(super) fn body(&mut self, now: Stamp, bytes: &[u8], cx: &mut StreamContext<'_>) {
        self.piece(now, Content::Bytes(bytes), cx);
        self.wire(now, bytes.len() as u64, cx);
    }

    /// Tells a piece of the body.
    pub(super) fn piece(&mut self, now: Stamp, content: Content<'_>, cx: &mut StreamContext<'_>) {
        self.may_lack_body = false;
        if let Some(side) = self.side(cx) {
            cx.pairing.body(side, self.exchange, content, now.time_ns, cx.sink);
        }
    }

    /// Counts bytes of the message under way.
    pub(super) fn wire(&mut self, now: Stamp, n: u64, cx: &mut StreamContext<'_>) {
        if let Some(side) = self.side(cx) {
            cx.pairing.wire(side, self.exchange, n, now.time_ns);
        }
    }

    /// A piece of the message was found in this run.
    pub(super) fn see(&mut self, cx: &mut StreamContext<'_>) {
        if !self.certain || self.of_run == self.run {
            return;
        }
        self.of_run = self.run;
        if self.side(cx) == Some(MessageSide::Request) {
            cx.pairing.see(self.exchange, self.run);
        }
    }

    /// In a body of known length.
    pub(super) fn length<'b>(&mut self, now: Stamp, left: u64, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        let (body, rest) = bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        self.body(now, body, cx);
        self.see(cx);
        self.state = StreamState::Length(left - body.len() as u64);
        if left == body.len() as u64 {
            self.finish(now.time_ns, cx);
        }
        rest
    }

    /// In a chunked body.
    pub(super) fn chunked<'b>(&mut self, now: Stamp, mut chunked: Chunked, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        let mut rest = bytes;
        let last = loop {
            match chunked.step(&mut rest) {
                ChunkStep::Data(data) => self.piece(now, Content::Bytes(data), cx),
                last => break last,
            }
        };
        self.wire(now, (bytes.len() - rest.len()) as u64, cx);
        self.see(cx);
        self.may_lack_body = false;
        match last {
            ChunkStep::End => self.finish(now.time_ns, cx),
            ChunkStep::Malformed => {
                if cx.pairing.is_inferred(self.exchange) {
                    self.lose_message(now, StreamState::LostChunks, Some(0), cx);
                } else if let Some(side) = self.side(cx) {
                    self.state = StreamState::LostChunks;
                    self.certain = false;
                    cx.pairing.stats().desyncs += 1;
                    cx.pairing.fail(side, self.exchange, cx.sink);
                }
            }
            ChunkStep::Data(_) | ChunkStep::More => self.state = StreamState::Chunked(chunked),
        }
        rest
    }

    /// In a chunked body whose framing was lost: picked up again where a chunk begins; ended where the last one does.
    pub(super) fn lost_chunks<'b>(&mut self, now: Stamp, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        let goes_on = self.of_run == self.run;
        if let (Some(skipped), Some(side), true) = (Chunked::resume(bytes), self.side(cx), goes_on) {
            self.wire(now, skipped as u64, cx);
            self.state = StreamState::Chunked(Chunked::START);
            cx.pairing.regain(side, self.exchange);
            return &bytes[skipped..];
        }
        self.wire(now, bytes.len() as u64, cx);
        if goes_on && bytes.ends_with(b"\r\n0\r\n\r\n") {
            self.finish(now.time_ns, cx);
        }
        &[]
    }

    /// In a head that is no longer kept.
    pub(super) fn skip<'b>(&mut self, now: Stamp, mut empty_line: bool, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if empty_line => {
                    self.wire(now, index as u64 + 1, cx);
                    self.state = StreamState::Search;
                    return &bytes[index + 1..];
                }
                b'\n' => empty_line = true,
                b'\r' => {}
                _ => empty_line = false,
            }
        }
        self.wire(now, bytes.len() as u64, cx);
        self.missed = true;
        self.state = StreamState::Skip { empty_line };
        &[]
    }
}
