//! The tables, their version, and how they come into being.

use tideway::jobs::StoreError;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use crate::error::{Doubt, Failed, fatal, of};
use crate::sql::Schema;

/// What makes a version out of the one before; the first out of nothing. Appended to, never changed.
const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];

/// The version this program knows.
pub(crate) const VERSION: i32 = MIGRATIONS.len() as i32;

/// Whether the schema has the version this program knows.
pub(crate) fn check(version: Option<i32>, schema: &Schema) -> Result<(), StoreError> {
    let name = schema.name();
    match version {
        Some(version) if version == VERSION => Ok(()),
        Some(version) if version > VERSION => Err(fatal(&format!(
            "the schema {name} has version {version}, this program knows version {VERSION}: use a newer release \
             of it; nothing was changed"
        ))),
        Some(version) => Err(fatal(&format!(
            "the schema {name} has version {version}, this program needs version {VERSION}: open it once with \
             `Options::migrate(true)`; nothing was changed"
        ))),
        None => Err(fatal(&format!(
            "the schema {name} has no tables of a job store: open it once with `Options::migrate(true)`, as a user who \
             may create them"
        ))),
    }
}

/// The version of the tables; `None` if there are none.
pub(crate) async fn version(client: &Client, schema: &Schema) -> Result<Option<i32>, Failed> {
    // Not by to_regclass: its answer may be older than a lock that was waited for.
    let sql = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relname = 'migration')";
    let row = client
        .query_typed_one(sql, &[(&schema.name(), Type::TEXT)])
        .await?;
    if !row.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let sql = schema.sql("SELECT max(version) FROM {s}.migration");
    Ok(client.query_typed_one(&sql, &[]).await?.try_get(0)?)
}

/// Brings the tables to the version this program knows, one process at a time.
pub(crate) async fn migrate(client: &mut Client, schema: &Schema) -> Result<(), Failed> {
    let tx = client.transaction().await?;
    let lock = schema.lock(&["migration"]);
    tx.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&lock, Type::INT8)])
        .await?;
    let known = version(tx.client(), schema).await?;
    if known.is_some_and(|known| known > VERSION) {
        check(known, schema)?;
    }
    if known.is_none() {
        begin(&tx, schema).await?;
    }
    for version in known.unwrap_or_default()..VERSION {
        tx.batch_execute(&schema.sql(MIGRATIONS[version as usize]))
            .await?;
        let sql = schema.sql("INSERT INTO {s}.migration (version) VALUES ($1)");
        tx.query_typed(&sql, &[(&(version + 1), Type::INT4)])
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn begin(tx: &Transaction<'_>, schema: &Schema) -> Result<(), Failed> {
    // Asked for first: to create it takes a right that its owner may not have, even if it is there.
    let sql = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    if !tx
        .query_typed_one(sql, &[(&schema.name(), Type::TEXT)])
        .await?
        .try_get::<_, bool>(0)?
    {
        tx.batch_execute(&schema.sql("CREATE SCHEMA {s}")).await?;
    }
    let sql = "CREATE TABLE {s}.migration (version int4 PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())";
    Ok(tx.batch_execute(&schema.sql(sql)).await?)
}

/// The error of a call that may have met tables of another release.
pub(crate) async fn explain(failed: Failed, client: &Client, schema: &Schema) -> Failed {
    match version(client, schema).await {
        Ok(found) => match check(found, schema) {
            Err(error) => Failed::Store(error),
            Ok(()) => failed,
        },
        Err(Failed::Db(error)) => Failed::Store(of(&error, Doubt::None)),
        Err(other) => other,
    }
}
