//! Ordering, gaps, tenants of an address, expiry and the table's limit.
use super::*;
use std::net::SocketAddr;

const KEY: SocketKey = SocketKey { sock: 0xffff_8880_0000_1000, inode: 7 };

fn open(key: SocketKey, time_ns: u64) -> Open {
    let address = Address::Ip(SocketAddr::from(([127, 0, 0, 1], 80)));
    Open { key, time_ns, pid: 10, role: Role::Server, late: false, connect_ns: None, local: address.clone(), peer: address }
}

fn data(key: SocketKey, offset: u64, total_len: u32, payload: &[u8]) -> Data<'_> {
    Data {
        key,
        stamp: Stamp { time_ns: 5, arrival_ns: None, thread: 11, run: None },
        pid: 10,
        direction: Direction::In,
        offset,
        total_len,
        piece_offset: 0,
        payload,
        last_piece: true,
        eof: false,
        unseen: false,
    }
}

#[derive(Default)]
struct Log(Vec<String>);

impl Log {
    fn visit(&mut self) -> impl FnMut(&mut Connection<()>, ConnectionEvent<'_>) {
        |connection, step| {
            let inode = connection.key.inode;
            self.0.push(match step {
                ConnectionEvent::NotConnected { failure, since_ns, time_ns } => format!("{inode}:{} {since_ns} {time_ns}", failure.name()),
                ConnectionEvent::Segment(Segment { content: Content::Bytes(bytes), .. }) => {
                    format!("{inode}:{}", String::from_utf8_lossy(bytes))
                }
                ConnectionEvent::Segment(Segment { content: Content::Gap(n), .. }) => format!("{inode}:gap {n}"),
                ConnectionEvent::Segment(Segment { content: Content::Lost(n), .. }) => format!("{inode}:lost {n}"),
                ConnectionEvent::Segment(Segment { content: Content::Unknown, .. }) => format!("{inode}:unknown"),
                ConnectionEvent::Ended { ending, .. } => format!("{inode}:{ending:?}"),
            });
        }
    }
}

fn tracker() -> (Tracker<()>, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    (Tracker::new(counters.clone()), counters)
}

#[test]
fn uncaptured_and_lost_bytes_are_gaps_to_the_byte() {
    let (mut tracker, counters) = tracker();
    let mut log = Log::default();
    tracker.open(open(KEY, 1), &mut log.visit());
    tracker.data(&data(KEY, 0, 10, b"abcd"), &mut log.visit());
    tracker.data(&data(KEY, 15, 2, b"xy"), &mut log.visit());
    tracker.data(&data(KEY, 17, 4, b""), &mut log.visit());
    assert_eq!(log.0, ["7:abcd", "7:gap 6", "7:lost 5", "7:xy", "7:gap 4"]);
    assert_eq!(counters.stream_bytes_lost.get(), 5);
}

#[test]
fn a_socket_that_the_kernel_forgot_is_counted_when_it_is_used_again() {
    let (mut tracker, counters) = tracker();
    let mut log = Log::default();
    tracker.open(open(KEY, 1), &mut log.visit());
    tracker.data(&data(KEY, 0, 4, b"abcd"), &mut log.visit());
    tracker.open(Open { late: true, ..open(KEY, 9) }, &mut log.visit());
    tracker.data(&data(KEY, 0, 2, b"ef"), &mut log.visit());
    assert_eq!(log.0, ["7:abcd", "7:Forgotten", "7:ef"]);
    assert_eq!(counters.sockets_evicted.get(), 1);
    // Another socket at that address, one that connects anew, and one that was not known.
    tracker.open(Open { late: true, ..open(SocketKey { inode: 8, ..KEY }, 10) }, &mut log.visit());
    tracker.open(open(SocketKey { inode: 8, ..KEY }, 11), &mut log.visit());
    tracker.open(Open { late: true, ..open(SocketKey { sock: 5, inode: 9 }, 12) }, &mut log.visit());
    assert_eq!(counters.sockets_evicted.get(), 1);
}

