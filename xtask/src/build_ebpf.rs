//! Rebuilds the object file of the kernel programs from `perfmon-ebpf/`.

/// Builds the object; fails while this tree holds no kernel programs.
pub fn run() -> anyhow::Result<()> {
    anyhow::bail!("this tree has no perfmon-ebpf/ to build")
}
