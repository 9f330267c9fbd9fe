//! The opener: a file of another process → its bytes. A path below a process's root is resolved without leaving the root
//! (openat2(2) with RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS; component by component where that is missing), with the rights of the
//! process's user, and opened as a path first: only a regular file is then opened for reading, without blocking. So opening has no
//! effect on a FIFO or a device, and no link leads to what the process's user may not read. Sizes are limited.
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, open, openat, openat2, readlinkat};
use rustix::io::Errno;

use super::Refusal;
use super::request::{Bytes, ReadRequest};

/// Bytes of one read call.
const CHUNK: usize = 64 * 1024;
/// Symbolic links on one path; the kernel's own limit.
const LINKS: usize = 40;
/// File systems whose files the kernel makes up as they are read (linux/magic.h): procfs, sysfs, debugfs, tracefs.
const MADE_UP: [u64; 4] = [0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163];

/// Reads a file.
pub(super) fn read(request: &ReadRequest) -> Result<Bytes, Refusal> {
    let (file, is_whole) = match &request.below {
        None => (open_pseudo(&request.path)?, false),
        Some((inside, owner)) => {
            let root = open(&request.path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(refusal)?;
            let opened = match owner {
                Some(owner) => owner.act(|| open_below(root.as_fd(), inside)).map_err(|_| Refusal::Forbidden)?,
                None => open_below(root.as_fd(), inside),
            };
            (opened?, true)
        }
    };
    // A regular file that is too long is not what was looked for: not even its beginning is read.
    if is_whole && file.metadata().map_err(|_| Refusal::Unreadable)?.len() > request.limit {
        return Err(Refusal::TooLarge);
    }
    let read = read_up_to(&file, request.offset, request.limit)?;
    if is_whole && read.cut { Err(Refusal::TooLarge) } else { Ok(read) }
}

/// A file of /proc/PID itself, or an executable through it.
fn open_pseudo(path: &Path) -> Result<File, Refusal> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).map(File::from).map_err(refusal)
}

/// A regular file below `root`.
fn open_below(root: BorrowedFd<'_>, inside: &Path) -> Result<File, Refusal> {
    let path = resolve(root, inside)?;
    if FileType::from_raw_mode(fstat(&path).map_err(refusal)?.st_mode) != FileType::RegularFile {
        return Err(Refusal::Irregular);
    }
    if MADE_UP.contains(&(fstatfs(&path).map_err(refusal)?.f_type as u64)) {
        return Err(Refusal::Irregular);
    }
    open_pseudo(Path::new(&format!("/proc/self/fd/{}", path.as_raw_fd())))
}

fn resolve(root: BorrowedFd<'_>, inside: &Path) -> Result<OwnedFd, Refusal> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match openat2(root, inside, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS) {
        // Before Linux 5.6; EPERM also where a sandbox knows no openat2.
        Err(Errno::NOSYS | Errno::PERM) => walk(root, inside),
        // Raced with a rename.
        Err(Errno::AGAIN) => walk(root, inside),
        other => other.map_err(refusal),
    }
}

/// What openat2 does, by hand: each component is opened by itself and no link is followed by the kernel. `..` goes back to what was
/// opened before, so that nothing above the root can be reached.
fn walk(root: BorrowedFd<'_>, inside: &Path) -> Result<OwnedFd, Refusal> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut above: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    let mut ahead: VecDeque<OsString> = VecDeque::new();
    push_front(&mut ahead, inside);
    while let Some(component) = ahead.pop_front() {
        match component.as_bytes() {
            b"/" => above.clear(),
            b".." => {
                above.pop();
            }
            _ => {
                let here = above.last().map_or(root, |fd| fd.as_fd());
                let next = openat(here, &component, flags, Mode::empty()).map_err(refusal)?;
                if FileType::from_raw_mode(fstat(&next).map_err(refusal)?.st_mode) == FileType::Symlink {
                    links += 1;
                    if links > LINKS {
                        return Err(Refusal::Unresolvable);
                    }
                    let target = readlinkat(&next, "", Vec::new()).map_err(refusal)?;
                    push_front(&mut ahead, Path::new(OsStr::from_bytes(target.as_bytes())));
                } else {
                    above.push(next);
                }
            }
        }
    }
    match above.pop() {
        Some(found) => Ok(found),
        // The root itself.
        None => Err(Refusal::Irregular),
    }
}

fn push_front(ahead: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::CurDir | Component::Prefix(_) => {}
            other => ahead.push_front(OsString::from_vec(other.as_os_str().as_bytes().to_vec())),
        }
    }
}

fn read_up_to(file: &File, offset: u64, limit: u64) -> Result<Bytes, Refusal> {
    let mut bytes = Vec::new();
    loop {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1).saturating_sub(bytes.len()).min(CHUNK);
        if wanted == 0 {
            break;
        }
        let length = bytes.len();
        bytes.resize(length + wanted, 0);
        match file.read_at(&mut bytes[length..], offset + length as u64) {
            Ok(count) => {
                bytes.truncate(length + count);
                if count == 0 {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => bytes.truncate(length),
            // A process that is gone; what was read of it may be half.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Err(Refusal::Absent),
            Err(_) => return Err(Refusal::Unreadable),
        }
    }
    let cut = bytes.len() as u64 > limit;
    bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Bytes { bytes, cut })
}

fn refusal(error: Errno) -> Refusal {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::SRCH => Refusal::Absent,
        Errno::ACCESS | Errno::PERM => Refusal::Forbidden,
        Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG => Refusal::Unresolvable,
        Errno::NXIO | Errno::NODEV => Refusal::Irregular,
        _ => Refusal::Unreadable,
    }
}

#[cfg(test)]
mod tests;
