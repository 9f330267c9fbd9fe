//! Retention: removes cells and records beyond their age and, when the file is larger than allowed, the oldest part of whatever takes the
//! most space (cells of one resolution, or records). So a full file keeps some of each. Series without cells are removed too.
use rusqlite::{Connection, params};

use super::cell_blocks;
use super::merged;
use super::record_blocks;
use super::resolution::{Resolution, Retention};
use super::schema::StoreError;

/// After too much, this share of the allowed size is left.
const ROOM: f64 = 0.9;
/// One removal step deletes 1/PART of a part's time range.
const PART: u64 = 10;

/// Kinds of records that are kept as long as cells of an hour.
const LONG: [&str; 2] = ["report", "report_body"];

/// Removes everything beyond its age.
pub fn expire(db: &mut Connection, now_s: u64, retention: &Retention) -> Result<(), StoreError> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for resolution in Resolution::ALL {
        // An hour longer, so that a report on exactly that time finds all of it.
        remove(&transaction, resolution, now_s.saturating_sub(retention.seconds(resolution) + Resolution::Hour.seconds()))?;
    }
    let oldest_ns = now_s.saturating_sub(retention.records.as_secs()).saturating_mul(1_000_000_000);
    // By kind, to match the order of the index.
    for kind in record_blocks::kinds(&transaction)?.iter().filter(|kind| !LONG.contains(&kind.as_str())) {
        transaction
            .prepare_cached("DELETE FROM record WHERE kind = ?1 AND time < ?2")?
            .execute(params![kind, i64::try_from(oldest_ns).unwrap_or(i64::MAX)])?;
        record_blocks::expire(&transaction, kind, oldest_ns)?;
    }
    // Reports are few; they are kept as long as the figures of the hours that they tell of.
    let oldest_ns = now_s.saturating_sub(retention.hour.as_secs()).saturating_mul(1_000_000_000);
    for kind in LONG {
        transaction
            .prepare_cached("DELETE FROM record WHERE kind = ?1 AND time < ?2")?
            .execute(params![kind, i64::try_from(oldest_ns).unwrap_or(i64::MAX)])?;
    }
    transaction.commit()?;
    db.execute_batch("PRAGMA incremental_vacuum")?;
    Ok(())
}

/// Removes series without cells; whoever remembers ids of series has to forget them.
pub fn sweep(db: &Connection) -> Result<(), StoreError> {
    db.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM rollup UNION SELECT series FROM block)", [])?;
    Ok(())
}

/// Bytes in use.
pub fn used_bytes(db: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    Ok(((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?) as u64)
}

/// Parts of the file that take space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FilePart {
    Cells(Resolution),
    Records,
}

/// Shrinks the file below its allowed size; returns the numbers of removed cells and records.
pub fn shrink(db: &mut Connection, max_bytes: u64) -> Result<u64, StoreError> {
    let mut used = used_bytes(db)?;
    if used <= max_bytes {
        return Ok(0);
    }
    let mut parts = parts(db)?;
    let mut removed = 0;
    while used as f64 > max_bytes as f64 * ROOM
        && let Some((part, bytes)) = parts.iter_mut().max_by_key(|(_, bytes)| *bytes).filter(|(_, bytes)| *bytes > 0)
    {
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let gone = match part {
            FilePart::Cells(resolution) => oldest_cells(&transaction, *resolution)?,
            FilePart::Records => oldest_records(&transaction)?,
        };
        transaction.commit()?;
        let left = used_bytes(db)?;
        // A part that gave something may have more.
        *bytes = if gone == 0 { 0 } else { bytes.saturating_sub(used.saturating_sub(left)).max(1) };
        (used, removed) = (left, removed + gone);
    }
    // The file itself becomes smaller with the checkpoint.
    db.execute_batch("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(removed)
}

/// Bytes of each part. Reads the whole file, so it is called only when the file is too large.
fn parts(db: &Connection) -> rusqlite::Result<Vec<(FilePart, u64)>> {
    let sum = |query: &str, resolution: Option<u8>| db.query_row(query, rusqlite::params_from_iter(resolution), |row| row.get::<_, i64>(0));
    let records = sum("SELECT coalesce(sum(length(json) + 40), 0) FROM record", None)?;
    let in_blocks = sum("SELECT coalesce(sum(length(packed) + 40), 0) FROM record_block", None)?;
    let mut parts = vec![(FilePart::Records, (records + in_blocks) as u64)];
    for resolution in Resolution::ALL {
        let bytes = sum("SELECT coalesce(sum(length(cell) + 15), 0) FROM rollup WHERE level = ?1", Some(resolution as u8))?;
        let in_blocks = sum("SELECT coalesce(sum(length(packed) + 40), 0) FROM block WHERE level = ?1", Some(resolution as u8))?;
        parts.push((FilePart::Cells(resolution), (bytes + in_blocks) as u64));
    }
    Ok(parts)
}

fn oldest_records(db: &Connection) -> rusqlite::Result<u64> {
    let count = |query: &str| db.query_row(query, [], |row| row.get::<_, i64>(0)).map(|count| count as u64);
    let all = count("SELECT count(*) FROM record")? + count("SELECT coalesce(sum(records), 0) FROM record_block")?;
    let part = all.div_ceil(PART);
    let gone = record_blocks::remove_oldest(db, part)?;
    if gone > 0 {
        return Ok(gone);
    }
    db.execute("DELETE FROM record WHERE id IN (SELECT id FROM record ORDER BY id LIMIT ?1)", [part as i64]).map(|gone| gone as u64)
}

fn oldest_cells(db: &Connection, resolution: Resolution) -> rusqlite::Result<u64> {
    let (mut first, mut last, mut least) = (u64::MAX, 0, resolution.seconds());
    for kind in merged::codes() {
        let range = |end: &str| {
            let query = format!("SELECT {end}(time) FROM rollup WHERE level = ?1 AND kind = ?2");
            db.query_row(&query, params![resolution as u8, kind], |row| row.get::<_, Option<i64>>(0))
        };
        if let (Some(min), Some(max)) = (range("min")?, range("max")?) {
            (first, last) = (first.min(min as u64), last.max(max as u64));
        }
        if let Some((min, max)) = cell_blocks::starts(db, resolution, kind)? {
            // Whole blocks go.
            (first, last, least) = (first.min(min), last.max(max), resolution.span());
        }
    }
    if first > last {
        return Ok(0);
    }
    remove(db, resolution, first + ((last - first) / PART).max(least))
}

fn remove(db: &Connection, resolution: Resolution, before_s: u64) -> rusqlite::Result<u64> {
    let mut gone = 0;
    for kind in merged::codes() {
        gone += db.prepare_cached("DELETE FROM rollup WHERE level = ?1 AND kind = ?2 AND time < ?3")?.execute(params![
            resolution as u8,
            kind,
            i64::try_from(before_s).unwrap_or(i64::MAX)
        ])? as u64;
        gone += cell_blocks::remove(db, resolution, kind, before_s)?;
    }
    Ok(gone)
}
