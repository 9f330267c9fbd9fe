//! Capabilities. In: what the configuration makes perfmon do after attaching; out: the sets of this thread reduced to that. The reasons stand
//! in docs/privileges.md, with which a test compares this file. Specification: capabilities(7).
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use caps::errors::CapsError;
use caps::{CapSet, Capability};

/// For files of other processes, read with the rights of their users.
pub(super) const READS_FILES: [Capability; 4] =
    [Capability::CAP_DAC_READ_SEARCH, Capability::CAP_SETGID, Capability::CAP_SETUID, Capability::CAP_SYS_PTRACE];
/// For maps and programs of the kernel, and its records of mappings.
const CAPTURES: [Capability; 2] = [Capability::CAP_BPF, Capability::CAP_PERFMON];
/// For outputs in a folder of another user.
const WRITES_ELSEWHERE: [Capability; 3] = [Capability::CAP_CHOWN, Capability::CAP_DAC_OVERRIDE, Capability::CAP_FOWNER];

/// What a running perfmon still has to do.
#[derive(Clone, Debug, Default)]
pub struct PrivilegeNeeds {
    /// TLS libraries of later processes are probed.
    pub probes_tls: bool,
    /// A command of another user is ended with perfmon.
    pub ends_command: bool,
    /// Files that are opened or replaced while it runs.
    pub outputs: Vec<PathBuf>,
}

impl PrivilegeNeeds {
    pub(super) fn kept(&self) -> Vec<Capability> {
        let mut kept = [&CAPTURES[..], &READS_FILES].concat();
        if self.probes_tls {
            kept.push(Capability::CAP_SYS_ADMIN);
        }
        if self.ends_command {
            kept.push(Capability::CAP_KILL);
        }
        if self.outputs.iter().any(|path| belongs_to_another(path)) {
            kept.extend(WRITES_ELSEWHERE);
        }
        kept
    }
}

/// The file, or the nearest folder above it that exists, belongs to another user than this process's.
fn belongs_to_another(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let folder = path.ancestors().skip(1).map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let owner = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.uid());
    owner(path).is_some_and(|uid| uid != own) || folder.into_iter().find_map(owner).is_some_and(|uid| uid != own)
}

/// Drops every other capability from all sets of this thread, the bounding set too where that is allowed.
pub(super) fn keep(kept: &[Capability]) -> Result<(), CapsError> {
    let is_kept = |capability: &Capability| kept.contains(capability);
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::read(None, CapSet::Bounding)?.into_iter().filter(|capability| !is_kept(capability)) {
            caps::drop(None, CapSet::Bounding, capability)?;
        }
    }
    // Ambient and inheritable ones reach the processes that read files, when perfmon does not run as root.
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        let left = caps::read(None, set)?.into_iter().filter(is_kept).collect();
        caps::set(None, set, &left)?;
    }
    Ok(())
}

/// Names of the permitted capabilities, sorted.
pub(super) fn held() -> Vec<String> {
    let mut names: Vec<String> = caps::read(None, CapSet::Permitted).unwrap_or_default().iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_decides_what_is_kept() {
        let least = PrivilegeNeeds::default().kept();
        assert!(!least.contains(&Capability::CAP_SYS_ADMIN) && !least.contains(&Capability::CAP_KILL), "{least:?}");
        let tls = PrivilegeNeeds { probes_tls: true, ..PrivilegeNeeds::default() }.kept();
        assert_eq!(tls.len(), least.len() + 1);
        let folder = tempfile::tempdir().unwrap();
        let own = PrivilegeNeeds { outputs: vec![folder.path().join("new/perfmon.db")], ..PrivilegeNeeds::default() };
        assert_eq!(own.kept(), least);
    }

    #[test]
    fn the_documentation_lists_each_capability() {
        let page = include_str!("../../../docs/privileges.md");
        let listed: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `CAP_")?.split('`').next()).collect();
        let mut all = [&CAPTURES[..], &READS_FILES, &WRITES_ELSEWHERE, &[Capability::CAP_SYS_ADMIN, Capability::CAP_KILL]].concat();
        all.sort_by_key(ToString::to_string);
        let mut listed: Vec<String> = listed.into_iter().map(|name| format!("CAP_{name}")).collect();
        listed.sort_unstable();
        assert_eq!(listed, all.iter().map(ToString::to_string).collect::<Vec<_>>());
    }

    #[test]
    fn a_thread_keeps_what_it_is_told() {
        let before = held();
        let inside = std::thread::spawn(|| keep(&[Capability::CAP_KILL]).map(|()| held())).join().unwrap().unwrap();
        assert!(inside.iter().all(|name| name == "CAP_KILL") && inside.len() <= before.len(), "{inside:?}");
        assert_eq!(held(), before, "other threads keep theirs");
    }
}
