//! `cargo xtask TASK`: the development tasks, one file each; `shell.rs` is shared. Tasks build as the calling user and use root (sudo) only
//! for the one command that needs it. Each can be repeated at any time: nothing is installed or built twice.
mod bench;
mod build_dashboard;
mod build_ebpf;
mod capture;
mod clock;
mod demo;
mod dist;
mod fuzz;
mod install;
mod lanes;
mod lint;
mod process;
mod run;
mod shell;
mod test;
mod vmtest;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "perfmon's tasks", disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build perfmon and watch this machine (all arguments go to `perfmon run`)
    Run(run::Args),
    /// Watch a small real service under load: a shop over TLS with an agent that asks models
    Demo(demo::Args),
    /// Install what the tests need, then lint, rebuild the kernel object, run unit, replay and live tests
    Test(test::Args),
    /// Feed the parsers with what a fuzzer makes up
    Fuzz(fuzz::Args),
    /// Formatting, clippy, licences and sources of dependencies
    Lint(lint::Args),
    /// Rebuild the kernel programs' object files (perfmon-user/ebpf/*.bpf.o)
    BuildEbpf,
    /// Rebuild the page's files (dashboard/dist) with npm
    BuildDashboard,
    /// Make what users install: static perfmon, tarball, Debian package, RPM, SBOM, checksums (target/dist)
    Dist(dist::Args),
    /// Record live traffic into a corpus file with its golden records
    Capture(capture::Args),
    /// Run perfmon on several kernels in virtual machines, on every capture tier that each can do
    Vmtest(vmtest::Args),
    /// Measure what perfmon costs and write docs/performance.md
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    if let Some(code) = fuzz::stand_in() {
        return code;
    }
    let result = match Args::parse().task {
        Task::Run(args) => run::run(&args),
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => return finish(test::run(&args)),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Lint(args) => lint::run(&args),
        Task::BuildEbpf => build_ebpf::run(),
        Task::BuildDashboard => build_dashboard::run(),
        Task::Dist(args) => dist::run(&args),
        Task::Capture(args) => capture::run(&args),
        Task::Vmtest(args) => return finish(vmtest::run(&args)),
        Task::Bench(bench) => bench::run(&bench),
    };
    finish(result.map(|()| ExitCode::SUCCESS))
}

fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
