//! Blocks of cells: the settled cells of one series over a span of time, compressed, in one row. Cells are written one by one, and moved
//! into blocks when their span is over; a block takes less than half their room, and its row is read with one look-up. A cell that comes
//! late stands beside its block until the next move merges it in: readers merge cells anyway. Each move is a transaction, bounded in cells.
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use rustc_hash::FxHashMap;

use super::compressed::{Decompressor, compress};
use super::merged;
use super::resolution::Resolution;
use super::schema::StoreError;
use crate::aggregate::varint::{self, VarintReader};
use crate::series::Cell;

/// Cells that are moved in one transaction: about 150 ms.
const AT_ONCE: u64 = 50_000;
/// After the end of a span its cells are left for this long: what comes late is merged without opening a block.
const SETTLED_S: u64 = 600;

/// What a move did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MovedCells {
    /// Cells that were moved.
    pub cells: u64,
    /// Records that were moved.
    pub records: u64,
    /// Cells that could not be read any more.
    pub damaged: u64,
}

impl MovedCells {
    /// Whether there was nothing to move.
    pub fn is_nothing(&self) -> bool {
        self.cells == 0 && self.records == 0
    }
}

/// A place in time and kind.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Of what cells.
    pub resolution: Resolution,
    /// Number of their kind.
    pub code: u8,
    /// Start, seconds since 1970.
    pub start: u64,
}

impl Span {
    fn end(self) -> u64 {
        self.start.saturating_add(self.resolution.span())
    }
}

/// Cells of one series in a span, by time.
type Cells = Vec<(u64, Vec<u8>)>;

/// Moves the oldest settled cells, so many as one transaction takes.
pub fn pack(db: &mut Connection, until: &[u64; 3]) -> Result<MovedCells, StoreError> {
    for resolution in Resolution::ALL {
        // The next coarser cells are made from single ones.
        let made = until[(resolution as usize + 1).min(Resolution::Hour as usize)];
        let end = resolution.span_of(made.saturating_sub(SETTLED_S));
        for code in merged::codes() {
            let Some(oldest) = oldest(db, resolution, code)?.filter(|oldest| *oldest < end) else { continue };
            let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let span = Span { resolution, code, start: resolution.span_of(oldest) };
            let moved = pack_span(&transaction, span)?;
            transaction.commit()?;
            return Ok(moved);
        }
    }
    Ok(MovedCells::default())
}

/// Time of the oldest cell outside blocks.
fn oldest(db: &Connection, resolution: Resolution, code: u8) -> rusqlite::Result<Option<u64>> {
    db.prepare_cached("SELECT min(time) FROM rollup WHERE level = ?1 AND kind = ?2")?
        .query_row(params![resolution as u8, code], |row| row.get::<_, Option<i64>>(0))
        .map(|time| time.map(|time| time as u64))
}

fn pack_span(transaction: &Transaction<'_>, span: Span) -> Result<MovedCells, StoreError> {
    let Some((first, last)) = series_at_once(transaction, span)? else { return Ok(MovedCells::default()) };
    let of_span = params![span.resolution as u8, span.code, span.start as i64, bound(span.end()), first, last];
    let mut read = transaction.prepare_cached(
        "SELECT time, series, cell FROM rollup WHERE level = ?1 AND kind = ?2 AND time >= ?3 AND time < ?4 AND series BETWEEN ?5 AND ?6",
    )?;
    let mut rows = read.query(of_span)?;
    let (mut by_series, mut moved): (FxHashMap<i64, Cells>, _) = (FxHashMap::default(), MovedCells::default());
    while let Some(row) = rows.next()? {
        by_series.entry(row.get(1)?).or_default().push((row.get::<_, i64>(0)? as u64, row.get(2)?));
        moved.cells += 1;
    }
    // Neighbours in time are neighbours in the file.
    let mut by_series: Vec<_> = by_series.into_iter().collect();
    by_series.sort_unstable_by_key(|(series, _)| *series);
    for (series, cells) in by_series {
        moved.damaged += write(transaction, span, series, cells)?;
    }
    transaction
        .prepare_cached("DELETE FROM rollup WHERE level = ?1 AND kind = ?2 AND time >= ?3 AND time < ?4 AND series BETWEEN ?5 AND ?6")?
        .execute(of_span)?;
    Ok(moved)
}

