//! The TLS libraries of running processes → probes on them, once a file. A library is found through the process's maps, opened through
//! `/proc/PID/map_files`, which reaches into containers and at files that were replaced, and probed for every process that maps it:
//! a process that starts later is seen from its first byte. Processes that are not watched pay for the look that dismisses them.
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aya::Ebpf;
use aya::programs::uprobe::UProbeScope;
use aya::programs::{ProgramError, UProbe};

use super::attach::{ProbeReport, ProbeState, explain};
use super::binaries::openssl;
use crate::limits::TLS_LIBRARIES;

/// Programs for entries.
const ENTRIES: [&str; 4] = ["tls_read", "tls_write", "tls_read_ex", "tls_write_ex"];
/// The program for returns.
const RETURN: &str = "tls_done";
/// Where distributions put the library that programs not yet running will use.
const USUAL: [&str; 8] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib64",
    "/lib/x86_64-linux-gnu",
    "/usr/local/lib",
    "/usr/local/lib64",
];
const NAMES: [&str; 2] = ["libssl.so.3", "libssl.so.1.1"];

/// What became of a process's library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSight {
    /// Its plaintext is seen.
    Plaintext,
    /// Why it is not.
    Refused(Arc<str>),
}

/// A file, as maps name it.
type FileId = (u64, u64);

/// Which libraries are probed.
#[derive(Debug, Default)]
pub(super) struct TlsLibraries {
    known: HashMap<FileId, TlsSight>,
}

/// A library in a process's maps.
#[derive(Debug, PartialEq, Eq)]
struct Mapped {
    id: FileId,
    /// `START-END`, the name in map_files.
    range: String,
    path: PathBuf,
}

/// Loads the programs; they are attached library by library.
pub(super) fn load(ebpf: &mut Ebpf) -> Vec<ProbeReport> {
    let load_one = |name: &'static str| {
        let result = program(ebpf, name).and_then(UProbe::load);
        let (state, reason) = match result {
            Ok(()) => (ProbeState::Attached, None),
            Err(error) => (ProbeState::Failed, Some(explain(&error))),
        };
        ProbeReport { name, state, reason, needed: false }
    };
    ENTRIES.into_iter().chain([RETURN]).map(load_one).collect()
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut UProbe, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
}

impl TlsLibraries {
    /// Probes the libraries in their usual places, for programs that start later.
    pub(super) fn usual(&mut self, ebpf: &mut Ebpf) {
        use std::os::unix::fs::MetadataExt;
        for path in USUAL.iter().flat_map(|folder| NAMES.map(|name| Path::new(folder).join(name))) {
            if let Ok(meta) = std::fs::metadata(&path) {
                self.probe(ebpf, (meta.dev(), meta.ino()), &[path]);
            }
        }
    }

    /// Probes what process `pid` has mapped by now. `None` without a shared OpenSSL.
    pub(super) fn look(&mut self, ebpf: &mut Ebpf, pid: u32) -> Option<TlsSight> {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        let mut sight = None;
        for Mapped { id, range, path } in libraries(&maps) {
            let inside = path.strip_prefix("/").unwrap_or(&path);
            let places = [format!("/proc/{pid}/map_files/{range}").into(), Path::new(&format!("/proc/{pid}/root")).join(inside)];
            let this = self.probe(ebpf, id, &places);
            if sight != Some(TlsSight::Plaintext) {
                sight = Some(this);
            }
        }
        sight
    }

    /// Whether any library is probed.
    pub(super) fn any(&self) -> bool {
        self.known.values().any(|sight| *sight == TlsSight::Plaintext)
    }

    fn probe(&mut self, ebpf: &mut Ebpf, id: FileId, places: &[PathBuf]) -> TlsSight {
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        if self.known.len() >= TLS_LIBRARIES {
            return TlsSight::Refused("too many different TLS libraries are in use".into());
        }
        let sight = match places.iter().find_map(|place| Some((place, std::fs::read(place).ok()?))) {
            None => TlsSight::Refused("its file cannot be read".into()),
            Some((place, file)) => attach(ebpf, place, &file).map_or_else(|reason| TlsSight::Refused(reason.into()), |()| TlsSight::Plaintext),
        };
        tracing::debug!(place = ?places.first(), ?sight, "A TLS library was looked at.");
        self.known.insert(id, sight.clone());
        sight
    }
}

/// Attaches to a library. Returns come before entries, so that no call is left without an end; what was attached before a failure stays,
/// since it only costs.
fn attach(ebpf: &mut Ebpf, place: &Path, file: &[u8]) -> Result<(), String> {
    let points = openssl::points(file).map_err(|error| error.to_string())?;
    for (name, offset) in points.iter().map(|point| (RETURN, point.offset)).chain(points.iter().map(|point| (point.program, point.offset))) {
        let attached = program(ebpf, name).and_then(|program| program.attach(offset, place, UProbeScope::AllProcesses));
        attached.map_err(|error| format!("the kernel refused a probe: {}", explain(&error)))?;
    }
    Ok(())
}

/// Mapped files with OpenSSL's interface, once each.
fn libraries(maps: &str) -> Vec<Mapped> {
    let mut found: Vec<Mapped> = Vec::new();
    for mapped in maps.lines().filter_map(mapped) {
        if found.iter().all(|known| known.id != mapped.id) {
            found.push(mapped);
        }
    }
    found
}

/// A line of maps: `start-end perms offset major:minor inode path`, proc(5); a replaced file's path ends in ` (deleted)`.
fn mapped(line: &str) -> Option<Mapped> {
    let mut words = line.split_ascii_whitespace();
    let (range, perms, _, device, inode) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let path = Path::new(line.get(line.find('/')?..)?.trim_end_matches(" (deleted)"));
    let name = path.file_name()?.to_str()?;
    // Wheels bundle `libssl-1a2b3c4d.so.3`; `libssl3.so` is NSS, another interface.
    if !perms.contains('x') || !(name.starts_with("libssl.so") || (name.starts_with("libssl-") && name.contains(".so"))) {
        return None;
    }
    let (major, minor) = device.split_once(':')?;
    let device = rustix::fs::makedev(u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    // /proc names places with all digits that the range needs and no more.
    Some(Mapped { id: (device, inode.parse().ok()?), range: range.to_owned(), path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_in_maps() {
        let maps = "\
7f0000000000-7f0000020000 r--p 00000000 fe:01 100 /usr/lib/libssl.so.3
7f0000020000-7f0000080000 r-xp 00020000 fe:01 100 /usr/lib/libssl.so.3
7f0000090000-7f00000a0000 r-xp 00000000 fe:01 101 /a b/libssl-1a2b3c4d.so.1.1 (deleted)
7f00000b0000-7f00000c0000 r-xp 00000000 fe:01 102 /usr/lib/libssl3.so
7f00000d0000-7f00000e0000 r-xp 00000000 fe:01 103 /usr/lib/libcrypto.so.3
7f00000f0000-7f0000100000 r-xp 00000000 00:00 0
";
        let found = libraries(maps);
        let told: Vec<_> = found.iter().map(|m| (m.id.1, m.range.as_str(), m.path.to_str().unwrap())).collect();
        let expected =
            [(100, "7f0000020000-7f0000080000", "/usr/lib/libssl.so.3"), (101, "7f0000090000-7f00000a0000", "/a b/libssl-1a2b3c4d.so.1.1")];
        assert_eq!(told, expected);
        assert_eq!(found[0].id.0, rustix::fs::makedev(0xfe, 1));
    }
}
