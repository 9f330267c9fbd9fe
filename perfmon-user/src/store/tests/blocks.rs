//! Cells and records that were moved into blocks give the same answers; what comes late is merged; damage costs a block; age and size count.
use super::*;
use crate::store::cell_blocks::MovedCells;

const HOURS: u64 = 30;
const END: u64 = DAY + HOURS * 3_600;

/// Requests of 12 endpoints with two methods, of two services, and of two destinations; and samples of the host.
fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for (index, x) in scattered(11).take(4_000).enumerate() {
        let second = DAY + index as u64 * HOURS * 3_600 / 4_000;
        let service = ["shop", "stock"][x as usize % 2];
        let status = if x % 20 == 0 { 503 } else { 200 };
        let Record::Request(served) = request(second, service, &format!("/item{}", x % 12), x % 900_000 + 10, status) else {
            unreachable!()
        };
        let method = Some(["GET", "POST"][x as usize / 7 % 2].into());
        records.push(match x % 5 {
            0 => {
                let destination = Some(["db:5432", "api:443"][x as usize / 5 % 2].into());
                Record::Request(Request { side: Side::Client, method, destination, ..served })
            }
            _ => Record::Request(Request { method, ..served }),
        });
        if index % 4 == 0 {
            records.push(system(second, (x % 100) as f64));
            records.push(call(second, Side::Client, 0.01));
        }
    }
    records
}

fn filled(rollup: &mut Rollup) {
    for slice in records().chunks(500) {
        let pending = pending(slice);
        rollup.write(&pending).unwrap();
        rollup.complete(slice[slice.len() - 1].time().0 / SECOND).unwrap();
    }
    rollup.complete(END + 3_600).unwrap();
}

fn pack(rollup: &mut Rollup, now: u64) -> MovedCells {
    let mut all = MovedCells::default();
    loop {
        let moved = rollup.pack(now).unwrap();
        if moved.is_nothing() {
            return all;
        }
        assert!(moved.records <= 256);
        all = MovedCells { cells: all.cells + moved.cells, records: all.records + moved.records, damaged: all.damaged + moved.damaged };
    }
}

fn rows(rollup: &mut Rollup, table: &str) -> i64 {
    rollup.connection().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// Everything that readers are asked, as text.
fn answers(reader: &StoreReader) -> Vec<String> {
    let mut answers = Vec::new();
    let labels: [&[(&str, &str)]; 9] = [
        &[],
        &[("service", "shop")],
        &[("method", "POST")],
        &[("method", "GET"), ("service", "stock")],
        &[("destination", "api:443")],
        &[("side", "client")],
        &[("endpoint", "/item3")],
        &[("endpoint", "/item3"), ("method", "GET")],
        &[("method", "PATCH")],
    ];
    for metric in ["request.count", "request.error_rate", "request.response_time_ms.p95", "request.response_time_ms.max"] {
        for labels in labels {
            for (from, to, step) in [(DAY + 3_000, DAY + 9_000, 10), (DAY + 70_000, DAY + 85_000, 60), (DAY, END, 3_600)] {
                let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                let asked = HistoryQuery { labels, now: DAY + 86_400, ..query(metric, from, to, step) };
                let history = reader.history(&asked).unwrap();
                answers.push(format!("{metric} {:?} {step}: {:?}", asked.labels, values(&history)));
            }
        }
    }
    for kind in [RecordKind::Request, RecordKind::Llm, RecordKind::System] {
        let totals: std::collections::BTreeMap<_, _> = reader.totals(kind, DAY + 1_234, END, END).unwrap().into_iter().collect();
        answers.push(format!("{totals:?}"));
        let mut cells = reader.cells(kind, DAY + 40_000, DAY + 90_000).unwrap();
        cells.sort_by_key(|cell| (cell.start_s, cell.key.to_json()));
        answers.push(format!("{cells:?}"));
    }
    for (kind, limit) in [("request", 10_000), ("request", 17), ("llm", 10_000), ("llm", 1_000), ("llm", 0)] {
        for (from, to) in [(DAY, END), (DAY + 50_000, DAY + 70_000), (DAY, DAY + 1)] {
            answers.push(format!("{:?}", reader.records(kind, WallTime(from * SECOND), WallTime(to * SECOND), limit).unwrap()));
        }
    }
    answers
}

fn assert_same(left: &[String], right: &[String]) {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).for_each(|(left, right)| assert_eq!(left, right));
}

#[test]
fn blocks_give_the_same_answers_in_less_room() {
    let file = file();
    let mut rollup = file.rollup();
    filled(&mut rollup);
    let (before, used, cells) = (answers(&file.reader()), retention::used_bytes(rollup.connection()).unwrap(), rows(&mut rollup, "rollup"));
    let now = END + 2 * 86_400;
    rollup.complete(now).unwrap();
    let moved = pack(&mut rollup, now);
    assert!(moved.cells > cells as u64 * 9 / 10 && moved.damaged == 0 && moved.records >= 768, "{moved:?} of {cells}");
    assert_same(&before, &answers(&file.reader()));
    let left = retention::used_bytes(rollup.connection()).unwrap();
    assert!(left < used / 2, "{left} of {used}");
    assert_eq!(pack(&mut rollup, now), MovedCells::default());
}

#[test]
fn blocks_are_made_while_cells_are_written() {
    let (whole, slices) = (file(), file());
    filled(&mut whole.rollup());
    let mut rollup = slices.rollup();
    for slice in records().chunks(300) {
        let now = slice[slice.len() - 1].time().0 / SECOND;
        rollup.write(&pending(slice)).unwrap();
        rollup.complete(now).unwrap();
        rollup.pack(now).unwrap();
    }
    rollup.complete(END + 3_600).unwrap();
    assert!(rows(&mut rollup, "block") > 50);
    assert_same(&answers(&whole.reader()), &answers(&slices.reader()));
}

