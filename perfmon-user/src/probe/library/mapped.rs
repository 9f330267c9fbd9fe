//! Text of `/proc/PID/maps`, proc(5) → the TLS libraries in it. Pure; the text is another process's and may hold anything.
use std::path::{Path, PathBuf};

use super::{Library, by_name};

/// Identity of a file in maps: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Device, as `st_dev`.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

/// A library in a process's maps.
#[derive(Clone)]
pub struct Mapped {
    /// The file.
    pub id: FileId,
    /// `START-END`, the name in `/proc/PID/map_files`.
    pub range: String,
    /// Its path, as the process sees it.
    pub path: PathBuf,
    /// The library, by its file name.
    pub library: &'static dyn Library,
}

impl Mapped {
    /// Paths to open it by: the mapped file, even when it was replaced, then the file of that name.
    pub fn places(&self, pid: u32) -> [PathBuf; 2] {
        let inside = self.path.strip_prefix("/").unwrap_or(&self.path);
        [format!("/proc/{pid}/map_files/{}", self.range).into(), Path::new(&format!("/proc/{pid}/root")).join(inside)]
    }
}

/// Mapped libraries, once each, at most `limit`.
pub fn libraries(maps: &str, limit: usize) -> Vec<Mapped> {
    let mut found: Vec<Mapped> = Vec::new();
    for mapped in maps.lines().filter_map(mapped) {
        if found.len() < limit && found.iter().all(|known| known.id != mapped.id) {
            found.push(mapped);
        }
    }
    found
}

/// A line of maps: `start-end perms offset major:minor inode path`; a replaced file's path ends in ` (deleted)`.
fn mapped(line: &str) -> Option<Mapped> {
    let mut words = line.split_ascii_whitespace();
    let (range, perms, _, device, inode) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let path = Path::new(line.get(line.find('/')?..)?.trim_end_matches(" (deleted)"));
    let library = by_name(path.file_name()?.to_str()?)?;
    if !perms.contains('x') {
        return None;
    }
    let (major, minor) = device.split_once(':')?;
    let device = rustix::fs::makedev(u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    // /proc names places with all digits that the range needs and no more.
    Some(Mapped { id: FileId { device, inode: inode.parse().ok()? }, range: range.to_owned(), path: path.to_owned(), library })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
7f0000000000-7f0000020000 r--p 00000000 fe:01 100 /usr/lib/libssl.so.3
7f0000020000-7f0000080000 r-xp 00020000 fe:01 100 /usr/lib/libssl.so.3
7f0000090000-7f00000a0000 r-xp 00000000 fe:01 101 /a b/libssl-1a2b3c4d.so.1.1 (deleted)
7f00000b0000-7f00000c0000 r-xp 00000000 fe:01 102 /usr/lib/libssl3.so
7f00000d0000-7f00000e0000 r-xp 00000000 fe:01 103 /usr/lib/libcrypto.so.3
7f00000f0000-7f0000100000 r-xp 00000000 00:00 0
";

    #[test]
    fn libraries_in_maps() {
        let found = libraries(MAPS, 8);
        let told: Vec<_> = found.iter().map(|m| (m.id.inode, m.range.as_str(), m.path.to_str().unwrap())).collect();
        let expected =
            [(100, "7f0000020000-7f0000080000", "/usr/lib/libssl.so.3"), (101, "7f0000090000-7f00000a0000", "/a b/libssl-1a2b3c4d.so.1.1")];
        assert_eq!(told, expected);
        assert_eq!(found[0].id.device, rustix::fs::makedev(0xfe, 1));
        assert_eq!(found[1].places(7)[0], Path::new("/proc/7/map_files/7f0000090000-7f00000a0000"));
        assert_eq!(found[1].places(7)[1], Path::new("/proc/7/root/a b/libssl-1a2b3c4d.so.1.1"));
    }

    #[test]
    fn no_more_than_the_limit() {
        assert_eq!(libraries(MAPS, 1).len(), 1);
        assert!(libraries("garbage\n- - - : / /libssl.so\n\u{fffd}", 8).is_empty());
    }
}
