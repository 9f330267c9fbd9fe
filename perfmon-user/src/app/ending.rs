//! The end of a run. What ends it: Ctrl-C, SIGTERM, the duration, the command's end, a key on the screen, a lost terminal, a closed
//! reader of standard output, an output that cannot be written. How long it may take: each stage takes its grace from one [`EndBudget`].
//! The supervisor has the deadline of an end. Starts and stops no stage itself.
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::bail;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::clock;
use crate::export::jsonl::JsonlFault;
use crate::target::command::Launched;

use super::hub::RequestCount;

/// Time for all stages together after Ctrl-C, so that perfmon ends within two seconds.
const HURRIED: Duration = Duration::from_millis(1_300);
/// The same after every other cause: receivers of telemetry may be slow.
const UNHURRIED: Duration = Duration::from_secs(8);
/// Of that, the last part is for consumers of records.
const FOR_CONSUMERS: Duration = Duration::from_millis(500);
/// Every stage gets at least this.
const LEAST: Duration = Duration::from_millis(100);
/// Exit code after a second Ctrl-C, as in shells.
const EXIT_INTERRUPTED: i32 = 130;

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// As requested.
    Requested {
        /// Exit status.
        status: u8,
        /// A user waits for it at a terminal.
        hurried: bool,
    },
    /// The reader of standard output closed it.
    ReaderGone {
        /// Exit status.
        status: u8,
    },
    /// An output cannot be written: which one, and why.
    Unwritable(String),
    /// A stage is dead or hangs.
    Failed(String),
}

impl RunEnd {
    /// It is to be over within two seconds.
    pub fn is_hurried(&self) -> bool {
        !matches!(self, Self::Requested { hurried: false, .. })
    }
}

/// Outputs whose failure ends the run.
#[derive(Debug, Default)]
pub struct WatchedOutputs {
    /// Something is written to standard output all the time.
    pub stdout: bool,
    /// Records go to standard output.
    pub jsonl: Option<watch::Receiver<Option<JsonlFault>>>,
    /// The file of a recording.
    pub recording: Option<watch::Receiver<Option<String>>>,
}

impl WatchedOutputs {
    async fn broken(&mut self) -> RunEnd {
        tokio::select! {
            () = reader_gone(), if self.stdout => RunEnd::ReaderGone { status: 0 },
            fault = set(self.jsonl.as_mut()) => match fault {
                JsonlFault::ReaderGone => RunEnd::ReaderGone { status: 0 },
                JsonlFault::Unwritable(why) => RunEnd::Unwritable(format!("--jsonl -: records cannot be written: {why}")),
            },
            why = set(self.recording.as_mut()) => RunEnd::Unwritable(why),
        }
    }
}

/// The value once it is there; never returns without a channel, or when the other side ends without one.
async fn set<T: Clone>(channel: Option<&mut watch::Receiver<Option<T>>>) -> T {
    if let Some(channel) = channel
        && let Ok(value) = channel.wait_for(Option::is_some).await
        && let Some(value) = value.clone()
    {
        return value;
    }
    std::future::pending().await
}

/// Returns when nobody can read standard output any more, also while nothing is written.
async fn reader_gone() {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        let stdout = std::io::stdout();
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        // A failed call tells nothing; the next one may.
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut watched, Some(&now)).is_ok() && watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return;
        }
    }
}

/// Ctrl-C and SIGTERM, from when this is made: a signal that came before the wait is not lost, and does not end the process.
pub struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    /// Takes the signals from now on.
    pub fn take() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }
}

/// Waits for the end of the run. A command is asked to end before perfmon does, and its status is perfmon's.
pub async fn wait(
    duration: Option<Duration>,
    launched: Option<&mut Launched>,
    closed: impl Future<Output = ()>,
    mut outputs: WatchedOutputs,
    failed: impl Future<Output = String>,
    signals: EndSignals,
) -> anyhow::Result<RunEnd> {
    let EndSignals { mut interrupt, mut terminate } = signals;
    let timer = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let Some(launched) = launched else {
        return Ok(tokio::select! {
            _ = interrupt.recv() => RunEnd::Requested { status: 0, hurried: true },
            () = closed => RunEnd::Requested { status: 0, hurried: true },
            _ = terminate.recv() => RunEnd::Requested { status: 0, hurried: false },
            () = timer => RunEnd::Requested { status: 0, hurried: false },
            end = outputs.broken() => end,
            why = failed => RunEnd::Failed(why),
        });
    };
    let mut end = RunEnd::Requested { status: 0, hurried: false };
    tokio::select! {
        // On a terminal the command got it too: its own end is waited for.
        _ = interrupt.recv() => end = RunEnd::Requested { status: 0, hurried: true },
        _ = terminate.recv() => launched.terminate()?,
        () = timer => launched.terminate()?,
        () = closed => launched.terminate()?,
        broken = outputs.broken() => {
            end = broken;
            launched.terminate()?;
        }
        why = failed => {
            end = RunEnd::Failed(why);
            launched.terminate()?;
        }
        status = ended(launched) => return Ok(RunEnd::Requested { status: status?, hurried: false }),
    }
    let its = ended(launched).await?;
    Ok(match end {
        RunEnd::Requested { hurried, .. } => RunEnd::Requested { status: its, hurried },
        RunEnd::ReaderGone { .. } => RunEnd::ReaderGone { status: its },
        failed => failed,
    })
}

