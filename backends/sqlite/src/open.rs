//! Opens a file: looks whose it is and how old before anything in it is changed.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tideway::jobs::StoreError;

use crate::error::{fatal, refused};
use crate::options::{Options, Synchronous};

/// `PRAGMA application_id`: "TdwJ".
const APPLICATION: i32 = 0x5464_774a;

/// `PRAGMA user_version`: of the newest schema this program knows.
const VERSION: i32 = 1;

const SCHEMA: &str = include_str!("schema.sql");

/// Opens or makes the file for writing.
pub(crate) fn writer(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|error| refused(&error))?;
    if db.is_readonly("main").map_err(|error| refused(&error))? {
        return Err(fatal("the file cannot be written: grant the permission"));
    }
    db.busy_timeout(options.busy_timeout)
        .map_err(|error| refused(&error))?;
    // One transaction, for another process may make the schema between two reads.
    let known = {
        let moment = db
            .unchecked_transaction()
            .map_err(|error| refused(&error))?;
        known(&moment)?
    };
    patiently(options.busy_timeout, || {
        db.pragma_update(None, "journal_mode", "WAL")
    })
    .map_err(|error| refused(&error))?;
    tune(&db, options).map_err(|error| refused(&error))?;
    if !known {
        create(&db)?;
    }
    Ok(db)
}

/// Opens a second connection to a file that [`writer`] has opened.
pub(crate) fn reader(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|error| refused(&error))?;
    let tuned = db
        .busy_timeout(options.busy_timeout)
        .and_then(|()| tune(&db, options))
        .and_then(|()| db.pragma_update(None, "query_only", true));
    tuned.map_err(|error| refused(&error))?;
    Ok(db)
}

/// Whether the file has our schema; an error if it is somebody else's, or newer.
fn known(db: &Connection) -> Result<bool, StoreError> {
    let read = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let application = read("application_id").map_err(|error| refused(&error))?;
    let version = read("user_version").map_err(|error| refused(&error))?;
    if application == APPLICATION {
        return match version {
            VERSION => Ok(true),
            0 => Ok(false),
            newer if newer > VERSION => Err(StoreError::Fatal(
                format!(
                    "the file has schema version {newer}, this program knows {VERSION}: \
                     run a newer program, or let each use a file of its own; nothing was changed"
                )
                .into(),
            )),
            odd => Err(StoreError::Fatal(
                format!("the file has schema version {odd}, which never was; nothing was changed")
                    .into(),
            )),
        };
    }
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| refused(&error))?;
    if application != 0 || version != 0 || tables != 0 {
        return Err(fatal(
            "the file is an SQLite database of another program: \
             give the job store a file of its own; nothing was changed",
        ));
    }
    Ok(false)
}

/// Makes the schema, unless another process has done so since.
fn create(db: &Connection) -> Result<(), StoreError> {
    db.execute_batch("BEGIN IMMEDIATE")
        .map_err(|error| refused(&error))?;
    let made = match known(db) {
        Ok(true) => Ok(()),
        Ok(false) => db
            .execute_batch(&format!(
                "{SCHEMA}; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
            ))
            .map_err(|error| refused(&error)),
        Err(error) => Err(error),
    };
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = db.execute_batch(end).map_err(|error| refused(&error));
    made.and(ended)
}

fn tune(db: &Connection, options: &Options) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(256);
    // A plan does not depend on the values bound: without this SQLite plans anew for every band that a claim asks.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let synchronous = match options.synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "trusted_schema", false)?;
    // KiB if negative. A lane's pages and those of its records stay in memory.
    db.pragma_update(None, "cache_size", -16_384)?;
    // The log is cut back to this after a burst.
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    if let Some(most) = options.max_size {
        let page: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = (most / page.unsigned_abs().max(1)).clamp(1, u64::from(u32::MAX) - 1);
        db.pragma_update_and_check(None, "max_page_count", pages as i64, |_| Ok(()))?;
    }
    Ok(())
}

/// Changing the journal mode needs the file alone and does not wait for it: two processes that make the
/// same file meet here.
fn patiently(
    time: Duration,
    mut step: impl FnMut() -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match step() {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < time =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}
