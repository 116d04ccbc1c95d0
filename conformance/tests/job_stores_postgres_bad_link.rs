//! The job store suite on the PostgreSQL store over a link that delays every chunk and passes some on in pieces.

#[path = "job_stores/bad_link.rs"]
mod bad_link;
#[path = "job_stores/postgres.rs"]
mod postgres;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

use tideway_conformance::servers;

fn url() -> Result<String, String> {
    let server = servers::postgres()?;
    let (here, there) = (server.port(), bad_link::port(server.port())?);
    Ok(server
        .url()
        .replace(&format!(":{here}"), &format!(":{there}")))
}

tideway_conformance::job_store_suite! {
    name: postgres_bad_link,
    harness: postgres::OnPostgres::new(tokio_multi::net, tokio_multi::run).at(url),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
