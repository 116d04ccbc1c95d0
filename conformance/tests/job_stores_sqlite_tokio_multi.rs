//! The job store suite on the SQLite store, on one runtime of tokio with several threads, which all cases share.

#[path = "job_stores/sqlite.rs"]
mod sqlite;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

tideway_conformance::job_store_suite! {
    name: sqlite_tokio_multi,
    harness: sqlite::OnSqlite::new(tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
