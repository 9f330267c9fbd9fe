//! The side of the inspector: has files read by a worker and waits at most a second for each. A worker that does not answer is left
//! behind and killed; while it hangs, its process is not read again, and after a few of one user neither are that user's others.
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::refusal::{InspectorReport, RefusalLog};
use super::request::{ANSWER_HEAD, Bytes, ReadRequest, answer_head};
use super::worker::WORKER;
use super::{FileUser, Refusal};
use crate::limits::{STUCK_WORKERS, STUCK_WORKERS_PER_USER};

/// How long an answer may take to begin, and to go on. Bytes come in pieces of a pipe's size, so that a long file has more time.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Reads of others that a process waits for after it made a read hang, even when that read came back: no process can slow down all reads.
const FORGIVEN: u64 = 1_000;

/// Reads files of other processes; a clone is the same reader.
#[derive(Clone, Debug)]
pub struct ForeignReader(Arc<ReaderShared>);

#[derive(Debug)]
struct ReaderShared {
    start: fn() -> io::Result<ReadWorker>,
    state: Mutex<Workers>,
    log: RefusalLog,
}

#[derive(Debug, Default)]
struct Workers {
    worker: Option<ReadWorker>,
    stuck: Vec<Stuck>,
    asked: u64,
}

/// A worker and both pipes to it.
#[derive(Debug)]
struct ReadWorker {
    requests: io::PipeWriter,
    answers: OwnedFd,
    life: WorkerLife,
}

#[derive(Debug)]
enum WorkerLife {
    Process(Child),
    #[cfg_attr(not(test), expect(dead_code, reason = "threads serve unit tests only"))]
    Thread(std::thread::JoinHandle<()>),
}

/// A worker that hangs, for whom, and with whose file.
#[derive(Debug)]
struct Stuck {
    life: WorkerLife,
    pid: u32,
    uid: u32,
    /// Number of the request that it hangs in.
    since: u64,
}

/// Whose file is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    pid: u32,
    uid: u32,
}

impl ForeignReader {
    /// With worker processes, which are this program started anew.
    pub fn in_processes() -> Self {
        Self::with(start_process)
    }

    /// With worker threads, for programs that are not perfmon.
    #[cfg(test)]
    pub(crate) fn in_threads() -> Self {
        Self::with(tests::start_thread)
    }

    fn with(start: fn() -> io::Result<ReadWorker>) -> Self {
        Self(Arc::new(ReaderShared { start, state: Mutex::default(), log: RefusalLog::default() }))
    }

    /// The beginning of a file in /proc that tells of process `pid`, which belongs to user `uid`.
    ///
    /// # Errors
    /// [`Refusal`]; it is counted. Likewise below.
    pub fn beginning(&self, pid: u32, uid: u32, path: PathBuf, limit: u64) -> Result<(Vec<u8>, bool), Refusal> {
        let request = ReadRequest { path, below: None, offset: 0, limit };
        self.ask(Holder { pid, uid }, &request).map(|read| (read.bytes, read.cut))
    }

    /// A range of such a file; may be shorter at its end.
    ///
    /// # Errors
    /// As above.
    pub fn range(&self, pid: u32, uid: u32, path: PathBuf, offset: u64, length: u64) -> Result<Vec<u8>, Refusal> {
        let request = ReadRequest { path, below: None, offset, limit: length };
        self.ask(Holder { pid, uid }, &request).map(|read| read.bytes)
    }

    /// A whole regular file below a root, read with the rights of `owner` (`None`: perfmon's own).
    ///
    /// # Errors
    /// As above.
    pub fn below(&self, pid: u32, root: PathBuf, inside: &Path, owner: Option<FileUser>, limit: u64) -> Result<Vec<u8>, Refusal> {
        let uid = owner.as_ref().map_or(0, |owner| owner.uid);
        let request = ReadRequest { path: root, below: Some((inside.to_owned(), owner)), offset: 0, limit };
        self.ask(Holder { pid, uid }, &request).map(|read| read.bytes)
    }

    /// Counts a refusal that was found elsewhere.
    pub fn refused(&self, pid: u32, file: &Path, refusal: Refusal) {
        self.0.log.add(pid, file, refusal);
    }

