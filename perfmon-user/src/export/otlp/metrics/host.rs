//! Samples of processes and the host: shares are means over the interval, times and bytes its sums, the rest the newest sample.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::metric_set::MetricSet;
use crate::export::otlp::attribute::Attributes;
use crate::export::otlp::instrument as of;
use crate::record::{Gauges, Origin, Process, System};

/// A mean weighted by time.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    weighted: f64,
    ns: u64,
}

impl Mean {
    fn add(&mut self, value: f64, ns: u64) {
        self.weighted += value * ns as f64;
        self.ns += ns;
    }

    fn value(self) -> Option<f64> {
        (self.ns > 0).then(|| self.weighted / self.ns as f64)
    }
}

/// Samples of a process.
#[derive(Debug, Default)]
pub struct ProcessSums {
    newest: Option<Process>,
    cpu: Mean,
    switches: u64,
    read: u64,
    written: u64,
}

impl ProcessSums {
    /// Counts a sample.
    pub fn add(&mut self, sample: &Process) {
        sample.cpu_percent.into_iter().for_each(|percent| self.cpu.add(percent / 100.0, sample.interval_ms.0));
        self.switches += sample.context_switches.unwrap_or(0);
        self.read += sample.read_bytes.unwrap_or(0);
        self.written += sample.write_bytes.unwrap_or(0);
        self.newest = Some(sample.clone());
    }

    /// Adds the sums to the metric set.
    pub fn write(&self, metric_set: &mut MetricSet) {
        let Some(newest) = &self.newest else { return };
        if let Some(share) = self.cpu.value() {
            metric_set.value(&of::PROCESS_CPU_UTILIZATION, share, vec![]);
            metric_set.value(&of::PROCESS_CPU_TIME, self.cpu.weighted / 1e9, vec![]);
        }
        metric_set.count(&of::PROCESS_MEMORY, newest.memory_rss_bytes, vec![]);
        metric_set.count(&of::PROCESS_THREADS, newest.threads, vec![]);
        metric_set.value(&of::PROCESS_UPTIME, newest.uptime_s, vec![]);
        newest.open_files.into_iter().for_each(|files| metric_set.count(&of::PROCESS_DESCRIPTORS, files, vec![]));
        newest.context_switches.into_iter().for_each(|_| metric_set.count(&of::PROCESS_SWITCHES, self.switches, vec![]));
        let directions = [("read", newest.read_bytes, self.read), ("write", newest.write_bytes, self.written)];
        for (direction, known, bytes) in directions {
            if known.is_some() {
                metric_set.count(&of::PROCESS_IO, bytes, Attributes::default().add("disk.io.direction", direction).take());
            }
        }
    }
}

/// The host at the end of an interval.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostState {
    /// Its processes, where known.
    pub processes: Option<u64>,
    /// Parts of perfmon that do not work as they should.
    pub degraded: u64,
}

/// Samples of the host.
#[derive(Debug, Default)]
pub struct SystemSums {
    newest: Option<System>,
    state: Option<HostState>,
    cpu: Mean,
    disks: FxHashMap<(Arc<str>, &'static str), u64>,
    network: FxHashMap<(Arc<str>, &'static str), u64>,
}

impl SystemSums {
    /// Counts a sample.
    pub fn add(&mut self, sample: &System) {
        sample.cpu_percent.into_iter().for_each(|percent| self.cpu.add(percent / 100.0, sample.interval_ms.0));
        for disk in &sample.disks {
            for (direction, bytes) in [("read", disk.read_bytes), ("write", disk.write_bytes)] {
                bytes.into_iter().for_each(|bytes| *self.disks.entry((disk.mount.clone(), direction)).or_default() += bytes);
            }
        }
        for interface in &sample.network {
            for (direction, bytes) in [("receive", interface.rx_bytes), ("transmit", interface.tx_bytes)] {
                *self.network.entry((interface.name.clone(), direction)).or_default() += bytes;
            }
        }
        self.newest = Some(sample.clone());
    }

    /// Sets how the host is now.
    pub fn now(&mut self, state: HostState) {
        self.state = Some(state);
    }

    /// Adds the sums to the metric set.
    pub fn write(&self, metric_set: &mut MetricSet) {
        if let Some(state) = self.state {
            metric_set.count(&of::DEGRADED, state.degraded, vec![]);
            state.processes.into_iter().for_each(|count| metric_set.count(&of::SYSTEM_PROCESSES, count, vec![]));
        }
        let Some(newest) = &self.newest else { return };
        let state = |state: &str| Attributes::default().add("state", state).take();
        if let Some(share) = self.cpu.value() {
            metric_set.value(&of::SYSTEM_CPU, share, vec![]);
            metric_set.value(&of::SYSTEM_CPU_SIMPLE, share, vec![]);
        }
        let used = newest.memory_percent / 100.0;
        metric_set.value(&of::SYSTEM_MEMORY, 1.0 - used, state("available"));
        metric_set.value(&of::SYSTEM_MEMORY, used, state("used"));
        newest.swap_percent.into_iter().for_each(|percent| metric_set.value(&of::SYSTEM_SWAP, percent / 100.0, state("used")));
        metric_set.value(&of::SYSTEM_LOAD, newest.load_1m, vec![]);
        let mount = "system.filesystem.mountpoint";
        for disk in &newest.disks {
            metric_set.value(&of::SYSTEM_FILESYSTEM, disk.used_percent / 100.0, Attributes::default().add(mount, &*disk.mount).take());
        }
        for ((name, direction), bytes) in &self.disks {
            let attributes = Attributes::default().add(mount, &**name).add("disk.io.direction", *direction).take();
            metric_set.count(&of::SYSTEM_DISK_IO, *bytes, attributes);
        }
        for ((name, direction), bytes) in &self.network {
            let attributes = Attributes::default().add("network.interface.name", &**name).add("network.io.direction", *direction).take();
            metric_set.count(&of::SYSTEM_NETWORK_IO, *bytes, attributes);
        }
    }
}

/// Requests in flight, by process and method. A series that disappears is sent once more as 0.
#[derive(Debug, Default)]
pub struct Active {
    counts: FxHashMap<(u32, Arc<str>), (Arc<Origin>, u64)>,
}

impl Active {
    /// Takes the requests in flight.
    pub fn set(&mut self, gauges: &Gauges) {
        self.counts.retain(|_, (_, count)| std::mem::take(count) > 0);
        for request in &gauges.in_flight {
            let key = (request.origin.pid, request.method.clone());
            self.counts.entry(key).or_insert_with(|| (request.origin.clone(), 0)).1 += 1;
        }
    }

    /// Processes with requests under way.
    pub fn origins(&self) -> impl Iterator<Item = &Arc<Origin>> {
        self.counts.values().map(|(origin, _)| origin)
    }

    /// Adds the sums of a process to the metric set.
    pub fn write(&self, pid: u32, metric_set: &mut MetricSet) {
        for ((_, method), (_, count)) in self.counts.iter().filter(|((owner, _), _)| *owner == pid) {
            let attributes = Attributes::default().add("http.request.method", super::http::method(Some(method))).take();
            metric_set.count(&of::HTTP_SERVER_ACTIVE, *count, attributes);
        }
    }
}
