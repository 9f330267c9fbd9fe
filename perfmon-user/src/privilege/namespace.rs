//! Whether process ids are the host's: the kernel programs know only those. In: /proc/self; out: why perfmon cannot run here, with the remedy.
//! Specification: pid_namespaces(7); the number of the first namespace is PROC_PID_INIT_INO of include/linux/proc_ns.h.
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const FIRST: u64 = 0xEFFF_FFFC;

/// The reason when process ids here are not the host's.
pub fn foreign_pid_namespace() -> Option<String> {
    let namespace = std::fs::metadata("/proc/self/ns/pid").ok().map(|metadata| metadata.ino());
    let self_link = std::fs::read_link("/proc/self").ok();
    reason(namespace, self_link.as_deref(), std::process::id())
}

fn reason(namespace: Option<u64>, self_link: Option<&Path>, own: u32) -> Option<String> {
    if namespace.is_some_and(|namespace| namespace != FIRST) {
        return Some(
            "perfmon runs in a PID namespace of its own, where process ids are not those that the kernel reports; \
             start it in the host's: docker run --pid=host …, hostPID: true in Kubernetes"
                .into(),
        );
    }
    let shown: u32 = self_link?.to_str()?.parse().ok()?;
    (shown != own).then(|| "/proc belongs to another PID namespace than perfmon; mount the host's: docker run --pid=host …".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_s_process_ids_will_do() {
        assert_eq!(reason(Some(FIRST), Some(Path::new("7")), 7), None);
        assert!(reason(Some(FIRST + 5), Some(Path::new("7")), 7).unwrap().contains("--pid=host"));
        assert!(reason(Some(FIRST), Some(Path::new("8")), 7).unwrap().contains("/proc belongs"));
        assert_eq!(reason(None, None, 7), None, "without /proc other checks refuse");
    }
}
