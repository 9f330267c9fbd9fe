//! Merged series: beside the series of each endpoint or process, one of all of them and one of each service, so that a chart of everything
//! reads one cell a step and not one for each series. They are rows like others under kinds of their own, which earlier versions of
//! perfmon skip. In: cells to be written; out: the merged ones, and for a query the merged series that answers it.
use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use rustc_hash::FxHashMap;

use super::reader::SeriesLabels;
use super::resolution::Resolution;
use super::schema::StoreError;
use crate::record::SeriesKey;
use crate::record::metric::RecordKind;
use crate::series::Cell;

/// Kinds with many series.
const KINDS: [RecordKind; 2] = [RecordKind::Request, RecordKind::Process];
/// Added to the number of a kind.
const OFFSET: u8 = 64;
/// Labels that merged series keep.
const KEPT: [&str; 2] = ["side", "service"];
/// Series of one service each, at most; with more services those of services are not used.
const MOST: i64 = 2_000;
/// Rows of the table of complete resolutions: since when there are merged series, and whether there were too many services.
const SINCE: u8 = 128;
const CROWDED: u8 = 129;

/// Names a merged series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MergedSeries {
    /// Number of its kind in the file.
    pub code: u8,
    /// Its labels as JSON.
    pub labels: String,
    /// It is of one service.
    of_service: bool,
}

/// Every kind's number in the file.
pub fn codes() -> impl Iterator<Item = u8> {
    RecordKind::ALL.into_iter().map(|kind| kind as u8).chain(KINDS.map(code))
}

fn code(kind: RecordKind) -> u8 {
    kind as u8 + OFFSET
}

fn named(kind: RecordKind, labels: &BTreeMap<&str, &str>) -> MergedSeries {
    let of_service = labels.contains_key("service");
    MergedSeries { code: code(kind), labels: serde_json::to_string(labels).unwrap_or_default(), of_service }
}

/// The merged cells of cells.
pub fn merge(cells: &FxHashMap<(u64, SeriesKey), Cell>) -> BTreeMap<(u64, MergedSeries), Cell> {
    let mut merged: BTreeMap<(u64, MergedSeries), Cell> = BTreeMap::new();
    for ((start, series), cell) in cells.iter().filter(|((_, series), _)| KINDS.contains(&series.kind)) {
        let mut labels: BTreeMap<&str, &str> = BTreeMap::new();
        for name in KEPT {
            if let Some(value) = series.value(name) {
                labels.insert(name, value);
            }
        }
        merged.entry((*start, named(series.kind, &labels))).or_default().merge(cell);
        if labels.remove("service").is_some() {
            merged.entry((*start, named(series.kind, &labels))).or_default().merge(cell);
        }
    }
    merged
}

/// Notes since when merged series are complete, before the first of them is written.
pub fn begin(db: &Connection) -> Result<(), StoreError> {
    if note(db, SINCE)?.is_none() {
        let newest: Option<i64> = db.query_row("SELECT max(time) FROM rollup WHERE level = 0 AND kind IN (1, 6)", [], |row| row.get(0))?;
        // Two hours on: the cells of then are whole in every resolution.
        let since = newest.map_or(0, |newest| Resolution::Hour.ceil(newest as u64) + 2 * Resolution::Hour.seconds());
        set_note(db, SINCE, since)?;
    }
    Ok(())
}

/// The id of a merged series, made when it is new; `None` when there are too many.
pub fn id(db: &Connection, series: &MergedSeries) -> Result<Option<i64>, StoreError> {
    if let Some(id) = known_id(db, series.code, &series.labels)? {
        return Ok(Some(id));
    }
    if series.of_service {
        let count: i64 = db.prepare_cached("SELECT count(*) FROM series WHERE kind = ?1")?.query_row([series.code], |row| row.get(0))?;
        if count >= MOST {
            set_note(db, CROWDED, 1)?;
            return Ok(None);
        }
    }
    db.prepare_cached("INSERT INTO series (kind, labels) VALUES (?1, ?2)")?.execute(params![series.code, series.labels])?;
    Ok(Some(db.last_insert_rowid()))
}

/// Number and id of the merged series that answers a query from a time on.
pub fn answering(db: &Connection, kind: RecordKind, labels: &SeriesLabels, from: u64) -> Result<Option<(u8, i64)>, StoreError> {
    let is_merged = KINDS.contains(&kind) && labels.keys().all(|name| KEPT.contains(&name.as_str()));
    let is_one = kind != RecordKind::Request || labels.contains_key("side");
    if !is_merged || !is_one || note(db, SINCE)?.is_none_or(|since| from < since) {
        return Ok(None);
    }
    let labels: BTreeMap<&str, &str> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let series = named(kind, &labels);
    if series.of_service && note(db, CROWDED)?.is_some() {
        return Ok(None);
    }
    Ok(known_id(db, series.code, &series.labels)?.map(|id| (series.code, id)))
}

fn known_id(db: &Connection, code: u8, labels: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM series WHERE kind = ?1 AND labels = ?2")?
        .query_row(params![code, labels], |row| row.get(0))
        .optional()
}

fn note(db: &Connection, level: u8) -> rusqlite::Result<Option<u64>> {
    let found = db.prepare_cached("SELECT until FROM complete WHERE level = ?1")?.query_row([level], |row| row.get::<_, i64>(0)).optional();
    found.map(|found| found.map(|since| since as u64))
}

fn set_note(db: &Connection, level: u8, value: u64) -> rusqlite::Result<()> {
    db.execute("INSERT OR IGNORE INTO complete (level, until) VALUES (?1, ?2)", params![level, value as i64]).map(drop)
}
