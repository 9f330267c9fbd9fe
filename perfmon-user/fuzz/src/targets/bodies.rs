//! Bodies of model calls: codings, server-sent events, JSON, and all of them behind HTTP. No panic; memory within the budget and all of it given
//! back; output within the ratio; the same values however the bytes are cut.
use std::sync::{Arc, OnceLock};

use perfmon_user::budget::Budget;
use perfmon_user::counters::Counters;
use perfmon_user::llm::coding::Decoder;
use perfmon_user::llm::coding::work::{DecodingWork, WorkLimits};
use perfmon_user::llm::json::{Handler, JsonPath, JsonValue, Paths, Scanner, keep};
use perfmon_user::llm::sse::{Events, Sse};
use perfmon_user::llm::{CallContext, Calls, Ids, LlmOptions, LlmTracker};
use perfmon_user::proto::exchange::{BodyPiece, Exchange, Part, RequestHead, ResponseHead};
use perfmon_user::proto::headers::Headers;
use perfmon_user::record::{Origin, SpanId, WallTime};
use perfmon_user::stream::{Content, Direction};

const CODINGS: [&str; 5] = ["gzip", "deflate", "br", "zstd", "identity"];
const LIMITS: WorkLimits = WorkLimits { free_bytes: 1 << 20, ratio: 100, free_ns: u64::MAX, ns_a_byte: 0 };
const BUDGET: usize = 8 << 20;

/// A byte that chooses the coding, one that chooses the size of the pieces, the body.
pub fn coding(data: &[u8]) {
    let [coding, piece, body @ ..] = data else { return };
    let budget = Budget::new(if piece & 0x80 == 0 { BUDGET } else { 400_000 }, Arc::default());
    let mut work = DecodingWork::new(LIMITS);
    let mut plain = 0;
    if let Ok(mut decoder) = Decoder::new(CODINGS[usize::from(*coding) % CODINGS.len()].as_bytes(), budget.of(1)) {
        for piece in body.chunks(usize::from(*piece) + 1) {
            if decoder.push(piece, &mut work, &mut |bytes| plain += bytes.len()).is_err() {
                break;
            }
            assert_eq!(decoder.heap_bytes(), budget.used(), "what it holds is charged");
        }
    }
    assert!(plain <= (1 << 20) + 100 * body.len(), "{plain} bytes of {}", body.len());
    assert_eq!(budget.used(), 0, "all is given back");
    budget.expire();
}

#[derive(Default, PartialEq, Debug)]
struct SeenEvents {
    data: Vec<u8>,
    events: usize,
}

impl Events for SeenEvents {
    fn data(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }

    fn dispatch(&mut self, _: &str) {
        self.events += 1;
    }
}

/// A byte that says how large the pieces are, the stream.
pub fn sse(data: &[u8]) {
    let Some((piece, stream)) = data.split_first() else { return };
    let read = |piece: usize| {
        let (mut sse, mut seen) = (Sse::default(), SeenEvents::default());
        stream.chunks(piece).for_each(|piece| sse.push(piece, &mut seen));
        assert!(sse.heap_bytes() < 1_024, "memory is constant");
        seen
    };
    assert_eq!(read(usize::from(*piece) + 1), read(usize::MAX), "in pieces of {}", usize::from(*piece) + 1);
}

#[derive(Default, PartialEq, Debug)]
struct SeenValues(Vec<(u8, String)>);

impl Handler<u8> for SeenValues {
    fn found(&mut self, field: u8, value: JsonValue<'_>) {
        self.0.push((field, format!("{value:?}")));
    }

    fn digest(&mut self, bytes: &[u8]) {
        match self.0.last_mut() {
            Some((255, text)) => text.push_str(&String::from_utf8_lossy(bytes)),
            _ => self.0.push((255, String::new())),
        }
    }
}

