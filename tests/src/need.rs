//! Requirements of a live test. A test without one of them prints the reason and is skipped; under `CI=true` it fails instead.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{perfmon, workspace};

/// Something that must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A built perfmon, and root (directly, or by sudo without a question).
    Perfmon,
    /// A program.
    Program(&'static str),
    /// A header file of a library.
    Header(&'static str),
    /// Node's packages of tests/package.json.
    NodePackages,
    /// The Python environment that `cargo xtask test` makes.
    Python,
    /// What runs the page's browser tests.
    PageTools,
}

/// True when the test must be skipped; prints the reason, and fails under `CI=true`.
pub fn missing(needs: &[Need]) -> bool {
    let reasons: Vec<String> = needs.iter().filter_map(|need| lacks(*need)).collect();
    if reasons.is_empty() {
        return false;
    }
    let reasons = reasons.join("; ");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "nothing may be skipped here: {reasons}");
    eprintln!("skipped: {reasons}");
    true
}

fn lacks(need: Need) -> Option<String> {
    match need {
        Need::Perfmon => {
            let built = perfmon::binary().is_file();
            let root = is_root() || succeeds(Command::new("sudo").args(["--non-interactive", "true"]));
            match (built, root) {
                (false, _) => Some("perfmon is not built (`cargo xtask test` builds it)".into()),
                (_, false) => Some("neither root nor sudo without a password".into()),
                _ => None,
            }
        }
        Need::Program(name) => find(name).is_none().then(|| format!("{name} is not installed (`cargo xtask test` installs it)")),
        Need::Header(path) => (!Path::new(path).is_file()).then(|| format!("no {path} (`cargo xtask test` installs it)")),
        Need::NodePackages => {
            let there = ["ws", "pg", "ioredis"].iter().all(|name| workspace().join("tests/node_modules").join(name).exists());
            (!there).then(|| "Node's packages are not installed (`cargo xtask test` installs them)".into())
        }
        Need::PageTools => {
            let runner = workspace().join("dashboard/node_modules/.bin/vitest");
            (!runner.exists()).then(|| "the page's tools are not installed (`cargo xtask test` installs them)".into())
        }
        Need::Python => (!python().is_file()).then(|| "no Python environment (`cargo xtask test` makes it)".into()),
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The Python of the tests' environment.
pub fn python() -> PathBuf {
    workspace().join(".cache/venv/bin/python")
}

/// A program in PATH or where Debian keeps system programs.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether this process is root.
pub fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        ids.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
    })
}

/// A command that runs as root: directly, or by sudo.
pub fn as_root(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.arg("--non-interactive").arg(program);
    sudo
}
