//! The job store suite on the SQLite store, on tokio.

#[path = "job_stores/sqlite.rs"]
mod sqlite;

fn block_on(task: tideway::BoxFuture<'_, ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(task);
}

tideway_conformance::job_store_suite! {
    name: sqlite_tokio,
    harness: sqlite::OnSqlite::new(block_on),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
