//! Finds probe points in x86-64 code. In: an exported function; out: the call of the internal function that does its work, and instructions
//! before and after that call that are safe to probe. Tracks the argument registers and the stack pointer along each path. A point is given
//! only when the registers that the kernel program reads there are unwritten on the way to it. Points are always instruction starts: every
//! address comes from decoding or is the target of a call.
//!
//! Prefers instructions that the kernel emulates (`push`, conditional jumps: arch/x86/kernel/uprobes.c): it executes others out of line, at
//! ten times the cost. Calls, unconditional jumps and returns are never probed.
use std::collections::HashSet;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::image::{Function, Image};

/// Most instructions of a function that are followed, on all paths together.
const INSTRUCTIONS: usize = 400;
/// Instructions between a call and the place where its result is known, and from a function's beginning to its entry point.
const NEAR: usize = 16;
/// Most exported functions followed when one forwards to the next.
const FORWARDS: usize = 2;
/// Registers of the first six arguments (System V ABI).
const ARGUMENTS: [Register; 6] = [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9];
/// Registers that a called function may overwrite.
const VOLATILE: [Register; 9] =
    [Register::RAX, Register::RCX, Register::RDX, Register::RSI, Register::RDI, Register::R8, Register::R9, Register::R10, Register::R11];

/// Where a call stores its number of bytes, seen from the exported function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountLocation {
    /// In a variable of the exported function, which returns the number.
    Local,
    /// Where the argument with this index points to.
    Argument(u8),
}

/// The probe points of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallPoints {
    /// Address of the instruction in the internal function where object, buffer and the address of the count are in their registers.
    pub entry: u64,
    /// Argument of the internal function that points to the count.
    pub count_argument: u8,
    /// Distance of the stack pointer between entry point and result point.
    pub frame_bytes: u16,
    /// Address of the instruction where the result is in its register.
    pub result: u64,
}

/// The probe points of `function(object, buffer, length, …)`.
pub fn places(image: &Image<'_>, function: Function<'_>, count: CountLocation) -> Option<CallPoints> {
    let (mut function, mut count) = (function, count);
    for _ in 0..FORWARDS {
        match find_call(image, function, count)? {
            FoundCall::Forward(next, argument) => (function, count) = (next, CountLocation::Argument(argument)),
            FoundCall::Call(call) => {
                let (entry, depth) = entry_point(image, call.target, &[0, 1, call.count_argument])?;
                let frame_bytes = u16::try_from(depth + 8).ok()?;
                let result = result_point(image, function, call.next)?;
                return Some(CallPoints { entry, count_argument: call.count_argument, frame_bytes, result });
            }
        }
    }
    None
}

/// The first instruction of a function that has its first argument in place, an emulated one if there is one.
pub fn beginning(image: &Image<'_>, function: Function<'_>) -> Option<u64> {
    entry_point(image, function.address, &[0]).map(|(entry, _)| entry)
}

