//! The job store suite on the PostgreSQL store, on async-std.

#[path = "job_stores/postgres.rs"]
mod postgres;

fn net() -> tideway_driver::Net {
    tideway_driver::Net::of(tideway_async_std::AsyncStd::default())
}

tideway_conformance::job_store_suite! {
    name: postgres_async_std,
    harness: postgres::OnPostgres::new(net, |task| ::async_std::task::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
