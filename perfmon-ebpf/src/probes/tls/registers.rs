//! Registers of the probed thread, at offsets that user space tells: nothing here is of one architecture.
use crate::maps::constant;
use crate::maps::tls::CALL_REGISTERS;
use crate::task::{self, Typed};

/// What the probed thread has in its registers.
#[derive(Clone, Copy)]
pub struct Registers(Typed);

impl Registers {
    /// Those of the current thread.
    #[inline(always)]
    pub fn now() -> Self {
        Self(task::registers(task::current()))
    }

    /// Argument `n` of the function, as long as its code has not overwritten the register.
    #[inline(always)]
    pub fn argument(self, n: usize) -> u64 {
        self.at(constant(&CALL_REGISTERS.arguments[n]))
    }

    /// What a function that was called last returned.
    #[inline(always)]
    pub fn result(self) -> u64 {
        self.at(constant(&CALL_REGISTERS.result))
    }

    /// The stack pointer.
    #[inline(always)]
    pub fn stack(self) -> u64 {
        self.at(constant(&CALL_REGISTERS.stack))
    }

    /// The address of the instruction that the probe stands at.
    #[inline(always)]
    #[cfg(feature = "copied-task")]
    pub fn instruction(self) -> u64 {
        self.at(constant(&CALL_REGISTERS.instruction))
    }

    #[inline(always)]
    fn at(self, offset: u32) -> u64 {
        // SAFETY: a saved register.
        unsafe { self.0.load(offset) }
    }
}