/// What a function does with its arguments.
enum FoundCall<'a> {
    /// It passes them to an internal function.
    Call(CallSite),
    /// It passes them to an exported function; the index of the argument there that points to the count.
    Forward(Function<'a>, u8),
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct CallSite {
    next: u64,
    target: u64,
    count_argument: u8,
}

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegisterValue {
    /// An argument of the function, unchanged or sign-extended.
    Argument(u8),
    /// An address in the function's stack frame.
    Local,
    Other,
}

/// Known state at an instruction.
#[derive(Clone)]
struct RegisterState {
    registers: [RegisterValue; 16],
    /// Bytes by which the stack pointer is below its place at the function's beginning.
    depth: i64,
}

impl RegisterState {
    fn at_beginning() -> Self {
        let mut registers = [RegisterValue::Other; 16];
        for (index, register) in (0u8..).zip(ARGUMENTS) {
            registers[register.number()] = RegisterValue::Argument(index);
        }
        registers[Register::RSP.number()] = RegisterValue::Local;
        Self { registers, depth: 0 }
    }

    fn holds(&self, register: Register, value: RegisterValue) -> bool {
        self.registers[register.number()] == value
    }

    fn set(&mut self, register: Register, value: RegisterValue) {
        self.registers[register.full_register().number()] = value;
    }

    /// Forgets the registers that a called function may overwrite.
    fn forget_volatile(&mut self) {
        for register in VOLATILE {
            self.set(register, RegisterValue::Other);
        }
    }

    /// Advances the state over the instruction; `None` when the stack pointer becomes unknown.
    fn after(&mut self, instruction: &Instruction, factory: &mut InstructionInfoFactory) -> Option<()> {
        let moved = self.moved(instruction);
        for used in factory.info(instruction).used_registers() {
            let register = used.register().full_register();
            if !is_written(used.access()) || !register.is_gpr64() {
                continue;
            }
            if register == Register::RSP {
                self.depth += stack_change(instruction)?;
            } else {
                self.set(register, RegisterValue::Other);
            }
        }
        if let Some((register, value)) = moved {
            self.set(register, value);
        }
        Some(())
    }

    /// The register that the instruction sets to a known value.
    fn moved(&self, instruction: &Instruction) -> Option<(Register, RegisterValue)> {
        let into = instruction.op0_register();
        if instruction.op0_kind() != OpKind::Register || !into.is_gpr() || into.full_register() == Register::RSP {
            return None;
        }
        let value = match instruction.mnemonic() {
            Mnemonic::Mov | Mnemonic::Movsxd if instruction.op1_kind() == OpKind::Register && instruction.op1_register().is_gpr() => {
                let from = instruction.op1_register();
                let value = self.registers[from.full_register().number()];
                // A 32-bit move keeps the whole value only of the length, an int.
                if from.is_gpr64() || value == RegisterValue::Argument(2) { value } else { RegisterValue::Other }
            }
            Mnemonic::Lea if instruction.memory_index() == Register::None && instruction.memory_base().is_gpr64() => {
                if self.holds(instruction.memory_base(), RegisterValue::Local) { RegisterValue::Local } else { RegisterValue::Other }
            }
            _ => return None,
        };
        Some((into, value))
    }

    /// The index of the argument that points to the count, when a call with these registers is the one that does the work.
    fn is_call_of_work(&self, count: CountLocation) -> Option<u8> {
        let in_place = (0u8..3).zip(ARGUMENTS).all(|(index, register)| self.holds(register, RegisterValue::Argument(index)));
        let wanted = match count {
            CountLocation::Local => RegisterValue::Local,
            CountLocation::Argument(index) => RegisterValue::Argument(index),
        };
        let place = (3u8..).zip(&ARGUMENTS[3..]).find(|(_, register)| self.holds(**register, wanted));
        place.filter(|_| in_place).map(|(index, _)| index)
    }
}

/// The only call on any path that gets object, buffer, length and the count's address.
fn find_call<'a>(image: &Image<'a>, function: Function<'a>, count: CountLocation) -> Option<FoundCall<'a>> {
    let inside = function.address..function.address.checked_add(function.size)?;
    let mut factory = InstructionInfoFactory::new();
    let mut seen = HashSet::new();
    let mut paths = vec![(function.address, RegisterState::at_beginning())];
    let mut found: Option<CallSite> = None;
    while let Some((start, mut known)) = paths.pop() {
        for instruction in decode(image, start)? {
            if !inside.contains(&instruction.ip()) || !seen.insert(instruction.ip()) {
                break;
            }
            if seen.len() > INSTRUCTIONS {
                return None;
            }
            let target = instruction.near_branch_target();
            match instruction.flow_control() {
                FlowControl::Next => {}
                FlowControl::ConditionalBranch => paths.push((target, known.clone())),
                FlowControl::UnconditionalBranch if inside.contains(&target) => {
                    paths.push((target, known));
                    break;
                }
                FlowControl::UnconditionalBranch if known.depth == 0 && found.is_none() => match known.is_call_of_work(count) {
                    Some(argument) => return Some(FoundCall::Forward(image.function_at(target)?, argument)),
                    None => break,
                },
                FlowControl::Call if instruction.is_call_near() => {
                    if let Some(count_argument) = known.is_call_of_work(count) {
                        if let Some(next) = image.function_at(target) {
                            return Some(FoundCall::Forward(next, count_argument));
                        }
                        let call = CallSite { next: instruction.next_ip(), target, count_argument };
                        if found.replace(call).is_some_and(|other| other != call) {
                            return None;
                        }
                        break;
                    }
                    known.forget_volatile();
                    continue;
                }
                FlowControl::IndirectCall => {
                    known.forget_volatile();
                    continue;
                }
                _ => break,
            }
            if known.after(&instruction, &mut factory).is_none() {
                break;
            }
        }
    }
    found.map(FoundCall::Call)
}

/// The first emulated instruction of a function where these arguments are in their registers, else the first instruction; with the bytes by
/// which the stack has grown there.
fn entry_point(image: &Image<'_>, function: u64, arguments: &[u8]) -> Option<(u64, i64)> {
    let mut factory = InstructionInfoFactory::new();
    let mut known = RegisterState::at_beginning();
    let mut first = None;
    for instruction in decode(image, function)?.take(NEAR) {
        if !arguments.iter().all(|index| known.holds(ARGUMENTS[usize::from(*index)], RegisterValue::Argument(*index))) {
            break;
        }
        if is_emulated(&instruction) {
            return Some((instruction.ip(), known.depth));
        }
        if instruction.flow_control() != FlowControl::Next {
            break;
        }
        if instruction.mnemonic() != Mnemonic::Endbr64 {
            first.get_or_insert((instruction.ip(), known.depth));
        }
        known.after(&instruction, &mut factory)?;
    }
    first
}

/// The first emulated instruction after a call that has its result in its register and the stack as it was, else the first instruction.
fn result_point(image: &Image<'_>, function: Function<'_>, next: u64) -> Option<u64> {
    let mut factory = InstructionInfoFactory::new();
    let mut known = RegisterState::at_beginning();
    known.set(Register::RAX, RegisterValue::Argument(0));
    let end = function.address.checked_add(function.size)?;
    let mut first = None;
    for instruction in decode(image, next)?.take(NEAR) {
        let in_place = known.holds(Register::RAX, RegisterValue::Argument(0)) && known.depth == 0 && instruction.ip() < end;
        if !in_place {
            break;
        }
        if instruction.is_jcc_short_or_near() {
            return Some(instruction.ip());
        }
        if instruction.flow_control() != FlowControl::Next {
            break;
        }
        first.get_or_insert(instruction.ip());
        known.after(&instruction, &mut factory)?;
    }
    first
}

/// Whether the kernel emulates the instruction: `push` of a register, a conditional jump.
fn is_emulated(instruction: &Instruction) -> bool {
    let pushes = instruction.mnemonic() == Mnemonic::Push && instruction.op0_kind() == OpKind::Register && instruction.len() <= 2;
    pushes && instruction.op0_register().is_gpr64() || instruction.is_jcc_short_or_near()
}

fn is_written(access: OpAccess) -> bool {
    matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
}

/// Bytes by which the instruction moves the stack pointer down; `None` when that is not in the instruction.
fn stack_change(instruction: &Instruction) -> Option<i64> {
    let immediate =
        |sign: i64| (instruction.op1_kind() != OpKind::Register).then(|| instruction.try_immediate(1).ok().map(|n| sign * n as i64))?;
    match instruction.mnemonic() {
        Mnemonic::Push | Mnemonic::Pop => Some(-i64::from(instruction.stack_pointer_increment())),
        Mnemonic::Sub => immediate(1),
        Mnemonic::Add => immediate(-1),
        _ => None,
    }
}

/// The instructions from `address` on.
fn decode<'a>(image: &Image<'a>, address: u64) -> Option<impl Iterator<Item = Instruction> + use<'a>> {
    let mut decoder = Decoder::with_ip(64, image.code(address)?, address, DecoderOptions::NONE);
    Some(std::iter::from_fn(move || decoder.can_decode().then(|| decoder.decode()).filter(|instruction| !instruction.is_invalid())))
}
