//! Merged series: beside the series of each endpoint or process, one of all of them, one of each service, method and destination, and one of
//! each method of a service, so that a chart of many series reads one cell a step and not one for each of them. They are rows like others under kinds of their own, which earlier versions of
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
/// What a merged series keeps beside the side. The numbers are kept on disk.
struct MergedSet {
    labels: &'static [&'static str],
    /// Added to the number of a kind.
    offset: u8,
    /// Row of the table of complete resolutions: since when there are such series.
    since: u8,
}

const SETS: [MergedSet; 5] = [
    MergedSet { labels: &[], offset: 64, since: 128 },
    MergedSet { labels: &["service"], offset: 64, since: 128 },
    MergedSet { labels: &["method"], offset: 80, since: 130 },
    MergedSet { labels: &["method", "service"], offset: 96, since: 130 },
    MergedSet { labels: &["destination"], offset: 112, since: 130 },
];
/// Series of a set, at most; with more values of its labels the set is not used.
const MOST: i64 = 2_000;

impl MergedSet {
    fn code(&self, kind: RecordKind) -> u8 {
        kind as u8 + self.offset
    }

    /// Row of the table of complete resolutions: there were too many.
    fn crowded(&self, kind: RecordKind) -> Option<u8> {
        match self.labels {
            [] => None,
            ["service"] => Some(129),
            _ => Some(128 + self.code(kind)),
        }
    }
}

/// Names a merged series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MergedSeries {
    /// Number of its kind in the file.
    pub code: u8,
    /// Its labels as JSON.
    pub labels: String,
    /// Where it is noted that there were too many like it.
    crowded: Option<u8>,
}

/// Every kind's number in the file.
pub fn codes() -> impl Iterator<Item = u8> {
    RecordKind::ALL.into_iter().map(|kind| kind as u8).chain(merged_codes())
}

fn merged_codes() -> impl Iterator<Item = u8> {
    // The first two have theirs in common.
    SETS.iter().skip(1).flat_map(|set| KINDS.map(|kind| set.code(kind)))
}

fn named(kind: RecordKind, set: &MergedSet, labels: &BTreeMap<&str, &str>) -> MergedSeries {
    MergedSeries { code: set.code(kind), labels: serde_json::to_string(labels).unwrap_or_default(), crowded: set.crowded(kind) }
}

/// The merged cells of cells.
pub fn merge(cells: &FxHashMap<(u64, SeriesKey), Cell>) -> BTreeMap<(u64, MergedSeries), Cell> {
    let mut merged: BTreeMap<(u64, MergedSeries), Cell> = BTreeMap::new();
    for ((start, series), cell) in cells.iter().filter(|((_, series), _)| KINDS.contains(&series.kind)) {
        for set in &SETS {
            let Some(mut labels) = set.labels.iter().map(|name| Some((*name, &**series.value(name)?))).collect::<Option<BTreeMap<_, _>>>()
            else {
                continue;
            };
            if let Some(side) = series.value("side") {
                labels.insert("side", side);
            }
            merged.entry((*start, named(series.kind, set, &labels))).or_default().merge(cell);
        }
    }
    merged
}

/// Notes since when merged series are complete, before the first of them is written.
pub fn begin(db: &Connection) -> Result<(), StoreError> {
    for set in &SETS {
        if note(db, set.since)?.is_none() {
            let query = "SELECT max(time) FROM (SELECT max(time) AS time FROM rollup WHERE level = 0 AND kind IN (1, 6)
                UNION ALL SELECT max(start) + 3600 FROM block WHERE level = 0 AND kind IN (1, 6))";
            let newest: Option<i64> = db.query_row(query, [], |row| row.get(0))?;
            // Two hours on: the cells of then are whole in every resolution.
            let since = newest.map_or(0, |newest| Resolution::Hour.ceil(newest as u64) + 2 * Resolution::Hour.seconds());
            set_note(db, set.since, since)?;
        }
    }
    Ok(())
}

/// The id of a merged series, made when it is new; `None` when there are too many.
pub fn id(db: &Connection, series: &MergedSeries) -> Result<Option<i64>, StoreError> {
    if let Some(id) = known_id(db, series.code, &series.labels)? {
        return Ok(Some(id));
    }
    if let Some(crowded) = series.crowded {
        let count: i64 = db.prepare_cached("SELECT count(*) FROM series WHERE kind = ?1")?.query_row([series.code], |row| row.get(0))?;
        if count >= MOST {
            set_note(db, crowded, 1)?;
            return Ok(None);
        }
    }
    db.prepare_cached("INSERT INTO series (kind, labels) VALUES (?1, ?2)")?.execute(params![series.code, series.labels])?;
    Ok(Some(db.last_insert_rowid()))
}

/// Number and id of the merged series that answers a query from a time on.
pub fn answering(db: &Connection, kind: RecordKind, labels: &SeriesLabels, from: u64) -> Result<Option<(u8, i64)>, StoreError> {
    let asked = labels.keys().map(String::as_str).filter(|name| *name != "side");
    let Some(set) = SETS.iter().find(|set| asked.clone().eq(set.labels.iter().copied())) else { return Ok(None) };
    let is_one = kind != RecordKind::Request || labels.contains_key("side");
    if !KINDS.contains(&kind) || !is_one || note(db, set.since)?.is_none_or(|since| from < since) {
        return Ok(None);
    }
    let labels: BTreeMap<&str, &str> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let series = named(kind, set, &labels);
    if let Some(crowded) = series.crowded
        && note(db, crowded)?.is_some()
    {
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
