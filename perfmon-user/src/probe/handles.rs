//! Handles to what runs in the kernel: the ring, capture modes, watched processes, losses, costs. Shared between threads.
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use perfmon_common::map::{CaptureMode, LOSSES, MODE_HEAD, mode_slot};

use super::attach::ProbeReport;
use super::plan::Tier;
use crate::source::Ring;

/// What a program cost since it was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelCost {
    /// Name of the program.
    pub program: &'static str,
    /// Nanoseconds; 0 while the kernel keeps no statistics (`kernel.bpf_stats_enabled`).
    pub run_ns: u64,
    /// How often it ran while statistics were on.
    pub runs: u64,
}

/// What runs in the kernel. Dropping it detaches every program.
pub struct Probes {
    ebpf: Ebpf,
    ring: Mutex<Option<Ring>>,
    modes: Mutex<Array<MapData, CaptureMode>>,
    watched: Mutex<HashMap<MapData, u32, u8>>,
    losses: PerCpuArray<MapData, u64>,
    lost_by_pid: HashMap<MapData, u32, u64>,
    reports: Vec<ProbeReport>,
    tier: Tier,
    map_bytes: u64,
}

impl Probes {
    pub(super) fn new(mut ebpf: Ebpf, reports: Vec<ProbeReport>, tier: Tier) -> Result<Self, MapError> {
        let map_bytes = ebpf.maps().map(|(_, map)| memory(map)).sum();
        let mut take = |name: &str| ebpf.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.into() });
        Ok(Self {
            ring: Mutex::new(Some(Ring::new(RingBuf::try_from(take("EVENTS")?)?))),
            modes: Mutex::new(take("MODES")?.try_into()?),
            watched: Mutex::new(take("WATCHED")?.try_into()?),
            losses: take("LOSSES")?.try_into()?,
            lost_by_pid: take("LOST_BY_TGID")?.try_into()?,
            ebpf,
            reports,
            tier,
            map_bytes,
        })
    }

    /// The reading end of the ring; there is one, so the second call gives none.
    pub fn take_ring(&self) -> Option<Ring> {
        lock(&self.ring).take()
    }

    /// Sets the capture mode (`MODE_*`) of a socket; tells whether another socket's mode had to make way.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_mode(&self, sock: u64, inode: u32, mode: u8) -> Result<bool, MapError> {
        let mut modes = lock(&self.modes);
        let slot = mode_slot(sock);
        let before = modes.get(&slot, 0)?;
        let same_owner = before.sock == sock && before.inode == inode;
        let free = before.sock == 0;
        if mode == MODE_HEAD {
            if same_owner {
                modes.set(slot, CaptureMode { sock: 0, inode: 0, mode: MODE_HEAD, pad: [0; 3] }, 0)?;
            }
            return Ok(false);
        }
        modes.set(slot, CaptureMode { sock, inode, mode, pad: [0; 3] }, 0)?;
        Ok(!free && before.sock != sock)
    }

    /// Watches a process.
    ///
    /// # Errors
    /// When the kernel's table of watched processes is full.
    pub fn watch(&self, pid: u32) -> Result<(), MapError> {
        lock(&self.watched).insert(pid, 1, 0)
    }

    /// Watches a process no longer; one that was not watched is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn unwatch(&self, pid: u32) -> Result<(), MapError> {
        match lock(&self.watched).remove(&pid) {
            Err(MapError::KeyNotFound) => Ok(()),
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            other => other,
        }
    }

    /// Processes that are watched now; empty when all are.
    pub fn watched(&self) -> Vec<u32> {
        lock(&self.watched).keys().filter_map(Result::ok).collect()
    }

    /// What the kernel programs lost, by reason.
    pub fn losses(&self) -> Vec<(&'static str, u64)> {
        let count = |index: usize| self.losses.get(&(index as u32), 0).map_or(0, |values| values.iter().sum());
        LOSSES.iter().enumerate().map(|(index, name)| (*name, count(index))).collect()
    }

    /// Events that the full ring refused, by process.
    pub fn lost_by_pid(&self) -> Vec<(u32, u64)> {
        self.lost_by_pid.iter().filter_map(Result::ok).collect()
    }

    /// What became of each program.
    pub fn reports(&self) -> &[ProbeReport] {
        &self.reports
    }

    /// The capture tier in use.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Memory of the kernel's maps, bytes.
    pub fn map_bytes(&self) -> u64 {
        self.map_bytes
    }

    /// What each attached program cost.
    pub fn kernel_stats(&self) -> Vec<KernelCost> {
        let cost = |report: &ProbeReport| {
            let info = self.ebpf.program(report.name)?.info().ok()?;
            Some(KernelCost { program: report.name, run_ns: info.run_time().as_nanos() as u64, runs: info.run_count() })
        };
        self.reports.iter().filter_map(cost).collect()
    }

    /// Instructions that the verifier walked for each attached program (Linux 5.16 and later).
    pub fn verified_instructions(&self) -> Vec<(&'static str, u32)> {
        let count = |report: &ProbeReport| Some((report.name, self.ebpf.program(report.name)?.info().ok()?.verified_instruction_count()?));
        self.reports.iter().filter_map(count).collect()
    }
}

/// A poisoned lock guards a map handle, which has no state that a panic could have left half-made.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory that the kernel holds for a map, bytes; 0 when it does not say.
fn memory(map: &Map) -> u64 {
    let (Map::Array(data) | Map::HashMap(data) | Map::LruHashMap(data) | Map::PerCpuArray(data) | Map::RingBuf(data)) = map else {
        return 0;
    };
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", data.fd().as_fd().as_raw_fd())).unwrap_or_default();
    info.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok()).unwrap_or(0)
}