/// The first series of a span, so many as have [`AT_ONCE`] cells: least and greatest id.
fn series_at_once(transaction: &Transaction<'_>, span: Span) -> Result<Option<(i64, i64)>, StoreError> {
    let mut counts: FxHashMap<i64, u64> = FxHashMap::default();
    let mut query = transaction.prepare_cached("SELECT series FROM rollup WHERE level = ?1 AND kind = ?2 AND time >= ?3 AND time < ?4")?;
    let mut rows = query.query(params![span.resolution as u8, span.code, span.start as i64, bound(span.end())])?;
    while let Some(row) = rows.next()? {
        *counts.entry(row.get(0)?).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable();
    let mut cells = 0;
    let taken = counts.iter().take_while(|(_, count)| {
        let fits = cells == 0 || cells + count <= AT_ONCE;
        cells += count;
        fits
    });
    Ok(counts.first().zip(taken.last()).map(|(first, last)| (first.0, last.0)))
}

/// Adds cells to the block of a series; returns how many of it were damaged.
fn write(transaction: &Transaction<'_>, span: Span, series: i64, mut cells: Cells) -> Result<u64, StoreError> {
    let known: Option<(u64, Vec<u8>)> = transaction
        .prepare_cached("SELECT cells, packed FROM block WHERE level = ?1 AND kind = ?2 AND start = ?3 AND series = ?4")?
        .query_row(params![span.resolution as u8, span.code, span.start as i64, series], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))
        })
        .optional()?;
    let mut damaged = 0;
    if let Some((count, packed)) = known {
        let before = cells.len();
        match each(&mut Decompressor::default(), &packed, span, |time, cell| cells.push((time, cell.to_vec()))) {
            Some(()) => damaged = merge(&mut cells),
            None => {
                cells.truncate(before);
                damaged = count;
            }
        }
    }
    transaction
        .prepare_cached("INSERT OR REPLACE INTO block (level, kind, start, series, cells, packed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![span.resolution as u8, span.code, span.start as i64, series, cells.len() as i64, packed(&cells, span)])?;
    Ok(damaged)
}

/// Sorts cells by time and merges those of the same; returns how many could not be read.
fn merge(cells: &mut Cells) -> u64 {
    cells.sort_by_key(|(time, _)| *time);
    let mut damaged = 0;
    cells.dedup_by(|(later, cell), (time, into)| {
        let same = later == time;
        if same {
            match (Cell::from_bytes(into), Cell::from_bytes(cell)) {
                (Some(mut merged), Some(cell)) => {
                    merged.merge(&cell);
                    *into = merged.to_bytes();
                }
                (whole, _) => {
                    damaged += 1;
                    if whole.is_none() {
                        std::mem::swap(into, cell);
                    }
                }
            }
        }
        same
    });
    damaged
}

/// The block of cells in order of time: number of cells; of each the steps since the one before, the number of its bytes, and these.
fn packed(cells: &Cells, span: Span) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cells.len() * 48);
    varint::put(&mut bytes, cells.len() as u64);
    let mut next = span.start;
    for (time, cell) in cells {
        varint::put(&mut bytes, (time - next) / span.resolution.seconds());
        varint::put(&mut bytes, cell.len() as u64);
        bytes.extend_from_slice(cell);
        next = time + span.resolution.seconds();
    }
    compress(&bytes)
}

/// Calls `each` with time and bytes of every cell of a block; `None` when it is damaged.
fn each(decompressor: &mut Decompressor, packed: &[u8], span: Span, mut each: impl FnMut(u64, &[u8])) -> Option<()> {
    let mut reader = VarintReader::new(decompressor.bytes(packed)?);
    let mut time = span.start;
    for _ in 0..reader.next()? {
        time = reader.next()?.checked_mul(span.resolution.seconds())?.checked_add(time).filter(|time| *time < span.end())?;
        let length = reader.next()?;
        let (cell, rest) = reader.rest().split_at_checked(usize::try_from(length).ok()?)?;
        each(time, cell);
        reader = VarintReader::new(rest);
        time += span.resolution.seconds();
    }
    Some(())
}

/// Calls `found` with time and bytes of every cell in a block; those of a damaged block are skipped.
pub fn each_cell(decompressor: &mut Decompressor, packed: &[u8], span: Span, found: impl FnMut(u64, &[u8])) {
    if each(decompressor, packed, span, found).is_none() {
        tracing::debug!(start = span.start, "A block of the history is damaged.");
    }
}

/// Starts of the first and the last block.
pub fn starts(db: &Connection, resolution: Resolution, code: u8) -> rusqlite::Result<Option<(u64, u64)>> {
    let end = |query: &str| db.prepare_cached(query)?.query_row(params![resolution as u8, code], |row| row.get::<_, Option<i64>>(0));
    let first = end("SELECT min(start) FROM block WHERE level = ?1 AND kind = ?2")?;
    let last = end("SELECT max(start) FROM block WHERE level = ?1 AND kind = ?2")?;
    Ok(first.zip(last).map(|(first, last)| (first as u64, last as u64)))
}

/// Removes the blocks of a kind that end until a time; returns the number of their cells.
pub fn remove(db: &Connection, resolution: Resolution, code: u8, before_s: u64) -> rusqlite::Result<u64> {
    let Some(start) = before_s.checked_sub(resolution.span()) else { return Ok(0) };
    let oldest = params![resolution as u8, code, bound(start)];
    let cells: i64 = db
        .prepare_cached("SELECT coalesce(sum(cells), 0) FROM block WHERE level = ?1 AND kind = ?2 AND start <= ?3")?
        .query_row(oldest, |row| row.get(0))?;
    if cells > 0 {
        db.prepare_cached("DELETE FROM block WHERE level = ?1 AND kind = ?2 AND start <= ?3")?.execute(oldest)?;
    }
    Ok(cells as u64)
}

/// A time as SQLite takes it.
pub fn bound(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}
