//! Generated connections with valid traffic, of which the kernel captures some bytes and loses any operations: no error, status or
//! exchange is told that there was not, and what is exact is true. Bodies are texts that look like chunks and messages, and operations
//! end where such a text begins.
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Parts of bodies, each of which looks like something else.
const TEXTS: [&str; 12] = [
    "12\r\n34\r\n",
    "1\r\n7\r\n2\r\n10\r\n",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\n1\r\n0\r\n",
    "HTTP/1.1 500 x\r\n\r\n",
    "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 9000\r\n\r\n",
    "GET /phantom HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /phantom HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    "some words of a text, and no line end",
];

/// A body: texts, each this often, and how it is framed.
#[derive(Clone, Debug)]
struct PlannedBody {
    texts: Vec<(&'static str, usize)>,
    chunked: bool,
    trailer: bool,
}

#[derive(Clone, Debug)]
struct Planned {
    method: &'static str,
    request: PlannedBody,
    answer: PlannedBody,
    status: u16,
    /// An answer before the final one.
    interim: Interim,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Interim {
    None,
    /// 103.
    Hints,
    /// 100, for which the client waits before it sends the body.
    Continue,
}

/// In which order messages pass.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    /// So many requests, then their answers.
    Batches(usize),
    /// Each request in the middle of the answer before.
    Overlapping,
}

impl Order {
    /// A body may have this text in this order. Where messages overlap any part of a body may begin a run, and the parser takes what
    /// begins a run for a head, and an answer for that to the request before it, until it has seen that they do.
    fn allows(self, text: &str) -> bool {
        self != Self::Overlapping || !text.starts_with(['G', 'P', 'H'])
    }
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Seen,
    /// Its beginning is captured, as much as the budgets allow.
    Head,
    /// The share of its bytes that is captured, in percent.
    Cut(usize),
    Lost,
}

/// How a connection is cut into operations and what is captured of them; used round and round.
#[derive(Clone, Debug)]
struct Capturing {
    /// An operation ends behind this piece.
    ends: Vec<bool>,
    fates: Vec<Fate>,
    /// The whole run is lost.
    runs_lost: Vec<bool>,
    /// Bytes captured of the operations of a run, and of each operation at least.
    budgets: (usize, usize),
    ending: Ending,
}

fn planned_body() -> impl Strategy<Value = PlannedBody> {
    let text = (prop::sample::select(TEXTS.to_vec()), prop_oneof![3 => Just(1usize), 1 => Just(20usize)]);
    let framing = prop_oneof![2 => Just((false, false)), 2 => Just((true, false)), 1 => Just((true, true))];
    (vec(text, 0..5), framing).prop_map(|(texts, (chunked, trailer))| PlannedBody { texts, chunked, trailer })
}

fn planned() -> impl Strategy<Value = Planned> {
    let method = prop_oneof![4 => Just("GET"), 3 => Just("POST"), 1 => Just("HEAD")];
    let status = prop_oneof![8 => Just(210u16), 1 => Just(204), 1 => Just(304), 1 => Just(510)];
    let interim = prop_oneof![6 => Just(Interim::None), 1 => Just(Interim::Hints), 1 => Just(Interim::Continue)];
    (method, planned_body(), planned_body(), status, interim).prop_map(|(method, request, answer, status, interim)| Planned {
        method,
        request,
        answer,
        status,
        interim,
    })
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![6 => Just(Order::Batches(1)), 2 => (2..4usize).prop_map(Order::Batches), 1 => Just(Order::Overlapping)]
}

fn capturing() -> impl Strategy<Value = Capturing> {
    let fates = |lost: u32, cut: u32| {
        vec(
            prop_oneof![12 => Just(Fate::Seen), 8 => Just(Fate::Head), cut => (0..100usize).prop_map(Fate::Cut), lost => Just(Fate::Lost)],
            23,
        )
    };
    let fates = prop_oneof![fates(1, 0), fates(1, 3), fates(10, 1), fates(60, 1)];
    let runs_lost = prop_oneof![Just(vec![false]), vec(prop::bool::weighted(0.3), 17)];
    let budgets = (prop_oneof![Just(64usize), Just(200), Just(100_000)], prop_oneof![Just(0usize), Just(16), Just(100)]);
    let ending =
        prop_oneof![4 => Just(Ending::Closed), 1 => Just(Ending::Forgotten), 1 => Just(Ending::PeerReset), 1 => Just(Ending::LocalReset)];
    (vec(any::<bool>(), 31), fates, runs_lost, budgets, ending).prop_map(|(ends, fates, runs_lost, budgets, ending)| Capturing {
        ends,
        fates,
        runs_lost,
        budgets,
        ending,
    })
}

impl PlannedBody {
    fn size(&self) -> u64 {
        self.texts.iter().map(|(text, times)| (text.len() * times) as u64).sum()
    }

