//! This program in the place of the compiler (RUSTC_WRAPPER): perfmon and the targets get coverage counters for libFuzzer and the checks of a debug
//! build, everything else is compiled as it is. The options are those of cargo-fuzz without its sanitizer.
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Says that this process is a compiler.
const STANDS_IN: &str = "PERFMON_XTASK_COMPILER";
/// Compiled with counters. No package that the optimised perfmon shares may be: it would be linked without libFuzzer.
const COUNTED: [&str; 2] = ["perfmon_user", "perfmon_fuzz"];
const OPTIONS: [&str; 9] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=16",
    "-Copt-level=1",
    "-Cdebug-assertions",
    "-Coverflow-checks=on",
];

/// The same run of cargo with this program as compiler.
pub fn instead(cargo: &mut Command) -> Result<&mut Command> {
    let own = std::env::current_exe().context("the path of xtask is not known")?;
    Ok(cargo.env("RUSTC_WRAPPER", own).env(STANDS_IN, "1"))
}

/// Compiles, when this process was started as the compiler.
pub fn stand_in() -> Option<ExitCode> {
    std::env::var_os(STANDS_IN)?;
    let mut arguments = std::env::args_os().skip(1);
    let compiler = arguments.next()?;
    let arguments: Vec<OsString> = arguments.collect();
    let name = arguments.iter().position(|argument| argument == "--crate-name").and_then(|at| arguments.get(at + 1));
    let is_counted = name.and_then(|name| name.to_str()).is_some_and(|name| COUNTED.contains(&name));
    let error = Command::new(&compiler).args(&arguments).args(if is_counted { &OPTIONS[..] } else { &[] }).exec();
    eprintln!("error: cannot start {}: {error}", compiler.display());
    Some(ExitCode::FAILURE)
}
