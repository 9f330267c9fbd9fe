//! What the kernel is not needed for: which files are taken, who makes room.
use super::*;
use crate::probe::library::by_name;

fn temporary(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("perfmon-tls-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("libssl.so.3")
}

fn mapped(id: FileId) -> Mapped {
    Mapped { id, range: "1-2".into(), path: "/libssl.so.3".into(), library: by_name("libssl.so.3").unwrap() }
}

#[test]
fn only_the_mapped_regular_file_of_bearable_size_is_read() {
    let path = temporary("file");
    std::fs::write(&path, b"not much").unwrap();
    let own = LibraryFile::open(&path).unwrap();
    assert_eq!(own.read().unwrap(), b"not much");
    assert!(LibraryFile::check(file::open(&path).unwrap(), &mapped(own.id())).is_ok());
    let other = FileId { inode: own.id().inode + 1, ..own.id() };
    assert_eq!(LibraryFile::check(file::open(&path).unwrap(), &mapped(other)).err().as_deref(), Some("its file was replaced"));
    // It shrinks between check and reading.
    std::fs::write(&path, b"not").unwrap();
    assert!(own.read().is_err());
    std::fs::File::options().write(true).open(&path).unwrap().set_len(4 << 30).unwrap();
    assert_eq!(LibraryFile::open(&path).err().as_deref(), Some("its file is too large"));
    std::fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(LibraryFile::open(&path).err().as_deref(), Some("it is no regular file"));
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn many_files_of_one_owner_leave_those_of_others_alone() {
    let mut libraries = TlsLibraries::new(TlsOptions { everywhere: true, return_probes: false }, TlsPrograms::Single(None));
    let mut add = |inode: u64, owner: u32| {
        libraries.make_room(owner);
        libraries.uses += 1;
        let outcome = Err("no library".into());
        let stamp = FileStamp::default();
        let (last_use, id) = (libraries.uses, FileId { device: 1, inode });
        let known = Known { stamp, owner, last_use, mapped_as: None, users: HashMap::new(), unused_since_ns: None, outcome };
        libraries.known.insert(id, known);
    };
    (0..5).for_each(|inode| add(inode, 0));
    (100..1_100).for_each(|inode| add(inode, 65_534));
    // A hundred owners, four files each.
    (2_000..2_400).for_each(|inode| add(inode, 1_000 + inode as u32 / 4));
    let of = |owner: u32| libraries.known.values().filter(|known| known.owner == owner).count();
    assert_eq!(of(0), 5, "who has few keeps them");
    assert_eq!(of(1_599), 4, "so does another one");
    assert_eq!(of(65_534), TLS_LIBRARIES - 405, "who has most makes room");
    assert!(libraries.known.contains_key(&FileId { device: 1, inode: 2_399 }), "the newest is there");
}

/// A library in two processes, of which maps show the numbers of another file system.
fn used_by_two() -> (TlsLibraries, FileId, FileId) {
    let mut libraries = TlsLibraries::new(TlsOptions { everywhere: true, return_probes: false }, TlsPrograms::Single(None));
    let (id, mapped_as) = (FileId { device: 1, inode: 5 }, FileId { device: 2, inode: 50 });
    let users = [(10, "1-2".to_owned()), (11, "3-4".to_owned())].into();
    let outcome = Ok(Probed { points: Vec::new(), links: HashMap::from([(None, Vec::new())]) });
    let stamp = FileStamp::default();
    libraries.known.insert(id, Known { stamp, owner: 0, last_use: 0, mapped_as: Some(mapped_as), users, unused_since_ns: None, outcome });
    (libraries, id, mapped_as)
}

#[test]
fn a_library_goes_some_time_after_its_last_process() {
    let (mut libraries, id, _) = used_by_two();
    assert!(!libraries.sweep(1, |pid, range| (pid, range) == (10, "1-2")), "one is left");
    libraries.release(&[10], 2);
    assert!(!libraries.sweep(LINGER_NS, |_, _| true), "not long enough");
    libraries.keep(LINGER_NS, &[]);
    assert!(libraries.known.contains_key(&id));
    assert!(libraries.sweep(2 + LINGER_NS, |_, _| true));
    libraries.keep(2 + LINGER_NS, &[]);
    assert!(libraries.known.is_empty());
}

#[test]
fn a_library_that_an_unnoticed_process_has_mapped_stays() {
    let (mut libraries, id, mapped_as) = used_by_two();
    libraries.release(&[10, 11], 1);
    // A child of one of them.
    libraries.keep(1 + LINGER_NS, &[(12, mapped(mapped_as))]);
    assert_eq!(libraries.known[&id].users, HashMap::from([(12, "1-2".to_owned())]));
    assert!(!libraries.sweep(100 * LINGER_NS, |_, _| true));
    assert!(libraries.sweep(200 * LINGER_NS, |_, _| false) || libraries.sweep(300 * LINGER_NS, |_, _| false));
}

#[test]
fn a_library_in_its_usual_place_stays_without_users() {
    let (mut libraries, id, _) = used_by_two();
    libraries.usual.insert(id);
    libraries.release(&[10, 11], 1);
    assert!(!libraries.sweep(100 * LINGER_NS, |_, _| true));
}
