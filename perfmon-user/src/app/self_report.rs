//! How perfmon itself is, for `/api/v1/self` and `/readyz`: the kernel side's losses and costs, its own CPU and memory.
use std::sync::{Arc, Mutex, PoisonError};

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
        reporter.cpu_percent();
        reporter
    }

    /// For `/api/v1/self`.
    pub fn report(&self) -> SelfReport {
        let stat = procfs::process::Process::myself().and_then(|process| process.stat()).ok();
        let costs = self.probes.kernel_stats();
        let (run_ns, runs) = costs.iter().fold((0, 0), |(ns, runs), cost| (ns + cost.run_ns, runs + cost.runs));
        SelfReport {
            cpu_percent: self.cpu_percent(),
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

    fn cpu_percent(&self) -> Option<f64> {
        let now_ns = clock::boot_now_ns();
        let mut cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        let passed_ns = now_ns.saturating_sub(cpu.at_ns);
        if passed_ns >= CPU_INTERVAL_NS {
            let stat = procfs::process::Process::myself().and_then(|process| process.stat()).ok()?;
            let ticks = stat.utime + stat.stime;
            if cpu.at_ns != 0 {
                let busy_s = ticks.saturating_sub(cpu.ticks) as f64 / procfs::ticks_per_second() as f64;
                cpu.percent = Some(busy_s * 100.0 / (passed_ns as f64 / 1e9));
            }
            (cpu.at_ns, cpu.ticks) = (now_ns, ticks);
        }
        cpu.percent
    }
}

fn hardening(sandbox: &SandboxState) -> HardeningStatus {
    let PrivilegeLimits { capabilities, no_new_privs, dumpable, seccomp } = PrivilegeLimits::in_force();
    HardeningStatus { capabilities, no_new_privs, dumpable, seccomp, landlock: sandbox.about() }
}

/// Events lost so far, by reason.
pub fn events_lost(probes: &Probes, counters: &Counters) -> EventsLost {
    let by_reason: std::collections::BTreeMap<String, u64> = probes
        .losses()
        .into_iter()
        .chain([("undecodable", counters.events_undecodable.get())])
        .map(|(reason, count)| (reason.to_owned(), count))
        .collect();
    // The other reasons cost a detail, not bytes that were to be reported.
    let total = ["ring_full", "undecodable", "capture_cut", "tls_record_busy", "program_skipped"]
        .iter()
        .filter_map(|reason| by_reason.get(*reason))
        .sum();
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
