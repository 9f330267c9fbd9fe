//! The same tables as plain lines: every few seconds without a terminal, and once at the end of a run.
use std::fmt::Write;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::column::{Column, count, figure, fit, millis, percent, printed_width, span};
use super::draw::padded;
use super::model::ScreenModel;
use super::tables::{DESTINATIONS, ENDPOINTS, QUERIES};
use crate::aggregate::snapshot::{Snapshot, Window};
use crate::printable::printable;

/// Time between two tables.
const EVERY: Duration = Duration::from_secs(5);
/// Width where nothing has one, a file or another program: columns are as wide as their content, and no name is cut.
pub const UNCUT: u16 = u16::MAX;
/// Characters of a query where no width limits it: it may have thousands.
const QUERY_LENGTH: u16 = 120;
/// Rows of a repeated table.
const REPEATED_ROWS: usize = 10;
/// Rows of the table at the end.
pub(super) const FINAL_ROWS: usize = 40;

/// Prints a table to standard output every few seconds until shutdown; ends when the reader is gone.
pub async fn lines(snapshots: watch::Receiver<Arc<Snapshot>>, mut shutdown: watch::Receiver<bool>) -> io::Result<()> {
    loop {
        tokio::select! {
            // A closed channel requests shutdown too.
            _ = shutdown.wait_for(|asked| *asked) => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        let text = tables(&ScreenModel::of(&snapshots.borrow(), Window::Minute), UNCUT, REPEATED_ROWS);
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())?;
    }
}

/// What happened in a run, for its end.
pub fn summary(snapshot: &Snapshot, width: u16) -> String {
    tables(&ScreenModel::of(snapshot, Window::Hour), width, FINAL_ROWS)
}

/// Totals, endpoints, destinations, database commands and findings.
pub(super) fn tables(model: &ScreenModel, width: u16, most: usize) -> String {
    let totals = &model.totals;
    let mut text = format!(
        "{} requests in {}, {} % errors, p50 {} p95 {} p99 {} ms, peak {}/s",
        totals.requests,
        span(totals.uptime_s.min(totals.window_s as f64)),
        percent(totals.error_rate),
        millis(totals.p50_ms),
        millis(totals.p95_ms),
        millis(totals.p99_ms),
        figure(totals.rate_peak_per_second),
    );
    if let Some(completeness) = totals.completeness.filter(|completeness| *completeness < 1.0) {
        add(&mut text, format_args!(", {} % fully seen", percent(Some(completeness))));
    }
    if model.events_lost > 0 {
        add(&mut text, format_args!(", {} events lost", count(model.events_lost)));
    }
    text.push('\n');
    table(&mut text, &model.endpoints, &ENDPOINTS, (width, UNCUT), most);
    table(&mut text, &model.destinations, &DESTINATIONS, (width, UNCUT), most);
    table(&mut text, &model.queries, &QUERIES, (width, QUERY_LENGTH), most);
    for finding in &model.findings {
        add(&mut text, format_args!("finding ({}): {}: {}\n", finding.kind, printable(&finding.scope), printable(&finding.message)));
    }
    text.push('\n');
    text
}

/// A table in its width; without one each column is as wide as its longest text, at most `widest`.
fn table<R>(text: &mut String, rows: &[R], columns: &[Column<R>], (width, widest): (u16, u16), most: usize) {
    if rows.is_empty() {
        return;
    }
    let shown = &rows[..rows.len().min(most)];
    let fitting = if width == UNCUT { uncut(shown, columns, widest) } else { fit(columns, width) };
    let mut line = |cells: Vec<String>| add(text, format_args!("{}\n", cells.join(" ").trim_end()));
    line(fitting.iter().map(|(index, width)| padded(&columns[*index], columns[*index].title, *width)).collect());
    for row in shown {
        line(fitting.iter().map(|(index, width)| padded(&columns[*index], &(columns[*index].text)(row), *width)).collect());
    }
    if rows.len() > most {
        add(text, format_args!("… and {} more\n", rows.len() - most));
    }
}

/// Every column, as wide as its longest text, at most `widest`.
fn uncut<R>(rows: &[R], columns: &[Column<R>], widest: u16) -> Vec<(usize, u16)> {
    let longest = |column: &Column<R>| rows.iter().map(|row| printed_width(&(column.text)(row))).max().unwrap_or(0);
    let width = |column: &Column<R>| u16::try_from(longest(column).max(column.title.len())).unwrap_or(u16::MAX).min(widest);
    columns.iter().enumerate().filter(|(_, column)| !column.wide).map(|(index, column)| (index, width(column))).collect()
}

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing into a String does not fail.
    text.write_fmt(more).ok();
}