#[test]
fn what_comes_late_counts_beside_its_block_and_in_it() {
    let (direct, file) = (file(), file());
    let late: Vec<_> = (0..40).map(|i| request(DAY + i * 997, "shop", &format!("/item{}", i % 12), 3_000 + i * 1_000, 500)).collect();
    let mut rollup = direct.rollup();
    filled(&mut rollup);
    write(&mut rollup, &late);
    let mut rollup = file.rollup();
    filled(&mut rollup);
    pack(&mut rollup, END);
    write(&mut rollup, &late);
    // The same cell twice is one for who asks for figures.
    let of_cells = |answer: &&String| !answer.starts_with("[SeriesCell");
    let same = || {
        let (want, got) = (answers(&direct.reader()), answers(&file.reader()));
        want.iter().filter(of_cells).zip(got.iter().filter(of_cells)).for_each(|(want, got)| assert_eq!(want, got));
    };
    same();
    assert!(pack(&mut rollup, END).cells > 100);
    same();
    assert_same(&answers(&direct.reader()), &answers(&file.reader()));
}

#[test]
fn a_file_of_the_schema_before_keeps_its_history() {
    let (want, file) = (file(), file());
    let mut rollup = want.rollup();
    filled(&mut rollup);
    drop(rollup);
    fs::create_dir_all(file.path.parent().unwrap()).unwrap();
    let mut old = rusqlite::Connection::open(&file.path).unwrap();
    schema::migrate(&mut old, &schema::MIGRATIONS[..2]).unwrap();
    old.execute("ATTACH ?1 AS made", [want.path.to_str().unwrap()]).unwrap();
    for table in ["series", "rollup", "record"] {
        old.execute(&format!("INSERT INTO {table} SELECT * FROM made.{table}"), []).unwrap();
    }
    // Series of methods and destinations came later.
    old.execute_batch(
        "INSERT INTO complete SELECT * FROM made.complete WHERE level < 130;
         DELETE FROM rollup WHERE kind > 79; DELETE FROM series WHERE kind > 79; DETACH made",
    )
    .unwrap();
    drop(old);
    assert!(matches!(file.reader().totals(RecordKind::Request, DAY, END, END), Err(StoreError::Older)));
    let mut rollup = file.rollup();
    let want = answers(&want.reader());
    assert_same(&want, &answers(&file.reader()));
    rollup.complete(END + 2 * 86_400).unwrap();
    pack(&mut rollup, END + 2 * 86_400);
    assert_same(&want, &answers(&file.reader()));
    // From now on they are kept; times before are still answered without them.
    write(&mut rollup, &[request(END + 90_000, "shop", "/item3", 1_000, 200)]);
    assert_same(&want, &answers(&file.reader()));
    let verdict: String = rollup.connection().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[test]
fn a_damaged_block_costs_its_own_cells_and_is_counted() {
    let file = file();
    let mut rollup = file.rollup();
    write(&mut rollup, &[request(DAY, "shop", "/a", 1_000, 200), request(DAY + 7_200, "shop", "/a", 1_000, 200)]);
    rollup.complete(END).unwrap();
    pack(&mut rollup, END);
    rollup.connection().execute("UPDATE block SET packed = x'05ff' WHERE level = 0 AND start = ?1", [DAY as i64]).unwrap();
    let count =
        |step| values(&file.reader().history(&query("request.count", DAY, DAY + 10_800, step)).unwrap()).into_iter().flatten().sum::<f64>();
    assert_eq!((count(10), count(3_600)), (1.0, 2.0));
    write(&mut rollup, &[request(DAY, "shop", "/a", 1_000, 200)]);
    assert_eq!(pack(&mut rollup, END).damaged, 5);
    assert_eq!((count(10), count(3_600)), (2.0, 3.0));
}

#[test]
fn blocks_go_by_age_and_by_size() {
    let file = file();
    let mut rollup = file.rollup();
    filled(&mut rollup);
    let now = END + 86_400;
    rollup.complete(now).unwrap();
    pack(&mut rollup, now);
    let oldest = DAY + 86_400;
    let retention =
        Retention { finest: Duration::from_secs(now - oldest), records: Duration::from_secs(now - oldest), ..Retention::default() };
    retention::expire(rollup.connection(), now, &retention).unwrap();
    let first: i64 = rollup.connection().query_row("SELECT min(start) FROM block WHERE level = 0", [], |row| row.get(0)).unwrap();
    assert_eq!(first as u64, oldest - 3_600);
    for kind in ["llm", "request"] {
        let kept = file.reader().records(kind, WallTime(0), WallTime(u64::MAX), 10_000).unwrap();
        let range = file.reader().records(kind, WallTime((oldest - 3_600) * SECOND), WallTime(u64::MAX), 10_000).unwrap();
        assert!(!kept.is_empty() && kept.len() == range.len(), "{} and {}", kept.len(), range.len());
    }
    let used = retention::used_bytes(rollup.connection()).unwrap();
    assert!(retention::shrink(rollup.connection(), used * 2 / 3).unwrap() > 0);
    assert!(retention::used_bytes(rollup.connection()).unwrap() <= used * 2 / 3);
    let newest = file.reader().history(&query("request.count", END - 7_200, END, 3_600)).unwrap();
    assert!(values(&newest).iter().flatten().sum::<f64>() > 100.0);
    retention::shrink(rollup.connection(), 1).unwrap();
    retention::sweep(rollup.connection()).unwrap();
    for table in ["rollup", "block", "record", "record_block", "series"] {
        assert_eq!(rows(&mut rollup, table), 0, "{table}");
    }
}
