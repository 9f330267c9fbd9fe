//! Privileges of a run: from the configuration to what is given up once the probes are attached, and what is refused before. What the kernel
//! does not allow is logged, and the run goes on.
use crate::config::{Config, Jsonl};
use crate::privilege::{self, Confinement, PrivilegeNeeds};

use super::CommandFailure;

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

fn needs(config: &Config, has_command: bool) -> PrivilegeNeeds {
    let jsonl = config.jsonl.iter().filter_map(|jsonl| match jsonl {
        Jsonl::File(path) => Some(path.clone()),
        Jsonl::Stdout => None,
    });
    let history = (!config.no_store).then(|| config.db.clone());
    PrivilegeNeeds { probes_tls: config.capture.tls, ends_command: has_command, outputs: history.into_iter().chain(jsonl).collect() }
}
