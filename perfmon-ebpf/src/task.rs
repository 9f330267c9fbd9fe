//! The current thread: its task struct, and the registers with which it left user space.
use perfmon_common::map::ABSENT;

use crate::maps::{offset, syscall_kind};

#[cfg_attr(feature = "copied-task", path = "task/copied.rs")]
mod typed;

pub use typed::{Typed, current, registers};

/// A thread of the kernel.
const PF_KTHREAD: u32 = 0x0020_0000;
/// A worker of io_uring: its registers are those of whoever created it.
const PF_IO_WORKER: u32 = 0x10;

/// The system call that the current thread is in.
#[derive(Clone, Copy)]
pub struct Call {
    registers: Typed,
    /// `SYSCALL_*`, 0 = nothing to read.
    pub kind: u8,
}

impl Call {
    /// Argument `n`.
    #[inline(always)]
    pub fn argument(self, n: usize) -> u64 {
        // SAFETY: a saved register.
        unsafe { self.registers.load(offset!(regs_arguments[n])) }
    }
}

/// What the current thread asked of the kernel.
#[inline(always)]
pub fn call(task: Typed) -> Call {
    let registers = registers(task);
    // SAFETY: types as in `KernelOffsets`.
    let (flags, compat, number) = unsafe {
        (task.load::<u32>(offset!(task_flags)), task.load::<u32>(offset!(task_compat)), registers.load::<u64>(offset!(regs_syscall)))
    };
    if flags & (PF_KTHREAD | PF_IO_WORKER) != 0 {
        return Call { registers, kind: 0 };
    }
    // The numbers and structs of 32-bit calls are others.
    let kind = if compat & offset!(compat_mask) != 0 { 0 } else { syscall_kind(number) };
    Call { registers, kind }
}

/// Whether io_uring may run work of the current thread in the middle of another system call.
#[inline(always)]
pub fn uses_io_uring(task: Typed) -> bool {
    let offset = offset!(task_io_uring);
    // SAFETY: a pointer.
    offset != ABSENT && unsafe { task.load::<u64>(offset) } != 0
}

/// Whether the current thread is a worker of io_uring.
#[inline(always)]
pub fn is_io_worker(task: Typed) -> bool {
    // SAFETY: as in `KernelOffsets`.
    unsafe { task.load::<u32>(offset!(task_flags)) & PF_IO_WORKER != 0 }
}
