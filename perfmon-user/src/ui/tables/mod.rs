//! The tables: columns, identity and detail of each kind of row. The columns that are shown can be sorted by their number.
mod databases;
mod health;
mod names;
mod traffic;
mod work;

use std::cmp::Ordering;

use super::column::{Column, plain};
use super::detail::RowDetail;
use super::look::Tone;
use super::model::ScreenModel;

pub(super) use databases::{POOLS, QUERIES, QUERY_TABLE, asked, pool_state, query_place, saturation_tone};
pub(super) use health::{ALERTS, FINDINGS, PROCESSES, judged, severity_tone};
pub(super) use names::{NAMES, attempts_tone};
pub(super) use traffic::{DESTINATION_TABLE, DESTINATIONS, ENDPOINT_TABLE, ENDPOINTS};
pub(super) use work::{AGENTS, MODELS};

/// A table of the live screen.
pub(super) struct RowTable<R: 'static> {
    pub columns: &'static [Column<R>],
    /// What a row is about; the same as long as the row exists.
    pub name: fn(&R) -> String,
    /// What is known of an opened row.
    pub detail: fn(&R, &ScreenModel) -> RowDetail,
    /// What an empty table says.
    pub empty: &'static str,
}

const fn text<R>(title: &'static str, width: u16, expendable: u8, text: fn(&R) -> String, order: fn(&R, &R) -> Ordering) -> Column<R> {
    Column { title, width, left: true, flexible: false, expendable, wide: false, text, order, tone: plain }
}

const fn number<R>(
    title: &'static str,
    expendable: u8,
    text: fn(&R) -> String,
    order: fn(&R, &R) -> Ordering,
    tone: fn(&R) -> Tone,
) -> Column<R> {
    Column { title, width: 6, left: false, flexible: false, expendable, wide: false, text, order, tone }
}

/// A figure for wide terminals.
const fn more<R>(title: &'static str, text: fn(&R) -> String, order: fn(&R, &R) -> Ordering) -> Column<R> {
    Column { wide: true, ..number(title, 0, text, order, plain) }
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
