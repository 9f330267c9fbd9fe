//! What a second's write costs: 200 endpoints each second, a transaction a second, as the writer thread does it.
use super::*;

#[test]
#[ignore = "a measurement; in an optimised build"]
fn a_second_of_200_series() {
    let file = file();
    let mut rollup = file.rollup();
    let (mut cells, mut largest, mut took, mut longest) = (0, 0, Duration::ZERO, Duration::ZERO);
    for second in DAY..DAY + 2 * 3_600 {
        let one = |(i, x): (usize, u64)| request(second, &format!("service-{}", i % 8), &format!("/api/{i}"), 2_000 + x % 20_000, 200);
        let records: Vec<_> = scattered(second).take(200).enumerate().map(one).collect();
        let pending = pending(&records);
        cells += pending.cells.len();
        #[expect(clippy::disallowed_methods, reason = "the test measures time that passes")]
        let start = std::time::Instant::now();
        rollup.write(&pending).unwrap();
        rollup.complete(second).unwrap();
        if second % 60 == 0 {
            while !rollup.pack(second).unwrap().is_nothing() {}
        }
        let one = start.elapsed();
        (took, longest) = (took + one, longest.max(one));
        largest = largest.max(fs::metadata(file.path.with_extension("db-wal")).map_or(0, |wal| wal.len()));
    }
    println!("{:.2} µs a cell, longest write {longest:?}, largest WAL {} KiB", took.as_secs_f64() * 1e6 / cells as f64, largest >> 10);
    assert!(largest < 64 << 20, "{largest} bytes");
}
