//! The table as the capture thread uses it: events, answers, records.
use super::*;
use crate::record::{BlindSpot, LostExchanges, Millis, Process, ServiceSource, WallTime};

const SECOND: u64 = 1_000_000_000;
const PARKED_NS: u64 = crate::limits::PARKED_NS;

/// A table with the records that it let through.
struct HostTable {
    table: ProcessTable,
    counters: Arc<Counters>,
    told: Vec<Record>,
    now_ns: u64,
}

impl HostTable {
    fn all() -> Self {
        let counters = Arc::<Counters>::default();
        Self { table: ProcessTable::new(counters.clone()), counters, told: Vec::new(), now_ns: SECOND }
    }

    fn chosen(first: &[u32], follow: bool) -> Self {
        let mut room = Self::all();
        room.table.choose(first, follow);
        room
    }

    fn exec(&mut self, pid: u32, comm: &[u8], argv: &[u8]) {
        self.table.on_exec(&Exec { time_ns: self.now_ns, pid, parent: 1, uid: 0, cgroup: 0, comm, argv, env: &[], start_ns: None });
    }

    fn fork(&mut self, pid: u32, parent: u32) {
        self.table.on_fork(&Fork { time_ns: self.now_ns, pid, parent });
    }

    fn exit(&mut self, pid: u32) -> Option<u64> {
        self.table.on_exit(&Exit { time_ns: self.now_ns, pid, user_ns: 0, system_ns: 0, peak_rss_bytes: 0, exit_code: 0 })
    }

    /// The process uses a socket, and a record is made of it; its number is its memory.
    fn record(&mut self, pid: u32, number: u64) {
        self.table.on_use(pid);
        let origin = self.table.origin(pid);
        let from = self.told.len();
        self.told.push(record(origin, number));
        self.table.settle(&mut self.told, from, self.now_ns);
    }

    fn questions(&mut self) -> Vec<Inquiry> {
        std::iter::from_fn(|| self.table.next_question()).collect()
    }

    fn answer(&mut self, answer: Inspected) {
        self.table.answer(&answer, self.now_ns);
        let from = self.told.len();
        self.table.settle(&mut self.told, from, self.now_ns);
    }

    fn pass(&mut self, ns: u64) {
        self.now_ns += ns;
        let from = self.told.len();
        self.table.settle(&mut self.told, from, self.now_ns);
    }

    /// Service, comm and number of what was told since the last call.
    fn told(&mut self) -> Vec<(String, String, u64)> {
        let told = |record: Record| match record {
            Record::Process(process) => (process.origin.service.to_string(), process.origin.comm.to_string(), process.memory_rss_bytes),
            other => panic!("{other:?}"),
        };
        self.told.drain(..).map(told).collect()
    }
}

fn record(origin: Arc<Origin>, number: u64) -> Record {
    Record::Process(Box::new(Process {
        time: WallTime(0),
        origin,
        cpu_percent: None,
        memory_rss_bytes: number,
        memory_percent: 0.0,
        memory_growth_bytes_per_hour: None,
        heap_bytes: None,
        threads: 1,
        threads_running: 0,
        threads_waiting: 0,
        run_queue_wait_ms: None,
        blocked_io_ms: None,
        open_files: None,
        sockets: None,
        connections: None,
        read_bytes: None,
        write_bytes: None,
        context_switches: None,
        page_faults: None,
        uptime_s: 0.0,
        runtime: None,
        leak: None,
        interval_ms: Millis(0),
    }))
}

fn described(pid: u32, comm: &str, service: &str) -> Described {
    let origin = Arc::new(Origin { pid, comm: comm.into(), service: service.into(), container: None });
    let source = Some(ServiceSource::Environment);
    Described { origin, source, runtime: Some("python".into()), tls: None, start_time: Some(7), not_seen: Vec::new() }
}

fn told(service: &str, comm: &str, numbers: &[u64]) -> Vec<(String, String, u64)> {
    numbers.iter().map(|number| (service.to_owned(), comm.to_owned(), *number)).collect()
}

/// The program of a question to describe it.
fn describe_asked(questions: &[Inquiry], pid: u32) -> Option<ProgramId> {
    questions.iter().find_map(|question| match question {
        Inquiry::Describe(program, facts) if facts.pid == pid => Some(*program),
        _ => None,
    })
}

fn executed_asked(questions: &[Inquiry], pid: u32) -> Option<ProgramId> {
    questions.iter().find_map(|question| match question {
        Inquiry::Executed(program, facts) if facts.pid == pid => Some(*program),
        _ => None,
    })
}