/// A byte that says how large the pieces are, the document.
pub fn json(data: &[u8]) {
    static PATHS: OnceLock<Paths<u8>> = OnceLock::new();
    let paths = PATHS.get_or_init(|| {
        Paths::new(&[
            JsonPath::new("a", 1, keep::WORD),
            JsonPath::new("a.b[*].c", 2, 8),
            JsonPath::new("b[*]", 3, keep::LONG),
            JsonPath::new("", 4, keep::LENGTH),
        ])
    });
    let Some((piece, document)) = data.split_first() else { return };
    let read = |piece: usize| {
        let (mut scanner, mut seen) = (Scanner::new(paths), SeenValues::default());
        for piece in document.chunks(piece) {
            if scanner.is_done() || scanner.is_broken() {
                break;
            }
            scanner.push(piece, &mut seen);
        }
        assert!(scanner.heap_bytes() < 16 * 1_024, "memory is bounded");
        let ended = (scanner.is_done(), scanner.is_broken());
        (seen, ended)
    };
    assert_eq!(read(usize::from(*piece) + 1), read(usize::MAX), "in pieces of {}", usize::from(*piece) + 1);
}

/// A byte of choices (the API, codings), one that says how large the pieces are, two of the request's length, request and answer.
pub fn model_call(data: &[u8]) {
    const TARGETS: [&str; 8] = [
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/responses",
        "/v1/completions",
        "/v1/embeddings",
        "/api/chat",
        "/api/generate",
        "/api/embed",
    ];
    let [choice, piece, low, high, bodies @ ..] = data else { return };
    let (request, answer) = bodies.split_at(bodies.len().min(usize::from(u16::from_le_bytes([*low, *high]))));
    let counters = Arc::new(Counters::default());
    let budget = Budget::new(BUDGET, counters);
    let mut tracker = LlmTracker::new(LlmOptions { calls: 8, calls_per_connection: 8, work: LIMITS, cpu_ns: || 0 });
    let mut calls = Calls::default();
    let fields = format!("host: api.openai.com\r\ncontent-encoding: {}\r\n", CODINGS[4 - usize::from(choice >> 3 & 3)]);
    let answer_fields = format!(
        "content-encoding: {}\r\ncontent-type: {}\r\n",
        CODINGS[4 - usize::from(choice >> 5 & 3)],
        if choice & 128 == 0 { "text/event-stream" } else { "application/json" }
    );
    let head = RequestHead {
        exchange: 1,
        time_ns: 1,
        start_ns: 1,
        thread: 1,
        direction: Direction::Out,
        method: "POST",
        target: TARGETS[usize::from(choice & 7)],
        headers: Headers::new(fields.as_bytes()),
    };
    let mut send = |part: Part<'_>| tracker.on_part(&mut calls, &part, None, || budget.of(1));
    send(Part::Request(head));
    let piece_len = usize::from(*piece) + 1;
    for piece in request.chunks(piece_len) {
        send(Part::RequestBody(BodyPiece { exchange: 1, time_ns: 2, content: Content::Bytes(piece) }));
    }
    send(Part::Response(ResponseHead { exchange: 1, time_ns: 3, status: 200, headers: Headers::new(answer_fields.as_bytes()) }));
    for (index, piece) in answer.chunks(piece_len).enumerate() {
        let content = if piece == b"gap" { Content::Gap(3) } else { Content::Bytes(piece) };
        send(Part::ResponseBody(BodyPiece { exchange: 1, time_ns: 4 + index as u64, content }));
    }
    let (origin, peer): (_, Arc<str>) = (Arc::new(Origin::unknown(1)), "192.0.2.1:443".into());
    let context = CallContext { origin: &origin, tls: false, peer: &peer, destination: None, request_bytes: 1, response_bytes: 1 };
    let exchange = Exchange { id: 1, status: Some(200), end_ns: Some(1 << 40), ..Exchange::default() };
    let ids = || Ids { trace_id: None, span_id: SpanId(1) };
    tracker.on_done(&mut calls, &exchange, &context, ids, WallTime);
    assert_eq!((budget.used(), calls.heap_bytes()), (0, 0), "all is given back");
    budget.expire();
}
