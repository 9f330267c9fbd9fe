//! `cargo xtask run`: builds perfmon as the calling user and becomes `perfmon run`, through sudo when that user is not root.
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::shell;

/// Arguments, all for `perfmon run`.
#[derive(clap::Args)]
pub struct Args {
    /// Target and options of `perfmon run`, e.g. `--port 8080` (none: everything on this machine)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    perfmon: Vec<String>,
}

/// Builds, then does not return unless perfmon could not be started.
pub fn run(args: &Args) -> Result<()> {
    if shell::is_root() && std::env::var_os("SUDO_USER").is_some() {
        shell::say("note: `cargo xtask run` needs no sudo in front, it asks for it itself and then builds as you");
    }
    let binary = shell::build_perfmon()?;
    let mut command = shell::as_root(binary);
    command.arg("run").args(&args.perfmon);
    shell::say(format_args!("{} (Ctrl-C ends it)", shell::line(&command)));
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", shell::line(&command)))
}
