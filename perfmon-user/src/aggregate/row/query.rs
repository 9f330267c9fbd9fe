//! Rows of queries: commands of one service to one database that are alike, each side apart.
use std::sync::Arc;

use super::{WindowContext, other};
use crate::aggregate::accumulator::{Accumulator, counts};
use crate::aggregate::exchange::{latency, ratio};
use crate::aggregate::series::Series;
use crate::aggregate::snapshot::{Losses, QueryRow, Window};
use crate::record::{Db, Side};

counts! {
    /// Numbers of a set of commands; times in nanoseconds.
    QueryCounts {
        sums {
            /// Commands.
            count,
            /// Failed ones.
            errors,
            /// Rows of their answers.
            rows,
            /// Commands with a known number of rows.
            rows_known,
            /// Commands that were seen wholly.
            exact,
            /// Commands with a known time.
            timed,
            /// Sum of times.
            time_sum,
            /// Commands of records that were dropped; not in `count`.
            lost,
        }
        maxima {
            /// Longest command.
            time_max,
        }
    }
}

/// A row of commands.
pub type QuerySeries = Series<QueryCounts, 1>;

/// Which commands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryKey {
    service: Arc<str>,
    side: Side,
    system: &'static str,
    destination: Option<Arc<str>>,
    database: Option<Arc<str>>,
    operation: Option<Arc<str>>,
    target: Option<Arc<str>>,
    /// The text, or the name of a statement of which the text is not known.
    query: Option<Arc<str>>,
    query_id: Option<Arc<str>>,
}

impl QueryKey {
    /// Of a record.
    pub fn new(command: &Db) -> Self {
        Self {
            service: command.origin.service.clone(),
            side: command.side,
            system: command.system,
            destination: command.destination.clone(),
            database: command.database.clone(),
            operation: command.operation.clone(),
            target: command.target.clone(),
            query: command.query.clone(),
            query_id: command.query_id.clone(),
        }
    }

    /// Whether it is of this service, at this end.
    pub fn is_of(&self, service: &str, side: Side) -> bool {
        &*self.service == service && self.side == side
    }

    /// The overflow key of this service and system.
    pub fn other(&self) -> Self {
        Self { destination: None, database: None, operation: None, target: None, query: Some(other()), query_id: None, ..self.clone() }
    }
}

impl QuerySeries {
    /// Commands passed of which the records were dropped: they count in the rate, not among the commands.
    pub fn lose(&mut self, lost: u64) {
        self.count_all(lost.min(u64::from(u32::MAX)) as u32).counts.lost += lost;
    }
}

/// Adds a command to a slice.
pub fn add(command: &Db, accumulator: &mut Accumulator<QueryCounts, 1>) {
    let counts = &mut accumulator.counts;
    counts.count += 1;
    counts.errors += u64::from(command.error.is_some());
    counts.rows += command.rows.unwrap_or(0);
    counts.rows_known += u64::from(command.rows.is_some());
    counts.exact += u64::from(command.quality == crate::record::Quality::Exact);
    if let Some(time) = command.latency() {
        counts.timed += 1;
        counts.time_sum += time.0;
        counts.time_max = counts.time_max.max(time.0);
        accumulator.shapes[0].record(time.0);
    }
}

/// The row in a window.
pub fn query_row(key: &QueryKey, row: &QuerySeries, window: Window, view: &WindowContext) -> QueryRow {
    let figures = row.figures(window);
    let counts = &figures.counts;
    let losses = Losses::new(counts.count, counts.lost);
    QueryRow {
        service: key.service.clone(),
        side: key.side,
        system: key.system.into(),
        destination: key.destination.clone(),
        database: key.database.clone(),
        operation: key.operation.clone(),
        target: key.target.clone(),
        query: key.query.clone(),
        query_id: key.query_id.clone(),
        count: counts.count,
        errors: counts.errors,
        error_rate: ratio(counts.errors, counts.count),
        requests_per_minute: view.per_minute(losses.estimated_count),
        rows: (counts.rows_known > 0).then_some(counts.rows),
        time_total_ms: (counts.timed > 0).then(|| crate::aggregate::exchange::ms(counts.time_sum)),
        latency: latency(&figures.spreads[0], counts.time_sum, counts.time_max),
        completeness: ratio(counts.exact, losses.estimated_count),
        losses,
    }
}
