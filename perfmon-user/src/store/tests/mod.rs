use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::aggregate::Histogram;
use crate::record::metric::{Field, Metric, RecordKind, Statistic};
use crate::record::{Category, Failure, Llm, Millis, Origin, Quality, Record, Request, SeriesKey, Side, SpanId, System};
use crate::series::SeriesFeed;

pub(crate) use super::pending::PendingWrites;
pub(crate) use super::rollup::Rollup;

mod blocks;
mod failures;
mod killed;
mod shares;
mod speed;

pub(crate) const SECOND: u64 = 1_000_000_000;
/// A whole hour and day.
pub(crate) const DAY: u64 = 20_000 * 86_400;

pub(crate) fn origin(service: &str) -> Arc<Origin> {
    Arc::new(Origin { pid: 7, comm: "app".into(), service: service.into(), container: None })
}

/// A request that ends at a second, microseconds long.
pub(crate) fn request(second: u64, service: &str, endpoint: &str, us: u64, status: u16) -> Record {
    let latency = Millis(us * 1_000);
    Record::Request(Request {
        time: WallTime(second * SECOND + 999_999_999 - latency.0 % SECOND - latency.0 / SECOND * SECOND),
        origin: origin(service),
        side: Side::Server,
        protocol: "http/1.1",
        tls: false,
        local: "127.0.0.1:80".into(),
        peer: "127.0.0.1:5000".into(),
        host: None,
        destination: None,
        method: Some("GET".into()),
        path: Some(endpoint.into()),
        endpoint: Some(endpoint.into()),
        user_agent: None,
        status_code: Some(status),
        error: None,
        request_size: Some(0),
        response_size: Some(2),
        request_bytes: 50,
        response_bytes: 100,
        response_time_ms: Some(latency),
        streaming: false,
        grpc_status: None,
        connect_time_ms: None,
        tls_time_ms: None,
        resend_count: None,
        queue_time_ms: None,
        time_to_first_byte_ms: None,
        performance_category: Some(Category::of(latency)),
        trace_id: None,
        span_id: SpanId(second),
        parent_span_id: None,
        link: None,
        downstream: None,
        quality: Quality::Exact,
        missing_bytes: 0,
        messages_sent: None,
        messages_received: None,
        close_code: None,
    })
}

pub(crate) fn system(second: u64, cpu_percent: f64) -> Record {
    Record::System(Box::new(System {
        time: WallTime(second * SECOND),
        origin: origin("host"),
        cpu_percent: Some(cpu_percent),
        memory_percent: 50.0,
        memory_available_bytes: 1,
        swap_percent: None,
        load_1m: 0.5,
        disks: vec![],
        network: vec![],
        psi: None,
        interval_ms: Millis(SECOND),
    }))
}

pub(crate) fn call(second: u64, side: Side, cost_usd: f64) -> Record {
    Record::Llm(Box::new(Llm {
        time: WallTime(second * SECOND),
        origin: origin("shop"),
        side,
        provider: "openai".into(),
        api: "chat",
        destination: Some("api.openai.com".into()),
        peer: "1.2.3.4:443".into(),
        tls: true,
        request_model: Some("gpt-5".into()),
        response_model: None,
        stream: false,
        status_code: Some(200),
        error_type: None,
        finish_reason: None,
        input_tokens: Some(10),
        output_tokens: None,
        cache_read_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        token_source: None,
        cost_usd: Some(cost_usd),
        cost_source: None,
        response_time_ms: Some(Millis(5)),
        time_to_first_byte_ms: None,
        time_to_first_token_ms: None,
        output_tokens_per_second: None,
        chunk_gap_max_ms: None,
        tool_calls: vec![],
        conversation_id: None,
        agent_type: None,
        agent_run_id: None,
        request_id: None,
        visibility: "plaintext",
        request_bytes: 1,
        response_bytes: 1,
        chunks: 0,
        trace_id: None,
        span_id: SpanId(1),
    }))
}

