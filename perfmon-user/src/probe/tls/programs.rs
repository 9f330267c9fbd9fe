//! The programs of the TLS probes: how they are loaded, and attached to a library. In: the kernel object; then a file with its points. Out:
//! links. One link a program where the kernel can (6.6), else one a probe.
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Mutex;

use aya::Ebpf;
use aya::programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope};
use aya::programs::{ProgramError, UProbe};

use super::TlsOptions;
use super::links::TlsLink;
use super::multi::{self, MultiPoints};
use super::places::{CONVENTIONS, ProbePlaces};
use crate::probe::attach::{ProbeReport, ProbeState, explain};
use crate::probe::handles::lock;
use crate::probe::library::{ENTRY, FREE, Point, RESULT, RETURN};
use crate::probe::support::Object;

/// In the order of attaching: results before entries, so that no call lacks its end.
const ORDER: [&str; 4] = [RESULT, RETURN, ENTRY, FREE];

/// The loaded programs.
pub(in crate::probe) enum TlsPrograms {
    /// One link for all probes of a program in a file.
    Multi(Vec<(&'static str, OwnedFd)>),
    /// One link a probe; aya holds the programs. Without cookies the kernel is told by the places of the probes how functions are called.
    Single(Option<Mutex<ProbePlaces>>),
}

/// Links that were made before the kernel refused one, and why.
pub(super) type PartlyAttached = (Vec<TlsLink>, String);

/// Loads the programs; they are attached library by library.
pub(in crate::probe) fn load(ebpf: &mut Ebpf, object: Object, options: TlsOptions) -> (Vec<ProbeReport>, TlsPrograms) {
    let wanted: Vec<&'static str> = ORDER.into_iter().filter(|name| *name != RETURN || options.return_probes).collect();
    let report = |name, state, reason| ProbeReport { name, state, reason, needed: false };
    let skipped = || Some("tls.return_probes does not ask for it".to_owned());
    let unwanted = ORDER.into_iter().filter(|name| !wanted.contains(name)).map(|name| report(name, ProbeState::Skipped, skipped()));
    let mut reports: Vec<ProbeReport> = unwanted.collect();
    if object == Object::Typed && multi::is_supported() {
        match multi::programs(ebpf, &wanted) {
            Ok(programs) => {
                reports.extend(wanted.iter().map(|name| report(name, ProbeState::Attached, None)));
                return (reports, TlsPrograms::Multi(programs));
            }
            Err(error) => tracing::debug!(%error, "Each TLS probe gets a link of its own."),
        }
    }
    reports.extend(wanted.iter().map(|name| match single(ebpf, name).and_then(UProbe::load) {
        Ok(()) => report(name, ProbeState::Attached, None),
        Err(error) => report(name, ProbeState::Failed, Some(explain(&error))),
    }));
    let places = ebpf.take_map(CONVENTIONS).and_then(|map| ProbePlaces::new(map).ok()).map(Mutex::new);
    (reports, TlsPrograms::Single(places))
}

impl TlsPrograms {
    /// The descriptor of a program that aya does not hold.
    pub(in crate::probe) fn descriptor(&self, name: &str) -> Option<BorrowedFd<'_>> {
        let Self::Multi(programs) = self else { return None };
        programs.iter().find(|(program, _)| *program == name).map(|(_, descriptor)| descriptor.as_fd())
    }

    /// Attaches to a library in all processes, or in one.
    ///
    /// # Errors
    /// With what had been attached.
    pub(super) fn attach(
        &self,
        ebpf: &Mutex<Ebpf>,
        file: &Path,
        points: &[Point],
        pid: Option<u32>,
    ) -> Result<Vec<TlsLink>, PartlyAttached> {
        match self {
            Self::Multi(programs) => attach_multi(programs, file, points, pid),
            Self::Single(None) => attach_single(&mut lock(ebpf), file, points, pid, true),
            Self::Single(Some(places)) => {
                lock(places).claim(points).map_err(|reason| (Vec::new(), reason))?;
                attach_single(&mut lock(ebpf), file, points, pid, false)
            }
        }
    }
}

fn attach_multi(programs: &[(&str, OwnedFd)], file: &Path, points: &[Point], pid: Option<u32>) -> Result<Vec<TlsLink>, PartlyAttached> {
    let mut links = Vec::new();
    for (name, program) in programs {
        let points: Vec<(u64, u64)> =
            points.iter().filter(|point| point.program == *name).map(|point| (point.offset, point.convention.cookie())).collect();
        if points.is_empty() {
            continue;
        }
        match multi::attach(program.as_fd(), &MultiPoints { file, points: &points, pid, returns: *name == RETURN }) {
            Ok(link) => links.push(TlsLink::Multi(link)),
            Err(error) => return Err((links, refusal(&error))),
        }
    }
    Ok(links)
}

fn attach_single(
    ebpf: &mut Ebpf,
    file: &Path,
    points: &[Point],
    pid: Option<u32>,
    has_cookies: bool,
) -> Result<Vec<TlsLink>, PartlyAttached> {
    let scope = match pid.map(NonZeroU32::new) {
        None => UProbeScope::AllProcesses,
        Some(Some(pid)) => UProbeScope::OneProcess(pid),
        Some(None) => return Err((Vec::new(), "it has no process".to_owned())),
    };
    let mut links = Vec::new();
    for point in points {
        let cookie = has_cookies.then(|| point.convention.cookie());
        let place = UProbeAttachPoint { location: UProbeAttachLocation::AbsoluteOffset(point.offset), cookie };
        let attached = single(ebpf, point.program).and_then(|program| {
            let link = program.attach(place, file, scope)?;
            program.take_link(link)
        });
        match attached {
            Ok(link) => links.push(TlsLink::Single(link)),
            Err(error) => return Err((links, refusal(&explain(&error)))),
        }
    }
    Ok(links)
}

fn refusal(error: &dyn std::fmt::Display) -> String {
    format!("the kernel refused a probe: {error}")
}

fn single<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut UProbe, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
}
