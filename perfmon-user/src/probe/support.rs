//! Facts about this host, taken before anything is loaded: kernel, BTF, tracepoints, capabilities. Nothing is decided here.
use std::collections::BTreeSet;

use btf_rs::{Backend, Btf};
use caps::{CapSet, Capability};
use perfmon_common::map::ABSENT;

use super::hooks;
use super::offsets::Records;

/// Where the kernel keeps its type information.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// What this host allows.
pub struct Facts {
    /// `uname -r`.
    pub release: String,
    /// The kernel's type information, or why there is none.
    pub btf: Result<Btf, String>,
    /// Hooks of the kernel, of those that perfmon knows.
    pub hooks: Hooks,
    /// Which kernel object it runs.
    pub object: Object,
    /// Capabilities that this process lacks.
    pub missing_capabilities: Vec<&'static str>,
}

/// Hooks that programs can be attached to.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// Tracepoints.
    pub tracepoints: BTreeSet<&'static str>,
    /// Functions whose exit may run a program.
    pub functions: BTreeSet<&'static str>,
}

/// How the kernel's own objects are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// By typed pointers; probes have cookies (Linux 5.15).
    Typed,
    /// By copies.
    Copied,
}

/// Helpers that the object of typed pointers calls, by their names in the kernel's types.
const HELPERS: [&str; 3] = ["BPF_FUNC_get_current_task_btf", "BPF_FUNC_task_pt_regs", "BPF_FUNC_get_attach_cookie"];

impl Facts {
    /// Takes the facts.
    pub fn gather() -> Self {
        let btf = types().map_err(|error| format!("{VMLINUX} cannot be read ({error}): the kernel needs CONFIG_DEBUG_INFO_BTF=y"));
        let hooks =
            btf.as_ref().map(|btf| Hooks { tracepoints: known_tracepoints(btf), functions: traced_functions(btf) }).unwrap_or_default();
        let object = if btf.as_ref().is_ok_and(has_helpers) { Object::Typed } else { Object::Copied };
        Self { release: release(), btf, hooks, object, missing_capabilities: missing_capabilities() }
    }
}

/// Mapped where the kernel allows it (Linux 6.16), which is ready a fifth of a second sooner than parsing all of it.
fn types() -> Result<Btf, btf_rs::Error> {
    Btf::from_file_with_backend(VMLINUX, Backend::Mmap).or_else(|_| Btf::from_file(VMLINUX))
}

/// The kernel describes each of its tracepoints by a typedef `btf_trace_NAME`.
fn known_tracepoints(btf: &Btf) -> BTreeSet<&'static str> {
    hooks::tracepoints().filter(|name| btf.resolve_ids_by_name(&format!("btf_trace_{name}")).is_ok_and(|ids| !ids.is_empty())).collect()
}

/// Functions that are called through pointers and can be traced, when programs at their exit harm nobody: what a thread returns through must
/// stay while it sleeps in the function (`bpf_tramp_image`, Linux 5.12 and corrected older ones), and of two threads that take turns on a
/// CPU within one program the second must be kept out (`bpf_prog.active`, 5.12), or threads must not take turns there at all.
fn traced_functions(btf: &Btf) -> BTreeSet<&'static str> {
    let records = Records::of(btf);
    let is_guarded = records.member("bpf_prog", "active").is_ok_and(|member| member.is_some());
    if records.size("bpf_tramp_image").is_err() || !(is_guarded || is_cooperative(&build())) {
        return BTreeSet::new();
    }
    hooks::functions().filter(|name| records.arguments(name).result != ABSENT).collect()
}

/// Whether the kernel takes the CPU from none of its own threads, by `uname -v`.
fn is_cooperative(build: &str) -> bool {
    !build.is_empty() && !build.split(' ').any(|word| word.starts_with("PREEMPT"))
}

fn has_helpers(btf: &Btf) -> bool {
    let records = Records::of(btf);
    HELPERS.iter().all(|helper| records.value("bpf_func_id", helper).is_some())
}

fn build() -> String {
    std::fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default()
}

fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "unknown".into(), |release| release.trim().into())
}

/// CAP_SYS_ADMIN stands for both that loading and reading need (Linux 5.8 split them off it).
fn missing_capabilities() -> Vec<&'static str> {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    if has(Capability::CAP_SYS_ADMIN) {
        return Vec::new();
    }
    [(Capability::CAP_BPF, "CAP_BPF"), (Capability::CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(capability, _)| !has(*capability))
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracepoints_come_from_the_kernels_types() {
        let facts = Facts::gather();
        assert!(!facts.release.is_empty());
        if facts.btf.is_ok() {
            let tracepoints = facts.hooks.tracepoints;
            assert!(tracepoints.contains("sys_exit"), "{tracepoints:?}");
            assert!(tracepoints.contains("inet_sock_set_state"), "{tracepoints:?}");
            // A kernel with the socket tracepoints (6.3) has the helpers of 5.15.
            assert!(facts.object == Object::Typed || !tracepoints.contains("sock_send_length"));
        } else {
            assert!(facts.hooks.tracepoints.is_empty() && facts.hooks.functions.is_empty());
        }
    }

    #[test]
    fn kernels_that_may_take_turns_are_told_by_their_build() {
        assert!(is_cooperative("#1 SMP Debian 5.10.262-1 (2026-10-11)"));
        assert!(!is_cooperative("#1 SMP PREEMPT Debian 5.10.262-1 (2026-10-11)"));
        assert!(!is_cooperative("#1 SMP PREEMPT_RT Debian 5.10.262-1 (2026-10-11)"));
        assert!(!is_cooperative(""));
    }
}
