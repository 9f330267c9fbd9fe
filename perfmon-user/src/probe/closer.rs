//! Closing what is attached takes the kernel a grace period for each link, single probes one after the other (`perf_uprobe_destroy` holds a
//! lock meanwhile): seconds, with some libraries. So a process of its own takes the descriptors over when perfmon ends, and closes them by ending
//! when perfmon is gone. In: perfmon's pid; out: nothing. Sources: pidfd_getfd(2), kernel/trace/trace_event_perf.c.
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::tls::close;

/// First argument of the process.
const CLOSER: &str = "close-probes-of";
/// Links in `/proc/PID/fd` to what the kernel takes long to close.
const KINDS: [&str; 2] = ["anon_inode:[perf_event]", "anon_inode:bpf_link"];

/// A link whose end is quick: it is closed with perfmon, so that nothing is recorded after its end.
const QUICK: &str = "raw_tracepoint";

/// Starts the process and waits until it has the descriptors; it ends when this one does.
///
/// # Errors
/// When it cannot be started or cannot take them over; then they are still to be closed here.
pub fn hand_over() -> io::Result<Closer> {
    let mut command = Command::new("/proc/self/exe");
    // It needs nothing of the environment, which may hold secrets.
    command.args([CLOSER.to_owned(), std::process::id().to_string()]).env_clear();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).current_dir("/").spawn()?;
    let mut ready = [0];
    child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?.read_exact(&mut ready)?;
    Ok(Closer(child))
}

/// The process; it goes on until this one ends.
#[derive(Debug)]
pub struct Closer(Child);

impl Closer {
    /// Lets it wait for the end of this process.
    pub fn leave(self) {
        // Its standard input is the sign: the kernel closes it with this process.
        std::mem::forget(self.0);
    }
}

/// The process's side; call it first thing in `main` with the arguments behind the program's name. `None`: this process is no closer.
pub fn closer(mut arguments: impl Iterator<Item = OsString>) -> Option<i32> {
    if arguments.next()? != CLOSER {
        return None;
    }
    let of = arguments.next().and_then(|pid| pid.to_str()?.parse().ok()).and_then(Pid::from_raw)?;
    let taken = take_over(of);
    let is_ready = taken.is_ok() && io::stdout().write_all(b"!").and_then(|()| io::stdout().flush()).is_ok();
    if is_ready {
        // Ends when the other process does: nothing is ever written.
        io::stdin().read_to_end(&mut Vec::new()).ok();
    }
    // Dropping the descriptors is what takes long; multi-probe links need not wait for each other.
    close(taken.into_iter().flatten().collect());
    Some(i32::from(!is_ready))
}

fn take_over(of: Pid) -> io::Result<Vec<OwnedFd>> {
    let process = pidfd_open(of, PidfdFlags::empty())?;
    let mut taken = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", of.as_raw_nonzero()))? {
        let entry = entry?;
        let is_slow = std::fs::read_link(entry.path()).is_ok_and(|link| KINDS.iter().any(|kind| link.as_os_str() == *kind));
        let about = std::fs::read_to_string(format!("/proc/{}/fdinfo/{}", of.as_raw_nonzero(), entry.file_name().display()));
        let is_wanted = is_slow && !about.is_ok_and(|about| about.contains(QUICK));
        if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()).filter(|_| is_wanted) {
            taken.push(pidfd_getfd(&process, number, PidfdGetfdFlags::empty())?);
        }
    }
    Ok(taken)
}