#[test]
fn what_was_lost_last_shows_at_the_close() {
    let (mut tracker, counters) = tracker();
    let mut log = Log::default();
    tracker.open(open(KEY, 1), &mut log.visit());
    tracker.data(&data(KEY, 0, 4, b"abcd"), &mut log.visit());
    let state = |change| SocketStateChange { key: KEY, time_ns: 9, pid: 1, change, in_bytes: 10, out_bytes: 20, tcp: None };
    for change in [StateChange::PeerClosed, StateChange::LocalClosed, StateChange::Closed { peer_reset: false, local_reset: false }] {
        tracker.state(&state(change), &mut log.visit());
    }
    assert_eq!(log.0, ["7:abcd", "7:PeerClosed", "7:lost 20", "7:LocalClosed", "7:lost 6", "7:Closed"]);
    assert_eq!(counters.stream_bytes_lost.get(), 26);
}

#[test]
fn what_passed_no_hook_is_a_gap_and_no_loss_of_the_ring() {
    let (mut tracker, counters) = tracker();
    let mut log = Log::default();
    tracker.data(&data(KEY, 0, 4, b"abcd"), &mut log.visit());
    tracker.data(&Data { unseen: true, ..data(KEY, 4, 3000, b"") }, &mut log.visit());
    tracker.data(&data(KEY, 3004, 2, b"xy"), &mut log.visit());
    assert_eq!(log.0, ["7:abcd", "7:lost 3000", "7:xy"]);
    assert_eq!((counters.stream_bytes_lost.get(), counters.stream_bytes_unseen.get()), (0, 3000));
}

#[test]
fn pieces_of_one_operation_follow_each_other() {
    let (mut tracker, counters) = tracker();
    let mut log = Log::default();
    let first = Data { last_piece: false, ..data(KEY, 0, 6, b"abc") };
    let second = Data { piece_offset: 3, ..data(KEY, 0, 6, b"de") };
    tracker.data(&first, &mut log.visit());
    tracker.data(&second, &mut log.visit());
    assert_eq!(log.0, ["7:abc", "7:de", "7:gap 1"]);
    assert_eq!(counters.stream_bytes_lost.get(), 0);
}

#[test]
fn a_count_that_begins_anew_is_an_unknown_hole() {
    let (mut tracker, _) = tracker();
    let mut log = Log::default();
    tracker.data(&data(KEY, 100, 1, b"a"), &mut log.visit());
    tracker.data(&data(KEY, 0, 1, b"b"), &mut log.visit());
    assert_eq!(log.0, ["7:lost 100", "7:a", "7:unknown", "7:b"]);
}

#[test]
fn the_next_tenant_of_an_address_is_another_connection() {
    let (mut tracker, _) = tracker();
    let mut log = Log::default();
    tracker.open(open(KEY, 1), &mut log.visit());
    tracker.data(&data(KEY, 0, 1, b"a"), &mut log.visit());
    let next = SocketKey { inode: 8, ..KEY };
    tracker.data(&data(next, 0, 1, b"b"), &mut log.visit());
    tracker.open(open(SocketKey { inode: 9, ..KEY }, 2), &mut log.visit());
    assert_eq!(log.0, ["7:a", "7:Forgotten", "8:b", "8:Forgotten"]);
}

#[test]
fn a_close_without_inode_ends_the_tenant_and_a_foreign_one_does_not() {
    let (mut tracker, counters) = tracker();
    let mut log = Log::default();
    tracker.open(open(KEY, 1), &mut log.visit());
    let closed = StateChange::Closed { peer_reset: true, local_reset: false };
    let mut state =
        SocketStateChange { key: SocketKey { inode: 99, ..KEY }, time_ns: 3, pid: 0, change: closed, in_bytes: 4, out_bytes: 0, tcp: None };
    tracker.state(&state, &mut log.visit());
    state.key.inode = 0;
    tracker.state(&state, &mut log.visit());
    tracker.state(&state, &mut log.visit());
    assert_eq!(log.0, ["7:lost 4", "7:PeerReset"]);
    assert_eq!(counters.stream_bytes_lost.get(), 4);
}

