//! Objects of the kernel by pointers whose type the verifier knows: members are loaded directly, which costs half of `bpf_probe_read_kernel`.
//! Linux 5.15 and later; the feature `copied-task` puts `copied.rs` in place of this file.
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};

/// A pointer to a kernel object.
#[derive(Clone, Copy)]
pub struct Typed(*const u8);

impl Typed {
    /// The member at `offset`.
    ///
    /// # Safety
    /// The member has type `T`.
    #[inline(always)]
    pub unsafe fn load<T: Copy + Default>(self, offset: u32) -> T {
        // SAFETY: the verifier refuses what is no member; a bad address reads as 0.
        unsafe { self.0.add(offset as usize).cast::<T>().read_volatile() }
    }

    /// The object that the pointer at `offset` points to.
    ///
    /// # Safety
    /// The member is a pointer to a struct.
    #[inline(always)]
    pub unsafe fn follow(self, offset: u32) -> Self {
        // SAFETY: as for `load`; the pointer keeps its type.
        Self(unsafe { self.0.add(offset as usize).cast::<*const u8>().read_volatile() })
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
#[inline(always)]
pub fn registers(task: Typed) -> Typed {
    // SAFETY: `task` is the current task.
    Typed(unsafe { bpf_task_pt_regs(task.0.cast_mut().cast()) } as *const u8)
}
