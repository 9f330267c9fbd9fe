//! The DNS. Over TCP (RFC 7766) and TLS a parser: segments of both directions in, messages of the client out, each behind its length. Over UDP each
//! datagram is a message. `message` reads one, `asked` joins questions and answers of a process, whichever way they went.
mod asked;
mod message;
#[cfg(test)]
mod tests;

pub use asked::{DnsPassage, EndedQuestion, QuestionTable};
pub use message::{AskedName, DnsMessage};

use super::detect::{Opening, Verdict};
use super::{Demand, Message, Parser, PendingExchange, Sink, Stats};
use crate::stream::{Content, Direction, Ending, Segment};

/// Bytes of the length before each message.
const LENGTH: usize = 2;
/// Bytes that are kept of a message: its questions and what of the answer tells addresses.
const KEPT: usize = 4_096;
/// The longest question that a connection is believed to begin with.
const FIRST_MAX: usize = 1_024;

/// Whether a connection begins with a question, or, seen from the middle on, goes on with one or its answer.
pub fn detect(opening: &Opening<'_>) -> Verdict {
    opening.any(|bytes| {
        let Some((length, message)) = bytes.split_first_chunk::<LENGTH>() else {
            return if !opening.late && bytes[0] <= (FIRST_MAX >> 8) as u8 { Verdict::NeedMore } else { Verdict::No };
        };
        let is_possible =
            (message::HEADER + 5..=FIRST_MAX).contains(&usize::from(u16::from_be_bytes(*length))) && message::is_opening(message);
        match (is_possible, message.len() >= message::HEADER) {
            (true, true) => Verdict::Yes,
            (true, false) if !opening.late => Verdict::NeedMore,
            _ => Verdict::No,
        }
    })
}

/// A connection's state.
#[derive(Debug, Default)]
pub struct DnsParser {
    streams: [DnsStream; 2],
    /// The process answers questions.
    server: Option<bool>,
    stats: Stats,
}

/// What is unread of one direction.
#[derive(Debug, Default)]
struct DnsStream {
    /// Length and beginning of the message under way.
    kept: Vec<u8>,
    /// Bytes of it that are still to come and not kept.
    skip: usize,
}

impl DnsParser {
    /// Of a new connection, or one that was open before.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads bytes of one direction. False when they are no messages.
    fn read(&mut self, direction: Direction, mut bytes: &[u8], time_ns: u64, sink: &mut dyn Sink) -> bool {
        while !bytes.is_empty() {
            let stream = &mut self.streams[direction.index()];
            if stream.skip > 0 {
                let skipped = stream.skip.min(bytes.len());
                stream.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let whole = stream.length().map_or(LENGTH, |length| LENGTH + length.min(KEPT));
            let taken = (whole - stream.kept.len()).min(bytes.len());
            stream.kept.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            let Some(length) = stream.length() else { continue };
            if stream.kept.len() < LENGTH + length.min(KEPT) {
                continue;
            }
            stream.skip = length - length.min(KEPT);
            let message = DnsMessage::read(&stream.kept[LENGTH..]);
            stream.kept.clear();
            match (message, self.server) {
                (Some(message), known) => {
                    self.server = known.or(Some(message.is_answer == (direction == Direction::Out)));
                    if self.server == Some(false) {
                        sink.message(Message::Name(&message, time_ns));
                    }
                }
                // Other messages pass too: transfers of zones, updates.
                (None, Some(_)) => {}
                (None, None) => return false,
            }
        }
        true
    }
}

impl DnsStream {
    /// What the message under way says that it is long.
    fn length(&self) -> Option<usize> {
        self.kept.first_chunk().map(|length: &[u8; LENGTH]| usize::from(u16::from_be_bytes(*length)))
    }
}

impl Parser for DnsParser {
    fn push(&mut self, segment: Segment<'_>, sink: &mut dyn Sink) -> Demand {
        let is_read = match segment.content {
            Content::Bytes(bytes) => self.read(segment.direction, bytes, segment.stamp.time_ns, sink),
            // What stands behind lost bytes cannot be found: messages have no mark.
            Content::Gap(_) | Content::Lost(_) | Content::Unknown => false,
        };
        if is_read {
            return Demand::Full;
        }
        self.stats.desyncs += 1;
        self.streams = Default::default();
        Demand::Count
    }

    fn end(&mut self, _ending: Ending, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn pending(&self, _visit: &mut dyn FnMut(PendingExchange<'_>)) {}

    fn serves(&self) -> Option<bool> {
        self.server
    }

    fn heap_bytes(&self) -> usize {
        self.streams.iter().map(|stream| stream.kept.capacity()).sum()
    }

    fn take_stats(&mut self) -> Stats {
        std::mem::take(&mut self.stats)
    }
}
