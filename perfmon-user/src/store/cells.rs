//! Stored cells with their series, oldest first: for those who go on with what an earlier run counted, and for judging rules on history.
use std::sync::Arc;

use super::cell_reader::{each_cell, series};
use super::resolution::Resolution;
use super::rollup::complete_until;
use super::{StoreError, StoreReader};
use crate::record::SeriesKey;
use crate::record::metric::RecordKind;
use crate::series::{Cell, SeriesCell};

impl StoreReader {
    /// Cells of a kind from one time to another, seconds since 1970; of a minute where a minute is complete, else of ten seconds. A model
    /// call with both ends on this host is in two of them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn cells(&self, kind: RecordKind, from: u64, to: u64) -> Result<Vec<SeriesCell>, StoreError> {
        Ok(self.cells_of(Resolution::Minute, kind, from, to)?.into_iter().map(|(_, cell)| cell).collect())
    }

    /// The finest cells that reach back so far, each with its length in seconds.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn cells_since(&self, kind: RecordKind, from: u64, to: u64, now: u64) -> Result<Vec<(u64, SeriesCell)>, StoreError> {
        self.cells_of(Resolution::reaching(from, now, &self.retention), kind, from, to)
    }

    fn cells_of(&self, coarsest: Resolution, kind: RecordKind, from: u64, to: u64) -> Result<Vec<(u64, SeriesCell)>, StoreError> {
        let db = self.open()?;
        let db = db.unchecked_transaction()?;
        let wanted = series(&db, kind, &super::SeriesLabels::new())?;
        let mut found = Vec::new();
        for piece in coarsest.cover(from, to, &complete_until(&db)?) {
            each_cell(&db, kind as u8, piece, &wanted, |start_s, id, bytes| {
                let Some(cell) = Cell::from_bytes(bytes) else { return };
                let labels = &wanted[&id];
                let key = SeriesKey::with(kind, |label| labels.get(label).map(|value| Arc::from(value.as_str())));
                if kind == RecordKind::Custom && key.custom().is_none() {
                    return; // of a metric that this configuration does not have
                }
                found.push((piece.resolution.seconds(), SeriesCell::new(start_s, key, cell)));
            })?;
        }
        found.sort_by_key(|(_, cell)| cell.start_s);
        Ok(found)
    }
}
