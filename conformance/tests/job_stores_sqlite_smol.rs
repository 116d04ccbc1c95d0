//! The job store suite on the SQLite store, on smol.

#[path = "job_stores/sqlite.rs"]
mod sqlite;

tideway_conformance::job_store_suite! {
    name: sqlite_smol,
    harness: sqlite::OnSqlite::new(|task| ::smol::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