#[test]
fn records_wait_in_order_until_their_process_is_described() {
    let mut room = HostTable::all();
    room.exec(10, b"python3", b"python3\0app.py\0");
    assert_eq!(room.questions(), [], "with all watched only what uses a socket is asked for");
    room.record(10, 1);
    room.record(10, 2);
    assert_eq!(room.told(), []);
    let questions = room.questions();
    assert_eq!(questions.len(), 1, "asked once");
    let program = describe_asked(&questions, 10).unwrap();
    room.answer(Inspected::Described(program, described(10, "python3", "app")));
    room.record(10, 3);
    assert_eq!(room.told(), told("app", "python3", &[1, 2, 3]));
    assert!(room.table.is_settled());
    assert_eq!(
        room.table.running().next().map(|(origin, runtime)| (&*origin.service, runtime.map(|r| &**r))),
        Some(("app", Some("python")))
    );
}

#[test]
fn another_process_does_not_wait_with_it() {
    let mut room = HostTable::all();
    room.table.describe(described(20, "nginx", "nginx").origin);
    room.record(10, 1);
    room.record(20, 2);
    assert_eq!(room.told(), told("nginx", "nginx", &[2]));
}

#[test]
fn after_the_deadline_the_exec_event_must_do() {
    let mut room = HostTable::all();
    room.exec(10, b"curl", b"/usr/bin/curl\0-s\0");
    room.record(10, 1);
    room.record(11, 2);
    room.pass(PARKED_NS - 1);
    assert_eq!(room.told(), []);
    room.pass(1);
    assert_eq!(room.told(), [told("curl", "curl", &[1]), told("unknown", "", &[2])].concat());
    assert_eq!(room.counters.records_undescribed.get(), 2);
    // The answer comes late: what is recorded from then on has it.
    let program = describe_asked(&room.questions(), 10).unwrap();
    room.answer(Inspected::Described(program, described(10, "curl", "backup")));
    room.record(10, 3);
    assert_eq!(room.told(), told("backup", "curl", &[3]));
}

#[test]
fn the_end_tells_what_waits() {
    let mut room = HostTable::all();
    room.exec(10, b"curl", b"curl\0");
    room.record(10, 1);
    let mut records = Vec::new();
    room.table.settle_all(&mut records, 0, room.now_ns);
    assert_eq!(records.len(), 1);
    assert_eq!(&*records[0].origin().service, "curl");
}

#[test]
fn what_came_before_an_exec_keeps_its_name() {
    let mut room = HostTable::all();
    room.exec(10, b"sh", b"sh\0");
    room.record(10, 1);
    let before = describe_asked(&room.questions(), 10).unwrap();
    let provisional = room.table.by_pid[&10].program.provisional.clone();
    room.exec(10, b"curl", b"curl\0");
    room.record(10, 2);
    let questions = room.questions();
    assert!(matches!(&questions[0], Inquiry::Recall(program, facts) if *program == before && &*facts.comm == "sh"), "{questions:?}");
    let after = describe_asked(&questions, 10).unwrap();
    // A look at the process shows curl, whoever was asked for.
    room.answer(Inspected::Described(before, described(10, "curl", "curl")));
    assert_eq!(room.told(), []);
    room.answer(Inspected::Described(after, described(10, "curl", "curl")));
    assert_eq!(room.told(), told("curl", "curl", &[2]));
    room.answer(Inspected::Described(before, Described { start_time: None, ..described(10, "sh", "deploy") }));
    assert_eq!(room.told(), told("deploy", "sh", &[1]));
    // A run of an agent that began before the exec is told at last.
    let mut records = vec![record(provisional, 3)];
    room.table.settle(&mut records, 0, room.now_ns);
    assert_eq!(&*records[0].origin().service, "deploy");
}

#[test]
fn a_child_is_what_its_parent_is() {
    let mut room = HostTable::all();
    room.table.describe(described(10, "gunicorn", "shop").origin);
    room.fork(11, 10);
    room.record(11, 1);
    assert_eq!(room.told(), told("shop", "gunicorn", &[1]));
    // A child of a process that nobody knows yet is asked for by itself, under what its parent executed.
    room.exec(20, b"curl", b"curl\0");
    room.fork(21, 20);
    room.record(21, 2);
    let questions = room.questions();
    let asked = questions.iter().find_map(|question| match question {
        Inquiry::Describe(_, facts) => Some((facts.pid, facts.comm.to_string())),
        _ => None,
    });
    assert_eq!(asked, Some((21, "curl".to_owned())));
    // The pid of an ended process.
    room.fork(11, 999);
    assert!(!room.table.by_pid.contains_key(&11));
}

