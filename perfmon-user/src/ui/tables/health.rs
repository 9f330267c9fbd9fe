//! Tables of processes, findings and alerts.
use super::super::column::{Column, bytes, count, figure, known, largest, plain};
use super::super::detail::{alert_detail, finding_detail, process_detail};
use super::super::model::{FindingRow, ProcessRow};
use super::{RowTable, Tone, more, number, text};
use crate::record::{Alert, AlertState, Severity};

static PROCESS_COLUMNS: [Column<ProcessRow>; 11] = [
    Column { flexible: true, ..text("SERVICE", 12, 0, |row| row.service.to_string(), |a, b| a.service.cmp(&b.service)) },
    Column { width: 7, ..number("PID", 0, |row| row.pid.to_string(), |a, b| a.pid.cmp(&b.pid), plain) },
    text("COMMAND", 15, 6, |row| row.comm.to_string(), |a, b| a.comm.cmp(&b.comm)),
    number("CPU%", 0, |row| row.cpu_percent.map_or("-".into(), figure), |a, b| largest(a.cpu_percent, b.cpu_percent), plain),
    number("RSS", 0, |row| bytes(row.memory_rss_bytes), |a, b| b.memory_rss_bytes.cmp(&a.memory_rss_bytes), plain),
    number("THR", 7, |row| count(row.threads), |a, b| b.threads.cmp(&a.threads), plain),
    number("FILES", 8, |row| known(row.open_files), |a, b| b.open_files.cmp(&a.open_files), plain),
    number("CONNS", 9, |row| known(row.connections), |a, b| b.connections.cmp(&a.connections), plain),
    more("MEM%", |row| row.memory_percent.map_or("-".into(), figure), |a, b| largest(a.memory_percent, b.memory_percent)),
    Column {
        width: 9,
        ..more("RUNTIME", |row| row.runtime.as_ref().map_or("-".into(), ToString::to_string), |a, b| a.runtime.cmp(&b.runtime))
    },
    Column { width: 9, ..more("LEAK", |row| row.leak.as_ref().map_or("-".into(), ToString::to_string), |a, b| b.leak.cmp(&a.leak)) },
];

pub(in super::super) static PROCESSES: RowTable<ProcessRow> = RowTable {
    columns: &PROCESS_COLUMNS,
    name: |row| format!("{} (pid {}) of {}", row.comm, row.pid, row.service),
    detail: process_detail,
    empty: "No process is watched yet.",
};

static FINDING_COLUMNS: [Column<FindingRow>; 4] = [
    Column {
        tone: |row| severity_tone(row.severity),
        ..text("SEVERITY", 8, 0, |row| row.severity_name().into(), |a, b| b.severity.cmp(&a.severity))
    },
    text("TYPE", 18, 8, |row| row.kind.to_string(), |a, b| a.kind.cmp(&b.kind)),
    text("SCOPE", 16, 9, |row| row.scope.to_string(), |a, b| a.scope.cmp(&b.scope)),
    Column { flexible: true, ..text("MESSAGE", 20, 0, |row| row.message.to_string(), |a, b| a.message.cmp(&b.message)) },
];

pub(in super::super) static FINDINGS: RowTable<FindingRow> = RowTable {
    columns: &FINDING_COLUMNS,
    name: |row| format!("{} in {}", row.kind, row.scope),
    detail: finding_detail,
    empty: "Nothing to report. Blocked event loops, leaks and the like appear here.",
};

static ALERT_COLUMNS: [Column<Alert>; 7] = [
    Column { tone: state_tone, ..text("STATE", 12, 0, |row| row.state.name().into(), |a, b| openness(a).cmp(&openness(b))) },
    text("SEVERITY", 8, 5, |row| format!("{:?}", row.severity).to_lowercase(), |a, b| b.severity.cmp(&a.severity)),
    text("RULE", 18, 0, |row| row.rule.to_string(), |a, b| a.rule.cmp(&b.rule)),
    text("SCOPE", 10, 7, |row| row.scope.to_string(), |a, b| a.scope.cmp(&b.scope)),
    number("VALUE", 3, |row| row.value.map_or("-".into(), judged), |a, b| largest(a.value, b.value), plain),
    number("LIMIT", 4, |row| judged(row.threshold), |a, b| b.threshold.total_cmp(&a.threshold), plain),
    Column { flexible: true, ..text("MESSAGE", 20, 0, |row| row.message.clone(), |a, b| a.message.cmp(&b.message)) },
];

pub(in super::super) static ALERTS: RowTable<Alert> =
    RowTable { columns: &ALERT_COLUMNS, name: |row| format!("{} ({})", row.rule, row.alert_id), detail: alert_detail, empty: "No alerts." };

/// A judged value: shares are below 1 and need three places.
pub(in super::super) fn judged(value: f64) -> String {
    if value.abs() < 1.0 { format!("{value:.3}") } else { figure(value) }
}

/// Firing first, resolved last.
fn openness(alert: &Alert) -> u8 {
    match alert.state {
        AlertState::Firing => 0,
        AlertState::Acknowledged => 1,
        AlertState::Pending => 2,
        AlertState::Silenced => 3,
        AlertState::Resolved => 4,
    }
}

fn state_tone(alert: &Alert) -> Tone {
    match (alert.state, alert.severity) {
        (AlertState::Firing, Severity::Critical) => Tone::Bad,
        (AlertState::Firing | AlertState::Acknowledged, _) => Tone::Warn,
        _ => Tone::Plain,
    }
}

pub(in super::super) fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Plain,
        Severity::Warning => Tone::Warn,
        Severity::Critical => Tone::Bad,
    }
}
