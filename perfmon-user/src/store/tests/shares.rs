//! Series of the file are shared among services: one with ever new names leaves room for the others, also after a restart.
use super::*;

/// Writes requests of a service to so many endpoints, from `first` on; returns how many found no series of their own.
fn overflowed(rollup: &mut Rollup, service: &str, first: usize, count: usize) -> u64 {
    let records: Vec<Record> = (first..first + count).map(|n| request(DAY, service, &format!("/{n}"), 5, 200)).collect();
    let wrote = rollup.write(&pending(&records)).unwrap();
    assert_eq!(wrote.damaged, 0);
    wrote.overflowed
}

#[test]
fn one_service_has_half_of_the_series_and_a_later_one_finds_room() {
    let file = file();
    let half = limits::STORE_SERIES / 2;
    let mut rollup = file.rollup();
    assert_eq!(overflowed(&mut rollup, "scanned", 0, half + 40), 40);
    drop(rollup);
    // What the file has counts after a restart, and after series were removed.
    let mut rollup = file.rollup();
    assert_eq!(overflowed(&mut rollup, "scanned", half + 40, 10), 10);
    assert_eq!(overflowed(&mut rollup, "late", 0, 1_000), 0);
    rollup.forget();
    assert_eq!((overflowed(&mut rollup, "late", 0, 1_100), overflowed(&mut rollup, "scanned", 0, half + 40)), (0, 40));
    let series: i64 = rollup.connection().query_row("SELECT count(*) FROM series WHERE kind < 64", [], |row| row.get(0)).unwrap();
    assert_eq!(series as usize, half + 1 + 1_100);
}