#[test]
fn what_is_no_target_is_never_told() {
    let mut room = HostTable::chosen(&[5], true);
    assert!(describe_asked(&room.questions(), 5).is_some());
    room.exec(10, b"curl", b"curl\0");
    room.exec(11, b"nginx", b"nginx\0");
    room.record(10, 1);
    room.record(11, 2);
    let questions = room.questions();
    let (stranger, target) = (executed_asked(&questions, 10).unwrap(), executed_asked(&questions, 11).unwrap());
    assert!(room.table.admits(10));
    room.answer(Inspected::Judged { pid: 10, program: Some(stranger), watched: false });
    room.record(10, 3);
    assert!(!room.table.admits(10) && !room.table.is_watched(10));
    room.answer(Inspected::Judged { pid: 11, program: Some(target), watched: true });
    assert_eq!(room.told(), [], "it is a target, but who is it?");
    room.answer(Inspected::Described(target, described(11, "nginx", "front")));
    assert_eq!(room.told(), told("front", "nginx", &[2]));
    assert!(room.table.is_settled());
    // It becomes another program, and may be one then.
    room.exec(10, b"nginx", b"nginx\0");
    assert!(room.table.admits(10));
    let program = executed_asked(&room.questions(), 10).unwrap();
    room.answer(Inspected::Judged { pid: 10, program: Some(stranger), watched: false });
    assert!(room.table.admits(10), "that was the program before");
    room.answer(Inspected::Judged { pid: 10, program: Some(program), watched: true });
    assert!(room.table.is_watched(10));
}

#[test]
fn without_a_verdict_nothing_is_told() {
    let mut room = HostTable::chosen(&[], true);
    room.record(10, 1);
    assert!(matches!(room.questions()[..], [Inquiry::Judge { pid: 10, .. }, Inquiry::Describe(..)]));
    room.pass(PARKED_NS);
    assert_eq!((room.told(), room.counters.records_unjudged.get()), (vec![], 1));
    let mut records = Vec::new();
    room.record(10, 2);
    room.table.settle_all(&mut records, 0, room.now_ns);
    assert_eq!((records.len(), room.counters.records_unjudged.get()), (0, 2));
}

#[test]
fn children_inherit_the_verdict_where_they_are_followed() {
    let mut room = HostTable::chosen(&[10], true);
    room.fork(11, 10);
    assert!(room.table.is_watched(11));
    let mut room = HostTable::chosen(&[10], false);
    room.fork(11, 10);
    assert!(!room.table.is_watched(11) && room.table.admits(11));
    room.answer(Inspected::Judged { pid: 11, program: None, watched: true });
    assert!(room.table.is_watched(11));
}

#[test]
fn a_process_that_listens_is_judged_anew() {
    let mut room = HostTable::chosen(&[], true);
    room.exec(10, b"nginx", b"nginx\0");
    let program = executed_asked(&room.questions(), 10).unwrap();
    room.answer(Inspected::Judged { pid: 10, program: Some(program), watched: false });
    room.table.on_listen(10, 80, room.now_ns);
    assert!(room.table.admits(10));
    let questions = room.questions();
    assert_eq!(questions[0], Inquiry::Listens { pid: 10, program, port: 80 });
    assert_eq!(questions[1], Inquiry::FindTls { pid: 10, program });
}

#[test]
fn a_question_without_room_is_asked_again() {
    let mut room = HostTable::all();
    for pid in 1..=QUESTIONS as u32 + 10 {
        room.table.on_use(pid);
    }
    assert_eq!((room.questions().len(), room.counters.inspections_deferred.get()), (QUESTIONS, 10));
    // With all watched, those ask again that go on using sockets.
    room.table.on_use(QUESTIONS as u32 + 1);
    assert_eq!(room.questions().len(), 1);
    let mut room = HostTable::chosen(&[], true);
    for pid in 1..=QUESTIONS as u32 + 10 {
        room.exec(pid, b"x", b"x\0");
    }
    assert_eq!(room.questions().len(), QUESTIONS);
    room.table.tick();
    assert_eq!(room.questions().iter().filter(|question| matches!(question, Inquiry::Executed(..))).count(), 10);
}

