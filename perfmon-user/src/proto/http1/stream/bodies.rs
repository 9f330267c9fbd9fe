//! Bodies: by length, chunked, until the connection ends; and heads too long to keep, of which only the end matters.
use super::{MessageStream, StreamContext, StreamState};
use crate::proto::http1::body::{ChunkStep, Chunked};
use crate::stream::{Content, Stamp};

impl MessageStream {
    /// The message is complete; its last byte passed at `time_ns`.
    pub(super) fn finish(&mut self, time_ns: u64, cx: &mut StreamContext<'_>) {
        if let Some(side) = self.side(cx) {
            cx.pairing.finish(side, self.exchange.take(), time_ns, cx.sink);
        }
        self.may_lack_body = false;
        self.state = if self.may_switch { StreamState::Search } else { StreamState::Start };
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

    /// In a body of known length.
    pub(super) fn length<'b>(&mut self, now: Stamp, left: u64, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        let (body, rest) = bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        self.body(now, body, cx);
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
        self.may_lack_body = false;
        match last {
            ChunkStep::End => self.finish(now.time_ns, cx),
            ChunkStep::Malformed => {
                self.state = StreamState::LostChunks;
                if let Some(side) = self.side(cx).filter(|_| !cx.pairing.is_inferred(self.exchange)) {
                    cx.pairing.stats.desyncs += 1;
                    cx.pairing.fail(side, self.exchange, cx.sink);
                }
            }
            ChunkStep::Data(_) | ChunkStep::More => self.state = StreamState::Chunked(chunked),
        }
        rest
    }

    /// In a chunked body whose framing was lost: picked up again where a chunk begins; ended where the last one does.
    pub(super) fn lost_chunks<'b>(&mut self, now: Stamp, bytes: &'b [u8], cx: &mut StreamContext<'_>) -> &'b [u8] {
        if let (Some(skipped), Some(side)) = (Chunked::resume(bytes), self.side(cx)) {
            self.wire(now, skipped as u64, cx);
            self.state = StreamState::Chunked(Chunked::START);
            cx.pairing.regain(side, self.exchange);
            return &bytes[skipped..];
        }
        self.wire(now, bytes.len() as u64, cx);
        if bytes.ends_with(b"\r\n0\r\n\r\n") {
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
