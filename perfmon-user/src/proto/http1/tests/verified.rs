//! Generated connections with valid traffic (`valid`), and what fuzzing and real traffic brought up.
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::proto::http1::valid::*;

fn planned_body() -> impl Strategy<Value = PlannedBody> {
    let text = (prop::sample::select(TEXTS.to_vec()), prop_oneof![3 => Just(1usize), 1 => Just(20usize)]);
    let framing = prop_oneof![2 => Just((false, false)), 2 => Just((true, false)), 1 => Just((true, true))];
    (vec(text, 0..5), framing).prop_map(|(texts, (chunked, trailer))| PlannedBody { texts, chunked, trailer })
}

fn planned() -> impl Strategy<Value = PlannedExchange> {
    let method = prop_oneof![4 => Just("GET"), 3 => Just("POST"), 1 => Just("HEAD")];
    let status = prop_oneof![8 => Just(210u16), 1 => Just(204), 1 => Just(304), 1 => Just(510)];
    let interim = prop_oneof![6 => Just(InterimAnswer::None), 1 => Just(InterimAnswer::Hints), 1 => Just(InterimAnswer::Continue)];
    (method, planned_body(), planned_body(), status, interim).prop_map(|(method, request, answer, status, interim)| PlannedExchange {
        method,
        request,
        answer,
        status,
        interim,
    })
}

fn order() -> impl Strategy<Value = MessageOrder> {
    prop_oneof![6 => Just(MessageOrder::Batches(1)), 2 => (2..4usize).prop_map(MessageOrder::Batches), 1 => Just(MessageOrder::Overlapping)]
}