#[test]
fn a_tls_library_is_looked_for_until_it_is_found() {
    let mut room = HostTable::all();
    room.table.on_use(10);
    let find = |room: &mut HostTable| {
        room.table.find_tls(10, room.now_ns);
        room.questions().into_iter().find_map(|question| match question {
            Inquiry::FindTls { program, .. } => Some(program),
            _ => None,
        })
    };
    let program = find(&mut room).unwrap();
    room.now_ns += SECOND;
    assert_eq!(find(&mut room), None, "the first search is not over");
    room.answer(Inspected::Tls { pid: 10, program, probed: None });
    assert_eq!(find(&mut room), Some(program));
    room.answer(Inspected::Tls { pid: 10, program, probed: Some(Err("it is odd".into())) });
    room.now_ns += SECOND;
    assert_eq!(find(&mut room), None);
    room.answer(Inspected::Inside { pid: 10, program, runtime: None, tls: Some("OpenSSL 3".into()), not_seen: Vec::new() });
    room.table.on_exchange(10, true, 0);
    assert_eq!(room.table.coverage()[0].tls.as_deref(), Some("OpenSSL 3: no plaintext, because it is odd"));
    // The reason may have passed.
    room.now_ns += 10 * SECOND;
    assert_eq!(find(&mut room), Some(program));
    room.answer(Inspected::Tls { pid: 10, program, probed: Some(Ok(())) });
    assert_eq!(room.table.coverage()[0].tls.as_deref(), Some("OpenSSL 3: plaintext"));
    room.now_ns += 10 * SECOND;
    assert_eq!(find(&mut room), None);
}

#[test]
fn a_process_whose_tls_is_not_seen_is_listed_without_exchanges() {
    let mut room = HostTable::all();
    for pid in [10, 11] {
        room.table.on_use(pid);
    }
    room.table.find_tls(10, room.now_ns);
    // Who only listens need not use TLS.
    room.table.on_listen(11, 80, room.now_ns);
    for pid in [10, 11] {
        let program = room.table.by_pid[&pid].program.id;
        room.answer(Inspected::Tls { pid, program, probed: None });
    }
    let listed = room.table.coverage();
    assert_eq!(listed.iter().map(|target| target.pid).collect::<Vec<_>>(), [10]);
    assert_eq!(listed[0].tls.as_deref(), Some("no plaintext, because it has no shared TLS library that perfmon knows"));
    assert_eq!((listed[0].exchanges, listed[0].completeness), (0, None));
    let program = room.table.by_pid[&10].program.id;
    room.answer(Inspected::Tls { pid: 10, program, probed: Some(Err("its file cannot be opened".into())) });
    assert_eq!(room.table.coverage()[0].tls.as_deref(), Some("no plaintext, because its file cannot be opened"));
}

#[test]
fn what_of_a_process_is_not_seen_is_said_without_exchanges() {
    let mut room = HostTable::all();
    let spot = |part| BlindSpot { part, reason: "it is odd" };
    room.table.on_use(10);
    let program = room.table.by_pid[&10].program.id;
    let described = Described { not_seen: vec![spot("service_name")], ..described(10, "till", "till") };
    room.answer(Inspected::Described(program, described));
    assert_eq!(room.table.coverage()[0].not_seen, [spot("service_name")]);
    assert_eq!(room.table.coverage()[0].service_source, Some(ServiceSource::Environment));
    // A later look adds to it, and a child has it too.
    let later = vec![spot("requests"), spot("service_name")];
    room.answer(Inspected::Inside { pid: 10, program, runtime: None, tls: None, not_seen: later });
    room.fork(11, 10);
    let mut listed = room.table.coverage();
    listed.sort_by_key(|target| target.pid);
    let spots: Vec<_> = listed.iter().map(|target| (target.pid, target.exchanges, target.not_seen.len())).collect();
    assert_eq!(spots, [(10, 0, 2), (11, 0, 2)]);
}

#[test]
fn what_left_is_listed_once_more() {
    let mut room = HostTable::all();
    room.table.on_use(10);
    room.table.on_unread(10, "h2");
    assert_eq!(room.table.coverage().len(), 1);
    room.exit(10);
    assert_eq!([room.table.coverage().len(), room.table.coverage().len()], [1, 0], "what it lost last is known at the next tick");
}

