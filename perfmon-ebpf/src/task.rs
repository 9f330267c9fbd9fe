//! The current thread: its task struct and saved registers, read directly, which costs half of `bpf_probe_read_kernel`.
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};
use perfmon_common::map::ABSENT;

use crate::maps::{offset, syscall_kind};

/// A thread of the kernel.
const PF_KTHREAD: u32 = 0x0020_0000;
/// A worker of io_uring: its registers are those of whoever created it.
const PF_IO_WORKER: u32 = 0x10;

/// A pointer to a kernel object that the verifier knows the type of, so that members are loaded directly.
#[derive(Clone, Copy)]
pub struct Typed(*const u8);

impl Typed {
    /// The member at `offset`.
    ///
    /// # Safety
    /// The member has type `T`.
    #[inline(always)]
    pub unsafe fn load<T: Copy>(self, offset: u32) -> T {
        // SAFETY: the verifier refuses what is no member; a bad address reads as 0.
        unsafe { self.0.add(offset as usize).cast::<T>().read_volatile() }
    }

    /// The object that the pointer at `offset` points to.
    ///
    /// # Safety
    /// The member is a pointer to a struct.
    #[inline(always)]
    pub unsafe fn follow(self, offset: u32) -> Typed {
        // SAFETY: as for `load`.
        Typed(unsafe { self.load(offset) })
    }

    /// Its address.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }
}

/// The current thread's task.
#[inline(always)]
pub fn current() -> Typed {
    // SAFETY: no arguments.
    Typed(unsafe { bpf_get_current_task_btf() }.cast_const().cast())
}

/// The registers of the current thread in user mode, saved when it entered the kernel: by a system call, or at a uprobe. Read from there,
/// not from a probe's context, whose layout the compiler would fix.
#[derive(Clone, Copy)]
pub struct Registers(Typed);

#[expect(dead_code, reason = "the TLS probes take their arguments from here next")]
impl Registers {
    /// Parameter `n` of the function that begins here.
    #[inline(always)]
    pub fn parameter(self, n: usize) -> u64 {
        // SAFETY: a saved register.
        unsafe { self.0.load(offset!(regs_parameters[n])) }
    }

    /// The result of the function that returns here.
    #[inline(always)]
    pub fn result(self) -> u64 {
        // SAFETY: as above.
        unsafe { self.0.load(offset!(regs_result)) }
    }

    /// The stack pointer.
    #[inline(always)]
    pub fn stack(self) -> u64 {
        // SAFETY: as above.
        unsafe { self.0.load(offset!(regs_stack)) }
    }
}

/// The registers of the current thread in user mode.
#[inline(always)]
pub fn registers(task: Typed) -> Registers {
    // SAFETY: `task` is the current task.
    Registers(Typed(unsafe { bpf_task_pt_regs(task.0.cast_mut().cast()) } as *const u8))
}

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
    let Registers(registers) = registers(task);
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

/// The registers with which the current thread left user space.
#[inline(always)]
pub fn user_registers() -> Typed {
    // SAFETY: the current task.
    Typed(unsafe { bpf_task_pt_regs(current().0.cast_mut().cast()) } as *const u8)
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