    /// What follows a head's other fields, in pieces behind which an operation may end.
    fn pieces(&self) -> Vec<String> {
        let texts = self.texts.iter().map(|(text, times)| text.repeat(*times));
        if !self.chunked {
            return std::iter::once(format!("Content-Length: {}\r\n\r\n", self.size())).chain(texts).collect();
        }
        let mut pieces = vec!["Transfer-Encoding: chunked\r\n\r\n".to_owned()];
        for text in texts {
            pieces.extend([format!("{:x}\r\n", text.len()), text, "\r\n".to_owned()]);
        }
        pieces.push("0\r\n".to_owned());
        pieces.extend(self.trailer.then(|| "X-Sum: 12\r\n".to_owned()));
        pieces.push("\r\n".to_owned());
        pieces
    }
}

/// What an exchange is in truth.
#[derive(Debug)]
struct Truth {
    request: Vec<String>,
    answer: Vec<String>,
    sizes: (u64, u64),
    status: u16,
    waits: bool,
    /// All operations with bytes of it, and the runs that they are in, were seen.
    seen: bool,
    /// Nothing of it was left out of the capture.
    captured: bool,
    /// Nor of its request's head.
    head_captured: bool,
}

impl Planned {
    fn truth(&self, index: usize, order: Order) -> Truth {
        let mut planned = self.clone();
        for body in [&mut planned.request, &mut planned.answer] {
            body.texts.retain(|(text, _)| order.allows(text));
        }
        planned.truth_of(index, order)
    }

