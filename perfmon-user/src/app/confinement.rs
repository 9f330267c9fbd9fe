//! Privileges of a run: from the configuration to what is given up once the probes are attached, and what is refused before. What the kernel
//! does not allow is logged, and the run goes on.
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::config::{Config, Jsonl, ListenAddress};
use crate::privilege::{self, Confinement, PrivilegeLimits, PrivilegeNeeds, SandboxState, WrittenFolders};

use super::CommandFailure;

const HARDENING_OFF: &str = "privileges.hardening is off";

/// Kernel programs report the host's process ids.
pub fn refuse_foreign_processes() -> Result<(), CommandFailure> {
    privilege::foreign_pid_namespace().map_or(Ok(()), |reason| Err(CommandFailure::Impossible(vec![reason])))
}

/// Gives up what this configuration does not need. Threads that run already keep their capabilities.
pub fn confine(config: &Config, has_command: bool) {
    if !config.hardening {
        tracing::warn!("perfmon keeps all its privileges: privileges.hardening is off.");
        return;
    }
    let Confinement { capabilities, refused } = privilege::confine(&needs(config, has_command));
    for what in refused {
        tracing::warn!(what, "A privilege could not be given up.");
    }
    tracing::debug!(capabilities = capabilities.join(" "), "Other privileges are given up.");
}

/// Lets this thread and those that it starts from now on write where this configuration needs it, and nowhere else. Threads that run already
/// are free: those that inspect other processes have to be.
pub fn restrict_files(config: &Config) -> SandboxState {
    if !config.hardening {
        return SandboxState::Off(HARDENING_OFF.into());
    }
    let history = (!config.no_store).then(|| folder_of(&config.db));
    if let Some(folder) = &history
        && let Err(error) = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
    {
        tracing::debug!(%error, "The folder of the history cannot be made.");
    }
    let sockets = config.listen.iter().filter_map(|address| match address {
        ListenAddress::Unix(path) => Some(folder_of(path)),
        ListenAddress::Tcp(_) => None,
    });
    let state = privilege::restrict_writing(&WrittenFolders { whole: history.into_iter().collect(), removed: sockets.collect() });
    match &state {
        SandboxState::On(_) => tracing::debug!(landlock = state.about(), "Files are written where they are configured, and nowhere else."),
        SandboxState::Off(reason) => tracing::info!(reason, "Landlock does not limit where files are written."),
    }
    state
}

/// What a run with this configuration gives up, for `perfmon check`.
pub fn outlook(config: &Config) -> (PrivilegeLimits, SandboxState) {
    if config.hardening {
        (PrivilegeLimits::of_run(&needs(config, false)), privilege::try_restricting())
    } else {
        (PrivilegeLimits::in_force(), SandboxState::Off(HARDENING_OFF.into()))
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).into()
}

fn needs(config: &Config, has_command: bool) -> PrivilegeNeeds {
    let jsonl = config.jsonl.iter().filter_map(|jsonl| match jsonl {
        Jsonl::File(path) => Some(path.clone()),
        Jsonl::Stdout => None,
    });
    let history = (!config.no_store).then(|| config.db.clone());
    PrivilegeNeeds { probes_tls: config.capture.tls, ends_command: has_command, outputs: history.into_iter().chain(jsonl).collect() }
}