/// A writer that is told the time.
pub(crate) struct Simulation {
    rollup: Rollup,
    pending: PendingWrites,
    feed: SeriesFeed,
    tidied: u64,
}

impl Simulation {
    pub(crate) fn new(path: &Path) -> Self {
        Self { rollup: Rollup::new(schema::open(path).unwrap()), pending: PendingWrites::default(), feed: SeriesFeed::default(), tidied: 0 }
    }

    pub(crate) fn add(&mut self, record: &Record) {
        self.pending.add(std::slice::from_ref(record));
        self.feed.add(record);
    }

    /// Writes what has come, makes minutes and hours, and once an hour removes what is too old.
    pub(crate) fn write(&mut self, now: u64) {
        self.pending.series(&self.feed.take(WallTime(now * SECOND)));
        assert_eq!(self.rollup.write(&std::mem::take(&mut self.pending)).unwrap(), rollup::WriteCounts::default());
        self.rollup.complete(now).unwrap();
        if now >= self.tidied + 3_600 {
            self.tidied = now;
            retention::expire(self.rollup.connection(), now, &Retention::default()).unwrap();
            while !self.rollup.pack(now).unwrap().is_nothing() {}
        }
    }
}

/// Bytes in use.
pub(crate) fn used_bytes(path: &Path) -> u64 {
    retention::used_bytes(&schema::open_read_only(path).unwrap()).unwrap()
}

pub(crate) struct File {
    _folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

pub(crate) fn file() -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/perfmon.db");
    File { _folder: folder, path }
}

impl File {
    pub(crate) fn rollup(&self) -> Rollup {
        Rollup::new(schema::open(&self.path).unwrap())
    }

    pub(crate) fn reader(&self) -> StoreReader {
        StoreReader::of_file(self.path.clone(), Retention::default())
    }
}

/// What the series of records count.
pub(crate) fn delta(records: &[Record]) -> Arc<SeriesDelta> {
    let mut feed = SeriesFeed::default();
    records.iter().for_each(|record| feed.add(record));
    feed.take(WallTime::default())
}

/// Offers records and what their series count to a store.
pub(crate) fn offer(store: &Store, records: Vec<Record>) {
    let delta = delta(&records);
    store.offer(&Arc::new(records));
    store.series(&delta);
}

/// Records that wait to be written, with their series.
pub(crate) fn pending(records: &[Record]) -> PendingWrites {
    let mut pending = PendingWrites::default();
    pending.add(records);
    // No more series than one delta has room for.
    records.chunks(5_000).for_each(|records| pending.series(&delta(records)));
    pending
}

pub(crate) fn write(rollup: &mut Rollup, records: &[Record]) {
    let pending = pending(records);
    assert_eq!(rollup.write(&pending).unwrap(), rollup::WriteCounts::default());
}

fn query(metric: &str, from: u64, to: u64, step: u64) -> HistoryQuery {
    HistoryQuery { metric: Metric::parse(metric).unwrap(), from, to, step, now: to, labels: SeriesLabels::new() }
}

fn values(history: &History) -> Vec<Option<f64>> {
    history.points.iter().map(|point| point.value).collect()
}

/// Numbers that look random.
fn scattered(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |x| Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)))
        .map(|x| x >> 33)
}

fn add(cell: &mut Cell, record: &Record) {
    cell.note(RecordKind::Request, record);
    cell.settle();
}

#[test]
fn a_cell_survives_its_bytes_and_garbage_is_refused() {
    let mut cell = Cell::default();
    for (index, us) in scattered(1).take(300).enumerate() {
        add(&mut cell, &request(DAY, "shop", "/", us % 5_000_000, if index % 10 == 0 { 500 } else { 200 }));
    }
    let bytes = cell.to_bytes();
    assert_eq!(Cell::from_bytes(&bytes), Some(cell.clone()));
    assert_eq!((cell.count, cell.errors), (300, 30));
    for cut in 0..bytes.len() {
        assert_eq!(Cell::from_bytes(&bytes[..cut]), None, "{cut}");
    }
    assert_eq!(Cell::from_bytes(&[&bytes[..], &[0]].concat()), None);
}

