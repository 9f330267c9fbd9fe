//! The `perfmon` binary: parses the arguments and runs the command.
use std::process::ExitCode;

use perfmon_user::{app, cli, heap, inspect, probe, target};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// The options of the allocator: it reads them here before `main` begins.
#[expect(unsafe_code, reason = "the allocator looks for a symbol of this name")]
// SAFETY: no other symbol has this name, and what it points to is text that ends with a zero.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_OPTIONS: &u8 = &heap::OPTIONS[0];

fn main() -> ExitCode {
    if let Some(status) = target::command::launcher(std::env::args_os().skip(1)) {
        return ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX));
    }
    if let Some(status) = inspect::worker(std::env::args_os().skip(1)) {
        return ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX));
    }
    if let Some(status) = probe::closer(std::env::args_os().skip(1)) {
        return ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX));
    }
    match cli::read(std::env::args_os(), std::env::vars_os()) {
        Ok(invocation) => app::start(invocation),
        Err(stop) => ExitCode::from(stop.tell()),
    }
}
