//! The job store suite on the PostgreSQL store behind PgBouncer in transaction mode, on tokio. No hints: nobody can
//! listen there.

use std::sync::LazyLock;

#[path = "job_stores/postgres.rs"]
mod postgres;

/// One for all cases: the store's connections live in its tasks.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().expect("a runtime")
});

fn net() -> tideway_driver::Net {
    tideway_driver::Net::of(tideway_tokio::Tokio::current())
}

tideway_conformance::job_store_suite! {
    name: postgres_pgbouncer,
    harness: postgres::OnPostgres::new(net, |task| RUNTIME.block_on(task)).pooled(),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Time, Durable, Stress],
}
