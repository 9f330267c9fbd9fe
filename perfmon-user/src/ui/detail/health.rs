//! Details of processes, findings and alerts.
use super::super::model::{FindingRow, ProcessRow, ScreenModel};
use super::super::tables::{judged, severity_tone};
use super::{RowDetail, Tone, bytes_or_dash, figure, known, millis, moment, percentage, span, text_or_dash};
use crate::record::{Alert, AlertState};

pub(in super::super) fn process_detail(row: &ProcessRow, _: &ScreenModel) -> RowDetail {
    let seconds = row.interval_ms.map(|interval| interval / 1_000.0);
    let per_second =
        |value: Option<u64>| value.zip(seconds).filter(|(_, seconds)| *seconds > 0.0).map(|(sum, seconds)| sum as f64 / seconds);
    let rate = |value: Option<u64>| per_second(value).map_or("-".into(), figure);
    let bytes_rate = |value: Option<u64>| bytes_or_dash(per_second(value).map(|rate| rate.round() as u64));
    let growth = row.memory_growth_bytes_per_hour.map_or("-".into(), |growth| {
        let sign = if growth < 0.0 { "-" } else { "" };
        format!("{sign}{}", super::super::column::bytes(growth.abs().round() as u64))
    });
    let up = row.uptime_s.map_or("-".into(), span);
    RowDetail::default()
        .values(
            "Process",
            [
                ("service", row.service.to_string()),
                ("pid", row.pid.to_string()),
                ("command", row.comm.to_string()),
                ("container", text_or_dash(row.container.as_ref())),
                ("runtime", text_or_dash(row.runtime.as_ref())),
                ("running for", up),
            ],
        )
        .values(
            "CPU and threads",
            [
                ("CPU (100% = one core)", percentage(row.cpu_percent)),
                ("waiting for a core, ms", millis(row.run_queue_wait_ms)),
                ("waiting for disk, ms", millis(row.blocked_io_ms)),
                ("threads", known(Some(row.threads))),
                ("running", known(row.threads_running)),
                ("context switches/s", rate(row.context_switches)),
            ],
        )
        .values(
            "Memory",
            [
                ("resident", bytes_or_dash(Some(row.memory_rss_bytes))),
                ("of the host's memory", percentage(row.memory_percent)),
                ("growth per hour", growth),
                ("heap", bytes_or_dash(row.heap_bytes)),
                ("leak", text_or_dash(row.leak.as_ref())),
                ("page faults/s", rate(row.page_faults)),
            ],
        )
        .values(
            "Files and connections",
            [
                ("open files", known(row.open_files)),
                ("sockets", known(row.sockets)),
                ("TCP connections", known(row.connections)),
                ("read from disk/s", bytes_rate(row.read_bytes)),
                ("written to disk/s", bytes_rate(row.write_bytes)),
            ],
        )
}

pub(in super::super) fn finding_detail(row: &FindingRow, model: &ScreenModel) -> RowDetail {
    let when = |time: Option<crate::record::WallTime>| time.map_or("-".into(), |time| moment(time, model.totals.time));
    RowDetail::default()
        .lines("What was found", [row.message.to_string()])
        .toned(
            "Finding",
            [
                ("severity", row.severity_name().into(), severity_tone(row.severity)),
                ("type", row.kind.to_string(), Tone::Plain),
                ("scope", row.scope.to_string(), Tone::Plain),
            ],
        )
        .lines("First seen", [when(row.first_seen)])
        .lines("Last seen", [when(row.last_seen)])
        .lines("Evidence (ids of records)", row.evidence.iter().map(ToString::to_string))
}

pub(in super::super) fn alert_detail(row: &Alert, model: &ScreenModel) -> RowDetail {
    let now = model.totals.time;
    let notified = row.notified.iter().map(|delivery| match &delivery.error {
        None if delivery.ok => format!("{}: delivered", delivery.channel),
        error => format!("{}: failed, {}", delivery.channel, error.as_deref().unwrap_or("no reason given")),
    });
    let by = |what: &str, who: Option<&std::sync::Arc<str>>| who.map(|who| format!("{what} by {who}"));
    let ended = (row.state == AlertState::Resolved).then(|| format!("resolved {}", moment(row.time, now)));
    let times = std::iter::once(format!("condition true since {}", moment(row.started_at, now)))
        .chain(row.fired_at.map(|fired| format!("fired {}", moment(fired, now))))
        .chain(ended);
    RowDetail::default()
        .lines("Message", [row.message.clone()])
        .toned(
            "Alert",
            [
                ("state", row.state.name().into(), severity_tone(row.severity)),
                ("severity", format!("{:?}", row.severity).to_lowercase(), severity_tone(row.severity)),
                ("rule", row.rule.to_string(), Tone::Plain),
                ("type", row.kind_name.to_string(), Tone::Plain),
                ("scope", row.scope.to_string(), Tone::Plain),
                ("metric", row.metric.to_string(), Tone::Plain),
                ("value", row.value.map_or("-".into(), judged), Tone::Plain),
                ("threshold", judged(row.threshold), Tone::Plain),
                ("escalation level", row.escalation_level.to_string(), Tone::Plain),
            ],
        )
        .lines("Time", times)
        .lines(
            "People",
            by("acknowledged", row.acknowledged_by.as_ref())
                .into_iter()
                .chain(by("resolved", row.resolved_by.as_ref()))
                .chain(row.note.as_ref().map(|note| format!("note: {note}"))),
        )
        .lines("Notifications", notified)
}
