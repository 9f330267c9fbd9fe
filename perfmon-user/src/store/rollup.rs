//! The writing side of the file. One transaction writes everything pending and makes finished minutes and hours from finer cells. A record
//! that arrives after its minute or hour was made is added there too, so that all resolutions agree.
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use rustc_hash::FxHashMap;

use super::cell_blocks::{self, MovedCells};
use super::merged::{self, MergedSeries};
use super::pending::PendingWrites;
use super::record_blocks;
use super::resolution::Resolution;
use super::schema::StoreError;
use crate::aggregate::Quota;
use crate::limits;
use crate::record::SeriesKey;
use crate::record::metric::RecordKind;
use crate::series::Cell;

/// A minute or an hour is made when this much time has passed since its end: most records that belong to it have come.
const SETTLED_S: u64 = 15;

/// Side results of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteCounts {
    /// Cells that could not be read and were started anew.
    pub damaged: u64,
    /// Cells that went to the series of all others.
    pub overflowed: u64,
}

/// The open file.
#[derive(Debug)]
pub struct Rollup {
    db: Connection,
    ids: FxHashMap<SeriesKey, i64>,
    /// `None`: has no place in the file.
    merged_ids: FxHashMap<MergedSeries, Option<i64>>,
    /// Shares of the series by kind and service; `None`: as the file has them.
    quota: Option<SeriesQuota>,
}

/// Series of each kind and service.
type SeriesQuota = Quota<(RecordKind, Option<Arc<str>>)>;

impl Rollup {
    /// Uses a connection whose schema is up to date.
    pub fn new(db: Connection) -> Self {
        Self { db, ids: FxHashMap::default(), merged_ids: FxHashMap::default(), quota: None }
    }

    /// The connection, for other work on the file.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.db
    }

    /// Forgets what it knows of series, after some were removed.
    pub fn forget(&mut self) {
        self.ids.clear();
        self.merged_ids.clear();
        self.quota = None;
    }

    /// Writes all pending data, or nothing.
    pub fn write(&mut self, pending: &PendingWrites) -> Result<WriteCounts, StoreError> {
        // A write that fails took no series.
        let (mut ids, mut quota) = (std::mem::take(&mut self.ids), self.quota.take());
        let mut merged_ids = std::mem::take(&mut self.merged_ids);
        let transaction = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Before the first cells of a new file, which has its merged series from the start.
        merged::begin(&transaction)?;
        let mut writing = RollupTransaction {
            transaction: &transaction,
            ids: &mut ids,
            quota: &mut quota,
            until: complete_until(&transaction)?,
            wrote: WriteCounts::default(),
        };
        for ((start, series), cell) in &pending.cells {
            writing.cell(*start, series, cell)?;
        }
        for ((start, series), cell) in merged::merge(&pending.cells) {
            let id = match merged_ids.get(&series) {
                Some(id) => *id,
                None => *merged_ids.entry(series.clone()).or_insert(merged::id(&transaction, &series)?),
            };
            if let Some(id) = id {
                writing.cells(start, series.code, id, &cell)?;
            }
        }
        let wrote = writing.wrote;
        let mut insert = transaction.prepare_cached("INSERT INTO record (kind, time, json) VALUES (?1, ?2, ?3)")?;
        for kept in &pending.kept {
            insert.execute(params![kept.kind, kept.time_ns as i64, kept.json])?;
        }
        drop(insert);
        transaction.commit()?;
        (self.ids, self.quota, self.merged_ids) = (ids, quota, merged_ids);
        Ok(wrote)
    }

    /// Makes the minutes and hours that have ended.
    pub fn complete(&mut self, now_s: u64) -> Result<(), StoreError> {
        for resolution in [Resolution::Minute, Resolution::Hour] {
            let end = resolution.floor(now_s.saturating_sub(SETTLED_S));
            let begin = complete_until(&self.db)?[resolution as usize];
            if begin >= end {
                continue;
            }
            let transaction = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            make(&transaction, resolution, begin, end)?;
            transaction.execute("INSERT OR REPLACE INTO complete (level, until) VALUES (?1, ?2)", params![resolution as u8, end as i64])?;
            transaction.commit()?;
        }
        Ok(())
    }

    /// Moves the oldest settled cells and records into blocks, as many as one transaction of each takes.
    pub fn pack(&mut self, now_s: u64) -> Result<MovedCells, StoreError> {
        let until = complete_until(&self.db)?;
        let mut moved = cell_blocks::pack(&mut self.db, &until)?;
        moved.records = record_blocks::pack(&mut self.db, now_s)?;
        Ok(moved)
    }
}

/// Up to when each resolution is complete; the finest always is.
pub fn complete_until(db: &Connection) -> rusqlite::Result<[u64; 3]> {
    let mut until = [u64::MAX, 0, 0];
    let mut query = db.prepare_cached("SELECT level, until FROM complete")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(slot) = until.get_mut(usize::from(row.get::<_, u8>(0)?)) {
            *slot = row.get::<_, i64>(1)? as u64;
        }
    }
    Ok(until)
}