    /// For `/api/v1/self`. Never waits for a read.
    pub fn report(&self) -> InspectorReport {
        let stuck = self.0.state.try_lock().map_or(0, |mut state| {
            state.forget_ended();
            state.stuck.len() as u64
        });
        self.0.log.report(stuck)
    }

    fn ask(&self, holder: Holder, request: &ReadRequest) -> Result<Bytes, Refusal> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = state.ask(holder, request, self.0.start);
        if let Err(refusal) = &result {
            let file = request.below.as_ref().map_or(&request.path, |(inside, _)| inside);
            self.0.log.add(holder.pid, file, *refusal);
        }
        result
    }
}

impl Workers {
    fn ask(&mut self, holder: Holder, request: &ReadRequest, start: fn() -> io::Result<ReadWorker>) -> Result<Bytes, Refusal> {
        self.asked += 1;
        crate::heartbeat::beat();
        if !self.stuck.is_empty() {
            self.forget_ended();
            if self.is_stuck(holder) {
                return Err(Refusal::TooSlow);
            }
        }
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => start().map_err(|_| Refusal::NoWorker)?,
        };
        match worker.ask(request) {
            Ok(answer) => {
                self.worker = Some(worker);
                answer
            }
            Err(Failed::Hangs) => {
                let ReadWorker { life, .. } = worker;
                self.stuck.push(Stuck { life: life.killed(), pid: holder.pid, uid: holder.uid, since: self.asked });
                Err(Refusal::TooSlow)
            }
            Err(Failed::Ended) => {
                worker.life.killed().reap();
                Err(Refusal::NoWorker)
            }
        }
    }

    fn forget_ended(&mut self) {
        let asked = self.asked;
        self.stuck.retain_mut(|stuck| asked - stuck.since < FORGIVEN || !stuck.life.has_ended());
    }

    fn is_stuck(&self, holder: Holder) -> bool {
        let of_user = self.stuck.iter().filter(|stuck| stuck.uid == holder.uid).count();
        // A file system that hangs concerns root's processes often; they are few and no enemies.
        let room = if holder.uid == 0 { STUCK_WORKERS / 2 } else { STUCK_WORKERS_PER_USER };
        self.stuck.iter().any(|stuck| stuck.pid == holder.pid) || of_user >= room || self.stuck.len() >= STUCK_WORKERS
    }
}

/// Why a worker gave no answer.
enum Failed {
    Hangs,
    Ended,
}

