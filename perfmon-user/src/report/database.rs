//! Databases of a report: commands by operation with their share of all commands' time, from the figures of the period; and the queries of
//! which single commands were slow or failed, from the records that are kept.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::LatencySummary;
use super::collect::{Rows, is_server, latency, named, records, sum};
use super::document::{Table, spread, table};
use super::text::{UNKNOWN, count, plain_share, time};
use crate::record::metric::RecordKind;
use crate::store::{StoreError, StoreReader};

/// Rows of each list.
const ROWS: usize = 20;

/// Commands of one operation of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatabaseSummary {
    /// Service that asked, or the database where it is seen from there only.
    pub service: String,
    /// `postgresql`, `mysql`, `redis`.
    pub system: String,
    /// `SELECT`, `GET`.
    pub operation: String,
    /// Who was asked, by name or address.
    pub destination: Option<String>,
    /// Commands.
    pub count: u64,
    /// Failed ones.
    pub errors: u64,
    /// Of the time of all commands, 0..1.
    pub share_of_time: Option<f64>,
    /// Time from the first byte of the command to the last one of the answer.
    #[serde(flatten)]
    pub latency: LatencySummary,
}

/// A query with slow or failed commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlowQuery {
    /// Service that asked.
    pub service: String,
    /// System.
    pub system: String,
    /// Its text, literals replaced; the operation where the text is not known.
    pub query: String,
    /// Slow or failed commands.
    pub count: u64,
    /// Failed ones.
    pub errors: u64,
    /// The longest of them.
    pub max_ms: Option<f64>,
    /// All of them together.
    pub total_ms: f64,
}

/// Commands by operation. A command that is seen at both of its ends counts once: of each system the client's side, if there is any.
pub fn databases(commands: &Rows) -> Vec<DatabaseSummary> {
    let asked: BTreeSet<String> =
        commands.iter().filter(|(labels, _)| !is_server(labels)).map(|(labels, _)| named(labels, "system")).collect();
    let counted = || commands.iter().filter(|(labels, _)| !(is_server(labels) && asked.contains(&named(labels, "system"))));
    let spent = |cell| sum(cell, RecordKind::Db, "response_time_ms").unwrap_or(0.0);
    let all: f64 = counted().map(|(_, cell)| spent(cell)).sum();
    let mut rows: Vec<DatabaseSummary> = counted()
        .map(|(labels, cell)| DatabaseSummary {
            service: named(labels, "service"),
            system: named(labels, "system"),
            operation: named(labels, "operation"),
            destination: labels.get("destination").cloned(),
            count: cell.count,
            errors: cell.errors,
            share_of_time: (all > 0.0).then(|| spent(cell) / all),
            latency: latency(cell, RecordKind::Db, "response_time_ms"),
        })
        .collect();
    rows.sort_by(|a, b| b.share_of_time.unwrap_or(0.0).total_cmp(&a.share_of_time.unwrap_or(0.0)).then(b.count.cmp(&a.count)));
    rows.truncate(ROWS);
    rows
}

/// Queries by the time that their slow and failed commands took, from the records that are kept of them.
pub fn slow_queries(reader: &StoreReader, from: u64, to: u64) -> Result<Vec<SlowQuery>, StoreError> {
    /// The fields of a command that the report shows.
    #[derive(Deserialize)]
    struct KeptCommand {
        side: String,
        service: String,
        system: String,
        operation: Option<String>,
        query: Option<String>,
        error: Option<String>,
        response_time_ms: Option<f64>,
    }
    let mut queries: BTreeMap<(String, String, String), SlowQuery> = BTreeMap::new();
    for kept in records::<KeptCommand>(reader, "db", from, to)?.into_iter().filter(|kept| kept.side == "client") {
        let query = kept.query.or(kept.operation).unwrap_or_else(|| UNKNOWN.into());
        let (service, system) = (kept.service, kept.system);
        let row = queries.entry((service.clone(), system.clone(), query.clone())).or_insert_with(|| SlowQuery {
            service,
            system,
            query,
            count: 0,
            errors: 0,
            max_ms: None,
            total_ms: 0.0,
        });
        row.count += 1;
        row.errors += u64::from(kept.error.is_some());
        row.max_ms = row.max_ms.into_iter().chain(kept.response_time_ms).reduce(f64::max);
        row.total_ms += kept.response_time_ms.unwrap_or(0.0);
    }
    let mut rows: Vec<SlowQuery> = queries.into_values().collect();
    rows.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms).then(b.count.cmp(&a.count)));
    rows.truncate(ROWS);
    Ok(rows)
}

/// The table of operations.
pub fn operations_table(rows: &[DatabaseSummary]) -> Table {
    let row = |row: &DatabaseSummary| {
        let names = [row.operation.clone(), row.system.clone(), row.service.clone()];
        let figures = [count(row.count), count(row.errors), row.share_of_time.map_or_else(|| UNKNOWN.into(), plain_share)];
        [&names[..], &figures, &spread(&row.latency)].concat()
    };
    table(
        &["operation", "database", "by", "commands#", "errors#", "of the time#", "P50#", "P95#", "longest#"],
        rows.iter().map(row).collect(),
    )
}

/// The table of queries.
pub fn queries_table(rows: &[SlowQuery]) -> Table {
    let row = |row: &SlowQuery| {
        vec![
            row.query.clone(),
            row.system.clone(),
            row.service.clone(),
            count(row.count),
            count(row.errors),
            time(row.max_ms),
            time(Some(row.total_ms)),
        ]
    };
    table(&["query", "database", "by", "slow or failed#", "errors#", "longest#", "together#"], rows.iter().map(row).collect())
}
