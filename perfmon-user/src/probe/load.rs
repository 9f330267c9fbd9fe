//! The kernel object with its globals and map sizes → maps in the kernel and programs ready to be loaded one by one.
use std::borrow::Cow;

use aya::{Ebpf, EbpfLoader};
use perfmon_common::map::{KernelOffsets, SLOTS, SLOTS_FUNCTIONS, Settings, SyscallTable};

#[cfg(feature = "kernel-log")]
use super::kernel_log;
use super::library::CALL_REGISTERS;
use super::plan::Tier;
use super::support::Object;

/// Built by `cargo xtask build-ebpf`; `build.rs` checks that it belongs to the sources.
#[cfg(any(test, not(feature = "kernel-log")))]
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!("../../ebpf/perfmon.bpf.o");

/// The same programs for kernels without typed pointers (`support::Object`).
pub(super) static COPIED_OBJECT: &[u8] = aya::include_bytes_aligned!("../../ebpf/perfmon-copied.bpf.o");

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
    /// Which object fits the kernel.
    pub object: Object,
}

/// Creates the maps for a capture tier.
///
/// # Errors
/// When the kernel refuses a map.
pub fn load(globals: &Globals, tier: Tier, ring_bytes: u32, tables: TableSizes) -> Result<Ebpf, aya::EbpfError> {
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
        .map_max_entries("SCRATCH", if tier == Tier::Function { SLOTS_FUNCTIONS } else { SLOTS })
        .load(&object(globals.object))
}

/// The released object for this kernel; with the feature `kernel-log` the one that `cargo xtask run --kernel-log` built.
pub(super) fn object(object: Object) -> Cow<'static, [u8]> {
    match object {
        Object::Copied => Cow::Borrowed(COPIED_OBJECT),
        #[cfg(feature = "kernel-log")]
        Object::Typed => Cow::Owned(std::fs::read(kernel_log::OBJECT).unwrap_or_default()),
        #[cfg(not(feature = "kernel-log"))]
        Object::Typed => Cow::Borrowed(OBJECT),
    }
}
