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

/// Entries of tables in the kernel, where they differ from the usual ones: tests fill small ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableSizes {
    /// Sockets.
    pub sockets: Option<u32>,
    /// Processes whose losses are counted apart.
    pub process_losses: Option<u32>,
}

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
pub fn load(globals: &Globals, ring_bytes: u32, tables: TableSizes) -> Result<Ebpf, aya::EbpfError> {
    let mut loader = EbpfLoader::new();
    let sizes = [("SOCKETS", tables.sockets), ("LOST_BY_TGID", tables.process_losses)];
    for (map, entries) in sizes {
        if let Some(entries) = entries {
            loader.map_max_entries(map, entries);
        }
    }
    loader
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
