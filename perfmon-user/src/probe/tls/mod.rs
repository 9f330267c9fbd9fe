//! TLS libraries of running processes → probes in them. In: an open file that a process has mapped; out: whether its plaintext is seen, or
//! why not. What was parsed is what is probed: both go through one descriptor. When all processes are watched a library is probed once
//! for all, so that a process that starts later is seen from its first byte; else only in the processes that are named. When the last
//! process that mapped a library is gone its probes are given back.
//!
//! Does not decide which processes are looked at, and opens no file but those in usual places (`Probes::watch_tls` aside).
mod file;
mod links;
mod multi;
mod places;
mod programs;
pub(super) mod users;

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aya::Ebpf;

pub use file::LibraryFile;
pub(super) use links::close;
pub(super) use programs::{TlsPrograms, load};

use super::library::mapped::{FileId, Mapped};
use super::library::{self, Point, Ways};
use crate::limits::{TLS_LIBRARIES, TLS_LIBRARIES_AN_OWNER, TLS_LIBRARY_USERS};
use file::FileStamp;
use links::{Closing, TlsLink};

#[cfg(test)]
mod tests;

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
/// How long a library stays probed after its last process: programs that run again and again find their probes.
const LINGER_NS: u64 = 3_000_000_000;

/// What became of a process's library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSight {
    /// Its plaintext is seen.
    Plaintext,
    /// Why it is not.
    Refused(Arc<str>),
}

impl TlsSight {
    /// Whether plaintext is seen, or why not.
    pub fn as_result(&self) -> Result<(), &str> {
        match self {
            Self::Plaintext => Ok(()),
            Self::Refused(reason) => Err(reason),
        }
    }
}

/// How libraries are probed.
#[derive(Clone, Copy, Debug)]
pub(super) struct TlsOptions {
    /// Every process that maps a library; else only those that are named.
    pub everywhere: bool,
    /// Return probes where there is no other way.
    pub return_probes: bool,
}

/// Which libraries are probed.
pub(super) struct TlsLibraries {
    options: TlsOptions,
    programs: TlsPrograms,
    known: HashMap<FileId, Known>,
    /// Counts uses, to tell which library was used longest ago.
    uses: u64,
    closing: Closing,
    /// Libraries in their usual places: they are probed for all processes, whether any uses them or not.
    usual: HashSet<FileId>,
    /// perfmon ends: no library is probed any more.
    is_over: bool,
}

/// A library that was looked at.
struct Known {
    stamp: FileStamp,
    owner: u32,
    last_use: u64,
    /// Its numbers in maps, which on some file systems are not those of the file.
    mapped_as: Option<FileId>,
    /// Processes that have it mapped, with the address range. At most [`TLS_LIBRARY_USERS`]: the others are found when these are gone.
    users: HashMap<u32, String>,
    /// Since when no process is known to have it mapped.
    unused_since_ns: Option<u64>,
    outcome: Result<Probed, Arc<str>>,
}

/// A library that can be probed.
struct Probed {
    points: Vec<Point>,
    /// Probes for all processes (`None`), or for one.
    links: HashMap<Option<u32>, Vec<TlsLink>>,
}

/// Libraries in their usual places, as far as they are root's: they are probed for all processes.
pub(super) fn usual() -> impl Iterator<Item = LibraryFile> {
    let paths = USUAL.iter().flat_map(|folder| NAMES.map(|name| Path::new(folder).join(name)));
    paths.filter_map(|path| LibraryFile::open(&path).ok()).filter(|file| file.owner() == 0)
}

/// Opens a mapped library where the process has it.
///
/// # Errors
/// Why neither place will do.
pub(super) fn open(mapped: &Mapped, pid: u32) -> Result<LibraryFile, Arc<str>> {
    let mut reason = "its file cannot be read".into();
    for place in mapped.places(pid) {
        match file::open(&place).and_then(|file| LibraryFile::check(file, mapped)) {
            Ok(file) => return Ok(file),
            Err(why) => reason = why,
        }
    }
    Err(reason)
}

impl TlsLibraries {
    pub(super) fn new(options: TlsOptions, programs: TlsPrograms) -> Self {
        let (known, usual) = (HashMap::new(), HashSet::new());
        Self { options, programs, known, uses: 0, closing: Closing::default(), usual, is_over: false }
    }

    /// The descriptor of a program that aya does not hold.
    pub(super) fn descriptor(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.programs.descriptor(name)
    }

    /// A library in its usual place.
    pub(super) fn add_usual(&mut self, file: &LibraryFile) {
        self.usual.insert(file.id());
    }

    /// No library is probed any more.
    pub(super) fn stop(&mut self) {
        self.is_over = true;
    }

    /// Probes a library for process `pid`, or for all. The second look at a file costs nothing.
    pub(super) fn probe(&mut self, ebpf: &Mutex<Ebpf>, file: &LibraryFile, pid: Option<u32>) -> TlsSight {
        if self.is_over {
            return TlsSight::Refused("perfmon is ending".into());
        }
        self.uses += 1;
        let id = file.id();
        if self.known.get(&id).is_some_and(|known| known.stamp != file.stamp()) {
            self.forget(id);
        }
        if !self.known.contains_key(&id) {
            self.make_room(file.owner());
            match look(file, self.options) {
                Ok(outcome) => {
                    tracing::debug!(?id, refused = ?outcome.as_ref().err(), "A TLS library was looked at.");
                    self.known.insert(id, Known::new(file, outcome));
                }
                // That may be different next time.
                Err(reason) => return TlsSight::Refused(reason),
            }
        }
        let Some(known) = self.known.get_mut(&id) else { return TlsSight::Refused("it was forgotten".into()) };
        known.last_use = self.uses;
        known.use_by(pid, file);
        let probed = match &mut known.outcome {
            Ok(probed) => probed,
            Err(reason) => return TlsSight::Refused(reason.clone()),
        };
        let scope = if self.options.everywhere || self.usual.contains(&id) { None } else { pid };
        if probed.links.contains_key(&scope) {
            return TlsSight::Plaintext;
        }
        match self.programs.attach(ebpf, &file.path(), &probed.points, scope) {
            Ok(links) => {
                probed.links.insert(scope, links);
                TlsSight::Plaintext
            }
            Err((links, reason)) => {
                self.closing.begin(links);
                TlsSight::Refused(reason.into())
            }
        }
    }

