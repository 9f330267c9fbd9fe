//! How perfmon itself is, for `/api/v1/self` and `/readyz`: the kernel side's losses and costs, its own CPU and memory.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use procfs::process::Stat;
use tokio::sync::watch;

use crate::clock;
use crate::counters::Counters;
use crate::export::otlp::Deliveries;
use crate::http::{EventsLost, HardeningStatus, ProbeStatus, ProgramStats, Readiness, SelfReport};
use crate::inspect::ForeignReader;
use crate::privilege::{PrivilegeLimits, SandboxState};
use crate::probe::Probes;

use super::capture::WatchedTargets;
use super::supervisor::Supervisor;
use super::telemetry;

/// CPU shares are means over at least this long.
const CPU_INTERVAL_NS: u64 = 1_000_000_000;

/// What reports are made from.
pub struct SelfReporter {
    probes: Arc<Probes>,
    deliveries: Option<Deliveries>,
    reader: ForeignReader,
    counters: Arc<Counters>,
    supervisor: Supervisor,
    sandbox: SandboxState,
    cpu: Mutex<CpuUse>,
}

#[derive(Default)]
struct CpuUse {
    at_ns: u64,
    ticks: u64,
    percent: Option<f64>,
}

impl CpuUse {
    fn percent(&mut self, now_ns: u64, ticks: u64) -> Option<f64> {
        let passed_ns = now_ns.saturating_sub(self.at_ns);
        if passed_ns >= CPU_INTERVAL_NS {
            if self.at_ns != 0 {
                let busy_s = ticks.saturating_sub(self.ticks) as f64 / procfs::ticks_per_second() as f64;
                self.percent = Some(busy_s * 100.0 / (passed_ns as f64 / 1e9));
            }
            (self.at_ns, self.ticks) = (now_ns, ticks);
        }
        self.percent
    }
}

fn own_stat() -> Option<Stat> {
    procfs::process::Process::myself().and_then(|process| process.stat()).ok()
}

impl SelfReporter {
    /// Of a running capture.
    pub fn new(
        probes: Arc<Probes>,
        deliveries: Option<Deliveries>,
        reader: ForeignReader,
        counters: Arc<Counters>,
        supervisor: Supervisor,
        sandbox: SandboxState,
    ) -> Self {
        let reporter = Self { probes, deliveries, reader, counters, supervisor, sandbox, cpu: Mutex::default() };
        reporter.cpu_percent(own_stat().as_ref());
        reporter
    }

    /// For `/api/v1/self`. Reads files: the caller must be able to wait.
    pub fn report(&self) -> SelfReport {
        let stat = own_stat();
        let costs = self.probes.kernel_stats();
        let (run_ns, runs) = costs.iter().fold((0, 0), |(ns, runs), cost| (ns + cost.run_ns, runs + cost.runs));
        SelfReport {
            cpu_percent: self.cpu_percent(stat.as_ref()),
            rss_bytes: stat.map(|stat| stat.rss * procfs::page_size()),
            map_bytes: Some(self.probes.map_bytes()),
            kernel_ns_per_event: (runs > 0).then(|| run_ns as f64 / runs as f64),
            events_seen: self.counters.events_seen.get(),
            events_lost: events_lost(&self.probes, &self.counters),
            capture_tier: Some(self.probes.tier().number()),
            probes: self.probes.reports().iter().map(probe_state).collect(),
            programs: costs
                .into_iter()
                .filter(|cost| cost.runs > 0)
                .map(|cost| ProgramStats { name: cost.program.into(), runs: cost.runs, run_time_ns: cost.run_ns })
                .collect(),
            export: self.deliveries.as_ref().map(telemetry::state).unwrap_or_default(),
            degraded: self.supervisor.degraded().to_vec(),
            stages: self.supervisor.stages(),
            hardening: Some(hardening(&self.sandbox)),
            inspector: self.reader.report(),
        }
    }

