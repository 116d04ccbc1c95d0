//! What SQLite's errors mean to a caller: come again, give up, or ask what was done.

use rusqlite::{Error, ErrorCode};
use tideway::jobs::StoreError;

/// The error of a call of which nothing was kept.
pub(crate) fn refused(error: &Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => transient(
            "another process has locked the file for longer than the busy timeout; \
             is a backup or a shell with an open transaction using it?",
        ),
        Some(ErrorCode::DiskFull) => fatal(
            "the disk is full, or the file has reached `Options::max_size`; the call changed nothing: \
             make room and repeat it",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            fatal("the file or its directory cannot be written: grant the permission")
        }
        Some(ErrorCode::NotADatabase) => {
            fatal("the file is not an SQLite database; nothing in it was changed")
        }
        Some(ErrorCode::DatabaseCorrupt) => fatal(
            "the file is damaged: run `PRAGMA integrity_check` on it, and `.recover` or restore a backup",
        ),
        Some(ErrorCode::CannotOpen) => fatal(
            "the file cannot be opened: does its directory exist, and may this process write there?",
        ),
        Some(ErrorCode::SystemIoFailure) => {
            StoreError::Transient(format!("reading or writing the file failed: {error}").into())
        }
        Some(ErrorCode::OutOfMemory) => transient("there is no memory left"),
        _ => StoreError::Fatal(error.to_string().into()),
    }
}

/// The error of a commit: whether it was kept, only the file knows.
pub(crate) fn of_commit(error: &Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => {
            StoreError::Ambiguous(format!("the commit failed: {error}").into())
        }
        _ => refused(error),
    }
}

pub(crate) fn fatal(text: &str) -> StoreError {
    StoreError::Fatal(text.into())
}

fn transient(text: &str) -> StoreError {
    StoreError::Transient(text.into())
}
