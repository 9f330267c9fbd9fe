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
    let mut libraries = TlsLibraries::new(TlsOptions { everywhere: true, return_probes: false }, TlsPrograms::Single);
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
