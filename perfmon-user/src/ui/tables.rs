//! The columns of each table. The first nine can be sorted by their number.
use std::cmp::Ordering;

use super::column::{Column, Tone, bytes, count, figure, largest, millis, percent, plain};
use super::model::{FindingRow, ProcessRow, ShownDestination, ShownEndpoint, ShownSeverity};

const fn text<R>(title: &'static str, width: u16, expendable: u8, text: fn(&R) -> String, order: fn(&R, &R) -> Ordering) -> Column<R> {
    Column { title, width, left: true, flexible: false, expendable, text, order, tone: plain }
}

const fn number<R>(
    title: &'static str,
    expendable: u8,
    text: fn(&R) -> String,
    order: fn(&R, &R) -> Ordering,
    tone: fn(&R) -> Tone,
) -> Column<R> {
    Column { title, width: 6, left: false, flexible: false, expendable, text, order, tone }
}

/// Of a share of errors.
pub(super) fn error_tone(rate: Option<f64>) -> Tone {
    graded(rate, 0.01, 0.05)
}

/// Of a latency.
pub(super) fn latency_tone(latency: Option<f64>) -> Tone {
    graded(latency, 500.0, 1_000.0)
}

fn graded(value: Option<f64>, warn: f64, bad: f64) -> Tone {
    match value {
        Some(value) if value >= bad => Tone::Bad,
        Some(value) if value >= warn => Tone::Warn,
        _ => Tone::Plain,
    }
}

pub(super) static ENDPOINTS: [Column<ShownEndpoint>; 11] = [
    text("SERVICE", 10, 5, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)),
    Column {
        flexible: true,
        ..text(
            "ENDPOINT",
            16,
            0,
            |row| format!("{} {}", row.method, row.endpoint),
            |a, b| (&a.endpoint, &a.method).cmp(&(&b.endpoint, &b.method)),
        )
    },
    number("COUNT", 4, |row| count(row.count), |a, b| b.count.cmp(&a.count), plain),
    number("REQ/S", 0, |row| figure(row.requests_per_minute / 60.0), |a, b| b.requests_per_minute.total_cmp(&a.requests_per_minute), plain),
    number("ERR%", 0, |row| percent(row.error_rate), |a, b| largest(a.error_rate, b.error_rate), |row| error_tone(row.error_rate)),
    number("P50", 9, |row| millis(row.p50_ms), |a, b| largest(a.p50_ms, b.p50_ms), plain),
    number("P95", 0, |row| millis(row.p95_ms), |a, b| largest(a.p95_ms, b.p95_ms), |row| latency_tone(row.p95_ms)),
    number("P99", 6, |row| millis(row.p99_ms), |a, b| largest(a.p99_ms, b.p99_ms), plain),
    number("QUEUE", 8, |row| millis(row.queue_p95_ms), |a, b| largest(a.queue_p95_ms, b.queue_p95_ms), plain),
    number("SHARE%", 7, |row| percent(Some(row.share_of_time)), |a, b| b.share_of_time.total_cmp(&a.share_of_time), plain),
    number("NOW", 10, |row| count(row.in_flight), |a, b| b.in_flight.cmp(&a.in_flight), plain),
];

pub(super) static DESTINATIONS: [Column<ShownDestination>; 9] = [
    text("SERVICE", 10, 5, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)),
    Column { flexible: true, ..text("DESTINATION", 16, 0, |row| row.destination.to_string(), |a, b| a.destination.cmp(&b.destination)) },
    number("COUNT", 4, |row| count(row.count), |a, b| b.count.cmp(&a.count), plain),
    number("REQ/S", 0, |row| figure(row.requests_per_minute / 60.0), |a, b| b.requests_per_minute.total_cmp(&a.requests_per_minute), plain),
    number("ERR%", 0, |row| percent(row.error_rate), |a, b| largest(a.error_rate, b.error_rate), |row| error_tone(row.error_rate)),
    number("AVAIL%", 8, |row| percent(row.availability), |a, b| largest(b.availability, a.availability), plain),
    number("P50", 9, |row| millis(row.p50_ms), |a, b| largest(a.p50_ms, b.p50_ms), plain),
    number("P95", 0, |row| millis(row.p95_ms), |a, b| largest(a.p95_ms, b.p95_ms), |row| latency_tone(row.p95_ms)),
    number("P99", 6, |row| millis(row.p99_ms), |a, b| largest(a.p99_ms, b.p99_ms), plain),
];

pub(super) static PROCESSES: [Column<ProcessRow>; 8] = [
    Column { flexible: true, ..text("SERVICE", 12, 0, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)) },
    Column { width: 7, ..number("PID", 0, |row| row.pid.to_string(), |a, b| a.pid.cmp(&b.pid), plain) },
    text("COMMAND", 15, 6, |row| row.comm.to_string(), |a, b| a.comm.cmp(&b.comm)),
    number("CPU%", 0, |row| row.cpu_percent.map_or("-".into(), figure), |a, b| largest(a.cpu_percent, b.cpu_percent), plain),
    number("RSS", 0, |row| bytes(row.memory_rss_bytes), |a, b| b.memory_rss_bytes.cmp(&a.memory_rss_bytes), plain),
    number("THR", 7, |row| count(row.threads), |a, b| b.threads.cmp(&a.threads), plain),
    number("FILES", 8, |row| known(row.open_files), |a, b| b.open_files.cmp(&a.open_files), plain),
    number("CONNS", 9, |row| known(row.connections), |a, b| b.connections.cmp(&a.connections), plain),
];

pub(super) static FINDINGS: [Column<FindingRow>; 4] = [
    Column {
        tone: level_tone,
        ..text("SEVERITY", 8, 0, |row| format!("{:?}", row.severity).to_lowercase(), |a, b| b.severity.cmp(&a.severity))
    },
    text("TYPE", 18, 8, |row| row.kind.to_string(), |a, b| a.kind.cmp(&b.kind)),
    text("SCOPE", 16, 9, |row| row.scope.to_string(), |a, b| a.scope.cmp(&b.scope)),
    Column { flexible: true, ..text("MESSAGE", 20, 0, |row| row.message.to_string(), |a, b| a.message.cmp(&b.message)) },
];

fn level_tone(row: &FindingRow) -> Tone {
    match row.severity {
        ShownSeverity::Info => Tone::Plain,
        ShownSeverity::Warning => Tone::Warn,
        ShownSeverity::Critical => Tone::Bad,
    }
}

fn known(value: Option<u64>) -> String {
    value.map_or("-".into(), count)
}
