//! The job store suite on the PostgreSQL store behind PgBouncer in transaction mode, on tokio. No hints: nobody can
//! listen there.

#[path = "job_stores/postgres.rs"]
mod postgres;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

tideway_conformance::job_store_suite! {
    name: postgres_pgbouncer,
    harness: postgres::OnPostgres::new(tokio_multi::net, tokio_multi::run).pooled(),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Time, Durable, Stress],
}
