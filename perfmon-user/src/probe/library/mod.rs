//! TLS libraries: how each is recognised, and where it is probed. In: lines of maps and the bytes of a file; out: probe points, or why
//! there are none. Reads only; `probe::tls` attaches.
//!
//! To add a library: a file beside `openssl` with a type that implements [`Library`], and its place in [`LIBRARIES`].
pub mod image;
pub mod mapped;
mod openssl;
#[cfg(target_arch = "x86_64")]
mod walk;

use image::Image;
use perfmon_common::tls::{CallRegisters, TlsConvention};

/// Programs of the kernel object that stand at a probe point.
pub const ENTRY: &str = "tls_entry";
/// See [`ENTRY`].
pub const RESULT: &str = "tls_result";
/// See [`ENTRY`].
pub const RETURN: &str = "tls_return";
/// See [`ENTRY`].
pub const FREE: &str = "tls_free";

/// Offsets in `struct pt_regs` of arguments and result of a function call: System V ABI for x86-64, AAPCS64 (arch/*/include/asm/ptrace.h).
pub const CALL_REGISTERS: CallRegisters = if cfg!(target_arch = "x86_64") {
    CallRegisters { arguments: [112, 104, 96, 88, 72, 64], result: 80, stack: 152, instruction: 128 }
} else {
    CallRegisters { arguments: [0, 8, 16, 24, 32, 40], result: 0, stack: 248, instruction: 256 }
};

/// All supported libraries.
pub const LIBRARIES: [&dyn Library; 1] = [&openssl::OpenSsl];

/// A TLS library.
pub trait Library: Sync {
    /// Whether a mapped file is this library, by its name.
    fn is_named(&self, file_name: &str) -> bool;

    /// Prefix of the names of all functions that [`Library::points`] looks up.
    fn function_prefix(&self) -> &'static str;

    /// The probe points, in the order of attaching: results before entries, so that no call lacks its end.
    ///
    /// # Errors
    /// [`NoPoints`].
    fn points(&self, image: &Image<'_>, ways: Ways) -> Result<Vec<Point>, NoPoints>;
}

/// How the end of a call is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// By probes at instructions only.
    Instructions,
    /// By return probes too, which rewrite the return address on the stack: a program that switches stacks within a call is killed.
    Returns,
}

/// A probe point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The kernel program to attach.
    pub program: &'static str,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Description of the function for the kernel program.
    pub convention: TlsConvention,
}

/// Why a file cannot be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPoints {
    /// Not an ELF file of this machine.
    #[error("it is no 64-bit library of this machine's kind")]
    Foreign,
    /// The functions are not there.
    #[error("it exports no {0} in its code")]
    NoFunction(&'static str),
    /// The code is not as expected.
    #[error("no instruction of {0} is known to be safe to probe (tls.return_probes asks for another way, with its danger)")]
    NoInstruction(&'static str),
}

/// The library of a mapped file, by its name.
pub fn by_name(file_name: &str) -> Option<&'static dyn Library> {
    LIBRARIES.into_iter().find(|library| library.is_named(file_name))
}

/// The probe points in a library's file.
///
/// # Errors
/// [`NoPoints`].
pub fn points(library: &dyn Library, file: &[u8], ways: Ways) -> Result<Vec<Point>, NoPoints> {
    library.points(&Image::parse(file, library.function_prefix())?, ways)
}