    fn truth_of(&self, index: usize, order: Order) -> Truth {
        let has_body = self.method != "HEAD" && !matches!(self.status, 204 | 304);
        let status = if matches!(self.status, 204 | 304) { self.status } else { self.status + index as u16 };
        // Where the head and the go-ahead were lost, nothing tells such a body from a message.
        let looks_like_message = |text: &&str| text.starts_with(['G', 'P', 'H']);
        let begins = self.request.texts.first().map(|(text, _)| text).filter(|_| !self.request.chunked);
        let uploads = self.request.chunked || self.request.size() > 0;
        let waits = self.interim == Interim::Continue && order == Order::Batches(1) && uploads && !begins.is_some_and(looks_like_message);
        let expect = if waits { "Expect: 100-continue\r\n" } else { "" };
        let mut request = self.request.pieces();
        request[0].insert_str(0, &format!("Host: h\r\n{expect}"));
        request.insert(0, format!("{} /{index} HTTP/1.1\r\n", self.method));
        let mut answer = self.answer.pieces();
        answer.insert(0, format!("HTTP/1.1 {status} Reason\r\n"));
        if !has_body {
            answer.truncate(2);
        }
        match self.interim {
            Interim::Hints => answer.insert(0, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".to_owned()),
            Interim::Continue if waits => answer.insert(0, "HTTP/1.1 100 Continue\r\n\r\n".to_owned()),
            _ => {}
        }
        let sizes = (self.request.size(), if has_body { self.answer.size() } else { 0 });
        Truth { request, answer, sizes, status, waits, seen: true, captured: true, head_captured: true }
    }
}

/// Pieces in the order in which they pass: whether it is of a request, of which exchange, and whether an operation must end behind it.
fn schedule(truths: &[Truth], order: Order) -> Vec<(bool, usize, String)> {
    let pieces = |request: bool, index: usize, range: std::ops::Range<usize>| {
        let all = if request { &truths[index].request } else { &truths[index].answer };
        all[range].iter().map(move |piece| (request, index, piece.clone())).collect::<Vec<_>>()
    };
    let (requests, answers) = (|index: usize| truths[index].request.len(), |index: usize| truths[index].answer.len());
    let mut all = Vec::new();
    match order {
        Order::Batches(1) => {
            for (index, truth) in truths.iter().enumerate() {
                let (head, first) = if truth.waits { (2, 1) } else { (requests(index), 0) };
                all.extend(pieces(true, index, 0..head));
                all.extend(pieces(false, index, 0..first));
                all.extend(pieces(true, index, head..requests(index)));
                all.extend(pieces(false, index, first..answers(index)));
            }
        }
        Order::Batches(depth) => {
            for first in (0..truths.len()).step_by(depth) {
                let batch = first..truths.len().min(first + depth);
                batch.clone().for_each(|index| all.extend(pieces(true, index, 0..requests(index))));
                batch.for_each(|index| all.extend(pieces(false, index, 0..answers(index))));
            }
        }
        Order::Overlapping => {
            all.extend(pieces(true, 0, 0..requests(0)));
            for index in 0..truths.len() {
                let half = answers(index) / 2;
                all.extend(pieces(false, index, 0..half));
                if index + 1 < truths.len() {
                    all.extend(pieces(true, index + 1, 0..requests(index + 1)));
                }
                all.extend(pieces(false, index, half..answers(index)));
            }
        }
    }
    all
}

/// The kernel's side: runs, budgets, losses (perfmon-ebpf/src/operation.rs).
struct Kernel<'a> {
    connection: Connection,
    capturing: &'a Capturing,
    server: bool,
    run: u16,
    runs_request: Option<bool>,
    captured: usize,
    lost: [u64; 2],
    demand: Demand,
    log: Vec<String>,
}

impl Kernel<'_> {
    /// An operation; how much of it was captured, `None`: its event was lost.
    fn operation(&mut self, request: bool, bytes: &str, fate: Fate) -> Option<usize> {
        let begins = self.runs_request != Some(request);
        if begins {
            (self.run, self.captured, self.runs_request) = (self.run.wrapping_add(1), 0, Some(request));
        }
        let run_lost = self.capturing.runs_lost[usize::from(self.run) % self.capturing.runs_lost.len()];
        let fate = if run_lost { Fate::Lost } else { fate };
        self.log.push(format!(
            "{} {} {fate:?} {} {:?}",
            self.run,
            if request { "request" } else { "answer" },
            bytes.len(),
            &bytes[..bytes.len().min(90)]
        ));
        if fate == Fate::Lost {
            self.lost[usize::from(request)] += bytes.len() as u64;
            return None;
        }
        let captured = match fate {
            Fate::Cut(percent) => bytes.len() * percent / 100,
            Fate::Head if self.demand == Demand::Head => {
                let (run, operation) = self.capturing.budgets;
                bytes.len().min(run.saturating_sub(self.captured).max(operation))
            }
            _ => bytes.len(),
        };
        self.log.push(format!("    {captured} captured"));
        self.captured += captured;
        let (seen, rest) = bytes.as_bytes().split_at(captured);
        let lost = std::mem::take(&mut self.lost[usize::from(request)]);
        for content in [Content::Lost(lost), Content::Bytes(seen), Content::Gap(rest.len() as u64)] {
            if !content.is_empty() {
                let is_rest = matches!(content, Content::Gap(_)) && captured > 0;
                self.segment(request, OperationRun { number: self.run, begins: begins && !is_rest }, content);
            }
        }
        Some(captured)
    }

