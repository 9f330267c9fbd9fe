//! The kernel object with its globals and map sizes → maps in the kernel and programs ready to be loaded one by one.
use aya::{Ebpf, EbpfLoader};
use perfmon_common::map::{KernelOffsets, Settings, SyscallTable};

use super::library::CALL_REGISTERS;

/// Built by `cargo xtask build-ebpf`; `build.rs` checks that it belongs to the sources.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../ebpf/perfmon.bpf.o");

/// What the programs are told before they are loaded.
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
        .load(OBJECT)
}
