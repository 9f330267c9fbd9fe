//! The program behind `--`. It must not run before its process is watched, or its first bytes would be missed. So perfmon starts
//! itself once more with the hidden command [`LAUNCHER`]; that process waits for one byte on a pipe, which it opens through
//! `/proc/PARENT/fd` so that nothing is inherited, and then becomes the program under the same pid. When perfmon dies first, the
//! pipe ends and nothing is started.
//!
//! Under sudo, doas or pkexec the program runs as the user who called it, with that user's groups, HOME, USER and LOGNAME, since only perfmon
//! needs root. It does not inherit perfmon's own secrets (`is_own_secret`). Standard input, output, error and the process group are perfmon's
//! own: Ctrl-C on a terminal reaches both.
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Gid, Pid, Signal, Uid, kill_process};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::redact;

/// First argument of the process that waits: `launch-when-watched PARENT FD -- CMD ARGS…`.
pub const LAUNCHER: &str = "launch-when-watched";

/// Exit status of a shell for a program that it cannot execute.
const CANNOT_EXECUTE: i32 = 126;

/// Why the program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Nothing stands behind `--`.
    #[error("no program follows `--`; write for example: -- python3 app.py")]
    Empty,
    /// There is no such program.
    #[error("{} was not found{}; give its path", .0.display(), if .0.components().count() == 1 { " in PATH" } else { "" })]
    NotFound(PathBuf),
    /// It cannot be executed.
    #[error("{} cannot be executed; `chmod +x` makes a script executable", .0.display())]
    NotExecutable(PathBuf),
    /// The system refused.
    #[error("the process that launches the program could not be created")]
    System(#[from] io::Error),
}

/// A program that was started, or waits for it.
#[derive(Debug)]
pub struct Launched {
    child: Child,
    gate: Option<PipeWriter>,
    /// Kept open: the launcher opens it through /proc.
    _read_end: PipeReader,
}

impl Launched {
    /// Creates the process, which waits for [`Launched::release`]; it does not inherit the variables `secrets`.
    ///
    /// # Errors
    /// [`LaunchError`]; the first three are wrong usage and found before anything is started.
    pub fn start(command: &[OsString], secrets: &[String]) -> Result<Self, LaunchError> {
        let mut launcher = Command::new(std::env::current_exe()?);
        launcher.arg(LAUNCHER);
        secrets.iter().for_each(|name| {
            launcher.env_remove(name);
        });
        Self::start_with(launcher, command)
    }

    fn start_with(mut launcher: Command, command: &[OsString]) -> Result<Self, LaunchError> {
        let program = command.first().ok_or(LaunchError::Empty)?;
        find_program(program, &std::env::var_os("PATH").unwrap_or_default())?;
        let (read_end, gate) = io::pipe()?;
        launcher.arg(std::process::id().to_string()).arg(read_end.as_raw_fd().to_string()).arg("--").args(command);
        let is_secret = |name: &OsStr, value: &OsStr| is_own_secret(&name.to_string_lossy(), &value.to_string_lossy());
        std::env::vars_os().filter(|(name, value)| is_secret(name, value)).for_each(|(name, _)| {
            launcher.env_remove(name);
        });
        Ok(Self { child: launcher.spawn()?, gate: Some(gate), _read_end: read_end })
    }

    /// Its process, which is the program's from the beginning.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets the program begin. Later calls do nothing.
    ///
    /// # Errors
    /// When the pipe is broken.
    pub fn release(&mut self) -> io::Result<()> {
        self.gate.take().map_or(Ok(()), |mut gate| gate.write_all(b"!"))
    }

    /// Its exit status once it has ended, 128 + signal when a signal ended it.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn status(&mut self) -> io::Result<Option<i32>> {
        Ok(self.child.try_wait()?.map(exit_code))
    }

    /// Waits for its end; status as above.
    ///
    /// # Errors
    /// As above.
    pub fn wait(&mut self) -> io::Result<i32> {
        self.child.wait().map(exit_code)
    }

    /// Passes SIGTERM on to it.
    ///
    /// # Errors
    /// When it may not be signalled. One that has ended is none.
    pub fn terminate(&mut self) -> io::Result<()> {
        // An ended child that was not waited for keeps its pid, so this reaches no other process.
        if self.status()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        }
        Ok(())
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

