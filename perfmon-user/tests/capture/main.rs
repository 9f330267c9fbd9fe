//! What the kernel side reports against what a program really did (`traffic.py`), for each capture tier that this host has. Needs the
//! right to load kernel programs; without it the tests say so and stop.
#![expect(clippy::unwrap_used, reason = "a test")]
mod expected;
mod observed;

use std::io::{BufRead as _, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use expected::{Operation, Script, Seen};
use observed::Observed;
use perfmon_user::counters::Counters;
use perfmon_user::decode::{Address, Event, StateChange, decode};
use perfmon_user::probe::{self, Budgets, ProbeError, Probes, StartOptions, TableSizes, Tier, TierChoice};
use perfmon_user::stream::{Direction, Role};
use perfmon_user::track::Tracker;

use serde_json::Value;

/// What `perfmon run` starts with.
fn options() -> StartOptions {
    let budgets = Budgets { request: 2_048, response: 512, operation_head: 128 };
    StartOptions {
        watch_all: true,
        follow: true,
        watch_new: false,
        budgets,
        ring_bytes: 8 << 20,
        tier: TierChoice::Auto,
        return_probes: false,
        tables: TableSizes::default(),
    }
}

fn start(options: &StartOptions) -> Option<Probes> {
    match probe::start(options) {
        Ok(probes) => Some(probes),
        Err(error @ (ProbeError::Permission { .. } | ProbeError::NoTier { .. })) => {
            eprintln!("not tested here: {error}");
            None
        }
        // A kernel may have functions traced by nobody, whatever it says of them.
        Err(error @ ProbeError::Refused { .. }) if options.tier == TierChoice::Only(Tier::Function) => {
            eprintln!("not tested here: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Starts a script, which waits for [`go`].
fn script(name: &str, arguments: &[&str]) -> Child {
    let path = format!("{}/tests/capture/{name}", env!("CARGO_MANIFEST_DIR"));
    Command::new("python3").arg(path).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Waits for the line by which a script says that it runs: `python3` may be a wrapper that executes more than one program first.
fn ready(child: &mut Child) {
    let mut line = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(&line, b"ready\n");
}

fn go(child: &mut Child) {
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
}

/// Runs the traffic with every byte captured.
fn run(tier: Tier) -> Option<(Script, Observed)> {
    let options = StartOptions {
        watch_all: false,
        budgets: Budgets { request: 256 * 1024, response: 256 * 1024, operation_head: 256 * 1024 },
        tier: TierChoice::Only(tier),
        ..options()
    };
    let probes = start(&options)?;
    assert_eq!(probes.tier(), tier);
    let mut child = script("traffic.py", &[]);
    let pid = child.id();
    probes.watch(pid).unwrap();
    go(&mut child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let observed = Observed::drain(&probes, |observed| observed.exit(pid).is_some());
    assert!(probes.losses().iter().all(|(name, count)| *count == 0 || *name == "iovec_cut"), "{:?}", probes.losses());
    Some((Script::parse(&output.stdout), observed))
}

fn check(tier: Tier) {
    let Some((script, observed)) = run(tier) else { return };
    for (inode, direction) in script.streams() {
        let operations = script.operations(inode, direction);
        let stream: Vec<u8> = operations.iter().flat_map(|operation| operation.data.clone()).collect();
        let seen = observed.operations(inode, direction);
        let what = format!("inode {inode} {direction:?}");
        // Where the kernel has no sk_data_ready, arrivals are known for TCP only.
        let arrivals = observed.every_arrival || matches!(observed.open(inode).local, Address::Ip(_));
        let mut offset = 0;
        for operation in &seen {
            assert_eq!(operation.offset, offset, "{what}: positions follow one another");
            let from = offset as usize;
            assert_eq!(operation.payload, stream[from..from + operation.payload.len()], "{what} at {offset}");
            offset += u64::from(operation.total_len);
        }
        assert_eq!(offset, stream.len() as u64, "{what}: every byte is counted");
        compare_calls(tier, arrivals, &operations, &seen, &what);
    }
    assert_eq!(observed.inodes(), script.inodes(), "no other socket is reported");
    check_ends(&script, &observed);
}

/// Operation by operation: as many as there were calls, and of each the payload that can be had.
fn compare_calls(tier: Tier, arrivals: bool, calls: &[Operation], seen: &[observed::Operation], what: &str) {
    let mut calls: Vec<Operation> = calls.to_vec();
    if tier == Tier::SyscallExit {
        expected::merge_messages(&mut calls);
    }
    if calls.iter().any(|call| call.seen == Seen::Split) {
        return;
    }
    let lengths = |len: &dyn Fn(usize) -> u32, count: usize| (0..count).map(len).collect::<Vec<_>>();
    assert_eq!(
        lengths(&|at| seen[at].total_len, seen.len()),
        lengths(&|at| calls[at].data.len() as u32, calls.len()),
        "{what}: one operation a call: {calls:?}"
    );
    for (call, seen) in calls.iter().zip(seen) {
        let captured = match (call.seen, tier) {
            (Seen::Count, _) | (Seen::Many, Tier::SyscallExit) => 0,
            (Seen::Cut, _) => expected::first_vectors(call.data.len()),
            _ => call.data.len(),
        };
        assert_eq!(seen.payload.len(), captured, "{what}: payload of {call:?}");
        assert_eq!(seen.eof, call.seen == Seen::Eof, "{what}: {call:?}");
        if call.seen == Seen::Late {
            let waited = seen.arrival_ns.map(|arrival| seen.time_ns - arrival);
            assert!(
                if arrivals { waited.is_some_and(|waited| waited >= 50_000_000) } else { waited.is_none() },
                "{what}: waited {waited:?} ns"
            );
        }
        assert!(seen.arrival_ns.is_none_or(|arrival| arrival <= seen.time_ns), "{what}: arrival after the read");
    }
}

/// Who began, between whom, and the end.
fn check_ends(script: &Script, observed: &Observed) {
    for pair in script.pairs() {
        let (a, b) = (observed.open(pair.a), observed.open(pair.b));
        let roles = if pair.name == "socketpair" { (Role::Unknown, Role::Unknown) } else { (Role::Client, Role::Server) };
        assert_eq!((a.role, b.role), roles, "{}", pair.name);
        match pair.name.as_str() {
            "tcp4" | "tcp6" => {
                assert_eq!((&a.local, &a.peer), (&b.peer, &b.local), "two ends of one connection");
                assert!(!a.late && !b.late);
                let Address::Ip(address) = &a.peer else { panic!("{:?}", a.peer) };
                assert_eq!(address.is_ipv6(), pair.name == "tcp6");
                assert_eq!(observed.last_state(pair.a), Some(StateChange::Closed { peer_reset: false, local_reset: false }));
                assert_eq!(observed.last_state(pair.b), Some(StateChange::Closed { peer_reset: false, local_reset: false }));
                assert!(observed.states(pair.a).contains(&StateChange::LocalClosed));
                assert!(observed.states(pair.b).contains(&StateChange::PeerClosed));
            }
            "unix" => assert!(matches!(&a.peer, Address::Unix(name) if name.ends_with("/s")), "{:?}", a.peer),
            "abstract" => assert!(matches!(&b.local, Address::Unix(name) if name.starts_with("@perfmon-test-")), "{:?}", b.local),
            _ => assert_eq!(a.local, Address::Unix("".into())),
        }
    }
}

#[test]
fn tier_1_reports_what_was_done() {
    check(Tier::Socket);
}

#[test]
fn tier_2_reports_what_was_done() {
    check(Tier::Function);
}

#[test]
fn tier_3_reports_what_was_done() {
    check(Tier::SyscallExit);
}

#[test]
fn budgets_bound_what_is_captured_of_a_run() {
    let options = StartOptions { watch_all: false, budgets: Budgets { request: 150, response: 40, operation_head: 16 }, ..options() };
    let Some(probes) = start(&options) else { return };
    let mut child = script("runs.py", &[]);
    let pid = child.id();
    probes.watch(pid).unwrap();
    go(&mut child);
    assert!(child.wait().unwrap().success());
    let observed = Observed::drain(&probes, |observed| observed.exit(pid).is_some());
    let captured = |role: Role, direction: Direction| -> Vec<usize> {
        let open = observed.opens().find(|open| open.role == role).unwrap();
        observed
            .operations(open.key.inode, direction)
            .iter()
            .filter(|operation| !operation.eof)
            .map(|operation| operation.payload.len())
            .collect()
    };
    // Three sends of 100 make a run, then an answer of three sends of 100, twice: the budget is spent, then the head of each operation.
    let request = [100, 50, 16, 100, 50, 16];
    let answer = [40, 16, 16, 40, 16, 16];
    assert_eq!(captured(Role::Client, Direction::Out), request);
    assert_eq!(captured(Role::Server, Direction::In), request);
    assert_eq!(captured(Role::Server, Direction::Out), answer);
    assert_eq!(captured(Role::Client, Direction::In), answer);
}

#[test]
fn connections_have_lives_of_their_own() {
    let Some(probes) = start(&StartOptions { watch_all: false, ..options() }) else { return };
    let mut child = script("lives.py", &[]);
    let pid = child.id();
    let mut lines =
        std::io::BufReader::new(child.stdout.take().unwrap()).lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let early = lines.next().unwrap();
    probes.watch(pid).unwrap();
    go(&mut child);
    let (reset, short) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(child.wait().unwrap().success());
    let observed = Observed::drain(&probes, |observed| observed.exit(pid).is_some());
    let inode = |value: &Value| value.as_u64().unwrap() as u32;

    // The connection was made under a watch that did not yet include its process, so only the accepted end has a known beginning.
    let late = observed.open(inode(&early["early"]));
    assert!(late.late && late.role == Role::Unknown, "{late:?}");
    assert_eq!(observed.operations(late.key.inode, Direction::Out)[0].payload, b"seen");
    assert_eq!(observed.open(inode(&early["early_peer"])).role, Role::Server);

    let (aborted, victim) = (inode(&reset["reset"]), inode(&reset["reset_peer"]));
    assert_eq!(observed.last_state(aborted), Some(StateChange::Closed { peer_reset: false, local_reset: true }));
    assert_eq!(observed.last_state(victim), Some(StateChange::Closed { peer_reset: true, local_reset: false }));
    let read: Vec<_> =
        observed.operations(victim, Direction::In).iter().map(|operation| (operation.offset, operation.payload.clone())).collect();
    assert_eq!(read, [(0, b"to ".to_vec()), (3, b"be read".to_vec())], "bytes read after the reset belong to the connection");

    let short = short["short"].as_array().unwrap();
    assert_eq!(short.len(), 500);
    for (number, ends) in short.iter().enumerate() {
        let (client, server) = (inode(&ends[0]), inode(&ends[1]));
        for (inode, direction) in [(client, Direction::Out), (server, Direction::In)] {
            let operations = observed.operations(inode, direction);
            assert_eq!((operations.len(), operations[0].offset), (1, 0), "connection {number}");
            assert_eq!(operations[0].payload, format!("{number:09}").into_bytes());
        }
        assert_eq!((observed.open(client).role, observed.open(server).role), (Role::Client, Role::Server));
        assert!(matches!(observed.last_state(client), Some(StateChange::Closed { .. })));
        assert!(matches!(observed.last_state(server), Some(StateChange::Closed { .. })));
    }
    let addresses: std::collections::BTreeSet<u64> = observed.opens().map(|open| open.key.sock).collect();
    assert!(addresses.len() < 1000, "the kernel reused addresses, so the test means something: {}", addresses.len());
}

#[test]
fn a_full_ring_is_counted_by_process_and_the_rest_is_exact() {
    let options = StartOptions { watch_all: false, ring_bytes: 64 * 1024, ..options() };
    let Some(probes) = start(&options) else { return };
    let mut child = script("runs.py", &["2000"]);
    let pid = child.id();
    probes.watch(pid).unwrap();
    go(&mut child);
    assert!(child.wait().unwrap().success());
    let lost = probes.losses().iter().find(|(name, _)| *name == "ring_full").unwrap().1;
    assert!(lost > 1000, "{lost}");
    let by_pid = probes.lost_by_pid();
    assert_eq!(by_pid.iter().map(|(pid, losses)| (*pid, losses.events)).collect::<Vec<_>>(), [(pid, lost)]);
    let observed = Observed::drain(&probes, |_| true);
    let server = observed.opens().find(|open| open.role == Role::Server).unwrap().key.inode;
    let requests = observed.operations(server, Direction::In);
    assert!(!requests.is_empty() && requests.len() < 6000);
    assert!(requests.iter().enumerate().all(|(number, request)| request.offset == 100 * number as u64), "the first ones are all there");
}

/// Number of losses for a reason.
fn losses(probes: &Probes, reason: &str) -> u64 {
    probes.losses().iter().find(|(name, _)| *name == reason).unwrap().1
}

/// Runs 2,000 exchanges while nothing reads the ring; the process's id.
fn overrun(probes: &Probes) -> u32 {
    let mut child = script("runs.py", &["2000"]);
    let pid = child.id();
    probes.watch(pid).unwrap();
    go(&mut child);
    assert!(child.wait().unwrap().success());
    pid
}

#[test]
fn losses_of_processes_without_a_place_in_the_table_are_counted() {
    let tables = TableSizes { process_losses: Some(1), ..TableSizes::default() };
    let Some(probes) = start(&StartOptions { watch_all: false, ring_bytes: 64 * 1024, tables, ..options() }) else { return };
    let pids = [overrun(&probes), overrun(&probes)];
    let by_pid = probes.lost_by_pid();
    assert_eq!(by_pid.iter().map(|(pid, _)| *pid).collect::<Vec<_>>(), [pids[0]]);
    let (all, placeless) = (losses(&probes, "ring_full"), losses(&probes, "process_losses_full"));
    // The exchanges of which nothing was told are counted too.
    assert!(placeless > all - by_pid[0].1.events, "{placeless}, {all} in all, {:?}", by_pid[0]);
    probes.forget_losses(pids[0]);
    let third = overrun(&probes);
    let by_pid = probes.lost_by_pid();
    assert_eq!(by_pid.iter().map(|(pid, _)| *pid).collect::<Vec<_>>(), [third], "what ended makes room");
}

#[test]
fn a_process_under_the_id_of_an_earlier_one_has_lost_nothing() {
    let Some(probes) = start(&StartOptions { watch_all: false, ring_bytes: 64 * 1024, ..options() }) else { return };
    let pid = overrun(&probes);
    assert_eq!(probes.lost_by_pid().len(), 1);
    for _ in 0..200 {
        if let Err(error) = std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()) {
            return eprintln!("not tested here: {error}");
        }
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        if child.id() == pid {
            return assert_eq!(probes.lost_by_pid(), []);
        }
    }
    panic!("no process had the id {pid} again");
}

#[test]
fn sockets_that_the_full_table_forgot_are_counted_when_they_are_used_again() {
    let tables = TableSizes { sockets: Some(64), ..TableSizes::default() };
    let Some(probes) = start(&StartOptions { watch_all: false, tables, ..options() }) else { return };
    let mut child = script("many.py", &["200"]);
    probes.watch(child.id()).unwrap();
    go(&mut child);
    assert!(child.wait().unwrap().success());
    let counters = Arc::new(Counters::default());
    let mut tracker = Tracker::<()>::new(counters.clone());
    let mut handle = |bytes: &[u8]| {
        match decode(bytes).unwrap() {
            Event::Open(open) => tracker.open(open, &mut |_, _| ()),
            Event::Data(data) => tracker.data(&data, &mut |_, _| ()),
            Event::State(state) => tracker.state(&state, &mut |_, _| ()),
            _ => {}
        }
        true
    };
    let mut ring = probes.take_ring().unwrap();
    while let Some(waiting) = ring.waiting() {
        ring.drain(waiting, &mut handle);
    }
    assert_eq!(losses(&probes, "ring_full"), 0);
    let evicted = counters.sockets_evicted.get();
    // Both ends of 200 connections were used and forgotten; a few are still in the table.
    assert!((300..=400).contains(&evicted), "{evicted}");
}

#[test]
fn processes_are_followed_from_exec_to_exit() {
    let options = StartOptions { watch_all: false, watch_new: true, ..options() };
    let Some(probes) = start(&options) else { return };
    let long = "x".repeat(2000);
    let mut child = Command::new("/bin/sh").args(["-c", "/bin/true \"$0\"; exit 3", &long]).spawn().unwrap();
    let pid = child.id();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let observed = Observed::drain(&probes, |observed| observed.exit(pid).is_some());
    let exec = observed.exec(pid).unwrap();
    assert_eq!(exec.parent, std::process::id());
    assert_eq!(exec.comm, b"sh");
    assert!(exec.argv.starts_with(b"/bin/sh\0-c\0/bin/true \"$0\"; exit 3\0xxx"));
    assert_eq!(exec.argv.len(), perfmon_common::event::ARGV_MAX);
    let exit = observed.exit(pid).unwrap();
    assert_eq!(exit.exit_code, 3 << 8);
    assert!(exit.user_ns + exit.system_ns > 0);
    assert!(exit.peak_rss_bytes > 100_000);
    let child_of_child = observed.fork_of(pid).unwrap();
    assert!(observed.exec(child_of_child).unwrap().argv.starts_with(b"/bin/true\0xxx"));
    assert_eq!(observed.exit(child_of_child).unwrap().exit_code, 0);
    std::thread::sleep(Duration::from_millis(20));
    assert!(!probes.watched().contains(&pid), "the watch ends with the process");
}

#[test]
fn a_process_that_begins_to_listen_is_watched() {
    let mut child = script("runs.py", &[]);
    let pid = child.id();
    ready(&mut child);
    let Some(probes) = start(&StartOptions { watch_all: false, watch_new: true, ..options() }) else {
        child.kill().unwrap();
        child.wait().unwrap();
        return;
    };
    go(&mut child);
    assert!(child.wait().unwrap().success());
    let observed = Observed::drain(&probes, |observed| observed.exit(pid).is_some());
    assert!(observed.exec(pid).is_none(), "it was there before");
    let server = observed.opens().find(|open| open.pid == pid && open.role == Role::Server).unwrap();
    let Address::Ip(address) = &server.local else { panic!("{server:?}") };
    assert!(observed.all_states().contains(&StateChange::Listen(address.port())));
    assert_eq!(observed.operations(server.key.inode, Direction::In).iter().filter(|operation| !operation.eof).count(), 6);
}

#[test]
fn children_are_watched_and_perfmon_is_not() {
    for (follow, expected) in [(true, 2), (false, 0)] {
        let Some(probes) = start(&StartOptions { watch_all: false, follow, ..options() }) else { return };
        let mut child = script("runs.py", &["fork"]);
        let pid = child.id();
        probes.watch(pid).unwrap();
        probes.watch(std::process::id()).unwrap();
        go(&mut child);
        assert!(child.wait().unwrap().success());
        let (mut a, mut b) = std::os::unix::net::UnixStream::pair().unwrap();
        a.write_all(b"own").unwrap();
        b.read_exact(&mut [0; 3]).unwrap();
        let observed = Observed::drain(&probes, |observed| observed.exit(pid).is_some());
        assert!(observed.opens().all(|open| open.pid != pid && open.pid != std::process::id()));
        assert_eq!(observed.opens().count(), expected, "follow {follow}");
    }
}

/// Two ends of a connection that said something, and wait.
const HELD: &str = "import socket, sys
sys.stdin.readline()
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
end, _ = server.accept()
client.sendall(b'x'); end.recv(1)
sys.stdin.read()";

#[test]
fn a_policy_is_set_on_a_socket_that_the_kernel_knows_and_refused_for_others() {
    use perfmon_common::map::{MODE_COUNT, MODE_FULL};
    let Some(probes) = start(&StartOptions { watch_all: false, ..options() }) else { return };
    let mut child = Command::new("python3").args(["-c", HELD]).stdin(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    probes.watch(pid).unwrap();
    child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    let observed = Observed::drain(&probes, |observed| observed.opens().any(|open| open.pid == pid));
    let key = observed.opens().find(|open| open.pid == pid).unwrap().key;
    assert!(probes.set_mode(key.sock, key.inode, MODE_FULL).unwrap(), "its socket");
    assert!(probes.set_mode(key.sock, key.inode, MODE_COUNT).unwrap(), "again");
    assert!(!probes.set_mode(key.sock, key.inode + 1, MODE_FULL).unwrap(), "another tenant of the address");
    assert!(!probes.set_mode(key.sock ^ 0x40, key.inode, MODE_FULL).unwrap(), "an address without a socket");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
