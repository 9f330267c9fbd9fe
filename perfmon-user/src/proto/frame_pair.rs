//! Both directions of a connection of commands: which one a segment is of, what to capture of the rest, and when to give up. In: segments; out:
//! frames of the client and of the server, for what joins them.
use super::framed::{FoundFrame, FrameReader, FrameSide, FrameSpan};
use super::{Demand, Sink};
use crate::stream::{Ending, Segment};

/// While more of a frame is still to come, its length tells all and it is not captured.
const LONG_FRAME: u64 = 1 << 20;
/// Segments without a frame after which a connection is given up.
const MISSES: u32 = 64;

/// The directions.
#[derive(Debug)]
pub struct FramePair<Q, A> {
    /// The client's.
    pub requests: Box<FrameSide<Q>>,
    /// The server's.
    pub answers: Box<FrameSide<A>>,
}

/// What both directions share.
pub trait FrameTalk<Q, A> {
    /// A frame of the client.
    fn request(&mut self, frame: &Q, span: FrameSpan, sink: &mut dyn Sink);
    /// A frame of the server.
    fn answer(&mut self, frame: &A, span: FrameSpan, sink: &mut dyn Sink);
    /// The client's place was lost, with this number of bytes at least.
    fn lose_requests(&mut self, missing: u64, sink: &mut dyn Sink);
    /// The server's.
    fn lose_answers(&mut self, missing: u64, sink: &mut dyn Sink);
}

impl<Q: FrameReader, A: FrameReader> Default for FramePair<Q, A> {
    fn default() -> Self {
        Self { requests: Box::default(), answers: Box::default() }
    }
}

impl<Q: FrameReader, A: FrameReader> FramePair<Q, A> {
    /// Takes a segment of the client or of the server.
    pub fn push(&mut self, is_request: bool, segment: Segment<'_>, talk: &mut impl FrameTalk<Q, A>, sink: &mut dyn Sink) {
        let Segment { stamp, content, .. } = segment;
        if is_request {
            self.requests.push(stamp, content, sink, &mut |found, sink| match found {
                FoundFrame::Frame(frame, span) => talk.request(frame, span, sink),
                FoundFrame::Lost(missing) => talk.lose_requests(missing, sink),
            });
        } else {
            self.answers.push(stamp, content, sink, &mut |found, sink| match found {
                FoundFrame::Frame(frame, span) => talk.answer(frame, span, sink),
                FoundFrame::Lost(missing) => talk.lose_answers(missing, sink),
            });
        }
    }

    /// No frame was found for long.
    pub fn is_lost(&self) -> bool {
        self.requests.misses >= MISSES || self.answers.misses >= MISSES
    }

    /// No frame will be found.
    pub fn give_up(&mut self) {
        self.requests.misses = MISSES;
    }

    /// How much of what comes is needed.
    pub fn demand(&self) -> Demand {
        if self.requests.left().max(self.answers.left()) > LONG_FRAME { Demand::Head } else { Demand::Full }
    }

    /// Heap bytes.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.requests) + size_of_val(&*self.answers) + self.requests.heap_bytes() + self.answers.heap_bytes()
    }
}

/// Whether an end of a connection ends what is under way on it: what was asked may still be answered, and what was answered still be read,
/// since the kernel tells of an end before the process has read what came before.
pub fn is_over(ending: Ending, is_server: bool) -> bool {
    !matches!((ending, is_server), (Ending::PeerClosed, _) | (Ending::LocalClosed, false))
}
