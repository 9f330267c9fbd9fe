//! Handles to what runs in the kernel: the ring, capture modes, watched processes, losses, costs. Shared between threads.
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::Ebpf;
use aya::maps::{HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use perfmon_common::map::{LOSSES, MODE_HEAD, ProcessLosses};
use perfmon_common::tls::{TlsMode, TlsObjectKey};

use super::attach::{ProbeReport, ProbeState};
use super::hooks;
use super::library::mapped::{self, Mapped};
use super::plan::Tier;
use super::policy::{Budgets, PolicySetter};
use super::skipped::{SkippedRuns, runs_skipped};
use super::tls::{self, LibraryFile, TlsLibraries, TlsSight, users};
use crate::limits::TLS_LIBRARIES_A_PROCESS;
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
    ebpf: Mutex<Ebpf>,
    libraries: Mutex<TlsLibraries>,
    /// Processes that ended and whose probes were not closed yet.
    tls_gone: Mutex<Vec<u32>>,
    tls_modes: Mutex<HashMap<MapData, TlsObjectKey, TlsMode>>,
    ring: Mutex<Option<Ring>>,
    policy: PolicySetter,
    budgets: Budgets,
    watched: Mutex<HashMap<MapData, u32, u8>>,
    losses: PerCpuArray<MapData, u64>,
    lost_by_pid: Mutex<HashMap<MapData, u32, ProcessLosses>>,
    programs: Vec<(&'static str, OwnedFd)>,
    reports: Vec<ProbeReport>,
    tier: Tier,
    map_bytes: u64,
}

impl Probes {
    pub(super) fn new(
        mut ebpf: Ebpf,
        policy: PolicySetter,
        budgets: Budgets,
        reports: Vec<ProbeReport>,
        tier: Tier,
        libraries: TlsLibraries,
        ring_bytes: usize,
    ) -> Result<Self, MapError> {
        let map_bytes = ebpf.maps().map(|(_, map)| memory(map)).sum();
        let programs = reports.iter().filter_map(|report| Some((report.name, descriptor(&ebpf, &libraries, report.name)?))).collect();
        let mut take = |name: &str| ebpf.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.into() });
        Ok(Self {
            ring: Mutex::new(Some(Ring::new(RingBuf::try_from(take("EVENTS")?)?, ring_bytes))),
            policy,
            budgets,
            watched: Mutex::new(take("WATCHED")?.try_into()?),
            losses: take("LOSSES")?.try_into()?,
            lost_by_pid: Mutex::new(take("LOST_BY_TGID")?.try_into()?),
            tls_modes: Mutex::new(take("TLS_MODES")?.try_into()?),
            ebpf: Mutex::new(ebpf),
            libraries: Mutex::new(libraries),
            programs,
            tls_gone: Mutex::default(),
            reports,
            tier,
            map_bytes,
        })
    }

    /// The reading end of the ring; there is one, so the second call gives none.
    pub fn take_ring(&self) -> Option<Ring> {
        lock(&self.ring).take()
    }

    /// Sets the capture mode (`MODE_*`) of a socket, with the default budgets. False when the kernel does not have that socket (any more).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_mode(&self, sock: u64, inode: u32, mode: u8) -> std::io::Result<bool> {
        self.policy.set(sock, inode, mode, self.budgets)
    }

    /// As `set_mode`, with budgets of its own.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_policy(&self, sock: u64, inode: u32, mode: u8, budgets: Budgets) -> std::io::Result<bool> {
        self.policy.set(sock, inode, mode, budgets)
    }

    /// Sets the capture mode of a TLS library's connection object, for what an event of time `as_of_ns` told of it: an object that began
    /// later at the same address is not touched.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_tls_mode(&self, pid: u32, ssl: u64, mode: u8, as_of_ns: u64) -> Result<(), MapError> {
        let object = TlsObjectKey { ssl, tgid: pid, pad: 0 };
        let mut modes = lock(&self.tls_modes);
        if mode == MODE_HEAD && modes.get(&object, 0).is_ok_and(|known| known.as_of_ns > as_of_ns) {
            return Ok(());
        }
        modes.insert(object, TlsMode { as_of_ns, mode, pad: [0; 7] }, 0)
    }

    /// Probes the TLS libraries in their usual places, for programs that start later: for all processes, since a named one would be past its
    /// first call by the time that it was found. The kernel programs dismiss processes that are not watched.
    pub fn watch_usual_tls(&self) {
        tls::usual().for_each(|file| drop(self.probe_usual(&file)));
    }

    fn probe_usual(&self, file: &LibraryFile) -> TlsSight {
        lock(&self.libraries).add_usual(file);
        self.probe_library(file, None)
    }

    /// Probes the TLS libraries that a process has mapped by the text of its maps, once each; `None` when it has none that is known.
    /// Opens the libraries: the caller must be able to wait.
    pub fn watch_tls(&self, pid: u32, maps: &str) -> Option<TlsSight> {
        let mut sight = None;
        for mapped in Self::tls_libraries(maps) {
            let this = self.watch_mapped(pid, &mapped);
            if sight != Some(TlsSight::Plaintext) {
                sight = Some(this);
            }
        }
        sight
    }

    /// Probes a TLS library that a process has mapped. Opens it: the caller must be able to wait.
    pub fn watch_mapped(&self, pid: u32, mapped: &Mapped) -> TlsSight {
        match tls::open(mapped, pid) {
            Ok(file) => self.probe_library(&file, Some(pid)),
            Err(reason) => TlsSight::Refused(reason),
        }
    }

    /// The TLS libraries that all processes have mapped. Reads /proc.
    pub fn mapped_by_all() -> Vec<(u32, Mapped)> {
        users::everybody()
    }

    /// The TLS libraries in the text of a process's maps.
    pub fn tls_libraries(maps: &str) -> Vec<Mapped> {
        mapped::libraries(maps, TLS_LIBRARIES_A_PROCESS)
    }

    /// Probes a TLS library of process `pid` that is open; `None` = for programs that start later. The second look at a file costs nothing.
    pub fn probe_library(&self, file: &LibraryFile, pid: Option<u32>) -> TlsSight {
        lock(&self.libraries).probe(&self.ebpf, file, pid)
    }

    /// A process is gone: probes that were for it alone are closed in the background. Does not wait while a library is being probed: then
    /// [`Probes::give_back_tls`] closes them.
    pub fn release_tls(&self, pid: u32, now_ns: u64) {
        lock(&self.tls_gone).push(pid);
        if let Ok(mut libraries) = self.libraries.try_lock() {
            libraries.release(&std::mem::take(&mut *lock(&self.tls_gone)), now_ns);
        }
    }

    /// Closes probes in libraries that no process has mapped any more; call it every second or so. Reads /proc.
    pub fn give_back_tls(&self, now_ns: u64) {
        let mut libraries = lock(&self.libraries);
        libraries.release(&std::mem::take(&mut *lock(&self.tls_gone)), now_ns);
        let is_unused = libraries.sweep(now_ns, users::has_mapped);
        drop(libraries);
        if is_unused {
            let mapped = users::everybody();
            lock(&self.libraries).keep(now_ns, &mapped);
        }
    }

    /// No TLS library is probed any more: perfmon ends.
    pub fn stop_tls(&self) {
        lock(&self.libraries).stop();
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

    /// Whether a process is on the list of watched ones.
    pub fn is_watched(&self, pid: u32) -> bool {
        lock(&self.watched).get(&pid, 0).is_ok()
    }

    /// Processes that are watched now; empty when all are.
    pub fn watched(&self) -> Vec<u32> {
        lock(&self.watched).keys().filter_map(Result::ok).collect()
    }

    /// What the kernel programs lost, by reason. Since Linux 7.0 a program can be interrupted, and does not run for others on that CPU until
    /// it ends: the kernel counts those runs.
    pub fn losses(&self) -> Vec<(&'static str, u64)> {
        let count = |index: usize| self.losses.get(&(index as u32), 0).map_or(0, |values| values.iter().sum());
        let skipped = self.programs.iter().map(|(_, program)| runs_skipped(program)).sum();
        LOSSES.iter().enumerate().map(|(index, name)| (*name, count(index))).chain([("program_skipped", skipped)]).collect()
    }

    /// The same of the programs that report bytes, for who asks often.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn skipped_runs(&self) -> std::io::Result<SkippedRuns> {
        let reporting = self.programs.iter().filter(|(program, _)| hooks::reports_bytes(program));
        Ok(SkippedRuns::of(reporting.map(|(_, descriptor)| descriptor.try_clone()).collect::<Result<_, _>>()?))
    }

    /// Events that the full ring refused, of all processes.
    pub fn ring_lost(&self) -> u64 {
        self.losses.get(&perfmon_common::map::LOST_RING_FULL, 0).map_or(0, |values| values.iter().sum())
    }

    /// What the full ring refused, by process.
    pub fn lost_by_pid(&self) -> Vec<(u32, ProcessLosses)> {
        lock(&self.lost_by_pid).iter().filter_map(Result::ok).collect()
    }

    /// Gives the place of a process that ended, and whose losses were read, to others.
    pub fn forget_losses(&self, pid: u32) {
        // The kernel removes it as well, when another process begins under the id.
        lock(&self.lost_by_pid).remove(&pid).ok();
    }

    /// What became of each program.
    pub fn reports(&self) -> &[ProbeReport] {
        &self.reports
    }

    /// Whether requests of io_uring are read.
    pub fn reads_io_uring(&self) -> bool {
        self.reports.iter().any(|report| report.name == hooks::URING_SUBMIT && report.state == ProbeState::Attached)
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
        let cost = |(program, descriptor): &(&'static str, OwnedFd)| {
            let told = |name| fdinfo(descriptor.as_fd(), name);
            KernelCost { program, run_ns: told("run_time_ns:"), runs: told("run_cnt:") }
        };
        self.programs.iter().map(cost).collect()
    }

    /// Instructions that the verifier walked for each attached program (Linux 5.16 and later).
    pub fn verified_instructions(&self) -> Vec<(&'static str, u32)> {
        let count = |(program, descriptor): &(&'static str, OwnedFd)| (*program, fdinfo(descriptor.as_fd(), "verified_insns:") as u32);
        self.programs.iter().map(count).filter(|(_, count)| *count != 0).collect()
    }
}

/// The capture thread, the target manager and the API share the handles; the ring goes to one thread.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn sent<T: Send>() {}
    shared::<Probes>();
    sent::<Ring>();
};

/// A poisoned lock guards a map handle, which has no state that a panic could have left half-made.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The descriptor of a loaded program.
fn descriptor(ebpf: &Ebpf, libraries: &TlsLibraries, name: &str) -> Option<OwnedFd> {
    let of_aya = ebpf.program(name).and_then(|program| program.fd().ok()).map(AsFd::as_fd);
    of_aya.or_else(|| libraries.descriptor(name))?.try_clone_to_owned().ok()
}

/// Memory that the kernel holds for a map, bytes; 0 when it does not say.
fn memory(map: &Map) -> u64 {
    let (Map::Array(data) | Map::HashMap(data) | Map::LruHashMap(data) | Map::PerCpuArray(data) | Map::RingBuf(data)) = map else {
        return 0;
    };
    fdinfo(data.fd().as_fd(), "memlock:")
}

/// A number that the kernel tells of a map or program; 0 when it does not say.
fn fdinfo(descriptor: BorrowedFd<'_>, name: &str) -> u64 {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd())).unwrap_or_default();
    info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}
