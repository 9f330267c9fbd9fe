//! Against this machine's own library, where there is one, and files that are none.
use super::*;

#[test]
fn files_that_are_no_library_are_refused() {
    assert_eq!(points(b""), Err(NoPoints::Foreign));
    assert_eq!(points(b"\x7fELF but not really"), Err(NoPoints::Foreign));
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(points(&own), Err(NoPoints::NoFunctions));
    // The same file, said to be of 32 bits.
    let mut narrow = own;
    narrow[4] = 1;
    assert_eq!(points(&narrow), Err(NoPoints::Foreign));
}

#[test]
fn both_directions_of_the_own_library_are_found() {
    let places = [
        "/usr/lib/x86_64-linux-gnu/libssl.so.3",
        "/usr/lib64/libssl.so.3",
        "/usr/lib/libssl.so.3",
        "/usr/lib/aarch64-linux-gnu/libssl.so.3",
    ];
    let Some(file) = places.iter().find_map(|place| std::fs::read(place).ok()) else {
        return eprintln!("skipped: this machine has no shared OpenSSL");
    };
    let found = points(&file).unwrap();
    for direction in ["tls_read", "tls_write"] {
        assert!(found.iter().any(|point| point.program.starts_with(direction)), "{found:?}");
    }
    assert!(found.iter().all(|point| point.offset > 0 && point.offset < file.len() as u64), "{found:?}");
}
