//! An entry of the process table: program, watch verdict, runtime and TLS library, and coverage of its traffic.
use std::sync::Arc;

use crate::record::{BlindSpot, LostExchanges, Origin, ServiceSource, TargetCoverage};

use super::inquiry::{ExecFacts, ProcessIdentity, ProgramId};

/// Variable of the environment that names the service (OpenTelemetry, "Environment Variable Specification").
const SERVICE_NAME: &[u8] = b"OTEL_SERVICE_NAME=";

/// Whether a process is a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WatchVerdict {
    /// Not known: the inspector is to judge.
    Pending,
    /// It is watched.
    Watched,
    /// It is no target: its events are dropped.
    Ignored,
}

/// A program and its origin.
#[derive(Debug)]
pub(super) struct ProgramIdentity {
    pub(super) id: ProgramId,
    /// Provisional origin of records until the program is described. Only a provisional origin has an empty service.
    pub(super) provisional: Arc<Origin>,
    pub(super) origin: Option<Arc<Origin>>,
    /// Facts of its exec event.
    pub(super) facts: Option<Box<ExecFacts>>,
}

impl ProgramIdentity {
    pub(super) fn new(id: ProgramId, pid: u32, facts: Option<Box<ExecFacts>>) -> Self {
        let comm = facts.as_ref().map_or("", |facts| &facts.comm);
        Self { id, provisional: Arc::new(provisional(pid, comm)), origin: None, facts }
    }

    /// The current origin of records.
    pub(super) fn origin(&self) -> &Arc<Origin> {
        self.origin.as_ref().unwrap_or(&self.provisional)
    }

    /// Records or agents still hold the provisional origin.
    pub(super) fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.provisional) > 1
    }

    /// The origin by the exec event alone, for records that cannot wait longer.
    pub(super) fn guessed(&self) -> Arc<Origin> {
        self.origin.clone().unwrap_or_else(|| Arc::new(guess(&self.provisional, self.facts.as_deref())))
    }

    pub(super) fn facts(&self) -> ExecFacts {
        self.facts.as_deref().cloned().unwrap_or_else(|| ExecFacts { pid: self.provisional.pid, ..ExecFacts::default() })
    }
}

fn provisional(pid: u32, comm: &str) -> Origin {
    Origin { pid, comm: comm.into(), service: "".into(), container: None }
}

/// A described process has a service name.
pub(super) fn is_provisional(origin: &Origin) -> bool {
    origin.service.is_empty()
}

fn guess(provisional: &Origin, facts: Option<&ExecFacts>) -> Origin {
    let Some(facts) = facts else { return Origin { comm: provisional.comm.clone(), ..Origin::unknown(provisional.pid) } };
    let named = facts.env.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(SERVICE_NAME));
    let called = facts.argv.split(|byte| *byte == 0).next().and_then(|path| path.rsplit(|byte| *byte == b'/').next());
    let service = [named, called, Some(facts.comm.as_bytes())].into_iter().flatten().find(|name| !name.is_empty());
    let service = String::from_utf8_lossy(service.unwrap_or(b"unknown")).into_owned();
    Origin { service: service.into(), ..provisional.clone() }
}

/// A process.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) program: ProgramIdentity,
    pub(super) verdict: WatchVerdict,
    /// The verdict was asked for.
    pub(super) is_judging: bool,
    /// The description was asked for, or is there.
    pub(super) is_asked: bool,
    /// Where its service name comes from.
    pub(super) source: Option<ServiceSource>,
    pub(super) runtime: Option<Arc<str>>,
    pub(super) tls: Option<Arc<str>>,
    pub(super) tls_search: TlsSearch,
    pub(super) start_time: Option<u64>,
    pub(super) young: bool,
    /// When it executed its program.
    pub(super) began_ns: Option<u64>,
    pub(super) left_ns: Option<u64>,
    /// Its coverage was told after it left: what it lost last is known then.
    pub(super) last_told: bool,
    /// Number of the last use of any process: the smallest was unused for longest.
    pub(super) used: u64,
    pub(super) exchanges: u64,
    pub(super) incomplete: u64,
    /// Exchanges, and incomplete ones among them, of records that were dropped after they were counted.
    pub(super) dropped: LostExchanges,
    pub(super) dropped_incomplete: u64,
    /// The same of database commands.
    pub(super) dropped_commands: LostExchanges,
    pub(super) missing_bytes: u64,
    /// Protocols of its connections that are recognised and not read.
    pub(super) unread: Vec<&'static str>,
    /// What of it is not seen, whatever its traffic.
    pub(super) not_seen: Vec<BlindSpot>,
}

