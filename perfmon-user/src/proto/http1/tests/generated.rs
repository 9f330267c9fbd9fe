//! Generated connections: any sequence of messages, cut anywhere, comes to the exchanges that it was made from; any bytes at all come
//! to bounded memory and no panic.
use proptest::collection::vec;
use proptest::prelude::*;

use super::corpus::CorpusStep;
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

fn pieces_of_anything() -> impl Strategy<Value = Vec<CorpusStep>> {
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
    let direction = || prop_oneof![Just(Direction::In), Just(Direction::Out)];
    let end = prop::sample::select(vec![
        Ending::PeerClosed,
        Ending::LocalClosed,
        Ending::Closed,
        Ending::PeerReset,
        Ending::LocalReset,
        Ending::Forgotten,
    ]);
    let step = prop_oneof![
        8 => (direction(), text).prop_map(|(direction, bytes)| CorpusStep::Bytes(direction, bytes)),
        2 => (direction(), vec(any::<u8>(), 0..300)).prop_map(|(direction, bytes)| CorpusStep::Bytes(direction, bytes)),
        2 => (direction(), prop_oneof![1..20u64, 1..1u64 << 40]).prop_map(|(direction, n)| CorpusStep::Gap(direction, n)),
        1 => (direction(), 1..200u64).prop_map(|(direction, n)| CorpusStep::Lost(direction, n)),
        1 => direction().prop_map(CorpusStep::Unknown),
        1 => end.prop_map(CorpusStep::End),
    ];
    vec(step, 0..60)
}

/// Operations of a request and of its answer, which of them are lost, whether the answer is chunked.
type Plan = (usize, usize, Vec<bool>, bool);

/// Exchanges of which operations are lost, which shows only at the next one that is seen; a client that waits for its answers.
fn run_with_losses(plan: &[Plan], server: bool) {
    let mut connection = Connection::new();
    let (mut offsets, mut hit, mut times, mut time_ns) = ([0u64; 2], Vec::new(), Vec::new(), 0);
    for (index, (request_operations, answer_operations, lost, chunked)) in plan.iter().enumerate() {
        let body = if *chunked { Body::Chunked(vec![b"chunk one".to_vec(), b"two".to_vec()], false) } else { Body::Length(vec![b'x'; 50]) };
        let request = format!("POST /{index} HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789").into_bytes();
        let answer = [format!("HTTP/1.1 {} Reason\r\n", 400 + index).as_bytes(), &body.wire()].concat();
        let mut lost = lost.iter();
        let mut any_lost = false;
        let (begin_ns, answer_ns) = (time_ns + MS, time_ns + MS * (*request_operations as u64 + 1));
        for (is_request, wire, count) in [(true, request, request_operations), (false, answer, answer_operations)] {
            let direction = if is_request == server { Direction::In } else { Direction::Out };
            for operation in wire.chunks(wire.len().div_ceil(*count)) {
                time_ns += MS;
                let gap = &mut offsets[usize::from(is_request)];
                if *lost.next().unwrap() {
                    *gap += operation.len() as u64;
                    any_lost = true;
                    continue;
                }
                if *gap > 0 {
                    connection.chunk_at(time_ns, None, direction, Content::Lost(std::mem::take(gap)));
                }
                connection.chunk_at(time_ns, None, direction, Content::Bytes(operation));
            }
        }
        hit.push(any_lost);
        times.push((begin_ns, Some(answer_ns), Some(time_ns)));
    }
    for (is_request, lost) in [(false, offsets[0]), (true, offsets[1])] {
        if lost > 0 {
            connection.chunk(if is_request == server { Direction::In } else { Direction::Out }, Content::Lost(lost));
        }
    }
    connection.end(Ending::Closed);
    for done in &connection.done {
        let index = done.path.as_ref().map(|path| path[1..].parse::<usize>().unwrap());
        let answered = done.status.map(|status| usize::from(status) - 400);
        if !done.inferred {
            assert_eq!(index, answered, "{}", summary(done));
            let expected = times[answered.unwrap()];
            assert_eq!((done.start_ns, done.first_byte_ns, done.end_ns), expected, "{}", summary(done));
        }
        assert_eq!(done.failure, None, "{}", summary(done));
    }
    for index in 1..plan.len() {
        if !hit[index - 1] && !hit[index] {
            let exact = connection.done.iter().filter(|done| done.path.as_deref() == Some(&format!("/{index}")) && !done.inferred);
            assert_eq!(exact.count(), 1, "/{} of {:?}", index, connection.summary());
        }
    }
}

/// Plans that once came to an answer at another's request.
#[test]
fn losses_that_were_trouble() {
    let plan = |text: &str| -> Vec<Plan> {
        let exchange = |word: &str| {
            let lost: Vec<_> = word[2..].bytes().filter(|byte| *byte != b'c').map(|byte| byte == b'x').collect();
            let count = |at| usize::from(word.as_bytes()[at] - b'0');
            (count(0), count(1), lost, word.ends_with('c'))
        };
        text.split(' ').map(exchange).collect()
    };
    // Each word: operations of the request and of the answer, then each of them: x is lost.
    for text in [
        "21.x. 31.x.x 12x.xc 11.. 21..x 31..x. 11..",
        "31...x 21.x. 31x.xx 11.. 32..xx. 11..",
        "11.. 32.xx.x 11..",
        "11.x 22.x.x 11.. 31..x.",
        "21..x 21.x. 11x.",
        "13...xc 31...x 11x.",
    ] {
        run_with_losses(&plan(text), false);
        run_with_losses(&plan(text), true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_messages_cut_anywhere(specs in vec(spec(), 1..8), depth in 1..5usize, server: bool, cuts in vec(any::<prop::sample::Index>(), 0..40)) {
        let mut connection = Connection::new();
        for (request, bytes) in cut(operations(&specs, depth), &cuts) {
            connection.bytes(if request == server { Direction::In } else { Direction::Out }, bytes);
        }
        connection.end(Ending::Closed);
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
        let direction = |request| if request == server { Direction::In } else { Direction::Out };
        for spec in &specs {
            for (request, wire, body) in [(true, spec.request_wire(), &spec.request), (false, spec.response_wire(), &spec.response)] {
                let bytes = match body {
                    Body::Length(bytes) if request || spec.has_response_body() => bytes.len(),
                    _ => 0,
                };
                let (captured, gap) = wire.split_at(wire.len() - bytes * share / 100);
                connection.bytes(direction(request), captured);
                if !gap.is_empty() {
                    connection.chunk(direction(request), Content::Gap(gap.len() as u64));
                }
            }
        }
        prop_assert_eq!(connection.done.len(), specs.len());
        for (spec, done) in specs.iter().zip(&connection.done) {
            spec.assert(done, server);
        }
    }

    #[test]
    fn lost_operations_never_shift_answers(plan in vec((1..4usize, 1..4usize, vec(prop::bool::weighted(0.15), 6), any::<bool>()), 1..30), server: bool) {
        run_with_losses(&plan, server);
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
        connection.end(Ending::Forgotten);
        let mut pending = 0;
        connection.parser.pending(&mut |_| pending += 1);
        prop_assert_eq!(pending, 0);
        for done in &connection.done {
            prop_assert!(done.end_ns.is_none_or(|end_ns| done.first_byte_ns.is_none_or(|first_ns| first_ns <= end_ns)));
        }
        prop_assert!(connection.done.windows(2).all(|pair| pair[0].id < pair[1].id));
    }
}
