//! Traps in a folder that stands for a process's root.
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{CWD, Gid, Uid, chown, mknodat};

use super::*;
use crate::inspect::FileUser;

const LIMIT: u64 = 1_000;

struct Trap(tempfile::TempDir);

impl Trap {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::create_dir_all(folder.path().join("root/app")).unwrap();
        std::fs::write(folder.path().join("outside"), "outside").unwrap();
        std::fs::write(folder.path().join("root/app/package.json"), "inside").unwrap();
        Self(folder)
    }

    fn path(&self, inside: &str) -> std::path::PathBuf {
        self.0.path().join("root").join(inside)
    }

    fn read_as(&self, inside: &str, owner: Option<FileUser>) -> Result<String, Refusal> {
        let request = ReadRequest { path: self.path(""), below: Some((inside.into(), owner)), offset: 0, limit: LIMIT };
        let result = read(&request).map(|read| String::from_utf8(read.bytes).unwrap());
        let root = open(self.path(""), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        if request.below.as_ref().is_some_and(|(_, owner)| owner.is_none()) {
            let by_hand = walk(root.as_fd(), Path::new(inside)).is_ok();
            let by_kernel = openat2(
                root.as_fd(),
                inside,
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            );
            if !matches!(by_kernel, Err(Errno::NOSYS)) && inside != "/" {
                assert_eq!(by_hand, by_kernel.is_ok(), "{inside}: the two ways of resolving differ");
            }
        }
        result
    }

    fn read(&self, inside: &str) -> Result<String, Refusal> {
        self.read_as(inside, None)
    }
}

#[test]
fn files_below_the_root_are_read() {
    let trap = Trap::new();
    symlink("/app/package.json", trap.path("absolute")).unwrap();
    symlink("app/../app/package.json", trap.path("relative")).unwrap();
    symlink("/app", trap.path("folder")).unwrap();
    for inside in ["app/package.json", "/app/package.json", "absolute", "relative", "folder/package.json", "app/../../../app/package.json"]
    {
        assert_eq!(trap.read(inside), Ok("inside".into()), "{inside}");
    }
    assert_eq!(trap.read("app/none"), Err(Refusal::Absent));
}

#[test]
fn no_link_leads_out() {
    let trap = Trap::new();
    let outside = trap.0.path().join("outside");
    symlink(&outside, trap.path("absolute")).unwrap();
    symlink("../outside", trap.path("up")).unwrap();
    symlink("../../../../../../../../../../etc/passwd", trap.path("far")).unwrap();
    symlink("loop", trap.path("loop")).unwrap();
    assert_eq!(trap.read("absolute"), Err(Refusal::Absent));
    assert_eq!(trap.read("up"), Err(Refusal::Absent));
    assert_eq!(trap.read("far"), Err(Refusal::Absent));
    assert_eq!(trap.read("../outside"), Err(Refusal::Absent));
    assert_eq!(trap.read("loop"), Err(Refusal::Unresolvable));
}

#[test]
fn what_is_no_regular_file_is_left_alone() {
    let trap = Trap::new();
    mknodat(CWD, trap.path("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    assert_eq!(trap.read("fifo"), Err(Refusal::Irregular), "and the call came back");
    assert_eq!(trap.read("app"), Err(Refusal::Irregular));
    assert_eq!(trap.read("/"), Err(Refusal::Irregular));
    let socket = std::os::unix::net::UnixListener::bind(trap.path("socket")).unwrap();
    assert_eq!(trap.read("socket"), Err(Refusal::Irregular));
    drop(socket);
    // /dev/zero by another name; only root may make it.
    if mknodat(CWD, trap.path("zero"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), rustix::fs::makedev(1, 5)).is_ok() {
        assert_eq!(trap.read("zero"), Err(Refusal::Irregular));
    }
    let whole = ReadRequest { path: "/".into(), below: Some(("/proc/self/status".into(), None)), offset: 0, limit: LIMIT };
    assert_eq!(read(&whole), Err(Refusal::Irregular));
    let magic = ReadRequest { path: "/".into(), below: Some(("/proc/self/root/etc/passwd".into(), None)), offset: 0, limit: 1 << 20 };
    assert_eq!(read(&magic), Err(Refusal::Unresolvable));
}

#[test]
fn sizes_are_limited() {
    let trap = Trap::new();
    let sparse = File::create(trap.path("sparse")).unwrap();
    sparse.set_len(4 << 30).unwrap();
    assert_eq!(trap.read("sparse"), Err(Refusal::TooLarge));
    std::fs::write(trap.path("full"), vec![b'x'; LIMIT as usize]).unwrap();
    assert_eq!(trap.read("full").map(|text| text.len()), Ok(LIMIT as usize));
    std::fs::write(trap.path("over"), vec![b'x'; LIMIT as usize + 1]).unwrap();
    assert_eq!(trap.read("over"), Err(Refusal::TooLarge));
    // Pseudo files have no size: their beginning counts, as with a maps of a million lines.
    let maps = ReadRequest { path: "/proc/self/maps".into(), below: None, offset: 0, limit: 100 };
    let read = read(&maps).unwrap();
    assert_eq!((read.bytes.len(), read.cut), (100, true));
}

#[test]
fn names_need_not_be_utf_8() {
    let trap = Trap::new();
    let name = OsStr::from_bytes(b"\xff\xfe");
    std::fs::write(trap.path("").join(name), "odd").unwrap();
    symlink(name, trap.path("link")).unwrap();
    assert_eq!(trap.read("link"), Ok("odd".into()));
}

#[test]
fn the_process_s_user_must_be_allowed_to_read() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let trap = Trap::new();
    let nobody = || Some(FileUser { uid: 65_534, gid: 65_534, groups: vec![] });
    let in_group = || Some(FileUser { uid: 65_534, gid: 65_534, groups: vec![4_321] });
    std::fs::write(trap.path("secret"), "secret").unwrap();
    std::fs::set_permissions(trap.path("secret"), PermissionsExt::from_mode(0o600)).unwrap();
    symlink("/secret", trap.path("app/link")).unwrap();
    std::fs::write(trap.path("grouped"), "grouped").unwrap();
    std::fs::set_permissions(trap.path("grouped"), PermissionsExt::from_mode(0o640)).unwrap();
    chown(trap.path("grouped"), Some(Uid::ROOT), Some(Gid::from_raw(4_321))).unwrap();
    // Readable, but in a folder that this user may not enter.
    std::fs::create_dir(trap.path("closed")).unwrap();
    std::fs::write(trap.path("closed/open"), "open").unwrap();
    std::fs::set_permissions(trap.path("closed"), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(trap.read_as("app/package.json", nobody()), Ok("inside".into()));
    for inside in ["secret", "app/link", "grouped", "closed/open"] {
        assert_eq!(trap.read_as(inside, nobody()), Err(Refusal::Forbidden), "{inside}");
        let root = FileUser { uid: 0, gid: 0, groups: vec![] };
        assert!(trap.read_as(inside, Some(root)).is_ok(), "{inside}");
    }
    assert_eq!(trap.read_as("grouped", in_group()), Ok("grouped".into()));
    assert!(rustix::process::geteuid().is_root() && std::fs::read(trap.path("secret")).is_ok(), "the rights came back");
}
