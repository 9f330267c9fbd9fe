//! The boundary of the program: left of it are bytes, right of it requests. Only these types cross it; their field names are those of
//! docs/records.md. A record is written once and not changed, except that `aggregate` sets a request's `endpoint`.
mod address;
mod agent;
mod audit;
mod convention;
pub mod custom;
mod database;
mod detail;
mod finding;
mod gauges;
mod host;
pub mod kind;
mod link;
mod llm;
#[cfg(test)]
pub(crate) mod made_up;
pub mod metric;
mod pattern;
mod pool;
pub mod readable;
mod request;
mod room;
mod series;
mod spare;
mod tcp;
mod unit;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::stream::Failure;
pub use address::address;
pub use agent::{Agent, Tool, Workflow};
pub use audit::AuditEntry;
pub use convention::OutsideName;
pub use database::{Db, Dns};
pub use detail::{RequestDetail, SeriesDetail};
pub use finding::{Alert, AlertState, Finding, Notified, Severity};
pub use gauges::{BlindSpot, Degradation, DegradedNow, Gauges, InFlight, LostExchanges, ServiceSource, TargetCoverage};
pub use host::{Disk, Network, Process, Psi, System};
pub use link::{Downstream, REPEATED_CALLS, RepeatedQuery};
pub use llm::{Llm, ToolCall};
pub use pattern::matches;
pub use pool::Pool;
pub use request::{Category, Quality, Request, Side};
pub use room::{QueueRoom, Seats};
pub use series::{DEFINITION, LabelSet, METRIC, SeriesKey};
pub use spare::SpareBatches;
pub use tcp::Tcp;
pub use unit::{Millis, SpanId, WallTime, mixed};

/// The process of a record; shared by all records of a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Process id on this host.
    pub pid: u32,
    /// Name of the process (`comm`).
    pub comm: Arc<str>,
    /// Service name, see docs/records.md.
    pub service: Arc<str>,
    /// Container id (12 hex digits) or name.
    pub container: Option<Arc<str>>,
}

impl Origin {
    /// A process without a description.
    pub fn unknown(pid: u32) -> Self {
        Self { pid, comm: "".into(), service: "unknown".into(), container: None }
    }

    /// perfmon itself.
    pub fn of_perfmon() -> Self {
        Self { pid: std::process::id(), comm: "perfmon".into(), service: "perfmon".into(), container: None }
    }
}

/// Records that finished together, shared by all consumers, in the order of their ends.
pub type RecordBatch = Arc<Vec<Record>>;

/// Any record. Serialised with its `kind` first. Requests, by far the most, stand in their batch itself: a box each would be an allocation on
/// the capture thread and a free on another one.
#[expect(clippy::large_enum_variant, reason = "the largest variant is the most frequent one")]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// One HTTP exchange.
    Request(Request),
    /// One database command.
    Db(Box<Db>),
    /// One question for a name.
    Dns(Box<Dns>),
    /// One model call.
    Llm(Box<Llm>),
    /// One agent run.
    Agent(Box<Agent>),
    /// One tool execution.
    Tool(Box<Tool>),
    /// One end-to-end piece of work.
    Workflow(Box<Workflow>),
    /// One process over one interval.
    Process(Box<Process>),
    /// The host over one interval.
    System(Box<System>),
    /// A client's connections to one peer over one interval.
    Pool(Box<Pool>),
    /// TCP of a client's connections to one peer over one interval.
    Tcp(Box<Tcp>),
    /// A condition that needs attention.
    Finding(Box<Finding>),
    /// An alert's change of state.
    Alert(Box<Alert>),
}

impl Record {
    /// The record's `kind`, as in its JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Db(_) => "db",
            Self::Dns(_) => "dns",
            Self::Llm(_) => "llm",
            Self::Agent(_) => "agent",
            Self::Tool(_) => "tool",
            Self::Workflow(_) => "workflow",
            Self::Process(_) => "process",
            Self::System(_) => "system",
            Self::Pool(_) => "pool",
            Self::Tcp(_) => "tcp",
            Self::Finding(_) => "finding",
            Self::Alert(_) => "alert",
        }
    }

    /// The process of the record.
    pub fn origin(&self) -> &Arc<Origin> {
        match self {
            Self::Request(r) => &r.origin,
            Self::Db(r) => &r.origin,
            Self::Dns(r) => &r.origin,
            Self::Llm(r) => &r.origin,
            Self::Agent(r) => &r.origin,
            Self::Tool(r) => &r.origin,
            Self::Workflow(r) => &r.origin,
            Self::Process(r) => &r.origin,
            Self::System(r) => &r.origin,
            Self::Pool(r) => &r.origin,
            Self::Tcp(r) => &r.origin,
            Self::Finding(r) => &r.origin,
            Self::Alert(r) => &r.origin,
        }
    }

    /// Says whose record it is, when that was not known before.
    pub fn set_origin(&mut self, origin: Arc<Origin>) {
        match self {
            Self::Request(r) => r.origin = origin,
            Self::Db(r) => r.origin = origin,
            Self::Dns(r) => r.origin = origin,
            Self::Llm(r) => r.origin = origin,
            Self::Agent(r) => r.origin = origin,
            Self::Tool(r) => r.origin = origin,
            Self::Workflow(r) => r.origin = origin,
            Self::Process(r) => r.origin = origin,
            Self::System(r) => r.origin = origin,
            Self::Pool(r) => r.origin = origin,
            Self::Tcp(r) => r.origin = origin,
            Self::Finding(r) => r.origin = origin,
            Self::Alert(r) => r.origin = origin,
        }
    }

    /// Bytes on the heap without what it shares with other records, about.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Request(_) => 0,
            Self::Db(_) => size_of::<Db>(),
            Self::Dns(_) => size_of::<Dns>(),
            Self::Llm(r) => size_of::<Llm>() + r.tool_calls.len() * size_of::<ToolCall>(),
            Self::Agent(_) => size_of::<Agent>(),
            Self::Tool(_) => size_of::<Tool>(),
            Self::Workflow(_) => size_of::<Workflow>(),
            Self::Process(_) => size_of::<Process>(),
            Self::System(_) => size_of::<System>(),
            Self::Pool(_) => size_of::<Pool>(),
            Self::Tcp(_) => size_of::<Tcp>(),
            Self::Finding(_) => size_of::<Finding>(),
            Self::Alert(_) => size_of::<Alert>(),
        }
    }

    /// Start of what the record describes.
    pub fn time(&self) -> WallTime {
        match self {
            Self::Request(r) => r.time,
            Self::Db(r) => r.time,
            Self::Dns(r) => r.time,
            Self::Llm(r) => r.time,
            Self::Agent(r) => r.time,
            Self::Tool(r) => r.time,
            Self::Workflow(r) => r.time,
            Self::Process(r) => r.time,
            Self::System(r) => r.time,
            Self::Pool(r) => r.time,
            Self::Tcp(r) => r.time,
            Self::Finding(r) => r.time,
            Self::Alert(r) => r.time,
        }
    }
}
