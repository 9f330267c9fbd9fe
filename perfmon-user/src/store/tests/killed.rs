//! A killed process loses only the records since its last transaction; the file stays intact.
use super::*;

const CHILD: &str = "PERFMON_TEST_STORE_CHILD";
/// Records between two transactions: the child's clock moves a tenth of a second for each.
const BATCH: u64 = 10;

static CLOCK: AtomicU64 = AtomicU64::new(DAY * SECOND);

/// The child: writes failed requests without end, and prints how many it has offered.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let now = || WallTime(CLOCK.load(Ordering::Relaxed));
    let options = StoreOptions { path: path.into(), max_bytes: 1 << 30, retention: Retention::default(), now };
    let store = Store::start(options, Arc::default(), crate::heartbeat::Heartbeat::unwatched()).unwrap();
    for offered in 1.. {
        let second = CLOCK.fetch_add(SECOND / BATCH, Ordering::Relaxed) / SECOND;
        offer(&store, vec![request(second, "shop", "/", 1_000, 500)]);
        std::io::stdout().write_all(format!("\noffered {offered}\n").as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_process_loses_at_most_the_last_batch() {
    let file = file();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::killed::child", "--nocapture"])
        .env(CHILD, &file.path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let offered = lines.filter_map(|line| line.strip_prefix("offered ")?.parse::<u64>().ok()).find(|offered| *offered >= 137).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rollup = file.rollup();
    let verdict: String = rollup.connection().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let totals = file.reader().totals(RecordKind::Request, DAY, DAY + 1_000, DAY + 1_000).unwrap();
    let counted: u64 = totals.iter().map(|(_, cell)| cell.count).sum();
    let kept = file.reader().records("request", WallTime(0), WallTime(u64::MAX), 10_000).unwrap().len() as u64;
    assert_eq!(counted, kept, "figures and records are written together");
    // One batch queued, one being written, one delayed by a busy machine.
    assert!(counted + 3 * BATCH >= offered, "{counted} of {offered}");
}
