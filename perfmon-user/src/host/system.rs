//! The host over one interval. Formulas: `cpu_percent` = time neither idle nor waiting for I/O ÷ all time, over all cores (first line of
//! /proc/stat) · `memory_percent` = 100 × (1 − MemAvailable ÷ MemTotal) · `swap_percent` = used ÷ size. Network interfaces are those of
//! perfmon's own namespace that ever carried a byte.
use std::collections::HashMap;
use std::sync::Arc;

use sysinfo::{MemoryRefreshKind, System as Info};

use crate::limits::INTERFACES;
use crate::record::{Network, Origin, Psi, System};

use super::disks::DiskSampler;
use super::read::{Buffer, growth};
use super::{SampleInterval, rounded};

/// What the next sample needs.
#[derive(Debug)]
pub(super) struct SystemSampler {
    origin: Arc<Origin>,
    info: Option<Info>,
    cpu: Option<CpuTicks>,
    network: HashMap<String, (u64, u64)>,
    disks: DiskSampler,
}

/// Clock ticks of all cores since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTicks {
    busy: u64,
    idle: u64,
}

impl Default for SystemSampler {
    fn default() -> Self {
        let origin = Origin { pid: 0, comm: "".into(), service: "host".into(), container: None };
        Self { origin: Arc::new(origin), info: Info::new().ok(), cpu: None, network: HashMap::new(), disks: DiskSampler::default() }
    }
}

impl SystemSampler {
    /// Bytes of memory, 0 when it is not known.
    pub(super) fn memory_total(&self) -> u64 {
        self.info.as_ref().map_or(0, Info::total_memory)
    }

    pub(super) fn sample(&mut self, interval: SampleInterval, buffer: &mut Buffer) -> System {
        let (mut total, mut available, mut swap_percent) = (0, 0, None);
        if let Some(info) = &mut self.info {
            info.refresh_memory_specifics(MemoryRefreshKind::everything());
            (total, available) = (info.total_memory(), info.available_memory());
            swap_percent = (info.total_swap() > 0).then(|| rounded(info.used_swap() as f64 * 100.0 / info.total_swap() as f64));
        }
        System {
            time: interval.time,
            origin: self.origin.clone(),
            cpu_percent: self.cpu_percent(interval, buffer),
            memory_percent: if total == 0 { 0.0 } else { rounded(100.0 - available as f64 * 100.0 / total as f64) },
            memory_available_bytes: available,
            swap_percent,
            load_1m: Info::load_average().map_or(0.0, |load| load.one),
            disks: self.disks.sample(interval),
            network: self.network(interval),
            psi: psi(buffer),
            interval_ms: interval.length(),
        }
    }

    fn cpu_percent(&mut self, interval: SampleInterval, buffer: &mut Buffer) -> Option<f64> {
        let now = cpu(buffer.read("/proc/stat")?)?;
        let before = self.cpu.replace(now).filter(|_| interval.length_ns.is_some())?;
        let (busy, idle) = (growth(now.busy, before.busy)?, now.idle.saturating_sub(before.idle));
        (busy + idle > 0).then(|| rounded(busy as f64 * 100.0 / (busy + idle) as f64))
    }

    /// What each interface carried; none in the first interval.
    fn network(&mut self, interval: SampleInterval) -> Vec<Network> {
        let status = procfs::net::dev_status().unwrap_or_default();
        let now: HashMap<String, (u64, u64)> =
            status.into_values().map(|interface| (interface.name, (interface.recv_bytes, interface.sent_bytes))).collect();
        let before = std::mem::replace(&mut self.network, now);
        let network = |(name, now): (&String, &(u64, u64))| {
            let before = before.get(name).filter(|_| interval.length_ns.is_some() && *now != (0, 0))?;
            Some(Network { name: name.as_str().into(), rx_bytes: growth(now.0, before.0)?, tx_bytes: growth(now.1, before.1)? })
        };
        let mut interfaces: Vec<Network> = self.network.iter().filter_map(network).collect();
        interfaces.sort_by(|a, b| a.name.cmp(&b.name));
        interfaces.truncate(INTERFACES);
        interfaces
    }
}

/// The line `cpu user nice system idle iowait irq softirq steal …`; guest time is within user and nice.
fn cpu(stat: &str) -> Option<CpuTicks> {
    let mut numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().map_while(|number| number.parse::<u64>().ok());
    let mut next = || numbers.next();
    let (user, nice, system, idle) = (next()?, next()?, next()?, next()?);
    let (iowait, rest) = (next().unwrap_or(0), next().unwrap_or(0) + next().unwrap_or(0) + next().unwrap_or(0));
    Some(CpuTicks { busy: user + nice + system + rest, idle: idle + iowait })
}

/// Pressure, where the kernel keeps it.
fn psi(buffer: &mut Buffer) -> Option<Psi> {
    let mut of = |resource: &str| avg10(buffer.read(format!("/proc/pressure/{resource}"))?);
    let psi = Psi { cpu: of("cpu"), memory: of("memory"), io: of("io") };
    (psi.cpu.is_some() || psi.memory.is_some() || psi.io.is_some()).then_some(psi)
}

/// `some avg10=0.12 avg60=… avg300=… total=…`
fn avg10(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("some avg10=")?.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc() {
        assert_eq!(cpu("cpu  10 1 5 100 20 2 3 4 9 9\ncpu0 1 1 1 1\n"), Some(CpuTicks { busy: 25, idle: 120 }));
        assert_eq!(cpu("cpu  10 1 5 100\n"), Some(CpuTicks { busy: 16, idle: 100 }));
        assert_eq!(cpu("intr 5"), None);
        assert_eq!(avg10("some avg10=1.25 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.10 avg60=0 avg300=0 total=1\n"), Some(1.25));
        assert_eq!(avg10(""), None);
    }
}