#[test]
fn a_cell_takes_little_room() {
    let of = |requests: u64| {
        let mut cell = Cell::default();
        scattered(3).take(requests as usize).for_each(|x| add(&mut cell, &request(DAY, "shop", "/", 5_000 + x % 2_000, 200)));
        cell
    };
    let (few, many) = (of(10).to_bytes().len(), of(1_000).to_bytes().len());
    assert!(few < 70 && many < 110, "{few} and {many} bytes");
}

#[test]
fn a_cell_of_an_earlier_perfmon_is_read() {
    let mut before = vec![2, 1, 1, 4, 2];
    [150.0_f64, 50.0, 100.0].iter().for_each(|number| before.extend_from_slice(&number.to_le_bytes()));
    Histogram::default().write(&mut before);
    let cell = Cell::from_bytes(&before).unwrap();
    let bytes = Field::named(RecordKind::Request, "request_bytes").unwrap();
    let values = [Statistic::Count, Statistic::Sum, Statistic::Min, Statistic::Max].map(|statistic| cell.field(bytes, statistic));
    assert_eq!((cell.count, cell.errors, values), (2, 1, [Some(2.0), Some(150.0), Some(50.0), Some(100.0)]));
    assert_eq!(Cell::from_bytes(&cell.to_bytes()), Some(cell));
}

#[test]
fn any_number_survives_a_cell() {
    let field = Field::named(RecordKind::Llm, "cost_usd").unwrap();
    for numbers in [vec![0.1, 0.2], vec![-3.5, 1e300], vec![0.000_000_15], vec![9.1e15, 0.0], vec![5e-324, 7.0], vec![-0.0, 0.0]] {
        let mut cell = Cell::default();
        numbers.iter().for_each(|number| cell.add_value(field, *number));
        assert_eq!(Cell::from_bytes(&cell.to_bytes()), Some(cell), "{numbers:?}");
    }
}

#[test]
fn merged_rollups_are_what_the_records_would_have_given() {
    let (file, mut direct, mut shape) = (file(), Cell::default(), Histogram::default());
    let mut rollup = file.rollup();
    let records: Vec<_> = scattered(7).take(5_000).enumerate().map(|(i, x)| (DAY + i as u64 * 3, x % 3_000_000)).collect();
    for (second, us) in &records {
        add(&mut direct, &request(*second, "shop", "/", *us, 200));
        shape.record(us * 1_000);
    }
    // Written in slices, minutes and hours made now and then.
    for slice in records.chunks(97) {
        let batch: Vec<_> = slice.iter().map(|(second, us)| request(*second, "shop", "/", *us, 200)).collect();
        write(&mut rollup, &batch);
        rollup.complete(slice[slice.len() - 1].0).unwrap();
    }
    let end = DAY + 15_000;
    let totals = file.reader().totals(RecordKind::Request, DAY, end, end).unwrap();
    let [(labels, cell)] = &totals[..] else { panic!("{totals:?}") };
    assert_eq!((labels["service"].as_str(), labels["endpoint"].as_str()), ("shop", "/"));
    assert_eq!((cell.count, cell.errors), (5_000, 0));
    let field = Field::named(RecordKind::Request, "response_time_ms").unwrap();
    for statistic in [Statistic::Count, Statistic::Min, Statistic::Max, Statistic::Mean, Statistic::Sum] {
        assert_eq!(cell.field(field, statistic), direct.field(field, statistic), "{statistic:?}");
    }
    for share in [0.5, 0.95, 0.99] {
        let want = Millis(shape.quantile(share).unwrap()).as_f64();
        assert!((cell.field(field, Statistic::Quantile(share)).unwrap() - want).abs() < 0.002);
    }
}

