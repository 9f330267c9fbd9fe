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

/// How much of a target's traffic was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetCoverage {
    /// Service name.
    pub service: Arc<str>,
    /// Process id.
    pub pid: u32,
    /// `python` `node` `go` `jvm` …
    pub runtime: Option<Arc<str>>,
    /// Name of its TLS library, null when it has none that perfmon knows.
    pub tls: Option<Arc<str>>,
    /// Exchanges fully seen ÷ exchanges known to exist, 0..1; null before the first.
    pub completeness: Option<f64>,
    /// Exchanges known.
    pub exchanges: u64,
    /// Of these, not fully seen.
    pub incomplete: u64,
    /// Payload bytes that were needed and lost.
    pub missing_bytes: u64,
    /// Events that the full ring refused.
    pub events_lost: u64,
    /// Protocols of its connections that are recognised and not read, such as `h2`.
    pub unread: Vec<Arc<str>>,
}
