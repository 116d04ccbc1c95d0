//! The job store suite on the SQLite store, on async-std.

#[path = "job_stores/sqlite.rs"]
mod sqlite;

tideway_conformance::job_store_suite! {
    name: sqlite_async_std,
    harness: sqlite::OnSqlite::new(|task| ::async_std::task::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
