//! Reads one process's files below /proc (or a copy of it in tests). Everything may be gone or forbidden at any time: then `None`
//! or empty. Reads are bounded, since the observed process decides how long its arguments and environment are. What can hang because
//! the kernel touches the process's memory or file systems goes through [`ForeignReader`]; the rest is the kernel's own. Format: proc(5).
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use procfs::FromRead;
use procfs::process::Stat;

use crate::inspect::{FileUser, ForeignReader, Refusal};
use crate::limits::MAPS_BYTES;

/// Bytes of `cmdline` that are read.
const CMDLINE_BYTES: u64 = 64 * 1024;
/// Bytes of `environ`; the kernel's limit for one string is 128 KiB.
const ENVIRON_BYTES: u64 = 1024 * 1024;
/// Bytes of `status`; with 65,536 groups it is longer, and then it has no owner that could be taken.
const STATUS_BYTES: u64 = 64 * 1024;
/// Bytes of a file of the process's own that a name is looked for in.
const OWN_FILE_BYTES: u64 = 256 * 1024;

/// Where /proc is.
#[derive(Clone, Debug)]
pub(super) struct ProcRoot {
    root: PathBuf,
    reader: ForeignReader,
}

/// What of `/proc/PID/stat` matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub comm: String,
    pub parent: u32,
    /// Clock ticks since boot; with the pid it identifies a process.
    pub start_time: u64,
    /// Ended, waiting for its parent.
    pub zombie: bool,
}

impl ProcRoot {
    /// This host's `/proc`.
    pub(super) fn new(reader: ForeignReader) -> Self {
        Self::at("/proc", reader)
    }

    /// Another place.
    pub(super) fn at(root: impl Into<PathBuf>, reader: ForeignReader) -> Self {
        Self { root: root.into(), reader }
    }

    /// What reads files that may hang.
    pub(super) fn reader(&self) -> &ForeignReader {
        &self.reader
    }

    /// A file of a process.
    pub(super) fn path(&self, pid: u32, file: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(file)
    }

    fn read(&self, pid: u32, file: &str, limit: u64) -> Option<Vec<u8>> {
        read_bounded(&self.path(pid, file), limit)
    }

    /// A file whose reading touches the process's memory.
    fn read_memory(&self, pid: u32, file: &str, limit: u64) -> Option<(Vec<u8>, bool)> {
        self.reader.beginning(pid, self.uid(pid), self.path(pid, file), limit).ok()
    }

    /// The user whose rights to files a process has; `None` when it is gone.
    pub(super) fn owner(&self, pid: u32) -> Option<FileUser> {
        FileUser::parse(&String::from_utf8_lossy(&self.read(pid, "status", STATUS_BYTES)?))
    }

    fn uid(&self, pid: u32) -> u32 {
        self.owner(pid).map_or(0, |owner| owner.uid)
    }

    /// All processes.
    pub(super) fn pids(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
    }

    pub(super) fn life(&self, pid: u32) -> Option<Life> {
        let stat = Stat::from_read(self.read(pid, "stat", 4096)?.as_slice()).ok()?;
        let zombie = matches!(stat.state, 'Z' | 'X');
        Some(Life { parent: stat.ppid.try_into().ok()?, start_time: stat.starttime, zombie, comm: stat.comm })
    }

    pub(super) fn comm(&self, pid: u32) -> Option<String> {
        Some(String::from_utf8_lossy(&self.read(pid, "comm", 64)?).trim_end_matches('\n').to_owned())
    }

    /// Arguments; empty for kernel threads.
    pub(super) fn argv(&self, pid: u32) -> Option<Vec<String>> {
        Some(split_nul(&self.read_memory(pid, "cmdline", CMDLINE_BYTES)?.0))
    }

    /// The executable's path as its mount namespace names it, also when the file was replaced since.
    pub(super) fn exe(&self, pid: u32) -> Option<PathBuf> {
        let link = fs::read_link(self.path(pid, "exe")).ok()?;
        Some(without_deleted(link.as_os_str().as_bytes()))
    }

    pub(super) fn cwd(&self, pid: u32) -> Option<PathBuf> {
        fs::read_link(self.path(pid, "cwd")).ok()
    }

    /// The environment that the process was started with, each variable ended by NUL.
    pub(super) fn environ(&self, pid: u32) -> Option<Vec<u8>> {
        Some(self.read_memory(pid, "environ", ENVIRON_BYTES)?.0)
    }

    /// The kernel refuses a look into the process.
    pub(super) fn is_forbidden(&self, pid: u32) -> bool {
        fs::read_link(self.path(pid, "exe")).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    }

