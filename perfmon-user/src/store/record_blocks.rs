//! Blocks of records: records of one kind that were kept one by one, compressed together when they are an hour old and many. JSON of
//! neighbours is alike, so a block takes about a tenth of their room. Few records stay as they are. Readers see one sequence, by time.
use rusqlite::{Connection, params};

use super::cell_blocks::bound;
use super::compressed::{Decompressor, compress};
use super::schema::StoreError;
use crate::aggregate::varint::{self, VarintReader};

/// Records of a block, and bytes of their JSON: with the record that passes it, it is full.
const RECORDS: usize = 256;
const BYTES: usize = 256 << 10;
/// Records are left alone for this long, and those beyond their age leave a block so much later.
const HOUR_NS: u64 = 3_600_000_000_000;
/// Few, or compressed already by what they hold.
const SINGLE: [&str; 4] = ["audit", "silence", "report", "report_body"];

/// A record in a block or beside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptRecord {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// In order of writing.
    pub id: i64,
    /// The record.
    pub json: String,
}

/// Puts the oldest records of one kind in a block when they fill it; returns how many.
pub fn pack(db: &mut Connection, now_s: u64) -> Result<u64, StoreError> {
    let settled = now_s.saturating_mul(1_000_000_000).saturating_sub(HOUR_NS);
    let mut kind = String::new();
    while let Some(next) = kind_after(db, &kind)? {
        kind = next;
        if SINGLE.contains(&kind.as_str()) {
            continue;
        }
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let records = fill(&transaction, &kind, settled)?;
        if records.is_empty() {
            continue;
        }
        insert(&transaction, &kind, &records)?;
        let mut delete = transaction.prepare_cached("DELETE FROM record WHERE id = ?1")?;
        for record in &records {
            delete.execute([record.id])?;
        }
        drop(delete);
        transaction.commit()?;
        return Ok(records.len() as u64);
    }
    Ok(0)
}

