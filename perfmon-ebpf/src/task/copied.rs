//! Objects of the kernel by their addresses: each member is copied by `bpf_probe_read_kernel`. For kernels before 5.15, which lack the helpers
//! that `typed.rs` uses.
use aya_ebpf::helpers::generated::bpf_get_current_task;

use crate::maps::offset;
use crate::sock::read;

/// The address of a kernel object.
#[derive(Clone, Copy)]
pub struct Typed(u64);

impl Typed {
    /// The member at `offset`; 0 (and a count) when it cannot be read.
    ///
    /// # Safety
    /// None is needed: the helper checks the address.
    #[inline(always)]
    pub unsafe fn load<T: Copy + Default>(self, offset: u32) -> T {
        read(self.0.wrapping_add(u64::from(offset)))
    }

    /// The object that the pointer at `offset` points to.
    ///
    /// # Safety
    /// As for `load`.
    #[inline(always)]
    pub unsafe fn follow(self, offset: u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { self.load(offset) })
    }

    /// Its address.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0
    }
}

/// The current thread's task.
#[inline(always)]
pub fn current() -> Typed {
    // SAFETY: no arguments.
    Typed(unsafe { bpf_get_current_task() })
}

/// The registers of the current thread in user mode, saved at the top of its kernel stack when it entered the kernel (`task_pt_regs()` in
/// arch/*/include/asm/processor.h).
#[inline(always)]
pub fn registers(task: Typed) -> Typed {
    // SAFETY: a pointer.
    let stack: u64 = unsafe { task.load(offset!(task_stack)) };
    Typed(stack.wrapping_add(u64::from(offset!(stack_registers))))
}
