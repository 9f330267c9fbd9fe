//! Threads, event loops and traces; calls that end late; limits.
use super::*;
use crate::record::Millis;

const PID: u32 = 7;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn linker() -> Linker {
    let mut linker = Linker::default();
    assert!(linker.follow(PID, 0));
    linker
}

/// Request `id` is read by `thread` at `ms`.
fn begin(linker: &mut Linker, id: u64, thread: u32, ms: u64) {
    let request = ServedRequest { key: (1, id), span_id: SpanId(id), trace_id: None, thread, read_ns: ms * 1_000_000 };
    linker.begin(PID, request);
}

fn traced(linker: &mut Linker, id: u64, trace: &str, ms: u64) {
    let request = ServedRequest { key: (1, id), span_id: SpanId(id), trace_id: Some(trace.into()), thread: 1, read_ns: ms * 1_000_000 };
    linker.begin(PID, request);
}

fn end(linker: &mut Linker, id: u64, ms: u64) -> Downstream {
    linker.end(PID, (1, id), ms * 1_000_000).unwrap()
}

/// A command of `thread` from `start` to `end` (ms): the request and how sure it is.
fn call(linker: &mut Linker, thread: u32, start: u64, end: u64) -> Result<(u64, Quality), LinkVerdict> {
    traced_call(linker, thread, start, end, None)
}

fn traced_call(linker: &mut Linker, thread: u32, start: u64, end: u64, trace_id: Option<&str>) -> Result<(u64, Quality), LinkVerdict> {
    let (id, text): (Arc<str>, Arc<str>) = ("1f".into(), "SELECT ?".into());
    let (start_ns, end_ns) = (start * 1_000_000, Some(end * 1_000_000));
    match linker
        .call(PID, &OutgoingCall { kind: CallKind::Db, thread, start_ns, end_ns, trace_id, query: Some((&id, &text)), attempt: None })
    {
        LinkVerdict::Linked(link) => Ok((link.parent.0, link.quality)),
        other => Err(other),
    }
}

#[test]
fn a_thread_that_reads_and_calls_is_exact() {
    let mut linker = linker();
    begin(&mut linker, 1, 11, 10);
    begin(&mut linker, 2, 12, 11);
    assert_eq!(call(&mut linker, 12, 12, 15), Ok((2, Quality::Exact)));
    assert_eq!(call(&mut linker, 11, 13, 14), Ok((1, Quality::Exact)));
    assert_eq!(call(&mut linker, 11, 14, 16), Ok((1, Quality::Exact)));
    let first = end(&mut linker, 1, 20);
    assert_eq!((first.db_calls, first.db_time_ms, first.complete), (2, Millis(3_000_000), true));
    assert_eq!(end(&mut linker, 2, 20).db_calls, 1);
}

