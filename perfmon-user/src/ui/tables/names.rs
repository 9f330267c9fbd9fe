//! The table of names that services ask for.
use std::sync::Arc;

use super::super::column::{Column, count, figure, largest, millis, percent, plain};
use super::super::detail::name_detail;
use super::{RowTable, Tone, error_tone, latency_tone, more, number, text};
use crate::aggregate::snapshot::NameRow;

static NAME_COLUMNS: [Column<Arc<NameRow>>; 13] = [
    text("SERVICE", 10, 5, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)),
    Column { flexible: true, ..text("NAME", 20, 0, |row| row.name.to_string(), |a, b| a.name.cmp(&b.name)) },
    text("TYPE", 5, 0, |row| row.qtype.to_string(), |a, b| a.qtype.cmp(&b.qtype)),
    number("COUNT", 0, |row| count(row.count), |a, b| b.count.cmp(&a.count), plain),
    number("REQ/S", 7, |row| figure(row.requests_per_minute / 60.0), |a, b| b.requests_per_minute.total_cmp(&a.requests_per_minute), plain),
    number("ERR%", 0, |row| percent(row.error_rate), |a, b| largest(a.error_rate, b.error_rate), |row| error_tone(row.error_rate)),
    Column { width: 8, ..number("ATTEMPTS", 6, |row| count(row.attempts), |a, b| b.attempts.cmp(&a.attempts), attempts_tone) },
    number("P50", 9, |row| millis(row.latency.p50_ms), |a, b| largest(a.latency.p50_ms, b.latency.p50_ms), plain),
    number(
        "P95",
        0,
        |row| millis(row.latency.p95_ms),
        |a, b| largest(a.latency.p95_ms, b.latency.p95_ms),
        |row| latency_tone(row.latency.p95_ms),
    ),
    number("MISSES", 8, |row| count(row.search_misses), |a, b| b.search_misses.cmp(&a.search_misses), plain),
    more("P99", |row| millis(row.latency.p99_ms), |a, b| largest(a.latency.p99_ms, b.latency.p99_ms)),
    more("MAX", |row| millis(row.latency.max_ms), |a, b| largest(a.latency.max_ms, b.latency.max_ms)),
    more("ERRORS", |row| count(row.errors), |a, b| b.errors.cmp(&a.errors)),
];

pub(in super::super) static NAMES: RowTable<Arc<NameRow>> = RowTable {
    columns: &NAME_COLUMNS,
    name: |row| format!("{} {} asked by {}", row.qtype, row.name, row.service),
    detail: name_detail,
    empty: "No questions for names (DNS) in this window. They appear here by name.",
};

/// Questions that were asked again.
pub(in super::super) fn attempts_tone(row: &Arc<NameRow>) -> Tone {
    if row.attempts > row.count { Tone::Warn } else { Tone::Plain }
}