    /// Processes are gone: probes that were for one of them alone go too.
    pub(super) fn release(&mut self, pids: &[u32], now_ns: u64) {
        if !pids.is_empty() {
            self.drop_users(now_ns, |pid, _| pids.contains(&pid));
        }
    }

    /// Drops users that `has_mapped` no longer confirms. Whether some library is unused for so long that [`TlsLibraries::keep`] should decide.
    pub(super) fn sweep(&mut self, now_ns: u64, has_mapped: impl Fn(u32, &str) -> bool) -> bool {
        self.drop_users(now_ns, |pid, range| !has_mapped(pid, range));
        // What had to wait for an earlier batch.
        self.closing.begin(Vec::new());
        self.known.values().any(|known| known.is_unused(now_ns))
    }

    /// Gives back what nobody uses, by what all processes have mapped now.
    pub(super) fn keep(&mut self, now_ns: u64, mapped: &[(u32, Mapped)]) {
        let unused: Vec<FileId> = self.known.iter().filter(|(_, known)| known.is_unused(now_ns)).map(|(id, _)| *id).collect();
        for id in unused {
            let Some(known) = self.known.get_mut(&id) else { continue };
            let users = mapped.iter().filter(|(_, mapped)| known.mapped_as == Some(mapped.id));
            known.users = users.map(|(pid, mapped)| (*pid, mapped.range.clone())).take(TLS_LIBRARY_USERS).collect();
            if known.users.is_empty() {
                tracing::debug!(?id, "A TLS library is used no more.");
                self.forget(id);
            } else {
                known.unused_since_ns = None;
            }
        }
    }

    fn drop_users(&mut self, now_ns: u64, is_gone: impl Fn(u32, &str) -> bool) {
        let mut links = Vec::new();
        for (id, known) in &mut self.known {
            let gone: Vec<u32> = known.users.extract_if(|pid, range| is_gone(*pid, range)).map(|(pid, _)| pid).collect();
            if let Ok(probed) = &mut known.outcome {
                links.extend(gone.iter().filter_map(|pid| probed.links.remove(&Some(*pid))).flatten());
            }
            if known.users.is_empty() && known.mapped_as.is_some() && !self.usual.contains(id) {
                known.unused_since_ns.get_or_insert(now_ns);
            }
        }
        if !links.is_empty() {
            self.closing.begin(links);
        }
    }

    /// Lets the library go that was used longest ago: of this owner when it has its share, else of whoever has most.
    fn make_room(&mut self, owner: u32) {
        let mut shares: HashMap<u32, usize> = HashMap::new();
        for known in self.known.values() {
            *shares.entry(known.owner).or_default() += 1;
        }
        let greedy = match shares.get(&owner) {
            Some(share) if *share >= TLS_LIBRARIES_AN_OWNER => Some(owner),
            _ if self.known.len() >= TLS_LIBRARIES => shares.iter().max_by_key(|(_, share)| **share).map(|(owner, _)| *owner),
            _ => None,
        };
        let Some(greedy) = greedy else { return };
        let oldest = self.known.iter().filter(|(_, known)| known.owner == greedy).min_by_key(|(_, known)| known.last_use);
        if let Some(id) = oldest.map(|(id, _)| *id) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: FileId) {
        if let Some(Known { outcome: Ok(probed), .. }) = self.known.remove(&id) {
            self.closing.begin(probed.links.into_values().flatten().collect());
        }
    }
}

impl Known {
    fn new(file: &LibraryFile, outcome: Result<Probed, Arc<str>>) -> Self {
        let (stamp, owner) = (file.stamp(), file.owner());
        Self { stamp, owner, last_use: 0, mapped_as: None, users: HashMap::new(), unused_since_ns: None, outcome }
    }

    /// Process `pid` has it mapped.
    fn use_by(&mut self, pid: Option<u32>, file: &LibraryFile) {
        let (Some(pid), Some((mapped_as, range))) = (pid, file.mapping()) else { return };
        self.mapped_as = Some(*mapped_as);
        self.unused_since_ns = None;
        if self.users.len() < TLS_LIBRARY_USERS || self.users.contains_key(&pid) {
            self.users.insert(pid, range.clone());
        }
    }

    fn is_unused(&self, now_ns: u64) -> bool {
        self.unused_since_ns.is_some_and(|since_ns| now_ns.saturating_sub(since_ns) >= LINGER_NS)
    }
}

impl Drop for TlsLibraries {
    fn drop(&mut self) {
        let links = self.known.drain().filter_map(|(_, known)| known.outcome.ok()).flat_map(|probed| probed.links.into_values().flatten());
        self.closing.begin(links.collect());
        self.closing.wait();
    }
}

/// Where the library can be probed. The inner error is the file's and stays; the outer one may pass.
fn look(file: &LibraryFile, options: TlsOptions) -> Result<Result<Probed, Arc<str>>, Arc<str>> {
    let bytes = file.read()?;
    let ways = if options.return_probes { Ways::Returns } else { Ways::Instructions };
    let points = library::points(file.library(), &bytes, ways);
    Ok(points.map(|points| Probed { points, links: HashMap::new() }).map_err(|reason| reason.to_string().into()))
}
