//! The kernel object with its globals and map sizes → maps in the kernel and programs ready to be loaded one by one.
use std::borrow::Cow;

use aya::{Ebpf, EbpfLoader};
use perfmon_common::map::{KernelOffsets, Settings, SyscallTable};

#[cfg(feature = "kernel-log")]
use super::kernel_log;
use super::library::CALL_REGISTERS;

/// Built by `cargo xtask build-ebpf`; `build.rs` checks that it belongs to the sources.
#[cfg(any(test, not(feature = "kernel-log")))]
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!("../../ebpf/perfmon.bpf.o");

/// Globals that are set before the programs are loaded.
pub struct Globals {
    /// User space's decisions.
    pub settings: Settings,
    /// The kernel's offsets.
    pub offsets: KernelOffsets,
    /// The architecture's system calls.
    pub syscalls: SyscallTable,
}

/// Creates the maps.
///
/// # Errors
/// When the kernel refuses a map.
pub fn load(globals: &Globals, ring_bytes: u32) -> Result<Ebpf, aya::EbpfError> {
    EbpfLoader::new()
        .btf(None)
        .override_global("SETTINGS", &globals.settings, true)
        .override_global("OFFSETS", &globals.offsets, true)
        .override_global("SYSCALL_TABLE", &globals.syscalls, true)
        .override_global("CALL_REGISTERS", &CALL_REGISTERS, true)
        .map_max_entries("EVENTS", ring_bytes)
        .load(&object())
}

/// The released object; with the feature `kernel-log` the one that `cargo xtask run --kernel-log` built.
pub(super) fn object() -> Cow<'static, [u8]> {
    #[cfg(feature = "kernel-log")]
    return Cow::Owned(std::fs::read(kernel_log::OBJECT).unwrap_or_default());
    #[cfg(not(feature = "kernel-log"))]
    Cow::Borrowed(OBJECT)
}
