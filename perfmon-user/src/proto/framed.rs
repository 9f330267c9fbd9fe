//! One direction of a connection that carries frames one after another: segments in, whole frames (commands, answers, messages) out. Bytes
//! that are missing inside a text are passed by their number. Where a header is missing the place is lost, and looked for at the beginning of
//! each segment: a frame is believed there when it ends with its segment or another one follows it, and until then it is held back.
use super::Sink;
use super::kept::Kept;
use crate::stream::{Content, Direction, Segment, Stamp};

/// What a step of a reader came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStep {
    /// The frame goes on.
    Part,
    /// It ended.
    Done,
    /// What stood there counts as nothing.
    Blank,
    /// This is not the protocol.
    Bad,
}

/// Reads one frame after another.
pub trait FrameReader: Default {
    /// Begins a frame.
    fn begin(&mut self);
    /// Takes some of the bytes.
    fn step(&mut self, rest: &mut &[u8], sink: &mut dyn Sink) -> ReadStep;
    /// Passes missing bytes; how many, `None` where they cannot be passed.
    fn skip(&mut self, len: u64) -> Option<(ReadStep, u64)>;
    /// Nothing of a frame has come.
    fn is_between(&self) -> bool;
    /// Bytes of the text under way that are to come.
    fn left(&self) -> u64;
    /// Whether a frame may begin so.
    fn may_begin(bytes: &[u8]) -> bool;
    /// Heap bytes.
    fn heap_bytes(&self) -> usize {
        0
    }
    /// The place was lost.
    fn lost(&mut self) {}
}

/// Where a frame stood.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameSpan {
    /// Its first byte's time and thread.
    pub first: Stamp,
    /// When its last byte passed.
    pub end_ns: u64,
    /// Its bytes.
    pub wire: u64,
}

/// Something on a direction.
pub enum FoundFrame<'a, R> {
    /// A frame.
    Frame(&'a R, FrameSpan),
    /// The place was lost, with this number of bytes at least.
    Lost(u64),
}

/// Takes what is found.
pub type OnFound<'a, R> = dyn FnMut(FoundFrame<'_, R>, &mut dyn Sink) + 'a;

/// How sure the place is.
#[derive(Debug)]
enum FramePosition<R> {
    /// Sure.
    Known,
    /// The reader reads what may be a frame; the one that it read before.
    Trial(Option<Box<(R, FrameSpan)>>),
    /// Unknown.
    Lost,
}

/// A direction's state.
#[derive(Debug)]
pub struct FrameSide<R> {
    /// The reader.
    pub reader: R,
    span: FrameSpan,
    place: FramePosition<R>,
    /// Segments since the place was lost in which it was not found.
    pub misses: u32,
}

impl<R: FrameReader> Default for FrameSide<R> {
    fn default() -> Self {
        Self { reader: R::default(), span: FrameSpan::default(), place: FramePosition::Known, misses: 0 }
    }
}

impl<R: FrameReader> FrameSide<R> {
    /// Takes a segment.
    pub fn push(&mut self, stamp: Stamp, content: Content<'_>, sink: &mut dyn Sink, found: &mut OnFound<'_, R>) {
        match content {
            Content::Bytes(bytes) => self.bytes(stamp, bytes, sink, found),
            Content::Gap(len) | Content::Lost(len) => self.gap(stamp, len, sink, found),
            Content::Unknown => self.lose(0, sink, found),
        }
    }

    /// Bytes of the text under way that are to come.
    pub fn left(&self) -> u64 {
        self.reader.left()
    }

    /// What was read cannot be right: the place is looked for.
    pub fn distrust(&mut self) {
        self.place = FramePosition::Lost;
        self.reader.begin();
        self.reader.lost();
    }

    /// Heap bytes.
    pub fn heap_bytes(&self) -> usize {
        let held = if let FramePosition::Trial(Some(held)) = &self.place { size_of::<(R, FrameSpan)>() + held.0.heap_bytes() } else { 0 };
        self.reader.heap_bytes() + held
    }

