//! `cargo xtask lint`: formatting and clippy of every package and target, the formatting of the kernel crate and the fuzz program, and with
//! cargo-deny the licences and sources of all dependencies (deny.toml). Does not use the advisory database, which is not on a package
//! registry.
use anyhow::Result;

use crate::build_dashboard;
use crate::fuzz;
use crate::shell::{self, cargo, execute, say};

/// Options.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Install cargo-deny when it is missing (some minutes); otherwise its checks are left out with a note
    #[arg(long)]
    pub deny: bool,
}

/// Runs all checks; the first that fails ends it.
pub fn run(args: &Args) -> Result<()> {
    say("formatting");
    execute(cargo().args(["fmt", "--all", "--check"]))?;
    let kernel = shell::root().join("perfmon-ebpf/Cargo.toml");
    if kernel.is_file() {
        execute(cargo().args(["fmt", "--check", "--manifest-path"]).arg(kernel))?;
    }
    let fuzz = shell::root().join("perfmon-user/fuzz/Cargo.toml");
    execute(cargo().args(["fmt", "--check", "--manifest-path"]).arg(fuzz))?;
    say("the page's built files");
    build_dashboard::check()?;
    say("clippy");
    execute(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    // It builds what no other program may, and leaves out parts of perfmon that others name.
    fuzz::check()?;
    deny(args.deny)
}

fn deny(install: bool) -> Result<()> {
    if shell::find("cargo-deny").is_none() {
        if !install {
            say("cargo-deny is not installed: licences and sources are not checked (`cargo xtask lint --deny` installs it)");
            return Ok(());
        }
        say("installing cargo-deny (a few minutes, once)");
        execute(cargo().args(["install", "--quiet", "--locked", "--debug", "cargo-deny"]))?;
    }
    say("licences and sources");
    execute(cargo().args(["deny", "--log-level", "error", "check", "licenses", "bans", "sources"]))
}
