//! Resources: a process and the host over one interval. Times, bytes, switches and faults are those of the interval.
use std::sync::Arc;

use serde::Serialize;

use super::{Millis, Origin, WallTime};

/// One process; units and meaning as in docs/records.md, `process`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Process {
    /// Start of the interval.
    pub time: WallTime,
    /// Its process.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// 100 = one core.
    pub cpu_percent: Option<f64>,
    /// Resident memory.
    pub memory_rss_bytes: u64,
    /// Of the host's memory, 0..100.
    pub memory_percent: f64,
    /// Trend; null before it is known.
    pub memory_growth_bytes_per_hour: Option<f64>,
    /// The runtime's heap.
    pub heap_bytes: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// On or waiting for a core.
    pub threads_running: u64,
    /// Sleeping or blocked.
    pub threads_waiting: u64,
    /// Time that runnable threads waited for a core.
    pub run_queue_wait_ms: Option<Millis>,
    /// Time blocked on block I/O.
    pub blocked_io_ms: Option<Millis>,
    /// Every descriptor, sockets too; null when not readable.
    pub open_files: Option<u64>,
    /// Sockets among them.
    pub sockets: Option<u64>,
    /// Established TCP connections.
    pub connections: Option<u64>,
    /// Read from storage.
    pub read_bytes: Option<u64>,
    /// Written to storage.
    pub write_bytes: Option<u64>,
    /// Voluntary and involuntary.
    pub context_switches: Option<u64>,
    /// Minor and major.
    pub page_faults: Option<u64>,
    /// Age of the process.
    pub uptime_s: f64,
    /// `python` `node` `go` `jvm` …
    pub runtime: Option<Arc<str>>,
    /// null | `suspected` | `growing`.
    pub leak: Option<&'static str>,
    /// Length of the interval.
    pub interval_ms: Millis,
}

/// A mounted file system and its device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disk {
    /// Mount point.
    pub mount: Arc<str>,
    /// 0..100.
    pub used_percent: f64,
    /// Free for users.
    pub free_bytes: u64,
    /// Read in the interval.
    pub read_bytes: Option<u64>,
    /// Written in the interval.
    pub write_bytes: Option<u64>,
    /// Share of the interval in which the device was busy.
    pub busy_percent: Option<f64>,
    /// Seconds until full at the present rate; null when it is not filling.
    pub full_in_s: Option<f64>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Network {
    /// Name.
    pub name: Arc<str>,
    /// Received in the interval.
    pub rx_bytes: u64,
    /// Sent in the interval.
    pub tx_bytes: u64,
}

/// The host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct System {
    /// Start of the interval.
    pub time: WallTime,
    /// The host itself; pid 0.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// 0..100 over all cores; null in the first interval.
    pub cpu_percent: Option<f64>,
    /// Used, 0..100.
    pub memory_percent: f64,
    /// Available for new work.
    pub memory_available_bytes: u64,
    /// Used, 0..100; null without swap.
    pub swap_percent: Option<f64>,
    /// Load average of one minute.
    pub load_1m: f64,
    /// File systems.
    pub disks: Vec<Disk>,
    /// Interfaces.
    pub network: Vec<Network>,
    /// Pressure stall information, share of the last 10 s: cpu, memory, io; null where the kernel has none.
    pub psi: Option<Psi>,
    /// Length of the interval.
    pub interval_ms: Millis,
}

/// Pressure stall information: `some avg10`, 0..100.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Psi {
    /// Waiting for a core.
    pub cpu: Option<f64>,
    /// Waiting for memory.
    pub memory: Option<f64>,
    /// Waiting for I/O.
    pub io: Option<f64>,
}
