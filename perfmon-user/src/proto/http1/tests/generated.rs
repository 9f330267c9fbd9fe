//! Generated connections: any sequence of messages, cut anywhere, comes to the exchanges that it was made from; any bytes at all come
//! to bounded memory and no panic.
use proptest::collection::vec;
use proptest::prelude::*;

use super::corpus::Step;
use super::*;

/// How a generated body is framed.
#[derive(Clone, Debug)]
enum Body {
    None,
    Length(Vec<u8>),
    Chunked(Vec<Vec<u8>>, bool),
}

impl Body {
    fn wire(&self) -> Vec<u8> {
        match self {
            Self::None => b"\r\n".to_vec(),
            Self::Length(body) => [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat(),
            Self::Chunked(chunks, decorated) => {
                let mut wire = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
                let (extension, trailer) = if *decorated { (";a=\"0\r1\"", "X-Sum: 0\r\n") } else { ("", "") };
                for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                    wire.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
                    wire.extend_from_slice(chunk);
                    wire.extend_from_slice(b"\r\n");
                }
                wire.extend_from_slice(format!("0{extension}\r\n{trailer}\r\n").as_bytes());
                wire
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Length(body) => body.clone(),
            Self::Chunked(chunks, _) => chunks.concat(),
        }
    }
}

/// A generated exchange.
#[derive(Clone, Debug)]
struct Spec {
    method: &'static str,
    path: String,
    request: Body,
    interim: usize,
    status: u16,
    response: Body,
    /// The answer begins before the request's last byte.
    early: bool,
}

fn body() -> impl Strategy<Value = Body> {
    // Bodies that look like messages are what a parser must not fall for.
    let bytes = || prop_oneof![vec(any::<u8>(), 0..200), Just(b"GET / HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0\r\n\r\n".to_vec())];
    prop_oneof![
        Just(Body::None),
        bytes().prop_map(Body::Length),
        (vec(bytes(), 0..4), any::<bool>()).prop_map(|(chunks, decorated)| Body::Chunked(chunks, decorated)),
    ]
}

fn spec() -> impl Strategy<Value = Spec> {
    let method = prop_oneof![Just("GET"), Just("POST"), Just("HEAD"), Just("PURGE"), Just("x-any!")];
    let status = prop_oneof![Just(200u16), Just(204), Just(304), Just(404), Just(500)];
    (method, "/[a-z/%]{0,40}", body(), 0..3usize, status, body(), any::<bool>()).prop_map(
        |(method, path, request, interim, status, response, early)| Spec { method, path, request, interim, status, response, early },
    )
}

impl Spec {
    fn has_response_body(&self) -> bool {
        self.method != "HEAD" && !matches!(self.status, 204 | 304)
    }

    fn request_wire(&self) -> Vec<u8> {
        let head = format!("{} {}?q=1 HTTP/1.1\r\nHost: h.example\r\n", self.method, self.path);
        [head.as_bytes(), &self.request.wire()].concat()
    }

    fn response_wire(&self) -> Vec<u8> {
        let mut wire = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(self.interim).into_bytes();
        wire.extend_from_slice(format!("HTTP/1.1 {} Reason\r\n", self.status).as_bytes());
        match (&self.response, self.has_response_body()) {
            (Body::None, true) => wire.extend_from_slice(&Body::Length(Vec::new()).wire()),
            (body, true) => wire.extend_from_slice(&body.wire()),
            (_, false) => wire.extend_from_slice(b"Content-Length: 77\r\n\r\n"),
        }
        wire
    }

    fn response_body(&self) -> Vec<u8> {
        if self.has_response_body() { self.response.bytes() } else { Vec::new() }
    }

    fn assert(&self, done: &Exchange, server: bool) {
        let (request, response) = (self.request_wire(), self.response_wire());
        assert_eq!((done.server, done.failure, done.inferred, done.missing_bytes), (server, None, false, 0));
        assert_eq!((done.method.as_deref(), done.path.as_deref()), (Some(self.method), Some(&self.path[..])));
        assert_eq!((done.status, done.host.as_deref()), (Some(self.status), Some("h.example")));
        assert_eq!((done.request_wire, done.response_wire), (request.len() as u64, response.len() as u64));
        assert_eq!(done.request_body, Some(self.request.bytes().len() as u64));
        assert_eq!(done.response_body, Some(self.response_body().len() as u64));
        assert!(done.start_ns <= done.request_end_ns.unwrap() && done.first_byte_ns <= done.end_ns);
    }
}

/// The operations of a connection on which at most `depth` requests are under way. `true`: a request's bytes.
fn operations(specs: &[Spec], depth: usize) -> Vec<(bool, Vec<u8>)> {
    let mut operations = Vec::new();
    for batch in specs.chunks(depth) {
        let mut rest = Vec::new();
        for (index, spec) in batch.iter().enumerate() {
            let mut wire = spec.request_wire();
            if spec.early && index + 1 == batch.len() && !spec.request.bytes().is_empty() {
                rest = wire.split_off(wire.len() - 1);
            }
            operations.push((true, wire));
        }
        let answers: Vec<u8> = batch.iter().flat_map(Spec::response_wire).collect();
        operations.push((false, answers));
        operations.push((true, rest));
    }
    operations.retain(|(_, bytes)| !bytes.is_empty());
    operations
}

/// Joins operations of one direction, then cuts them at the given fractions.
fn cut(operations: Vec<(bool, Vec<u8>)>, cuts: &[prop::sample::Index]) -> Vec<(bool, Vec<u8>)> {
    let mut joined: Vec<(bool, Vec<u8>)> = Vec::new();
    for (request, bytes) in operations {
        match joined.last_mut() {
            Some((last, all)) if *last == request => all.extend(bytes),
            _ => joined.push((request, bytes)),
        }
    }
    let total: usize = joined.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(total)).collect();
    places.sort_unstable();
    let (mut pieces, mut passed) = (Vec::new(), 0);
    for (request, bytes) in joined {
        let mut from = 0;
        let inside = places.iter().filter(|place| (passed + 1..passed + bytes.len()).contains(place)).map(|place| place - passed);
        for to in inside.chain([bytes.len()]) {
            pieces.push((request, bytes[from..to].to_vec()));
            from = to;
        }
        passed += bytes.len();
    }
    pieces
}

