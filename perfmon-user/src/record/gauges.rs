//! State of everything unfinished in the pipeline, passed to `aggregate` once a second together with the records.
use std::sync::Arc;

use serde::Serialize;

use super::{Origin, WallTime};

/// The pipeline's state at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// When.
    pub time: WallTime,
    /// Open connections that the targets accepted, silent ones and those older than perfmon too; `None` while not known.
    pub active_connections: Option<u64>,
    /// Requests under way on the server side, oldest first, at most `limits::IN_FLIGHT`.
    pub in_flight: Vec<InFlight>,
    /// How much of each target was seen.
    pub targets: Vec<TargetCoverage>,
}

/// A part of perfmon that does not work as it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Degradation {
    /// Name of the stage, or `ring`.
    pub part: &'static str,
    /// What is wrong, to be read after the name.
    pub reason: String,
}

/// What is degraded at this moment; may be called from any thread, waits for nothing.
pub type DegradedNow = Arc<dyn Fn() -> Arc<[Degradation]> + Send + Sync>;

impl Degradation {
    /// As a message of its own.
    pub fn message(&self) -> String {
        format!("A part of perfmon does not work as it should: {}: {}.", self.part, self.reason)
    }

    /// All of them in a sentence without a period.
    pub fn sentence(all: &[Self]) -> String {
        all.iter().map(|one| format!("{}: {}", one.part, one.reason)).collect::<Vec<_>>().join("; ")
    }
}

/// A request that has begun and not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct InFlight {
    /// Its process.
    pub origin: Arc<Origin>,
    /// Method.
    pub method: Arc<str>,
    /// Path without query.
    pub path: Arc<str>,
    /// When its first byte arrived.
    pub since: WallTime,
}

/// Where a service name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceSource {
    /// A rule of the configuration.
    Configuration,
    /// The process's own environment: whoever started it chose the name.
    Environment,
    /// Its container or machine.
    Container,
    /// Its systemd unit.
    Unit,
    /// Its program.
    Program,
}

/// How much of a target's traffic was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetCoverage {
    /// Service name.
    pub service: Arc<str>,
    /// Where that name comes from; null while it is not known.
    pub service_source: Option<ServiceSource>,
    /// Process id.
    pub pid: u32,
    /// `python` `node` `go` `jvm` …
    pub runtime: Option<Arc<str>>,
    /// Name of its TLS library, null when it has none that perfmon knows.
    pub tls: Option<Arc<str>>,
    /// Exchanges fully seen ÷ exchanges known to exist (`exchanges` and `exchanges_lost`), 0..1; null before the first.
    pub completeness: Option<f64>,
    /// Exchanges told as records.
    pub exchanges: u64,
    /// Of these, not fully seen.
    pub incomplete: u64,
    /// Exchanges that passed while the ring was full, of which nothing is known but that they were, and those of records that were dropped
    /// because the aggregation was behind.
    pub exchanges_lost: u64,
    /// These, by the end that the process is.
    #[serde(skip)]
    pub lost_by_role: LostExchanges,
    /// Database commands among those of dropped records; they are not in `lost_by_role`.
    #[serde(skip)]
    pub lost_commands: LostExchanges,
    /// Payload bytes that were needed and lost.
    pub missing_bytes: u64,
    /// Events that the full ring refused.
    pub events_lost: u64,
    /// Protocols of its connections that are recognised and not read, such as `h2`.
    pub unread: Vec<Arc<str>>,
    /// What of it is not seen, whatever its traffic.
    pub not_seen: Vec<BlindSpot>,
}

/// Something of a process that perfmon cannot see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BlindSpot {
    /// `requests` | `io_uring` | `process` | `service_name`.
    pub part: &'static str,
    /// Why, to be read after the process's name.
    pub reason: &'static str,
}

/// Numbers of exchanges that the full ring, or a full queue after it, hid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostExchanges {
    /// On connections whose beginning was not seen: the process is one end or the other.
    pub unknown: u64,
    /// The process asked.
    pub asked: u64,
    /// It answered.
    pub served: u64,
}

impl LostExchanges {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.unknown + self.asked + self.served
    }
}

impl TargetCoverage {
    /// A target of which nothing but its name is known.
    pub fn named(service: &str, pid: u32) -> Self {
        Self {
            service: service.into(),
            service_source: None,
            pid,
            runtime: None,
            tls: None,
            completeness: None,
            exchanges: 0,
            incomplete: 0,
            exchanges_lost: 0,
            lost_by_role: LostExchanges::default(),
            lost_commands: LostExchanges::default(),
            missing_bytes: 0,
            events_lost: 0,
            unread: Vec::new(),
            not_seen: Vec::new(),
        }
    }

    /// Adds what the full ring refused of the process: events, and exchanges by the socket's role (unknown, client, server).
    pub fn add_losses(&mut self, events: u64, [unknown, asked, served]: [u64; 3]) {
        self.events_lost = events;
        self.add_lost_exchanges(LostExchanges { unknown, asked, served });
    }

    /// Adds exchanges that nothing shows.
    pub fn add_lost_exchanges(&mut self, more: LostExchanges) {
        let LostExchanges { unknown, asked, served } = &mut self.lost_by_role;
        (*unknown, *asked, *served) = (*unknown + more.unknown, *asked + more.asked, *served + more.served);
        self.exchanges_lost = *unknown + *asked + *served + self.lost_commands.total();
        let known = self.exchanges + self.exchanges_lost;
        self.completeness = (known > 0).then(|| (self.exchanges - self.incomplete) as f64 / known as f64);
    }
}

impl LostExchanges {
    /// Those since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let parts = [(self.unknown, before.unknown), (self.asked, before.asked), (self.served, before.served)];
        // Numbers only grow: smaller ones are those of another process under the same id.
        if parts.iter().any(|(now, before)| now < before) {
            return self;
        }
        let [unknown, asked, served] = parts.map(|(now, before)| now - before);
        Self { unknown, asked, served }
    }
}
