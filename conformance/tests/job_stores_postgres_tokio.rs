//! The job store suite on the PostgreSQL store, on tokio.

#[path = "job_stores/postgres.rs"]
mod postgres;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

tideway_conformance::job_store_suite! {
    name: postgres_tokio,
    harness: postgres::OnPostgres::new(tokio_multi::net, tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
