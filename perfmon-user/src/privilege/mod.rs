//! What a running perfmon gives up once its probes are attached. In: what the configuration needs. Out: what is in force, and what the
//! kernel refused. Capabilities belong to threads and are inherited: call it before threads start. It decides nothing about the program
//! behind `--`, which is started before. Specification: capabilities(7), prctl(2), seccomp(2), pid_namespaces(7).
mod calls;
mod capability;
mod filter;
mod namespace;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;

pub use capability::PrivilegeNeeds;
pub use namespace::foreign_pid_namespace;

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