    fn segment(&mut self, request: bool, run: OperationRun, content: Content<'_>) {
        let direction = if request == self.server { Direction::In } else { Direction::Out };
        let time_ns = self.connection.now_ns;
        let (parser, mut sink) = self.connection.split();
        let stamp = Stamp { time_ns, arrival_ns: None, thread: 7, run: Some(run) };
        self.demand = parser.push(Segment { direction, stamp, content }, &mut sink);
    }
}

/// Runs a connection; returns what was told, and what is wrong with it.
fn run(plan: &[Planned], order: Order, server: bool, capturing: &Capturing) -> (Connection, Vec<Truth>, Vec<String>) {
    let mut truths: Vec<_> = plan.iter().enumerate().map(|(index, planned)| planned.truth(index, order)).collect();
    let mut kernel = Kernel {
        connection: Connection::new(),
        capturing,
        server,
        run: 0,
        runs_request: None,
        captured: 0,
        lost: [0; 2],
        demand: Demand::Head,
        log: Vec::new(),
    };
    let (mut ends, mut fates) = (capturing.ends.iter().cycle(), capturing.fates.iter().cycle());
    let pieces = schedule(&truths, order);
    let (mut operation, mut of, mut torn, mut in_run) = (String::new(), Vec::new(), false, Vec::new());
    for (at, (request, index, piece)) in pieces.iter().enumerate() {
        operation.push_str(piece);
        of.push((*index, piece.clone()));
        let turns = pieces.get(at + 1).is_none_or(|(next, ..)| next != request);
        if *ends.next().unwrap() || turns {
            kernel.connection.now_ns += MS + MS / 2;
            let bytes = std::mem::take(&mut operation);
            let captured = kernel.operation(*request, &bytes, *fates.next().unwrap());
            let whole = captured == Some(bytes.len());
            torn |= captured.is_none() || (order != Order::Batches(1) && !whole);
            for (index, piece) in &of {
                let truth = &mut truths[*index];
                truth.captured &= whole;
                truth.head_captured &= whole || !truth.request[..2].contains(piece);
            }
            in_run.append(&mut of);
        }
        if turns {
            in_run.drain(..).for_each(|(index, _)| truths[index].seen &= !torn);
            torn = false;
        }
    }
    for request in [false, true] {
        let (lost, direction) = (kernel.lost[usize::from(request)], if request == server { Direction::In } else { Direction::Out });
        if lost > 0 && capturing.ending != Ending::Forgotten {
            kernel.connection.chunk(direction, Content::Lost(lost));
        }
    }
    kernel.connection.end(capturing.ending);
    let log = kernel.log;
    (kernel.connection, truths, log)
}

fn index_of(done: &Exchange) -> Option<usize> {
    // A head that was cut may have lost a part of its path.
    done.path
        .as_deref()
        .filter(|path| *path != "/")
        .map(|path| path.strip_prefix('/').and_then(|index| index.parse().ok()).unwrap_or(usize::MAX))
}