    /// The file is read before the lock is taken: whoever waits for a file makes nobody else wait.
    fn cpu_percent(&self, stat: Option<&Stat>) -> Option<f64> {
        let now_ns = clock::boot_now_ns();
        let mut cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        stat.and_then(|stat| cpu.percent(now_ns, stat.utime + stat.stime))
    }
}

fn hardening(sandbox: &SandboxState) -> HardeningStatus {
    let PrivilegeLimits { capabilities, no_new_privs, dumpable, seccomp } = PrivilegeLimits::in_force();
    HardeningStatus { capabilities, no_new_privs, dumpable, seccomp, landlock: sandbox.about() }
}

/// Events lost so far, by reason.
pub fn events_lost(probes: &Probes, counters: &Counters) -> EventsLost {
    lost_by_reason(&probes.losses(), counters)
}

/// Reasons that cost bytes or events that were to be reported. The others cost a detail; what `process_losses_full` counts is in `ring_full` too.
const LOST_EVENTS: [&str; 9] = [
    "ring_full",
    "undecodable",
    "capture_cut",
    "tls_record_busy",
    "program_skipped",
    "socket_evicted",
    "socket_table_full",
    "tls_table_full",
    "tls_call_unpaired",
];

fn lost_by_reason(kernel: &[(&'static str, u64)], counters: &Counters) -> EventsLost {
    let own = [("undecodable", counters.events_undecodable.get()), ("socket_evicted", counters.sockets_evicted.get())];
    let by_reason: BTreeMap<String, u64> = kernel.iter().chain(&own).map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
    let total = LOST_EVENTS.iter().filter_map(|reason| by_reason.get(*reason)).sum();
    EventsLost { total, by_reason }
}

fn probe_state(report: &crate::probe::ProbeReport) -> ProbeStatus {
    ProbeStatus { name: report.name.into(), state: report.state.name().into(), reason: report.reason.clone() }
}

/// For `/readyz`: capture runs, no configured target is missing, and every part of perfmon works.
pub fn readiness(watched: &watch::Receiver<WatchedTargets>, supervisor: &Supervisor) -> Readiness {
    let known = watched.borrow();
    let mut reasons = known.missing.clone();
    if !known.begun {
        reasons.push("capture has not begun yet".into());
    }
    reasons.extend(supervisor.degraded().iter().map(|one| format!("{}: {}", one.part, one.reason)));
    Readiness { ready: reasons.is_empty(), reasons }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_share_is_a_mean_over_a_second_at_least() {
        let (mut cpu, ticks) = (CpuUse::default(), procfs::ticks_per_second());
        let at = |ms: u64| (1_000 + ms) * 1_000_000;
        assert_eq!([cpu.percent(at(0), 0), cpu.percent(at(500), ticks)], [None, None]);
        assert_eq!(cpu.percent(at(2_000), ticks), Some(50.0));
        assert_eq!([cpu.percent(at(2_900), 9 * ticks), cpu.percent(at(4_000), 3 * ticks)], [Some(50.0), Some(100.0)]);
    }

    #[test]
    fn what_costs_events_is_in_the_total_once() {
        let counters = Counters::default();
        counters.events_undecodable.add(1);
        counters.sockets_evicted.add(2);
        let names = perfmon_common::map::LOSSES.iter().copied().chain(["program_skipped"]);
        let kernel: Vec<(&'static str, u64)> = names.zip((2..).map(|bit| 1 << bit)).collect();
        let lost = lost_by_reason(&kernel, &counters);
        assert_eq!(lost.by_reason.len(), kernel.len() + 2);
        let mut counted: Vec<&str> = kernel.iter().filter(|(_, count)| lost.total & count != 0).map(|(reason, _)| *reason).collect();
        counted.sort_unstable();
        let want =
            ["capture_cut", "program_skipped", "ring_full", "socket_table_full", "tls_call_unpaired", "tls_record_busy", "tls_table_full"];
        assert_eq!((counted, lost.total & 3), (want.to_vec(), 3));
        assert!(LOST_EVENTS.iter().all(|reason| lost.by_reason.contains_key(*reason)), "{LOST_EVENTS:?}");
    }
}
