//! The libraries thread: TLS libraries are probed when a process maps them, and given back when none has them any more. In: the kernel's
//! records of mappings. Out: probes. It opens files of other processes, may hang in one, and is never waited for.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock;
use crate::counters::Counters;
use crate::heartbeat;
use crate::probe::{Mapped, MappedNow, Mappings, Probes};

/// Longest wait for a mapping.
const PATIENCE: Duration = Duration::from_millis(500);
/// Pause after a look at the rings: a program that starts maps dozens of files.
const PAUSE: Duration = Duration::from_millis(1);
/// Least time between two looks at what all processes have mapped: a program that maps without end would have it repeated at once.
const LOOK_AT_ALL_NS: u64 = 500_000_000;
/// Less than what serves and captures: what this thread does, a stranger can make it do.
const NICE: i32 = 5;
/// How often unused libraries are looked for.
const SWEEP_NS: u64 = 1_000_000_000;

/// What the thread works with.
pub struct LibraryWatch {
    /// The kernel side.
    pub probes: Arc<Probes>,
    /// Every process is watched; else those on the kernel's list.
    pub everywhere: bool,
    /// Losses.
    pub counters: Arc<Counters>,
    /// Set when the thread shall end.
    pub stop: Arc<AtomicBool>,
}

impl LibraryWatch {
    /// Runs until stopped.
    pub fn run(self) {
        // Of this thread alone, setpriority(2).
        rustix::process::nice(NICE).ok();
        let mut mappings = Mappings::open()
            .map_err(|error| tracing::warn!(%error, "TLS libraries outside the usual places are found at a process's first TLS connection only."))
            .ok();
        // What was mapped before.
        self.probe_all();
        let mut swept_ns = clock::boot_now_ns();
        let (mut looked_ns, mut is_incomplete) = (swept_ns, false);
        while !self.stop.load(Ordering::Relaxed) {
            heartbeat::beat();
            let now = match &mut mappings {
                Some(mappings) => {
                    mappings.wait(PATIENCE);
                    mappings.drain()
                }
                None => {
                    std::thread::sleep(PATIENCE);
                    MappedNow::default()
                }
            };
            self.probe(&now.libraries);
            if now.is_incomplete {
                self.counters.mappings_lost.inc();
                is_incomplete = true;
            }
            let now_ns = clock::boot_now_ns();
            if is_incomplete && now_ns.saturating_sub(looked_ns) >= LOOK_AT_ALL_NS {
                self.probe_all();
                (looked_ns, is_incomplete) = (clock::boot_now_ns(), false);
            }
            if now_ns.saturating_sub(swept_ns) >= SWEEP_NS {
                swept_ns = now_ns;
                self.probes.give_back_tls(now_ns);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn probe(&self, libraries: &[(u32, Mapped)]) {
        for (pid, mapped) in libraries {
            heartbeat::beat();
            if self.everywhere || self.probes.is_watched(*pid) {
                let sight = self.probes.watch_mapped(*pid, mapped);
                tracing::debug!(pid, path = %mapped.path.display(), ?sight, "A process mapped a TLS library.");
            }
        }
    }

    fn probe_all(&self) {
        self.probe(&Probes::mapped_by_all());
    }
}