/// Variables that configure perfmon and may hold secrets; the program is somebody else's.
fn is_own_secret(name: &str, value: &str) -> bool {
    let is_of_exporter = |ending| name.starts_with("OTEL_EXPORTER_OTLP_") && name.ends_with(ending);
    // Without a key in it the program may want it for its own telemetry.
    let is_keyed = (is_of_exporter("ENDPOINT") || name == "LOGFIRE_BASE_URL") && redact::url(value) != value;
    is_keyed
        || is_of_exporter("HEADERS")
        || name.starts_with("PERFMON_")
        || matches!(name, "LOGFIRE_TOKEN" | "LOGFIRE_TOKEN_FILE" | "CREDENTIALS_DIRECTORY")
}

/// The file that a shell would execute.
fn find_program(program: &OsStr, path: &OsStr) -> Result<PathBuf, LaunchError> {
    let executable = |file: &Path| file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    let candidates: Vec<PathBuf> = match Path::new(program).components().count() {
        0 => return Err(LaunchError::Empty),
        1 if !program.as_encoded_bytes().contains(&b'/') => std::env::split_paths(path).map(|directory| directory.join(program)).collect(),
        _ => vec![program.into()],
    };
    match candidates.iter().find(|file| executable(file)).or_else(|| candidates.iter().find(|file| file.exists())) {
        Some(file) if executable(file) => Ok(file.clone()),
        Some(file) => Err(LaunchError::NotExecutable(file.clone())),
        None => Err(LaunchError::NotFound(program.into())),
    }
}

/// The waiting side; call it first thing in `main` with the arguments behind the program's name. `None`: this process is not the
/// launcher. Returns only when the program could not be started, with the exit status to end with.
pub fn launcher(mut arguments: impl Iterator<Item = OsString>) -> Option<i32> {
    if arguments.next()? != LAUNCHER {
        return None;
    }
    let mut number = || arguments.next()?.to_str()?.parse::<u32>().ok();
    let (Some(parent), Some(fd)) = (number(), number()) else {
        eprintln!("perfmon: `{LAUNCHER}` is used by perfmon itself; run `perfmon run -- CMD`");
        return Some(2);
    };
    let command: Vec<OsString> = arguments.skip(1).collect();
    let Some((program, rest)) = command.split_first() else { return Some(2) };
    if wait_for_release(parent, fd).is_err() {
        return Some(1);
    }
    let mut command = Command::new(program);
    command.args(rest);
    let error = match become_caller(&mut command) {
        Ok(()) => command.exec(),
        Err(error) => error,
    };
    eprintln!("perfmon: {} cannot be started: {error}", Path::new(program).display());
    Some(CANNOT_EXECUTE)
}

fn wait_for_release(parent: u32, fd: u32) -> io::Result<()> {
    File::open(format!("/proc/{parent}/fd/{fd}"))?.read_exact(&mut [0])
}

/// Under sudo, doas or pkexec: takes the user, the groups and the variables of whoever called it. Capabilities that a service manager gave
/// perfmon to pass on are perfmon's alone.
fn become_caller(command: &mut Command) -> io::Result<()> {
    caps::clear(None, caps::CapSet::Ambient).map_err(io::Error::other)?;
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(caller) = ["SUDO_UID", "PKEXEC_UID", "DOAS_USER"].into_iter().find_map(variable) else { return Ok(()) };
    let account = answer("getent", &["passwd", &caller]);
    let fields: Vec<&str> = account.trim_end().split(':').collect();
    let known: (Option<u32>, Option<u32>) = match fields[..] {
        [_, _, uid, gid, ..] => (uid.parse().ok(), gid.parse().ok()),
        _ => (caller.parse().ok(), None),
    };
    let group = variable("SUDO_GID").and_then(|gid| gid.parse().ok()).or(known.1);
    if known.0 == Some(0) || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (Some(uid), Some(gid)) = (known.0, group) else {
        return Err(io::Error::other(format!("the user {caller}, who started perfmon, is not known")));
    };
    let groups: Vec<Gid> =
        answer("id", &["-G", &uid.to_string()]).split_whitespace().filter_map(|id| id.parse().ok()).map(Gid::from_raw).collect();
    if let [user, _, _, _, _, home, ..] = fields[..] {
        command.env("HOME", home).env("USER", user).env("LOGNAME", user);
    }
    for name in ["SUDO_UID", "SUDO_GID", "SUDO_USER", "SUDO_COMMAND", "PKEXEC_UID", "DOAS_USER"] {
        command.env_remove(name);
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    // This process has one thread, so that these calls of a thread are the whole process's. The user last: then nothing is allowed.
    set_thread_groups(if groups.is_empty() { std::slice::from_ref(&gid) } else { &groups })?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// What a program of the system answers; empty when there is none.
fn answer(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests;