    fn bytes(&mut self, stamp: Stamp, mut bytes: &[u8], sink: &mut dyn Sink, found: &mut OnFound<'_, R>) {
        if matches!(self.place, FramePosition::Lost) {
            if !R::may_begin(bytes) {
                self.misses = self.misses.saturating_add(1);
                return;
            }
            self.place = FramePosition::Trial(None);
            self.reader.begin();
        }
        while !bytes.is_empty() {
            if self.reader.is_between() {
                self.reader.begin();
                self.span = FrameSpan { first: stamp, ..FrameSpan::default() };
            }
            let before = bytes.len();
            let step = self.reader.step(&mut bytes, sink);
            self.span.wire += (before - bytes.len()) as u64;
            if !self.stepped(step, stamp, bytes.is_empty(), sink, found) {
                return;
            }
        }
    }

    fn gap(&mut self, stamp: Stamp, mut len: u64, sink: &mut dyn Sink, found: &mut OnFound<'_, R>) {
        while len > 0 {
            let Some((step, passed)) = self.reader.skip(len).filter(|_| !matches!(self.place, FramePosition::Lost)) else {
                return self.lose(len, sink, found);
            };
            self.span.wire += passed;
            len -= passed;
            if !self.stepped(step, stamp, len == 0, sink, found) {
                return;
            }
        }
    }

    /// Whether to go on.
    fn stepped(&mut self, step: ReadStep, stamp: Stamp, is_end: bool, sink: &mut dyn Sink, found: &mut OnFound<'_, R>) -> bool {
        match step {
            ReadStep::Part => {}
            ReadStep::Blank => self.reader.begin(),
            ReadStep::Done => {
                self.span.end_ns = stamp.time_ns;
                self.ended(is_end, sink, found);
                self.reader.begin();
            }
            ReadStep::Bad => {
                self.lose(0, sink, found);
                return false;
            }
        }
        true
    }

    fn ended(&mut self, is_end: bool, sink: &mut dyn Sink, found: &mut OnFound<'_, R>) {
        match std::mem::replace(&mut self.place, FramePosition::Known) {
            FramePosition::Trial(None) if !is_end => {
                self.place = FramePosition::Trial(Some(Box::new((std::mem::take(&mut self.reader), self.span))));
                return;
            }
            FramePosition::Trial(Some(held)) => found(FoundFrame::Frame(&held.0, held.1), sink),
            _ => {}
        }
        self.misses = 0;
        found(FoundFrame::Frame(&self.reader, self.span), sink);
    }

    fn lose(&mut self, missing: u64, sink: &mut dyn Sink, found: &mut OnFound<'_, R>) {
        let former = std::mem::replace(&mut self.place, FramePosition::Lost);
        self.reader.begin();
        self.reader.lost();
        match former {
            FramePosition::Known => found(FoundFrame::Lost(missing), sink),
            FramePosition::Trial(_) | FramePosition::Lost => self.misses = self.misses.saturating_add(1),
        }
    }
}

/// Segments in which the roles of a connection's directions are looked for.
const OPENING: usize = 64;

/// Looks for the roles of both directions, and keeps what comes meanwhile.
#[derive(Debug, Default)]
pub struct RoleSearch {
    kept: Kept,
    heads: [Vec<u8>; 2],
}

impl RoleSearch {
    /// Takes a segment; `find` looks at the first bytes of both directions. Gives what it found and what was kept, or the search up.
    pub fn learn<T>(
        &mut self,
        segment: Segment<'_>,
        sink: &mut dyn Sink,
        mut find: impl FnMut([&[u8]; 2]) -> Option<T>,
    ) -> Option<Result<(T, Kept), ()>> {
        if let Content::Bytes(bytes) = segment.content {
            let head = &mut self.heads[segment.direction.index()];
            head.extend_from_slice(&bytes[..bytes.len().min(super::detect::BUDGET - head.len())]);
        }
        self.kept.push(segment, || sink.allowance());
        let [received, sent] = Direction::BOTH.map(|direction| &self.heads[direction.index()][..]);
        match find([received, sent]) {
            Some(found) => Some(Ok((found, std::mem::take(&mut self.kept)))),
            None if self.kept.len() >= OPENING => Some(Err(())),
            None => None,
        }
    }

    /// Heap bytes.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.kept.heap_bytes() + self.heads.iter().map(Vec::capacity).sum::<usize>()
    }
}
