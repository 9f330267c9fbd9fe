//! One direction of a session: segments in, whole messages and counts out. Payload passes by its length, so a gap inside it costs
//! nothing; a gap that swallows a header loses the place. From then on the counts are a lower bound, nothing that follows is taken for a
//! violation, and the place is looked for at the start of each segment: a frame is believed there when the frame behind it agrees.
use super::header::{FrameHeader, FrameRules, HEADER_BYTES, HeaderVerdict, Opcode, parse};
use crate::proto::Sink;
use crate::proto::frame::{FrameKind, FrameMessage, FramePart, FrameTotals};
use crate::stream::{Content, Direction, Stamp};

/// Longest payload of a frame that is believed where the place was lost: a length of eight random bytes is longer.
const FOUND_BYTES: u64 = 1 << 30;
/// Close code of a close without payload (RFC 6455, section 7.1.5).
const NO_CODE: u16 = 1005;

/// A direction's state.
#[derive(Debug)]
pub(super) struct FrameStream {
    direction: Direction,
    rules: FrameRules,
    place: FramePlace,
    message: MessageState,
    /// The frame at which the place was found has not been confirmed by the one behind it.
    trial: Option<ResyncTrial>,
    /// What passed.
    pub(super) totals: FrameTotals,
    /// The place was lost at least once.
    pub(super) lost: bool,
    /// Bytes that were not captured where a header was needed.
    pub(super) missing_bytes: u64,
    /// Times that the place was lost, until taken.
    pub(super) desyncs: u64,
    /// When the close passed, and its code where that was captured.
    pub(super) close: Option<(u64, Option<u16>)>,
}

/// Where in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FramePlace {
    /// In a header, of which this was kept.
    Header(HeldHeader),
    /// In a payload.
    Payload(OpenFrame),
    /// Unknown.
    Lost,
    /// Behind the close: bytes are only counted.
    Closed,
    /// What came was not the protocol: bytes are only counted.
    Violated,
}

/// A header's bytes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct HeldHeader {
    bytes: [u8; HEADER_BYTES],
    len: usize,
    /// When the first one passed.
    start_ns: u64,
}

/// A frame under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenFrame {
    header: FrameHeader,
    /// Bytes of payload to come.
    left: u64,
    start_ns: u64,
    /// The first two bytes of payload, as far as they were captured.
    code: [Option<u8>; 2],
}

/// An application message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MessageState {
    /// None.
    None,
    /// Bytes were lost: maybe one.
    Unknown,
    /// This one.
    Open(OpenMessage),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenMessage {
    kind: FrameKind,
    start_ns: u64,
    payload_bytes: u64,
    /// A part of it was lost.
    cut: bool,
}

/// What to go back to when the place proves wrong, and the message to tell when it proves right.
#[derive(Clone, Copy, Debug)]
struct ResyncTrial {
    totals: FrameTotals,
    message: MessageState,
    told: Option<FrameMessage>,
    close: Option<(u64, Option<u16>)>,
}

impl FrameStream {
    /// After the handshake.
    pub(super) fn new(direction: Direction, rules: FrameRules) -> Self {
        Self {
            direction,
            rules,
            place: FramePlace::Header(HeldHeader::default()),
            message: MessageState::None,
            trial: None,
            totals: FrameTotals::default(),
            lost: false,
            missing_bytes: 0,
            desyncs: 0,
            close: None,
        }
    }

    /// Bytes of the payload under way that are still to come.
    pub(super) fn payload_left(&self) -> u64 {
        match &self.place {
            FramePlace::Payload(frame) => frame.left,
            _ => 0,
        }
    }

    /// What came was not the protocol.
    pub(super) fn is_violated(&self) -> bool {
        self.place == FramePlace::Violated
    }

    /// Takes the next segment.
    pub(super) fn push(&mut self, stamp: Stamp, content: Content<'_>, sink: &mut dyn Sink) {
        self.totals.wire_bytes += content.len();
        match content {
            Content::Bytes(bytes) => self.bytes(stamp, bytes, sink),
            Content::Gap(len) | Content::Lost(len) => self.gap(stamp, len, sink),
            Content::Unknown => self.lose(0),
        }
    }

