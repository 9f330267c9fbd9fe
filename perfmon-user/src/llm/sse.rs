//! Server-sent events (WHATWG HTML, section 9.2): any cut of the bytes in, pieces of `data`, event names and event ends out. Lines end
//! with LF, CRLF or CR; comments, `id` and `retry` are dropped; data lines of one event are joined by a line feed. Nothing but a field's
//! name and an event's name (64 bytes) is held.

/// Longest event name that is kept.
const NAME: usize = 64;
/// `data` and `event` are the longest names of interest.
const FIELD: usize = 5;

/// Receives the events of a stream.
pub trait Events {
    /// A piece of the event's data.
    fn data(&mut self, bytes: &[u8]);
    /// The event is complete; `name` is empty when it has none.
    fn dispatch(&mut self, name: &str);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SseState {
    /// At the beginning of a line; `true`: the last byte was a CR, a LF after it belongs to it.
    LineStart(bool),
    /// In a field's name.
    Field,
    /// After its colon, where one space is dropped.
    Colon,
    /// In the value of `data`.
    Data,
    /// In the value of `event`.
    Name,
    /// In a line that is skipped.
    Skip,
}

/// The framing of one stream.
#[derive(Debug)]
pub struct Sse {
    state: SseState,
    field: Vec<u8>,
    name: Vec<u8>,
    /// Data lines of this event so far.
    lines: u32,
}

impl Default for Sse {
    fn default() -> Self {
        Self { state: SseState::LineStart(false), field: Vec::new(), name: Vec::new(), lines: 0 }
    }
}

impl Sse {
    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8], events: &mut impl Events) {
        let mut at = 0;
        while at < bytes.len() {
            at += match self.state {
                SseState::Data | SseState::Name | SseState::Skip => self.value(&bytes[at..], events),
                _ => self.step(bytes[at], events),
            };
        }
    }

    /// Bytes were lost: the event they were part of is gone, the next line is read again.
    pub fn gap(&mut self) {
        *self = Self { state: SseState::Skip, ..Self::default() };
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.field.capacity() + self.name.capacity()
    }

    fn value(&mut self, bytes: &[u8], events: &mut impl Events) -> usize {
        let len = memchr::memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
        match self.state {
            SseState::Data => events.data(&bytes[..len]),
            SseState::Name => {
                let room = NAME - self.name.len();
                self.name.extend_from_slice(&bytes[..len.min(room)]);
            }
            _ => {}
        }
        if len == bytes.len() {
            return len;
        }
        self.state = SseState::LineStart(bytes[len] == b'\r');
        len + 1
    }

    /// A byte outside values; returns 0 when it must be looked at again.
    fn step(&mut self, byte: u8, events: &mut impl Events) -> usize {
        match (self.state, byte) {
            (SseState::LineStart(true), b'\n') => self.state = SseState::LineStart(false),
            (SseState::LineStart(_), b'\n' | b'\r') => {
                self.dispatch(events);
                self.state = SseState::LineStart(byte == b'\r');
            }
            (SseState::LineStart(_), _) => {
                self.field.clear();
                self.state = SseState::Field;
                return 0;
            }
            (SseState::Field, b':') => self.state = SseState::Colon,
            (SseState::Field, b'\n' | b'\r') => {
                self.begin_value(events);
                self.state = SseState::LineStart(byte == b'\r');
            }
            (SseState::Field, _) if self.field.len() == FIELD => self.state = SseState::Skip,
            (SseState::Field, _) => self.field.push(byte),
            (SseState::Colon, _) => {
                self.begin_value(events);
                return usize::from(byte == b' ');
            }
            (SseState::Data | SseState::Name | SseState::Skip, _) => {}
        }
        1
    }

    fn begin_value(&mut self, events: &mut impl Events) {
        self.state = match self.field.as_slice() {
            b"data" => {
                if self.lines > 0 {
                    events.data(b"\n");
                }
                self.lines += 1;
                SseState::Data
            }
            b"event" => {
                self.name.clear();
                SseState::Name
            }
            _ => SseState::Skip,
        };
    }

    fn dispatch(&mut self, events: &mut impl Events) {
        if self.lines > 0 {
            events.dispatch(&String::from_utf8_lossy(&self.name));
        }
        self.lines = 0;
        self.name.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, PartialEq, Debug, Clone)]
    struct Seen(String, Vec<(String, String)>);

    impl Events for Seen {
        fn data(&mut self, bytes: &[u8]) {
            self.0.push_str(std::str::from_utf8(bytes).unwrap());
        }
        fn dispatch(&mut self, name: &str) {
            self.1.push((name.to_owned(), std::mem::take(&mut self.0)));
        }
    }

    fn read(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let (mut sse, mut seen) = (Sse::default(), Seen::default());
        for piece in pieces {
            sse.push(piece, &mut seen);
        }
        seen.1
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|&(name, data)| (name.to_owned(), data.to_owned())).collect()
    }

    #[test]
    fn every_line_end_and_every_split_gives_the_same_events() {
        let text =
            ": hi\nevent: ping\ndata: {\"a\":1}\n\nid: 7\nretry: 5\ndata\ndatabase: no\ndata:two\ndata:  lines\n\n\ndata: [DONE]\n\n";
        let expected = pairs(&[("ping", "{\"a\":1}"), ("", "\ntwo\n lines"), ("", "[DONE]")]);
        for text in [text.to_owned(), text.replace('\n', "\r\n"), text.replace('\n', "\r")] {
            let bytes = text.as_bytes();
            for cut in 0..=bytes.len() {
                assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]), expected, "cut at {cut} of {text:?}");
            }
            assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), expected);
        }
    }

    #[test]
    fn after_a_gap_the_next_line_is_read() {
        let (mut sse, mut seen) = (Sse::default(), Seen::default());
        sse.push(b"event: lost\ndata: {\"lo", &mut seen);
        sse.gap();
        seen.0.clear();
        sse.push(b"st\"}\n\ndata: next\n\n", &mut seen);
        assert_eq!(seen.1, pairs(&[("", "next")]));
    }

    #[test]
    fn time_grows_like_the_stream() {
        use crate::heap::measured::{HeapMeter, assert_linear};
        let inputs: [(&str, fn(usize) -> String); 5] = [
            ("one line", |n| format!("data: {}", "x".repeat(n))),
            ("lines", |n| "data\n".repeat(n / 5)),
            ("events", |n| "data:\n\n".repeat(n / 7)),
            ("names", |n| "event: e\r\n".repeat(n / 10)),
            ("line ends", |n| "\r\n".repeat(n / 2)),
        ];
        struct Nothing;
        impl Events for Nothing {
            fn data(&mut self, _: &[u8]) {}
            fn dispatch(&mut self, _: &str) {}
        }
        for (what, text) in inputs {
            for piece in [1, 1_000] {
                let run = |text: &String| {
                    let meter = HeapMeter::start();
                    let mut sse = Sse::default();
                    text.as_bytes().chunks(piece).for_each(|piece| sse.push(piece, &mut Nothing));
                    assert!(meter.held() <= sse.heap_bytes() && meter.take_most() <= 512, "{what}");
                };
                assert_linear(what, 20_000, text, run);
            }
        }
    }

    #[test]
    fn names_and_fields_are_bounded() {
        let (mut sse, mut seen) = (Sse::default(), Seen::default());
        for _ in 0..1_000 {
            sse.push(b"event: ", &mut seen);
            sse.push(&[b'x'; 1_000], &mut seen);
            sse.push(b"\n", &mut seen);
            sse.push(&[b'y'; 1_000], &mut seen);
            sse.push(b"\n", &mut seen);
        }
        assert!(sse.heap_bytes() < 256);
    }
}