async fn ended(launched: &mut Launched) -> anyhow::Result<u8> {
    loop {
        if let Some(status) = launched.status()? {
            // The last answers are on their way through the ring.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Ok(u8::try_from(status).unwrap_or(u8::MAX));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How long the stages may take to end, all together.
#[derive(Clone, Copy, Debug)]
pub struct EndBudget {
    until_ns: u64,
}

impl EndBudget {
    /// Starts now.
    pub fn of(end: &RunEnd) -> Self {
        let most = if end.is_hurried() { HURRIED } else { UNHURRIED };
        Self { until_ns: clock::boot_now_ns() + most.as_nanos() as u64 }
    }

    /// Only what consumers need to write out is left of it.
    pub fn is_nearly_over(&self) -> bool {
        self.left() <= FOR_CONSUMERS
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        Duration::from_nanos(self.until_ns.saturating_sub(clock::boot_now_ns())).max(LEAST)
    }
}

/// A second Ctrl-C ends perfmon at once, whatever is not written yet.
pub fn obey_second_interrupt() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        interrupt.recv().await;
        std::process::exit(EXIT_INTERRUPTED);
    });
    Ok(())
}

/// Logs the summary of a run and gives its exit status. A closed reader ends it as silently as it ends other programs.
pub fn finish(end: RunEnd, uptime_s: f64, requests: RequestCount, events_lost: u64) -> anyhow::Result<u8> {
    let status = match end {
        RunEnd::ReaderGone { status } => return Ok(status),
        RunEnd::Unwritable(why) => bail!(why),
        RunEnd::Failed(why) => bail!("{why}; perfmon cannot go on and ends"),
        RunEnd::Requested { status, .. } => status,
    };
    let (time, RequestCount { served, made }) = (format_args!("{uptime_s:.1}s"), requests);
    tracing::info!(%time, requests = served, client_requests = made, events_lost, "perfmon has ended.");
    Ok(status)
}

/// Stops what sends records, and waits until it has sent all.
pub async fn end_producers(
    stop: &AtomicBool,
    sampling: std::sync::mpsc::Sender<()>,
    capture: JoinHandle<()>,
    sampler: Option<JoinHandle<()>>,
) -> anyhow::Result<()> {
    stop.store(true, Ordering::Relaxed);
    drop(sampling);
    let joined = tokio::task::spawn_blocking(move || (capture.join(), sampler.map_or(Ok(()), JoinHandle::join)));
    let (capture, sampler) = joined.await?;
    anyhow::ensure!(capture.is_ok(), "the capture thread panicked; its message is above");
    anyhow::ensure!(sampler.is_ok(), "the sampler thread panicked; its message is above");
    Ok(())
}

/// Each thread of this process: its name, its state and where it is in the kernel.
pub fn threads() -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let of_task = |task: std::fs::DirEntry| {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let stat = read("stat");
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or("?").to_owned();
        // `[<0>] futex_wait+0x10/0x20` a line; root only.
        let stack = read("stack");
        let stack: Vec<&str> = stack.lines().map(|line| line.trim_start_matches("[<0>]").trim()).collect();
        let (comm, wchan, syscall) = (read("comm"), read("wchan"), read("syscall"));
        format!(
            "thread {} ({}): state {state}, waits in {}, system call {}, stack {}",
            task.file_name().display(),
            comm.trim(),
            wchan.trim(),
            syscall.split_whitespace().next().unwrap_or("?"),
            stack.join(" < ")
        )
    };
    tasks.flatten().map(of_task).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_late_end_tells_what_every_thread_does() {
        let (stop, stopped) = channel::<()>();
        let sleeper = std::thread::Builder::new().name("sleeper".into()).spawn(move || stopped.recv()).unwrap();
        let named = || threads().into_iter().find(|thread| thread.contains("(sleeper)"));
        let thread = std::iter::repeat_with(|| {
            std::thread::sleep(Duration::from_millis(5));
            named()
        });
        let thread = thread.take(1_000).flatten().find(|thread| thread.contains("state S")).expect("it never slept");
        assert!(thread.contains("waits in ") && thread.contains("system call ") && thread.contains("stack "), "{thread}");
        drop(stop);
        sleeper.join().unwrap().unwrap_err();
    }

    #[test]
    fn only_a_user_at_a_terminal_hurries_the_end() {
        let requested = |hurried| RunEnd::Requested { status: 0, hurried };
        assert!(requested(true).is_hurried() && RunEnd::ReaderGone { status: 0 }.is_hurried());
        assert!(!requested(false).is_hurried());
        assert!(EndBudget::of(&requested(true)).left() < Duration::from_secs(2));
        assert!(EndBudget::of(&requested(false)).left() > Duration::from_secs(5));
        assert!(!EndBudget::of(&requested(true)).is_nearly_over());
        let over = EndBudget { until_ns: 0 };
        assert!(over.left() == LEAST && over.is_nearly_over());
    }
}
