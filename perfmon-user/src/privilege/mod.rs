//! What a running perfmon gives up once its probes are attached. In: what the configuration needs. Out: what is in force, and what the
//! kernel refused. Capabilities belong to threads and are inherited: call it before threads start. It decides nothing about the program
//! behind `--`, which is started before. Specification: capabilities(7), prctl(2), seccomp(2), pid_namespaces(7).
mod calls;
mod capability;
mod filter;
mod namespace;
mod sandbox;

use rustix::process::{DumpableBehavior, Resource, Rlimit, dumpable_behavior, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;

pub use capability::PrivilegeNeeds;
pub use namespace::foreign_pid_namespace;
pub use sandbox::{SandboxState, WrittenFolders, restrict_writing, try_restricting};

/// What is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Capabilities that are kept, by name.
    pub capabilities: Vec<String>,
    /// What could not be given up, and why.
    pub refused: Vec<String>,
}

impl Confinement {
    fn note<E: std::fmt::Display>(&mut self, what: &str, result: Result<(), E>) {
        if let Err(error) = result {
            self.refused.push(format!("{what}: {error}"));
        }
    }
}

/// What this process may not do, as the kernel says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivilegeLimits {
    /// Capabilities that it has, by name.
    pub capabilities: Vec<String>,
    /// No program that it starts gains privileges.
    pub no_new_privs: bool,
    /// It leaves core dumps, and its user may look into it.
    pub dumpable: bool,
    /// Its system calls are filtered.
    pub seccomp: bool,
}

impl PrivilegeLimits {
    /// Of this thread.
    pub fn in_force() -> Self {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Self {
            capabilities: capability::held(),
            no_new_privs: field("NoNewPrivs:") == Some("1"),
            dumpable: !matches!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable)),
            seccomp: field("Seccomp:") == Some("2"),
        }
    }

    /// Of a run with these needs, as far as this kernel goes along.
    pub fn of_run(needs: &PrivilegeNeeds) -> Self {
        let mut capabilities: Vec<String> = needs.kept().iter().map(ToString::to_string).collect();
        capabilities.sort_unstable();
        let seccomp = std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail").exists();
        Self { capabilities, no_new_privs: true, dumpable: false, seccomp }
    }
}

/// Gives up everything but `needs`, for this thread and those that it starts; the filter of system calls holds for all threads. What the
/// kernel refuses is reported, and the rest goes on.
pub fn confine(needs: &PrivilegeNeeds) -> Confinement {
    confine_to(&needs.kept())
}

/// The same for the process that reads files of other processes.
pub fn confine_file_reader() -> Confinement {
    confine_to(&capability::READS_FILES)
}

fn confine_to(kept: &[caps::Capability]) -> Confinement {
    let mut confined = Confinement::default();
    confined.note("no core dumps", set_dumpable_behavior(DumpableBehavior::NotDumpable));
    confined.note("no core dumps", setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }));
    confined.note("capabilities", capability::keep(kept));
    confined.note("no_new_privs", set_no_new_privs(true));
    confined.note("seccomp", filter::install());
    confined.capabilities = capability::held();
    confined
}
