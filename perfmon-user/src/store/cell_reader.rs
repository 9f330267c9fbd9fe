//! Reads cells of a range: those in blocks, and those beside. In: wanted series; out: start, series and the cell's bytes, the same one up to
//! twice. With few wanted series each is looked up, else all of the range are read; damaged blocks are skipped.
use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::cell_blocks::{self, Span, bound};
use super::compressed::Decompressor;
use super::reader::SeriesLabels;
use super::resolution::ResolutionRange;
use super::schema::StoreError;
use crate::record::metric::RecordKind;

/// Rows that are looked up one by one, at most: it takes as long as reading ten times as many in a row.
const LOOK_UPS: u64 = 20_000;

/// The series of a kind with these labels, by id.
pub(super) fn series(db: &Connection, kind: RecordKind, labels: &SeriesLabels) -> Result<BTreeMap<i64, SeriesLabels>, StoreError> {
    let mut query = db.prepare_cached("SELECT id, labels FROM series WHERE kind = ?1")?;
    let rows = query.query_map([kind as u8], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let mut found = BTreeMap::new();
    for row in rows {
        let (id, json) = row?;
        let known: SeriesLabels = serde_json::from_str(&json).unwrap_or_default();
        if labels.iter().all(|(name, value)| known.get(name) == Some(value)) {
            found.insert(id, known);
        }
    }
    Ok(found)
}

/// Calls `each` with start, series and bytes of every cell of a range that belongs to a wanted series. A cell that came late is given apart
/// from the one of the same time: who wants one merges them.
pub(super) fn each_cell(
    db: &Connection,
    code: u8,
    piece: ResolutionRange,
    wanted: &BTreeMap<i64, SeriesLabels>,
    each: impl FnMut(u64, i64, &[u8]),
) -> Result<(), StoreError> {
    let all: i64 = db.prepare_cached("SELECT count(*) FROM series WHERE kind = ?1")?.query_row([code], |row| row.get(0))?;
    let mut reading = CellReading { db, code, piece, wanted, all: all as u64, each };
    reading.blocks()?;
    reading.singles()
}

struct CellReading<'a, F> {
    db: &'a Connection,
    code: u8,
    piece: ResolutionRange,
    wanted: &'a BTreeMap<i64, SeriesLabels>,
    /// Series of the kind.
    all: u64,
    each: F,
}

impl<F: FnMut(u64, i64, &[u8])> CellReading<'_, F> {
    /// Whether the wanted rows are one in `share` of those in `times` places of time, or fewer, so that each is looked up.
    fn looks_up(&self, times: u64, share: u64) -> bool {
        let wanted = self.wanted.len() as u64;
        times.saturating_mul(wanted) <= LOOK_UPS && wanted.saturating_mul(share) <= self.all
    }

    fn blocks(&mut self) -> Result<(), StoreError> {
        let resolution = self.piece.resolution;
        let Some((first, last)) = cell_blocks::starts(self.db, resolution, self.code)? else { return Ok(()) };
        let (begin, end) = (resolution.span_of(self.piece.from).max(first), self.piece.to.min(last.saturating_add(1)));
        let mut decompressor = Decompressor::default();
        let (level, code) = (resolution as u8, self.code);
        if self.looks_up(end.saturating_sub(begin) / resolution.span(), 2) {
            let mut query =
                self.db.prepare_cached("SELECT packed FROM block WHERE level = ?1 AND kind = ?2 AND start = ?3 AND series = ?4")?;
            for start in (begin..end).step_by(resolution.span() as usize) {
                for series in self.wanted.keys() {
                    let mut rows = query.query(params![level, code, bound(start), series])?;
                    if let Some(row) = rows.next()? {
                        self.block(&mut decompressor, start, *series, row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
                    }
                }
            }
            return Ok(());
        }
        let mut query = self
            .db
            .prepare_cached("SELECT start, series, packed FROM block WHERE level = ?1 AND kind = ?2 AND start >= ?3 AND start < ?4")?;
        let mut rows = query.query(params![level, code, bound(begin), bound(end)])?;
        while let Some(row) = rows.next()? {
            let series = row.get(1)?;
            if self.wanted.contains_key(&series) {
                let packed = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
                self.block(&mut decompressor, row.get::<_, i64>(0)? as u64, series, packed);
            }
        }
        Ok(())
    }

    fn block(&mut self, decompressor: &mut Decompressor, start: u64, series: i64, packed: &[u8]) {
        let (from, to) = (self.piece.from, self.piece.to);
        let span = Span { resolution: self.piece.resolution, code: self.code, start };
        cell_blocks::each_cell(decompressor, packed, span, |time, bytes| {
            if (from..to).contains(&time) {
                (self.each)(time, series, bytes);
            }
        });
    }

    fn singles(&mut self) -> Result<(), StoreError> {
        let (level, code, to) = (self.piece.resolution as u8, self.code, self.piece.to);
        let mut next =
            self.db.prepare_cached("SELECT min(time) FROM rollup WHERE level = ?1 AND kind = ?2 AND time >= ?3 AND time < ?4")?;
        let mut next = |from: u64| {
            let time = next.query_row(params![level, code, bound(from), bound(to)], |row| row.get::<_, Option<i64>>(0));
            time.map(|time| time.map(|time| time as u64))
        };
        let Some(first) = next(self.piece.from)? else { return Ok(()) };
        if !self.looks_up((to - first) / self.piece.resolution.seconds(), 10) {
            return self.all_singles(first);
        }
        let mut query = self.db.prepare_cached("SELECT cell FROM rollup WHERE level = ?1 AND kind = ?2 AND time = ?3 AND series = ?4")?;
        let mut at = Some(first);
        while let Some(time) = at {
            for series in self.wanted.keys() {
                let mut rows = query.query(params![level, code, bound(time), series])?;
                if let Some(row) = rows.next()? {
                    (self.each)(time, *series, row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
                }
            }
            at = next(time.saturating_add(1))?;
        }
        Ok(())
    }

    fn all_singles(&mut self, from: u64) -> Result<(), StoreError> {
        let mut query =
            self.db.prepare_cached("SELECT time, series, cell FROM rollup WHERE level = ?1 AND kind = ?2 AND time >= ?3 AND time < ?4")?;
        let mut rows = query.query(params![self.piece.resolution as u8, self.code, bound(from), bound(self.piece.to)])?;
        while let Some(row) = rows.next()? {
            let series = row.get(1)?;
            if self.wanted.contains_key(&series) {
                (self.each)(row.get::<_, i64>(0)? as u64, series, row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?);
            }
        }
        Ok(())
    }
}
