//! The file: creation (mode 0600), settings, schema with migrations, integrity check. SQLite 3 in WAL mode, so that reports can read while
//! perfmon writes. `user_version` is the number of applied migrations.
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::heartbeat;
use crate::private_file::{self, Existing, FileRefusal};

/// Endings of SQLite's own files: the journals and the index of the log.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// How long another program's transaction is waited for.
const BUSY: Duration = Duration::from_secs(1);
/// Instructions of SQLite between two beats of the writer: some milliseconds.
const PROGRESS_STEPS: i32 = 100_000;
/// A larger file is not read through at the start; damage in it shows when its place is reached.
const CHECKED_BYTES: u64 = 64 << 20;

/// Schema changes by version. Never change a released one; append another.
pub const MIGRATIONS: &[&str] = &[
    "CREATE TABLE series (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, labels TEXT NOT NULL, UNIQUE (kind, labels)) STRICT;
     CREATE TABLE rollup (level INTEGER NOT NULL, kind INTEGER NOT NULL, time INTEGER NOT NULL, series INTEGER NOT NULL,
       cell BLOB NOT NULL, PRIMARY KEY (level, kind, time, series)) STRICT, WITHOUT ROWID;
     CREATE TABLE complete (level INTEGER PRIMARY KEY, until INTEGER NOT NULL) STRICT;",
    "CREATE TABLE record (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, time INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
     CREATE INDEX record_by_time ON record (kind, time);",
    "CREATE TABLE block (id INTEGER PRIMARY KEY, level INTEGER NOT NULL, kind INTEGER NOT NULL, start INTEGER NOT NULL,
       series INTEGER NOT NULL, cells INTEGER NOT NULL, packed BLOB NOT NULL, UNIQUE (level, kind, start, series)) STRICT;
     CREATE TABLE record_block (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
       records INTEGER NOT NULL, packed BLOB NOT NULL) STRICT;
     CREATE INDEX record_block_by_time ON record_block (kind, last);",
];

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Error of SQLite.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file or its folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Made by a later perfmon.
    #[error("a newer perfmon wrote it (schema {found}; this one reads up to {known}); use that perfmon, or another file with --db")]
    Newer {
        /// Version in the file.
        found: usize,
        /// Version of this program.
        known: usize,
    },
    /// Made by an earlier perfmon, or by another program.
    #[error("it holds no history that this perfmon can read; `perfmon run` creates one and upgrades an older one")]
    Older,
    /// The file is not whole.
    #[error("the file is damaged: {0}")]
    Damaged(String),
}

impl StoreError {
    /// Whether another file has to be begun.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(error) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            }
            Self::File { .. } | Self::Newer { .. } | Self::Older => false,
        }
    }
}

/// Opens the file for writing, making it and its folder when they are not there.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    make(path)?;
    let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    // Long statements are no hang.
    db.progress_handler(
        PROGRESS_STEPS,
        Some(|| {
            heartbeat::beat();
            false
        }),
    )?;
    // Before anything is changed in it.
    refuse_newer(version(&db)?)?;
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // The file stays whole when the host dies; a killed perfmon loses nothing that was committed.
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "journal_size_limit", 16 << 20)?;
    // Files elsewhere cannot be made, see docs/privileges.md.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    check(&db, path)?;
    migrate(&mut db, MIGRATIONS)?;
    Ok(db)
}

/// Opens the file for reading, even without a writer and in a folder that is not writable.
pub fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    if let Err(source) = fs::File::open(path) {
        return Err(StoreError::File { path: path.into(), source });
    }
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    let found = version(&db)?;
    refuse_newer(found)?;
    if found < MIGRATIONS.len() {
        return Err(StoreError::Older);
    }
    Ok(db)
}

fn refuse_newer(found: usize) -> Result<(), StoreError> {
    if found > MIGRATIONS.len() { Err(StoreError::Newer { found, known: MIGRATIONS.len() }) } else { Ok(()) }
}

/// Why no history is kept at a path, as far as that can be told before anything is made: its folder or a file there is refused.
pub fn refusal(path: &Path) -> Option<StoreError> {
    let is_refusal = |error: &StoreError| matches!(error, StoreError::File { source, .. } if FileRefusal::of(source).is_some());
    private_file::check_folder(folder_of(path)).map_err(of_file(path)).and_then(|()| check_files(path)).err().filter(is_refusal)
}

fn make(path: &Path) -> Result<(), StoreError> {
    let folder = folder_of(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(of_file(path))?;
    private_file::check_folder(folder).map_err(of_file(path))?;
    check_files(path)?;
    private_file::open(path, Existing::Extended).map(drop).map_err(of_file(path))
}

/// The file, and those that SQLite keeps beside it and gives the file's mode when it makes them.
fn check_files(path: &Path) -> Result<(), StoreError> {
    let files = std::iter::once(path.to_owned()).chain(BESIDE.iter().map(|suffix| beside(path, suffix)));
    files.into_iter().try_for_each(|file| private_file::check(&file).map_err(of_file(&file)))
}

fn of_file(path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { path: path.clone(), source }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    if fs::metadata(path).is_ok_and(|file| file.len() > CHECKED_BYTES) {
        return Ok(());
    }
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Damaged(verdict)) }
}

fn version(db: &Connection) -> rusqlite::Result<usize> {
    db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map(|version| usize::try_from(version).unwrap_or(usize::MAX))
}

/// Brings the schema up to date, each version in a transaction of its own.
pub fn migrate(db: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let found = version(db)?;
    for (done, migration) in migrations.iter().enumerate().skip(found) {
        let step = db.transaction()?;
        step.execute_batch(migration)?;
        step.pragma_update(None, "user_version", done as i64 + 1)?;
        step.commit()?;
    }
    Ok(())
}

/// Moves a damaged file and its WAL out of the way; returns the new path.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = (1..).map(|n| beside(path, &format!(".damaged-{n}"))).find(|aside| !aside.exists());
    let aside = aside.ok_or_else(|| io::Error::from(io::ErrorKind::AlreadyExists))?;
    fs::rename(path, &aside)?;
    for suffix in BESIDE {
        match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}