/// Merges finer cells into those of a level.
fn make(transaction: &Transaction<'_>, resolution: Resolution, begin: u64, end: u64) -> Result<(), StoreError> {
    let Some(finer) = resolution.finer() else { return Ok(()) };
    let mut read =
        transaction.prepare_cached("SELECT time, series, cell FROM rollup WHERE level = ?1 AND kind = ?2 AND time >= ?3 AND time < ?4")?;
    let mut write =
        transaction.prepare_cached("INSERT OR REPLACE INTO rollup (level, kind, time, series, cell) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for kind in merged::codes() {
        let mut cells: FxHashMap<(u64, i64), Cell> = FxHashMap::default();
        let mut rows = read.query(params![finer as u8, kind, begin as i64, end as i64])?;
        while let Some(row) = rows.next()? {
            let start = resolution.floor(row.get::<_, i64>(0)? as u64);
            if let Some(cell) = Cell::from_bytes(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?) {
                cells.entry((start, row.get(1)?)).or_default().merge(&cell);
            }
        }
        for ((start, series), cell) in cells {
            write.execute(params![resolution as u8, kind, start as i64, series, cell.to_bytes()])?;
        }
    }
    Ok(())
}

/// The series in the file, by kind and service.
fn shares(transaction: &Transaction<'_>) -> Result<SeriesQuota, StoreError> {
    let mut quota = Quota::new(limits::STORE_SERIES);
    let mut query = transaction.prepare_cached("SELECT kind, json_extract(labels, '$.service') FROM series")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let number: u8 = row.get(0)?;
        let Some(kind) = RecordKind::ALL.into_iter().find(|kind| *kind as u8 == number) else { continue };
        let service: Option<String> = row.get(1)?;
        quota.take_any(&(kind, service.map(Arc::from)));
    }
    Ok(quota)
}

struct RollupTransaction<'a> {
    transaction: &'a Transaction<'a>,
    ids: &'a mut FxHashMap<SeriesKey, i64>,
    quota: &'a mut Option<SeriesQuota>,
    until: [u64; 3],
    wrote: WriteCounts,
}

impl RollupTransaction<'_> {
    fn cell(&mut self, start: u64, series: &SeriesKey, cell: &Cell) -> Result<(), StoreError> {
        let id = self.id(series)?;
        self.cells(start, series.kind as u8, id, cell)
    }

    /// Merges into the cells of all resolutions that are made already.
    fn cells(&mut self, start: u64, kind: u8, id: i64, cell: &Cell) -> Result<(), StoreError> {
        let until = self.until;
        for resolution in
            Resolution::ALL.into_iter().filter(|resolution| *resolution == Resolution::Finest || start < until[*resolution as usize])
        {
            self.merge(resolution, kind, resolution.floor(start), id, cell)?;
        }
        Ok(())
    }

    fn merge(&mut self, resolution: Resolution, kind: u8, start: u64, id: i64, cell: &Cell) -> Result<(), StoreError> {
        let key = params![resolution as u8, kind, start as i64, id];
        let mut read =
            self.transaction.prepare_cached("SELECT cell FROM rollup WHERE level = ?1 AND kind = ?2 AND time = ?3 AND series = ?4")?;
        let before: Option<Vec<u8>> = read.query_row(key, |row| row.get(0)).optional()?;
        let mut merged = before.as_deref().map(Cell::from_bytes).unwrap_or_else(|| Some(Cell::default())).unwrap_or_else(|| {
            self.wrote.damaged += 1;
            Cell::default()
        });
        merged.merge(cell);
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO rollup (level, kind, time, series, cell) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![resolution as u8, kind, start as i64, id, merged.to_bytes()])?;
        Ok(())
    }

    /// The id of a series; a new one beyond the share of its service gets the id of the overflow series.
    fn id(&mut self, series: &SeriesKey) -> Result<i64, StoreError> {
        if let Some(id) = self.ids.get(series) {
            return Ok(*id);
        }
        let labels = series.to_json();
        let mut find = self.transaction.prepare_cached("SELECT id FROM series WHERE kind = ?1 AND labels = ?2")?;
        let known: Option<i64> = find.query_row(params![series.kind as u8, labels], |row| row.get(0)).optional()?;
        let id = match known {
            Some(id) => id,
            None if !self.takes(series)? => {
                self.wrote.overflowed += 1;
                return self.id(&series.other());
            }
            None => {
                self.transaction
                    .prepare_cached("INSERT INTO series (kind, labels) VALUES (?1, ?2)")?
                    .execute(params![series.kind as u8, labels])?;
                self.transaction.last_insert_rowid()
            }
        };
        if self.ids.len() >= limits::STORE_SERIES {
            self.ids.clear();
        }
        self.ids.insert(series.clone(), id);
        Ok(id)
    }

    /// Takes a place for a new series; false when its service may have no more. An overflow series always has one.
    fn takes(&mut self, series: &SeriesKey) -> Result<bool, StoreError> {
        let quota = match self.quota.take() {
            Some(quota) => quota,
            None => shares(self.transaction)?,
        };
        let quota = self.quota.insert(quota);
        let owner = (series.kind, series.service());
        Ok(if *series == series.other() {
            quota.take_any(&owner);
            true
        } else {
            quota.take(&owner)
        })
    }
}
