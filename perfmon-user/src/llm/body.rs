//! One body. In: its pieces; out: the wanted values. Decodes the content coding, detects the framing (one JSON document, one per line,
//! server-sent events) by the first byte, and resumes after a gap at the next document.
use super::coding::Decoder;
use super::coding::work::DecodingWork;
use super::json::{Handler, Paths, Scanner};
use super::sse::{Events, Sse};
use crate::budget::Allowance;

/// Broken documents after which a body is no longer read.
const BROKEN: u32 = 16;

/// Receives the values of a body's documents.
pub(super) trait Documents<F>: Handler<F> {
    /// A document is complete; `event` is the name of its server-sent event, else empty.
    fn document(&mut self, event: &str);
    /// The stream's sentinel (`[DONE]`) passed.
    fn end_of_stream(&mut self);
}

/// The framing that a media type implies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `text/event-stream`
    Events,
    /// `application/x-ndjson` and the like
    Lines,
    /// Anything else
    Other,
}

impl MediaType {
    pub(super) fn of(content_type: &[u8]) -> Self {
        let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        match essence.as_slice() {
            b"text/event-stream" => Self::Events,
            b"application/x-ndjson" | b"application/ndjson" | b"application/jsonl" | b"application/x-jsonlines" => Self::Lines,
            _ => Self::Other,
        }
    }
}

enum DocumentFraming {
    Unknown,
    Documents,
    Events(Sse),
    /// Nothing more can be read.
    Lost,
}

/// Where in a document the bytes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DocumentPosition {
    Before,
    Inside,
    /// After the document of this event, or in text that is no document.
    Past,
    /// In the sentinel.
    Sentinel,
}

/// The result of reading a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Documents that were complete.
    pub(super) documents: u32,
    /// Documents that were not JSON, or cut.
    pub(super) broken: u32,
    /// The coding could not be undone.
    pub(super) undecodable: bool,
    /// A part was not captured.
    pub(super) has_gap: bool,
    /// At least one byte was read.
    pub(super) has_bytes: bool,
    /// It is a stream of events.
    pub(super) is_events: bool,
}

/// A body's state.
pub(super) struct Body<F: 'static> {
    media: MediaType,
    /// `None`: nothing more can be read.
    decoder: Option<Decoder>,
    is_timely: bool,
    documents: DocumentReader<F>,
    framing: DocumentFraming,
}

/// Reads documents wherever they stand.
struct DocumentReader<F: 'static> {
    scanner: Scanner<F>,
    place: DocumentPosition,
    /// The rest of the line is skipped.
    skip_line: bool,
    outcome: Outcome,
}

impl<F: Copy> Body<F> {
    /// A body with these wanted paths and head fields; `of` is what its decoder is charged to.
    pub(super) fn new(paths: &'static Paths<F>, coding: &[u8], media: MediaType, of: Allowance) -> Self {
        let decoder = Decoder::new(coding, of).ok();
        let is_timely = decoder.as_ref().is_some_and(Decoder::is_timely);
        let outcome = Outcome { undecodable: decoder.is_none(), ..Outcome::default() };
        let documents = DocumentReader { scanner: Scanner::new(paths), place: DocumentPosition::Before, skip_line: false, outcome };
        let framing = if decoder.is_none() { DocumentFraming::Lost } else { DocumentFraming::Unknown };
        Self { media, decoder, is_timely, documents, framing }
    }

    /// Takes bytes. `work` is that of the connection.
    pub(super) fn push(&mut self, bytes: &[u8], work: &mut DecodingWork, handler: &mut impl Documents<F>) {
        self.documents.outcome.has_bytes |= !bytes.is_empty();
        let Some(decoder) = &mut self.decoder else { return };
        let (framing, documents) = (&mut self.framing, &mut self.documents);
        let result = decoder.push(bytes, work, &mut |plain| read(framing, documents, plain, handler));
        self.documents.outcome.undecodable |= result.is_err();
        if result.is_err() || matches!(self.framing, DocumentFraming::Lost) {
            self.lose();
        }
    }

    /// Handles bytes that were not captured.
    pub(super) fn gap(&mut self) {
        self.documents.outcome.has_gap = true;
        self.documents.place = DocumentPosition::Before;
        match (&mut self.framing, self.media) {
            _ if !self.decoder.as_ref().is_some_and(Decoder::is_plain) => self.lose(),
            (DocumentFraming::Events(sse), _) => sse.gap(),
            (DocumentFraming::Unknown, MediaType::Events) => {
                let mut sse = Sse::default();
                sse.gap();
                self.documents.outcome.is_events = true;
                self.framing = DocumentFraming::Events(sse);
            }
            (DocumentFraming::Unknown | DocumentFraming::Documents, MediaType::Lines) => {
                self.documents.skip_line = true;
                self.framing = DocumentFraming::Documents;
            }
            _ => self.lose(),
        }
    }

    /// Handles the end of the body.
    pub(super) fn finish(&mut self, handler: &mut impl Documents<F>) {
        match &mut self.framing {
            DocumentFraming::Events(sse) => sse.push(b"\n\n", &mut EventReader { documents: &mut self.documents, handler }),
            _ if self.documents.place == DocumentPosition::Inside => self.documents.end(handler, ""),
            _ => {}
        }
    }

