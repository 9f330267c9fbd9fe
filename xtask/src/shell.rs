//! What the tasks share: where the workspace is, saying what happens, running commands (as root where one needs it).
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The workspace's folder.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// Cargo's folder of what it builds.
pub fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    root().join(target)
}

/// Cache of everything expensive to make: Python environment, Go, built test servers. Not under version control.
pub fn cache() -> PathBuf {
    root().join(".cache")
}

/// Prints one line about the current step.
pub fn say(message: impl std::fmt::Display) {
    println!("==> {message}");
}

/// Whether this process may do everything (effective user id 0).
pub fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        ids.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
    })
}

/// A command in the workspace's folder.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The same, run as root: directly, or through sudo.
pub fn as_root(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if is_root() {
        return command(program);
    }
    let mut sudo = command("sudo");
    sudo.arg(program);
    sudo
}

/// The running `cargo`, without what `cargo run` told this program of itself: build scripts (ring's) watch these variables, and a build by the
/// task would make the next one by hand compile everything above them again.
pub fn cargo() -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_str().is_some_and(is_of_the_running_package)) {
        cargo.env_remove(name);
    }
    cargo
}

fn is_of_the_running_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Runs a command to its end; an error names it when it fails.
pub fn execute(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Runs a command to its end and gives its standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {}", line(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", line(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first folder of PATH (and of the system programs) that contains `program`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Builds the optimised `perfmon` as the calling user and gives its path.
pub fn build_perfmon() -> Result<PathBuf> {
    build_perfmon_with(&[])
}

/// As `build_perfmon`, with more options of cargo.
pub fn build_perfmon_with(options: &[&str]) -> Result<PathBuf> {
    say("building perfmon (release)");
    execute(cargo().args(["build", "--release", "--package", "perfmon-user", "--bin", "perfmon"]).args(options))?;
    let binary = target().join("release/perfmon");
    if !binary.is_file() {
        bail!("cargo built no {}", binary.display());
    }
    Ok(binary)
}

/// A command as one would type it, for messages.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// A free TCP port of the loopback address.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The child of sudo: the program started through it. `None` when it is gone.
pub fn behind_sudo(sudo: u32) -> Result<Option<u32>> {
    let children = std::fs::read_to_string(format!("/proc/{sudo}/task/{sudo}/children"))?;
    Ok(children.split_whitespace().next().map(str::parse).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_of_a_task_have_the_environment_of_builds_by_hand() {
        // cargo sets these for tests as it does for `cargo run`.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let cargo = cargo();
        let removed: Vec<_> = cargo.get_envs().filter(|(_, value)| value.is_none()).filter_map(|(name, _)| name.to_str()).collect();
        for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION_MAJOR"] {
            assert!(removed.contains(&name), "{name} is not in {removed:?}");
        }
    }
}
