//! What threads of this process do, from `/proc/self/task/TID/stat` (proc_pid_stat(5)): state and CPU time, each read once a round at most.
use std::collections::BTreeMap;

use super::stage_watch::{StageThreads, ThreadMode, ThreadState};

/// Threads as the kernel has them in this round.
#[derive(Debug, Default)]
pub struct KernelThreads {
    read: BTreeMap<i32, Option<ThreadState>>,
    /// Threads of the async runtime.
    runtime: Vec<i32>,
}

impl KernelThreads {
    /// A round begins; `runtime` are the threads of the async runtime.
    pub fn begin(&mut self, runtime: Vec<i32>) {
        self.read.clear();
        self.runtime = runtime;
    }
}

impl StageThreads for KernelThreads {
    fn state(&mut self, thread: i32) -> Option<ThreadState> {
        *self.read.entry(thread).or_insert_with(|| {
            let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
            parse(&stat)
        })
    }

    fn runtime(&mut self) -> ThreadState {
        let threads = self.runtime.clone();
        let states = threads.into_iter().filter_map(|thread| self.state(thread));
        let all = ThreadState { mode: ThreadMode::Sleeps, cpu_ms: 0 };
        states.fold(all, |all, one| ThreadState {
            mode: if one.mode == ThreadMode::Runs { ThreadMode::Runs } else { all.mode },
            cpu_ms: all.cpu_ms + one.cpu_ms,
        })
    }
}

/// State and CPU time; `None` for a thread that has ended.
fn parse(stat: &str) -> Option<ThreadState> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let mode = match *fields.first()? {
        "R" => ThreadMode::Runs,
        "D" => ThreadMode::InKernel,
        "T" | "t" => ThreadMode::Stopped,
        "Z" | "X" | "x" => return None,
        _ => ThreadMode::Sleeps,
    };
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(ThreadState { mode, cpu_ms: (ticks(11)? + ticks(12)?) * 1_000 / procfs::ticks_per_second().max(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_read() {
        let stat = "7 (a) b) t 1 7 7 0 -1 64 1 2 3 4 25 50 0 0 20 0 9 0 100";
        let cpu_ms = 75 * 1_000 / procfs::ticks_per_second();
        assert_eq!(parse(stat), Some(ThreadState { mode: ThreadMode::Stopped, cpu_ms }));
        assert_eq!(parse(&stat.replace(" t ", " X ")), None);
        let mut threads = KernelThreads::default();
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        threads.begin(vec![own]);
        assert_eq!(threads.state(own).unwrap().mode, ThreadMode::Runs);
        assert_eq!(threads.runtime().mode, ThreadMode::Runs);
        assert_eq!(threads.state(1), None, "no thread of this process");
    }
}
