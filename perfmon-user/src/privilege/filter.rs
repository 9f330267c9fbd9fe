//! The filter of system calls. Out: a filter on all threads, inherited by the processes that perfmon starts for itself. Any other call
//! answers ENOSYS, as on a kernel without it: a C library that tries a newer call first falls back, and a call that was forgotten here costs one
//! function instead of the process. Calls are allowed by number alone, which the kernel caches. Specification: seccomp(2).
use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter_all_threads};

use super::calls::{FILES, NETWORK, PROCESS};

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    #[error("the filter cannot be built: {0}")]
    Build(#[from] seccompiler::BackendError),
    #[error("{0}")]
    Install(#[from] seccompiler::Error),
}

const ARCHITECTURE: TargetArch = TargetArch::x86_64;

/// What capture needs beyond an ordinary server.
const CAPTURE: [libc::c_long; 4] = [libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_pidfd_open, libc::SYS_pidfd_getfd];

/// Users and rights: the processes that read files act as the users of others and confine themselves.
const RIGHTS: [libc::c_long; 22] = [
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getuid,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_prctl,
    libc::SYS_seccomp,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
    libc::SYS_umask,
];

/// Installs the filter.
pub(super) fn install() -> Result<(), FilterError> {
    let allowed = [&CAPTURE[..], &RIGHTS, &FILES, &NETWORK, &PROCESS].concat();
    let rules: BTreeMap<i64, Vec<_>> = allowed.into_iter().map(|call| (call, Vec::new())).collect();
    let other = SeccompAction::Errno(libc::ENOSYS as u32);
    let program: BpfProgram = SeccompFilter::new(rules, other, SeccompAction::Allow, ARCHITECTURE)?.try_into()?;
    Ok(apply_filter_all_threads(&program)?)
}
