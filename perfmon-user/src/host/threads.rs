//! The threads of a process: the numbers of running and waiting threads, and sums over threads. In: `schedstat` and `stat` of each task. A
//! process's own `schedstat` and block I/O delay cover its first thread only, so each thread is read; see `mod.rs` for how often. A thread
//! whose `schedstat` is unchanged since the previous reading has not run: it is waiting, and its `stat` need not be read.
use std::collections::HashMap;
use std::fs;

use super::read::{Buffer, growth};

/// One reading.
#[derive(Debug, Default)]
pub(super) struct Threads {
    pub running: u64,
    pub waiting: u64,
    /// The kernel accounts block I/O delay; it does so only with `kernel.task_delayacct` set.
    delays: bool,
    tasks: HashMap<u32, Task>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Task {
    schedule: Schedule,
    /// Waiting for block I/O, clock ticks.
    blocked_ticks: u64,
}

/// `schedstat` of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Schedule {
    run_ns: u64,
    /// Waiting for a core.
    wait_ns: u64,
    /// Times it was given a core, which is how often another had to go.
    switches: u64,
}

/// What happened between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SampleDelta {
    pub wait_ns: Option<u64>,
    pub switches: Option<u64>,
    pub blocked_ticks: Option<u64>,
}

impl Threads {
    /// Reads all threads. `before`: a reading so old that the counters of a running thread have changed since. `None` when the process is
    /// gone.
    pub(super) fn read(pid: u32, before: Option<&Self>, buffer: &mut Buffer) -> Option<Self> {
        let mut threads = Self { delays: delays_are_counted(buffer), ..Self::default() };
        for entry in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let Some(tid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let old = before.and_then(|before| before.tasks.get(&tid));
            // A thread that ended in between is none.
            if let Some((running, task)) = read_task(&format!("/proc/{pid}/task/{tid}"), old, buffer) {
                threads.add(tid, running, task);
            }
        }
        (!threads.tasks.is_empty()).then_some(threads)
    }

    fn add(&mut self, tid: u32, running: bool, task: Task) {
        self.running += u64::from(running);
        self.waiting += u64::from(!running);
        self.delays |= task.blocked_ticks > 0;
        self.tasks.insert(tid, task);
    }

    /// Since an earlier reading; threads that are new count whole, those that ended do not count.
    pub(super) fn since(&self, before: &Self) -> SampleDelta {
        let mut sum = Task::default();
        for (tid, task) in &self.tasks {
            let old = before.tasks.get(tid).copied().unwrap_or_default();
            let grown = |now: u64, then: u64| growth(now, then).unwrap_or(now);
            sum.schedule.wait_ns += grown(task.schedule.wait_ns, old.schedule.wait_ns);
            sum.schedule.switches += grown(task.schedule.switches, old.schedule.switches);
            sum.blocked_ticks += grown(task.blocked_ticks, old.blocked_ticks);
        }
        // A kernel without scheduler statistics writes zeros for threads that have run.
        let counted = self.tasks.values().any(|task| task.schedule.switches > 0);
        SampleDelta {
            wait_ns: counted.then_some(sum.schedule.wait_ns),
            switches: counted.then_some(sum.schedule.switches),
            blocked_ticks: self.delays.then_some(sum.blocked_ticks),
        }
    }
}

/// Whether it runs or waits for a core, and its counters.
fn read_task(directory: &str, old: Option<&Task>, buffer: &mut Buffer) -> Option<(bool, Task)> {
    let schedule = buffer.read(format!("{directory}/schedstat")).and_then(read_schedule).unwrap_or_default();
    if let Some(old) = old.filter(|old| old.schedule == schedule && schedule.switches > 0) {
        return Some((false, *old));
    }
    let stat = buffer.read(format!("{directory}/stat"))?;
    let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ');
    let running = fields.next()? == "R";
    // Field 42 of proc(5); the state is the third.
    let blocked_ticks = fields.nth(38)?.trim_end().parse().ok()?;
    Some((running, Task { schedule, blocked_ticks }))
}

fn read_schedule(text: &str) -> Option<Schedule> {
    let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse().ok());
    Some(Schedule { run_ns: numbers.next()?, wait_ns: numbers.next()?, switches: numbers.next()? })
}

fn delays_are_counted(buffer: &mut Buffer) -> bool {
    buffer.read("/proc/sys/kernel/task_delayacct").is_some_and(|text| text.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(delays: bool, tasks: &[(u32, u64, u64, u64)]) -> Threads {
        let mut threads = Threads { delays, ..Threads::default() };
        for (tid, wait_ns, switches, blocked_ticks) in tasks {
            threads.add(
                *tid,
                false,
                Task { schedule: Schedule { run_ns: 1, wait_ns: *wait_ns, switches: *switches }, blocked_ticks: *blocked_ticks },
            );
        }
        threads
    }

    #[test]
    fn sums_over_threads_that_come_and_go() {
        let before = reading(true, &[(1, 100, 10, 1), (2, 500, 50, 0)]);
        let after = reading(true, &[(1, 150, 12, 4), (3, 7, 3, 0)]);
        assert_eq!(after.since(&before), SampleDelta { wait_ns: Some(57), switches: Some(5), blocked_ticks: Some(3) });
    }

    #[test]
    fn what_the_kernel_does_not_count_is_not_zero() {
        let before = reading(false, &[(1, 0, 0, 0)]);
        assert_eq!(reading(false, &[(1, 0, 0, 0)]).since(&before), SampleDelta::default());
        assert_eq!(reading(false, &[(1, 0, 0, 5)]).since(&before).blocked_ticks, Some(5));
    }

    #[test]
    fn reads_the_threads_of_this_process() {
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        let threads = Threads::read(std::process::id(), None, &mut Buffer::default()).unwrap();
        let later = Threads::read(std::process::id(), Some(&threads), &mut Buffer::default()).unwrap();
        drop(stop);
        thread.join().unwrap().unwrap_err();
        assert!(threads.running >= 1 && threads.waiting >= 1);
        assert_eq!(threads.running + threads.waiting, threads.tasks.len() as u64);
        assert!(later.waiting >= 1);
        assert!(Threads::read(u32::MAX, None, &mut Buffer::default()).is_none());
    }
}
