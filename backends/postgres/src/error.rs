//! What the server's errors mean to a caller: come again, give up, or ask what was done.

use tideway::jobs::StoreError;
use tokio_postgres::error::SqlState;

/// Why a call did not come to its end.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The server said no, or the connection broke.
    Db(tokio_postgres::Error),
    /// Another transaction was in the way: from the beginning.
    Again,
    /// The short way does not lead there; nothing was changed.
    TooShort,
    /// The tables are not those this program knows, perhaps.
    Store(StoreError),
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) if code.code() == TOO_SHORT => Failed::TooShort,
            Some(code)
                if *code == SqlState::T_R_DEADLOCK_DETECTED
                    || *code == SqlState::T_R_SERIALIZATION_FAILURE =>
            {
                Failed::Again
            }
            _ => Failed::Db(error),
        }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Failed::Store(error)
    }
}

/// Raised by the functions of `schema.sql`.
const TOO_SHORT: &str = "TW001";

/// What is known of a call that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It changed nothing, or was rolled back.
    None,
    /// It may have been done.
    Done,
}

impl Failed {
    /// As the port says it.
    pub(crate) fn into_store(self, doubt: Doubt) -> StoreError {
        match self {
            Failed::Db(error) => of(&error, doubt),
            Failed::Again => transient(
                "it was in the way of another transaction several times over (deadlock or serialization \
                 failure); repeat it",
            ),
            Failed::TooShort => fatal("the functions of the schema and this program disagree"),
            Failed::Store(error) => error,
        }
    }

    /// Whether the schema may be that of another release.
    pub(crate) fn doubts_schema(&self) -> bool {
        let Failed::Db(error) = self else {
            return false;
        };
        error.code().is_some_and(|code| {
            [
                SqlState::UNDEFINED_FUNCTION,
                SqlState::UNDEFINED_TABLE,
                SqlState::UNDEFINED_COLUMN,
                SqlState::INVALID_SCHEMA_NAME,
            ]
            .contains(code)
        })
    }

    /// Whether the server, though it answers, is not one to write to.
    pub(crate) fn wants_another_server(&self) -> bool {
        matches!(self, Failed::Db(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION))
    }
}

/// The error of a call, or of opening a connection.
pub(crate) fn of(error: &tokio_postgres::Error, doubt: Doubt) -> StoreError {
    let Some(db) = error.as_db_error() else {
        return lost(&chain(error), doubt);
    };
    let code = db.code();
    let said = db.message();
    let known = |all: &[SqlState]| all.contains(code);
    if known(&[
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
    ]) {
        return fatal(&format!(
            "the server does not let this user in ({said}): correct user and password in the address, or pg_hba.conf"
        ));
    }
    if known(&[SqlState::INVALID_CATALOG_NAME]) {
        return fatal(&format!("{said}: create it, or correct the address"));
    }
    if known(&[SqlState::INSUFFICIENT_PRIVILEGE]) {
        return fatal(&format!(
            "{said}: grant it to the user of the address, or open the store once as the owner of the schema"
        ));
    }
    if known(&[SqlState::READ_ONLY_SQL_TRANSACTION]) {
        return transient(
            "the server takes no writes (a replica, or default_transaction_read_only): \
            if this stays, the address names the wrong server",
        );
    }
    if known(&[SqlState::DISK_FULL]) {
        return fatal(&format!(
            "the server's disk is full ({said}); the call changed nothing: make room and repeat it"
        ));
    }
    if known(&[SqlState::QUERY_CANCELED]) {
        return transient(
            "the server gave the call up: it took longer than its time limit \
            (`Options::timeout`, or `statement_timeout` of the server or role), or someone cancelled it",
        );
    }
    if known(&[SqlState::LOCK_NOT_AVAILABLE]) {
        return transient("it waited too long for a lock (`lock_timeout`)");
    }
    if known(&[SqlState::TOO_MANY_CONNECTIONS]) {
        return transient(&format!(
            "the server has no connection left ({said}): lower `Options::connections`, raise max_connections, or put a pooler between"
        ));
    }
    if known(&[SqlState::CANNOT_CONNECT_NOW]) {
        return transient(&format!("the server is not ready ({said})"));
    }
    if known(&[
        SqlState::OUT_OF_MEMORY,
        SqlState::CONFIGURATION_LIMIT_EXCEEDED,
    ]) {
        return transient(&format!("the server is short of something ({said})"));
    }
    if said.contains("unsupported startup parameter") {
        return fatal(&format!(
            "{said}: this is a pooler, so open the store with `Options::pooled(true)`"
        ));
    }
    // Class 08, and what ends a session: the server may have gone before or after the commit.
    if code.code().starts_with("08")
        || known(&[
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ])
    {
        return lost(said, doubt);
    }
    fatal(&format!("{said} (SQLSTATE {})", code.code()))
}

/// The connection broke.
pub(crate) fn lost(why: &str, doubt: Doubt) -> StoreError {
    let text = format!("the connection to the server was lost ({why})");
    match doubt {
        Doubt::None => StoreError::Transient(text.into()),
        Doubt::Done => StoreError::Ambiguous(text.into()),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

pub(crate) fn fatal(text: &str) -> StoreError {
    StoreError::Fatal(text.into())
}

pub(crate) fn transient(text: &str) -> StoreError {
    StoreError::Transient(text.into())
}