#[test]
fn history_is_the_same_at_every_resolution_and_gaps_are_null() {
    let file = file();
    let mut rollup = file.rollup();
    // Requests in the first and the third minute; the host was watched in the first two.
    let mut records = vec![request(DAY + 5, "shop", "/a", 100_000, 200), request(DAY + 130, "shop", "/b", 300_000, 500)];
    records.extend((0..120).map(|second| system(DAY + second, second as f64)));
    write(&mut rollup, &records);
    for complete in [false, true] {
        if complete {
            rollup.complete(DAY + 7_300).unwrap();
        }
        let reader = file.reader();
        let ask = |metric: &str, to: u64, step: u64| values(&reader.history(&query(metric, DAY, DAY + to, step)).unwrap());
        assert_eq!(ask("request.count", 240, 60), [Some(1.0), Some(0.0), Some(1.0), None]);
        assert_eq!(ask("request.per_minute", 120, 60), [Some(1.0), Some(0.0)]);
        assert_eq!(ask("error_rate", 240, 60), [Some(0.0), None, Some(1.0), None]);
        assert_eq!(ask("response_time_p95", 240, 60), [Some(100.0), None, Some(300.0), None]);
        assert_eq!(ask("cpu_percent", 180, 60), [Some(29.5), Some(89.5), None]);
        assert_eq!(ask("system.cpu_percent.max", 7_200, 3_600), [Some(119.0), None]);
        assert_eq!(ask("request.count", 40, 10), [Some(1.0), Some(0.0), Some(0.0), Some(0.0)]);
        assert_eq!(ask("request.count", 7_200, 3_600), [Some(2.0), None]);
    }
    let of_b = HistoryQuery { labels: SeriesLabels::from([("endpoint".into(), "/b".into())]), ..query("request.count", DAY, DAY + 60, 60) };
    assert_eq!(values(&file.reader().history(&of_b).unwrap()), [Some(0.0)]);
    // Two days later only minutes are left.
    let late = HistoryQuery { now: DAY + 2 * 86_400, ..query("request.count", DAY, DAY + 120, 10) };
    assert_eq!(file.reader().history(&late).unwrap().step_s, 60);
}

#[test]
fn a_record_that_comes_late_counts_at_every_resolution() {
    let file = file();
    let mut rollup = file.rollup();
    write(&mut rollup, &[request(DAY, "shop", "/", 1_000, 200)]);
    rollup.complete(DAY + 10_000).unwrap();
    write(&mut rollup, &[request(DAY + 1, "shop", "/", 1_000, 200)]);
    for step in [10, 60, 3_600] {
        assert_eq!(values(&file.reader().history(&query("request.count", DAY, DAY + step, step)).unwrap()), [Some(2.0)], "{step}");
    }
}

#[test]
fn a_model_call_whose_both_ends_are_here_counts_once() {
    let file = file();
    let mut rollup = file.rollup();
    let calls: Vec<_> = (0..10).flat_map(|i| [call(DAY + i, Side::Client, 0.1), call(DAY + i, Side::Server, 0.1)]).collect();
    write(&mut rollup, &calls);
    let history = |metric: &str| values(&file.reader().history(&query(metric, DAY, DAY + 10, 10)).unwrap());
    assert_eq!((history("llm.count"), history("cost_usd")), (vec![Some(10.0)], vec![Some(1.0)]));
    let totals = file.reader().totals(RecordKind::Llm, DAY, DAY + 10, DAY + 10).unwrap();
    assert_eq!(totals.len(), 1);
    assert_eq!(file.reader().records("llm", WallTime(DAY * SECOND), WallTime((DAY + 5) * SECOND), 100).unwrap().len(), 10);
}

