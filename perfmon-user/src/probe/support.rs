//! Facts about this host, taken before anything is loaded: kernel, BTF, tracepoints, capabilities. Nothing is decided here.
use std::collections::BTreeSet;

use btf_rs::{Backend, Btf};
use caps::{CapSet, Capability};

use super::hooks;

/// Where the kernel keeps its type information.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// What this host allows.
pub struct Facts {
    /// `uname -r`.
    pub release: String,
    /// The kernel's type information, or why there is none.
    pub btf: Result<Btf, String>,
    /// Tracepoints of the kernel, of those that perfmon knows.
    pub tracepoints: BTreeSet<&'static str>,
    /// Capabilities that this process lacks.
    pub missing_capabilities: Vec<&'static str>,
}

impl Facts {
    /// Takes the facts.
    pub fn gather() -> Self {
        let btf = types().map_err(|error| format!("{VMLINUX} cannot be read ({error}): the kernel needs CONFIG_DEBUG_INFO_BTF=y"));
        let tracepoints = btf.as_ref().map(known_tracepoints).unwrap_or_default();
        Self { release: release(), btf, tracepoints, missing_capabilities: missing_capabilities() }
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
            assert!(facts.tracepoints.contains("sys_exit"), "{:?}", facts.tracepoints);
            assert!(facts.tracepoints.contains("inet_sock_set_state"), "{:?}", facts.tracepoints);
        } else {
            assert!(facts.tracepoints.is_empty());
        }
    }
}
