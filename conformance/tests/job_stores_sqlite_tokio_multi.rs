//! The job store suite on the SQLite store, on one runtime of tokio with several threads, which all cases share.

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

#[path = "job_stores/sqlite.rs"]
mod sqlite;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
});

fn block_on(task: tideway::BoxFuture<'_, ()>) {
    RUNTIME.block_on(task);
}

tideway_conformance::job_store_suite! {
    name: sqlite_tokio_multi,
    harness: sqlite::OnSqlite::new(block_on),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
