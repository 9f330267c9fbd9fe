//! The series of everything that is counted: records in, once each; out, once a second, a [`SeriesDelta`]: what each series counted since.
//! The history on disk, alert rules and other views are made of deltas alone, so that a record is taken apart in one place. Which labels
//! and fields a kind has is in `record::kind` and `record::metric`. Pure: time is an argument.
mod cell;
mod custom;
mod exemplar;
mod feed;
mod model_end;
mod recent;
#[cfg(test)]
mod tests;

pub use self::cell::{Cell, FieldSet};
pub use self::exemplar::Exemplar;
pub use self::feed::{SeriesCell, SeriesDelta, SeriesFeed};
pub use self::model_end::{ModelEnd, one_end};
pub use self::recent::{RecentSeries, RecentWindow, SeriesShare};

/// Seconds of the finest cells.
pub const CELL_S: u64 = 10;

/// Start of the finest cell that contains a time, in seconds.
pub fn cell_start(time_s: u64) -> u64 {
    time_s - time_s % CELL_S
}