/// The search for a process's TLS library.
#[derive(Debug, Default)]
pub(super) struct TlsSearch {
    pub(super) asked_ns: Option<u64>,
    pub(super) is_running: bool,
    pub(super) probed: Option<Result<(), Arc<str>>>,
    /// It began or accepted a TLS connection.
    pub(super) is_wanted: bool,
    /// Its maps were searched since, and have no library that perfmon knows.
    pub(super) found_none: bool,
}

/// What is said of a process that uses TLS without a shared library.
const NO_LIBRARY: &str = "no plaintext, because it has no shared TLS library that perfmon knows";

impl TlsSearch {
    /// Why plaintext that exists is not seen.
    fn refusal(&self) -> Option<String> {
        match &self.probed {
            Some(Err(reason)) => Some(format!("no plaintext, because {reason}")),
            None if self.is_wanted && self.found_none => Some(NO_LIBRARY.to_owned()),
            _ => None,
        }
    }
}

impl Entry {
    pub(super) fn new(program: ProgramIdentity, verdict: WatchVerdict) -> Self {
        Self {
            program,
            verdict,
            is_judging: false,
            is_asked: false,
            source: None,
            runtime: None,
            tls: None,
            tls_search: TlsSearch::default(),
            start_time: None,
            young: true,
            began_ns: None,
            left_ns: None,
            last_told: false,
            used: 0,
            exchanges: 0,
            incomplete: 0,
            dropped: LostExchanges::default(),
            dropped_incomplete: 0,
            dropped_commands: LostExchanges::default(),
            missing_bytes: 0,
            unread: Vec::new(),
            not_seen: Vec::new(),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.program.provisional.pid
    }

    /// For a comparison with /proc; `None` when there is nothing to compare.
    pub(super) fn known(&self) -> Option<ProcessIdentity> {
        let origin = self.program.origin.as_ref().filter(|_| self.left_ns.is_none())?;
        let (program, comm) = (self.program.id, origin.comm.clone());
        Some(ProcessIdentity { pid: origin.pid, program, comm, start_time: self.start_time, young: self.young })
    }

    /// Coverage of its encrypted traffic, in words.
    fn tls_outlook(&self) -> Option<Arc<str>> {
        match (&self.tls, self.tls_search.refusal()) {
            (Some(tls), Some(refusal)) => Some(format!("{tls}: {refusal}").into()),
            (None, refusal) => refusal.map(Arc::from),
            (Some(tls), None) if self.tls_search.probed.is_some() => Some(format!("{tls}: plaintext").into()),
            (Some(tls), None) => Some(tls.clone()),
        }
    }

    /// Whether something of its traffic is known not to be seen.
    fn is_unseen(&self) -> bool {
        !self.unread.is_empty() || !self.not_seen.is_empty() || self.tls_search.is_wanted && self.tls_search.refusal().is_some()
    }

    /// Coverage of its traffic; `None` without exchanges, unless something is known not to be seen.
    pub(super) fn coverage(&mut self) -> Option<TargetCoverage> {
        let is_over = std::mem::replace(&mut self.last_told, self.left_ns.is_some());
        if (self.exchanges == 0 && !self.is_unseen()) || is_over || self.verdict != WatchVerdict::Watched {
            return None;
        }
        Some(self.listed())
    }

    /// The same of a process of which no exchange was seen and some were lost.
    pub(super) fn unseen_coverage(&self) -> Option<TargetCoverage> {
        let is_meant = self.exchanges == 0 && !self.is_unseen() && self.left_ns.is_none() && self.verdict == WatchVerdict::Watched;
        is_meant.then(|| self.listed())
    }

    /// It ended, and its coverage was told after that.
    pub(super) fn is_told(&self) -> bool {
        self.left_ns.is_some() && self.last_told
    }

    /// Exchanges and commands of dropped records.
    pub(super) fn dropped_in_all(&self) -> u64 {
        [self.dropped, self.dropped_commands].iter().map(LostExchanges::total).sum()
    }

    fn listed(&self) -> TargetCoverage {
        let mut listed = TargetCoverage {
            service_source: self.source,
            runtime: self.runtime.clone(),
            tls: self.tls_outlook(),
            exchanges: self.exchanges - self.dropped_in_all(),
            lost_commands: self.dropped_commands,
            incomplete: self.incomplete - self.dropped_incomplete,
            missing_bytes: self.missing_bytes,
            unread: self.unread.iter().map(|name| Arc::from(*name)).collect(),
            not_seen: self.not_seen.clone(),
            ..TargetCoverage::named(&self.program.guessed().service, self.pid())
        };
        listed.add_lost_exchanges(self.dropped);
        listed
    }
}
