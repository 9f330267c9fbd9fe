//! A damaged file, a folder without write permission, a full disk: each is logged and counted, and the store recovers.
use super::*;

/// The clock of the tests here; each uses one of its own.
macro_rules! clock {
    ($name:ident) => {
        static $name: AtomicU64 = AtomicU64::new(DAY * SECOND);
    };
}

fn store(path: &Path, now: fn() -> WallTime) -> (Store, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let options = StoreOptions { path: path.into(), max_bytes: 1 << 30, retention: Retention::default(), now };
    (Store::start(options, counters.clone(), crate::heartbeat::Heartbeat::unwatched()).unwrap(), counters)
}

/// Offers one request a second on the test's clock until the state satisfies the condition.
fn until(store: &Store, clock: &AtomicU64, wanted: impl Fn(&StoreReport) -> bool) -> (u64, StoreReport) {
    for offered in 1..=2_000 {
        let second = clock.fetch_add(SECOND, Ordering::Relaxed) / SECOND;
        offer(store, vec![request(second, "shop", "/", 1_000, 200)]);
        std::thread::sleep(Duration::from_millis(5));
        let report = store.reader().report().unwrap();
        if wanted(&report) {
            return (offered, report);
        }
    }
    panic!("{:?}", store.reader().report());
}

fn count(path: &Path) -> u64 {
    let totals =
        StoreReader::of_file(path.into(), Retention::default()).totals(RecordKind::Request, DAY, DAY + 100_000, DAY + 100_000).unwrap();
    totals.iter().map(|(_, cell)| cell.count).sum()
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    clock!(CLOCK);
    let file = file();
    fs::create_dir_all(file.path.parent().unwrap()).unwrap();
    fs::write(&file.path, "this is not a database, and was never one".repeat(500)).unwrap();
    let (store, _) = store(&file.path, || WallTime(CLOCK.load(Ordering::Relaxed)));
    let (offered, report) = until(&store, &CLOCK, |report| report.state == StoreState::Ok);
    let aside = report.set_aside.unwrap();
    assert!(aside.to_str().unwrap().ends_with("perfmon.db.damaged-1"));
    assert!(fs::read_to_string(aside).unwrap().starts_with("this is not"));
    store.finish();
    assert_eq!(count(&file.path), offered);
}

#[test]
fn a_file_with_a_torn_page_is_set_aside() {
    clock!(CLOCK);
    let file = file();
    let mut rollup = file.rollup();
    write(&mut rollup, &(0..500).map(|i| request(DAY + i * 10, "shop", "/", i * 1_000, 500)).collect::<Vec<_>>());
    drop(rollup);
    let mut bytes = fs::read(&file.path).unwrap();
    let pages = bytes.len() / 4_096;
    assert!(pages > 10);
    bytes[4_096 * 2..4_096 * (pages - 1)].fill(0x5a);
    fs::write(&file.path, bytes).unwrap();
    let (store, _) = store(&file.path, || WallTime(CLOCK.load(Ordering::Relaxed)));
    let (_, report) = until(&store, &CLOCK, |report| report.state == StoreState::Ok);
    assert!(report.set_aside.is_some());
    store.finish();
}

#[test]
fn a_folder_that_cannot_be_made_is_said_and_tried_again() {
    clock!(CLOCK);
    let folder = tempfile::tempdir().unwrap();
    let (blocker, path) = (folder.path().join("data"), folder.path().join("data/perfmon.db"));
    // A file at the folder's path: creating the folder fails for root too.
    fs::write(&blocker, "").unwrap();
    let (store, counters) = store(&path, || WallTime(CLOCK.load(Ordering::Relaxed)));
    let (first, report) = until(&store, &CLOCK, |report| matches!(report.state, StoreState::Degraded { .. }));
    let StoreState::Degraded { reason } = report.state else { panic!() };
    assert!(reason.contains("perfmon.db"), "{reason}");
    fs::remove_file(&blocker).unwrap();
    let (then, _) = until(&store, &CLOCK, |report| report.state == StoreState::Ok);
    store.finish();
    // What waited meanwhile is not lost.
    assert_eq!((count(&path), counters.store_dropped.get()), (first + then, 0));
}

