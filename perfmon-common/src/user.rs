//! The marker that lets aya copy the types into maps and globals.
#![expect(unsafe_code, reason = "aya's marker trait is unsafe to implement")]
use crate::map::{KernelOffsets, ProcessLosses, Settings, SocketState, SyscallTable};
use crate::tls::{CallRegisters, TlsMode, TlsObjectKey};

// SAFETY: `repr(C)`, integers and byte arrays only, no padding (bytemuck's derive refuses padding).
unsafe impl aya::Pod for Settings {}
// SAFETY: as above.
unsafe impl aya::Pod for SocketState {}
// SAFETY: as above.
unsafe impl aya::Pod for ProcessLosses {}
// SAFETY: as above.
unsafe impl aya::Pod for KernelOffsets {}
// SAFETY: as above.
unsafe impl aya::Pod for SyscallTable {}
// SAFETY: as above.
unsafe impl aya::Pod for CallRegisters {}
// SAFETY: as above.
unsafe impl aya::Pod for TlsMode {}
// SAFETY: as above.
unsafe impl aya::Pod for TlsObjectKey {}