#[test]
fn what_is_kept_one_by_one_comes_back_newest_first() {
    let file = file();
    let mut rollup = file.rollup();
    let records = [
        request(DAY, "shop", "/fast", 1_000, 200),
        request(DAY + 1, "shop", "/slow", 2_000_000, 200),
        request(DAY + 2, "shop", "/failed", 1_000, 503),
    ];
    write(&mut rollup, &records);
    let kept = file.reader().records("request", WallTime(0), WallTime(u64::MAX), 10).unwrap();
    let paths: Vec<_> = kept.iter().map(|json| serde_json::from_str::<serde_json::Value>(json).unwrap()["path"].clone()).collect();
    assert_eq!(paths, ["/failed", "/slow"]);
    assert_eq!(file.reader().records("request", WallTime(0), WallTime(u64::MAX), 1).unwrap().len(), 1);
}

#[test]
fn a_flood_of_failed_requests_is_kept_in_part_and_counted_in_full() {
    let file = file();
    let pending = pending(&(0..1_000).map(|_| request(DAY, "shop", "/", 1_000, 500)).collect::<Vec<_>>());
    assert_eq!((pending.kept.len(), pending.skipped), (limits::STORE_REQUESTS, 1_000 - limits::STORE_REQUESTS as u64));
    file.rollup().write(&pending).unwrap();
    assert_eq!(values(&file.reader().history(&query("request.errors", DAY, DAY + 10, 10)).unwrap()), [Some(1_000.0)]);
}

#[test]
fn of_database_commands_the_slow_and_failed_ones_are_kept() {
    let command = |time_ms: u64, error: Option<&str>| {
        let time = WallTime(DAY * SECOND);
        let operation = if time_ms == 9_000 { "BLPOP" } else { "GET" };
        Record::Db(Box::new(crate::record::Db {
            time,
            system: "redis",
            operation: Some(operation.into()),
            error: error.map(Into::into),
            ..crate::aggregate::tests::query::command(Side::Client, "GET ?", time_ms)
        }))
    };
    let commands: Vec<_> =
        (0..1_000).map(|_| command(2, None)).chain([command(2_000, None), command(9_000, None), command(1, Some("ERR"))]).collect();
    let pending = pending(&commands);
    assert_eq!((pending.kept.len(), pending.skipped), (2, 0));
    let (file, later) = (file(), DAY + 32 * 86_400);
    let mut rollup = file.rollup();
    rollup.write(&pending).unwrap();
    retention::expire(rollup.connection(), later, &Retention::default()).unwrap();
    assert_eq!(file.reader().records("db", WallTime(0), WallTime(u64::MAX), 10).unwrap(), Vec::<String>::new());
}

#[test]
fn the_end_of_a_websocket_is_no_request_and_is_kept_when_it_failed() {
    let end = |error| {
        let Record::Request(opening) = request(DAY, "shop", "/ws", 900_000_000, 101) else { unreachable!() };
        Record::Request(Request { protocol: "websocket", streaming: true, performance_category: None, error, ..opening })
    };
    assert!(SeriesKey::of(&end(Some(Failure::Reset))).is_none());
    let pending = pending(&[end(None), end(Some(Failure::Reset))]);
    assert_eq!((pending.cells.len(), pending.kept.len()), (0, 1));
}

#[test]
fn hostile_names_are_only_names() {
    let file = file();
    let mut rollup = file.rollup();
    let name = "/'; DROP TABLE series; --\"\\\u{0}\u{202e}<script>";
    write(&mut rollup, &[request(DAY, "shop", name, 1_000, 200)]);
    let totals = file.reader().totals(RecordKind::Request, DAY, DAY + 10, DAY + 10).unwrap();
    assert_eq!(totals[0].0["endpoint"], name);
    assert_eq!(SeriesKey::of(&request(DAY, "shop", name, 1, 200)).unwrap().other().to_json(), {
        r#"{"endpoint":"(other)","method":"(other)","service":"shop","side":"server"}"#
    });
}

