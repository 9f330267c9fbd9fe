//! Tables of database commands by query and of connection pools.
use std::sync::Arc;

use super::super::column::{Column, count, figure, known, largest, millis, percent, plain};
use super::super::detail::{pool_detail, query_detail};
use super::super::model::PoolRow;
use super::{RowTable, Tone, error_tone, latency_tone, more, number, text};
use crate::aggregate::snapshot::QueryRow;
use crate::record::Side;

/// The query, as far as it is known.
pub(in super::super) fn asked(row: &QueryRow) -> String {
    match (&row.query, &row.operation) {
        (Some(query), _) => query.to_string(),
        (None, operation) => format!("{} of an unknown text", operation.as_deref().unwrap_or("?")),
    }
}

/// The system, and the database in it.
pub(in super::super) fn query_place(row: &QueryRow) -> String {
    row.database.as_ref().map_or(row.system.to_string(), |database| format!("{} {database}", row.system))
}

pub(in super::super) static QUERIES: [Column<Arc<QueryRow>>; 14] = [
    text("SERVICE", 10, 5, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)),
    text("SYSTEM", 10, 6, |row| query_place(row), |a, b| (&a.system, &a.database).cmp(&(&b.system, &b.database))),
    Column { flexible: true, ..text("QUERY", 28, 0, |row| asked(row), |a, b| a.query.cmp(&b.query)) },
    number("TIME", 0, |row| millis(row.time_total_ms), |a, b| largest(a.time_total_ms, b.time_total_ms), plain),
    number("COUNT", 4, |row| count(row.count), |a, b| b.count.cmp(&a.count), plain),
    number("ERR%", 0, |row| percent(row.error_rate), |a, b| largest(a.error_rate, b.error_rate), |row| error_tone(row.error_rate)),
    number("P50", 9, |row| millis(row.latency.p50_ms), |a, b| largest(a.latency.p50_ms, b.latency.p50_ms), plain),
    number(
        "P95",
        0,
        |row| millis(row.latency.p95_ms),
        |a, b| largest(a.latency.p95_ms, b.latency.p95_ms),
        |row| latency_tone(row.latency.p95_ms),
    ),
    number("P99", 8, |row| millis(row.latency.p99_ms), |a, b| largest(a.latency.p99_ms, b.latency.p99_ms), plain),
    number("ROWS", 10, |row| known(row.rows), |a, b| b.rows.cmp(&a.rows), plain),
    more("REQ/S", |row| figure(row.requests_per_minute / 60.0), |a, b| b.requests_per_minute.total_cmp(&a.requests_per_minute)),
    more("MEAN", |row| millis(row.latency.mean_ms), |a, b| largest(a.latency.mean_ms, b.latency.mean_ms)),
    more("MAX", |row| millis(row.latency.max_ms), |a, b| largest(a.latency.max_ms, b.latency.max_ms)),
    more("ERRORS", |row| count(row.errors), |a, b| b.errors.cmp(&a.errors)),
];

pub(in super::super) static QUERY_TABLE: RowTable<Arc<QueryRow>> = RowTable {
    columns: &QUERIES,
    name: |row| {
        let at = row.destination.as_ref().map_or(String::new(), |destination| format!(" at {destination}"));
        let end = if row.side == Side::Server { " (server)" } else { "" };
        format!("{} on {}{at} of {}{end}", asked(row), query_place(row), row.service)
    },
    detail: query_detail,
    empty: "No database commands in this window. They appear here by query.",
};

static POOL_COLUMNS: [Column<PoolRow>; 13] = [
    text("SERVICE", 10, 5, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)),
    Column { width: 7, ..number("PID", 9, |row| row.pid.to_string(), |a, b| a.pid.cmp(&b.pid), plain) },
    Column { flexible: true, ..text("DESTINATION", 16, 0, |row| row.destination.to_string(), |a, b| a.destination.cmp(&b.destination)) },
    text("SYSTEM", 10, 7, |row| row.system.to_string(), |a, b| a.system.cmp(&b.system)),
    Column { tone: saturation_tone, ..text("STATE", 9, 0, |row| pool_state(row).into(), |a, b| b.saturated.cmp(&a.saturated)) },
    number("IN USE", 0, |row| count(row.in_use), |a, b| b.in_use.cmp(&a.in_use), saturation_tone),
    number("OPEN", 0, |row| count(row.open), |a, b| b.open.cmp(&a.open), plain),
    number("PEAK", 8, |row| count(row.peak_in_use), |a, b| b.peak_in_use.cmp(&a.peak_in_use), plain),
    number("SIZE", 6, |row| count(row.size), |a, b| b.size.cmp(&a.size), plain),
    number("USE95", 4, |row| millis(row.use_time_p95_ms), |a, b| largest(a.use_time_p95_ms, b.use_time_p95_ms), plain),
    more("USES", |row| count(row.uses), |a, b| b.uses.cmp(&a.uses)),
    more("IDLE", |row| count(row.idle), |a, b| b.idle.cmp(&a.idle)),
    more("SILENT", |row| millis(row.silent_in_use_ms), |a, b| largest(a.silent_in_use_ms, b.silent_in_use_ms)),
];

pub(in super::super) static POOLS: RowTable<PoolRow> = RowTable {
    columns: &POOL_COLUMNS,
    name: |row| format!("{} at {} ({}) of {} (pid {})", row.system, row.destination, row.peer, row.service, row.pid),
    detail: pool_detail,
    empty: "No connection pools. Those of the watched services appear here.",
};

/// Whether its connections suffice.
pub(in super::super) fn pool_state(row: &PoolRow) -> &'static str {
    if row.saturated { "saturated" } else { "enough" }
}

pub(in super::super) fn saturation_tone(row: &PoolRow) -> Tone {
    if row.saturated { Tone::Bad } else { Tone::Plain }
}
