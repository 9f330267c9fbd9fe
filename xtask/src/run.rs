//! `cargo xtask run`: builds perfmon as the calling user and becomes `perfmon run`, through sudo when that user is not root.
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::{build_ebpf, shell};

/// Arguments, all for `perfmon run`.
#[derive(clap::Args)]
pub struct Args {
    /// Show what the kernel programs log: refusals, losses, decisions (builds them and perfmon for it)
    #[arg(long)]
    kernel_log: bool,
    /// Target and options of `perfmon run`, e.g. `--port 8080` (none: everything on this machine)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    perfmon: Vec<String>,
}

/// Builds, then does not return unless perfmon could not be started.
pub fn run(args: &Args) -> Result<()> {
    if shell::is_root() && std::env::var_os("SUDO_USER").is_some() {
        shell::say("note: `cargo xtask run` needs no sudo in front, it asks for it itself and then builds as you");
    }
    let binary = if args.kernel_log {
        build_ebpf::run_with_log()?;
        shell::build_perfmon_with(&["--features", "kernel-log"])?
    } else {
        shell::build_perfmon()?
    };
    let mut command = shell::as_root(binary);
    command.arg("run").args(&args.perfmon);
    if args.kernel_log {
        command.args(["--log", "debug"]);
    }
    shell::say(format_args!("{} (Ctrl-C ends it)", shell::line(&command)));
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", shell::line(&command)))
}