#[test]
fn a_folder_of_everybody_and_planted_files_are_refused_until_they_are_mended() {
    use std::os::unix::fs::PermissionsExt;
    clock!(CLOCK);
    let place = tempfile::tempdir().unwrap();
    let (folder, path) = (place.path().join("data"), place.path().join("data/perfmon.db"));
    let victim = place.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let (store, _) = store(&path, || WallTime(CLOCK.load(Ordering::Relaxed)));
    let refused = |part: &str| {
        let (_, report) = until(&store, &CLOCK, |report| matches!(&report.state, StoreState::Degraded { reason } if reason.contains(part)));
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!names.iter().any(|name| name == "perfmon.db"), "{names:?} {report:?}");
        assert!(refusal(&path).unwrap().to_string().contains(part));
    };
    refused("data/perfmon.db: every user may write to its folder (mode 0777)");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    for suffix in ["-wal", "-shm"] {
        let planted = place.path().join(format!("data/perfmon.db{suffix}"));
        std::os::unix::fs::symlink(&victim, &planted).unwrap();
        refused(&format!("perfmon.db{suffix}: it is a symbolic link"));
        fs::remove_file(planted).unwrap();
    }
    until(&store, &CLOCK, |report| report.state == StoreState::Ok);
    for suffix in ["", "-wal", "-shm"] {
        let mode = fs::metadata(format!("{}{suffix}", path.display())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
    store.finish();
    assert_eq!((fs::read_to_string(&victim).unwrap().as_str(), refusal(&path).map(|error| error.to_string())), ("precious", None));
}

#[test]
fn what_can_never_be_written_is_counted() {
    clock!(CLOCK);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data"), "").unwrap();
    let (store, counters) = store(&folder.path().join("data/perfmon.db"), || WallTime(CLOCK.load(Ordering::Relaxed)));
    offer(&store, vec![request(DAY, "shop", "/", 1_000, 200), system(DAY, 1.0)]);
    store.finish();
    assert_eq!(counters.store_dropped.get(), 2);
}

/// A file system of 16 megabytes; `None` where this user may not mount.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs"]).arg(folder.path()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().unwrap();
    }
}

#[test]
fn a_full_disk_is_said_and_writing_goes_on_when_there_is_room() {
    clock!(CLOCK);
    let Some(small) = Small::mount() else {
        eprintln!("not run: mounting a small file system needs root");
        return;
    };
    let path = small.0.path().join("perfmon.db");
    let (store, counters) = store(&path, || WallTime(CLOCK.load(Ordering::Relaxed)));
    until(&store, &CLOCK, |report| report.state == StoreState::Ok);
    let ballast = small.0.path().join("ballast");
    let mut filling = fs::File::create(&ballast).unwrap();
    while filling.write_all(&[0; 4_096]).is_ok() {}
    let (_, report) = until(&store, &CLOCK, |report| matches!(report.state, StoreState::Degraded { .. }));
    assert!(matches!(&report.state, StoreState::Degraded { reason } if reason.contains("full")), "{report:?}");
    // The space is free again once the file is closed.
    drop(filling);
    fs::remove_file(&ballast).unwrap();
    until(&store, &CLOCK, |report| report.state == StoreState::Ok);
    store.finish();
    let offered = CLOCK.load(Ordering::Relaxed) / SECOND - DAY;
    assert_eq!((count(&path), counters.store_dropped.get()), (offered, 0));
}

#[test]
fn an_alert_is_written_at_once() {
    clock!(CLOCK);
    let file = file();
    let (store, _) = store(&file.path, || WallTime(CLOCK.load(Ordering::Relaxed)));
    until(&store, &CLOCK, |report| report.state == StoreState::Ok);
    // The clock stops here, so nothing else would write it.
    let alert = serde_json::json!({
        "time": "1970-01-01T00:00:01.000000000Z", "pid": 0, "comm": "", "service": "all", "container": null, "alert_id": "a", "rule": "own",
        "type": "performance", "severity": "warning", "state": "firing", "message": "", "metric": "request.count", "scope": "all services",
        "value": 1.0, "threshold": 0.0, "escalation_level": 0, "notified": [], "started_at": "1970-01-01T00:00:01.000000000Z",
        "fired_at": null, "acknowledged_by": null, "resolved_by": null, "note": null,
    });
    offer(&store, vec![Record::Alert(Box::new(serde_json::from_value(alert).unwrap()))]);
    let kept = || file.reader().records("alert", WallTime(0), WallTime(u64::MAX), 9).unwrap().len();
    assert!((0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        kept() == 1
    }));
    store.finish();
}