#[test]
fn an_attempt_after_a_failed_one_of_the_same_request_is_a_retry() {
    let mut linker = linker();
    begin(&mut linker, 1, 11, 10);
    begin(&mut linker, 2, 12, 10);
    let mut attempt = |thread, what, failed| {
        let attempt = Some(Attempt { what, failed });
        let (start_ns, end_ns) = (20_000_000, Some(21_000_000));
        let call = OutgoingCall { kind: CallKind::Http, thread, start_ns, end_ns, trace_id: None, query: None, attempt };
        match linker.call(PID, &call) {
            LinkVerdict::Linked(link) => link.resend_count,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(attempt(11, 7, false), 0);
    assert_eq!(attempt(11, 7, true), 0, "a second call, which fails");
    assert_eq!(attempt(12, 7, false), 0, "of another request");
    assert_eq!(attempt(11, 8, false), 0, "something else");
    assert_eq!(attempt(11, 7, true), 1);
    assert_eq!(attempt(11, 7, false), 2);
    assert_eq!(attempt(11, 7, false), 0, "it had succeeded");
    for what in 100..200 {
        assert_eq!(attempt(11, what, true), 0);
    }
    assert_eq!((attempt(11, 100, true), attempt(11, 199, true)), (1, 0), "few are remembered");
}

#[test]
fn an_event_loop_is_inferred_for_one_and_unsure_for_more() {
    let mut linker = linker();
    begin(&mut linker, 1, 11, 10);
    begin(&mut linker, 2, 11, 20);
    assert_eq!(call(&mut linker, 11, 21, 22), Err(LinkVerdict::Unsure));
    assert!(!end(&mut linker, 1, 30).complete);
    assert_eq!(call(&mut linker, 11, 31, 32), Ok((2, Quality::Inferred)));
    let second = end(&mut linker, 2, 40);
    assert_eq!((second.db_calls, second.complete), (1, false));
    begin(&mut linker, 3, 11, 50);
    assert_eq!(call(&mut linker, 11, 51, 52), Ok((3, Quality::Inferred)), "it stays an event loop");
    assert!(end(&mut linker, 3, 60).complete);
}

#[test]
fn a_request_that_is_known_late_is_incomplete_and_shows_the_event_loop() {
    let mut linker = linker();
    begin(&mut linker, 1, 11, 10);
    assert_eq!(call(&mut linker, 11, 13, 15), Ok((1, Quality::Exact)), "perfmon knows no other");
    begin(&mut linker, 2, 11, 12);
    assert!(!end(&mut linker, 1, 20).complete);
    assert!(!end(&mut linker, 2, 21).complete);
    begin(&mut linker, 3, 11, 30);
    assert_eq!(call(&mut linker, 11, 31, 32), Ok((3, Quality::Inferred)));
    assert!(end(&mut linker, 3, 33).complete);
}

#[test]
fn two_that_are_known_late_one_after_the_other_show_the_event_loop() {
    let mut linker = linker();
    begin(&mut linker, 1, 11, 10);
    end(&mut linker, 1, 20);
    begin(&mut linker, 2, 11, 12);
    end(&mut linker, 2, 21);
    assert_eq!(call(&mut linker, 11, 11, 25), Ok((1, Quality::Inferred)));
    assert_eq!(call(&mut linker, 11, 13, 25), Err(LinkVerdict::Unsure));
}

#[test]
fn another_thread_is_the_only_requests_or_nobodys() {
    let mut linker = linker();
    begin(&mut linker, 1, 11, 10);
    assert_eq!(call(&mut linker, 99, 11, 12), Ok((1, Quality::Inferred)));
    begin(&mut linker, 2, 12, 13);
    assert_eq!(call(&mut linker, 99, 14, 15), Err(LinkVerdict::Unsure));
    assert_eq!(call(&mut linker, 11, 14, 15), Ok((1, Quality::Exact)));
    end(&mut linker, 1, 20);
    end(&mut linker, 2, 20);
    assert_eq!(call(&mut linker, 11, 21, 22), Err(LinkVerdict::Own));
}

#[test]
fn a_trace_decides_on_an_event_loop_too() {
    let mut linker = linker();
    traced(&mut linker, 1, TRACE, 10);
    traced(&mut linker, 2, "4bf92f3577b34da6a3ce929d0e0e4736", 10);
    assert_eq!(traced_call(&mut linker, 1, 11, 12, Some(TRACE)), Ok((1, Quality::Exact)));
    assert_eq!(call(&mut linker, 1, 11, 12), Err(LinkVerdict::Unsure));
    traced(&mut linker, 3, TRACE, 13);
    assert_eq!(traced_call(&mut linker, 1, 14, 15, Some(TRACE)), Err(LinkVerdict::Unsure), "two requests of one trace");
}

#[test]
fn what_was_under_way_when_the_call_began_counts() {
    let mut linker = linker();
    begin(&mut linker, 1, 11, 10);
    begin(&mut linker, 2, 11, 11);
    end(&mut linker, 2, 13);
    assert_eq!(call(&mut linker, 11, 12, 20), Err(LinkVerdict::Unsure), "request 2 was there when it began");
    assert_eq!(call(&mut linker, 11, 14, 20), Ok((1, Quality::Inferred)));
    end(&mut linker, 1, 15);
    assert_eq!(call(&mut linker, 11, 14, 30), Ok((1, Quality::Inferred)), "it ended after its request");
    begin(&mut linker, 3, 11, 40);
    assert_eq!(call(&mut linker, 11, 39, 41), Err(LinkVerdict::Own), "it began before the request was read");
}

#[test]
fn a_call_from_before_what_is_remembered_is_unsure() {
    let mut linker = linker();
    for id in 1..=100 {
        begin(&mut linker, id, 11, id * 10);
        end(&mut linker, id, id * 10 + 5);
    }
    begin(&mut linker, 200, 11, 2_000);
    assert_eq!(call(&mut linker, 99, 12, 2_001), Err(LinkVerdict::Unsure));
    assert_eq!(call(&mut linker, 99, 1_002, 2_001), Ok((100, Quality::Inferred)));
}

#[test]
fn equal_commands_of_a_request_are_told() {
    let mut linker = linker();
    begin(&mut linker, 1, 11, 10);
    for ms in 11..11 + u64::from(crate::record::REPEATED_CALLS) {
        call(&mut linker, 11, ms, ms + 1).unwrap();
    }
    let repeated = end(&mut linker, 1, 100).repeated.unwrap();
    assert_eq!((&*repeated.query_id, &*repeated.query, repeated.calls), ("1f", "SELECT ?", crate::record::REPEATED_CALLS));
    begin(&mut linker, 2, 11, 110);
    call(&mut linker, 11, 111, 112).unwrap();
    assert_eq!(end(&mut linker, 2, 120).repeated, None);
}

#[test]
fn requests_that_never_end_are_forgotten() {
    let mut linker = linker();
    for id in 0..limits::LINK_INBOUND as u64 + 3 {
        begin(&mut linker, id, 11, id);
    }
    assert_eq!(linker.take_evicted(), 3);
    linker.expire(limits::LINK_IDLE_NS + 10_000_000_000);
    assert_eq!(linker.take_evicted(), limits::LINK_INBOUND as u64);
    assert_eq!(call(&mut linker, 11, 20_000, 20_001), Err(LinkVerdict::Own));
}

#[test]
fn processes_are_bounded() {
    let mut linker = Linker::default();
    for pid in 0..limits::PROCESSES as u32 + 1 {
        assert!(linker.follow(pid, u64::from(pid)));
    }
    assert!(!linker.follows(0));
    assert!(linker.follows(limits::PROCESSES as u32));
    linker.left(limits::PROCESSES as u32);
    assert!(!linker.follows(limits::PROCESSES as u32));
}
