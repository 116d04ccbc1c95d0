//! The job store suite on the SQLite store, on every runtime.

#[path = "job_stores/sqlite.rs"]
mod sqlite;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

tideway_conformance::job_store_suite! {
    name: sqlite_tokio,
    harness: sqlite::OnSqlite::new(tokio_multi::alone),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}

tideway_conformance::job_store_suite! {
    name: sqlite_tokio_multi,
    harness: sqlite::OnSqlite::new(tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}

tideway_conformance::job_store_suite! {
    name: sqlite_async_std,
    harness: sqlite::OnSqlite::new(|task| ::async_std::task::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}

tideway_conformance::job_store_suite! {
    name: sqlite_smol,
    harness: sqlite::OnSqlite::new(|task| ::smol::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
