//! Counters made of samples, for `/metrics`: bytes of disks and networks, CPU time of processes, added up since the start. What is gone is
//! forgotten.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::record::{Process, Record, System, WallTime};

/// A process without a sample for so long is gone.
const GONE_NS: u64 = 60 * 1_000_000_000;

/// Bytes in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// Read or received.
    pub inward: u64,
    /// Written or sent.
    pub outward: u64,
}

/// The counters.
#[derive(Clone, Debug, Default)]
pub(super) struct SampleTotals {
    /// By mount point.
    pub disks: BTreeMap<Arc<str>, Moved>,
    /// By interface.
    pub network: BTreeMap<Arc<str>, Moved>,
    /// Nanoseconds of CPU time by service and pid, and when each was sampled last.
    pub cpu: BTreeMap<(Arc<str>, u32), (u64, WallTime)>,
}

impl SampleTotals {
    fn host(&mut self, sample: &System) {
        for disk in &sample.disks {
            let moved = self.disks.entry(disk.mount.clone()).or_default();
            moved.inward += disk.read_bytes.unwrap_or_default();
            moved.outward += disk.write_bytes.unwrap_or_default();
        }
        self.disks.retain(|mount, _| sample.disks.iter().any(|disk| disk.mount == *mount));
        for interface in &sample.network {
            let moved = self.network.entry(interface.name.clone()).or_default();
            moved.inward += interface.rx_bytes;
            moved.outward += interface.tx_bytes;
        }
        self.network.retain(|name, _| sample.network.iter().any(|interface| interface.name == *name));
        self.cpu.retain(|_, (_, last)| last.0 + GONE_NS > sample.time.0);
    }

    fn process(&mut self, sample: &Process) {
        let Some(percent) = sample.cpu_percent else { return };
        let (spent, last) = self.cpu.entry((sample.origin.service.clone(), sample.origin.pid)).or_default();
        *spent += (sample.interval_ms.0 as f64 * percent / 100.0) as u64;
        *last = sample.time;
    }
}

/// The counters, shared.
#[derive(Default)]
pub(super) struct SampleSeries(Mutex<SampleTotals>);

impl SampleSeries {
    /// Adds the samples of a batch.
    pub fn count(&self, batch: &[Record]) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in batch {
            match record {
                Record::System(sample) => totals.host(sample),
                Record::Process(sample) => totals.process(sample),
                _ => {}
            }
        }
    }

    /// A copy to write from.
    pub fn totals(&self) -> SampleTotals {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
