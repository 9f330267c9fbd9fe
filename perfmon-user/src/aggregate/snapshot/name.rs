//! Rows of names that services ask for.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Latency;

/// Questions of one service for one name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NameRow {
    /// Service that asks.
    pub service: Arc<str>,
    /// The name; `(other)` is the overflow row.
    pub name: Arc<str>,
    /// `A`, `AAAA`, …
    pub qtype: Arc<str>,
    /// Questions, each with its retries.
    pub count: u64,
    /// Those that got no address or an error: every code but `NOERROR`.
    pub errors: u64,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// How many ended how.
    pub rcodes: RcodeCounts,
    /// Times that all were asked.
    pub attempts: u64,
    /// Those that did not exist, after which the resolver went on with its search list.
    pub search_misses: u64,
    /// Over the window.
    pub requests_per_minute: f64,
    /// Time from the first attempt to the answer.
    #[serde(flatten)]
    pub latency: Latency,
}

/// Questions by code (RFC 6895, 2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RcodeCounts {
    /// Answered.
    #[serde(rename = "NOERROR")]
    pub noerror: u64,
    /// No such name.
    #[serde(rename = "NXDOMAIN")]
    pub nxdomain: u64,
    /// The server failed.
    #[serde(rename = "SERVFAIL")]
    pub servfail: u64,
    /// The server refused.
    #[serde(rename = "REFUSED")]
    pub refused: u64,
    /// No answer came.
    #[serde(rename = "TIMEOUT")]
    pub timeout: u64,
    /// Any other code.
    pub other: u64,
}