    /// The result so far.
    pub(super) fn outcome(&self) -> Outcome {
        self.documents.outcome
    }

    /// Whether content is seen as soon as it passes.
    pub(super) fn is_timely(&self) -> bool {
        self.is_timely
    }

    /// Whether bytes pass a decoder.
    pub(super) fn is_coded(&self) -> bool {
        self.decoder.as_ref().is_some_and(|decoder| !decoder.is_plain())
    }

    /// Bytes on the heap beside the decoder, which has its own charge.
    pub(super) fn own_bytes(&self) -> usize {
        let framing = if let DocumentFraming::Events(sse) = &self.framing { sse.heap_bytes() } else { 0 };
        self.documents.scanner.heap_bytes() + framing
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.own_bytes() + self.decoder.as_ref().map_or(0, Decoder::heap_bytes)
    }

    /// Reads no more; the decoder's memory is given back.
    fn lose(&mut self) {
        self.decoder = None;
        self.framing = DocumentFraming::Lost;
        self.documents.place = DocumentPosition::Past;
    }
}

fn read<F: Copy>(framing: &mut DocumentFraming, documents: &mut DocumentReader<F>, bytes: &[u8], handler: &mut impl Documents<F>) {
    if matches!(framing, DocumentFraming::Unknown) {
        let Some(&first) = bytes.trim_ascii_start().first() else { return };
        *framing = match first {
            b'{' | b'[' => DocumentFraming::Documents,
            b':' | b'a'..=b'z' => DocumentFraming::Events(Sse::default()),
            _ => {
                documents.outcome.broken += 1;
                DocumentFraming::Lost
            }
        };
        documents.outcome.is_events = matches!(framing, DocumentFraming::Events(_));
    }
    match framing {
        DocumentFraming::Documents => documents.read_lines(bytes, handler),
        DocumentFraming::Events(sse) => sse.push(bytes, &mut EventReader { documents, handler }),
        DocumentFraming::Unknown | DocumentFraming::Lost => {}
    }
    if documents.outcome.broken > BROKEN {
        *framing = DocumentFraming::Lost;
    }
}

impl<F: Copy> DocumentReader<F> {
    /// Reads documents one after another.
    fn read_lines(&mut self, mut bytes: &[u8], handler: &mut impl Documents<F>) {
        while !bytes.is_empty() {
            if self.skip_line {
                let Some(end) = memchr::memchr(b'\n', bytes) else { return };
                bytes = &bytes[end + 1..];
                self.skip_line = false;
            }
            bytes = self.read_one(bytes, handler);
            match self.place {
                DocumentPosition::Past if self.scanner.is_done() => self.end(handler, ""),
                DocumentPosition::Past => {
                    self.end(handler, "");
                    self.skip_line = true;
                }
                DocumentPosition::Before | DocumentPosition::Inside | DocumentPosition::Sentinel => {}
            }
        }
    }

    /// Reads up to the end of a document; returns what is left.
    fn read_one<'a>(&mut self, mut bytes: &'a [u8], handler: &mut impl Documents<F>) -> &'a [u8] {
        if self.place == DocumentPosition::Before {
            bytes = bytes.trim_ascii_start();
            let Some(&first) = bytes.first() else { return bytes };
            self.scanner.reset();
            self.place = DocumentPosition::Inside;
            // Every document of these APIs is an object; a lone number or word would not show its end.
            if first != b'{' && first != b'[' {
                self.scanner.finish(handler);
                self.place = DocumentPosition::Past;
            }
        }
        if self.place == DocumentPosition::Inside {
            bytes = &bytes[self.scanner.push(bytes, handler)..];
            if self.scanner.is_done() || self.scanner.is_broken() {
                self.place = DocumentPosition::Past;
            }
        }
        bytes
    }

    /// Ends the document, which must be complete now.
    fn end(&mut self, handler: &mut impl Documents<F>, event: &str) {
        match self.place {
            DocumentPosition::Before => return,
            DocumentPosition::Sentinel => handler.end_of_stream(),
            DocumentPosition::Inside | DocumentPosition::Past if self.scanner.is_done() => {
                self.outcome.documents += 1;
                handler.document(event);
            }
            DocumentPosition::Inside | DocumentPosition::Past => self.outcome.broken += 1,
        }
        self.place = DocumentPosition::Before;
    }
}

struct EventReader<'a, F: 'static, H> {
    documents: &'a mut DocumentReader<F>,
    handler: &'a mut H,
}

impl<F: Copy, H: Documents<F>> Events for EventReader<'_, F, H> {
    fn data(&mut self, bytes: &[u8]) {
        let starts = self.documents.place == DocumentPosition::Before;
        if starts && bytes.trim_ascii_start().first() == Some(&b'[') {
            self.documents.place = DocumentPosition::Sentinel;
        }
        self.documents.read_one(bytes, self.handler);
    }

    fn dispatch(&mut self, event: &str) {
        self.documents.end(self.handler, event);
    }
}