/// What is wrong with what was told of a connection.
fn faults(connection: &Connection, truths: &[Truth], order: Order) -> Vec<String> {
    let mut faults = Vec::new();
    let mut told = vec![0; truths.len()];
    for done in &connection.done {
        let mut fault = |what: &str| faults.push(format!("{what}: {}", summary(done)));
        if done.failure.is_some() {
            fault("error");
        }
        let index = index_of(done);
        let of_status = done.status.map(|status| truths.iter().position(|truth| truth.status == status));
        match (index.or(of_status.flatten()), of_status) {
            (Some(usize::MAX), _) => fault("exchange"),
            (Some(index), _) if index >= truths.len() => fault("exchange"),
            (_, Some(None)) => fault("status"),
            (None, _) => {}
            _ if order == Order::Overlapping => {}
            (Some(index), Some(Some(_))) if done.status != Some(truths[index].status) => fault("status of another"),
            (Some(index), _) => {
                told[index] += usize::from(!matches!(truths[index].status, 204 | 304) || index_of(done).is_some());
                let (truth, size) = (&truths[index], |pieces: &[String]| pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
                let sizes = (done.request_body, done.response_body, done.request_wire, done.response_wire);
                let expected = (Some(truth.sizes.0), Some(truth.sizes.1), size(&truth.request), size(&truth.answer));
                if !done.inferred && (done.status != Some(truth.status) || index_of(done) != Some(index) || sizes != expected) {
                    fault("exact");
                }
            }
        }
    }
    for (index, truth) in truths.iter().enumerate() {
        let of = |exact: bool| connection.done.iter().filter(|done| index_of(done) == Some(index) && !(exact && done.inferred)).count();
        if told[index] > 1 {
            faults.push(format!("/{index} twice"));
        }
        if truth.seen && truth.head_captured && order != Order::Overlapping && of(false) == 0 {
            faults.push(format!("/{index} missing"));
        }
        if truth.seen && truth.captured && order == Order::Batches(1) && of(true) == 0 {
            faults.push(format!("/{index} not exact"));
        }
    }
    if connection.done.len() > truths.len() && order != Order::Overlapping {
        faults.push("too many".to_owned());
    }
    faults
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_loss_over_valid_traffic_makes_an_error(plan in vec(planned(), 1..8), order in order(), server: bool, capturing in capturing()) {
        let (connection, truths, log) = run(&plan, order, server, &capturing);
        let faults = faults(&connection, &truths, order);
        prop_assert!(faults.is_empty(), "{:?}\n{:?}\n{}", faults, connection.summary(), log.join("\n"));
    }
}

const GET: &str = "GET /0 HTTP/1.1\r\nHost: h\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const OK: &str = "HTTP/1.1 204 OK\r\n\r\n";

impl Connection {
    /// A segment in the middle of the run.
    fn within(&mut self, run: u16, direction: Direction, content: Content<'_>) {
        self.now_ns += MS;
        let stamp = Stamp { time_ns: self.now_ns, arrival_ns: None, thread: 7, run: Some(OperationRun { number: run, begins: false }) };
        let (parser, mut sink) = self.split();
        parser.push(Segment { direction, stamp, content }, &mut sink);
    }

    fn settle(&mut self, now_ns: u64) {
        let (parser, mut sink) = self.split();
        parser.settle(now_ns, &mut sink);
    }
}

/// A request, and the beginning of a chunked answer whose first chunk a gap of these bytes takes.
fn answered_with_gap(chunk: u64, gap: u64) -> Connection {
    let mut connection = Connection::new();
    connection.run(1, Direction::In, Content::Bytes(GET.as_bytes()));
    connection.run(2, Direction::Out, Content::Bytes(format!("{CHUNKED}{chunk:x}\r\n").as_bytes()));
    connection.within(2, Direction::Out, Content::Gap(gap));
    connection
}

#[test]
fn a_gap_that_ends_behind_a_size_line_does_not_end_the_body() {
    let mut connection = answered_with_gap(2_488, 2_495);
    for _ in 0..300 {
        connection.within(2, Direction::Out, Content::Gap(2_990));
    }
    connection.within(2, Direction::Out, Content::Bytes(b"0\r\n\r\n"));
    connection.run(3, Direction::In, Content::Bytes(b"GET /1 HTTP/1.1\r\n\r\n"));
    connection.run(4, Direction::Out, Content::Bytes(OK.as_bytes()));
    assert_eq!(connection.summary(), ["GET /0 200 ~", "GET /1 204"]);
    let wire = CHUNKED.len() as u64 + 5 + 2_495 + 300 * 2_990 + 5;
    assert_eq!((connection.done[0].response_body, connection.done[0].response_wire), (None, wire));
}

#[test]
fn a_gap_that_takes_the_end_of_a_body_is_confirmed_by_what_follows() {
    let size = Some(2_488);
    let told = |connection: &Connection| (connection.summary(), connection.done.first().and_then(|done| done.response_body));

    let mut by_next_answer = answered_with_gap(2_488, 2_495);
    by_next_answer.run(3, Direction::In, Content::Bytes(GET.as_bytes()));
    assert_eq!(told(&by_next_answer), (vec![], None));
    by_next_answer.run(4, Direction::Out, Content::Bytes(OK.as_bytes()));
    assert_eq!(told(&by_next_answer), (vec!["GET /0 200".to_owned(), "GET /0 204".to_owned()], size));

    let mut by_close = answered_with_gap(2_488, 2_495);
    by_close.end(Ending::Closed);
    assert_eq!(told(&by_close), (vec!["GET /0 200".to_owned()], size));

    let mut after_loss = answered_with_gap(2_488, 2_495);
    after_loss.run(3, Direction::In, Content::Bytes(GET.as_bytes()));
    after_loss.run(4, Direction::Out, Content::Lost(100));
    after_loss.run(4, Direction::Out, Content::Bytes(OK.as_bytes()));
    assert_eq!(told(&after_loss), (vec!["GET /0 200 ~".to_owned(), "GET /0 204".to_owned()], size));

    let mut by_silence = answered_with_gap(2_488, 2_495);
    let mut pending = 0;
    by_silence.parser.pending(&mut |_| pending += 1);
    assert_eq!(pending, 0);
    let ended_ns = by_silence.now_ns;
    for (after_ms, count) in [(900, 0), (1_100, 1)] {
        by_silence.settle(ended_ns + after_ms * MS);
        assert_eq!(by_silence.done.len(), count, "{after_ms} ms");
    }
    assert_eq!(told(&by_silence), (vec!["GET /0 200 ~".to_owned()], size));
    assert_eq!(by_silence.done[0].end_ns, Some(ended_ns));
}

#[test]
fn lines_of_numbers_behind_a_gap_are_no_chunks_and_no_error() {
    let mut connection = answered_with_gap(900_000, 900_400);
    for _ in 0..8 {
        connection.within(2, Direction::Out, Content::Bytes(b"12\r\n34\r\n"));
        connection.within(2, Direction::Out, Content::Gap(4_000));
        connection.within(2, Direction::Out, Content::Bytes(b"HTTP/1.1 500 in a text\r\nContent-Length: 0\r\n\r\n"));
    }
    connection.run(3, Direction::In, Content::Bytes(b"GET /1 HTTP/1.1\r\n\r\n"));
    connection.run(4, Direction::Out, Content::Bytes(OK.as_bytes()));
    assert_eq!(connection.summary(), ["GET /0 200 ~", "GET /1 204"]);
}

#[test]
fn a_spliced_body_has_its_size() {
    let mut connection = Connection::new();
    connection.run(1, Direction::In, Content::Bytes(b"POST /0 HTTP/1.1\r\nContent-Length: 3000\r\n\r\n"));
    connection.run(2, Direction::Out, Content::Bytes(OK.as_bytes()));
    // The splice is known from the position of the next operation alone.
    connection.run(3, Direction::In, Content::Lost(3_000));
    connection.run(3, Direction::In, Content::Bytes(b"POST /1 HTTP/1.1\r\nContent-Length: 3000\r\n\r\n"));
    connection.within(3, Direction::In, Content::Gap(3_000));
    connection.run(4, Direction::Out, Content::Bytes(OK.as_bytes()));
    connection.end(Ending::Closed);
    assert_eq!(connection.summary(), ["POST /0 204", "POST /1 204"]);
    assert_eq!(connection.done.iter().map(|done| done.request_body).collect::<Vec<_>>(), [Some(3_000); 2]);
}
