//! What user space and the TLS programs tell each other besides records: how a probed function is called, which registers that means, and
//! the capture mode of a library's connection object.
#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

use crate::event::DIRECTION_OUT;

/// How a library function is called at a probe point; travels as the probe's cookie, which Linux has since 5.15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsConvention {
    /// `DIRECTION_*`.
    pub direction: u8,
    /// Which argument points to the place where the function leaves the number of bytes; 0 = the function returns the number.
    pub count_argument: u8,
    /// Bytes from the stack pointer at the entry point up to the stack pointer at the result point of the same call.
    pub frame_bytes: u16,
}

impl TlsConvention {
    /// As a cookie.
    pub const fn cookie(self) -> u64 {
        self.direction as u64 | (self.count_argument as u64) << 8 | (self.frame_bytes as u64) << 16
    }

    /// From a cookie.
    pub const fn of(cookie: u64) -> Self {
        Self { direction: cookie as u8 & DIRECTION_OUT, count_argument: (cookie >> 8) as u8, frame_bytes: (cookie >> 16) as u16 }
    }
}

/// Where `struct pt_regs` of this architecture holds what a function call needs, in bytes. A read-only global.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct CallRegisters {
    /// The first six arguments.
    pub arguments: [u32; 6],
    /// The result.
    pub result: u32,
    /// The stack pointer.
    pub stack: u32,
    /// The address of the next instruction.
    pub instruction: u32,
}
const _: () = assert!(size_of::<CallRegisters>() == 36 && align_of::<CallRegisters>() == 4);

/// A library's connection object; key of the kernel's maps.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct TlsObjectKey {
    /// Address of the `SSL`.
    pub ssl: u64,
    /// Process.
    pub tgid: u32,
    /// Alignment.
    pub pad: u32,
}
const _: () = assert!(size_of::<TlsObjectKey>() == 16 && align_of::<TlsObjectKey>() == 8);

/// Capture mode of a connection object.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct TlsMode {
    /// Time of the event that led to this mode: an object that began later at the same address does not inherit it.
    pub as_of_ns: u64,
    /// `MODE_*`.
    pub mode: u8,
    /// Alignment.
    pub pad: [u8; 7],
}
const _: () = assert!(size_of::<TlsMode>() == 16 && align_of::<TlsMode>() == 8);