#[test]
fn processes_are_compared_with_proc_in_turns() {
    let mut room = HostTable::all();
    for pid in 1..=10 {
        room.table.describe(described(pid, "x", "x").origin);
    }
    let mut seen = Vec::new();
    for _ in 0..CHECK_ROUND {
        room.table.tick();
        for question in room.questions() {
            if let Inquiry::Check(known) = question {
                seen.extend(known.into_iter().map(|known| known.pid));
            }
        }
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    // One whose exit was not told.
    let program = room.table.by_pid[&3].program.id;
    room.answer(Inspected::Gone { pid: 3, program });
    assert_eq!(room.table.running().count(), 9);
    room.now_ns += REMEMBER_NS;
    room.table.expire(room.now_ns);
    assert!(!room.table.by_pid.contains_key(&3));
}

#[test]
fn an_exit_tells_when_the_program_began() {
    let mut room = HostTable::all();
    room.exec(10, b"curl", b"curl\0");
    room.now_ns += SECOND;
    assert_eq!((room.exit(10), room.exit(11)), (Some(SECOND), None));
    assert_eq!((room.table.running().count(), room.questions()), (0, vec![]));
}

#[test]
fn the_inspector_is_told_of_ends_that_concern_it() {
    let mut room = HostTable::all();
    room.exec(10, b"curl", b"curl\0");
    room.table.find_tls(10, room.now_ns);
    room.exit(10);
    assert_eq!(room.questions().last(), Some(&Inquiry::Ended { pid: 10 }));
    let mut room = HostTable::chosen(&[10], true);
    room.exit(10);
    assert_eq!(room.questions().last(), Some(&Inquiry::Ended { pid: 10 }));
}

#[test]
fn ended_and_then_unused_processes_go_first_and_are_counted() {
    let mut room = HostTable::all();
    room.table.capacity = 32;
    for pid in 1..=32 {
        room.table.on_use(pid);
    }
    room.exit(20);
    room.table.on_use(1);
    room.table.on_use(33);
    assert_eq!(room.counters.processes_evicted.get(), 2);
    let known = |pid: u32| room.table.by_pid.contains_key(&pid);
    assert!(known(1) && !known(2) && known(3) && !known(20) && known(33));
}

#[test]
fn one_process_cannot_fill_the_room_of_all() {
    use crate::limits::PARKED_RECORDS_PER_PROCESS;
    let mut room = HostTable::all();
    room.exec(10, b"curl", b"curl\0");
    for number in 0..PARKED_RECORDS_PER_PROCESS as u64 + 5 {
        room.record(10, number);
    }
    assert_eq!(room.counters.records_undescribed.get(), 5);
    assert_eq!(room.told().len(), 5);
    room.record(11, 1);
    let program = describe_asked(&room.questions(), 11).unwrap();
    room.answer(Inspected::Described(program, described(11, "x", "x")));
    assert_eq!(room.told(), told("x", "x", &[1]));
}

#[test]
fn an_exchange_that_was_not_seen_whole_is_counted_whoever_had_it() {
    let mut room = HostTable::all();
    for (pid, complete, missing) in [(10, true, 0), (10, false, 7), (99, false, 0)] {
        room.table.on_exchange(pid, complete, missing);
    }
    assert_eq!(room.counters.exchanges_incomplete.get(), 2);
}

#[test]
fn the_commands_of_dropped_records_are_lost_ones_of_databases() {
    let mut room = HostTable::all();
    room.exec(10, b"redis-server", b"redis-server\0");
    (0..4).for_each(|_| drop(room.table.on_exchange(10, true, 0)));
    (0..3).for_each(|_| room.table.on_dropped(10, Side::Server, true, true));
    let told = room.table.coverage().remove(0);
    assert_eq!((told.exchanges, told.exchanges_lost, told.lost_commands.served), (1, 3, 3));
    assert_eq!((told.lost_by_role, told.completeness), (LostExchanges::default(), Some(0.25)), "no request of a service was lost");
}

#[test]
fn the_exchanges_of_dropped_records_are_lost_ones() {
    let mut room = HostTable::all();
    room.exec(10, b"curl", b"curl\0");
    let complete = [true, true, true, false];
    complete.iter().for_each(|complete| drop(room.table.on_exchange(10, *complete, 0)));
    room.table.on_dropped(10, Side::Client, false, true);
    room.table.on_dropped(10, Side::Server, false, false);
    room.table.on_dropped(99, Side::Server, false, true);
    let told = |room: &mut HostTable| {
        let mut told = room.table.coverage().remove(0);
        told.add_losses(9, [0, 0, 4]);
        (told.exchanges, told.incomplete, told.lost_by_role, told.exchanges_lost, told.completeness)
    };
    let lost = LostExchanges { unknown: 0, asked: 1, served: 5 };
    assert_eq!(told(&mut room), (2, 0, lost, 6, Some(0.25)));
    (0..9).for_each(|_| room.table.on_dropped(10, Side::Client, false, true));
    let lost = LostExchanges { unknown: 0, asked: 3, served: 5 };
    assert_eq!(told(&mut room), (0, 0, lost, 8, Some(0.0)), "no more than were counted");
}