    /// Whether a ring of io_uring is among the first `limit` descriptors.
    pub(super) fn has_io_uring(&self, pid: u32, limit: usize) -> bool {
        let Ok(entries) = fs::read_dir(self.path(pid, "fd")) else { return false };
        let is_ring = |entry: fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == "anon_inode:[io_uring]");
        entries.flatten().take(limit).any(is_ring)
    }

    pub(super) fn cgroup(&self, pid: u32) -> Option<String> {
        Some(String::from_utf8_lossy(&self.read(pid, "cgroup", CMDLINE_BYTES)?).into_owned())
    }

    /// A file as the process itself sees it, in its own mount namespace, if its user may read it.
    pub(super) fn own_file(&self, pid: u32, path: &Path) -> Option<Vec<u8>> {
        self.reader.below(pid, self.path(pid, "root"), path, self.owner(pid), OWN_FILE_BYTES).ok()
    }

    /// A range of the executable's file.
    pub(super) fn executable_range(&self, pid: u32, offset: u64, length: u64) -> Option<Vec<u8>> {
        self.reader.range(pid, self.uid(pid), self.path(pid, "exe"), offset, length).ok()
    }

    /// The text of `maps`, the beginning of one that is too long.
    pub(super) fn maps(&self, pid: u32) -> Result<Vec<u8>, Refusal> {
        let (maps, cut) = self.reader.beginning(pid, self.uid(pid), self.path(pid, "maps"), MAPS_BYTES)?;
        if cut {
            self.reader.refused(pid, &self.path(pid, "maps"), Refusal::TooLarge);
        }
        Ok(maps)
    }

    /// Paths of the mapped files, each once, in order.
    pub(super) fn mapped_files(&self, pid: u32) -> Vec<PathBuf> {
        let maps = self.maps(pid).unwrap_or_default();
        let mut files: Vec<&[u8]> = Vec::new();
        for line in maps.split(|byte| *byte == b'\n') {
            // address perms offset dev inode path: the path begins at the first slash.
            let Some(start) = line.iter().position(|byte| *byte == b'/') else { continue };
            if files.last() != Some(&&line[start..]) {
                files.push(&line[start..]);
            }
        }
        files.sort_unstable();
        files.dedup();
        files.into_iter().map(without_deleted).collect()
    }

    /// Inode numbers of the sockets among the first `limit` descriptors.
    pub(super) fn socket_inodes(&self, pid: u32, limit: usize) -> Vec<u64> {
        let Ok(entries) = fs::read_dir(self.path(pid, "fd")) else { return Vec::new() };
        let inode =
            |entry: fs::DirEntry| fs::read_link(entry.path()).ok()?.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
        entries.flatten().take(limit).filter_map(inode).collect()
    }
}

/// A path that the kernel gives, without what it adds for a file that was removed.
fn without_deleted(path: &[u8]) -> PathBuf {
    std::ffi::OsString::from_vec(path.strip_suffix(b" (deleted)").unwrap_or(path).to_vec()).into()
}

/// The value of a variable in an environment, `NAME=value` each ended by NUL.
pub(super) fn variable(environ: &[u8], name: &str) -> Option<String> {
    let mut pairs = environ.split(|byte| *byte == 0);
    let value = pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn read_bounded(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Strings that are each ended by NUL. Empty ones at the end (left by programs that rewrite their title) are dropped.
pub(super) fn split_nul(bytes: &[u8]) -> Vec<String> {
    let mut strings: Vec<String> = bytes.split(|byte| *byte == 0).map(|string| String::from_utf8_lossy(string).into_owned()).collect();
    while strings.last().is_some_and(String::is_empty) {
        strings.pop();
    }
    strings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process() {
        let (proc, own) = (ProcRoot::new(ForeignReader::in_threads()), std::process::id());
        let life = proc.life(own).unwrap();
        assert!(life.start_time > 0 && life.parent > 0 && !life.zombie);
        assert_eq!(proc.exe(own), std::env::current_exe().ok());
        assert_eq!(proc.argv(own).unwrap(), std::env::args().collect::<Vec<_>>());
        assert!(proc.pids().contains(&own));
        assert!(proc.mapped_files(own).contains(&std::env::current_exe().unwrap()));
        let environ = proc.environ(own).unwrap();
        assert_eq!(["PATH", "PERFMON_NO_SUCH"].map(|name| variable(&environ, name)), [std::env::var("PATH").ok(), None]);
        assert!(!proc.is_forbidden(own) && !proc.has_io_uring(own, 4096));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!proc.socket_inodes(own, 4096).is_empty());
        drop(listener);
    }

    #[test]
    fn what_is_gone_is_none() {
        let proc = ProcRoot::at("/nonexistent", ForeignReader::in_threads());
        assert_eq!((proc.life(1), proc.comm(1), proc.argv(1), proc.exe(1)), (None, None, None, None));
        assert!(proc.pids().is_empty() && proc.mapped_files(1).is_empty());
    }

    #[test]
    fn arguments_are_split_at_nul() {
        assert_eq!(split_nul(b"a\0\0b\0"), ["a", "", "b"]);
        assert_eq!(split_nul(b"nginx: worker process\0\0\0\0"), ["nginx: worker process"]);
        assert!(split_nul(b"").is_empty());
    }
}
