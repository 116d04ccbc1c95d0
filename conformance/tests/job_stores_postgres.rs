//! The job store suite on the PostgreSQL store: on every runtime, behind PgBouncer, over a bad link.

#[path = "job_stores/bad_link.rs"]
mod bad_link;
#[path = "job_stores/postgres.rs"]
mod postgres;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

use tideway_async_std::AsyncStd;
use tideway_conformance::servers;
use tideway_driver::Net;
use tideway_smol::Smol;

/// Over a link that delays every chunk and passes some on in pieces.
fn through() -> Result<String, String> {
    let server = servers::postgres()?;
    let (here, there) = (server.port(), bad_link::port(server.port())?);
    Ok(server
        .url()
        .replace(&format!(":{here}"), &format!(":{there}")))
}

tideway_conformance::job_store_suite! {
    name: postgres_tokio,
    harness: postgres::OnPostgres::new(tokio_multi::net, tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}

tideway_conformance::job_store_suite! {
    name: postgres_async_std,
    harness: postgres::OnPostgres::new(|| Net::of(AsyncStd::default()), |task| ::async_std::task::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}

tideway_conformance::job_store_suite! {
    name: postgres_smol,
    harness: postgres::OnPostgres::new(|| Net::of(Smol::default()), |task| ::smol::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}

// In transaction mode. No hints: nobody can listen there.
tideway_conformance::job_store_suite! {
    name: postgres_pgbouncer,
    harness: postgres::OnPostgres::new(tokio_multi::net, tokio_multi::run).pooled(),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Time, Durable, Stress],
}

tideway_conformance::job_store_suite! {
    name: postgres_bad_link,
    harness: postgres::OnPostgres::new(tokio_multi::net, tokio_multi::run).at(through),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
