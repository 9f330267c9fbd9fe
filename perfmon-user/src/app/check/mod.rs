//! `perfmon check`: what this host allows, as text or JSON. Loads and attaches every program for a moment, the only way to find out what
//! the kernel accepts, and checks each target process. Exit 0 when capture can run, 3 when not.
mod text;

use serde::Serialize;

use crate::config::Config;
use crate::http::HardeningStatus;
use crate::inspect::{ForeignReader, Refusal};
use crate::printable::printable;
use crate::privilege;
use crate::probe::{self, Facts, Probes, TlsSight};
use crate::proto::detect::Protocol;
use crate::record::{BlindSpot, ServiceSource};
use crate::target::{Describer, Interior, Selector};

use super::inspector::unknown_maps;
use super::options::{service_rules, start_options, targets};
use super::{CommandFailure, EXIT_IMPOSSIBLE, confinement, logging, print, print_json};

/// Everything that was found out.
#[derive(Serialize)]
struct Findings {
    /// The main job can run.
    can_run: bool,
    /// `uname -r`.
    kernel: String,
    /// Problems that prevent capture, with their solutions.
    problems: Vec<String>,
    /// Capture tier that would be used.
    capture_tier: Option<u8>,
    /// What that tier means.
    capture: Option<&'static str>,
    /// Memory of the kernel's maps.
    map_bytes: Option<u64>,
    /// Every kernel program.
    probes: Vec<Probe>,
    /// What is read of traffic.
    protocols: Protocols,
    /// What a run with this configuration gives up.
    hardening: HardeningStatus,
    /// Every target process that runs.
    targets: Vec<TargetProcess>,
}

/// Protocols by their names in records.
#[derive(Serialize)]
struct Protocols {
    /// Their exchanges become records.
    read: Vec<&'static str>,
    /// Recognised: a process that speaks one is named with it in `/api/v1/self`.
    unread: Vec<&'static str>,
}

impl Protocols {
    fn known() -> Self {
        let unread = Protocol::ALL.into_iter().filter(|protocol| protocol.read_as().is_empty());
        Self {
            read: Protocol::ALL.into_iter().flat_map(Protocol::read_as).copied().collect(),
            unread: unread.map(Protocol::name).collect(),
        }
    }
}

#[derive(Serialize)]
struct Probe {
    name: &'static str,
    state: &'static str,
    reason: Option<String>,
    missed: Option<&'static str>,
    verified_instructions: Option<u32>,
}

#[derive(Serialize)]
struct TargetProcess {
    pid: u32,
    comm: String,
    service: String,
    service_source: ServiceSource,
    container: Option<String>,
    runtime: Option<String>,
    tls: Option<String>,
    encrypted_traffic: String,
    not_seen: Vec<BlindSpot>,
    #[serde(skip)]
    coverage: Coverage,
}

/// What is seen of a process's encrypted traffic, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Coverage {
    /// It has TLS that is not read.
    Unread,
    /// Plaintext.
    Read,
    /// No TLS library is known to be in it.
    Unknown,
}

/// Runtimes with TLS of their own.
const OWN_TLS: [&str; 5] = ["go", "node", "bun", "jvm", "deno"];

/// Runs the checks and prints the result.
pub fn check(config: &Config, json: bool, all_processes: bool) -> Result<u8, CommandFailure> {
    logging::begin(config.log, false);
    let reader = ForeignReader::in_processes();
    let mut selector = Selector::new(targets(config, None), config.targets.follow, config.targets.wait, reader.clone());
    let pids = selector.check();
    let describer = Describer::new(&service_rules(config), reader);
    let (pids, describer) = match (pids, describer) {
        (Ok(pids), Ok(describer)) => (pids, describer),
        (pids, describer) => {
            let wrong = pids.err().unwrap_or_default().into_iter().chain(describer.err().unwrap_or_default());
            return Err(CommandFailure::Usage(wrong.map(|problem| problem.to_string()).collect()));
        }
    };
    let (mut findings, probes) = host(config, &selector);
    let describer = describer.with_io_uring_read(probes.as_ref().is_none_or(Probes::reads_io_uring));
    findings.targets = processes(&pids, describer, probes.as_ref());
    match json {
        true => print_json(&serde_json::to_string_pretty(&findings).map_err(anyhow::Error::from)?)?,
        false => print(&text::text(&findings, all_processes))?,
    };
    Ok(if findings.can_run { 0 } else { EXIT_IMPOSSIBLE })
}

fn host(config: &Config, selector: &Selector) -> (Findings, Option<Probes>) {
    let facts = Facts::gather();
    let mut findings = Findings {
        can_run: false,
        kernel: facts.release.clone(),
        problems: Vec::new(),
        capture_tier: None,
        capture: None,
        map_bytes: None,
        probes: Vec::new(),
        protocols: Protocols::known(),
        hardening: confinement::outlook(config),
        targets: Vec::new(),
    };
    if let Some(reason) = privilege::foreign_pid_namespace() {
        findings.problems.push(reason);
        return (findings, None);
    }
    match probe::start(&start_options(config, selector)) {
        Err(error) => {
            findings.problems.push(format!("{:#}", anyhow::Error::from(error)));
            (findings, None)
        }
        Ok(probes) => {
            let instructions = probes.verified_instructions();
            findings.can_run = true;
            findings.capture_tier = Some(probes.tier().number());
            findings.capture = Some(probes.tier().about());
            findings.map_bytes = Some(probes.map_bytes());
            findings.probes = probes
                .reports()
                .iter()
                .map(|report| Probe {
                    name: report.name,
                    state: report.state.name(),
                    reason: report.reason.clone(),
                    missed: probe::missed(report, probes.reports()),
                    verified_instructions: instructions.iter().find(|(name, _)| *name == report.name).map(|(_, count)| *count),
                })
                .collect();
            (findings, Some(probes))
        }
    }
}

fn processes(pids: &[u32], mut describer: Describer, probes: Option<&Probes>) -> Vec<TargetProcess> {
    let describe = |pid: &u32| {
        let description = describer.describe(*pid)?;
        let Interior { runtime, tls, not_seen } = &description.interior;
        // Threads of the kernel have no program.
        if description.exe.is_none() && not_seen.is_empty() {
            return None;
        }
        let (sight, refusal) = match describer.maps(*pid) {
            Ok(maps) => (probes.and_then(|probes| probes.watch_tls(*pid, &maps)), None),
            Err(Refusal::Absent) => (None, None),
            Err(refusal) => (None, Some(unknown_maps(refusal))),
        };
        let result = sight.as_ref().map(TlsSight::as_result);
        let has_own = runtime.as_deref().is_some_and(|runtime| OWN_TLS.contains(&runtime));
        let coverage = match result {
            Some(Ok(())) => Coverage::Read,
            _ if tls.is_some() || has_own => Coverage::Unread,
            _ => Coverage::Unknown,
        };
        Some(TargetProcess {
            pid: *pid,
            comm: description.origin.comm.to_string(),
            service: description.origin.service.to_string(),
            service_source: description.source,
            container: description.origin.container.as_ref().map(ToString::to_string),
            runtime: runtime.as_ref().map(ToString::to_string),
            tls: tls.as_ref().map(ToString::to_string),
            encrypted_traffic: refusal.unwrap_or_else(|| description.tls_outlook(result).into_owned()),
            not_seen: not_seen.clone(),
            coverage,
        })
    };
    pids.iter().filter_map(describe).collect()
}
