//! One database command, and one question for a name.
use std::sync::Arc;

use serde::Serialize;

use super::{Millis, Origin, Quality, Side, SpanId, WallTime};

/// One database command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Db {
    /// First byte of the command arrived (server) or was sent (client).
    pub time: WallTime,
    /// Whose.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// Server or client.
    pub side: Side,
    /// `postgresql` `mysql` `redis` `mongodb` `memcached` …
    pub system: &'static str,
    /// `SELECT`, `GET`, …
    pub operation: Option<Arc<str>>,
    /// Table, collection or key prefix.
    pub target: Option<Arc<str>>,
    /// The command with literals replaced by `?`.
    pub query: Option<Arc<str>>,
    /// Stable hash of `query`, 16 hex digits.
    pub query_id: Option<Arc<str>>,
    /// Name of the prepared statement; its text is unknown where it was prepared before perfmon saw the connection.
    pub statement: Option<Arc<str>>,
    /// Database that the connection uses.
    pub database: Option<Arc<str>>,
    /// The server's error code.
    pub error: Option<Arc<str>>,
    /// Rows or items of the answer.
    pub rows: Option<u64>,
    /// First byte of the command → last byte of the answer; null when the answer was not seen to end.
    pub response_time_ms: Option<Millis>,
    /// First byte of the command → first byte of the answer.
    pub time_to_first_byte_ms: Option<Millis>,
    /// Bytes of the command on the connection.
    pub request_bytes: u64,
    /// Bytes of the answer on the connection.
    pub response_bytes: u64,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Own address.
    pub local: Arc<str>,
    /// The other end's address.
    pub peer: Arc<str>,
    /// Client side: who was asked, by name if one is known.
    pub destination: Option<Arc<str>>,
    /// perfmon's id of this command; 16 hex digits.
    pub span_id: SpanId,
    /// Of the request for which it was made, if that carries one.
    pub trace_id: Option<Arc<str>>,
    /// Client side: the request for which it was made; null when that is not known.
    pub parent_span_id: Option<SpanId>,
    /// How sure that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Quality>,
    /// How far to trust it.
    pub quality: Quality,
    /// Bytes that were needed and not captured.
    pub missing_bytes: u64,
}

/// Commands that wait for something to happen, by design.
const BLOCKING: [&str; 14] = [
    "BLMOVE",
    "BLMPOP",
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "BZMPOP",
    "BZPOPMAX",
    "BZPOPMIN",
    "MONITOR",
    "PSUBSCRIBE",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "WAIT",
    "WAITAOF",
];

/// Commands of MongoDB that wait for news, by the field that says how long.
const AWAITING: [(&str, &str); 4] = [
    ("hello", "{maxAwaitTimeMS: ?}"),
    ("isMaster", "{maxAwaitTimeMS: ?}"),
    ("ismaster", "{maxAwaitTimeMS: ?}"),
    ("getMore", "{maxTimeMS: ?}"),
];

impl Db {
    /// It waits for something to happen: its time says nothing of the server.
    pub fn is_blocking(&self) -> bool {
        let Some(operation) = self.operation.as_deref() else { return false };
        match self.system {
            "redis" => BLOCKING.contains(&operation),
            // How long it may wait stands last in the text.
            "mongodb" => {
                AWAITING.iter().any(|(name, limit)| *name == operation && self.query.as_deref().is_some_and(|query| query.ends_with(limit)))
            }
            _ => false,
        }
    }

    /// The time that counts as latency: none of a command that waits by design.
    pub fn latency(&self) -> Option<Millis> {
        self.response_time_ms.filter(|_| !self.is_blocking())
    }
}

/// One question for a name, its retries counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dns {
    /// First sent (client) or arrived (server).
    pub time: WallTime,
    /// Whose.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// The name asked for.
    pub name: Arc<str>,
    /// `A`, `AAAA`, …
    pub qtype: Arc<str>,
    /// `NOERROR`, `NXDOMAIN`, …; `TIMEOUT` when no answer came.
    pub rcode: Arc<str>,
    /// Who was asked.
    pub server: Arc<str>,
    /// Times it was asked.
    pub attempts: u32,
    /// First question → answer; null when none came.
    pub response_time_ms: Option<Millis>,
    /// How far to trust it.
    pub quality: Quality,
}
