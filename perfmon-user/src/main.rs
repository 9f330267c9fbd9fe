//! The `perfmon` binary: parses the arguments and runs the command.
use std::process::ExitCode;

use perfmon_user::{app, cli, inspect, probe, target};

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