impl ReadWorker {
    fn ask(&mut self, request: &ReadRequest) -> Result<Result<Bytes, Refusal>, Failed> {
        request.write(&mut self.requests).map_err(|_| Failed::Ended)?;
        self.requests.flush().map_err(|_| Failed::Ended)?;
        let mut head = [0; ANSWER_HEAD];
        self.fill(&mut head)?;
        let (cut, length) = match answer_head(head) {
            Ok(head) => head,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if length as u64 > request.limit {
            return Err(Failed::Ended);
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(Ok(Bytes { bytes, cut }))
    }

    fn fill(&self, mut buffer: &mut [u8]) -> Result<(), Failed> {
        while !buffer.is_empty() {
            let mut waited = [PollFd::new(&self.answers, PollFlags::IN)];
            match poll(&mut waited, Some(&PATIENCE)) {
                Ok(0) => return Err(Failed::Hangs),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return Err(Failed::Ended),
            }
            match rustix::io::read(self.answers.as_fd(), &mut *buffer) {
                Ok(0) => return Err(Failed::Ended),
                Ok(count) => buffer = &mut buffer[count..],
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(Failed::Ended),
            }
        }
        Ok(())
    }
}

impl WorkerLife {
    fn killed(mut self) -> Self {
        if let Self::Process(child) = &mut self {
            // One that has ended already needs no signal.
            child.kill().ok();
        }
        self
    }

    fn reap(mut self) {
        if let Self::Process(child) = &mut self {
            child.wait().ok();
        }
    }

    fn has_ended(&mut self) -> bool {
        match self {
            Self::Process(child) => child.try_wait().is_ok_and(|status| status.is_some()),
            Self::Thread(thread) => thread.is_finished(),
        }
    }
}

impl Drop for Workers {
    /// The worker ends when its pipe does; it is reaped so that no zombie stays in a program that goes on.
    fn drop(&mut self) {
        if let Some(ReadWorker { requests, answers, life }) = self.worker.take() {
            drop((requests, answers));
            life.killed().reap();
        }
    }
}

fn start_process() -> io::Result<ReadWorker> {
    let mut child = Command::new("/proc/self/exe")
        .arg0("perfmon")
        .arg(WORKER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .env_clear()
        .spawn()?;
    let pipes = child.stdin.take().zip(child.stdout.take()).ok_or(io::ErrorKind::BrokenPipe)?;
    Ok(ReadWorker { requests: OwnedFd::from(pipes.0).into(), answers: pipes.1.into(), life: WorkerLife::Process(child) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::worker::serve;

    pub(super) fn start_thread() -> io::Result<ReadWorker> {
        let ((input, requests), (answers, output)) = (io::pipe()?, io::pipe()?);
        let thread = std::thread::spawn(move || serve(input, output));
        Ok(ReadWorker { requests, answers: answers.into(), life: WorkerLife::Thread(thread) })
    }

    /// Hangs at the file `/hang` until the asking side is gone.
    fn start_hanging() -> io::Result<ReadWorker> {
        let ((mut input, requests), (answers, mut output)) = (io::pipe()?, io::pipe()?);
        let thread = std::thread::spawn(move || {
            while let Some(request) = ReadRequest::read(&mut input) {
                if request.path == Path::new("/hang") {
                    loop {
                        std::thread::park();
                    }
                }
                crate::inspect::request::write_answer(&Ok(Bytes { bytes: b"read".to_vec(), cut: false }), &mut output).unwrap();
            }
        });
        Ok(ReadWorker { requests, answers: answers.into(), life: WorkerLife::Thread(thread) })
    }

    #[test]
    fn reads_by_a_worker() {
        let reader = ForeignReader::in_threads();
        let own = std::process::id();
        let (stat, cut) = reader.beginning(own, 0, format!("/proc/{own}/stat").into(), 4_096).unwrap();
        assert!(stat.starts_with(format!("{own} (").as_bytes()) && !cut);
        let exe = || format!("/proc/{own}/exe").into();
        assert_eq!(reader.range(own, 0, exe(), 1, 3), Ok(b"ELF".to_vec()));
        assert_eq!(reader.beginning(own, 0, "/nonexistent".into(), 1), Err(Refusal::Absent));
        let big = std::iter::repeat_n(b'x', 300_000).collect::<Vec<_>>();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("big"), &big).unwrap();
        assert_eq!(reader.below(own, folder.path().into(), Path::new("/big"), None, 1 << 20), Ok(big));
        assert_eq!(reader.below(own, folder.path().into(), Path::new("big"), None, 10), Err(Refusal::TooLarge));
        assert_eq!(reader.report().refusals.into_iter().collect::<Vec<_>>(), [("too_large", 1)]);
    }

    #[test]
    fn a_read_that_hangs_costs_its_process_and_then_its_user_only() {
        let reader = ForeignReader::with(start_hanging);
        let read = |pid, uid, path: &str| reader.beginning(pid, uid, path.into(), 10).map(|(bytes, _)| bytes);
        assert_eq!(read(1, 1_000, "/hang"), Err(Refusal::TooSlow));
        assert_eq!(read(1, 1_000, "/fine"), Err(Refusal::TooSlow), "its process hangs in a read");
        assert_eq!(read(2, 1_000, "/fine"), Ok(b"read".to_vec()));
        for pid in 2..=STUCK_WORKERS_PER_USER as u32 {
            assert_eq!(read(pid, 1_000, "/hang"), Err(Refusal::TooSlow));
        }
        assert_eq!(read(9, 1_000, "/fine"), Err(Refusal::TooSlow), "its user has enough of them");
        assert_eq!(read(10, 1_001, "/fine"), Ok(b"read".to_vec()));
        assert_eq!(reader.report().stuck_workers, STUCK_WORKERS_PER_USER as u64);
    }

    #[test]
    fn a_worker_that_ends_is_replaced() {
        let reader = ForeignReader::with(|| {
            let worker = start_hanging()?;
            Ok(ReadWorker { answers: io::pipe()?.0.into(), ..worker })
        });
        for _ in 0..3 {
            assert_eq!(reader.beginning(1, 0, "/fine".into(), 10), Err(Refusal::NoWorker));
        }
    }
}
