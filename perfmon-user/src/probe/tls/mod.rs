//! TLS libraries of running processes → probes in them. In: an open file that a process has mapped; out: whether its plaintext is seen, or
//! why not. What was parsed is what is probed: both go through one descriptor. When all processes are watched a library is probed once
//! for all, so that a process that starts later is seen from its first byte; else only in the processes that are named.
//!
//! Does not decide which processes are looked at, and opens no file but those in usual places (`Probes::watch_tls` aside).
mod file;
mod links;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aya::Ebpf;
use aya::programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope};
use aya::programs::{ProgramError, UProbe};

pub use file::LibraryFile;

use super::attach::{ProbeReport, ProbeState, explain};
use super::handles::lock;
use super::library::mapped::{FileId, Mapped};
use super::library::{self, ENTRY, FREE, Point, RESULT, RETURN, Ways};
use crate::limits::{TLS_LIBRARIES, TLS_LIBRARIES_AN_OWNER};
use file::FileStamp;
use links::Closing;

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
    known: HashMap<FileId, Known>,
    /// Counts uses, to tell which library was used longest ago.
    uses: u64,
    closing: Closing,
    /// Libraries in their usual places: they are probed for all processes.
    usual: HashSet<FileId>,
    /// perfmon ends: no library is probed any more.
    is_over: bool,
}

/// A library that was looked at.
struct Known {
    stamp: FileStamp,
    owner: u32,
    last_use: u64,
    outcome: Result<Probed, Arc<str>>,
}

/// A library that can be probed.
struct Probed {
    points: Vec<Point>,
    /// Probes for all processes (`None`), or for one.
    links: HashMap<Option<u32>, Vec<UProbeLink>>,
}

/// Loads the programs; they are attached library by library.
pub(super) fn load(ebpf: &mut Ebpf, options: TlsOptions) -> Vec<ProbeReport> {
    let load_one = |name: &'static str| {
        if name == RETURN && !options.return_probes {
            let reason = Some("tls.return_probes does not ask for it".to_owned());
            return ProbeReport { name, state: ProbeState::Skipped, reason, needed: false };
        }
        let (state, reason) = match program(ebpf, name).and_then(UProbe::load) {
            Ok(()) => (ProbeState::Attached, None),
            Err(error) => (ProbeState::Failed, Some(explain(&error))),
        };
        ProbeReport { name, state, reason, needed: false }
    };
    [ENTRY, RESULT, RETURN, FREE].into_iter().map(load_one).collect()
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut UProbe, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
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
    pub(super) fn new(options: TlsOptions) -> Self {
        Self { options, known: HashMap::new(), uses: 0, closing: Closing::default(), usual: HashSet::new(), is_over: false }
    }

    /// A library in its usual place.
    pub(super) fn add_usual(&mut self, file: &LibraryFile) {
        self.usual.insert(file.id());
    }

    /// No library is probed any more.
    pub(super) fn stop(&mut self) {
        self.is_over = true;
    }

    /// Whether any library is probed.
    pub(super) fn any(&self) -> bool {
        self.known.values().any(|known| known.outcome.is_ok())
    }

    /// Probes a library for process `pid`, or for all. The second look at a file costs nothing.
    pub(super) fn probe(&mut self, ebpf: &Mutex<Ebpf>, file: &LibraryFile, pid: Option<u32>) -> TlsSight {
        if self.is_over {
            return TlsSight::Refused("perfmon is ending".into());
        }
        self.uses += 1;
        let uses = self.uses;
        let (id, options) = (file.id(), self.options);
        if self.known.get(&id).is_some_and(|known| known.stamp != file.stamp()) {
            self.forget(id);
        }
        if !self.known.contains_key(&id) {
            self.make_room(file.owner());
            match look(file, options) {
                Ok(outcome) => {
                    tracing::debug!(?id, refused = ?outcome.as_ref().err(), "A TLS library was looked at.");
                    self.known.insert(id, Known { stamp: file.stamp(), owner: file.owner(), last_use: uses, outcome });
                }
                // That may be different next time.
                Err(reason) => return TlsSight::Refused(reason),
            }
        }
        let Some(known) = self.known.get_mut(&id) else { return TlsSight::Refused("it was forgotten".into()) };
        known.last_use = uses;
        let probed = match &mut known.outcome {
            Ok(probed) => probed,
            Err(reason) => return TlsSight::Refused(reason.clone()),
        };
        let scope = if options.everywhere || self.usual.contains(&id) { None } else { pid };
        if probed.links.contains_key(&scope) {
            return TlsSight::Plaintext;
        }
        match attach(&mut lock(ebpf), &file.path(), &probed.points, scope) {
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
    pub(super) fn release(&mut self, pids: &[u32]) {
        if pids.is_empty() {
            return;
        }
        let probed = self.known.values_mut().filter_map(|known| known.outcome.as_mut().ok());
        let links = probed.flat_map(|probed| pids.iter().filter_map(|pid| probed.links.remove(&Some(*pid))).collect::<Vec<_>>());
        self.closing.begin(links.flatten().collect());
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

/// Attaches to a library in all processes, or in one. Fails with what had been attached.
fn attach(ebpf: &mut Ebpf, file: &Path, points: &[Point], pid: Option<u32>) -> Result<Vec<UProbeLink>, (Vec<UProbeLink>, String)> {
    let scope = match pid.map(NonZeroU32::new) {
        None => UProbeScope::AllProcesses,
        Some(Some(pid)) => UProbeScope::OneProcess(pid),
        Some(None) => return Err((Vec::new(), "it has no process".to_owned())),
    };
    let mut links = Vec::new();
    for point in points {
        let place =
            UProbeAttachPoint { location: UProbeAttachLocation::AbsoluteOffset(point.offset), cookie: Some(point.convention.cookie()) };
        let attached = program(ebpf, point.program).and_then(|program| {
            let link = program.attach(place, file, scope)?;
            program.take_link(link)
        });
        match attached {
            Ok(link) => links.push(link),
            Err(error) => return Err((links, format!("the kernel refused a probe: {}", explain(&error)))),
        }
    }
    Ok(links)
}