    fn bytes(&mut self, stamp: Stamp, bytes: &[u8], sink: &mut dyn Sink) {
        let mut rest = if self.place == FramePlace::Lost { self.search(stamp, bytes, sink) } else { bytes };
        while !rest.is_empty() {
            rest = match self.place {
                FramePlace::Header(held) => self.header(stamp, held, rest, sink),
                FramePlace::Payload(frame) => self.payload(stamp, frame, rest, sink),
                FramePlace::Closed if self.trial.is_some() => return self.lose(0),
                FramePlace::Lost | FramePlace::Closed | FramePlace::Violated => return,
            };
        }
        self.segment_ended(sink);
    }

    /// `len` bytes passed that were not captured.
    fn gap(&mut self, stamp: Stamp, len: u64, sink: &mut dyn Sink) {
        if len == 0 {
            return self.segment_ended(sink);
        }
        let FramePlace::Payload(mut frame) = self.place else { return self.lose(len) };
        let taken = frame.left.min(len);
        frame.left -= taken;
        self.passed(stamp, frame, taken, sink);
        self.gap(stamp, len - taken, sink);
    }

    /// Takes bytes of a header; gives what follows them.
    fn header<'a>(&mut self, stamp: Stamp, mut held: HeldHeader, bytes: &'a [u8], sink: &mut dyn Sink) -> &'a [u8] {
        if held.len == 0 {
            held.start_ns = stamp.time_ns;
        }
        let added = bytes.len().min(HEADER_BYTES - held.len);
        let before = held.len;
        held.bytes[before..before + added].copy_from_slice(&bytes[..added]);
        held.len += added;
        match parse(&held.bytes[..held.len], self.rules) {
            HeaderVerdict::NeedMore => {
                self.place = FramePlace::Header(held);
                &[]
            }
            HeaderVerdict::Malformed => {
                self.violate();
                &[]
            }
            HeaderVerdict::Header(header) => {
                if !self.fits(header.opcode) {
                    self.violate();
                    return &[];
                }
                self.confirm(sink);
                self.begin(stamp, header, held.start_ns, sink);
                &bytes[header.size - before..]
            }
        }
    }

    /// Whether such a frame may come now. The message under way may have ended in what was lost.
    fn fits(&self, opcode: Opcode) -> bool {
        match (opcode, self.message) {
            (Opcode::Close | Opcode::Ping, _) | (_, MessageState::Unknown) => true,
            (Opcode::Continuation, message) => message != MessageState::None,
            (Opcode::Start(_), MessageState::Open(message)) => message.cut,
            (Opcode::Start(_), MessageState::None) => true,
        }
    }

    /// A header is complete.
    fn begin(&mut self, stamp: Stamp, header: FrameHeader, start_ns: u64, sink: &mut dyn Sink) {
        let opened = |kind, cut| MessageState::Open(OpenMessage { kind, start_ns, payload_bytes: 0, cut });
        match (header.opcode, self.message) {
            (Opcode::Start(kind), former) => {
                self.totals.messages += u64::from(matches!(former, MessageState::Open(_)));
                self.message = opened(kind, false);
            }
            (Opcode::Continuation, MessageState::Unknown) => self.message = opened(FrameKind::Binary, true),
            (Opcode::Close | Opcode::Ping | Opcode::Continuation, _) => {}
        }
        let frame = OpenFrame { header, left: header.length, start_ns, code: [None; 2] };
        self.passed(stamp, frame, 0, sink);
    }

    /// Takes bytes of a payload; gives what follows them.
    fn payload<'a>(&mut self, stamp: Stamp, mut frame: OpenFrame, bytes: &'a [u8], sink: &mut dyn Sink) -> &'a [u8] {
        let taken = bytes.len().min(usize::try_from(frame.left).unwrap_or(usize::MAX));
        let (bytes, rest) = bytes.split_at(taken);
        let at = usize::try_from(frame.header.length - frame.left).unwrap_or(usize::MAX);
        for (place, byte) in bytes.iter().take(2_usize.saturating_sub(at)).enumerate() {
            let key = frame.header.mask.map_or(0, |mask| mask[at + place]);
            frame.code[at + place] = Some(byte ^ key);
        }
        frame.left -= taken as u64;
        self.passed(stamp, frame, taken as u64, sink);
        rest
    }

    /// `taken` more bytes of a payload passed.
    fn passed(&mut self, stamp: Stamp, frame: OpenFrame, taken: u64, sink: &mut dyn Sink) {
        self.place = FramePlace::Payload(frame);
        if let (Opcode::Start(_) | Opcode::Continuation, MessageState::Open(message)) = (frame.header.opcode, &mut self.message) {
            message.payload_bytes += taken;
            self.totals.payload_bytes += taken;
        }
        if frame.left == 0 {
            self.place = FramePlace::Header(HeldHeader::default());
            self.finish(stamp, frame, sink);
        }
    }

    /// A frame is complete.
    fn finish(&mut self, stamp: Stamp, frame: OpenFrame, sink: &mut dyn Sink) {
        let tell = |start_ns, kind, payload_bytes| FrameMessage { direction: self.direction, stamp, start_ns, kind, payload_bytes };
        let told = match (frame.header.opcode, self.message) {
            (Opcode::Close, _) => {
                let code = match frame.code {
                    [Some(high), Some(low)] => Some(u16::from_be_bytes([high, low])),
                    _ if frame.header.length == 0 => Some(NO_CODE),
                    _ => None,
                };
                self.missing_bytes += if code.is_none() { 2 } else { 0 };
                self.close = Some((stamp.time_ns, code));
                self.place = FramePlace::Closed;
                Some(tell(frame.start_ns, FrameKind::Control, frame.header.length))
            }
            (Opcode::Ping, _) => Some(tell(frame.start_ns, FrameKind::Control, frame.header.length)),
            (_, MessageState::Open(message)) if frame.header.fin => {
                self.totals.messages += 1;
                self.message = MessageState::None;
                (!message.cut).then(|| tell(message.start_ns, message.kind, message.payload_bytes))
            }
            _ => None,
        };
        match (&mut self.trial, told) {
            (Some(trial), told) => trial.told = told,
            (None, Some(told)) => sink.message(FramePart::Message(told).into()),
            (None, None) => {}
        }
    }

    /// Looks for a frame at the start of a segment; gives what follows its header, nothing when there is none.
    fn search<'a>(&mut self, stamp: Stamp, bytes: &'a [u8], sink: &mut dyn Sink) -> &'a [u8] {
        let HeaderVerdict::Header(header) = parse(bytes, self.rules) else { return &[] };
        let is_empty_fragment = header.length == 0 && !header.fin;
        if !header.minimal || header.length > FOUND_BYTES || is_empty_fragment || !self.fits(header.opcode) {
            return &[];
        }
        self.trial = Some(ResyncTrial { totals: self.totals, message: self.message, told: None, close: self.close });
        self.begin(stamp, header, stamp.time_ns, sink);
        &bytes[header.size..]
    }

    /// A segment ended. A frame that ended with it stood where it was looked for.
    fn segment_ended(&mut self, sink: &mut dyn Sink) {
        if matches!(self.place, FramePlace::Closed | FramePlace::Header(HeldHeader { len: 0, .. })) {
            self.confirm(sink);
        }
    }

    /// The place that was found is right.
    fn confirm(&mut self, sink: &mut dyn Sink) {
        if let Some(told) = self.trial.take().and_then(|trial| trial.told) {
            sink.message(FramePart::Message(told).into());
        }
    }

    /// What came cannot stand here.
    fn violate(&mut self) {
        if self.lost {
            // The place was wrong, or more was lost than is known.
            return self.lose(0);
        }
        self.desyncs += 1;
        self.place = FramePlace::Violated;
    }

    /// The place is lost, with `missing` bytes.
    fn lose(&mut self, missing: u64) {
        let is_counted_only = self.place == FramePlace::Violated || (self.place == FramePlace::Closed && self.trial.is_none());
        if is_counted_only {
            return;
        }
        self.lost = true;
        self.missing_bytes += missing;
        match self.trial.take() {
            Some(ResyncTrial { totals, message, close, .. }) => {
                self.totals = FrameTotals { wire_bytes: self.totals.wire_bytes, ..totals };
                (self.message, self.close) = (message, close);
            }
            None => self.desyncs += u64::from(self.place != FramePlace::Lost),
        }
        self.message = match self.message {
            MessageState::None | MessageState::Unknown => MessageState::Unknown,
            MessageState::Open(message) => MessageState::Open(OpenMessage { cut: true, ..message }),
        };
        self.place = FramePlace::Lost;
    }
}
