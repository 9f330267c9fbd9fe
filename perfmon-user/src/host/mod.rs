//! Resources: one `system` record of the host and one `process` record of each target for each interval, from /proc, /sys and statvfs. In:
//! the time and the targets. Out: records with the differences to the previous call. Reads no clock, hooks nothing, keeps no history; a
//! value that cannot be read is `None`. Sources: proc(5), Documentation/admin-guide/iostats.rst, Documentation/accounting/psi.rst.
//!
//! Expensive values are sampled less often. Threads are sampled round-robin, about [`THREADS_A_SAMPLE`] a sample; counts carry over between
//! turns, sums over threads are null there. Sockets and connections of all processes are read every [`SOCKET_SAMPLES`] samples, less often
//! when that would exceed [`DESCRIPTORS_A_SAMPLE`] descriptors a sample; the last counts carry over. Everything else costs three files a
//! process. With 50 processes of 4 threads and 20 descriptors a sample takes about 6 ms of one core on average.
mod accepted;
mod diag;
mod disks;
mod process;
mod read;
mod sockets;
mod system;
mod threads;

use std::collections::HashMap;
use std::sync::Arc;

use crate::record::{Millis, Origin, Record, WallTime};

pub use accepted::{SocketTable, accepted, accepted_by_all};
use process::KnownProcess;
use read::Buffer;
use sockets::Sockets;
use system::SystemSampler;

/// Threads read in one sample.
const THREADS_A_SAMPLE: u64 = 256;
/// Samples between two reads of sockets and connections.
const SOCKET_SAMPLES: u64 = 5;
/// Descriptors read for each sample, on average; each costs about 20 µs.
const DESCRIPTORS_A_SAMPLE: u64 = 100;

/// A process to sample.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Who it is.
    pub origin: Arc<Origin>,
    /// Its runtime, passed on.
    pub runtime: Option<Arc<str>>,
}

/// Takes samples; keeps the readings that the next differences need.
#[derive(Debug)]
pub struct Sampler {
    host: SystemSampler,
    sockets: Sockets,
    processes: HashMap<u32, KnownProcess>,
    buffer: Buffer,
    previous: Option<WallTime>,
    /// Samples taken.
    count: u64,
    /// Threads of all processes in the last sample.
    threads: u64,
    next_sockets: u64,
}

/// The interval that a sample is about.
#[derive(Clone, Copy, Debug)]
struct SampleInterval {
    /// Its start.
    time: WallTime,
    /// Its length; `None` for the first, or when the wall clock was set back.
    length_ns: Option<u64>,
}

impl SampleInterval {
    fn length(self) -> Millis {
        Millis(self.length_ns.unwrap_or(0))
    }

    fn seconds(self) -> Option<f64> {
        self.length_ns.map(|ns| ns as f64 / 1e9)
    }
}

/// What a process's sample needs to know of the whole sample.
#[derive(Clone, Copy, Debug)]
struct Round {
    interval: SampleInterval,
    count: u64,
    uptime_s: Option<f64>,
    memory_total: u64,
    /// A process's threads are read in every n-th sample.
    thread_period: u64,
    /// Sockets and connections are read in this sample.
    sockets: bool,
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Sampler {
    /// Nothing is known yet: the first sample has no differences.
    pub fn new() -> Self {
        Self {
            host: SystemSampler::default(),
            sockets: Sockets::default(),
            processes: HashMap::new(),
            buffer: Buffer::default(),
            previous: None,
            count: 0,
            threads: 0,
            next_sockets: 0,
        }
    }

    /// The host and each process that still runs, since the call before.
    pub fn sample(&mut self, now: WallTime, subjects: &[Subject]) -> Vec<Record> {
        let previous = self.previous.replace(now).filter(|previous| *previous < now);
        let interval = SampleInterval { time: previous.unwrap_or(now), length_ns: previous.map(|previous| now.0 - previous.0) };
        let system = self.host.sample(interval, &mut self.buffer);
        let round = Round {
            interval,
            count: self.count,
            uptime_s: read::uptime(&mut self.buffer),
            memory_total: self.host.memory_total(),
            thread_period: self.threads.div_ceil(THREADS_A_SAMPLE).max(1),
            sockets: self.count >= self.next_sockets,
        };
        let mut records = vec![Record::System(Box::new(system))];
        self.threads = 0;
        self.sockets.begin();
        for subject in subjects {
            crate::heartbeat::beat();
            let known = self.processes.remove(&subject.origin.pid);
            if let Some((known, record)) = process::sample(subject, known, round, &mut self.sockets, &mut self.buffer) {
                self.threads += record.threads;
                self.processes.insert(subject.origin.pid, known);
                records.push(Record::Process(Box::new(record)));
            }
        }
        self.processes.retain(|_, known| known.last_count() == round.count);
        self.count += 1;
        if round.sockets {
            self.next_sockets = round.count + self.sockets.cost().div_ceil(DESCRIPTORS_A_SAMPLE).max(SOCKET_SAMPLES);
        }
        records
    }
}

/// Percentages with two decimals.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
