//! One direction of a connection: segments in, whole frames (commands or answers) out. Bytes that are missing inside a text are passed by their
//! number. Where a line is missing the place is lost, and looked for at the beginning of each segment: a frame is believed there when it ends
//! with its segment or another one stands behind it, and until then it is held back.
use crate::stream::{Content, Stamp};

/// What a step of a reader came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
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
pub(super) trait FrameReader: Clone + Default {
    /// Begins a frame.
    fn begin(&mut self);
    /// Takes some of the bytes.
    fn step(&mut self, rest: &mut &[u8]) -> Step;
    /// Passes missing bytes; how many, `None` where they cannot be passed.
    fn skip(&mut self, len: u64) -> Option<(Step, u64)>;
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
}

/// Where a frame stood.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameSpan {
    /// Its first byte's time and thread.
    pub(super) first: Stamp,
    /// When its last byte passed.
    pub(super) end_ns: u64,
    /// Its bytes.
    pub(super) wire: u64,
}

/// Something on a direction.
pub(super) enum Found<'a, R> {
    /// A frame.
    Frame(&'a R, FrameSpan),
    /// The place was lost, with this number of bytes at least.
    Lost(u64),
}

/// How sure the place is.
#[derive(Clone, Debug)]
enum Place<R> {
    Known,
    /// The reader reads what may be a frame; the one that it read before.
    Trial(Option<Box<(R, FrameSpan)>>),
    Lost,
}

/// A direction's state.
#[derive(Clone, Debug)]
pub(super) struct FrameSide<R> {
    reader: R,
    span: FrameSpan,
    place: Place<R>,
    /// Segments since the place was lost in which it was not found.
    pub(super) misses: u32,
}

impl<R: FrameReader> Default for FrameSide<R> {
    fn default() -> Self {
        Self { reader: R::default(), span: FrameSpan::default(), place: Place::Known, misses: 0 }
    }
}

impl<R: FrameReader> FrameSide<R> {
    /// Takes a segment.
    pub(super) fn push(&mut self, stamp: Stamp, content: Content<'_>, found: &mut dyn FnMut(Found<'_, R>)) {
        match content {
            Content::Bytes(bytes) => self.bytes(stamp, bytes, found),
            Content::Gap(len) | Content::Lost(len) => self.gap(stamp, len, found),
            Content::Unknown => self.lose(0, found),
            Content::Datagram(_) => {}
        }
    }

    /// Bytes of the text under way that are to come.
    pub(super) fn left(&self) -> u64 {
        self.reader.left()
    }

    /// Heap bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let held = if let Place::Trial(Some(held)) = &self.place { size_of::<(R, FrameSpan)>() + held.0.heap_bytes() } else { 0 };
        self.reader.heap_bytes() + held
    }

    fn bytes(&mut self, stamp: Stamp, mut bytes: &[u8], found: &mut dyn FnMut(Found<'_, R>)) {
        if matches!(self.place, Place::Lost) {
            if !R::may_begin(bytes) {
                self.misses = self.misses.saturating_add(1);
                return;
            }
            self.place = Place::Trial(None);
            self.reader.begin();
        }
        while !bytes.is_empty() {
            if self.reader.is_between() {
                self.reader.begin();
                self.span = FrameSpan { first: stamp, ..FrameSpan::default() };
            }
            let before = bytes.len();
            let step = self.reader.step(&mut bytes);
            self.span.wire += (before - bytes.len()) as u64;
            if !self.stepped(step, stamp, bytes.is_empty(), found) {
                return;
            }
        }
    }

    fn gap(&mut self, stamp: Stamp, mut len: u64, found: &mut dyn FnMut(Found<'_, R>)) {
        while len > 0 {
            let Some((step, passed)) = self.reader.skip(len).filter(|_| !matches!(self.place, Place::Lost)) else {
                return self.lose(len, found);
            };
            self.span.wire += passed;
            len -= passed;
            if !self.stepped(step, stamp, len == 0, found) {
                return;
            }
        }
    }

    /// Whether to go on.
    fn stepped(&mut self, step: Step, stamp: Stamp, is_end: bool, found: &mut dyn FnMut(Found<'_, R>)) -> bool {
        match step {
            Step::Part => {}
            Step::Blank => self.reader.begin(),
            Step::Done => {
                self.span.end_ns = stamp.time_ns;
                self.ended(is_end, found);
                self.reader.begin();
            }
            Step::Bad => {
                self.lose(0, found);
                return false;
            }
        }
        true
    }

    fn ended(&mut self, is_end: bool, found: &mut dyn FnMut(Found<'_, R>)) {
        match std::mem::replace(&mut self.place, Place::Known) {
            Place::Trial(None) if !is_end => {
                self.place = Place::Trial(Some(Box::new((self.reader.clone(), self.span))));
                return;
            }
            Place::Trial(Some(held)) => found(Found::Frame(&held.0, held.1)),
            _ => {}
        }
        self.misses = 0;
        found(Found::Frame(&self.reader, self.span));
    }

    fn lose(&mut self, missing: u64, found: &mut dyn FnMut(Found<'_, R>)) {
        let former = std::mem::replace(&mut self.place, Place::Lost);
        self.reader.begin();
        match former {
            Place::Known => found(Found::Lost(missing)),
            Place::Trial(_) | Place::Lost => self.misses = self.misses.saturating_add(1),
        }
    }
}
