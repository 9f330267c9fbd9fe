//! A /proc made of files, for tests that need processes which this machine does not have.
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::root::ProcRoot;
use crate::inspect::ForeignReader;

/// The id of a container.
pub(super) const ID: &str = "3f4b8c1d2e5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A directory with `proc/` and whatever else a test puts into it.
pub(super) struct Fixture(tempfile::TempDir, ForeignReader);

impl Fixture {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), ForeignReader::in_threads())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn proc(&self) -> ProcRoot {
        ProcRoot::at(self.path().join("proc"), self.reader())
    }

    pub(super) fn reader(&self) -> ForeignReader {
        self.1.clone()
    }

    pub(super) fn file(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A process that started at tick 100 + pid.
    pub(super) fn process(&self, pid: u32, parent: u32, exe: &str, argv: &[&str]) {
        let word = argv.first().copied().unwrap_or(exe).split([' ', ':']).next().unwrap_or_default();
        let comm: String = word.rsplit('/').next().unwrap_or_default().chars().take(15).collect();
        let zeros = "0 ".repeat(17);
        self.file(
            &format!("proc/{pid}/stat"),
            &format!("{pid} ({comm}) S {parent} {zeros} {} {}", 100 + pid, "0 ".repeat(30)).replace("  ", " "),
        );
        self.file(&format!("proc/{pid}/comm"), &format!("{comm}\n"));
        self.file(&format!("proc/{pid}/cmdline"), &argv.iter().map(|argument| format!("{argument}\0")).collect::<String>());
        self.file(&format!("proc/{pid}/cgroup"), "0::/\n");
        symlink(exe, self.path().join(format!("proc/{pid}/exe"))).unwrap();
        symlink("/", self.path().join(format!("proc/{pid}/cwd"))).unwrap();
    }

    /// The process is gone.
    pub(super) fn end(&self, pid: u32) {
        fs::remove_dir_all(self.path().join(format!("proc/{pid}"))).unwrap();
    }
}
