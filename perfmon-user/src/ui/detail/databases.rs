//! Details of database commands and connection pools.
use std::sync::Arc;

use super::super::model::{PoolRow, ScreenModel};
use super::super::tables::{asked, error_tone, pool_state, query_place, saturation_tone};
use super::{RowDetail, Tone, count, each, figure, known, millis, share, text_or_dash};
use crate::aggregate::snapshot::QueryRow;
use crate::record::Side;

pub(in super::super) fn query_detail(row: &Arc<QueryRow>, model: &ScreenModel) -> RowDetail {
    let tone = error_tone(row.error_rate);
    let side = match row.side {
        Side::Client => "the client",
        Side::Server => "the server",
    };
    // Commands may be seen at both ends: each side has a whole of its own.
    let whole: f64 = model.queries.iter().filter(|other| other.side == row.side).filter_map(|other| other.time_total_ms).sum();
    RowDetail::default()
        .lines("Query", [asked(row)])
        .toned(
            "Commands",
            [
                ("count", count(row.count), Tone::Plain),
                ("per minute", figure(row.requests_per_minute), Tone::Plain),
                ("errors", count(row.errors), tone),
                ("error rate", share(row.error_rate), tone),
                ("time in all, ms", millis(row.time_total_ms), Tone::Plain),
                ("share of all time", share(row.time_total_ms.filter(|_| whole > 0.0).map(|time| time / whole)), Tone::Plain),
                ("rows", known(row.rows), Tone::Plain),
                ("rows per command", each(row.rows.map(|rows| rows as f64), row.count).map_or("-".into(), figure), Tone::Plain),
                ("fully seen", share(row.completeness), Tone::Plain),
            ],
        )
        .latency("Response time, ms", &row.latency)
        .values(
            "Where",
            [
                ("service", row.service.to_string()),
                ("system, database", query_place(row)),
                ("destination", text_or_dash(row.destination.as_ref())),
                ("operation", text_or_dash(row.operation.as_ref())),
                ("target", text_or_dash(row.target.as_ref())),
                ("query_id", text_or_dash(row.query_id.as_ref())),
                ("seen at", side.into()),
            ],
        )
}

pub(in super::super) fn pool_detail(row: &PoolRow, _: &ScreenModel) -> RowDetail {
    let used = (row.open > 0).then(|| row.in_use as f64 / row.open as f64);
    let tone = saturation_tone(row);
    RowDetail::default()
        .toned(
            "Connections",
            [
                ("state", pool_state(row).into(), tone),
                ("open", count(row.open), Tone::Plain),
                ("in use", count(row.in_use), tone),
                ("in use, share", share(used), tone),
                ("idle", count(row.idle), Tone::Plain),
                ("most open at once", count(row.size), Tone::Plain),
            ],
        )
        .values(
            "Last interval",
            [
                ("seconds", figure(row.interval_ms / 1_000.0)),
                ("most in use at once", count(row.peak_in_use)),
                ("opened", count(row.opened)),
                ("closed", count(row.closed)),
                ("uses that ended", count(row.uses)),
                ("use, 95th pct., ms", millis(row.use_time_p95_ms)),
                ("longest silence, ms", millis(row.silent_in_use_ms)),
            ],
        )
        .values(
            "Where",
            [
                ("service", row.service.to_string()),
                ("pid", row.pid.to_string()),
                ("system", row.system.to_string()),
                ("destination", row.destination.to_string()),
                ("peer", row.peer.to_string()),
            ],
        )
}
