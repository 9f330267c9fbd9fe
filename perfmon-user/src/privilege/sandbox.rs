//! Landlock. In: the folders in which files are written; out: this thread and those that it starts write, create, remove and execute nothing
//! elsewhere; what an open file allows stays. Reading stays free. It does not suit threads that inspect other processes: a thread under
//! Landlock may not look into `/proc/PID` of processes that are not. Specification: landlock(7), `hook_ptrace_access_check` of
//! security/landlock/task.c.
use std::fs;
use std::path::{Path, PathBuf};

use landlock::{ABI, AccessFs, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules};
use object::LittleEndian;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

/// perfmon starts itself again, to close probes at the end.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// Devices that programs open for writing.
const DEVICES: [&str; 2] = ["/dev/null", "/dev/tty"];
/// The rights that are taken, as far as the kernel knows them: those of Linux 6.2.
const KNOWN: ABI = ABI::V3;
/// Head of a program, in which its loader is named.
const PROGRAM_HEAD: usize = 4_096;

/// What of Landlock is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SandboxState {
    /// Writing, creating, removing and executing files is restricted; the kernel's version of Landlock.
    On(String),
    /// It is not, with the reason.
    Off(String),
}

impl SandboxState {
    /// For people.
    pub fn about(&self) -> String {
        match self {
            Self::On(version) => format!("on ({version})"),
            Self::Off(reason) => format!("off: {reason}"),
        }
    }
}

/// Where files are written.
#[derive(Clone, Debug, Default)]
pub struct WrittenFolders {
    /// Files are made, written, renamed and removed there.
    pub whole: Vec<PathBuf>,
    /// Files are removed there.
    pub removed: Vec<PathBuf>,
}

/// Restricts this thread and those that it starts.
pub fn restrict_writing(folders: &WrittenFolders) -> SandboxState {
    match restrict(folders) {
        Ok(state) => state,
        Err(error) => SandboxState::Off(error.to_string()),
    }
}

/// What the kernel would do, tried on a thread that ends.
pub fn try_restricting() -> SandboxState {
    let tried = std::thread::spawn(|| restrict_writing(&WrittenFolders::default())).join();
    tried.unwrap_or_else(|_| SandboxState::Off("the thread that tried it panicked".into()))
}

fn restrict(folders: &WrittenFolders) -> Result<SandboxState, RulesetError> {
    let rights = AccessFs::from_write(KNOWN);
    let programs = std::iter::once(PathBuf::from(OWN_PROGRAM)).chain(loader(Path::new(OWN_PROGRAM)));
    let status = Ruleset::default()
        .handle_access(rights | AccessFs::Execute)?
        .create()?
        .add_rules(path_beneath_rules(&folders.whole, rights))?
        .add_rules(path_beneath_rules(&folders.removed, AccessFs::RemoveFile))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(programs, AccessFs::Execute))?
        .restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
            SandboxState::On(format!("ABI {effective_abi:?}"))
        }
        (_, LandlockStatus::NotEnabled) => SandboxState::Off("Landlock is not among the kernel's active LSMs (boot parameter lsm=)".into()),
        (_, LandlockStatus::NotImplemented) => SandboxState::Off("the kernel has no Landlock (CONFIG_SECURITY_LANDLOCK)".into()),
        _ => SandboxState::Off("the kernel did not enforce it".into()),
    })
}

/// The loader that a program names, which the kernel executes too.
fn loader(program: &Path) -> Option<PathBuf> {
    let bytes = fs::File::open(program).ok().and_then(|file| {
        let mut head = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, PROGRAM_HEAD as u64), &mut head).ok()?;
        Some(head)
    })?;
    let header = FileHeader64::<LittleEndian>::parse(&*bytes).ok()?;
    let segments = header.program_headers(LittleEndian, &*bytes).ok()?;
    let named = segments.iter().find(|segment| segment.p_type(LittleEndian) == PT_INTERP)?;
    let text = named.data(LittleEndian, &*bytes).ok()?;
    Some(PathBuf::from(std::str::from_utf8(text).ok()?.trim_end_matches('\0')))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_restricted_thread_writes_only_where_it_may() {
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("there"), "").unwrap();
        let (inside, outside) = (own.path().to_owned(), other.path().to_owned());
        let state = std::thread::spawn(move || {
            let state = restrict_writing(&WrittenFolders { whole: vec![inside.clone()], removed: vec![] });
            if matches!(state, SandboxState::Off(_)) {
                return state;
            }
            fs::write(inside.join("a"), "x").unwrap();
            fs::rename(inside.join("a"), inside.join("b")).unwrap();
            fs::remove_file(inside.join("b")).unwrap();
            fs::write("/dev/null", "x").unwrap();
            assert!(fs::write(outside.join("a"), "x").is_err(), "created elsewhere");
            assert!(fs::write(outside.join("there"), "x").is_err(), "written elsewhere");
            assert!(fs::remove_file(outside.join("there")).is_err(), "removed elsewhere");
            assert_eq!(fs::read(outside.join("there")).unwrap(), b"");
            assert!(Command::new("/bin/true").status().is_err(), "another program");
            let itself = Command::new(OWN_PROGRAM).args(["--list", "no such test"]).output().unwrap();
            assert!(itself.status.success());
            state
        });
        let state = state.join().unwrap();
        assert_eq!(state, try_restricting());
        fs::write(other.path().join("a"), "other threads write on").unwrap();
    }

    #[test]
    fn the_loader_of_this_program_is_found() {
        assert!(loader(Path::new(OWN_PROGRAM)).unwrap().exists());
        assert_eq!(loader(Path::new("/etc/passwd")), None);
    }
}