fn pieces_of_anything() -> impl Strategy<Value = Vec<Step>> {
    let words = prop::sample::select(vec![
        "GET ",
        "/a",
        " HTTP/1.1",
        "\r\n",
        "\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 101 X\r\n",
        "Content-Length: 5\r\n",
        "0\r\n",
        "5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "hello",
        "Host: h\r\n",
        ":",
        " ",
        "\0",
        "HEAD / HTTP/1.0\r\n\r\n",
        "HTTP/1.0 204 N\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\n\r\n",
    ]);
    let text = vec(words, 1..6).prop_map(|words| words.concat().into_bytes());
    let flow = || prop_oneof![Just(Flow::In), Just(Flow::Out)];
    let end = prop::sample::select(vec![End::PeerClosed, End::LocalClosed, End::Closed, End::PeerReset, End::LocalReset, End::Forgotten]);
    let step = prop_oneof![
        8 => (flow(), text).prop_map(|(flow, bytes)| Step::Bytes(flow, bytes)),
        2 => (flow(), vec(any::<u8>(), 0..300)).prop_map(|(flow, bytes)| Step::Bytes(flow, bytes)),
        2 => (flow(), prop_oneof![1..20u64, 1..1u64 << 40]).prop_map(|(flow, n)| Step::Gap(flow, n)),
        1 => flow().prop_map(Step::Unknown),
        1 => end.prop_map(Step::End),
    ];
    vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_messages_cut_anywhere(specs in vec(spec(), 1..8), depth in 1..5usize, server: bool, cuts in vec(any::<prop::sample::Index>(), 0..40)) {
        let mut connection = Connection::new();
        for (request, bytes) in cut(operations(&specs, depth), &cuts) {
            connection.bytes(if request == server { Flow::In } else { Flow::Out }, bytes);
        }
        connection.end(End::Closed);
        prop_assert_eq!(connection.done.len(), specs.len());
        for (spec, done) in specs.iter().zip(&connection.done) {
            spec.assert(done, server);
        }
        prop_assert_eq!(&connection.request_bodies, &specs.iter().flat_map(|spec| spec.request.bytes()).collect::<Vec<_>>());
        prop_assert_eq!(&connection.response_bodies, &specs.iter().flat_map(Spec::response_body).collect::<Vec<_>>());
        prop_assert_eq!(connection.stats(), Stats::default());
    }

    #[test]
    fn gaps_in_bodies_of_known_length_change_nothing(specs in vec(spec(), 1..6), server: bool, share in 0..100usize) {
        let mut connection = Connection::new();
        let flow = |request| if request == server { Flow::In } else { Flow::Out };
        for spec in &specs {
            for (request, wire, body) in [(true, spec.request_wire(), &spec.request), (false, spec.response_wire(), &spec.response)] {
                let bytes = match body {
                    Body::Length(bytes) if request || spec.has_response_body() => bytes.len(),
                    _ => 0,
                };
                let (captured, gap) = wire.split_at(wire.len() - bytes * share / 100);
                connection.bytes(flow(request), captured);
                if !gap.is_empty() {
                    connection.chunk(flow(request), Content::Gap(gap.len() as u64));
                }
            }
        }
        prop_assert_eq!(connection.done.len(), specs.len());
        for (spec, done) in specs.iter().zip(&connection.done) {
            spec.assert(done, server);
        }
    }

    #[test]
    fn anything_at_all(steps in pieces_of_anything()) {
        let mut connection = Connection::new();
        for step in &steps {
            let time_ns = connection.now_ns + 10;
            connection.step(time_ns, None, step);
            let held = connection.parser.heap_bytes();
            prop_assert!(held < 4 * HEAD_BYTES + PIPELINE * 100, "{} bytes held", held);
        }
        connection.end(End::Forgotten);
        let mut pending = 0;
        connection.parser.pending(&mut |_| pending += 1);
        prop_assert_eq!(pending, 0);
        for done in &connection.done {
            prop_assert!(done.end_ns.is_none_or(|end_ns| done.first_byte_ns.is_none_or(|first_ns| first_ns <= end_ns)));
        }
        prop_assert!(connection.done.windows(2).all(|pair| pair[0].id < pair[1].id));
    }
}
