//! Against this machine's own library, where there is one, and files that are none. `tests/tests/live_tls_objects.rs` uses the points.
use super::*;
use crate::probe::library::points as all_points;

fn points(file: &[u8], ways: Ways) -> Result<Vec<Point>, NoPoints> {
    all_points(&OpenSsl, file, ways)
}

fn own_library() -> Option<Vec<u8>> {
    let places = [
        "/usr/lib/x86_64-linux-gnu/libssl.so.3",
        "/usr/lib64/libssl.so.3",
        "/usr/lib/libssl.so.3",
        "/usr/lib/aarch64-linux-gnu/libssl.so.3",
    ];
    let found = places.iter().find_map(|place| std::fs::read(place).ok());
    if found.is_none() {
        eprintln!("skipped: this machine has no shared OpenSSL");
    }
    found
}

#[test]
fn files_that_are_no_library_are_refused() {
    assert_eq!(points(b"", Ways::Returns), Err(NoPoints::Foreign));
    assert_eq!(points(b"\x7fELF but not really", Ways::Returns), Err(NoPoints::Foreign));
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(points(&own, Ways::Returns), Err(NoPoints::NoFunction("SSL_read")));
    // The same file, said to be of 32 bits, then of another machine.
    for (place, value) in [(4, 1), (18, 8)] {
        let mut foreign = own.clone();
        foreign[place] = value;
        assert_eq!(points(&foreign, Ways::Returns), Err(NoPoints::Foreign));
    }
}

#[test]
fn names_of_files() {
    for name in ["libssl.so.3", "libssl.so.1.1", "libssl.so", "libssl-1a2b3c4d.so.3"] {
        assert!(OpenSsl.is_named(name), "{name}");
    }
    for name in ["libssl3.so", "libcrypto.so.3", "ssl.so", "libssl-notes.txt"] {
        assert!(!OpenSsl.is_named(name), "{name}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_own_library_needs_no_return_probe() {
    let Some(file) = own_library() else { return };
    let found = points(&file, Ways::Instructions).unwrap();
    let of = |program| found.iter().filter(|point| point.program == program).collect::<Vec<_>>();
    assert_eq!(points(&file, Ways::Returns).as_ref(), Ok(&found), "return probes are only for libraries that need them");
    assert!(found.iter().all(|point| point.offset > 0 && point.offset < file.len() as u64), "{found:?}");
    for direction in [DIRECTION_IN, DIRECTION_OUT] {
        let in_direction = |points: &[&Point]| points.iter().filter(|point| point.convention.direction == direction).count();
        assert!(in_direction(&of(ENTRY)) > 0, "{found:?}");
        assert_eq!(in_direction(&of(RESULT)), 2, "one for each form: {found:?}");
    }
    assert_eq!((of(RETURN).len(), of(FREE).len()), (0, 1), "{found:?}");
    assert!(
        of(ENTRY).iter().all(|point| matches!(point.convention.count_argument, 3..=5) && point.convention.frame_bytes >= 8),
        "{found:?}"
    );
    let last_result = found.iter().rposition(|point| point.program == RESULT);
    assert!(last_result < found.iter().position(|point| point.program == ENTRY), "results come first");
}

/// A file whose code is random never gives a point outside its code, whatever the walk makes of it.
#[test]
#[cfg(target_arch = "x86_64")]
fn other_code_gives_no_points_or_points_in_it() {
    let Some(file) = own_library() else { return };
    let good = points(&file, Ways::Instructions).unwrap();
    let lowest = good.iter().map(|point| point.offset).min().unwrap();
    let mut state = 1u32;
    for _ in 0..300 {
        let mut broken = file.clone();
        for _ in 0..40 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = lowest as usize - 512 + (state >> 8) as usize % 4_096;
            broken[place] = state as u8;
        }
        if let Ok(found) = points(&broken, Ways::Instructions) {
            assert!(found.iter().all(|point| point.offset < broken.len() as u64), "{found:?}");
        }
    }
}
