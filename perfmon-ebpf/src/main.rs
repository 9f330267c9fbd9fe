//! perfmon's kernel programs. In: tracepoints of the running kernel; out: events in the ring (`perfmon_common::event`).
//! A program filters, keeps the state of its socket up to date, and reports; everything that takes thought is done in user space.
//! No offset of a kernel struct and no system call number is compiled in: both stand in globals that the loader fills.
#![feature(asm_experimental_arch)]
#![no_std]
#![no_main]

mod capture;
mod datagram;
mod emit;
mod environment;
mod filter;
mod log;
mod maps;
mod operation;
mod probes;
mod sequence;
mod sock;
mod task;
mod uring;
mod user_buf;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The helpers used here are for GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