#[test]
fn the_oldest_goes_by_age_and_by_size() {
    let file = file();
    let mut rollup = file.rollup();
    for minute in 0..200 {
        let second = DAY + minute * 60;
        let records: Vec<_> = (0..40).flat_map(|i| [request(second, "shop", &format!("/{i}"), i * 9_000, 500)]).collect();
        write(&mut rollup, &records);
    }
    let now = DAY + 200 * 60;
    rollup.complete(now).unwrap();
    let used = retention::used_bytes(rollup.connection()).unwrap();
    let removed = retention::shrink(rollup.connection(), used / 3).unwrap();
    let left = retention::used_bytes(rollup.connection()).unwrap();
    assert!(removed > 0 && left <= used / 3, "{removed} went, {left} of {used} bytes are left");
    assert!(fs::metadata(&file.path).unwrap().len() < used, "the file itself has shrunk");
    // The newest of every part remains, and hours cover everything.
    for (count, least) in [("rollup WHERE level = 0", 40), ("rollup WHERE level = 1", 40), ("record", 40)] {
        let left: i64 = rollup.connection().query_row(&format!("SELECT count(*) FROM {count}"), [], |row| row.get(0)).unwrap();
        assert!(left >= least, "{left} in {count}");
    }
    let newest = file.reader().history(&query("request.count", now - 60, now, 60)).unwrap();
    assert_eq!(values(&newest), [Some(40.0)]);
    assert_eq!(values(&file.reader().history(&query("request.count", DAY, DAY + 10_800, 10_800)).unwrap()), [Some(40.0 * 180.0)]);
    let retention = Retention { minute: Duration::from_secs(600), ..Retention::default() };
    retention::expire(rollup.connection(), now, &retention).unwrap();
    let oldest: i64 = rollup.connection().query_row("SELECT min(time) FROM rollup WHERE level = 1", [], |row| row.get(0)).unwrap();
    assert!(oldest as u64 >= now - 600 - 3_600 && (oldest as u64) < now - 600);
    assert!(retention::shrink(rollup.connection(), 1).unwrap() > 0);
    retention::sweep(rollup.connection()).unwrap();
    let series: i64 = rollup.connection().query_row("SELECT count(*) FROM series", [], |row| row.get(0)).unwrap();
    assert_eq!(series, 0);
}

#[test]
fn an_older_schema_is_brought_up_to_date_and_a_newer_one_left_alone() {
    let file = file();
    fs::create_dir_all(file.path.parent().unwrap()).unwrap();
    let mut old = rusqlite::Connection::open(&file.path).unwrap();
    schema::migrate(&mut old, &schema::MIGRATIONS[..1]).unwrap();
    let mut cell = Cell::default();
    add(&mut cell, &request(DAY, "shop", "/", 1_000, 200));
    old.execute("INSERT INTO series VALUES (1, 1, ?1)", [r#"{"side":"server","service":"shop"}"#]).unwrap();
    old.execute("INSERT INTO rollup VALUES (0, 1, ?1, 1, ?2)", rusqlite::params![DAY as i64, cell.to_bytes()]).unwrap();
    assert!(matches!(file.reader().records("llm", WallTime(0), WallTime(1), 1), Err(StoreError::Older)));
    drop(old);
    let mut rollup = file.rollup();
    write(&mut rollup, &[call(DAY, Side::Client, 0.5)]);
    assert_eq!(values(&file.reader().history(&query("request.count", DAY, DAY + 10, 10)).unwrap()), [Some(1.0)]);
    assert_eq!(file.reader().records("llm", WallTime(0), WallTime(u64::MAX), 9).unwrap().len(), 1);
    rollup.connection().pragma_update(None, "user_version", 99).unwrap();
    drop(rollup);
    let before = fs::read(&file.path).unwrap();
    let newer = schema::open(&file.path).unwrap_err();
    assert!(matches!(newer, StoreError::Newer { found: 99, .. }) && !newer.is_damage());
    assert!(fs::read(&file.path).unwrap() == before);
}

#[test]
fn the_file_is_private() {
    let file = file();
    let mut rollup = file.rollup();
    write(&mut rollup, &[request(DAY, "shop", "/", 1, 200)]);
    for name in ["", "-wal", "-shm"] {
        let mode = fs::metadata(format!("{}{name}", file.path.display())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::metadata(file.path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
}
