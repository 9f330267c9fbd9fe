//! Rows of database commands.
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Latency, Losses, WindowView};
use crate::record::Side;

/// Commands of one service to one database that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryRow {
    /// Service of the client, or of the server where it is seen from there.
    pub service: Arc<str>,
    /// From which side they are seen.
    pub side: Side,
    /// `postgresql`, `redis`.
    pub system: Arc<str>,
    /// Who was asked; client side only.
    pub destination: Option<Arc<str>>,
    /// Database.
    pub database: Option<Arc<str>>,
    /// `SELECT`, `GET`.
    pub operation: Option<Arc<str>>,
    /// Table or key prefix.
    pub target: Option<Arc<str>>,
    /// Text with literals replaced; `(other)` is the overflow row.
    pub query: Option<Arc<str>>,
    /// Its hash.
    pub query_id: Option<Arc<str>>,
    /// Commands.
    pub count: u64,
    /// Failed ones.
    pub errors: u64,
    /// 0..1.
    pub error_rate: Option<f64>,
    /// Over the window.
    pub requests_per_minute: f64,
    /// Rows of all answers; null when unknown for every command.
    pub rows: Option<u64>,
    /// Time that all took together.
    pub time_total_ms: Option<f64>,
    /// Time from the first byte of the command to the last one of the answer.
    #[serde(flatten)]
    pub latency: Latency,
    /// Commands seen wholly ÷ commands, those that were lost too, 0..1.
    pub completeness: Option<f64>,
    /// Commands of which the records were dropped: its share of those of its service.
    #[serde(flatten)]
    pub losses: Losses,
}

impl WindowView {
    /// Database commands; of each system those of the side from which more were seen, so that none counts twice. `None` without any.
    pub fn db_calls(&self) -> Option<u64> {
        let mut systems: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
        for row in &self.queries {
            systems.entry(&row.system).or_default()[usize::from(row.side == Side::Server)] += row.count;
        }
        (!systems.is_empty()).then(|| systems.into_values().map(|[client, server]| client.max(server)).sum())
    }
}