#[test]
fn a_full_table_gives_up_the_longest_idle() {
    let (mut tracker, counters) = tracker();
    tracker.capacity = 32;
    let mut log = Log::default();
    for n in 0..40_u32 {
        tracker.open(open(SocketKey { sock: u64::from(n) * 64, inode: n + 1 }, u64::from(n)), &mut log.visit());
    }
    assert!(tracker.iter().count() <= 32);
    assert_eq!(counters.connections_evicted.get() as usize, log.0.len());
    assert_eq!(log.0.first().map(String::as_str), Some("1:Forgotten"));
}

#[test]
fn idle_connections_expire_unless_busy() {
    let (mut tracker, counters) = tracker();
    let mut log = Log::default();
    tracker.open(open(KEY, 1), &mut log.visit());
    tracker.open(open(SocketKey { sock: 64, inode: 8 }, 1), &mut log.visit());
    tracker.expire(CONNECTION_IDLE_NS + 2, |connection| connection.key.inode == 8, &mut log.visit());
    assert_eq!((log.0.as_slice(), counters.connections_expired.get()), (["7:Forgotten".to_owned()].as_slice(), 1));
}

#[test]
fn unix_sockets_end_with_their_process() {
    let (mut tracker, _) = tracker();
    let mut log = Log::default();
    let name = Address::Unix("/run/app.sock".into());
    tracker.open(Open { local: name.clone(), peer: name, ..open(KEY, 1) }, &mut log.visit());
    tracker.exit(11, 2, &mut log.visit());
    tracker.exit(10, 2, &mut log.visit());
    assert_eq!(log.0, ["7:LocalClosed", "7:Closed"]);
}

#[test]
fn a_reset_waits_for_what_the_process_has_under_way() {
    let (mut tracker, counters) = tracker();
    let mut log = Log::default();
    let notice =
        |time_ns| SocketStateChange { key: KEY, time_ns, pid: 10, change: StateChange::PeerReset, in_bytes: 0, out_bytes: 4, tcp: None };
    tracker.open(open(KEY, 1), &mut log.visit());
    tracker.state(&notice(5), &mut log.visit());
    tracker.data(&Data { direction: Direction::Out, ..data(KEY, 0, 4, b"abcd") }, &mut log.visit());
    let closed = StateChange::Closed { peer_reset: true, local_reset: false };
    tracker.state(&SocketStateChange { change: closed, ..notice(5) }, &mut log.visit());
    // The next one at the same address has an inode number of its own.
    tracker.open(open(SocketKey { inode: 8, ..KEY }, 6), &mut log.visit());
    tracker.expire_resets(5 + RESET_GRACE_NS, &mut log.visit());
    assert_eq!(log.0, ["7:abcd", "7:PeerReset"]);
    assert_eq!((tracker.iter().count(), counters.stream_bytes_lost.get()), (1, 0));
}

#[test]
fn a_reset_ends_the_connection_of_a_process_that_does_not_look() {
    let (mut tracker, _) = tracker();
    let mut log = Log::default();
    tracker.open(open(KEY, 1), &mut log.visit());
    let state = SocketStateChange { key: KEY, time_ns: 5, pid: 10, change: StateChange::PeerReset, in_bytes: 0, out_bytes: 0, tcp: None };
    tracker.state(&state, &mut log.visit());
    tracker.expire_resets(4 + RESET_GRACE_NS, &mut log.visit());
    assert!(log.0.is_empty());
    tracker.expire_resets(5 + RESET_GRACE_NS, &mut log.visit());
    assert_eq!((log.0.as_slice(), tracker.iter().count()), (["7:PeerReset".to_owned()].as_slice(), 0));
}