fn capturing() -> impl Strategy<Value = CapturePlan> {
    let fates = |lost: u32, cut: u32| {
        vec(
            prop_oneof![12 => Just(OperationFate::Seen), 8 => Just(OperationFate::Head), cut => (0..100usize).prop_map(OperationFate::Cut), lost => Just(OperationFate::Lost)],
            23,
        )
    };
    let fates = prop_oneof![fates(1, 0), fates(1, 3), fates(10, 1), fates(60, 1)];
    let runs_lost = prop_oneof![Just(vec![false]), vec(prop::bool::weighted(0.3), 17)];
    let budgets = (prop_oneof![Just(64usize), Just(200), Just(100_000)], prop_oneof![Just(0usize), Just(16), Just(100)]);
    let ending =
        prop_oneof![4 => Just(Ending::Closed), 1 => Just(Ending::Forgotten), 1 => Just(Ending::PeerReset), 1 => Just(Ending::LocalReset)];
    (vec(any::<bool>(), 31), fates, runs_lost, budgets, ending).prop_map(|(ends, fates, runs_lost, budgets, ending)| CapturePlan {
        ends,
        fates,
        runs_lost,
        budgets,
        ending,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_loss_over_valid_traffic_makes_an_error(plan in vec(planned(), 1..8), order in order(), server: bool, capturing in capturing()) {
        let faults = faults_of(&plan, order, server, &capturing, true);
        prop_assert!(faults.is_empty(), "{}", faults.join("\n"));
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

#[test]
fn a_body_without_captured_bytes_is_its_requests_also_behind_a_lost_go_ahead() {
    let mut connection = Connection::new();
    connection.run(1, Direction::In, Content::Bytes(b"GET /0 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n"));
    // The go-ahead, run 2, is known from the position of the answer alone.
    connection.run(3, Direction::In, Content::Gap(8));
    connection.run(4, Direction::Out, Content::Lost(25));
    connection.run(4, Direction::Out, Content::Bytes(OK.as_bytes()));
    connection.end(Ending::Closed);
    assert_eq!(connection.summary(), ["GET /0 204 ~"]);
}

/// Runs that pass one after the other, requests first; `None` was lost. What follows a bar is an operation of its own.
fn of_runs(runs: &[Option<&str>]) -> Connection {
    let mut connection = Connection::new();
    let mut lost = [0, 0];
    for (number, run) in (1u16..).zip(runs) {
        let direction = if number % 2 == 1 { Direction::In } else { Direction::Out };
        let lost = &mut lost[usize::from(number % 2)];
        let Some(run) = run else {
            *lost += 50;
            continue;
        };
        for (index, operation) in run.split('|').enumerate() {
            let before = Content::Lost(std::mem::take(lost));
            for content in [before, Content::Bytes(operation.as_bytes())].into_iter().filter(|content| !content.is_empty()) {
                if index == 0 { connection.run(number, direction, content) } else { connection.within(number, direction, content) }
            }
        }
    }
    connection.end(Ending::Closed);
    connection
}

#[test]
fn an_answer_without_a_request_tells_that_the_client_asks_before_it_has_its_answers() {
    // Each request comes within the head of the answer before; from HEAD /3 on, an answer is taken for that to the next request.
    let unanswered = of_runs(&[
        Some("GET /1 HTTP/1.1\r\n\r\n"),
        None,
        None,
        None,
        Some("HEAD /4 HTTP/1.1\r\n\r\n"),
        Some("HTTP/1.1 213 Reason\r\n|Content-Length: 0\r\n\r\n|HTTP/1.1 103 Early Hints\r\n\r\n"),
        Some("HEAD /5 HTTP/1.1\r\n\r\n"),
        Some("HTTP/1.1 304 Reason\r\n\r\nHTTP/1.1 215 Reason\r\n"),
        Some("GET /6 HTTP/1.1\r\n\r\n"),
        Some("Content-Length: 160\r\n\r\n|HTTP/1.1 216"),
    ]);
    assert_eq!(unanswered.done.iter().find(|done| done.failure.is_some()), None, "{:?}", unanswered.summary());

    let swallowed = of_runs(&[
        Some("GET /0 HTTP/1.1\r\n\r\n"),
        Some("HTTP/1.1 210 Reason\r\n"),
        None,
        None,
        None,
        Some("8\r\n|12\r\n34\r\n|\r\n|0\r\n|\r\n"),
        Some("HEAD /3 HTTP/1.1\r\n\r\n"),
        Some("HTTP/1.1 304 Reason\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"),
        Some("GET /4 HTTP/1.1\r\n\r\n"),
        Some("HTTP/1.1 513 Reason\r\n|Content-Length: 21\r\n\r\n|HTTP/1.1 204 Reason\r\n"),
        Some("HEAD /5 HTTP/1.1\r\n\r\n"),
        Some("Transfer-Encoding: chunked\r\n\r\n"),
    ]);
    assert_eq!(swallowed.done.iter().find(|done| done.failure.is_some()), None, "{:?}", swallowed.summary());
}

/// Operations of a connection whose client waits for its answers; of some the kernel skipped the program, which then counted no run.
fn with_skipped(skipped: &[(bool, bool)], server: bool) -> Connection {
    let mut connection = Connection::new();
    let (mut run, mut last, mut missing) = (0, None, [0; 2]);
    for (number, (request, answer)) in skipped.iter().enumerate() {
        let size = 10 + number;
        let texts = [
            format!("GET /{size} HTTP/1.1\r\nHost: h\r\n\r\n"),
            format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{}", "b".repeat(size)),
        ];
        for (is_answer, skipped) in [(false, request), (true, answer)] {
            let text = &texts[usize::from(is_answer)];
            let missing = &mut missing[usize::from(is_answer)];
            if *skipped {
                *missing += text.len() as u64;
                continue;
            }
            let begins = last.replace(is_answer) != Some(is_answer);
            run += u16::from(begins);
            connection.now_ns += MS + MS / 2;
            let stamp = Stamp { time_ns: connection.now_ns, arrival_ns: None, thread: 7, run: Some(OperationRun { number: run, begins }) };
            let direction = if is_answer == server { Direction::Out } else { Direction::In };
            for content in [Content::Lost(std::mem::take(missing)), Content::Bytes(text.as_bytes())] {
                if !content.is_empty() {
                    let (parser, mut sink) = connection.split();
                    parser.push(Segment { direction, stamp, content }, &mut sink);
                }
            }
        }
    }
    // The end of a connection tells how many bytes passed.
    for (is_answer, missing) in [(false, missing[0]), (true, missing[1])] {
        if missing > 0 {
            connection.chunk(if is_answer == server { Direction::Out } else { Direction::In }, Content::Lost(missing));
        }
    }
    connection.end(Ending::Closed);
    connection
}

/// What is told as exact has the size that its path names.
fn shifted(connection: &Connection) -> Vec<String> {
    let is_shifted = |exchange: &&Exchange| {
        let size = exchange.path.as_deref().and_then(|path| path.trim_start_matches('/').parse().ok());
        !exchange.inferred && exchange.missing_bytes == 0 && (exchange.response_body != size || exchange.failure.is_some())
    };
    let line = |exchange: &Exchange| format!("{:?} {:?} {:?}", exchange.path, exchange.response_body, exchange.failure);
    connection.done.iter().filter(is_shifted).map(line).collect()
}

#[test]
fn an_answer_that_the_kernel_skipped_shifts_no_other() {
    let mut skipped = [(false, false); 10];
    skipped[3].1 = true;
    let connection = with_skipped(&skipped, true);
    assert_eq!(shifted(&connection), [] as [&str; 0]);
    let exact = connection.done.iter().filter(|exchange| !exchange.inferred && exchange.missing_bytes == 0).count();
    assert_eq!((connection.done.len(), exact), (10, 8), "{:?}", connection.summary());
}

#[test]
fn a_request_that_the_kernel_skipped_is_no_sign_of_a_client_that_does_not_wait() {
    let mut skipped = [(false, false); 10];
    (skipped[4].1, skipped[6].0) = (true, true);
    let told = ["GET /10 200", "GET /11 200", "GET /12 200", "GET /13 200", "GET /14 - ~", "GET /15 200 ~", "GET /17 200 ~", "GET /18 200"];
    assert_eq!(with_skipped(&skipped, true).summary()[..8], told);
}

#[test]
fn the_rest_of_an_answer_that_a_loss_cut_is_that_of_no_later_request() {
    let asked = |first: u8| format!("GET /{first} HTTP/1.1\r\nHost: h\r\n\r\nGET /{} HTTP/1.1\r\nHost: h\r\n\r\n", first + 1);
    let empty = |status: u16| format!("HTTP/1.1 {status} Reason\r\nContent-Length: 0\r\n\r\n");
    let mut connection = Connection::new();
    connection.run(1, Direction::Out, Content::Bytes(asked(0).as_bytes()));
    connection.run(2, Direction::In, Content::Gap(21));
    connection.within(2, Direction::In, Content::Bytes(b"Transfer-Encoding: chunked\r\n\r\n8\r\n12\r\n34\r\n\r\n"));
    connection.within(2, Direction::In, Content::Bytes(b"0\r\n\r\nHTTP/1.1 211 Reason\r\nContent-Length: 24\r\n\r\n12\r\n34\r\n"));
    connection.run(3, Direction::Out, Content::Bytes(asked(2).as_bytes()));
    connection.run(4, Direction::In, Content::Lost(16));
    connection.run(4, Direction::In, Content::Bytes([empty(212), empty(213)].concat().as_bytes()));
    connection.end(Ending::Closed);
    assert_eq!(connection.summary(), ["GET /0 - ~", "GET /1 - ~", "GET /2 212", "GET /3 213"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn operations_that_the_kernel_skipped_shift_nothing(skipped in vec(0..10_u8, 1..40), server: bool) {
        let skipped: Vec<(bool, bool)> = skipped.into_iter().map(|what| (what == 0, what == 1)).collect();
        let connection = with_skipped(&skipped, server);
        prop_assert_eq!(shifted(&connection), Vec::<String>::new(), "{:?}", connection.summary());
    }
}
