//! One process over one interval: /proc/PID/stat, io and fd, and the results of `threads` and `sockets`.
use std::fs;

use procfs::FromRead;
use procfs::process::Stat;

use crate::record::{Millis, Process};

use super::read::{Buffer, growth, number_after};
use super::sockets::{SocketCount, Sockets};
use super::threads::{SampleDelta, Threads};
use super::{Round, Subject, rounded};

/// Time after which the counters of a running thread have changed: the kernel updates them with each tick, at least 100 times a second.
const MOVING_NS: u64 = 100_000_000;

/// What of a process the next sample needs.
#[derive(Debug)]
pub(super) struct KnownProcess {
    /// Clock ticks since boot: another process has another.
    start_time: u64,
    count: u64,
    cpu_ticks: u64,
    faults: u64,
    io: Option<(u64, u64)>,
    /// The last reading of the threads, and when it was taken.
    threads: Option<(Threads, u64)>,
    sockets: SocketCount,
}

impl KnownProcess {
    /// The sample in which the process was last seen.
    pub(super) fn last_count(&self) -> u64 {
        self.count
    }

    /// Keeps the pid but treats the counters as those of another process.
    #[cfg(test)]
    pub(super) fn of_earlier_process(self) -> Self {
        Self { start_time: self.start_time - 1, ..self }
    }
}

/// `None` when the process is gone.
pub(super) fn sample(
    subject: &Subject,
    known: Option<KnownProcess>,
    round: Round,
    sockets: &mut Sockets,
    buffer: &mut Buffer,
) -> Option<(KnownProcess, Process)> {
    let pid = subject.origin.pid;
    let stat =
        Stat::from_read(buffer.read(format!("/proc/{pid}/stat"))?.as_bytes()).ok().filter(|stat| !matches!(stat.state, 'Z' | 'X'))?;
    let known = known.filter(|known| known.start_time == stat.starttime);
    let now_ns = round.interval.time.0 + round.interval.length_ns.unwrap_or(0);
    let io = buffer
        .read(format!("/proc/{pid}/io"))
        .and_then(|text| Some((number_after(text, "read_bytes")?, number_after(text, "write_bytes")?)));
    let (before, before_threads) = known.map_or((None, None), |mut known| {
        let threads = known.threads.take();
        (Some(known), threads)
    });
    let (threads, between) = sample_threads(pid, before_threads, round, now_ns, buffer);
    let sockets = match &before {
        Some(known) if !round.sockets => known.sockets,
        _ => sockets.count(pid, round.sockets),
    };
    let known = KnownProcess {
        start_time: stat.starttime,
        count: round.count,
        cpu_ticks: stat.utime + stat.stime,
        faults: stat.minflt + stat.majflt,
        io,
        threads,
        sockets,
    };
    let record = record(subject, &stat, &known, before.as_ref(), between, round);
    Some((known, record))
}

/// Reads the threads when it is this process's turn, and scales the differences to this interval.
fn sample_threads(
    pid: u32,
    before: Option<(Threads, u64)>,
    round: Round,
    now_ns: u64,
    buffer: &mut Buffer,
) -> (Option<(Threads, u64)>, SampleDelta) {
    let turn = (round.count + u64::from(pid)).is_multiple_of(round.thread_period);
    if before.is_some() && !turn {
        return (before, SampleDelta::default());
    }
    let old = before.as_ref().filter(|(_, then_ns)| now_ns.saturating_sub(*then_ns) >= MOVING_NS).map(|(threads, _)| threads);
    let Some(threads) = Threads::read(pid, old, buffer) else {
        return (before, SampleDelta::default());
    };
    let between = match (&before, round.interval.length_ns) {
        (Some((earlier, then_ns)), Some(length_ns)) if now_ns > *then_ns => scaled(threads.since(earlier), length_ns, now_ns - then_ns),
        _ => SampleDelta::default(),
    };
    (Some((threads, now_ns)), between)
}

/// What happened in `over_ns`, as the mean of one interval.
fn scaled(between: SampleDelta, length_ns: u64, over_ns: u64) -> SampleDelta {
    let part =
        |value: u64| if over_ns == length_ns { value } else { (u128::from(value) * u128::from(length_ns) / u128::from(over_ns)) as u64 };
    SampleDelta { wait_ns: between.wait_ns.map(part), switches: between.switches.map(part), blocked_ticks: between.blocked_ticks.map(part) }
}

fn record(
    subject: &Subject,
    stat: &Stat,
    known: &KnownProcess,
    before: Option<&KnownProcess>,
    between: SampleDelta,
    round: Round,
) -> Process {
    // Without an interval there is nothing to compare with.
    let before = before.filter(|_| round.interval.length_ns.is_some());
    let ticks = procfs::ticks_per_second();
    let cpu_percent = before.and_then(|before| {
        let seconds = growth(known.cpu_ticks, before.cpu_ticks)? as f64 / ticks as f64;
        Some(rounded(seconds * 100.0 / round.interval.seconds()?))
    });
    let io = before.and_then(|before| known.io.zip(before.io));
    let rss_bytes = stat.rss * procfs::page_size();
    let threads = known.threads.as_ref().map(|(threads, _)| threads);
    Process {
        time: round.interval.time,
        origin: subject.origin.clone(),
        cpu_percent,
        memory_rss_bytes: rss_bytes,
        memory_percent: if round.memory_total == 0 { 0.0 } else { rounded(rss_bytes as f64 * 100.0 / round.memory_total as f64) },
        memory_growth_bytes_per_hour: None,
        heap_bytes: None,
        threads: u64::try_from(stat.num_threads).unwrap_or(0),
        threads_running: threads.map_or(0, |threads| threads.running),
        threads_waiting: threads.map_or(0, |threads| threads.waiting),
        run_queue_wait_ms: between.wait_ns.map(Millis),
        blocked_io_ms: between.blocked_ticks.map(|blocked| Millis(blocked * 1_000_000_000 / ticks)),
        open_files: open_files(subject.origin.pid),
        sockets: known.sockets.sockets,
        connections: known.sockets.connections,
        read_bytes: io.and_then(|(now, before)| growth(now.0, before.0)),
        write_bytes: io.and_then(|(now, before)| growth(now.1, before.1)),
        context_switches: between.switches,
        page_faults: before.and_then(|before| growth(known.faults, before.faults)),
        uptime_s: round.uptime_s.map_or(0.0, |uptime| rounded((uptime - stat.starttime as f64 / ticks as f64).max(0.0))),
        runtime: subject.runtime.clone(),
        leak: None,
        interval_ms: round.interval.length(),
    }
}

/// Descriptors: since Linux 6.2 the size of the directory, before that the number of its entries.
fn open_files(pid: u32) -> Option<u64> {
    let directory = format!("/proc/{pid}/fd");
    match fs::metadata(&directory).ok()?.len() {
        0 => Some(fs::read_dir(&directory).ok()?.count() as u64),
        count => Some(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_intervals_held_is_told_as_the_mean_of_one() {
        let between = SampleDelta { wait_ns: Some(u64::MAX / 2), switches: Some(31), blocked_ticks: None };
        assert_eq!(scaled(between, 100, 300), SampleDelta { wait_ns: Some(u64::MAX / 6), switches: Some(10), blocked_ticks: None });
        assert_eq!(scaled(between, 100, 100), between);
    }
}