/// All kinds, of records in blocks and beside.
pub fn kinds(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut kinds: Vec<String> =
        db.prepare_cached("SELECT DISTINCT kind FROM record_block")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut last = String::new();
    while let Some(next) = kind_after(db, &last)? {
        kinds.push(next.clone());
        last = next;
    }
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

/// The next kind in order of names.
fn kind_after(db: &Connection, kind: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT min(kind) FROM record WHERE kind > ?1")?.query_row([kind], |row| row.get(0))
}

/// The oldest records, if they fill a block.
fn fill(db: &Connection, kind: &str, settled_ns: u64) -> Result<Vec<KeptRecord>, StoreError> {
    let mut query = db.prepare_cached("SELECT time, id, json FROM record WHERE kind = ?1 AND time < ?2 ORDER BY time, id LIMIT ?3")?;
    let mut rows = query.query(params![kind, bound(settled_ns), RECORDS as i64])?;
    let (mut records, mut bytes) = (Vec::with_capacity(RECORDS), 0);
    while bytes < BYTES
        && let Some(row) = rows.next()?
    {
        let record = KeptRecord { time: row.get::<_, i64>(0)? as u64, id: row.get(1)?, json: row.get(2)? };
        bytes += record.json.len();
        records.push(record);
    }
    if records.len() < RECORDS && bytes < BYTES {
        records.clear();
    }
    Ok(records)
}

fn insert(db: &Connection, kind: &str, records: &[KeptRecord]) -> rusqlite::Result<()> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
    db.prepare_cached("INSERT INTO record_block (kind, first, last, records, packed) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![kind, bound(first.time), bound(last.time), records.len() as i64, packed(records)])
        .map(drop)
}

/// Number of records; of each the time since the one before, its id and length; then the JSON of all.
fn packed(records: &[KeptRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::put(&mut bytes, records.len() as u64);
    let mut before = 0;
    for record in records {
        varint::put(&mut bytes, record.time - before);
        varint::put(&mut bytes, record.id as u64);
        varint::put(&mut bytes, record.json.len() as u64);
        before = record.time;
    }
    records.iter().for_each(|record| bytes.extend_from_slice(record.json.as_bytes()));
    compress(&bytes)
}

/// Calls `each` with time, id and JSON of every record, oldest first; `None` when the block is damaged.
fn each(decompressor: &mut Decompressor, packed: &[u8], mut each: impl FnMut(u64, i64, &str)) -> Option<()> {
    let bytes = decompressor.bytes(packed)?;
    let mut reader = VarintReader::new(bytes);
    let count = reader.next()?;
    let (heads, mut time) = (reader, 0_u64);
    for _ in 0..count.checked_mul(3)? {
        reader.next()?;
    }
    let (mut heads, mut rest) = (heads, std::str::from_utf8(reader.rest()).ok()?);
    for _ in 0..count {
        time = time.checked_add(heads.next()?)?;
        let id = heads.next()? as i64;
        let (json, after) = rest.split_at_checked(usize::try_from(heads.next()?).ok()?)?;
        each(time, id, json);
        rest = after;
    }
    Some(())
}

/// Records of a kind from one time to another, newest first.
pub fn newest(db: &Connection, kind: &str, from_ns: u64, to_ns: u64, limit: usize) -> Result<Vec<String>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT time, id, json FROM record WHERE kind = ?1 AND time >= ?2 AND time < ?3 ORDER BY time DESC, id DESC LIMIT ?4",
    )?;
    let of_row = |row: &rusqlite::Row<'_>| Ok(KeptRecord { time: row.get::<_, i64>(0)? as u64, id: row.get(1)?, json: row.get(2)? });
    let rows = query.query_map(params![kind, bound(from_ns), bound(to_ns), i64::try_from(limit).unwrap_or(i64::MAX)], of_row)?;
    let mut found: Vec<KeptRecord> = rows.collect::<Result<_, _>>()?;
    let mut query =
        db.prepare_cached("SELECT last, packed FROM record_block WHERE kind = ?1 AND last >= ?2 AND first < ?3 ORDER BY last DESC")?;
    let mut blocks = query.query(params![kind, bound(from_ns), bound(to_ns)])?;
    let mut decompressor = Decompressor::default();
    while let Some(block) = blocks.next()? {
        if found.len() >= limit {
            let last = block.get::<_, i64>(0)? as u64;
            if found.last().is_none_or(|oldest| oldest.time > last) {
                break;
            }
        }
        let packed = block.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let whole = each(&mut decompressor, packed, |time, id, json| {
            if (from_ns..to_ns).contains(&time) {
                found.push(KeptRecord { time, id, json: json.into() });
            }
        });
        if whole.is_none() {
            tracing::debug!(kind, "A block of records is damaged.");
        }
        found.sort_by_key(|record| std::cmp::Reverse((record.time, record.id)));
        found.truncate(limit);
    }
    Ok(found.into_iter().map(|record| record.json).collect())
}

/// Removes the records of a kind before a time.
pub fn expire(db: &Connection, kind: &str, oldest_ns: u64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM record_block WHERE kind = ?1 AND last < ?2")?.execute(params![kind, bound(oldest_ns)])?;
    let mut query = db.prepare_cached("SELECT id, packed FROM record_block WHERE kind = ?1 AND first < ?2")?;
    let partly: Vec<(i64, Vec<u8>)> = query
        .query_map(params![kind, bound(oldest_ns.saturating_sub(HOUR_NS))], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (id, packed) in partly {
        let mut left = Vec::new();
        let whole = each(&mut Decompressor::default(), &packed, |time, id, json| {
            if time >= oldest_ns {
                left.push(KeptRecord { time, id, json: json.into() });
            }
        });
        if whole.is_none() {
            // It goes when the last of its records is too old.
            continue;
        }
        db.prepare_cached("DELETE FROM record_block WHERE id = ?1")?.execute([id])?;
        insert(db, kind, &left)?;
    }
    Ok(())
}

/// Removes the oldest blocks until about so many records are gone, and single records of their time; returns how many went.
pub fn remove_oldest(db: &Connection, records: u64) -> rusqlite::Result<u64> {
    let (mut gone, mut until) = (0, None);
    while gone < records {
        let oldest = db.query_row("SELECT id, last, records FROM record_block ORDER BY last LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        let Some((id, last, count)) = rusqlite::OptionalExtension::optional(oldest)? else { break };
        db.execute("DELETE FROM record_block WHERE id = ?1", [id])?;
        (gone, until) = (gone + count as u64, Some(last));
    }
    if let Some(until) = until {
        gone += db.execute("DELETE FROM record WHERE time < ?1", [until])? as u64;
    }
    Ok(gone)
}
