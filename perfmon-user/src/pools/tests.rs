//! Sizes, uses and saturation of pools.
use super::*;

const MS: u64 = 1_000_000;

fn key(system: &'static str) -> PoolKey {
    PoolKey { pid: 7, peer: "10.0.0.2:5432".into(), system }
}

/// A pool of `size` connections that `threads` threads use in turn, without a break, from `from_ms` to `to_ms`; each use lasts 10 ms.
fn used(tracker: &mut PoolTracker, ids: &[PoolId], threads: u32, from_ms: u64, to_ms: u64) {
    let mut thread = 0;
    for ms in (from_ms..to_ms).step_by(10) {
        for id in ids {
            tracker.taken(*id, thread % threads, ms * MS);
            thread += 1;
        }
        ids.iter().for_each(|id| tracker.given_back(*id, ms * MS, (ms + 10) * MS - MS / 10));
    }
}

fn joined(tracker: &mut PoolTracker, count: usize, ms: u64) -> Vec<PoolId> {
    (0..count).map(|_| tracker.joined(&key("postgresql"), ms * MS).unwrap()).collect()
}

fn only(tracker: &mut PoolTracker, ms: u64, work: usize) -> PoolFigures {
    let told = tracker.interval(ms * MS, |_| work);
    assert_eq!(told.len(), 1, "{told:?}");
    told.into_iter().next().unwrap().2
}

#[test]
fn more_threads_than_connections_saturate_them() {
    let mut tracker = PoolTracker::default();
    let ids = joined(&mut tracker, 5, 0);
    used(&mut tracker, &ids, 20, 0, 5_000);
    assert!(!only(&mut tracker, 5_000, 0).saturated, "it grew in this interval");
    used(&mut tracker, &ids, 20, 5_000, 10_000);
    let told = only(&mut tracker, 10_000, 0);
    assert_eq!((told.open, told.in_use, told.peak_in_use, told.size, told.opened, told.closed), (5, 0, 5, 5, 0, 0));
    assert_eq!((told.uses, told.use_time_p95_ns, told.saturated), (2_500, Some(9_900_000), true));
}

#[test]
fn busy_connections_that_suffice_are_not_saturated() {
    let mut tracker = PoolTracker::default();
    let ids = joined(&mut tracker, 5, 0);
    tracker.interval(0, |_| 0);
    used(&mut tracker, &ids, 5, 0, 5_000);
    assert!(!only(&mut tracker, 5_000, 5).saturated, "each thread has its own");
    // An event loop: one thread, and more requests than connections.
    used(&mut tracker, &ids, 1, 5_000, 10_000);
    tracker.observe(|_| 30);
    assert!(only(&mut tracker, 10_000, 0).saturated);
    let told = only(&mut tracker, 15_000, 30);
    assert_eq!((told.uses, told.use_time_p95_ns, told.saturated), (0, None, false), "an idle pool is not");
}

#[test]
fn a_connection_for_each_use_is_no_pool() {
    let mut tracker = PoolTracker::default();
    for ms in 0..100 {
        let id = tracker.joined(&key("http"), ms * MS).unwrap();
        tracker.taken(id, 1, ms * MS);
        tracker.given_back(id, ms * MS, ms * MS + 1);
        tracker.left(id, None, ms * MS + 2, || None);
    }
    assert_eq!(tracker.interval(5_000 * MS, |_| 0), []);
}

#[test]
fn what_tcp_did_is_told_of_what_is_no_pool_too() {
    let mut tracker = PoolTracker::default();
    let id = tracker.joined(&key("http"), 0).unwrap();
    tracker.taken(id, 1, 0);
    tracker.sent(id, 10, 1, 400);
    tracker.given_back(id, 0, MS);
    tracker.left(id, None, 2 * MS, || Some("shop".into()));
    tracker.sent(id, 2, 0, 200);
    tracker.sent(id, 0, 0, 0);
    let told = only(&mut tracker, 5_000, 0);
    let tcp = TcpSums { segments: 12, retransmits: 1, round_trips: 2, round_trip_sum_us: 600, round_trip_max_us: 400 };
    assert_eq!((told.is_pool, told.tcp.as_ref(), told.name.as_deref()), (false, Some(&tcp), Some("shop")));
    assert_eq!(tcp.round_trip_ns(), Some(300_000));
    assert_eq!(tracker.interval(10_000 * MS, |_| 0), [], "it had no connection any more");
}

#[test]
fn a_connection_that_ends_in_use_ends_its_use() {
    let mut tracker = PoolTracker::default();
    let ids = joined(&mut tracker, 2, 0);
    tracker.taken(ids[0], 1, MS);
    tracker.left(ids[0], Some(MS), 3 * MS, || None);
    let told = only(&mut tracker, 5_000, 0);
    assert_eq!((told.open, told.in_use, told.closed, told.uses, told.use_time_p95_ns), (1, 0, 1, 1, Some(2 * MS)));
    tracker.left(ids[1], None, 5_001 * MS, || None);
    assert_eq!(only(&mut tracker, 10_000, 0).closed, 1, "the last interval is told");
    assert_eq!(tracker.interval(15_000 * MS, |_| 0), [], "then it is forgotten");
}

#[test]
fn pools_and_samples_are_bounded() {
    let mut tracker = PoolTracker::default();
    for pid in 0..limits::POOLS as u32 + 3 {
        tracker.joined(&PoolKey { pid, ..key("redis") }, 0);
    }
    assert_eq!((tracker.take_refused(), tracker.take_refused()), (3, 0));
    let mut tracker = PoolTracker::default();
    let ids = joined(&mut tracker, 2, 0);
    for use_number in 1..=100_000 {
        tracker.taken(ids[0], 1, 0);
        tracker.given_back(ids[0], 0, use_number);
    }
    let told = only(&mut tracker, 5_000, 0);
    let p95 = told.use_time_p95_ns.unwrap();
    assert!((94_000..=96_000).contains(&p95), "{p95}");
}

#[test]
fn times_of_a_broken_recording_overflow_nothing() {
    let mut tracker = PoolTracker::default();
    let ids = joined(&mut tracker, 3, 0);
    ids.iter().for_each(|id| tracker.taken(*id, 1, MS));
    ids.iter().for_each(|id| tracker.left(*id, Some(MS), u64::MAX, || None));
    assert_eq!(tracker.interval(u64::MAX, |_| 0)[0].2.closed, 3);
}
